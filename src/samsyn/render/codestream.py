"""Reads what a compressed frame says of its own size, before any codec allocates memory for it.

JPEG and JPEG-LS (ITU-T T.81 B.2.2, T.87 C.2.2: the SOF segment), JPEG 2000 and HTJ2K (ITU-T T.800 A.5.1: the SIZ
segment), JPEG XL (ISO/IEC 18181-1 annex D: SizeHeader and ImageMetadata). Pure, bounded by the length of the data,
allocates nothing.
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from samsyn.dicom.transfer_syntaxes import JPEG_XL_RECOMPRESSION
from samsyn.errors import BadInput

_START_OF_FRAME: Final = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
"""SOF0 to SOF15 without DHT, JPG and DAC; SOF55 is JPEG-LS."""
_WITHOUT_LENGTH: Final = frozenset({0x01, *range(0xD0, 0xD9)})
_START_OF_SCAN: Final = 0xDA
_END_OF_IMAGE: Final = 0xD9
_J2K_START: Final = b"\xff\x4f\xff\x51"
"""SOC followed by SIZ; T.800 A.4.1 demands that SIZ comes first."""
_CODING_DEFAULT: Final = 0x52
_START_OF_TILE: Final = 0x90
_JXL_START: Final = b"\xff\x0a"
_JXL_BOXES: Final = b"\0\0\0\x0cJXL \r\n\x87\n"
_JXL_PARTS: Final = MappingProxyType({b"jxlc": 0, b"jxlp": 4})
"""Boxes that hold the codestream or its first part, which a counter stands before."""
_JXL_SIDES: Final = ((9, 1), (13, 1), (18, 1), (30, 1))
_JXL_RATIOS: Final = ((0, 1), (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_JXL_GREY: Final = 1
_JXL_HEAD_BYTES: Final = 64
"""More than what is read of a codestream."""
_J2K_MAX_TILES: Final = 65_535
"""T.800 A.4.2: the tile index has 16 bits."""


@dataclass(frozen=True, slots=True)
class CodestreamHead:
    """Size and sample format by the codestream's own word."""

    rows: int
    columns: int
    components: int
    precision: int
    """Bits of the first component."""
    signed: bool
    process: int
    """For JPEG the SOF marker's second byte (0xC0 baseline, 0xC3 lossless, 0xF7 JPEG-LS); 0 for others."""
    transform: int | None = None
    """The Adobe APP14 colour transform (0 = none, 1 = YCbCr), if there is one."""
    has_jfif: bool = False
    component_ids: bytes = b""
    is_transformed: bool = False
    """Whether the codestream has a colour transform of its own (JPEG 2000: RCT or ICT, JPEG XL: XYB), which the codec
    undoes."""
    is_uneven: bool = False
    """Whether JPEG 2000 components are subsampled, or not all of one kind, of which DICOM knows nothing (PS3.5
    8.2.4)."""
    start: int = 0
    """Where the bare JPEG 2000 or JPEG XL codestream begins (files in JP2 boxes are met in practice)."""


def jpeg_head(data: bytes) -> CodestreamHead:
    """The head of a JPEG or JPEG-LS stream. Raises BadInput when there is no frame header."""
    if data[:2] != b"\xff\xd8":
        raise BadInput("JPEG: no SOI marker")
    position = 2
    transform: int | None = None
    has_jfif = False
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            raise BadInput("JPEG: marker expected")
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        if marker in _WITHOUT_LENGTH:
            position += 2
            continue
        if marker in (_START_OF_SCAN, _END_OF_IMAGE):
            break
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        content = data[position + 4 : position + 2 + length]
        if length < 2 or len(content) != length - 2:
            raise BadInput("JPEG: segment longer than the data")
        if marker in _START_OF_FRAME:
            return _frame_header(marker, content, transform, has_jfif)
        if marker == 0xE0 and content[:5] == b"JFIF\0":
            has_jfif = True
        if marker == 0xEE and content[:5] == b"Adobe" and len(content) >= 12:
            transform = content[11]
        position += 2 + length
    raise BadInput("JPEG: no frame header")


def _frame_header(marker: int, content: bytes, transform: int | None, has_jfif: bool) -> CodestreamHead:
    if len(content) < 6 or len(content) < 6 + 3 * content[5]:
        raise BadInput("JPEG: frame header too short")
    return CodestreamHead(
        rows=int.from_bytes(content[1:3], "big"),
        columns=int.from_bytes(content[3:5], "big"),
        components=content[5],
        precision=content[0],
        signed=False,
        process=marker,
        transform=transform,
        has_jfif=has_jfif,
        component_ids=bytes(content[6 + 3 * i] for i in range(content[5])),
    )


