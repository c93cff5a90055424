"""Pictures of many kinds of objects equal what a plain reading of the standard and a foreign program make of them."""

import copy
import io
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import apply_color_lut
from pydicom.sequence import Sequence

from samsyn.model.imaging import StoredInstance
from samsyn.render.words import PictureFormat, PictureOptions, Window
from tests.dicom import corpus
from tests.render import frames, plain_reading
from tests.render.house import STUDY, House, compressed, image
from tests.render.overlay_objects import drawn, with_embedded, with_overlay

pytestmark = [pytest.mark.slow, pytest.mark.peer]

PNG = PictureOptions(PictureFormat.PNG)
ROWS, COLUMNS = 7, 9
SECONDARY = "1.2.840.10008.5.1.4.1.1.7"


async def stored(house: House, made: Dataset) -> StoredInstance:
    view = await house.view()
    return (await house.retriever.instances(view, made.StudyInstanceUID, made.SeriesInstanceUID))[0]


async def rendered(house: House, made: Dataset, number: int = 1) -> np.ndarray:
    """The picture of an object that was stored."""
    picture = await house.pictures.rendered(await house.view(), await stored(house, made), number, PNG)
    return np.asarray(imagecodecs.png_decode(picture.data))


def saved(made: Dataset, path: Path) -> Path:
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = frames.LITTLE
    made.save_as(path, enforce_file_format=True)
    return path


def by_dcmtk(source: Path, target: Path, *told: str) -> np.ndarray | None:
    """The picture by another program, overlays left out; None: it has no decoder for this object."""
    for program in ("dcmj2pnm", "dcml2pnm"):
        command = [program, "-q", "-O", "+op", *told, str(source), str(target)]
        if not subprocess.run(command, capture_output=True, check=False).returncode:
            with Image.open(io.BytesIO(target.read_bytes())) as read:
                return np.asarray(read)
    return None


def overlaid_by_dcmtk(source: Path, target: Path, number: int) -> np.ndarray:
    """The picture with its overlays by another program, in its own way: white where a graphic is, else as it is."""
    command = ["dcmj2pnm", "-q", "+op", "+O", "0", "+F", str(number), str(source), str(target)]
    subprocess.run(command, check=True)
    with Image.open(io.BytesIO(target.read_bytes())) as read:
        return np.asarray(read)


def difference(one: np.ndarray, other: np.ndarray) -> int:
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other).max())


def table(random: np.random.Generator, entries: int, first: int, bits: int, signed: bool) -> Sequence:
    """A LUT of random rising steps that needs all of its bits."""
    item = Dataset()
    steps = np.sort(random.integers(0, 1 << bits, entries))
    steps[-1] = max(steps[-1], 1 << (bits - 1))
    item.add_new("LUTDescriptor", "SS" if signed else "US", [entries, first, bits])
    item.add_new("LUTData", "US", [int(step) for step in steps])
    return Sequence([item])


def numbered(made: Dataset, seed: int) -> Dataset:
    made.SOPClassUID, made.SeriesInstanceUID, made.Modality = SECONDARY, f"2.25.7{seed}", "OT"
    return made


