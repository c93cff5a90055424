"""Float and Double Float Pixel Data (PS3.3 C.7.6.24, C.7.6.25), as parametric maps have them, in their window."""

from typing import Any

import numpy as np
import orjson
import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from samsyn.dicom.json import to_dicom_json
from samsyn.dicom.reading import summarize
from samsyn.errors import DamagedData, NotSupported
from samsyn.render.header import PICTURE_TAGS, picture_header
from samsyn.render.words import PictureFormat, PictureOptions, Voi, Window
from tests.dicom.test_reading import DEFLATED
from tests.render import frames
from tests.render.house import House, image
from tests.render.overlay_objects import drawn, with_overlay
from tests.render.test_overlays import seen

PNG = PictureOptions(PictureFormat.PNG)
ROWS, COLUMNS = 9, 14
RANDOM = np.random.default_rng(5)
KINDS = {"f4": "FloatPixelData", "f8": "DoubleFloatPixelData"}


def floats(
    pixels: np.ndarray, number: int = 1, frame_count: int = 1, order: str = "<", **changes: Any
) -> Dataset:
    """An object whose pixels are these numbers."""
    made = image(np.zeros(pixels.shape, "<u2"), number, frame_count, **changes)
    for unknown in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(made, unknown)
    made.BitsAllocated = 8 * pixels.dtype.itemsize
    setattr(made, KINDS[pixels.dtype.str[1:]], pixels.astype(pixels.dtype.newbyteorder(order)).tobytes())
    return made


def exact(pixels: np.ndarray, center: float, width: float) -> np.ndarray:
    """LINEAR_EXACT (PS3.3 C.11.2.1.3.2), each number in double."""
    unit = np.clip((pixels.astype(np.float64) - center) / width + 0.5, 0.0, 1.0)
    return np.rint(unit * 255).astype("u1")


def nearly(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(np.abs(one.astype(int) - other).max() <= 1)


@pytest.mark.parametrize("syntax", [frames.IMPLICIT, frames.LITTLE, frames.BIG, DEFLATED])
@pytest.mark.parametrize("kind", KINDS)
async def test_each_frame_is_shown_in_the_headers_window_and_in_the_askers(
    house: House, kind: str, syntax: str
) -> None:
    pixels = RANDOM.normal(0.4, 0.2, (3 * ROWS, COLUMNS)).astype(kind)
    order = ">" if syntax == frames.BIG else "<"
    window = {"WindowCenter": "0.4", "WindowWidth": "0.7", "VOILUTFunction": "LINEAR_EXACT"}
    await house.take(floats(pixels, frame_count=3, order=order, **window), syntax)
    for number in (1, 2, 3):
        part = pixels[(number - 1) * ROWS : number * ROWS]
        assert nearly(await seen(house, number=number), exact(part, 0.4, 0.7))
        asked = PictureOptions(PictureFormat.PNG, window=Window(0.3, 0.1, Voi.LINEAR_EXACT))
        assert nearly(await seen(house, number=number, options=asked), exact(part, 0.3, 0.1))


async def test_rescale_and_inversion_are_followed_and_a_linear_window_below_one_is_exact(
    house: House,
) -> None:
    pixels = RANDOM.normal(0, 1, (ROWS, COLUMNS)).astype("f4")
    scale = {"RescaleSlope": "0.01", "RescaleIntercept": "5"}
    made = floats(pixels, WindowCenter="5.005", WindowWidth="0.03", PresentationLUTShape="INVERSE", **scale)
    await house.take(made)
    assert nearly(await seen(house), 255 - exact(pixels.astype("f8") * 0.01 + 5, 5.005, 0.03))


async def test_doubles_keep_the_precision_that_their_window_asks_for(house: House) -> None:
    pixels = 1e9 + RANDOM.random((ROWS, COLUMNS)) * 1e-3
    await house.take(floats(pixels, WindowCenter="1000000000.0005", WindowWidth="0.001"))
    assert nearly(await seen(house), exact(pixels - 1e9, 5e-4, 1e-3))


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_no_number_or_padding_is_black_and_no_part_of_a_found_window(
    house: House, kind: str
) -> None:
    pixels = np.linspace(-2.0, 3.0, ROWS * COLUMNS).reshape(ROWS, COLUMNS).astype(kind)
    holes = pixels.copy()
    holes[0, :4] = np.nan, np.inf, -np.inf, -1e30
    made = floats(holes, FloatPixelPaddingValue=-1e30)
    if kind == "f8":
        del made.FloatPixelPaddingValue
        made.DoubleFloatPixelPaddingValue = -1e30
    made.PhotometricInterpretation = "MONOCHROME1"
    await house.take(made)
    picture = await seen(house)
    assert picture[0, :4].tolist() == [0, 0, 255, 0]
    plain = np.sort(pixels.reshape(-1))[4:]
    low, high = plain[int(0.01 * plain.size)], plain[int(0.995 * plain.size)]
    wanted = 255 - exact(pixels, (low + high) / 2, high - low)
    assert np.abs(picture[1:].astype(int) - wanted[1:]).max() <= 6


async def test_a_map_of_nothing_is_black(house: House) -> None:
    await house.take(floats(np.full((ROWS, COLUMNS), np.nan, "f4")))
    assert not (await seen(house)).any()


async def test_graphics_are_drawn_on_it(house: House) -> None:
    mask = RANDOM.random((ROWS, COLUMNS)) < 0.2
    pixels = RANDOM.random((ROWS, COLUMNS)).astype("f4")
    made = with_overlay(floats(pixels, WindowCenter="0.5", WindowWidth="1"), mask)
    made.VOILUTFunction = "LINEAR_EXACT"
    await house.take(made)
    assert nearly(await seen(house), drawn(exact(pixels, 0.5, 1.0), mask))


async def test_what_contradicts_itself_is_refused(house: House) -> None:
    pixels = np.ones((ROWS, COLUMNS), "f4")
    halves, doubled = floats(pixels, 1), floats(np.ones((ROWS, 2 * COLUMNS), "f4"), 4)
    halves.BitsAllocated, doubled.BitsAllocated, doubled.Columns = 16, 64, COLUMNS
    short = floats(pixels, 2)
    short.FloatPixelData = short.FloatPixelData[:-8]
    colours = floats(pixels, 3)
    colours.PhotometricInterpretation = "PALETTE COLOR"
    for made, refusal in (
        (halves, DamagedData),
        (doubled, DamagedData),
        (short, DamagedData),
        (colours, (NotSupported, DamagedData)),
    ):
        await house.take(made)
        with pytest.raises(refusal):
            await seen(house, made)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("syntax", [frames.IMPLICIT, frames.LITTLE, frames.BIG])
def test_what_stands_before_the_numbers_is_enough_to_read_the_header(kind: str, syntax: str) -> None:
    made = floats(np.ones((ROWS, COLUMNS), kind))
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = syntax != frames.BIG, syntax == frames.IMPLICIT
    write_dataset(stream, made)
    data = bytes(stream.getvalue())
    pixels = summarize(data, syntax).pixels
    assert pixels is not None
    found = orjson.loads(to_dicom_json(data[: pixels.offset], syntax, "", PICTURE_TAGS))
    tag, vr = ("7FE00008", "OF") if kind == "f4" else ("7FE00009", "OD")
    assert found[tag] == {"vr": vr}
    assert picture_header(found, dict[str, bytes]().__getitem__).float_bits == 8 * int(kind[1])
