"""Rendered pictures, thumbnails and frames decoded for who can not do it himself."""

import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageSequence
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate

from samsyn.clock import SystemClock
from samsyn.dicom.structure import UNDEFINED
from samsyn.endpoints.dicomweb.pictures.options import wish_of
from samsyn.errors import BadInput, SamsynError
from samsyn.render.children import DecodingChildren
from samsyn.render.pictures import Pictures
from samsyn.render.words import Voi
from tests.dicom.corpus import SEQUENCE_END, element
from tests.dicomweb.house import House, data_set, file_of, image, image_file, parts_of, store

JPEG = "1.2.840.10008.1.2.4.50"
JPEG_LS = "1.2.840.10008.1.2.4.80"
JPEG_XL = "1.2.840.10008.1.2.4.110"
ENCAPSULATED = "1.2.840.10008.1.2.1.98"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
INSTANCE = "/studies/2.25.10/series/2.25.11/instances/2.25.1001"
PIXELS = np.arange(2 * 32 * 48, dtype=np.uint16).reshape(2, 32, 48)


@pytest.fixture
async def gallery(tmp_path: Path) -> AsyncIterator[House]:
    """A house that can make pictures."""
    children = DecodingChildren(1)
    house = House(tmp_path)
    house.use(Pictures(house.retriever, children, tmp_path / "derived", SystemClock()), children=children)
    await children.start()
    yield house
    await children.stop()
    house.close()


def compressed() -> bytes:
    """Two frames in JPEG-LS lossless."""
    frames = [imagecodecs.jpegls_encode(frame) for frame in PIXELS]
    made = image(PixelData=None, Rows=32, Columns=48)
    return data_set(made) + element(0x7FE00010, b"OB", encapsulate(frames) + SEQUENCE_END, UNDEFINED)


async def get(house: House, path: str, accept: str = "*/*") -> Any:
    async with house.client() as client:
        return await client.get(path, headers={"Accept": accept})


async def test_compressed_frames_are_decoded_for_who_takes_only_octets(gallery: House) -> None:
    async with gallery.client() as client:
        assert (await store(client, [file_of(compressed(), syntax=JPEG_LS)])).status_code == 200
    plain = 'multipart/related; type="application/octet-stream"'
    for accept in (plain, f"{plain}; transfer-syntax=1.2.840.10008.1.2.1"):
        parts = parts_of(await get(gallery, f"{INSTANCE}/frames/1,2", accept))
        assert [content for _, content in parts] == [frame.tobytes() for frame in PIXELS]
        assert {kind for kind, _ in parts} == {
            "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"
        }
    [(kind, content)] = parts_of(await get(gallery, f"{INSTANCE}/frames/2"))
    assert kind == f"image/jls; transfer-syntax={JPEG_LS}"
    assert np.array_equal(imagecodecs.jpegls_decode(content), PIXELS[1])


GREY = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1_000
Y, X = np.mgrid[0:8, 0:8]
COLOURS = np.stack([X * 20 + 40, Y * 20 + 40, (X + Y) * 10 + 20], 2).astype(np.uint8)
IN_YBR = np.asarray(Image.fromarray(COLOURS).convert("YCbCr"))
J2K = {"level": 0, "codecformat": "j2k", "reversible": True}


