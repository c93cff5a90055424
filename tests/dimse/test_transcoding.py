"""A peer that can not decompress gets native pixels, exactly those that were compressed; the stored object stays."""

import struct
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.pixels import get_encoder
from pydicom.uid import RLELossless

from samsyn.dicom import transfer_syntaxes as syntaxes
from samsyn.wire.dimse import MoveRequest
from tests.dimse.peers import Peer
from tests.dimse.stage import (
    CT,
    EXPLICIT,
    IMPLICIT,
    QUERY_CONTEXTS,
    STUDY_MOVE,
    Stage,
    ask,
    identifier,
    image,
)
from tests.dimse.stage import encoded as data_set

pytestmark = pytest.mark.slow

RANDOM = np.random.default_rng(1912)
Codec = Callable[[np.ndarray], bytes]


@pytest.fixture(scope="module")
def pixels() -> dict[str, np.ndarray]:
    """Random ones: whatever is lost or turned round shows."""
    return {
        "u8": RANDOM.integers(0, 256, (32, 24), np.uint8),
        "u16": RANDOM.integers(0, 1 << 16, (32, 24), np.uint16),
        "i16": RANDOM.integers(-(1 << 15), 1 << 15, (32, 24), np.int16),
        "rgb": RANDOM.integers(0, 256, (32, 24, 3), np.uint8),
        "u16x3": RANDOM.integers(0, 1 << 12, (3, 32, 24), np.uint16),
    }


def compressed(array: np.ndarray, syntax: str, codec: Codec, frames: int = 1, **changes: Any) -> Dataset:
    """An image whose pixels are this array, encapsulated."""
    made = image(**changes)
    made.Rows, made.Columns = array.shape[1 if frames > 1 else 0 :][:2]
    made.BitsAllocated = made.BitsStored = array.dtype.itemsize * 8
    made.HighBit = made.BitsStored - 1
    made.PixelRepresentation = int(array.dtype.kind == "i")
    made.SamplesPerPixel = 3 if array.shape[-1] == 3 else 1
    if made.SamplesPerPixel == 3:
        made.PhotometricInterpretation = changes.get("PhotometricInterpretation", "RGB")
        made.PlanarConfiguration = changes.get("PlanarConfiguration", 0)
    if frames > 1:
        made.NumberOfFrames = frames
    made.LossyImageCompression = "00"
    parts = [codec(frame) for frame in (array if frames > 1 else [array])]
    if frames > 1:
        values = encapsulate_extended(parts)
        made.PixelData, made.ExtendedOffsetTable, made.ExtendedOffsetTableLengths = values
    else:
        made.PixelData = encapsulate(parts)
    made["PixelData"].VR = "OB"
    made["PixelData"].is_undefined_length = True
    made.add_new(0xFFFCFFFC, "OB", b"\0\0")
    return made


def rle(array: np.ndarray) -> bytes:
    made = Dataset()
    made.Rows, made.Columns = array.shape[:2]
    made.BitsAllocated = made.BitsStored = array.dtype.itemsize * 8
    made.SamplesPerPixel = array.shape[2] if array.ndim == 3 else 1
    made.PixelRepresentation = int(array.dtype.kind == "i")
    made.PhotometricInterpretation = "RGB" if array.ndim == 3 else "MONOCHROME2"
    made.PlanarConfiguration = 0
    made.NumberOfFrames = 1
    return bytes(
        get_encoder(RLELossless).encode(
            array.tobytes(),
            rows=made.Rows,
            columns=made.Columns,
            bits_allocated=made.BitsAllocated,
            bits_stored=made.BitsStored,
            samples_per_pixel=made.SamplesPerPixel,
            pixel_representation=made.PixelRepresentation,
            photometric_interpretation=made.PhotometricInterpretation,
            number_of_frames=1,
            planar_configuration=0,
        )
    )


def j2k(array: np.ndarray) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(array, level=0, reversible=True, codecformat="j2k"))


def jxl(array: np.ndarray) -> bytes:
    return bytes(imagecodecs.jpegxl_encode(array.view(array.dtype.str.replace("i", "u")), lossless=True))


