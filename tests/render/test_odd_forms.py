"""Objects that are written in seldom ways, from intake to picture, as pydicom, DCMTK and a plain reading see them."""

import copy
import subprocess
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import apply_color_lut, get_decoder

from samsyn.dicom.frames import octets
from samsyn.model.imaging import StoredInstance
from samsyn.render.words import PictureFormat, PictureOptions
from tests.render import frames
from tests.render.house import House, compressed, image
from tests.render.test_decoding import ultrasound, ybr_of
from tests.render.test_strangers import by_dcmtk, difference, numbered, rendered, saved, stored

pytestmark = [pytest.mark.slow, pytest.mark.peer]

PNG = PictureOptions(PictureFormat.PNG)
RANDOM = np.random.default_rng(422)


def native_of(made: Dataset, data: bytes) -> Dataset:
    """The object with these bytes as its pixels, padded as they must be."""
    made.PixelData = data + b"\0" * (len(data) % 2)
    return made


@pytest.mark.parametrize("kind", ["YBR_FULL", "RGB"])
@pytest.mark.parametrize("count", [1, 3])
async def test_an_ultrasound_film_with_every_sample_is_no_film_of_shared_ones(
    house: House, tmp_path: Path, kind: str, count: int
) -> None:
    """The same object under its true name is what another program shows."""
    films = [np.roll(ultrasound(), n, axis=1) for n in range(count)]
    cells = [ybr_of(film) if kind == "YBR_FULL" else film for film in films]
    made = numbered(image(np.concatenate(cells), frames=count, PhotometricInterpretation=kind), 1)
    theirs = [
        by_dcmtk(saved(made, tmp_path / "in.dcm"), tmp_path / "out.pnm", "+F", str(number))
        for number in range(1, count + 1)
    ]
    made.PhotometricInterpretation = "YBR_FULL_422"
    await house.take(made)
    for number, (film, other) in enumerate(zip(films, theirs, strict=True), 1):
        ours = await rendered(house, made, number)
        assert other is not None
        assert difference(ours, other) <= 2
        assert difference(ours, film) <= 2


@pytest.mark.parametrize("photometric", ["YBR_FULL_422", "YBR_PARTIAL_422"])
async def test_shared_colour_is_what_another_program_makes_of_it(
    house: House, tmp_path: Path, photometric: str
) -> None:
    data = RANDOM.integers(16, 236, 3 * 8 * 6 * 2, np.uint8).tobytes()
    made = numbered(image(np.zeros((3 * 8, 6, 3), np.uint8), frames=3), 1)
    made.PhotometricInterpretation, made.PixelData = photometric, data
    path = saved(made, tmp_path / "in.dcm")
    await house.take(made)
    for number in range(1, 4):
        theirs = by_dcmtk(path, tmp_path / "out.pnm", "+F", str(number))
        assert theirs is not None
        assert difference(await rendered(house, made, number), theirs) <= 2  # it cuts fractions off


@pytest.mark.parametrize("samples", [1, 3])
async def test_big_endian_words_of_frames_of_odd_length_are_those_that_pydicom_reads(
    house: House, samples: int
) -> None:
    """3 x 5 pixels of 8 bits: every other frame begins in the middle of a word (PS3.5 A.3)."""
    cells = RANDOM.integers(0, 256, (4 * 3, 5, samples), np.uint8)
    made = numbered(image(cells[..., 0] if samples == 1 else cells, frames=4), 1)
    little = np.frombuffer(made.PixelData, np.uint8)
    made["PixelData"].VR, made["PixelData"].value = "OW", little.reshape(-1, 2)[:, ::-1].tobytes()
    await house.take(made, frames.BIG)
    instance = await stored(house, made)
    facts = {
        "rows": 3,
        "columns": 5,
        "samples_per_pixel": samples,
        "bits_allocated": 8,
        "bits_stored": 8,
        "pixel_representation": 0,
        "photometric_interpretation": made.PhotometricInterpretation,
        "number_of_frames": 4,
        "pixel_keyword": "PixelData",
        "pixel_vr": "OW",
    } | ({"planar_configuration": 0} if samples == 3 else {})
    decoder = get_decoder(frames.BIG)
    for number in range(1, 5):
        ours = await shown(house, instance, number)
        theirs, _ = decoder.as_array(made.PixelData, index=number - 1, raw=True, **facts)
        assert np.array_equal(theirs.reshape(ours.shape), cells[3 * (number - 1) :][:3].reshape(ours.shape))
        assert difference(ours, theirs.reshape(ours.shape)) == 0


