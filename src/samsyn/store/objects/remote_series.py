"""Series objects in an object store: immutable, each version under a key of its own.

A late instance makes a new object with a new key; the one before stays as `former_object`, so that a reader who holds
a place in it reads on, and is taken away later. An object is made in a file of the node's own folder, put, and read
back from the store and compared, before any record names it.
"""

import mmap
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

from samsyn.errors import DamagedData
from samsyn.store import records
from samsyn.store.objects.manifest import Manifest, read_table
from samsyn.store.objects.port import Objects
from samsyn.store.objects.series_objects import NewVersion, SeriesObjects, load_from
from samsyn.store.packing.extents import Extents

FOLDER: Final = "series/"
_KEPT_TABLES: Final = 1_024
"""Objects of which it is remembered how their frames are stored; a table has some 60 bytes for each frame."""


def name_of(object_key: int) -> str:
    """The name of a series object."""
    return f"{FOLDER}{object_key:012d}"


class RemoteSeries(SeriesObjects):
    """Series objects behind the port. What the object store can not give just now is OutOfResources, not damage."""

    replaces = False

    def __init__(self, objects: Objects, workshop: Path) -> None:
        """`workshop`: a folder for objects in the making; what an earlier process left in it is taken away."""
        super().__init__(workshop)
        self._objects = objects
        self._tables: OrderedDict[int, Extents | None] = OrderedDict()
        for left in workshop.glob("*/*.part"):
            left.unlink(missing_ok=True)

    def read(self, object_key: int, offset: int, length: int) -> bytes:
        """Exactly these bytes of the object."""
        data = self._reading(object_key)(offset, length)
        if len(data) != length:
            raise DamagedData(f"series object {object_key} ends early")
        return data

    def is_coded(self, object_key: int) -> bool:
        """Whether reading may mean decoding."""
        return self._table(object_key) is not None

    def _reading(self, object_key: int) -> Callable[[int, int], bytes]:
        """Reads at places, whatever lies there."""
        read, table = partial(self._objects.read, name_of(object_key)), self._table(object_key)
        return read if table is None else partial(table.read, read, self.coding)

    def _table(self, object_key: int) -> Extents | None:
        """An object never changes under its key, so what is known of it stays true."""
        with self._lock:
            if object_key in self._tables:
                self._tables.move_to_end(object_key)
                return self._tables[object_key]
        name = name_of(object_key)
        size = self._objects.size(name)
        if size is None:
            raise DamagedData(f"series object {object_key} is not there")
        table = read_table(partial(self._objects.read, name), size)
        with self._lock:
            self._tables[object_key] = table
            while len(self._tables) > _KEPT_TABLES:
                self._tables.popitem(last=False)
        return table

    def checks(self, object_key: int, offset: int, length: int) -> bool:
        """Yes: the seals do, which were made of what was read back by its hashes."""
        return True

    def read_at_hand(self, object_key: int, offset: int, length: int) -> memoryview | None:
        """None: whatever lies in memory here, the next bytes may have to come over the network."""
        return None

    def load(self, object_key: int) -> Manifest:
        """The manifest of an object; DamagedData when it is not whole."""
        name = name_of(object_key)
        size = self._objects.size(name)
        if size is None:
            raise DamagedData(f"series object {object_key} is not there")
        return load_from(lambda offset, length: self._objects.read(name, offset, length), size)

    def damaged_rows(
        self, object_key: int, manifest: Manifest, told: Callable[[int], None] | None = None
    ) -> list[int]:
        """Places in the manifest of instances whose bytes have not their hash, or can not be read whole."""
        read, damaged = self._reading(object_key), []
        for number in range(len(manifest.rows)):
            row = manifest.row(number)
            if not records.has_hash(read, row["body_offset"], row["length"], row["sha256"]):
                damaged.append(number)
            if told is not None:
                told(int(row["length"]))
        return damaged

    def all_keys(self) -> Iterator[int]:
        """Keys of all objects that are there, named or not."""
        for each in self._objects.names(FOLDER):
            yield int(each.name.removeprefix(FOLDER))

    def delete(self, object_key: int) -> None:
        """Takes an object away that nothing names any more."""
        self._objects.delete(name_of(object_key))
        self.forget(object_key)
        with self._lock:
            self._tables.pop(object_key, None)

    def in_copy(self, object_key: int, second_copy: Path) -> Manifest | None:
        """None: an object store keeps its copies itself."""
        return None

    def new_version(self, object_key: int) -> NewVersion:
        """An object in the making."""
        return _RemoteVersion(self.path(object_key), self, self._objects, object_key)


class _RemoteVersion(NewVersion):
    """Made in a file, put from there."""

    def __init__(self, path: Path, series: RemoteSeries, objects: Objects, object_key: int) -> None:
        super().__init__(path, series.coding)
        self._series = series
        self._objects = objects
        self._object_key = object_key

    def put(self, manifest: Manifest) -> None:
        """Puts the object and reads it back.

        DamagedData: what was read back is not what was put. Conflict: the key is taken. OutOfResources: not now.
        """
        self._finish(manifest)
        mapped = mmap.mmap(
            self._file.fileno(), self._written, access=mmap.ACCESS_READ
        )  # a series may be gigabytes
        self._objects.put_new(name_of(self._object_key), [memoryview(mapped)])
        self._file.close()
        os.unlink(self._part)
        if self._series.load(self._object_key) != manifest or self._series.damaged_rows(
            self._object_key, manifest
        ):
            raise DamagedData("a series object reads back otherwise than it was put")
