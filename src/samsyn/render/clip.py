"""Single GIF pictures strung together to one that moves (GIF89a, CompuServe 1990). Pure.

Each picture keeps its own colours, as a local colour table, and its compressed data as they are, so that a clip of
any length can be sent while its pictures are still being made.
"""

import struct
from dataclasses import dataclass
from typing import Final

from samsyn.errors import DamagedData

TRAILER: Final = b"\x3b"
"""What ends the clip."""
_HEAD: Final = struct.Struct("<6sHHBBB")
_EXTENSION, _IMAGE = 0x21, 0x2C
_HAS_TABLE, _INTERLACED, _SIZE_BITS = 0x80, 0x40, 0x07
_FOREVER: Final = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"
"""The application extension that every reader takes for "again and again"."""
SLOWEST_CENTISECONDS: Final = 1_000
_FASTEST_CENTISECONDS: Final = 2
"""Readers show what is faster at a tenth of a second each."""


@dataclass(frozen=True, slots=True)
class _Parts:
    width: int
    height: int
    colours: bytes
    is_interlaced: bool
    size: int
    """The colour table has 2 to the power of this plus one entries."""
    content: bytes
    """Code size and data blocks, the terminator among them."""


def beginning(first: bytes) -> bytes:
    """What stands before the pictures: the size of the first is the clip's."""
    parts = _parts(first)
    return _HEAD.pack(b"GIF89a", parts.width, parts.height, 0x70, 0, 0) + _FOREVER


def picture(single: bytes, shown_ms: float) -> bytes:
    """One picture of the clip, shown for so many milliseconds. DamagedData: it is no GIF of one picture."""
    parts = _parts(single)
    delay = min(max(round(shown_ms / 10), _FASTEST_CENTISECONDS), SLOWEST_CENTISECONDS)
    control = struct.pack("<BBBBHBB", _EXTENSION, 0xF9, 4, 0x04, delay, 0, 0)
    flags = _HAS_TABLE | parts.size | (_INTERLACED if parts.is_interlaced else 0)
    head = struct.pack("<BHHHHB", _IMAGE, 0, 0, parts.width, parts.height, flags)
    return control + head + parts.colours + parts.content


def _parts(single: bytes) -> _Parts:
    try:
        return _taken_apart(single)
    except (struct.error, IndexError):
        raise DamagedData("a picture of the clip ends early") from None


def _taken_apart(single: bytes) -> _Parts:
    signature, width, height, flags, _, _ = _HEAD.unpack_from(single)
    if not signature.startswith(b"GIF8"):
        raise DamagedData("a picture of the clip is no GIF")
    place = _HEAD.size
    colours, size, place = _table(single, flags, place)
    while single[place] == _EXTENSION:
        place = _behind_blocks(single, place + 2)
    if single[place] != _IMAGE:
        raise DamagedData("a picture of the clip has no image")
    own_flags = single[place + 9]
    place += 10
    if own_flags & _HAS_TABLE:
        colours, size, place = _table(single, own_flags, place)
    end = _behind_blocks(single, place + 1)
    return _Parts(width, height, colours, bool(own_flags & _INTERLACED), size, single[place:end])


def _table(single: bytes, flags: int, place: int) -> tuple[bytes, int, int]:
    if not flags & _HAS_TABLE:
        return b"", 0, place
    size = flags & _SIZE_BITS
    end = place + 3 * (2 << size)
    return single[place:end], size, end


def _behind_blocks(single: bytes, place: int) -> int:
    while (length := single[place]) != 0:
        place += 1 + length
    return place + 1