CASES: list[tuple[str, str, Codec, dict[str, Any]]] = [
    ("u8", syntaxes.RLE_LOSSLESS, rle, {}),
    ("u16", syntaxes.RLE_LOSSLESS, rle, {}),
    ("i16", syntaxes.RLE_LOSSLESS, rle, {}),
    ("rgb", syntaxes.RLE_LOSSLESS, rle, {}),
    ("rgb", syntaxes.RLE_LOSSLESS, rle, {"PhotometricInterpretation": "YBR_FULL"}),
    ("rgb", syntaxes.RLE_LOSSLESS, rle, {"PlanarConfiguration": 1}),
    ("u16", syntaxes.JPEG_LOSSLESS_SV1, imagecodecs.ljpeg_encode, {}),
    ("u8", syntaxes.JPEG_LS_LOSSLESS, imagecodecs.jpegls_encode, {}),
    ("u16", syntaxes.JPEG_LS_LOSSLESS, imagecodecs.jpegls_encode, {}),
    ("rgb", syntaxes.JPEG_LS_LOSSLESS, imagecodecs.jpegls_encode, {"PhotometricInterpretation": "YBR_FULL"}),
    ("u16", syntaxes.JPEG_2000_LOSSLESS, j2k, {}),
    ("i16", syntaxes.JPEG_2000_LOSSLESS, j2k, {}),
    ("rgb", syntaxes.JPEG_2000_LOSSLESS, j2k, {"PhotometricInterpretation": "YBR_RCT"}),
    ("rgb", syntaxes.JPEG_2000_LOSSLESS, j2k, {"PhotometricInterpretation": "YBR_FULL"}),
    ("u16", syntaxes.HTJ2K_LOSSLESS, imagecodecs.htj2k_encode, {}),
    ("u16x3", syntaxes.RLE_LOSSLESS, rle, {}),
    ("u16x3", syntaxes.ENCAPSULATED_UNCOMPRESSED, np.ndarray.tobytes, {}),
    ("rgb", syntaxes.ENCAPSULATED_UNCOMPRESSED, np.ndarray.tobytes, {}),
    (
        "rgb",
        syntaxes.ENCAPSULATED_UNCOMPRESSED,
        np.ndarray.tobytes,
        {"PhotometricInterpretation": "YBR_FULL"},
    ),
    ("u8", syntaxes.JPEG_XL_LOSSLESS, jxl, {}),
    ("u16", syntaxes.JPEG_XL_LOSSLESS, jxl, {}),
    ("i16", syntaxes.JPEG_XL_LOSSLESS, jxl, {}),
    ("rgb", syntaxes.JPEG_XL_LOSSLESS, jxl, {}),
    ("rgb", syntaxes.JPEG_XL_LOSSLESS, jxl, {"PhotometricInterpretation": "YBR_FULL"}),
    ("u16x3", syntaxes.JPEG_XL_LOSSLESS, jxl, {}),
]


@pytest.fixture
async def plain_peer() -> AsyncIterator[Peer]:
    """A destination that takes uncompressed objects alone."""
    async with Peer("SINK", [CT], syntaxes=[EXPLICIT]) as peer:
        yield peer


async def send_to(stage: Stage, made: Dataset, syntax: str) -> None:
    async with await stage.connect(contexts=[(CT, (syntax,))]) as sender:
        answer = await sender.store(syntax, CT, str(made.SOPInstanceUID), data_set(made))
        assert answer.status == 0


async def move(stage: Stage) -> Any:
    async with await stage.connect(contexts=QUERY_CONTEXTS) as requestor:
        keys = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID="2.25.10")
        _, final = await ask(requestor, MoveRequest, STUDY_MOVE, keys, destination="SINK")
    return final.command


def parsed(data: bytes) -> Dataset:
    return read_dataset(DicomBytesIO(data), is_implicit_VR=False, is_little_endian=True)


