"""Compressed objects that leave uncompressed are what DCMTK's own decompression makes of them, attributes and all."""

import subprocess
import zlib
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from samsyn.dicom.part10 import file_preamble_and_meta
from samsyn.dicom.recoding import recode
from samsyn.render.transcoding import Transcoder
from tests.render import frames
from tests.render.house import House, compressed, image
from tests.render.test_strangers import by_dcmtk, difference, numbered, rendered, saved, stored

pytestmark = [pytest.mark.slow, pytest.mark.peer]

ROWS, COLUMNS = 31, 28
RANDOM = np.random.default_rng(28)


def picture(kind: str) -> Dataset:
    """Two frames that look like something, with a little noise."""
    rows, columns = np.indices((2 * ROWS, COLUMNS))
    level = (np.sin(columns / 7.0) + np.cos(rows / 5.0) + 2) / 4
    if kind == "colour":
        pixels = np.stack([level, level[::-1], 1 - level], axis=2) * 255
        return numbered(image(np.rint(pixels).astype(np.uint8), frames=2), 1)
    bits = {"8 bits": 8, "12 bits": 12, "16 bits": 16, "signed": 12}[kind]
    pixels = np.clip(
        np.rint(level * ((1 << bits) - 1) + RANDOM.normal(0, 2, level.shape)), 0, (1 << bits) - 1
    )
    pixels -= 1 << 11 if kind == "signed" else 0
    cells = np.dtype(f"{'i' if kind == 'signed' else 'u'}{1 if bits == 8 else 2}")
    made = numbered(image(pixels.astype(cells), frames=2, BitsStored=bits, HighBit=bits - 1), 1)
    made.WindowCenter, made.WindowWidth = (0 if kind == "signed" else 1 << (bits - 1)), 1 << bits
    return made


async def native(house: House, made: Dataset, path: Path, form: str = frames.LITTLE) -> Dataset:
    """The stored object as a receiver of this form gets it, written to a file for others."""
    view, instance = await house.view(), await stored(house, made)
    data = await house.retriever.data_set(view, instance)
    sent = await Transcoder(house.retriever, house.children).native(view, instance, data)
    sent = recode(sent, frames.LITTLE, form)
    head = file_preamble_and_meta(instance.sop_class_uid, instance.sop_instance_uid, form)
    path.write_bytes(head + sent)
    return dcmread(path)


COMPRESSORS = {
    "JPEG lossless": (["dcmcjpeg", "+e1"], "dcmdjpeg"),
    "JPEG lossless by another predictor": (["dcmcjpeg", "+el", "+sv", "7"], "dcmdjpeg"),
    "JPEG lossless without the lowest bits": (["dcmcjpeg", "+el", "+pt", "2"], "dcmdjpeg"),
    "JPEG baseline": (["dcmcjpeg", "+eb"], "dcmdjpeg"),
    "JPEG baseline of RGB": (["dcmcjpeg", "+eb", "+cr"], "dcmdjpeg"),
    "JPEG baseline without shared colour": (["dcmcjpeg", "+eb", "+s4"], "dcmdjpeg"),
    "JPEG extended": (["dcmcjpeg", "+ee"], "dcmdjpeg"),
    "JPEG-LS": (["dcmcjpls"], "dcmdjpls"),
    "JPEG-LS near lossless": (["dcmcjpls", "+en", "+md", "2"], "dcmdjpls"),
    "RLE": (["dcmcrle"], "dcmdrle"),
}
MAY_DIFFER = {"Pixel Data", "Source Image Sequence", "Derivation Description", "Image Type"}


@pytest.mark.parametrize("how", COMPRESSORS)
@pytest.mark.parametrize("kind", ["8 bits", "12 bits", "16 bits", "signed", "colour"])
async def test_what_leaves_uncompressed_is_what_another_program_decompresses(
    house: House, tmp_path: Path, how: str, kind: str
) -> None:
    compress, decompress = COMPRESSORS[how]
    source, packed, theirs_at = (tmp_path / name for name in ("in.dcm", "packed.dcm", "theirs.dcm"))
    made = picture(kind)
    done = subprocess.run([*compress, "-q", str(saved(made, source)), str(packed)], check=False)
    if done.returncode:
        assert (how, kind) == ("JPEG-LS near lossless", "signed")  # which it does not write
        return
    subprocess.run([decompress, "-q", str(packed), str(theirs_at)], check=True)
    stored_form, theirs = dcmread(packed), dcmread(theirs_at)
    await house.take(stored_form, str(stored_form.file_meta.TransferSyntaxUID))
    for form in (frames.LITTLE, frames.IMPLICIT):
        ours = await native(house, stored_form, tmp_path / "ours.dcm", form)
        assert np.array_equal(ours.pixel_array, theirs.pixel_array)
        for element in ours:
            if element.name not in MAY_DIFFER:
                assert element.value == theirs[element.tag].value, element.name
        assert [each.tag for each in ours] == [each.tag for each in theirs]
        assert len(ours.PixelData) == len(theirs.PixelData)
        told = [] if kind == "colour" else ["+Wi", "1"]
        for number in (1, 2):
            shown = by_dcmtk(tmp_path / "ours.dcm", tmp_path / "out.pnm", "+F", str(number), *told)
            assert shown is not None
            assert difference(await rendered(house, stored_form, number), shown) <= 1


def deflated(cells: np.ndarray) -> bytes:
    machine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return machine.compress(cells.tobytes()) + machine.flush()


CODECS: dict[str, Any] = {
    frames.ENCAPSULATED: np.ndarray.tobytes,
    frames.DEFLATED_FRAME: deflated,
    frames.JPEG_XL_LOSSLESS: lambda cells: imagecodecs.jpegxl_encode(cells, lossless=True),
    frames.HTJ2K: imagecodecs.htj2k_encode,
    "1.2.840.10008.1.2.4.202": imagecodecs.htj2k_encode,
}


@pytest.mark.parametrize("syntax", CODECS)
@pytest.mark.parametrize("kind", ["8 bits", "12 bits", "16 bits", "signed", "colour"])
async def test_what_no_other_program_here_decompresses_leaves_as_it_was(
    house: House, tmp_path: Path, syntax: str, kind: str
) -> None:
    made = picture(kind)
    pixels, path = made.PixelData, saved(made, tmp_path / "in.dcm")
    cells = np.frombuffer(pixels, f"u{made.BitsAllocated // 8}")
    cells = cells.reshape(2, ROWS, COLUMNS, *([3] if kind == "colour" else []))
    if kind == "signed" and syntax in (frames.HTJ2K, "1.2.840.10008.1.2.4.202"):
        cells = cells.view(np.int16)
    del made.file_meta
    await house.take(compressed(made, *(bytes(CODECS[syntax](frame)) for frame in cells)), syntax)
    told = [] if kind == "colour" else ["+Wi", "1"]
    for form in (frames.LITTLE, frames.IMPLICIT):
        ours = await native(house, made, tmp_path / "ours.dcm", form)
        assert ours.PixelData == pixels
        for number in (1, 2):
            before, after = (
                by_dcmtk(each, tmp_path / "out.pnm", "+F", str(number), *told)
                for each in (path, tmp_path / "ours.dcm")
            )
            assert before is not None
            assert after is not None
            assert difference(before, after) == 0
            assert difference(await rendered(house, made, number), before) <= 1