@pytest.mark.parametrize(
    ("syntax", "photometric", "planar", "codestream", "expected"),
    [
        # Bits above the stored ones may be an overlay.
        (JPEG_LS, "MONOCHROME2", 0, imagecodecs.jpegls_encode(GREY), GREY),
        (JPEG_LS, "YBR_FULL", 0, imagecodecs.jpegls_encode(IN_YBR), IN_YBR),
        (JPEG_LS, "RGB", 1, imagecodecs.jpegls_encode(COLOURS), COLOURS.transpose(2, 0, 1)),
        (JPEG_LS, "YBR_FULL_422", 0, imagecodecs.jpegls_encode(COLOURS), COLOURS),
        (JPEG_2000, "YBR_RCT", 1, imagecodecs.jpeg2k_encode(COLOURS, mct=True, **J2K), COLOURS),
        (JPEG_2000, "YBR_FULL", 0, imagecodecs.jpeg2k_encode(COLOURS, mct=True, **J2K), IN_YBR),
        (JPEG, "YBR_FULL_422", 0, imagecodecs.jpeg8_encode(COLOURS, level=98, subsampling="444"), COLOURS),
        (JPEG, "YBR_FULL", 0, imagecodecs.jpeg8_encode(COLOURS, level=98, subsampling="444"), IN_YBR),
        (JPEG_XL, "MONOCHROME2", 0, imagecodecs.jpegxl_encode(GREY, lossless=True), GREY),
        (JPEG_XL, "YBR_FULL", 0, imagecodecs.jpegxl_encode(IN_YBR, lossless=True), IN_YBR),
        (JPEG_XL, "RGB", 1, imagecodecs.jpegxl_encode(COLOURS, lossless=True), COLOURS.transpose(2, 0, 1)),
        (JPEG_XL, "XYB", 0, imagecodecs.jpegxl_encode(COLOURS, lossless=True), COLOURS),
    ],
)
async def test_decoded_frames_are_what_the_metadata_say(
    gallery: House, syntax: str, photometric: str, planar: int, codestream: bytes, expected: Any
) -> None:
    made = image(Rows=8, Columns=8, PixelData=None, NumberOfFrames=1, PhotometricInterpretation=photometric)
    if photometric != "MONOCHROME2":
        made.SamplesPerPixel, made.PlanarConfiguration = 3, planar
        made.BitsAllocated, made.BitsStored, made.HighBit = 8, 8, 7
    sent = data_set(made) + element(0x7FE00010, b"OB", encapsulate([codestream]) + SEQUENCE_END, UNDEFINED)
    async with gallery.client() as client:
        assert (await store(client, [file_of(sent, syntax=syntax)])).status_code == 200
    # As the diagnostic viewer asks.
    accept = "multipart/related; type=application/octet-stream; transfer-syntax=*"
    [(kind, content)] = parts_of(await get(gallery, f"{INSTANCE}/frames/1", accept))
    assert kind == "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"
    got = np.frombuffer(content, expected.dtype).reshape(expected.shape).astype(int)
    assert np.abs(got - expected).max() <= (4 if syntax == JPEG else 1 if photometric == "YBR_FULL" else 0)


async def test_octets_in_fragments_are_little_endian_frames_unless_their_own_syntax_is_named(
    gallery: House,
) -> None:
    """3 x 3 pixels of 8 bits: the byte that fills a fragment up is none of the frame."""
    frames = [bytes(range(9)), bytes(range(9, 18))]
    made = image(Rows=3, Columns=3, PixelData=None, BitsAllocated=8, BitsStored=8, HighBit=7)
    fragments = encapsulate([frame + b"\0" for frame in frames]) + SEQUENCE_END
    sent = data_set(made) + element(0x7FE00010, b"OB", fragments, UNDEFINED)
    async with gallery.client() as client:
        assert (await store(client, [file_of(sent, syntax=ENCAPSULATED)])).status_code == 200
    octets = 'multipart/related; type="application/octet-stream"'
    little = "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"
    for accept in ("*/*", octets, f"{octets}; transfer-syntax=*"):
        parts = parts_of(await get(gallery, f"{INSTANCE}/frames/1,2", accept))
        assert parts == [(little, frame) for frame in frames]
    stored = parts_of(await get(gallery, f"{INSTANCE}/frames/2", f"{octets}; transfer-syntax={ENCAPSULATED}"))
    assert stored == [(f"application/octet-stream; transfer-syntax={ENCAPSULATED}", frames[1] + b"\0")]
    native = await get(gallery, INSTANCE, "application/dicom; transfer-syntax=1.2.840.10008.1.2.1")
    assert pydicom.dcmread(io.BytesIO(native.content)).PixelData == b"".join(frames)


