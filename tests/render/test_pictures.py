"""Pictures of what is stored, under a View, from intake to the encoded picture."""

from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.pixels import apply_color_lut

from samsyn.access.view import View
from samsyn.clock import SystemClock
from samsyn.errors import DamagedData, LimitExceeded, NotFound, NotSupported, OutOfResources
from samsyn.model.imaging import StoredInstance
from samsyn.render.pictures import Pictures
from samsyn.render.words import PictureFormat, PictureOptions, Window
from tests.dicom.test_reading import DEFLATED
from tests.render import frames
from tests.render.house import SERIES, STUDY, House, compressed, image, thing

PNG = PictureOptions(PictureFormat.PNG)
RAMP = np.arange(64, dtype="<u2").reshape(8, 8) * 10


async def seen(house: House, number: int = 1, options: PictureOptions = PNG, which: int = 0) -> np.ndarray:
    view = await house.view()
    instance = (await house.retriever.instances(view, STUDY, SERIES))[which]
    picture = await house.pictures.rendered(view, instance, number, options)
    decode = imagecodecs.png_decode if picture.media_type == "image/png" else imagecodecs.jpeg8_decode
    return np.asarray(decode(picture.data))


async def test_a_stored_picture_is_shown_in_its_headers_window_and_in_the_askers(house: House) -> None:
    await house.take(
        image(RAMP, WindowCenter="-24", WindowWidth="101", RescaleSlope="1", RescaleIntercept="-124")
    )
    own = await seen(house)
    assert (own[0, 0], own[7, 7]) == (0, 255)
    assert abs(int(own[1, 2]) - 128) <= 1
    asked = await seen(house, options=PictureOptions(PictureFormat.PNG, window=Window(190, 641)))
    assert abs(int(asked[4, 0]) - 128) < 52
    assert asked[7, 7] > asked[0, 0]


@pytest.mark.parametrize("syntax", [frames.LITTLE, DEFLATED])
async def test_a_header_is_read_by_itself_in_any_form(house: House, syntax: str) -> None:
    await house.take(image(RAMP, WindowCenter="315", WindowWidth="631"), syntax)
    picture = await seen(house)
    assert (picture[0, 0], picture[7, 7]) == (0, 255)
    assert abs(int(picture[4, 0]) - 129) <= 1


async def test_what_the_view_does_not_show_is_not_found_even_when_it_is_in_memory(house: House) -> None:
    await house.take(image(RAMP))
    view = await house.view()
    instance = (await house.retriever.instances(view, STUDY, SERIES))[0]
    await house.pictures.rendered(view, instance, 1, PNG)
    await house.pictures.thumbnail(view, instance)
    stranger = await house.view("KLARAWEB")
    for attempt in (
        house.pictures.rendered(stranger, instance, 1, PNG),
        house.pictures.thumbnail(stranger, instance),
        house.pictures.decoded(stranger, instance, 1),
        house.pictures.stack(stranger, STUDY, SERIES),
        house.pictures.series_thumbnail(stranger, STUDY, SERIES),
    ):
        with pytest.raises(NotFound):
            await attempt


async def test_every_frame_is_its_own_and_there_is_none_beyond_the_last(house: House) -> None:
    stack = np.repeat(np.arange(5, dtype=np.uint8) * 50, 12).reshape(20, 3)
    await house.take(image(stack, frames=5, WindowCenter="128", WindowWidth="256"))
    for number in range(1, 6):
        assert int((await seen(house, number))[0, 0]) == (number - 1) * 50
    with pytest.raises(NotFound):
        await seen(house, 6)
    with pytest.raises(NotFound):
        await seen(house, 0)


