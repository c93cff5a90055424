"""Where the bytes of a series object lie when some of its frames are stored coded. Pure functions on bytes.

A *place* in an object counts the bytes as they were received, whatever lies in the file: readers, manifests and rows
know no other. The table says for each stretch of places where it lies, and of a coded frame what it is to be decoded
as and the CRC-32 that the decoded bytes must have.
"""

import struct
import zlib
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Protocol

from samsyn import limits
from samsyn.errors import DamagedData

_ROW: Final = struct.Struct("<QQQQBBBBIII")


class Codec(IntEnum):
    """How a stretch lies in the file."""

    PLAIN = 0
    JPEG_LS = 1
    JPEG_2000 = 2
    HTJ2K = 3


@dataclass(frozen=True, slots=True)
class Shape:
    """What a native frame is as a codec sees it: whole numbers of `bits` bits, 8 or 16."""

    rows: int
    columns: int
    samples: int
    """Interleaved samples of a pixel, 1 or 3; planes one after the other count as rows."""
    bits: int
    signed: bool
    big_endian: bool

    @property
    def length(self) -> int:
        """Bytes of the frame."""
        return self.rows * self.columns * self.samples * self.bits // 8


@dataclass(frozen=True, slots=True)
class Extent:
    """A stretch of places and where it lies."""

    place: int
    length: int
    offset: int
    stored: int
    """Bytes in the file, at `offset`."""
    codec: Codec = Codec.PLAIN
    shape: Shape | None = None
    crc: int = 0
    """CRC-32 of the bytes of a coded frame as they were received."""


class Decoder(Protocol):
    """Who decodes, and keeps the frames that were decoded last: large ones are read piece by piece."""

    def decoded(self, codec: Codec, shape: Shape, data: bytes) -> bytes:
        """The bytes of a frame as they were received. DamagedData: it can not be decoded. OutOfResources: not now."""

    def kept(self, key: object) -> bytes | None:
        """What was kept under the key, if it still is."""

    def keep(self, key: object, data: bytes) -> None:
        """Keeps a decoded frame for a while."""


def encode(extents: Sequence[Extent]) -> bytes:
    """The table, for `Extents`."""
    rows = []
    for each in extents:
        shape = each.shape or Shape(0, 0, 0, 0, False, False)
        flags = shape.signed | shape.big_endian << 1
        rows.append(
            _ROW.pack(
                *(each.place, each.length, each.offset, each.stored, each.codec),
                *(shape.bits, shape.samples, flags, shape.rows, shape.columns, each.crc),
            )
        )
    return zlib.compress(b"".join(rows))


class Extents:
    """The table of one object, for readings at any place."""

    def __init__(self, table: bytes) -> None:
        """DamagedData: the table is none."""
        try:
            unpacking = zlib.decompressobj()
            rows = unpacking.decompress(table, limits.MAX_EXTENTS * _ROW.size)
        except zlib.error as problem:
            raise DamagedData("a series object's table is damaged") from problem
        if unpacking.unconsumed_tail or len(rows) % _ROW.size:
            raise DamagedData("a series object's table is damaged")
        self._rows = rows
        self._places = [row[0] for row in _ROW.iter_unpack(rows)]

    def read(self, file: Callable[[int, int], bytes], decoder: Decoder, place: int, length: int) -> bytes:
        """`length` bytes from a place on, fewer at the end; `file(offset, length)` reads what lies there."""
        parts: list[bytes] = []
        end, number = place + length, max(bisect_right(self._places, place) - 1, 0)
        while place < end and number < len(self._places):
            extent = self._extent(number)
            skipped, stop = place - extent.place, min(end, extent.place + extent.length) - extent.place
            if extent.shape is None:
                parts.append(file(extent.offset + skipped, stop - skipped))
            else:
                whole = self._decoded(file, decoder, number, extent)
                parts.append(whole if stop - skipped == len(whole) else whole[skipped:stop])
            place, number = extent.place + stop, number + 1
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def is_coded(self, place: int, length: int) -> bool:
        """Whether all of these bytes belong to coded frames, each of which is compared with its CRC."""
        end, number = place + length, max(bisect_right(self._places, place) - 1, 0)
        while place < end and number < len(self._places):
            extent = self._extent(number)
            if extent.shape is None:
                return False
            place, number = extent.place + extent.length, number + 1
        return True

    def _decoded(
        self, file: Callable[[int, int], bytes], decoder: Decoder, number: int, extent: Extent
    ) -> bytes:
        assert extent.shape is not None
        kept = decoder.kept((self, number))
        if kept is not None:
            return kept
        data = decoder.decoded(extent.codec, extent.shape, file(extent.offset, extent.stored))
        if len(data) != extent.length or zlib.crc32(data) != extent.crc:
            raise DamagedData("a coded frame is not what it was")
        decoder.keep((self, number), data)
        return data

    def _extent(self, number: int) -> Extent:
        place, length, offset, stored, codec, bits, samples, flags, rows, columns, crc = _ROW.unpack_from(
            self._rows, number * _ROW.size
        )
        try:
            kind = Codec(codec)
        except ValueError as problem:
            raise DamagedData("a series object's table is damaged") from problem
        if kind is Codec.PLAIN:
            return Extent(place, length, offset, stored)
        shape = Shape(rows, columns, samples, bits, bool(flags & 1), bool(flags & 2))
        return Extent(place, length, offset, stored, kind, shape, crc)