async def test_a_compressed_object_is_decompressed_for_who_takes_nothing_else(gallery: House) -> None:
    native = "1.2.840.10008.1.2.1"
    async with gallery.client() as client:
        plain = image_file(2, Rows=32, Columns=48, PixelData=PIXELS.tobytes())
        assert (await store(client, [file_of(compressed(), syntax=JPEG_LS), plain])).status_code == 200
    single = await get(gallery, INSTANCE, f"application/dicom; transfer-syntax={native}")
    assert single.headers["content-type"].endswith(native)
    read = pydicom.dcmread(io.BytesIO(single.content))
    assert np.array_equal(read.pixel_array, PIXELS)
    accept = f'multipart/related; type="application/dicom"; transfer-syntax={native}'
    parts = parts_of(await get(gallery, "/studies/2.25.10", accept))
    assert [kind for kind, _ in parts] == [f"application/dicom; transfer-syntax={native}"] * 2
    assert parts_of(await get(gallery, INSTANCE, "*/*"))[0][0].endswith(JPEG_LS)


async def test_pictures_and_thumbnails_at_every_level(gallery: House) -> None:
    async with gallery.client() as client:
        await store(client, [image_file(Rows=32, Columns=48, PixelData=PIXELS.tobytes())])
    paths = ("/studies/2.25.10", "/studies/2.25.10/series/2.25.11", INSTANCE, f"{INSTANCE}/frames/2")
    for path in paths:
        jpeg = await get(gallery, f"{path}/rendered")
        assert jpeg.headers["content-type"] == "image/jpeg"
        assert imagecodecs.jpeg8_decode(jpeg.content).shape[:2] == (32, 48)
        png = await get(gallery, f"{path}/rendered?viewport=24,24", "image/png")
        assert png.headers["content-type"] == "image/png"
        assert imagecodecs.png_decode(png.content).shape[:2] == (16, 24)
        small = await get(gallery, f"{path}/thumbnail")
        assert small.content.startswith(b"\xff\xd8\xff")
    by_parameter = await get(gallery, f"{INSTANCE}/rendered?accept=image/png", "image/jpeg")
    assert by_parameter.headers["content-type"] == "image/png"
    dark = await get(gallery, f"{INSTANCE}/rendered?window=5000,1,linear", "image/png")
    assert imagecodecs.png_decode(dark.content).max() == 0


async def test_an_ecg_is_drawn_and_a_report_has_a_sign(gallery: House) -> None:
    for name in ("waveform_ecg.dcm", "reportsi.dcm"):
        made = pydicom.dcmread(str(get_testdata_file(name)))
        made.PatientID = made.PatientID or "191212121212"
        async with gallery.client() as client:
            await store(client, [file_of(data_set(made), made.SOPInstanceUID, sop_class=made.SOPClassUID)])
        path = f"/studies/{made.StudyInstanceUID}/series/{made.SeriesInstanceUID}/instances/{made.SOPInstanceUID}"
        rendered = await get(gallery, f"{path}/rendered", "image/*")
        assert (await get(gallery, f"{path}/thumbnail", "image/*")).status_code == 200
        assert (await get(gallery, f"{path}/rendered", "image/gif")).status_code == 406
        if name == "waveform_ecg.dcm":
            assert rendered.headers["content-type"] == "image/png"
            assert (await get(gallery, f"{path}/rendered", "image/jpeg")).status_code == 406
        else:
            assert rendered.status_code == 406


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{INSTANCE}/frames/3/rendered", 404),
        (f"{INSTANCE}/frames/1,3/rendered", 404),
        (f"{INSTANCE}/frames/3/thumbnail", 404),
        (f"{INSTANCE}/rendered?Nonsense=1", 400),
        (f"{INSTANCE}/rendered?window=0,0", 400),
        (f"{INSTANCE}/rendered?viewport=0,0", 400),
        (f"{INSTANCE}/rendered?viewport=100000,100000", 400),
        (f"{INSTANCE}/rendered?quality=101", 400),
        (f"{INSTANCE}/rendered?annotation=hospital", 400),
        (f"{INSTANCE}/rendered?iccprofile=x", 400),
        ("/studies/2.25.99/rendered", 404),
        ("/studies/2.25.99/thumbnail", 404),
    ],
)
async def test_a_picture_that_can_not_be_as_asked_is_refused(gallery: House, path: str, status: int) -> None:
    async with gallery.client() as client:
        await store(client, [image_file()])
    assert (await get(gallery, path)).status_code == status
    assert (await get(gallery, f"{INSTANCE}/rendered", "application/json")).status_code == 406