async def test_packed_bits_of_every_frame_are_found_also_inside_a_byte(house: House) -> None:
    bits = np.random.default_rng(5).integers(0, 2, (15, 3), dtype=np.uint8)
    made = image(bits, frames=3)
    made.BitsAllocated = made.BitsStored = 1
    made.HighBit = 0
    packed = np.packbits(bits.ravel(), bitorder="little").tobytes()
    made.PixelData = packed + b"\0" * (len(packed) % 2)
    await house.take(made)
    view = await house.view()
    [instance] = await house.retriever.instances(view, STUDY, SERIES)
    for number in (1, 2, 3):
        assert np.array_equal(await seen(house, number), bits[(number - 1) * 5 : number * 5] * 255)
        decoded = await house.pictures.decoded(view, instance, number)
        assert decoded.data == np.packbits(bits[(number - 1) * 5 : number * 5], bitorder="little").tobytes()
        assert (decoded.rows, decoded.columns, decoded.bits_allocated) == (5, 3, 1)


async def test_compressed_pictures_are_decoded_and_given_back_uncompressed(house: House) -> None:
    made = compressed(image(RAMP), bytes(imagecodecs.jpegls_encode(RAMP)))
    await house.take(made, frames.JPEG_LS)
    view = await house.view()
    instance = (await house.retriever.instances(view, STUDY, SERIES))[0]
    decoded = await house.pictures.decoded(view, instance, 1)
    assert decoded.data == RAMP.tobytes()
    assert (await seen(house)).shape == (8, 8)


async def test_a_window_found_in_the_pixels_is_the_same_for_the_whole_series(house: House) -> None:
    for number in (1, 2, 3):
        await house.take(image(RAMP + number * 100, number))
    view = await house.view()
    stack = await house.pictures.stack(view, STUDY, SERIES)
    assert len({frame.window for frame in stack.frames}) == 1
    assert stack.frames[0].window is not None
    levels = [int((await seen(house, which=which))[4, 0]) for which in range(3)]
    assert levels[0] < levels[1] < levels[2]


async def test_a_window_that_could_not_be_looked_for_is_looked_for_again(house: House) -> None:
    for number in (1, 2, 3):
        await house.take(image(RAMP + number * 100, number))
    await house.children.stop()
    with pytest.raises(OutOfResources):
        await seen(house)
    await house.children.start()
    levels = [int((await seen(house, which=which))[4, 0]) for which in range(3)]
    assert levels[0] < levels[1] < levels[2]


async def test_a_blank_picture_in_the_middle_gives_the_others_no_window(house: House) -> None:
    for number, pixels in enumerate((RAMP, RAMP * 0, RAMP), 1):
        await house.take(image(pixels, number))
    picture = await seen(house)
    assert np.abs(picture.astype(float) - RAMP / 630 * 255).max() <= 1
    assert len(set((await seen(house, which=1)).ravel().tolist())) == 1


async def test_two_exposures_of_a_series_without_window_are_both_seen(house: House) -> None:
    for number, pixels in enumerate((RAMP, RAMP * 100), 1):
        await house.take(image(pixels, number, Modality="CR"))
    for which in (0, 1):
        assert np.abs((await seen(house, which=which)).astype(float) - RAMP / 630 * 255).max() <= 1


@pytest.mark.parametrize(
    ("modality", "changes", "brightest"),
    [("US", {}, 63), ("US", {"RescaleSlope": "2", "RescaleIntercept": "0"}, 255), ("NM", {}, 255)],
)
async def test_eight_bits_that_were_made_to_be_seen_are_shown_as_they_are(
    house: House, modality: str, changes: dict[str, str], brightest: int
) -> None:
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8)
    await house.take(image(pixels, Modality=modality, **changes))
    assert (await seen(house)).max() == brightest
    if brightest == 63:
        assert np.array_equal(await seen(house), pixels)


async def test_the_first_picture_waits_for_no_document_and_a_kept_one_is_read_at_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2, 3):
        await house.take(image(RAMP, number, WindowCenter="-24", WindowWidth="101"))
    read: list[str] = []
    attributes = house.retriever.attributes

    async def noted(view: View, instance: StoredInstance, wanted: frozenset[int]) -> bytes:
        read.append(instance.sop_instance_uid)
        return await attributes(view, instance, wanted)

    monkeypatch.setattr(house.retriever, "attributes", noted)
    by_itself = [await seen(house, which=which) for which in range(2)]
    assert len(read) == 2
    assert not list(house.folder.rglob("*.marked"))
    await house.retriever.metadata(await house.view(), STUDY, SERIES)
    assert list(house.folder.rglob("*.marked"))
    house.pictures = after_restart(house)
    by_document = [await seen(house, which=which) for which in range(3)]
    assert len(read) == 2
    assert all((one == other).all() for one, other in zip(by_itself, by_document, strict=False))


