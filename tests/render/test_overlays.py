"""Overlay planes are drawn on every picture of what they belong to, and what can not be drawn is told there."""

from dataclasses import replace

import imagecodecs
import numpy as np
import pytest
from pydicom.dataset import Dataset

from samsyn.errors import LimitExceeded
from samsyn.limits import MAX_OVERLAY_PIXELS
from samsyn.render.graphics import MISSING, with_graphics
from samsyn.render.lettering import lettering
from samsyn.render.words import Graphic, PictureFormat, PictureOptions, Viewport
from tests.dicom.test_reading import DEFLATED
from tests.render import frames
from tests.render.house import SERIES, STUDY, House, compressed, image
from tests.render.overlay_objects import drawn, placed, with_embedded, with_overlay

PNG = PictureOptions(PictureFormat.PNG)
ROWS, COLUMNS = 20, 30
RANDOM = np.random.default_rng(11)
LEVELS = RANDOM.integers(0, 256, (ROWS, COLUMNS)).astype("u1")
MARK = np.zeros((ROWS, COLUMNS), bool)
MARK[3:10, 5] = MARK[9, 5:9] = True
"""The letter L."""
AREA = np.zeros((ROWS, COLUMNS), bool)
AREA[4:12, 6:20] = True
EDGE = AREA.copy()
EDGE[5:11, 7:19] = False


async def seen(
    house: House, made: Dataset | None = None, number: int = 1, options: PictureOptions = PNG
) -> np.ndarray:
    view = await house.view()
    instances = await house.retriever.instances(view, STUDY, SERIES)
    wanted = instances[0].sop_instance_uid if made is None else made.SOPInstanceUID
    instance = next(each for each in instances if each.sop_instance_uid == wanted)
    picture = await house.pictures.rendered(view, instance, number, options)
    decode = imagecodecs.png_decode if picture.media_type == "image/png" else imagecodecs.jpeg8_decode
    return np.asarray(decode(picture.data))


@pytest.mark.parametrize("syntax", [frames.IMPLICIT, frames.LITTLE, frames.BIG, DEFLATED])
async def test_a_graphic_is_white_with_a_dark_edge_on_any_ground(house: House, syntax: str) -> None:
    made = with_overlay(image(LEVELS), MARK)
    if syntax == frames.BIG:
        made[0x6000, 0x3000].value = np.frombuffer(made[0x6000, 0x3000].value, "<u2").astype(">u2").tobytes()
        made["PixelData"].VR = "OB"
    await house.take(made, syntax)
    assert np.array_equal(await seen(house), drawn(LEVELS, MARK))


async def test_colours_and_inverted_grey_have_it_white_too(house: House) -> None:
    colours = RANDOM.integers(0, 256, (ROWS, COLUMNS, 3)).astype("u1")
    coloured = with_overlay(image(colours, 1), MARK)
    inverted = with_overlay(image(LEVELS, 2, PhotometricInterpretation="MONOCHROME1"), MARK)
    for made, plain in ((coloured, colours), (inverted, 255 - LEVELS)):
        await house.take(made)
        assert np.array_equal(await seen(house, made), drawn(plain, MARK))


async def test_a_region_of_interest_is_shown_by_its_edge_and_hides_nothing(house: House) -> None:
    dark = np.full((ROWS, COLUMNS), 40, "u1")
    await house.take(with_overlay(image(dark), AREA, kind="R"))
    assert np.array_equal(await seen(house), np.where(EDGE, 255, 40))


@pytest.mark.parametrize("origin", [(1, 1), (-4, 7), (15, -3), (0, 0), (-500, 3), (32_767, 32_767)])
async def test_a_plane_lies_where_its_origin_says_and_is_cut_at_the_edges(
    house: House, origin: tuple[int, int]
) -> None:
    mask = RANDOM.random((13, 35)) < 0.2
    await house.take(with_overlay(image(LEVELS), mask, origin=origin))
    assert np.array_equal(await seen(house), drawn(LEVELS, placed(mask, origin, ROWS, COLUMNS)))


async def test_all_sixteen_planes_are_drawn(house: House) -> None:
    made, every = image(LEVELS), np.zeros((ROWS, COLUMNS), bool)
    for place in range(16):
        mask = np.zeros((ROWS, COLUMNS), bool)
        mask[place, place] = True
        every |= mask
        with_overlay(made, mask, 0x6000 + 2 * place)
    await house.take(made)
    assert np.array_equal(await seen(house), drawn(LEVELS, every))