async def test_a_hostile_picture_costs_only_itself(gallery: House) -> None:
    broken = data_set(image(PixelData=None, Rows=60_000, Columns=60_000, NumberOfFrames=1))
    broken += element(0x7FE00010, b"OB", encapsulate([b"\xff\xd8\xff\xee"]) + SEQUENCE_END, UNDEFINED)
    async with gallery.client() as client:
        await store(client, [file_of(broken, syntax=JPEG_LS), image_file(2)])
    assert (await get(gallery, f"{INSTANCE}/rendered")).status_code in (413, 500)
    assert (await get(gallery, f"{INSTANCE}/thumbnail")).status_code == 200
    assert (await get(gallery, INSTANCE.replace("1001", "1002") + "/rendered")).status_code == 200


async def test_a_picture_of_a_hidden_study_is_as_absent(gallery: House) -> None:
    async with gallery.client() as client:
        await store(client, [image_file()])
    for path in (f"{INSTANCE}/rendered", f"{INSTANCE}/thumbnail", f"{INSTANCE}/frames/1/rendered"):
        assert (await get(gallery, path)).status_code == 200
        async with gallery.client("KLARAWEB") as client:
            hidden = await client.get(path)
        assert hidden.status_code == 404


async def test_what_of_a_wish_is_left_out_is_told(gallery: House) -> None:
    async with gallery.client() as client:
        await store(client, [image_file()])
    for query in ("annotation=patient,technique", "iccprofile=srgb"):
        for resource in ("rendered", "thumbnail"):
            picture = await get(gallery, f"{INSTANCE}/{resource}?{query}")
            assert picture.status_code == 200
            assert picture.headers["warning"].startswith("299 Samsyn")
            assert query.split("=")[0] in picture.headers["warning"]
    assert "warning" not in (await get(gallery, f"{INSTANCE}/rendered?iccprofile=no")).headers


async def test_every_picture_of_a_study_comes_as_a_part_of_its_own(gallery: House) -> None:
    async with gallery.client() as client:
        await store(client, [image_file(n, Rows=32, Columns=48, PixelData=PIXELS.tobytes()) for n in (1, 2)])
    for path, count in (("/studies/2.25.10", 4), (INSTANCE, 2), (f"{INSTANCE}/frames/2", 1)):
        for kind, start in (("image/jpeg", b"\xff\xd8"), ("image/png", b"\x89PNG")):
            parts = parts_of(await get(gallery, f"{path}/rendered", f'multipart/related; type="{kind}"'))
            assert [part_kind for part_kind, _ in parts] == [kind] * count
            assert all(content.startswith(start) for _, content in parts)
    parts = parts_of(await get(gallery, f"{INSTANCE}/frames/2,1/rendered"))
    assert len(parts) == 2
    assert parts[0] != parts[1]
    refused = await get(gallery, f"{INSTANCE}/rendered", "video/mp4")
    assert refused.status_code == 406
    assert "clip" in refused.json()["message"]
    assert (await get(gallery, f"{INSTANCE}/frames/1,2/rendered", "image/jpeg")).status_code == 406


def moving(content: bytes) -> list[Any]:
    """Frames of a GIF as another reader sees them."""
    with Image.open(io.BytesIO(content)) as file:
        assert file.format == "GIF"
        return [
            (frame.info["duration"], np.asarray(frame.convert("L"))) for frame in ImageSequence.Iterator(file)
        ]


