"""Segments out of which bodies were taken: what is left of each is one object, and every place stays what it was.

A file system makes holes in a file; an object can not have any. So the ranges that are left are put together in a new
object, behind them a table that says where each of them lay::

    range | range | … | table | footer

A segment that gives back again gets another object with a higher version; the one before is taken away when the new
one was read back.
"""

import struct
import zlib
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Final

import orjson

from samsyn import limits
from samsyn.errors import DamagedData
from samsyn.store.objects.joined import JoinedSegments, Left, Table
from samsyn.store.objects.port import Objects

SPARSE: Final = "sparse/"
_FOOTER: Final = struct.Struct("<4sIQ")
"""Magic, length of the table, length of the segment as it was."""
_MAGIC: Final = b"SG01"
_KEPT_TABLES: Final = 10_000
"""Tables kept in memory: some hundred bytes for each batch."""


class SparseSegments:
    """Reads of segments that have given back, and the giving back itself. Any thread may call."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self.joined = JoinedSegments(objects)
        self._lock = Lock()
        self._tables: OrderedDict[int, Table] = OrderedDict()

    def knows(self, segment: int) -> bool:
        """Whether the segment is known to have given back; nothing is asked."""
        with self._lock:
            return segment in self._tables

    def find(self, segment: int) -> bool:
        """Whether the segment has given back; the object store is asked when that is not known."""
        return self._table(segment) is not None

    def size(self, segment: int) -> int:
        """Length of the segment as it was. DamagedData: it has not given back, so nothing is there."""
        return self._known(segment).size

    def read(self, segment: int, offset: int, length: int) -> bytes:
        """Bytes of the segment by the places they always had. DamagedData: some were given back."""
        table = self._known(segment)
        place = bisect_right(table.begins, offset) - 1
        if place >= 0:
            inside = offset - table.begins[place]
            if inside + length <= table.lengths[place]:
                try:
                    return self._objects.read(table.name, table.places[place] + inside, length)
                except DamagedData:
                    with self._lock:  # another node may have given more back since
                        self._tables.pop(segment, None)
                    if self._known(segment).name == table.name:
                        raise
                    return self.read(segment, offset, length)
        raise DamagedData(f"journal segment {segment} was given back there")

    def is_gone(self, segment: int, offset: int, length: int) -> bool:
        """Whether any of these bytes was given back."""
        table = self._known(segment)
        place = bisect_right(table.begins, offset) - 1
        if place < 0:
            return length > 0
        return offset + length > table.begins[place] + table.lengths[place]

    def replace(
        self,
        segment: int,
        size: int,
        places: Sequence[tuple[int, int]],
        read: Callable[[int, int], bytes],
    ) -> str:
        """Puts the segment anew without the places (offset, length), and reads it back; the name of the sparse object
        that it takes the place of, "" when it was whole. The former one is still there."""
        former = self._table(segment)
        version = int(former.name.rpartition("/")[2]) + 1 if former is not None else 1
        name = f"{SPARSE}{segment:012d}/{version:04d}"
        left = _without(_ranges(former, size), places)
        pieces = [read(begin, end - begin) for begin, end in left]
        table = zlib.compress(orjson.dumps([[begin, end - begin] for begin, end in left]))
        self._objects.put_new(name, [*pieces, table, _FOOTER.pack(_MAGIC, len(table), size)])
        fresh = self._load(name)
        for (begin, end), piece in zip(left, pieces, strict=True):
            place = fresh.places[fresh.begins.index(begin)]
            if self._objects.read(name, place, end - begin) != piece:
                raise DamagedData(f"object {name} reads back otherwise than it was put")
        with self._lock:
            self._tables[segment] = fresh
        return former.name if former is not None else ""

    def left(self, segment: int) -> Left:
        """What is left of a segment that has given back, whole. DamagedData: it can not be read."""
        table = self._known(segment)
        ranges = zip(table.begins, table.lengths, table.places, strict=True)
        return Left(
            segment,
            table.size,
            tuple((begin, self._objects.read(table.name, place, length)) for begin, length, place in ranges),
        )

    def forget(self, segment: int) -> None:
        """It lies elsewhere from now on."""
        with self._lock:
            self._tables.pop(segment, None)

    def _known(self, segment: int) -> Table:
        table = self._table(segment)
        if table is None:
            raise DamagedData(f"journal segment {segment} is not there")
        return table

    def _table(self, segment: int) -> Table | None:
        with self._lock:
            kept = self._tables.get(segment)
        if kept is not None:
            return kept
        names = [each.name for each in self._objects.names(f"{SPARSE}{segment:012d}/")]
        table = self._load(names[-1]) if names else self.joined.find(segment)
        if table is None:
            return None
        with self._lock:
            self._tables[segment] = table
            while len(self._tables) > _KEPT_TABLES:
                self._tables.popitem(last=False)
        return table

    def _load(self, name: str) -> Table:
        whole = self._objects.size(name)
        if whole is None or whole < _FOOTER.size:
            raise DamagedData(f"object {name} is not there")
        magic, length, size = _FOOTER.unpack(self._objects.read(name, whole - _FOOTER.size, _FOOTER.size))
        if magic != _MAGIC or length + _FOOTER.size > whole:
            raise DamagedData(f"object {name} is no sparse segment")
        packed = self._objects.read(name, whole - _FOOTER.size - length, length)
        unpacking = zlib.decompressobj()
        ranges = orjson.loads(unpacking.decompress(packed, limits.MAX_MANIFEST_BYTES))
        places, at = [], 0
        for _, size_of_range in ranges:
            places.append(at)
            at += size_of_range
        return Table(
            name, size, tuple(each[0] for each in ranges), tuple(each[1] for each in ranges), tuple(places)
        )


def _ranges(table: Table | None, size: int) -> list[tuple[int, int]]:
    """(begin, end) of what is there."""
    if table is None:
        return [(0, size)]
    return [(begin, begin + length) for begin, length in zip(table.begins, table.lengths, strict=True)]


def _without(ranges: list[tuple[int, int]], places: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The ranges, without the places (offset, length)."""
    left = ranges
    for offset, length in places:
        cut: list[tuple[int, int]] = []
        for begin, end in left:
            cut += [(begin, min(end, offset)), (max(begin, offset + length), end)]
        left = [(begin, end) for begin, end in cut if begin < end]
    return left