async def test_lossless_pixels_come_out_exactly_and_everything_else_byte_for_byte(
    tmp_path: Path, plain_peer: Peer, pixels: dict[str, np.ndarray]
) -> None:
    async with Stage(tmp_path, plain_peer.port) as stage:
        await stage.children.start()
        sent: dict[str, tuple[Dataset, np.ndarray]] = {}
        for number, (name, syntax, codec, changes) in enumerate(CASES):
            frames = 3 if name == "u16x3" else 1
            uid = f"2.25.300.{number}"
            made = compressed(pixels[name], syntax, codec, frames, SOPInstanceUID=uid, **changes)
            sent[uid] = made, pixels[name]
            await send_to(stage, made, syntax)
        before = stage.rows("SELECT sop_uid, sha256, transfer_syntax FROM instance ORDER BY sop_uid")
        final = await move(stage)
        assert (final.status, final.completed, final.failed) == (0, len(CASES), 0)
        for _ in CASES:
            message = await plain_peer.next()
            assert message.data is not None
            got = parsed(bytes(message.data))
            made, array = sent[str(got.SOPInstanceUID)]
            case = CASES[int(str(got.SOPInstanceUID).rpartition(".")[2])]
            little = array.astype(array.dtype.newbyteorder("<"), copy=False)
            assert got.PixelData == little.tobytes(), case
            assert ("OB" if array.dtype.itemsize == 1 else "OW") == got["PixelData"].VR
            if case[1] == syntaxes.JPEG_2000_LOSSLESS and case[0] == "rgb":
                assert got.PhotometricInterpretation == "RGB"
                made.PhotometricInterpretation = "RGB"
            if "PlanarConfiguration" in made:
                made.PlanarConfiguration = 0
            made.PixelData = got.PixelData
            made["PixelData"].VR = got["PixelData"].VR
            made["PixelData"].is_undefined_length = False
            for only_compressed in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
                if only_compressed in made:
                    delattr(made, only_compressed)
            assert bytes(message.data) == data_set(made), case
        after = stage.rows("SELECT sop_uid, sha256, transfer_syntax FROM instance ORDER BY sop_uid")
        assert after == before


def rle_of_bits(frame: np.ndarray) -> bytes:
    """The packed bits in one segment."""
    segment = imagecodecs.packbits_encode(np.packbits(frame, bitorder="little").tobytes())
    return struct.pack("<16I", 1, 64, *([0] * 14)) + segment + b"\0" * (len(segment) % 2)


def packed(frame: np.ndarray) -> bytes:
    made = np.packbits(frame, bitorder="little").tobytes()
    return made + b"\0" * (len(made) % 2)


def deflated_octets(frame: np.ndarray) -> bytes:
    machine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return machine.compress(frame.tobytes()) + machine.flush()


def deflated(frame: np.ndarray) -> bytes:
    made = deflated_octets(np.packbits(frame, bitorder="little"))
    return made + b"\0" * (len(made) % 2)


def octets_of(frame: np.ndarray) -> bytes:
    """A native frame in a fragment of its own (PS3.5 A.4.11)."""
    data = np.packbits(frame, bitorder="little").tobytes() if frame.max() < 2 else frame.tobytes()
    return data + b"\0" * (len(data) % 2)


def j2k_of_bits(frame: np.ndarray) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(frame, 0, reversible=True, codecformat="j2k", bitspersample=1))


@pytest.mark.parametrize(
    ("syntax", "codec"),
    [
        (syntaxes.RLE_LOSSLESS, rle_of_bits),
        (syntaxes.DEFLATED_FRAME, deflated),
        (syntaxes.ENCAPSULATED_UNCOMPRESSED, octets_of),
        (syntaxes.JPEG_2000_LOSSLESS, j2k_of_bits),
    ],
)
async def test_pixels_of_one_bit_come_out_packed_without_a_gap_between_frames(
    tmp_path: Path, plain_peer: Peer, syntax: str, codec: Codec
) -> None:
    """Segmentations: 91 pixels a frame, so that the second begins inside a byte (PS3.5 8.1.1)."""
    bits = RANDOM.integers(0, 2, (3, 13, 7), np.uint8)
    made = compressed(bits, syntax, codec, 3)
    made.BitsAllocated, made.BitsStored, made.HighBit = 1, 1, 0
    async with Stage(tmp_path, plain_peer.port) as stage:
        await stage.children.start()
        await send_to(stage, made, syntax)
        assert (await move(stage)).status == 0
        message = await plain_peer.next()
    assert message.data is not None
    assert parsed(bytes(message.data)).PixelData == np.packbits(bits, bitorder="little").tobytes() + b"\0"