async def test_the_frames_of_an_object_come_as_a_clip_that_moves(gallery: House) -> None:
    async with gallery.client() as client:
        await store(
            client,
            [image_file(Rows=32, Columns=48, PixelData=PIXELS.tobytes(), FrameTime="40", NumberOfFrames=2)],
        )
    answer = await get(gallery, f"{INSTANCE}/rendered?window=1500,3000,linear", "image/gif")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/gif")
    frames = moving(answer.content)
    assert [duration for duration, _ in frames] == [40, 40]
    assert [picture.shape for _, picture in frames] == [(32, 48), (32, 48)]
    for number, (_, picture) in enumerate(frames, 1):
        single = await get(
            gallery, f"{INSTANCE}/frames/{number}/rendered?window=1500,3000,linear", "image/png"
        )
        with Image.open(io.BytesIO(single.content)) as alone:
            assert (np.asarray(alone.convert("L")) == picture).all()
    turned = moving(
        (await get(gallery, f"{INSTANCE}/frames/2,1,2/rendered?window=1500,3000,linear", "image/gif")).content
    )
    assert [int(picture.mean()) for _, picture in turned] == [int(frames[n][1].mean()) for n in (1, 0, 1)]
    assert (await get(gallery, f"{INSTANCE}/frames/3/rendered", "image/gif")).status_code == 404


async def test_a_clip_of_more_frames_than_the_limit_is_refused(
    gallery: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with gallery.client() as client:
        await store(client, [image_file(Rows=32, Columns=48, PixelData=PIXELS.tobytes(), NumberOfFrames=2)])
    monkeypatch.setattr("samsyn.endpoints.dicomweb.pictures.rendered.MAX_CLIP_FRAMES", 1)
    assert (await get(gallery, f"{INSTANCE}/rendered", "image/gif")).status_code == 413


async def test_a_mirrored_part_of_the_picture_is_shown(gallery: House) -> None:
    async with gallery.client() as client:
        await store(client, [image_file(Rows=32, Columns=48, PixelData=PIXELS.tobytes())])

    async def shown(viewport: str) -> Any:
        path = f"{INSTANCE}/rendered?window=700,1500,linear&viewport={viewport}"
        return imagecodecs.png_decode((await get(gallery, path, "image/png")).content)

    plain = await shown("48,32,0,0,48,32")
    assert np.array_equal(await shown("48,32,0,0,-48,32"), plain[:, ::-1])
    assert np.array_equal(await shown("48,32,0,0,48,-32"), plain[::-1])
    assert np.array_equal(await shown("10,8,4,2,10,8"), plain[2:10, 4:14])


def test_rendering_parameters_are_read_by_their_form() -> None:
    options = wish_of(b"window=40,400,sigmoid&viewport=64,32,1,2,-3,4&quality=50").options
    assert options.window is not None
    assert (options.window.center, options.window.width, options.window.voi) == (40, 400, Voi.SIGMOID)
    view = options.viewport
    assert view is not None
    assert (view.width, view.height, view.left, view.top, view.part_width, view.part_height) == (
        *(64, 32, 1, 2, -3, 4),
    )
    assert options.quality == 50
    partial = wish_of(b"viewport=64,32,,,,10").options.viewport
    assert partial is not None
    assert (partial.left, partial.part_width, partial.part_height) == (0, None, 10)
    for query, place in (
        (b"viewport=64,32,5", (5, 0, None, None)),
        (b"viewport=64,32,5,6", (5, 6, None, None)),
        (b"viewport=64,32,,,7", (0, 0, 7, None)),
    ):
        short = wish_of(query).options.viewport
        assert short is not None
        assert (short.left, short.top, short.part_width, short.part_height) == place


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("image/*;q=0.9, image/jpeg;q=0.1", "image/png"),
        ("image/jpeg;q=0.1, image/*", "image/png"),
        ("*/*;q=0.5, image/png;q=0.6", "image/png"),
        ("*/*;q=0.5, image/jpeg;q=0.1", "image/png"),
        ("image/*", "image/jpeg"),
        ("image/png, image/jpeg", "image/png"),
        ('text/html, multipart/related; type="image/png"', "multipart/related"),
        ('image/jpeg;q=0.1, multipart/related; type="image/jpeg"', "multipart/related"),
        ('multipart/related; type="image/jpeg";q=0.5, */*', "image/jpeg"),
    ],
)
async def test_the_narrowest_range_tells_how_much_a_form_is_liked(
    gallery: House, accept: str, kind: str
) -> None:
    async with gallery.client() as client:
        assert (await store(client, [image_file(NumberOfFrames=1)])).status_code == 200
    answer = await get(gallery, f"{INSTANCE}/rendered", accept)
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, kind)