@pytest.mark.parametrize(
    ("count", "first", "shown"),
    [
        (None, None, (0, 0, 0, 0)),
        (1, None, (0, None, None, None)),
        (2, 2, (None, 0, 1, None)),
        (9, 4, (None, None, None, 0)),
        (None, 3, (None, None, 0, None)),
    ],
)
async def test_each_frame_has_the_planes_that_are_its_own(
    house: House, count: int | None, first: int | None, shown: tuple[int | None, ...]
) -> None:
    cells = RANDOM.integers(0, 256, (4 * 7, 9)).astype("u1")
    planes = RANDOM.random((count or 1, 7, 9)) < 0.2  # 63 bits each: most begin inside a byte
    await house.take(with_overlay(image(cells, frames=4), planes, frames=count, first_frame=first))
    for number, own in enumerate(shown, 1):
        plain = cells[7 * (number - 1) : 7 * number]
        expected = plain if own is None else drawn(plain, planes[own])
        assert np.array_equal(await seen(house, number=number), expected), number


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("how", ["native", "RLE", "JPEG lossless", "JPEG-LS"])
async def test_a_plane_in_free_bits_of_the_cells_is_drawn_in_each_frame(
    house: House, how: str, signed: bool
) -> None:
    values = RANDOM.integers(0, 1 << 12, (3 * ROWS, COLUMNS))
    marks = RANDOM.random((2, 3 * ROWS, COLUMNS)) < 0.05
    cells = (values | marks[0] << 13 | marks[1] << 15).astype("<u2")
    made = image(cells, frames=3, BitsStored=12, HighBit=11, PixelRepresentation=int(signed))
    made.WindowCenter, made.WindowWidth = 0 if signed else 2_048, 4_096
    with_embedded(with_embedded(made, 13), 15, 0x6002)
    syntax = frames.LITTLE
    if how != "native":
        encode, syntax = {
            "RLE": (frames.rle, frames.RLE),
            "JPEG lossless": (lambda each: frames.jpeg_lossless(each, 16), frames.JPEG_LOSSLESS),
            "JPEG-LS": (lambda each: bytes(imagecodecs.jpegls_encode(each)), frames.JPEG_LS),
        }[how]
        compressed(made, *(encode(np.ascontiguousarray(each)) for each in np.split(cells, 3)))
    await house.take(made, syntax)
    if signed:
        values = (values + 2_048) % 4_096
    for number in range(3):
        part = slice(number * ROWS, (number + 1) * ROWS)
        both = marks[0, part] | marks[1, part]
        expected = drawn(np.rint(values[part] / 4_095 * 255).astype("u1"), both)
        picture = await seen(house, number=number + 1)
        assert np.abs(picture.astype(int) - expected).max() <= 1
        assert np.array_equal(picture[both], expected[both])


async def test_a_group_that_draws_nothing_changes_nothing(house: House) -> None:
    cells = (LEVELS.astype("<u2") | 0x8000).astype("<u2")
    window = {"WindowCenter": 128, "WindowWidth": 256}
    inside = with_embedded(image(cells, 1, BitsStored=8, HighBit=7, **window), 5)  # a bit of the values
    other = with_embedded(image(cells, 2, BitsStored=8, HighBit=7, **window), 15)
    other[0x6000, 0x0100].value = 1  # and neither data
    empty = with_overlay(image(cells, 3, BitsStored=8, HighBit=7, **window), MARK)
    empty[0x6000, 0x3000].value = b""
    for made in (inside, other, empty):
        await house.take(made)
        assert np.abs((await seen(house, made)).astype(int) - LEVELS).max() <= 1


def says_so(picture: np.ndarray) -> bool:
    letters = lettering(MISSING[0])[:, : picture.shape[1] - 2]
    return bool(np.all(picture[2:9, 2 : 2 + letters.shape[1]][letters] > 230))


@pytest.mark.parametrize("wrong", ["no rows", "no columns", "too short", "one frame is missing"])
async def test_what_can_not_be_drawn_is_told_in_the_picture(house: House, wrong: str) -> None:
    dark = np.full((2 * 40, 120), 30, "u1")
    mask = np.zeros((40, 120), bool)
    mask[20, 3:50] = True
    whole = with_overlay(image(dark, 1, frames=2), mask)
    torn = with_overlay(image(dark, 2, frames=2), mask)
    if wrong.startswith("no"):
        del torn[0x6000, 0x0010 if wrong == "no rows" else 0x0011]
    elif wrong == "too short":
        torn[0x6000, 0x3000].value = torn[0x6000, 0x3000].value[:-40]
    else:
        torn.add_new((0x6000, 0x0015), "IS", 2)
    await house.take(whole)
    await house.take(torn)
    assert not says_so(await seen(house, whole, 2))
    told = await seen(house, torn, 2)
    assert says_so(told)
    if wrong == "too short":
        assert np.all(told[20, 3:50] == 255)
    view = await house.view()
    instances = await house.retriever.instances(view, STUDY, SERIES)
    for instance in instances:
        small = await house.pictures.thumbnail(view, instance, 2)
        told = np.asarray(imagecodecs.jpeg8_decode(small.data))
        assert says_so(told) == (instance.sop_instance_uid == torn.SOPInstanceUID)