async def shown(house: House, instance: StoredInstance, number: int) -> np.ndarray:
    picture = await house.pictures.rendered(await house.view(), instance, number, PNG)
    return np.asarray(imagecodecs.png_decode(picture.data))


@pytest.mark.parametrize("syntax", [frames.LITTLE, frames.BIG])
async def test_bits_of_either_byte_order_are_what_another_program_sees(
    house: House, tmp_path: Path, syntax: str
) -> None:
    """91 bits a frame; as words in big endian, where DCMTK writes them itself."""
    bits = RANDOM.integers(0, 2, (3, 13, 7), np.uint8)
    made = numbered(image(bits[0], frames=1, NumberOfFrames=3), 1)
    made.BitsAllocated = made.BitsStored = 1
    made.HighBit, made.WindowCenter, made.WindowWidth = 0, 1, 2
    native_of(made, np.packbits(bits, bitorder="little").tobytes())
    made["PixelData"].VR = "OW"
    path = saved(made, tmp_path / "in.dcm")
    if syntax == frames.BIG:
        turned = tmp_path / "big.dcm"
        subprocess.run(["dcmconv", "+tb", str(path), str(turned)], check=True)
        made["PixelData"].value = turned.read_bytes()[-len(made.PixelData) :]
        assert made.PixelData != np.packbits(bits, bitorder="little").tobytes()
    await house.take(made, syntax)
    instance = await stored(house, made)
    for number in range(1, 4):
        assert difference(await shown(house, instance, number), 255 * bits[number - 1]) == 0
        theirs = by_dcmtk(path, tmp_path / "out.pnm", "+F", str(number), "+Wi", "1")
        if number == 1:  # it lets every frame begin with a byte
            assert theirs is not None
            assert difference(255 * bits[0], theirs) == 0


@pytest.mark.parametrize("signed", [False, True])
async def test_cells_of_two_big_endian_words_are_what_another_program_sees_and_writes(
    house: House, tmp_path: Path, signed: bool
) -> None:
    """A dose grid. What is turned round are words (PS3.5 7.3), not cells; pydicom turns cells."""
    doses = (
        np.random.default_rng(32)
        .integers(-(1 << 30) if signed else 0, 1 << 30, (2 * 9, 11))
        .astype("<i4" if signed else "<u4")
    )
    made = numbered(image(doses, frames=2, WindowCenter=1 << 29, WindowWidth=1 << 30), 1)
    made["PixelData"].VR = "OW"
    path, turned = saved(made, tmp_path / "in.dcm"), tmp_path / "big.dcm"
    subprocess.run(["dcmconv", "+tb", str(path), str(turned)], check=True)
    theirs = [by_dcmtk(turned, tmp_path / "out.pnm", "+F", str(number), "+Wi", "1") for number in (1, 2)]
    made["PixelData"].value = turned.read_bytes()[-doses.nbytes :]
    await house.take(made, frames.BIG)
    instance = await stored(house, made)
    assert instance.pixels is not None
    assert await house.retriever.bulk(await house.view(), instance, "7FE00010") == doses.tobytes()
    for number, other in enumerate(theirs, 1):
        part = doses[9 * (number - 1) : 9 * number]
        frame = await house.retriever.frame(await house.view(), instance, number)
        assert octets(frame, instance.pixels, number, 16) == part.tobytes()
        assert other is not None
        assert difference(await shown(house, instance, number), other) <= 1


def deflated(data: bytes) -> bytes:
    machine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return machine.compress(data) + machine.flush()


@pytest.mark.parametrize("syntax", [frames.ENCAPSULATED, frames.DEFLATED_FRAME])
async def test_segments_in_fragments_are_shown_from_their_first_bit_on(house: House, syntax: str) -> None:
    bits = RANDOM.integers(0, 2, (3, 13, 7), np.uint8)
    made = numbered(image(bits[0], NumberOfFrames=3), 1)
    made.BitsAllocated = made.BitsStored = 1
    made.HighBit, made.WindowCenter, made.WindowWidth = 0, 1, 2
    packed = [np.packbits(frame, bitorder="little").tobytes() for frame in bits]
    parts = [deflated(frame) if syntax == frames.DEFLATED_FRAME else frame for frame in packed]
    await house.take(compressed(made, *parts), syntax)
    instance = await stored(house, made)
    for number, (frame, alone) in enumerate(zip(bits, packed, strict=True), 1):
        assert difference(await shown(house, instance, number), 255 * frame) == 0
        decoded = await house.pictures.decoded(await house.view(), instance, number)
        assert decoded.data == alone