@pytest.mark.parametrize(
    ("parameter", "header", "kind"),
    [
        ("image/png;q=0.1", "image/jpeg", "image/png"),
        ("image/png", "*/*", "image/png"),
        ("image/jp2", "*/*", "image/jpeg"),
        ("image/jp2", "text/html, image/png;q=0.1", "image/png"),
        ("image/jp2, image/png;q=0", "image/*", "image/jpeg"),
        ("nonsense", "image/png", "image/png"),
        ("image/jp2", "text/html", "application/json"),
        ("image/jp2", "", "application/json"),
    ],
)
async def test_the_header_counts_where_nothing_of_the_parameter_can_be_had(
    gallery: House, parameter: str, header: str, kind: str
) -> None:
    async with gallery.client() as client:
        assert (await store(client, [image_file(NumberOfFrames=1)])).status_code == 200
    answer = await get(gallery, f"{INSTANCE}/rendered?accept={parameter}", header)
    assert answer.headers["content-type"] == kind
    assert answer.status_code == (406 if kind == "application/json" else 200)


async def test_a_parameter_that_is_not_known_is_ignored_and_told(gallery: House) -> None:
    async with gallery.client() as client:
        assert (await store(client, [image_file()])).status_code == 200
    for path in ("rendered", "thumbnail"):
        plain = await get(gallery, f"{INSTANCE}/{path}")
        answer = await get(gallery, f"{INSTANCE}/{path}?_=17")
        assert (answer.status_code, answer.content) == (200, plain.content)
        assert answer.headers["warning"] == '299 Samsyn "These parameters are not supported: _"'


async def test_a_thumbnail_fills_its_viewport_and_has_no_other_parameters(gallery: House) -> None:
    wide = image(Rows=20, Columns=80, NumberOfFrames=1, PixelData=bytes(3_200))
    async with gallery.client() as client:
        assert (await store(client, [file_of(data_set(wide))])).status_code == 200
    for viewport, size in (("200,100", (200, 50)), ("100,200", (100, 25)), ("200,10", (40, 10))):
        answer = await get(gallery, f"{INSTANCE}/thumbnail?viewport={viewport}")
        assert Image.open(io.BytesIO(answer.content)).size == size
    assert (await get(gallery, f"{INSTANCE}/thumbnail?viewport=50,50,0,0")).status_code == 400
    windowed = await get(gallery, f"{INSTANCE}/thumbnail?window=1,2,linear")
    assert "window" in windowed.headers["warning"]


@pytest.mark.parametrize(
    "query",
    [
        *("window=40", "window=40,400,cubic", "window=nan,1", "window=1,inf", "window=1,0.5,linear"),
        *(
            "viewport=1",
            "viewport=1,2,3,4,5,6,7",
            "viewport=1,2,x",
            "viewport=-5,5",
            "viewport=5,5,-1,0,1,1",
            "viewport=5,5,0,0,0,1",
        ),
        *(
            "quality=0",
            "quality=x",
            "quality=1e1",
            "quality=50&quality=60",
            "iccprofile=",
            "annotation=",
            "%ff=1",
        ),
    ],
)
def test_malformed_rendering_parameters_are_refused(query: str) -> None:
    with pytest.raises(BadInput):
        wish_of(query.encode())


@given(st.sampled_from(["window", "viewport", "quality"]), st.text("0123456789,.-+einfa%", max_size=30))
def test_any_rendering_parameter_is_read_or_refused(name: str, value: str) -> None:
    try:
        wish_of(f"{name}={value}".encode())
    except SamsynError:
        return