async def test_lines_stay_bright_in_small_pictures_and_lie_right_in_viewports(house: House) -> None:
    dark = np.full((400, 600), 30, "u1")
    mask = np.zeros((400, 600), bool)
    mask[100, 50:500] = mask[50:350, 300] = True
    await house.take(with_overlay(image(dark), mask))
    view = await house.view()
    instance = (await house.retriever.instances(view, STUDY, SERIES))[0]
    small = np.asarray(imagecodecs.jpeg8_decode((await house.pictures.thumbnail(view, instance)).data))
    assert small.shape == (85, 128)
    assert small[21, 12:100].min() > 180
    assert small[12:70, 63:65].max(axis=1).min() > 180
    assert small[40:70, :50].max() < 60
    part = await seen(house, options=replace(PNG, viewport=Viewport(50, 50, 280, 80, -50.0, 50.0)))
    assert part.shape == (50, 50)
    assert np.array_equal(np.flatnonzero(np.all(part == 255, axis=0)), [29])  # mirrored: 330 - 1 - 300
    assert np.array_equal(np.flatnonzero(np.all(part == 255, axis=1)), [20])


async def test_an_overlay_of_many_frames_is_read_once_for_all_of_them(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = np.zeros((30 * 8, 8), "u1")
    masks = RANDOM.random((30, 8, 8)) < 0.3
    await house.take(with_overlay(image(cells, frames=30), masks, frames=30, first_frame=1))
    read = []
    bulk = house.retriever.bulk
    monkeypatch.setattr(house.retriever, "bulk", lambda *asked: (read.append(asked), bulk(*asked))[1])
    for number in range(1, 31):
        picture = await seen(house, number=number)
        assert np.array_equal(picture == 255, masks[number - 1])
    assert len(read) == 1


@pytest.mark.parametrize("groups", [1, 16])
async def test_planes_larger_than_the_limit_are_refused_by_its_name(house: House, groups: int) -> None:
    made = image(LEVELS)
    side = 65_535 if groups == 1 else int((MAX_OVERLAY_PIXELS / groups) ** 0.5) + 1
    for place in range(groups):
        with_overlay(made, MARK, 0x6000 + 2 * place, frames=1_000)
        made[0x6000 + 2 * place, 0x0010].value = made[0x6000 + 2 * place, 0x0011].value = side
    await house.take(made)
    with pytest.raises(LimitExceeded, match="MAX_OVERLAY_PIXELS"):
        await seen(house)
    view = await house.view()
    instance = (await house.retriever.instances(view, STUDY, SERIES))[0]
    assert (await house.pictures.thumbnail(view, instance)).media_type == "image/png"  # the sign for an image


def test_the_largest_plane_that_the_limit_allows_is_drawn_without_making_all_of_it() -> None:
    rows = MAX_OVERLAY_PIXELS // 65_535
    data = b"\xff" * (rows * 65_535 // 8 + 1)
    graphic = Graphic(rows, 65_535, -500, -60_000, False, data)
    picture = with_graphics(np.zeros((10, 20), np.uint8), [graphic], (10, 20), PNG, None)
    assert np.all(picture == 255)


def test_retired_overlay_data_in_whole_cells_is_drawn_by_its_bit() -> None:
    cells = (MARK.astype("u1") << 3) | 0xF7
    graphic = Graphic(ROWS, COLUMNS, 0, 0, False, cells.tobytes(), cell_bits=8, position=3)
    picture = with_graphics(np.zeros_like(LEVELS), [graphic], LEVELS.shape, PNG, None)
    assert np.array_equal(picture == 255, MARK)


@pytest.mark.parametrize(("kind", "told"), [("POLY", True), ("ROI", True), ("ECG", False), ("TAC", False)])
async def test_a_retired_curve_that_lies_on_the_picture_is_told_to_be_missing(
    house: House, kind: str, told: bool
) -> None:
    made = image(np.full((40, 120), 30, "u1"))
    made.add_new((0x5002, 0x0020), "CS", kind)
    made.add_new((0x5002, 0x3000), "OW", np.arange(20, dtype="<u2").tobytes())
    await house.take(made)
    assert says_so(await seen(house)) == told


async def test_a_picture_of_one_bit_a_pixel_has_its_graphics(house: House) -> None:
    bits = RANDOM.integers(0, 2, (2 * 7, 9)).astype("u1")
    made = image(bits, frames=2, BitsAllocated=1, BitsStored=1, HighBit=0, WindowCenter=1, WindowWidth=2)
    made.PixelData = np.packbits(bits, bitorder="little").tobytes()
    mask = RANDOM.random((7, 9)) < 0.3
    await house.take(with_overlay(made, mask))
    for number in (1, 2):
        plain = bits[7 * (number - 1) : 7 * number] * 255
        assert np.array_equal(await seen(house, number=number), drawn(plain.astype("u1"), mask))


async def test_graphics_grow_with_pixels_that_are_not_square(house: House) -> None:
    await house.take(with_overlay(image(np.full((20, 30), 30, "u1"), PixelAspectRatio=["2", "1"]), MARK))
    picture = await seen(house)
    assert picture.shape == (40, 30)
    assert np.array_equal(np.flatnonzero((picture > 150).any(axis=0)), np.flatnonzero(MARK.any(axis=0)))
    assert np.flatnonzero((picture > 150).any(axis=1)).tolist() == list(range(6, 20))