async def test_a_stack_tells_order_windows_and_how_it_moves(house: House) -> None:
    await house.take(image(RAMP, 2, WindowCenter=["40", "-600"], WindowWidth=["400", "1500"]))
    await house.take(image(RAMP, 1, WindowCenter="50", WindowWidth="350"))
    await house.take(thing(3, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11", Modality="SR"))
    stack = await house.pictures.stack(await house.view(), STUDY, SERIES)
    assert [(frame.instance.number, frame.number) for frame in stack.frames] == [(1, 1), (2, 1)]
    assert [frame.window and (frame.window.center, frame.window.width) for frame in stack.frames] == [
        (50, 350),
        (40, 400),
    ]
    assert (stack.modality, stack.description, stack.frame_time_ms) == ("CT", "Thorax 5 mm", None)
    assert [kind for _, kind in stack.other] == ["text"]


async def test_a_cine_has_its_frame_time_and_begins_at_its_beginning(house: House) -> None:
    film = np.zeros((40, 8, 3), np.uint8)
    await house.take(image(film, frames=5, FrameTime="33.3", Modality="US"))
    stack = await house.pictures.stack(await house.view(), STUDY, SERIES)
    assert (len(stack.frames), stack.frame_time_ms, stack.start) == (5, 33.3, 0)
    assert stack.frames[0].window is None


async def test_windows_of_functional_groups_belong_to_their_frame(house: House) -> None:
    groups = []
    for number in range(3):
        voi, scale, group = Dataset(), Dataset(), Dataset()
        voi.WindowCenter, voi.WindowWidth = str(100 * number), "200"
        scale.RescaleSlope, scale.RescaleIntercept = "2", "-10"
        group.FrameVOILUTSequence, group.PixelValueTransformationSequence = [voi], [scale]
        groups.append(group)
    await house.take(image(np.vstack([RAMP] * 3), frames=3, PerFrameFunctionalGroupsSequence=groups))
    stack = await house.pictures.stack(await house.view(), STUDY, SERIES)
    assert [frame.window and frame.window.center for frame in stack.frames] == [0, 100, 200]
    # 630 * 2 - 10 is white in every window; 0 * 2 - 10 is black in the last.
    assert int((await seen(house, 3))[0, 0]) == 0
    assert int((await seen(house, 1))[0, 0]) > 100


async def test_a_value_that_ends_at_another_high_bit_is_shown_as_it_is(house: House) -> None:
    await house.take(image(RAMP << 4 | 9, BitsStored=12, HighBit=15, WindowCenter="315", WindowWidth="631"))
    await house.take(
        compressed(
            image(RAMP << 4 | 9, 2, BitsStored=12, HighBit=15, WindowCenter="315", WindowWidth="631"),
            frames.rle(RAMP << 4 | 9),
        ),
        frames.RLE,
    )
    for which in (0, 1):
        picture = await seen(house, which=which)
        assert np.abs(picture.astype(float) - RAMP / 630 * 255).max() <= 1


def lut(entries: list[int], bits: int = 12) -> Dataset:
    made = Dataset()
    made.LUTDescriptor, made.LUTData = [len(entries), 0, bits], entries
    made["LUTDescriptor"].VR = "US"
    made["LUTData"].VR = "US"
    return made


async def test_a_voi_table_of_functional_groups_belongs_to_its_frame(house: House) -> None:
    # 1,000 entries are bulk data, 256 are not.
    tables = lut([0] * 500 + [4_095] * 500), lut([4_095] * 20 + [0] * 236)
    groups = []
    for table in (*tables, None):
        group, voi = Dataset(), Dataset()
        voi.WindowCenter, voi.WindowWidth = "1e6", "1"
        if table:
            voi.VOILUTSequence = [table]
        group.FrameVOILUTSequence = [voi]
        groups.append(group)
    await house.take(image(np.vstack([RAMP] * 3), frames=3, PerFrameFunctionalGroupsSequence=groups))
    assert np.array_equal(await seen(house, 1), np.where(RAMP >= 500, 255, 0))
    assert np.array_equal(await seen(house, 2), np.where(RAMP < 20, 255, 0))
    assert not (await seen(house, 3)).any()


@pytest.mark.parametrize(
    ("sop_class", "relationship", "is_shown_by_table"),
    [
        ("1.2.840.10008.5.1.4.1.1.12.1", "LOG", False),
        ("1.2.840.10008.5.1.4.1.1.12.2", "DISP", False),
        ("1.2.840.10008.5.1.4.1.1.12.1", "LIN", True),
        ("1.2.840.10008.5.1.4.1.1.1", "LOG", True),
    ],
)
async def test_a_table_to_x_ray_intensity_is_for_measuring_and_not_for_looking(
    house: House, sop_class: str, relationship: str, is_shown_by_table: bool
) -> None:
    made = image(RAMP, WindowCenter="315", WindowWidth="631", PixelIntensityRelationship=relationship)
    made.SOPClassUID = sop_class
    made.ModalityLUTSequence = [lut([630] + [0] * 630, 16)]
    made.ModalityLUTSequence[0].ModalityLUTType = "US"
    await house.take(made)
    picture = await seen(house)
    assert (picture[0, 0], picture[7, 7]) == ((255, 0) if is_shown_by_table else (0, 255))


@pytest.mark.parametrize(("name", "kind"), [("FloatPixelData", "<f4"), ("DoubleFloatPixelData", "<f8")])
async def test_floating_point_pixels_are_shown_as_the_same_whole_numbers_are(
    house: House, name: str, kind: str
) -> None:
    window = {"WindowCenter": "315", "WindowWidth": "631"}
    made = image(RAMP, 1, BitsAllocated=int(kind[2]) * 8, **window)
    del made.PixelData, made.BitsStored, made.HighBit, made.PixelRepresentation
    setattr(made, name, RAMP.astype(kind).tobytes())
    await house.take(made)
    await house.take(image(RAMP, 2, **window))
    assert np.array_equal(await seen(house), await seen(house, which=1))
    view = await house.view()
    instance = (await house.retriever.instances(view, STUDY, SERIES))[0]
    assert (await house.pictures.thumbnail(view, instance)).media_type == "image/jpeg"


async def test_a_palette_in_bulk_data_gives_its_colours(house: House) -> None:
    made = image(np.array([[0, 1], [2, 255]], np.uint8), PhotometricInterpretation="PALETTE COLOR")
    for channel, shift in (("Red", 0), ("Green", 1), ("Blue", 2)):
        setattr(made, f"{channel}PaletteColorLookupTableDescriptor", [1024, 0, 16])
        table = (np.arange(1024, dtype="<u2") + shift << 8).astype("<u2")
        setattr(made, f"{channel}PaletteColorLookupTableData", table.tobytes())
    await house.take(made)
    assert (await seen(house)).tolist() == [[[0, 1, 2], [1, 2, 3]], [[2, 3, 4], [255, 0, 1]]]


@pytest.mark.parametrize(
    ("name", "syntax"),
    [("gdcm-US-ALOKA-16.dcm", frames.IMPLICIT), ("gdcm-US-ALOKA-16_big.dcm", frames.BIG)],
)
async def test_a_palette_of_segments_gives_the_colours_that_others_see(
    house: House, name: str, syntax: str
) -> None:
    foreign = pydicom.dcmread(str(get_testdata_file(name)))
    foreign.PatientID, foreign.AccessionNumber = "19121212-1212", "A1"
    foreign.StudyInstanceUID, foreign.SeriesInstanceUID = STUDY, SERIES
    await house.take(foreign, syntax)
    expected = apply_color_lut(foreign.pixel_array, foreign) >> 8
    assert np.array_equal(await seen(house), expected)


def after_restart(house: House) -> Pictures:
    return Pictures(house.retriever, house.children, house.folder / "derived", SystemClock())


async def test_thumbnails_are_made_once_kept_as_files_and_small(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.take(image(np.zeros((512, 300), np.uint16)))
    view = await house.view()
    instance = (await house.retriever.instances(view, STUDY, SERIES))[0]
    first = await house.pictures.thumbnail(view, instance)
    assert (first.width, first.height, first.media_type) == (75, 128, "image/jpeg")
    files = [path for path in (house.folder / "derived" / "thumbnails").rglob("*") if path.is_file()]
    assert len(files) == 1
    assert "2.25" not in str(files[0].relative_to(house.folder))

    def never(*_: object) -> None:
        raise AssertionError("the pixels are not needed any more")

    monkeypatch.setattr(house.retriever, "frame_source", never)
    assert await house.pictures.thumbnail(view, instance) is first
    assert await after_restart(house).thumbnail(view, instance) == first


async def test_a_torn_thumbnail_file_is_made_again(house: House) -> None:
    await house.take(image(RAMP))
    view = await house.view()
    first = await house.pictures.series_thumbnail(view, STUDY, SERIES)
    file = next(path for path in (house.folder / "derived" / "thumbnails").rglob("*.jpg"))
    file.write_bytes(b"")
    assert await after_restart(house).series_thumbnail(view, STUDY, SERIES) == first
    assert file.read_bytes() == first.data


@pytest.mark.parametrize(
    "sop_class",
    ["1.2.840.10008.5.1.4.1.1.104.1", "1.2.840.10008.5.1.4.1.1.88.22", "1.2.840.10008.5.1.4.1.1.11.1"],
)
async def test_what_has_no_picture_has_a_sign_for_a_thumbnail_and_refuses_to_be_rendered(
    house: House, sop_class: str
) -> None:
    await house.take(thing(SOPClassUID=sop_class))
    view = await house.view()
    thumbnail = await house.pictures.series_thumbnail(view, STUDY, SERIES)
    assert (thumbnail.media_type, thumbnail.width) == ("image/png", 128)
    with pytest.raises(NotSupported):
        await seen(house)
    assert (await house.pictures.stack(view, STUDY, SERIES)).frames == ()


async def test_an_ecg_is_drawn_and_has_a_thumbnail(house: House) -> None:
    path = get_testdata_file("waveform_ecg.dcm")
    made = pydicom.dcmread(str(path))
    made.remove_private_tags()
    wanted: dict[str, Any] = {
        element.keyword: element.value for element in thing() if element.keyword != "SOPClassUID"
    }
    for name, value in wanted.items():
        setattr(made, name, value)
    await house.take(made)
    picture = await seen(house)
    assert picture.shape[1] > picture.shape[0] > 500
    view = await house.view()
    stack = await house.pictures.stack(view, STUDY, SERIES)
    assert [(frame.number, frame.window) for frame in stack.frames] == [(1, None)]
    thumbnail = await house.pictures.series_thumbnail(view, STUDY, SERIES)
    assert max(thumbnail.width, thumbnail.height) == 128


async def test_a_broken_picture_costs_itself_and_has_a_sign_in_lists(house: House) -> None:
    await house.take(
        compressed(image(RAMP, 1), frames.jpeg_that_claims(60_000, 60_000)), frames.JPEG_BASELINE
    )
    for number in (2, 4):
        await house.take(image(RAMP, number))
    await house.take(compressed(image(RAMP, 3), b"\xff\xd8\xff\xd9"), frames.JPEG_BASELINE)
    with pytest.raises(LimitExceeded):
        await seen(house)
    for which in (1, 3):
        assert (await seen(house, which=which)).shape == (8, 8)
    view = await house.view()
    broken = (await house.retriever.instances(view, STUDY, SERIES))[0]
    assert (await house.pictures.thumbnail(view, broken)).media_type == "image/png"
    stack = await house.pictures.stack(view, STUDY, SERIES)
    assert len(stack.frames) == 4


async def test_a_picture_that_killed_its_decoder_is_not_tried_again_at_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.take(compressed(image(RAMP), frames.jpeg_that_claims(9, 9)), frames.JPEG_BASELINE)
    with pytest.raises(DamagedData):
        await seen(house)
    await house.children.stop()
    with pytest.raises(DamagedData):
        await seen(house)
    await house.children.start()