@pytest.mark.parametrize("syntax", [frames.LITTLE, frames.BIG])
async def test_a_palette_of_segments_of_eight_bits_gives_the_colours_that_pydicom_sees(
    house: House, syntax: str
) -> None:
    cells = RANDOM.integers(0, 256, (9, 11), np.uint8)
    made = numbered(image(cells, PhotometricInterpretation="PALETTE COLOR"), 1)
    for name in ("Red", "Green", "Blue"):
        steps = [int(step) for step in RANDOM.integers(0, 256, 8)]
        segments = [0, 3, *steps[:3], 1, 100, steps[3], 0, 2, *steps[4:6], 1, 48, steps[6], 1, 103, steps[7]]
        words = np.frombuffer(bytes(segments) + b"\0" * (len(segments) % 2), "<u2")
        made.add_new(f"{name}PaletteColorLookupTableDescriptor", "US", [256, 0, 8])
        turned = words.astype(">u2" if syntax == frames.BIG else "<u2").tobytes()
        made.add_new(f"Segmented{name}PaletteColorLookupTableData", "OW", turned)
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = frames.LITTLE
    theirs = copy.deepcopy(made)
    for name in ("Red", "Green", "Blue"):
        element = theirs[f"Segmented{name}PaletteColorLookupTableData"]
        element.value = (
            np.frombuffer(element.value, ">u2" if syntax == frames.BIG else "<u2").astype("<u2").tobytes()
        )
    del made.file_meta
    await house.take(made, syntax)
    assert difference(await rendered(house, made), apply_color_lut(cells, theirs)) == 0


@pytest.mark.parametrize("presentation", ["COLOR", "MIXED", "MONOCHROME", ""])
async def test_a_supplemental_palette_colours_the_values_from_its_first_on_and_no_others(
    house: House, presentation: str
) -> None:
    """A map of activity over grey anatomy (PS3.3 C.7.6.19); without Pixel Presentation the palette is not meant."""
    cells = RANDOM.integers(0, 1_064, (9, 11)).astype("<u2")
    cells[0, :4] = 999, 1_000, 1_063, 5_000
    tables = RANDOM.integers(0, 256, (3, 64))
    for with_window in (True, False):
        made = numbered(image(cells, 1 + with_window), 1 + with_window)
        if presentation:
            made.PixelPresentation = presentation
        if with_window:
            made.WindowCenter, made.WindowWidth, made.VOILUTFunction = 500, 1_000, "LINEAR_EXACT"
        for name, entries in zip(("Red", "Green", "Blue"), tables, strict=True):
            made.add_new(f"{name}PaletteColorLookupTableDescriptor", "US", [64, 1_000, 16])
            words = (entries.astype("<u2") * 0x101).tobytes()
            made.add_new(f"{name}PaletteColorLookupTableData", "OW", words)
        await house.take(made)
        ours = await rendered(house, made)
        if presentation not in ("COLOR", "MIXED"):
            assert ours.ndim == 2
            continue
        is_coloured = cells >= 1_000
        colours = tables.T[np.clip(cells.astype(int) - 1_000, 0, 63)]
        assert difference(ours[is_coloured], colours[is_coloured]) == 0
        grey = ours[~is_coloured]
        assert (grey == grey[:, :1]).all()
        if with_window:
            assert difference(grey[:, 0], np.rint(cells[~is_coloured] / 1_000 * 255)) <= 1
        else:  # found among the grey ones alone
            order = np.argsort(cells[~is_coloured])
            assert (np.diff(grey[order, 0].astype(int)) >= 0).all()
            assert grey.max() > 250


@pytest.mark.parametrize("shape", ["IDENTITY", "INVERSE", "LIN OD", ""])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
async def test_the_presentation_lut_shape_tells_what_is_bright(
    house: House, tmp_path: Path, photometric: str, shape: str
) -> None:
    cells = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    made = numbered(image(cells, PhotometricInterpretation=photometric), 1)
    made.WindowCenter, made.WindowWidth = 128, 256
    if shape:
        made.PresentationLUTShape = shape
    await house.take(made)
    ours = await rendered(house, made)
    is_inverted = shape == "INVERSE" or (shape != "IDENTITY" and photometric == "MONOCHROME1")
    assert difference(ours, 255 - cells if is_inverted else cells) <= 1
    stack = await house.pictures.stack(await house.view(), made.StudyInstanceUID, made.SeriesInstanceUID)
    assert [frame.is_inverted for frame in stack.frames] == [is_inverted]
    if shape != "LIN OD":  # of films, which DCMTK makes light of
        theirs = by_dcmtk(saved(made, tmp_path / "in.dcm"), tmp_path / "out.pnm", "+Wi", "1")
        assert theirs is not None
        assert difference(ours, theirs) <= 1
