"""Layouts, frames and hostile codestreams for the rendering tests."""

import struct

import imagecodecs
import numpy as np

from samsyn.model.imaging import PixelLayout
from samsyn.render.words import EncodedFrame

IMPLICIT = "1.2.840.10008.1.2"
LITTLE = "1.2.840.10008.1.2.1"
BIG = "1.2.840.10008.1.2.2"
ENCAPSULATED = "1.2.840.10008.1.2.1.98"
DEFLATED_FRAME = "1.2.840.10008.1.2.8.1"
RLE = "1.2.840.10008.1.2.5"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
JPEG_LOSSLESS_ANY = "1.2.840.10008.1.2.4.57"
JPEG_LS = "1.2.840.10008.1.2.4.80"
JPEG_LS_NEAR = "1.2.840.10008.1.2.4.81"
JPEG_2000_LOSSY = "1.2.840.10008.1.2.4.91"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
JPEG_XL_LOSSLESS = "1.2.840.10008.1.2.4.110"
JPEG_XL_RECOMPRESSION = "1.2.840.10008.1.2.4.111"
JPEG_XL = "1.2.840.10008.1.2.4.112"
HTJ2K_LOSSY = "1.2.840.10008.1.2.4.203"
HTJ2K = "1.2.840.10008.1.2.4.201"


def layout(
    rows: int = 64,
    columns: int = 48,
    samples: int = 1,
    allocated: int = 16,
    stored: int = 0,
    signed: bool = False,
    photometric: str = "",
    planar: int = 0,
) -> PixelLayout:
    """A layout with one frame; unsaid things are the usual ones."""
    photometric = photometric or ("RGB" if samples == 3 else "MONOCHROME2")
    return PixelLayout(
        0, -1, rows, columns, samples, allocated, stored or allocated, signed, photometric, planar, 1
    )


def native(pixels: np.ndarray, stored: int = 0, photometric: str = "", order: str = "<") -> EncodedFrame:
    """The array as an uncompressed frame."""
    samples = pixels.shape[2] if pixels.ndim == 3 else 1
    kind = layout(
        pixels.shape[0],
        pixels.shape[1],
        samples,
        pixels.dtype.itemsize * 8,
        stored,
        pixels.dtype.kind == "i",
        photometric,
    )
    data = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    if order == ">" and pixels.dtype.itemsize > 1:
        data = np.frombuffer(data, "<u2").byteswap().tobytes()  # words, as of OW
    return EncodedFrame(data, kind, LITTLE if order == "<" else BIG)


def jpeg_that_claims(rows: int, columns: int) -> bytes:
    """A small JPEG whose frame header claims another size."""
    data = bytearray(imagecodecs.jpeg8_encode(np.zeros((8, 8), np.uint8), level=80))
    position = data.index(b"\xff\xc0")
    data[position + 5 : position + 9] = struct.pack(">HH", rows, columns)
    return bytes(data)


def jpeg_2000_that_claims(rows: int, columns: int, tile: int | None = None) -> bytes:
    """A small JPEG 2000 codestream whose SIZ segment claims another size."""
    data = bytearray(imagecodecs.jpeg2k_encode(np.zeros((8, 8), np.uint8), level=0, codecformat="j2k"))
    position = data.index(b"\xff\x51") + 6
    data[position : position + 8] = struct.pack(">II", columns, rows)
    if tile is not None:
        data[position + 16 : position + 24] = struct.pack(">II", tile, tile)
    return bytes(data)


def jpeg_2000_of(planes: list[np.ndarray], steps: list[tuple[int, int]]) -> bytes:
    """A JPEG 2000 codestream of these components of 8 bits, each with its steps across and down (T.800 A.5.1): without
    wavelet levels the packets of one component after those of the other make up its tile."""
    every = [
        bytes(
            imagecodecs.jpeg2k_encode(
                np.ascontiguousarray(plane),
                level=0,
                codecformat="j2k",
                resolutions=1,
                mct=False,
                reversible=True,
            )
        )
        for plane in planes
    ]
    siz = every[0].index(b"\xff\x51")
    coding = every[0][every[0].index(b"\xff\x52") : every[0].index(b"\xff\x90")]
    told = struct.pack(">H", len(planes)) + b"".join(bytes((7, across, down)) for across, down in steps)
    size = b"\xff\x51" + struct.pack(">H", 38 + 3 * len(planes)) + every[0][siz + 4 : siz + 38] + told
    packets = b"".join(stream[stream.index(b"\xff\x93") + 2 : -2] for stream in every)
    tile = b"\xff\x90" + struct.pack(">HHIBB", 10, 0, len(packets) + 14, 0, 1) + b"\xff\x93"
    return b"\xff\x4f" + size + coding + tile + packets + b"\xff\xd9"