def grey(seed: int, widest: int = 32) -> Dataset:
    """A grey picture of random everything; free bits of its cells are full of something else, as overlays are."""
    random = np.random.default_rng(seed)
    allocated = min(int(random.choice([8, 16, 16, 16, 32])), widest)
    stored_bits = int(random.integers(2 if allocated < 32 else 17, allocated + 1))
    signed = bool(random.integers(2))
    cells = random.integers(0, 1 << allocated, (ROWS, COLUMNS), dtype=np.uint64).astype(f"<u{allocated // 8}")
    made = numbered(image(cells, seed, BitsStored=stored_bits, PixelRepresentation=int(signed)), seed)
    made.HighBit = int(random.integers(stored_bits - 1, allocated))
    made.PhotometricInterpretation = str(random.choice(["MONOCHROME1", "MONOCHROME2"]))
    low = -(1 << (stored_bits - 1)) if signed else 0
    if random.integers(2):
        made.RescaleSlope = float(random.choice([0.25, 1.0, 2.5, 3.0]))
        made.RescaleIntercept = float(random.integers(-2_000, 2_000))
    elif random.integers(2) and allocated < 32:
        entries = int(random.integers(2, min(1 << stored_bits, 4_096) + 1))
        made.ModalityLUTSequence = table(random, entries, low, 16, signed)
        made.ModalityLUTSequence[0].ModalityLUTType = "US"
    levels = plain_reading.levels(made)
    least, most = float(levels.min()), float(levels.max())
    if random.integers(4) == 0 and -32_768 <= least <= most < 32_768:
        bits = int(random.choice([10, 12, 16]))
        made.VOILUTSequence = table(random, int(random.integers(2, 300)), round(least), bits, least < 0)
    else:
        width = max(round((most - least) * float(random.uniform(0.05, 1.2))), 1)
        made.WindowCenter, made.WindowWidth = [round(random.uniform(least, most)), 40], [width, 400]
        function = str(random.choice(["", "LINEAR", "LINEAR_EXACT", "SIGMOID"]))
        if function:
            made.VOILUTFunction = function
    value = int(plain_reading.stored_values(made)[0])
    if random.integers(4) == 0 and -32_768 <= value < (32_768 if signed else 65_536):
        made.add_new("PixelPaddingValue", "SS" if signed else "US", value)
        other = int(plain_reading.stored_values(made)[1])
        if abs(other - value) < 1 << (stored_bits - 2) and -32_768 <= other < (32_768 if signed else 65_536):
            made.add_new("PixelPaddingRangeLimit", "SS" if signed else "US", other)
    shape = str(random.choice(["", "IDENTITY", "INVERSE"]))
    if shape:
        made.PresentationLUTShape = shape
    return made


def is_followed_by_dcmtk(made: Dataset) -> bool:
    """It knows no padding and no LINEAR_EXACT, rounds what slopes give, and has 32 bits for that."""
    exact = made.get("VOILUTFunction") == "LINEAR_EXACT" and "VOILUTSequence" not in made
    slope = float(made.get("RescaleSlope", 1))
    fits = slope == 1 or (slope.is_integer() and made.BitsAllocated < 32)
    return "PixelPaddingValue" not in made and not exact and fits


def options_of(made: Dataset) -> list[str]:
    if "VOILUTSequence" in made:
        return ["+Wl", "1"]
    return ["+Wi", "1", *(["+Wfs"] if made.get("VOILUTFunction") == "SIGMOID" else [])]


async def test_grey_of_every_form_is_what_the_standard_and_a_foreign_program_say(
    house: House, tmp_path: Path
) -> None:
    compared = 0
    for seed in range(1, 200):
        made = grey(seed)
        await house.take(made)
        ours = await rendered(house, made)
        assert difference(ours, plain_reading.seen(made)) <= 1, made
        if is_followed_by_dcmtk(made):
            compared += 1
            theirs = by_dcmtk(saved(made, tmp_path / "in.dcm"), tmp_path / "out.pnm", *options_of(made))
            assert difference(ours, theirs) <= 2, made
    assert compared > 80


CELL_CODECS: dict[str, Any] = {
    frames.RLE: frames.rle,
    frames.JPEG_LOSSLESS: imagecodecs.ljpeg_encode,
    frames.JPEG_LS: imagecodecs.jpegls_encode,
    frames.JPEG_2000: lambda cells: imagecodecs.jpeg2k_encode(cells, level=0, codecformat="j2k"),
    frames.HTJ2K: imagecodecs.htj2k_encode,
}


@pytest.mark.parametrize("syntax", CELL_CODECS)
async def test_whole_cells_that_a_codec_has_kept_are_read_as_if_they_were_not_compressed(
    house: House, syntax: str
) -> None:
    for seed in range(1, 40):
        made = grey(seed, widest=16)
        expected = plain_reading.seen(made)
        cells = np.frombuffer(made.PixelData, f"<u{made.BitsAllocated // 8}", ROWS * COLUMNS)
        packed = bytes(CELL_CODECS[syntax](np.ascontiguousarray(cells.reshape(ROWS, COLUMNS))))
        await house.take(compressed(made, packed), syntax)
        assert difference(await rendered(house, made), expected) <= 1, made