def jpeg2000_head(data: bytes) -> CodestreamHead:
    """The head of a JPEG 2000 or HTJ2K codestream, bare or inside JP2 boxes. Raises BadInput."""
    start = data.find(_J2K_START, 0, 64 * 1024)
    if start < 0 or len(data) < start + 43:
        raise BadInput("JPEG 2000: no SIZ segment")
    siz = data[start + 4 : start + 4 + 38 + 3 * 4]

    def word(offset: int) -> int:
        return int.from_bytes(siz[offset : offset + 4], "big")

    right, lower, left, upper = word(4), word(8), word(12), word(16)
    tile_width, tile_height = word(20), word(24)
    tile_left, tile_upper = word(28), word(32)
    components = int.from_bytes(siz[36:38], "big")
    if right <= left or lower <= upper or not tile_width or not tile_height or not components:
        raise BadInput("JPEG 2000: impossible SIZ segment")
    across = -(-(right - tile_left) // tile_width)
    down = -(-(lower - tile_upper) // tile_height)
    if across * down > _J2K_MAX_TILES:
        raise BadInput("JPEG 2000: more tiles than can be numbered")
    depth = siz[38]
    marker_end = start + 4 + int.from_bytes(data[start + 4 : start + 6], "big")
    return CodestreamHead(
        rows=lower - upper,
        columns=right - left,
        components=components,
        precision=(depth & 0x7F) + 1,
        signed=bool(depth & 0x80),
        process=0,
        is_transformed=_has_colour_transform(data, marker_end),
        is_uneven=any(
            siz[place : place + 3] != bytes((depth, 1, 1))
            for place in range(38, 38 + 3 * min(components, 4), 3)
        ),
        start=start,
    )


def _has_colour_transform(data: bytes, position: int) -> bool:
    """The multiple component transformation of the main header's COD segment (T.800 A.6.1)."""
    while position + 9 <= len(data) and data[position] == 0xFF and data[position + 1] != _START_OF_TILE:
        if data[position + 1] == _CODING_DEFAULT:
            return data[position + 8] == 1
        position += 2 + max(int.from_bytes(data[position + 2 : position + 4], "big"), 2)
    return False


class _Bits:
    """Numbers of so many bits, the lowest bit of the first byte first (ISO/IEC 18181-1 B.2). BadInput at the end."""

    def __init__(self, data: bytes) -> None:
        self._left = len(data) * 8
        self._value = int.from_bytes(data, "little")

    def take(self, bits: int) -> int:
        """The next number."""
        self._left -= bits
        if self._left < 0:
            raise BadInput("JPEG XL: the head ends too early")
        taken = self._value & (1 << bits) - 1
        self._value >>= bits
        return taken

    def choice(self, *ways: tuple[int, int]) -> int:
        """One of four ways to write a number: its bits, and what is added to it."""
        bits, added = ways[self.take(2)]
        return self.take(bits) + added


def jpeg_xl_head(data: bytes) -> CodestreamHead:
    """The head of a JPEG XL codestream, bare or in boxes; of one picture as it lies, without previews, animation,
    floating point numbers or more channels than grey or three colours. BadInput."""
    begin = _jpeg_xl_start(data)
    bits = _Bits(data[begin + 2 : begin + 2 + _JXL_HEAD_BYTES])
    columns, rows = _jpeg_xl_size(bits)
    precision, components, is_transformed = 8, 3, True
    if not bits.take(1):  # not all as it usually is
        if bits.take(1) and (bits.take(3) or bits.take(3)):
            raise BadInput("JPEG XL: turned, with a preview or in motion")
        if bits.take(1):
            raise BadInput("JPEG XL: floating point numbers")
        precision = bits.choice((0, 8), (0, 10), (0, 12), (6, 1))
        bits.take(1)
        if bits.choice((0, 0), (0, 1), (4, 2), (12, 1)):
            raise BadInput("JPEG XL: more channels than colours")
        is_transformed = bool(bits.take(1))
        if not bits.take(1):
            bits.take(1)
            space = bits.choice((0, 0), (0, 1), (4, 2), (6, 18))
            components = 1 if space == _JXL_GREY else 3
    return CodestreamHead(
        rows,
        columns,
        components,
        precision,
        signed=False,
        process=0,
        is_transformed=is_transformed,
        start=begin,
    )


def jpeg_xl_gives_rgb(head: CodestreamHead, syntax: str, photometric: str) -> bool:
    """Whether three components come out as RGB whatever they are called: out of XYB, and out of the YCbCr of a JPEG."""
    return head.is_transformed or syntax == JPEG_XL_RECOMPRESSION or photometric in ("XYB", "YBR_FULL_422")


def _jpeg_xl_start(data: bytes) -> int:
    """Where the codestream begins."""
    if not data.startswith(_JXL_BOXES):
        if data.startswith(_JXL_START):
            return 0
        raise BadInput("JPEG XL: no codestream")
    position = len(_JXL_BOXES)
    while position + 8 <= len(data):
        length, kind, head = (
            int.from_bytes(data[position : position + 4], "big"),
            data[position + 4 : position + 8],
            8,
        )
        if length == 1:
            length, head = int.from_bytes(data[position + 8 : position + 16], "big"), 16
        if kind in _JXL_PARTS:
            begin = position + head + _JXL_PARTS[kind]
            if data[begin : begin + 2] != _JXL_START:
                break
            return begin
        if length < head:
            break
        position += length
    raise BadInput("JPEG XL: no codestream")


def _jpeg_xl_size(bits: _Bits) -> tuple[int, int]:
    """Columns and rows."""
    is_small = bits.take(1)

    def side() -> int:
        return 8 * (bits.take(5) + 1) if is_small else bits.choice(*_JXL_SIDES)

    rows = side()
    across, down = _JXL_RATIOS[bits.take(3)]
    return (rows * across // down if across else side()), rows