@pytest.mark.parametrize("photometric", ["MONOCHROME2", "RGB", "YBR_FULL", "YBR_FULL_422"])
@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize(
    ("syntax", "codec"),
    [
        (syntaxes.ENCAPSULATED_UNCOMPRESSED, octets_of),
        (syntaxes.DEFLATED_FRAME, deflated_octets),
    ],
)
async def test_native_frames_leave_their_fragments_as_they_are(
    tmp_path: Path, plain_peer: Peer, syntax: str, codec: Codec, planar: int, photometric: str
) -> None:
    """Frames of an odd number of bytes, but for those that share colour; every attribute stays true as it was."""
    shape = {"MONOCHROME2": (3, 5, 7), "YBR_FULL_422": (3, 4, 6, 2)}.get(photometric, (3, 5, 7, 3))
    array = RANDOM.integers(2, 256, shape, np.uint8)
    made = compressed(array, syntax, codec, 3, PhotometricInterpretation=photometric)
    made.Rows, made.Columns = shape[1:3]
    if photometric != "MONOCHROME2":
        made.SamplesPerPixel, made.PlanarConfiguration = 3, planar
    async with Stage(tmp_path, plain_peer.port) as stage:
        await stage.children.start()
        await send_to(stage, made, syntax)
        assert (await move(stage)).status == 0
        message = await plain_peer.next()
    assert message.data is not None
    native = array.tobytes()
    made.PixelData = native + b"\0" * (len(native) % 2)
    made["PixelData"].is_undefined_length = False
    del made.ExtendedOffsetTable, made.ExtendedOffsetTableLengths
    assert bytes(message.data) == data_set(made)


def icon(pixels: np.ndarray, is_coded: bool) -> Dataset:
    """An item of Icon Image Sequence."""
    made = Dataset()
    made.Rows, made.Columns = pixels.shape
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 8, 8, 7, 0
    made.PixelData = encapsulate([bytes(imagecodecs.jpegls_encode(pixels))]) if is_coded else pixels.tobytes()
    made["PixelData"].VR = "OB"
    made["PixelData"].is_undefined_length = is_coded
    return made


@pytest.mark.parametrize("form", [EXPLICIT, IMPLICIT])
async def test_icons_that_are_compressed_too_stay_behind_and_nothing_else(
    tmp_path: Path, pixels: dict[str, np.ndarray], form: str
) -> None:
    """Encapsulated pixels have no place in an uncompressed transfer syntax, in a sequence neither (PS3.5 A.4)."""
    made = compressed(pixels["u8"], syntaxes.JPEG_LS_LOSSLESS, imagecodecs.jpegls_encode)
    made.IconImageSequence = [icon(pixels["u8"], is_coded=True)]
    other = Dataset()
    other.ReferencedSOPClassUID, other.ReferencedSOPInstanceUID = CT, "2.25.77"
    other.IconImageSequence = [icon(pixels["u8"], is_coded=True)]
    kept = Dataset()
    kept.ReferencedSOPClassUID, kept.ReferencedSOPInstanceUID = CT, "2.25.78"
    kept.IconImageSequence = [icon(pixels["u8"], is_coded=False)]
    made.ReferencedImageSequence = [other, kept]
    async with Peer("SINK", [CT], syntaxes=[form]) as peer, Stage(tmp_path, peer.port) as stage:
        await stage.children.start()
        await send_to(stage, made, syntaxes.JPEG_LS_LOSSLESS)
        assert (await move(stage)).status == 0
        message = await peer.next()
    assert message.data is not None
    stream = DicomBytesIO(bytes(message.data))
    got = read_dataset(stream, is_implicit_VR=form == IMPLICIT, is_little_endian=True)
    assert got.PixelData == pixels["u8"].tobytes()
    assert "IconImageSequence" not in got
    del made.IconImageSequence, other.IconImageSequence
    assert list(got.ReferencedImageSequence[0]) == list(other)
    assert got.ReferencedImageSequence[1].IconImageSequence[0].PixelData == pixels["u8"].tobytes()
    assert [each.tag for each in got] == [each.tag for each in made]


