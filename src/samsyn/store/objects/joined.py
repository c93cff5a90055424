"""Small segments of the journal in an object store, many in one object: every place stays what it was.

Each batch is an object of its own while it is young. What is left of old ones is small (headers, texts, audit entries),
and there are millions. So segments that will give nothing back any more are put together, and the ones before are taken
away when the joined object was read back::

    ranges of segment | ranges of segment | … | table | footer

The object's name tells the first and the last segment in it; segments between them may lie elsewhere.
"""

import struct
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Final

import orjson

from samsyn import limits
from samsyn.errors import DamagedData
from samsyn.store.objects.port import Objects

JOINED: Final = "joined/"
_FOOTER: Final = struct.Struct("<4sI")
"""Magic, length of the table."""
_MAGIC: Final = b"SJ10"
_KEPT_TABLES: Final = 64
"""Tables of joined objects kept in memory: some 100 kB each."""


@dataclass(frozen=True, slots=True)
class Table:
    """Where what is left of a segment lies."""

    name: str
    size: int
    """Length of the segment as it was."""
    begins: tuple[int, ...]
    """Where each range that is left began in the segment."""
    lengths: tuple[int, ...]
    places: tuple[int, ...]
    """Where each lies in the object."""


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of one segment."""

    segment: int
    size: int
    """Length of the segment as it was."""
    ranges: tuple[tuple[int, bytes], ...]
    """(where it began in the segment, the bytes)."""


class JoinedSegments:
    """Finds segments in joined objects, and joins more. Any thread may call."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._lock = Lock()
        self._names: dict[str, tuple[int, int]] = {}
        """Name of each object that is known -> first and last segment in it."""
        self._tables: OrderedDict[str, dict[int, Table]] = OrderedDict()

    def find(self, segment: int) -> Table | None:
        """Where the segment lies, if it was joined; the object store is asked when it is in none that is known."""
        found = self._find(segment)
        if found is None and self._look():
            found = self._find(segment)
        return found

    def segments(self, behind: int = 0) -> Iterator[int]:
        """Numbers of the joined segments from this one on, in no order."""
        self._look()
        with self._lock:
            names = [name for name, (_, last) in self._names.items() if last >= behind]
        for name in names:
            yield from (each for each in self._table_of(name) if each >= behind)

    def join(self, members: Sequence[Left]) -> None:
        """Puts them as one object and reads it back; the ones before are still there. DamagedData: it reads back
        otherwise. Conflict: something else was joined under the name."""
        name = f"{JOINED}{members[0].segment:012d}-{members[-1].segment:012d}"
        told = [
            [each.segment, each.size, [[begin, len(data)] for begin, data in each.ranges]] for each in members
        ]
        table = zlib.compress(orjson.dumps(told))
        pieces = [data for each in members for _, data in each.ranges]
        self._objects.put_new(name, [*pieces, table, _FOOTER.pack(_MAGIC, len(table))])
        tables = self._load(name)
        for each in members:
            there = tables[each.segment]
            for place, (_, data) in zip(there.places, each.ranges, strict=True):
                if self._objects.read(name, place, len(data)) != data:
                    raise DamagedData(f"object {name} reads back otherwise than it was put")
        with self._lock:
            self._names[name] = (members[0].segment, members[-1].segment)

    def _find(self, segment: int) -> Table | None:
        with self._lock:
            names = [name for name, (first, last) in self._names.items() if first <= segment <= last]
        for name in names:
            table = self._table_of(name).get(segment)
            if table is not None:
                return table
        return None

    def _look(self) -> bool:
        """Whether there are objects that were not known."""
        found = {each.name: _span(each.name) for each in self._objects.names(JOINED)}
        with self._lock:
            is_more = not found.keys() <= self._names.keys()
            self._names.update(found)
        return is_more

    def _table_of(self, name: str) -> dict[int, Table]:
        with self._lock:
            kept = self._tables.get(name)
            if kept is not None:
                self._tables.move_to_end(name)
                return kept
        tables = self._load(name)
        with self._lock:
            self._tables[name] = tables
            while len(self._tables) > _KEPT_TABLES:
                self._tables.popitem(last=False)
        return tables

    def _load(self, name: str) -> dict[int, Table]:
        whole = self._objects.size(name)
        if whole is None or whole < _FOOTER.size:
            raise DamagedData(f"object {name} is not there")
        magic, length = _FOOTER.unpack(self._objects.read(name, whole - _FOOTER.size, _FOOTER.size))
        if magic != _MAGIC or length + _FOOTER.size > whole:
            raise DamagedData(f"object {name} holds no joined segments")
        packed = self._objects.read(name, whole - _FOOTER.size - length, length)
        told = orjson.loads(zlib.decompressobj().decompress(packed, limits.MAX_MANIFEST_BYTES))
        tables: dict[int, Table] = {}
        at = 0
        for segment, size, ranges in told:
            places = []
            for _, size_of_range in ranges:
                places.append(at)
                at += size_of_range
            tables[segment] = Table(
                name,
                size,
                tuple(each[0] for each in ranges),
                tuple(each[1] for each in ranges),
                tuple(places),
            )
        return tables


def _span(name: str) -> tuple[int, int]:
    first, _, last = name.removeprefix(JOINED).partition("-")
    return int(first), int(last)
