"""Reads what a compressed frame says of its own size, before any codec allocates memory for it.

JPEG and JPEG-LS (ITU-T T.81 B.2.2, T.87 C.2.2: the SOF segment) and JPEG 2000 and HTJ2K (ITU-T T.800 A.5.1:
the SIZ segment). Pure, bounded by the length of the data, allocates nothing.
"""

from dataclasses import dataclass
from typing import Final

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
    """For JPEG the SOF marker's second byte (0xC0 baseline, 0xC3 lossless, 0xF7 JPEG-LS); 0 for JPEG 2000."""
    transform: int | None = None
    """The Adobe APP14 colour transform (0 = none, 1 = YCbCr), if there is one."""
    has_jfif: bool = False
    component_ids: bytes = b""
    is_transformed: bool = False
    """Whether the JPEG 2000 codestream has a colour transform of its own (RCT or ICT), which the codec undoes."""
    start: int = 0
    """Where the bare JPEG 2000 codestream begins (files in JP2 boxes are met in practice)."""


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
        start=start,
    )


def _has_colour_transform(data: bytes, position: int) -> bool:
    """The multiple component transformation of the main header's COD segment (T.800 A.6.1)."""
    while position + 9 <= len(data) and data[position] == 0xFF and data[position + 1] != _START_OF_TILE:
        if data[position + 1] == _CODING_DEFAULT:
            return data[position + 8] == 1
        position += 2 + max(int.from_bytes(data[position + 2 : position + 4], "big"), 2)
    return False