async def test_colour_of_every_form_is_what_the_standard_and_a_foreign_program_say(
    house: House, tmp_path: Path
) -> None:
    for seed in range(1, 60):
        random = np.random.default_rng(seed)
        allocated = int(random.choice([8, 16]))
        cells = random.integers(0, 1 << allocated, (ROWS, COLUMNS, 3)).astype(f"<u{allocated // 8}")
        made = numbered(image(cells, seed, BitsStored=int(random.integers(8, allocated + 1))), seed)
        made.HighBit = int(random.integers(made.BitsStored - 1, allocated))
        made.PhotometricInterpretation = str(random.choice(["RGB", "YBR_FULL"]))
        made.PlanarConfiguration = int(random.integers(2))
        await house.take(made)
        ours = await rendered(house, made)
        assert difference(ours, plain_reading.seen(made)) <= 1, made
        assert difference(ours, by_dcmtk(saved(made, tmp_path / "in.dcm"), tmp_path / "out.pnm")) <= 2, made


async def test_palettes_of_every_form_are_what_the_standard_and_a_foreign_program_say(
    house: House, tmp_path: Path
) -> None:
    for seed in range(1, 80):
        random = np.random.default_rng(seed)
        allocated = int(random.choice([8, 16]))
        bits, signed = int(random.choice([8, 16])), bool(random.integers(2))
        cells = random.integers(0, 1 << allocated, (ROWS, COLUMNS)).astype(f"<u{allocated // 8}")
        made = numbered(image(cells, seed, PixelRepresentation=int(signed)), seed)
        made.BitsStored = allocated - int(random.integers(2))
        made.HighBit = made.BitsStored - 1
        made.PhotometricInterpretation = "PALETTE COLOR"
        first = int(random.integers(-50, 50)) if signed else int(random.integers(0, 20))
        entries = int(random.choice([16, 200, 256, 3_000, 65_536]))
        for name in ("Red", "Green", "Blue"):
            words = random.integers(0, 1 << bits, entries).astype("<u2" if bits == 16 else "u1")
            descriptor = [entries & 0xFFFF, first, bits]
            vr = "SS" if signed else "US"
            made.add_new(f"{name}PaletteColorLookupTableDescriptor", vr, descriptor)
            made.add_new(f"{name}PaletteColorLookupTableData", "OW", words.tobytes())
        await house.take(made)
        ours = await rendered(house, made)
        assert difference(ours, plain_reading.seen(made)) <= 1, made
        assert difference(ours, by_dcmtk(saved(made, tmp_path / "in.dcm"), tmp_path / "out.pnm")) <= 1, made


def group(random: np.random.Generator) -> Dataset:
    """Functional groups with some of what a frame may have of its own."""
    made = Dataset()
    if random.integers(2):
        scale = Dataset()
        scale.RescaleSlope, scale.RescaleIntercept = (
            float(random.integers(1, 4)),
            float(random.integers(-9, 9)),
        )
        made.PixelValueTransformationSequence = [scale]
    which = random.integers(3)
    if which:
        voi = Dataset()
        voi.WindowCenter, voi.WindowWidth = [int(random.integers(200)), 7], [int(random.integers(2, 400)), 70]
        voi.VOILUTFunction = str(random.choice(["LINEAR", "LINEAR_EXACT", "SIGMOID"]))
        if which == 2:
            voi.VOILUTSequence = table(random, 200, int(random.integers(100)), 12, False)
        made.FrameVOILUTSequence = [voi]
    return made


async def test_every_frame_is_shown_by_its_own_groups_else_the_shared_ones(house: House) -> None:
    for seed in range(1, 40):
        random = np.random.default_rng(seed)
        cells = random.integers(0, 256, (4 * ROWS, COLUMNS)).astype("u1")
        made = numbered(image(cells, seed, frames=4), seed)
        made.SharedFunctionalGroupsSequence = [group(random)]
        made.PerFrameFunctionalGroupsSequence = [group(random) for _ in range(4)]
        made.WindowCenter, made.WindowWidth = 100, 150
        await house.take(made)
        for number in range(1, 5):
            ours = await rendered(house, made, number)
            assert difference(ours, plain_reading.seen(made, number)) <= 1, (made, number)