@pytest.mark.parametrize("is_told", [True, False])
async def test_lossy_colour_becomes_rgb_and_says_so(
    tmp_path: Path, plain_peer: Peer, pixels: dict[str, np.ndarray], is_told: bool
) -> None:
    """Old objects leave it to their transfer syntax to tell that something was lost."""
    smooth = np.zeros((32, 32, 3), np.uint8)
    smooth[..., 0], smooth[..., 1] = 200, np.linspace(0, 255, 32, dtype=np.uint8)

    def jpeg(array: np.ndarray) -> bytes:
        return bytes(imagecodecs.jpeg8_encode(array, level=95))

    async with Stage(tmp_path, plain_peer.port) as stage:
        await stage.children.start()
        made = compressed(smooth, syntaxes.JPEG_BASELINE, jpeg, PhotometricInterpretation="YBR_FULL_422")
        if not is_told:
            del made.LossyImageCompression, made.PlanarConfiguration
        await send_to(stage, made, syntaxes.JPEG_BASELINE)
        assert (await move(stage)).status == 0
        message = await plain_peer.next()
        assert message.data is not None
        got = parsed(bytes(message.data))
    assert got.PhotometricInterpretation == "RGB"
    assert got.PlanarConfiguration == 0
    assert got.LossyImageCompression == "01"
    assert [each.tag for each in got] == sorted(each.tag for each in got)
    shown = np.frombuffer(got.PixelData, np.uint8).reshape(32, 32, 3).astype(int)
    assert np.abs(shown - smooth).max() < 12


async def test_a_peer_that_takes_only_implicit_vr_gets_that(
    tmp_path: Path, pixels: dict[str, np.ndarray]
) -> None:
    async with Peer("SINK", [CT], syntaxes=[IMPLICIT]) as peer, Stage(tmp_path, peer.port) as stage:
        await stage.children.start()
        await send_to(stage, compressed(pixels["u16"], syntaxes.RLE_LOSSLESS, rle), syntaxes.RLE_LOSSLESS)
        assert (await move(stage)).status == 0
        message = await peer.next()
        assert message.data is not None
        got = read_dataset(DicomBytesIO(bytes(message.data)), is_implicit_VR=True, is_little_endian=True)
    assert got.PixelData == pixels["u16"].tobytes()


async def test_a_peer_that_takes_the_stored_form_gets_it_byte_for_byte(
    tmp_path: Path, pixels: dict[str, np.ndarray]
) -> None:
    async with Peer("SINK", [CT]) as peer, Stage(tmp_path, peer.port) as stage:
        made = compressed(pixels["u16"], syntaxes.RLE_LOSSLESS, rle)
        await send_to(stage, made, syntaxes.RLE_LOSSLESS)
        assert (await move(stage)).status == 0
        message = await peer.next()
    assert message.data is not None
    assert bytes(message.data) == data_set(made)


async def test_what_can_not_be_decoded_is_a_failed_sub_operation_with_its_reason(
    tmp_path: Path, plain_peer: Peer, pixels: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Stage(tmp_path, plain_peer.port) as stage:
        await stage.children.start()
        good = compressed(pixels["u16"], syntaxes.RLE_LOSSLESS, rle, SOPInstanceUID="2.25.1")
        await send_to(stage, good, syntaxes.RLE_LOSSLESS)
        torn = compressed(
            pixels["u16"], syntaxes.RLE_LOSSLESS, lambda array: rle(array)[:200], SOPInstanceUID="2.25.2"
        )
        await send_to(stage, torn, syntaxes.RLE_LOSSLESS)
        film = compressed(pixels["u8"], syntaxes.JPEG_BASELINE, lambda _: bytes(64), SOPInstanceUID="2.25.3")
        await send_to(stage, film, "1.2.840.10008.1.2.4.102")
        final = await move(stage)
    assert (final.status, final.completed, final.failed) == (0xB000, 1, 2)
    assert final.error_comment


async def test_what_would_be_too_large_is_refused_by_the_name_of_its_limit(
    tmp_path: Path, plain_peer: Peer, pixels: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("samsyn.render.transcoding.MAX_TRANSCODED_BYTES", 100)
    async with Stage(tmp_path, plain_peer.port) as stage:
        await send_to(stage, compressed(pixels["u16"], syntaxes.RLE_LOSSLESS, rle), syntaxes.RLE_LOSSLESS)
        final = await move(stage)
    assert (final.status, final.failed, final.error_comment) == (0xA702, 1, "MAX_TRANSCODED_BYTES")