def jpeg_xl_that_claims(rows: int, columns: int) -> bytes:
    """A JPEG XL codestream of all default values whose SizeHeader tells this size in 30 bits each, and nothing else."""
    written = 0b11 << 1 | (rows - 1) << 3 | 0b000 << 33 | 0b11 << 36 | (columns - 1) << 38 | 1 << 68
    return b"\xff\x0a" + written.to_bytes(100, "little")


def jpeg_lossless(
    pixels: np.ndarray, bits: int, predictor: int = 1, point: int = 0, rows_again: int = 0
) -> bytes:
    """JPEG lossless (T.81 annex H) of one component written down plainly: every category in a code of five bits, a
    restart every so many rows (0 = none), values without their lowest `point` bits."""
    rows, columns = pixels.shape
    values = pixels.astype(int) >> point
    scans = []
    for begin in range(0, rows, rows_again or rows):
        written = ""
        for row in range(begin, min(begin + (rows_again or rows), rows)):
            for column in range(columns):
                left = values[row, column - 1] if column else 0
                above = values[row - 1, column] if row > begin else 0
                corner = values[row - 1, column - 1] if row > begin and column else 0
                if row == begin:
                    expected = left if column else 1 << bits - point - 1
                elif not column:
                    expected = above
                else:
                    expected = [
                        *(left, above, corner, left + above - corner, left + (above - corner >> 1)),
                        *(above + (left - corner >> 1), left + above >> 1),
                    ][predictor - 1]
                step = int(values[row, column] - expected) & 0xFFFF
                step -= 0x10000 if step > 0x8000 else 0
                size = abs(step).bit_length()
                written += f"{size:05b}"
                if 0 < size < 16:
                    written += f"{step if step > 0 else step + (1 << size) - 1:0{size}b}"
        written += "1" * (-len(written) % 8)
        scans.append(int(written, 2).to_bytes(len(written) // 8, "big").replace(b"\xff", b"\xff\0"))
    body = scans[0] + b"".join(bytes([0xFF, 0xD0 + n % 8]) + scan for n, scan in enumerate(scans[1:]))
    codes = b"\xff\xc4" + struct.pack(">HB", 36, 0) + bytes([0, 0, 0, 0, 17, *[0] * 11, *range(17)])
    frame = b"\xff\xc3" + struct.pack(">HBHHB", 11, bits, rows, columns, 1) + b"\1\x11\0"
    again = b"\xff\xdd" + struct.pack(">HH", 4, rows_again * columns) if rows_again else b""
    scan = b"\xff\xda" + struct.pack(">HB", 8, 1) + bytes([1, 0, predictor, 0, point])
    return b"\xff\xd8" + codes + frame + again + scan + body + b"\xff\xd9"


def rle(pixels: np.ndarray, planes: int = 1) -> bytes:
    """RLE Lossless (PS3.5 annex G) of an array of one sample per pixel, or of so many arrays of 8 bits."""
    if planes > 1:
        every = pixels.reshape(planes, -1)
    else:
        every = pixels.astype(pixels.dtype.newbyteorder(">")).view(np.uint8).reshape(pixels.size, -1).T
    segments = [bytes(imagecodecs.packbits_encode(np.ascontiguousarray(plane).tobytes())) for plane in every]
    segments = [segment + b"\0" * (len(segment) % 2) for segment in segments]
    starts = [64 + sum(map(len, segments[:n])) for n in range(len(segments))]
    return struct.pack("<16I", len(segments), *starts, *[0] * (15 - len(starts))) + b"".join(segments)