async def test_graphics_are_where_another_program_draws_them(house: House, tmp_path: Path) -> None:
    for seed in range(1, 40):
        random = np.random.default_rng(seed)
        count = int(random.choice([1, 3]))
        # Values that are shown darker than what is darkened beside a graphic.
        values = random.integers(0, 90 * 16, (count * ROWS, COLUMNS))
        free = random.random((2, count * ROWS, COLUMNS)) < 0.1
        cells = (values | free[0] << 12 | free[1] << 15).astype("<u2")
        made = numbered(image(cells, seed, frames=count, BitsStored=12, HighBit=11), seed)
        made.WindowCenter, made.WindowWidth = 2_048, 4_096
        for group in random.choice(16, int(random.integers(1, 4)), replace=False):
            first = int(random.integers(1, count + 1)) if count > 1 else None
            own = int(random.integers(1, 4)) if first is not None else None
            if random.integers(3) == 0:
                with_embedded(made, int(random.choice([12, 15])), 0x6000 + 2 * int(group))
                if count > 1:  # else DCMTK draws the bits of the first frame on every other
                    made.add_new((0x6000 + 2 * int(group), 0x0015), "IS", count)
            else:
                size = (own or 1, int(random.integers(1, 12)), int(random.integers(1, 12)))
                origin = int(random.integers(-5, 9)), int(random.integers(-5, 9))
                mask = random.random(size) < 0.3
                with_overlay(made, mask, 0x6000 + 2 * int(group), origin, frames=own, first_frame=first)
        await house.take(made)
        for number in range(1, count + 1):
            ours = await rendered(house, made, number)
            theirs = overlaid_by_dcmtk(saved(made, tmp_path / "in.dcm"), tmp_path / "out.pnm", number)
            assert difference(ours, theirs) <= 1, (made, number)


COMPRESSORS = {
    "RLE": ["dcmcrle"],
    "RLE without table": ["dcmcrle", "-ot"],
    "JPEG lossless": ["dcmcjpeg", "+e1"],
    "JPEG lossless by another predictor": ["dcmcjpeg", "+el", "+sv", "6"],
    "JPEG lossless in fragments": ["dcmcjpeg", "+e1", "+fs", "1"],
    "JPEG lossless in fragments without table": ["dcmcjpeg", "+el", "+fs", "1", "-ot"],
    "JPEG-LS": ["dcmcjpls"],
    "JPEG-LS in fragments": ["dcmcjpls", "+fs", "1"],
}


@pytest.mark.parametrize("how", COMPRESSORS)
@pytest.mark.parametrize("kind", ["grey", "signed", "colour"])
async def test_every_frame_that_another_program_compressed_comes_back_bit_by_bit(
    house: House, tmp_path: Path, how: str, kind: str
) -> None:
    random = np.random.default_rng(7)
    if kind == "colour":
        made = image(random.integers(0, 256, (4 * 31, 27, 3), np.uint8), frames=4)
    else:
        cells = random.integers(0, 4_096, (4 * 31, 27)).astype("<u2")
        made = image(cells, frames=4, BitsStored=12, HighBit=11, PixelRepresentation=int(kind == "signed"))
    pixels = made.PixelData
    target = tmp_path / "out.dcm"
    subprocess.run([*COMPRESSORS[how], "-q", str(saved(made, tmp_path / "in.dcm")), str(target)], check=True)
    packed = dcmread(target)
    await house.take(packed, str(packed.file_meta.TransferSyntaxUID))
    instance = await stored(house, packed)
    size = len(pixels) // 4
    for number in range(1, 5):
        decoded = await house.pictures.decoded(await house.view(), instance, number)
        assert decoded.data == pixels[(number - 1) * size : number * size]


DIFFERENT = {
    "MR_truncated.dcm": "half a picture, which we refuse",
    "JPEG2000-embedded-sequence-delimiter.dcm": "not one codestream of the picture's size",
    "SC_rgb_jpeg.dcm": "can not be written again",
}
"""Other makers' files that are not compared, and why."""


def foreign_images() -> Iterator[tuple[Path, str, Dataset]]:
    """Other makers' files with pixels, as objects of Tolvan Tolvansson."""
    seen = set(DIFFERENT)
    for path, syntax, _ in corpus.data_sets():
        made = dcmread(path)
        if path.name not in seen and "Rows" in made and "PixelData" in made:
            seen.add(path.name)
            made.StudyInstanceUID, made.SeriesInstanceUID = STUDY, f"2.25.6{len(seen)}"
            made.SOPInstanceUID = f"2.25.5{len(seen)}"
            made.PatientID, made.AccessionNumber = "19121212-1212", "A1"
            made.pop("IssuerOfPatientID", None)
            yield path, syntax, made


def by_pydicom(made: Dataset, number: int, window: Window | None) -> np.ndarray | None:
    """The picture of an object that DCMTK can not decode; None: pydicom can not either."""
    try:
        pixels = made.pixel_array
    except (RuntimeError, ValueError):
        return None
    if made.PhotometricInterpretation == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, made) >> 8
    elif made.SamplesPerPixel == 3:
        pixels = pixels >> (made.BitsAllocated - 8)
    else:
        assert window is not None
        plain = copy.deepcopy(made)
        plain.PixelData = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
        return plain_reading.seen(plain, number, (window.center, window.width))
    return pixels.reshape(-1, made.Rows, made.Columns, 3)[number - 1]


def with_colours(made: Dataset, number: int, grey: np.ndarray) -> np.ndarray:
    """A grey picture with the colours of its supplemental palette, which DCMTK knows nothing of, by pydicom."""
    assert made.PixelPresentation == "COLOR"
    stored_frame = made.pixel_array.reshape(-1, made.Rows, made.Columns)[number - 1]
    is_coloured = stored_frame >= made.RedPaletteColorLookupTableDescriptor[1]
    assert is_coloured.mean() > 0.1
    alone = copy.deepcopy(made)
    alone.PhotometricInterpretation = "PALETTE COLOR"
    del alone.PixelPresentation
    return np.where(is_coloured[..., None], apply_color_lut(stored_frame, alone) >> 8, grey[..., None])


@pytest.mark.filterwarnings("ignore")  # some of these files are odd on purpose, and pydicom says so
async def test_other_makers_files_look_the_same_to_others(house: House, tmp_path: Path) -> None:
    compared, others_can_not, not_square, overlaid = 0, set(), set(), set()
    for path, syntax, made in foreign_images():
        await house.take(made, syntax)
        view = await house.view()
        stack = await house.pictures.stack(view, made.StudyInstanceUID, made.SeriesInstanceUID)
        window = stack.frames[0].window
        told: list[str] = []
        if window is not None:
            window = Window(round(window.center), max(round(window.width), 1))
            told = ["+Ww", str(window.center), str(window.width)]
        for shown in {stack.frames[0], stack.frames[-1]}:
            options = replace(PNG, window=window)
            picture = await house.pictures.rendered(view, shown.instance, shown.number, options)
            ours = np.asarray(imagecodecs.png_decode(picture.data))
            theirs = by_dcmtk(path, tmp_path / "out.pnm", "+F", str(shown.number), *told)
            if theirs is None:
                theirs = by_pydicom(made, shown.number, window)
            if theirs is not None and theirs.ndim < ours.ndim:
                theirs = with_colours(made, shown.number, theirs)
            if theirs is not None and (0x6000, 0x3000) in made:
                theirs = drawn(theirs, made.overlay_array(0x6000) != 0)
                overlaid.add(path.name)
            if theirs is None:
                others_can_not.add(path.name)
            elif ours.shape != theirs.shape:
                not_square.add((path.name, *ours.shape[:2]))
            else:
                compared += 1
                assert difference(ours, theirs) <= 2, path.name
    assert others_can_not == {"GDCMJ2K_TextGBR.dcm"}
    assert not_square == {
        *(("6293", 16, 18), ("6924", 16, 18), ("color-pl.dcm", 160, 256), ("color-px.dcm", 160, 256)),
    }
    assert overlaid == {"examples_overlay.dcm", "MR-SIEMENS-DICOM-WithOverlays.dcm"}
    assert compared > 150
