"""Series objects in a folder: ranged reads, manifests (kept in memory within bounds), and writing a new version.

`remote_series` is the same in an object store.
"""

import contextlib
import hashlib
import os
import shutil
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Final

from samsyn import limits
from samsyn.errors import DamagedData
from samsyn.model.imaging import StoredInstance
from samsyn.store import records
from samsyn.store.checksum import Checksum
from samsyn.store.durable import sync_folder
from samsyn.store.objects import manifest as manifests
from samsyn.store.objects.manifest import FOOTER, Manifest
from samsyn.store.open_files import OpenFiles, at_hand
from samsyn.store.packing import extents
from samsyn.store.packing.children import CodingChildren
from samsyn.store.packing.extents import Codec, Decoder, Extent, Extents, Shape

_OPEN_FILES: Final = 256
_PIECE: Final = 4 * limits.MIB


@dataclass(frozen=True, slots=True)
class SettledSeries:
    """The instances of a series that are settled, in the order of the object."""

    manifest: Manifest
    instances: tuple[StoredInstance, ...]
    numbers: dict[str, int]
    """Place in `instances` by SOP Instance UID."""


class SeriesObjects:
    """Objects under one folder, named by object key: nothing of a name comes from outside. Any thread may read."""

    replaces = True
    """Whether a later version takes the place of the one before; otherwise it has a key of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.coding = CodingChildren()
        self._files = OpenFiles(_OPEN_FILES, _table_of)
        self._kept: OrderedDict[int, SettledSeries] = OrderedDict()
        self._kept_instances = 0
        self._lock = Lock()

    def path(self, object_key: int) -> Path:
        """The file of a series."""
        return self._folder / f"{object_key % 256:02x}" / f"{object_key}.series"

    def read(self, object_key: int, offset: int, length: int) -> bytes:
        """Exactly these bytes of the object; DamagedData when the file is shorter or gone."""
        try:
            file = self._files.take(object_key, self.path(object_key))
            try:
                if not isinstance(file.about, Extents):
                    data = os.pread(file.descriptor, length, offset)
                else:
                    read = partial(_pread, file.descriptor)
                    data = file.about.read(read, self.coding, offset, length)
            finally:
                self._files.give_back(file)
        except OSError as problem:
            raise DamagedData(f"series object {object_key}: {problem.strerror}") from problem
        if len(data) != length:
            raise DamagedData(f"series object {object_key} ends early")
        return data

    def read_at_hand(self, object_key: int, offset: int, length: int) -> memoryview | None:
        """The same if it lies as it is in the page cache, else None; `read` then tells what is the matter."""
        try:
            file = self._files.take(object_key, self.path(object_key))
            try:
                return None if isinstance(file.about, Extents) else at_hand(file.descriptor, offset, length)
            finally:
                self._files.give_back(file)
        except OSError:
            return None

    def is_coded(self, object_key: int) -> bool:
        """Whether reading may mean decoding. DamagedData: the object is gone."""
        try:
            file = self._files.take(object_key, self.path(object_key))
        except OSError as problem:
            raise DamagedData(f"series object {object_key}: {problem.strerror}") from problem
        self._files.give_back(file)
        return isinstance(file.about, Extents)

    def checks(self, object_key: int, offset: int, length: int) -> bool:
        """Whether reading these bytes checks them: they are those of coded frames. DamagedData: the object is gone."""
        try:
            file = self._files.take(object_key, self.path(object_key))
        except OSError as problem:
            raise DamagedData(f"series object {object_key}: {problem.strerror}") from problem
        self._files.give_back(file)
        return isinstance(file.about, Extents) and file.about.is_coded(offset, length)

    def settled(self, object_key: int, count: int) -> SettledSeries:
        """The first `count` instances of the object, as many as the index says are settled.

        DamagedData: the manifest is damaged or tells fewer.
        """
        with self._lock:
            kept = self._kept.get(object_key)
            if kept is not None and len(kept.instances) == count:
                self._kept.move_to_end(object_key)
                return kept
        found = _first(self.load(object_key), count)
        with self._lock:
            self._drop_kept(object_key)
            self._kept[object_key] = found
            self._kept_instances += count
            while self._kept_instances > limits.MAX_KEPT_SETTLED and len(self._kept) > 1:
                self._drop_kept(next(iter(self._kept)))
        return found

    def load(self, object_key: int) -> Manifest:
        """The manifest of an object; DamagedData when it is not whole."""
        return load(self.path(object_key))

    def damaged_rows(
        self, object_key: int, manifest: Manifest, told: Callable[[int], None] | None = None
    ) -> list[int]:
        """See `damaged_rows` below."""
        return damaged_rows(self.path(object_key), manifest, self.coding, told)

    def all_keys(self) -> Iterator[int]:
        """Keys of all objects that are there, named or not."""
        for path in self._folder.glob("*/*.series"):
            if path.stem.isdigit():
                yield int(path.stem)

    def in_copy(self, object_key: int, second_copy: Path) -> Manifest | None:
        """The manifest that another data folder has under the key, None when it has none that is whole."""
        with contextlib.suppress(DamagedData):
            return load(self._source(object_key, second_copy))
        return None

    def _source(self, object_key: int, second_copy: Path) -> Path:
        path = self.path(object_key)
        return second_copy / "objects" / path.parent.name / path.name

    def adopt(self, object_key: int, second_copy: Path, manifest: Manifest) -> bool:
        """Replaces a damaged object by that of another data folder, when it is whole there and has that manifest;
        whether it was. The caller has seen that it is the manifest of what the index knows under the key: a copy that
        was made between an attempt and the next has another series' object there."""
        if not adopt(self.path(object_key), self._source(object_key, second_copy), manifest, self.coding):
            return False
        self.forget(object_key)
        return True

    def new_version(self, object_key: int) -> "NewVersion":
        """An object in the making."""
        return NewVersion(self.path(object_key), self.coding)

    def forget(self, object_key: int) -> None:
        """The object was replaced by a later version."""
        with self._lock:
            self._drop_kept(object_key)
        self._files.drop(object_key)

    def _drop_kept(self, object_key: int) -> None:
        dropped = self._kept.pop(object_key, None)
        if dropped is not None:
            self._kept_instances -= len(dropped.instances)

    def close(self) -> None:
        """Closes every file and ends the coding children."""
        self._files.close()
        self.coding.close()


def _first(manifest: Manifest, count: int) -> SettledSeries:
    if len(manifest.rows) < count:
        raise DamagedData(f"series object {manifest.object_key} has fewer instances than are settled")
    cut = Manifest(
        manifest.object_key,
        manifest.series_uid,
        manifest.study_uid,
        manifest.columns,
        manifest.rows[:count],
        manifest.frames[:count],
    )
    instances = tuple(manifests.stored(cut, number) for number in range(count))
    return SettledSeries(
        cut, instances, {each.sop_instance_uid: place for place, each in enumerate(instances)}
    )


def load(path: Path) -> Manifest:
    """The manifest of an object file; DamagedData when it is not whole."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)

            def read(offset: int, length: int) -> bytes:
                file.seek(offset)
                return file.read(length)

            return load_from(read, size)
    except OSError as problem:
        raise DamagedData(f"series object {path.stem}: {problem.strerror}") from problem


def load_from(read: Callable[[int, int], bytes], size: int) -> Manifest:
    """The manifest of an object of `size` bytes; DamagedData when it is not whole."""
    begins = max(0, size - FOOTER.size)
    offset, length, sha256 = manifests.decode_footer(read(begins, size - begins), size)
    return manifests.decode(read(offset, length), sha256)


def _pread(descriptor: int, offset: int, length: int) -> bytes:
    return os.pread(descriptor, length, offset)


def _table_of(descriptor: int) -> Extents | None:
    return manifests.read_table(partial(_pread, descriptor), os.fstat(descriptor).st_size)


def damaged_rows(
    path: Path, manifest: Manifest, decoder: Decoder, told: Callable[[int], None] | None = None
) -> list[int]:
    """Reads an object file from end to end; the places in the manifest of instances whose bytes have not their hash.

    `told` gets the bytes of each instance read. DamagedData: the file can not be read at all.
    """
    damaged: list[int] = []
    try:
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            table = _table_of(file.fileno())
            read: Callable[[int, int], bytes] = partial(_pread, file.fileno())
            if table is not None:
                read = partial(table.read, read, decoder)
            for number in range(len(manifest.rows)):
                row = manifest.row(number)
                if not records.has_hash(read, row["body_offset"], int(row["length"]), row["sha256"]):
                    damaged.append(number)
                if told is not None:
                    told(int(row["length"]))
    except OSError as problem:
        raise DamagedData(f"series object {path.stem}: {problem.strerror}") from problem
    return damaged


def adopt(path: Path, source: Path, manifest: Manifest, decoder: Decoder) -> bool:
    """Replaces a damaged object by its second copy, when that is whole and has this manifest; whether it was.

    Where the present manifest can still be read, the copy must begin with the same instances.
    """
    part = path.with_suffix(".mending")
    try:
        if str(manifest.object_key) != path.stem:
            return False
        with contextlib.suppress(DamagedData):
            present = _told(load(path))
            if _told(manifest)[: len(present)] != present:
                return False
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.copyfile(source, part)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        if load(part) != manifest or damaged_rows(part, manifest, decoder):
            return False
        part.replace(path)
        sync_folder(path.parent)
    except (DamagedData, OSError):
        return False
    finally:
        part.unlink(missing_ok=True)
    return True


def _told(manifest: Manifest) -> list[tuple[str, int, int, str]]:
    """Which instances lie where."""
    rows = map(manifest.row, range(len(manifest.rows)))
    return [(row["sop_uid"], row["body_offset"], row["length"], row["sha256"]) for row in rows]


class NewVersion:
    """An object in the making, beside the present one. `put` takes its place; until then nothing has changed."""

    def __init__(self, path: Path, coding: CodingChildren) -> None:
        """OSError as of any new file."""
        self._path = path
        self._coding = coding
        self._part = path.with_suffix(".part")
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._part, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        self._file = os.fdopen(descriptor, "r+b", buffering=0)
        self.size = 0
        """Bytes of the instances as they were received: the next one's place."""
        self._written = 0
        self._extents: list[Extent] = []
        self.coded_from = self.coded_to = 0
        """Bytes of the frames that were coded, before and after."""

    def append(
        self,
        read: Callable[[int, int], bytes],
        length: int,
        sha256: str,
        frames: Sequence[tuple[int, Shape]] = (),
        codec: Codec = Codec.PLAIN,
    ) -> tuple[int, int]:
        """Copies `length` bytes given by `read(offset, length)`; where they lie now, and their checksum.

        `frames`: offset and form of native frames, in order, which are stored by `codec` where that is worth it.
        DamagedData: they have not that hash.
        """
        begins, offset = self.size, 0
        digest, check = hashlib.sha256(), Checksum()
        for start, shape in frames:
            self._copy(read, offset, start, digest, check)
            data = read(start, shape.length)
            digest.update(data)
            check.update(data)
            self._put_frame(codec, shape, data)
            offset = start + shape.length
        self._copy(read, offset, length, digest, check)
        if digest.hexdigest() != sha256:
            raise DamagedData("an instance has not its hash any more and is not settled")
        return begins, check.value

    def _copy(
        self,
        read: Callable[[int, int], bytes],
        offset: int,
        end: int,
        digest: "hashlib._Hash",
        check: Checksum,
    ) -> None:
        for first in range(offset, end, _PIECE):
            piece = read(first, min(_PIECE, end - first))
            digest.update(piece)
            check.update(piece)
            self._write(piece)
            self._note(len(piece), len(piece))

    def _put_frame(self, codec: Codec, shape: Shape, data: bytes) -> None:
        made = self._coding.coded(codec, shape, data)
        if made is None:
            self._write(data)
            self._note(len(data), len(data))
            return
        self._write(made)
        self._note(len(data), len(made), codec, shape, zlib.crc32(data))
        self.coded_from += len(data)
        self.coded_to += len(made)

    def _note(
        self, length: int, stored: int, codec: Codec = Codec.PLAIN, shape: Shape | None = None, crc: int = 0
    ) -> None:
        """The stretch that was just written; plain ones that follow each other are one."""
        last = self._extents[-1] if self._extents else None
        if last is not None and last.shape is None and shape is None:
            self._extents[-1] = replace(last, length=last.length + length, stored=last.stored + stored)
        else:
            self._extents.append(Extent(self.size, length, self._written - stored, stored, codec, shape, crc))
        self.size += length

    def _write(self, data: bytes) -> None:
        waiting = memoryview(data)
        while waiting:
            waiting = waiting[self._file.write(waiting) :]
        self._written += len(data)

    def _finish(self, manifest: Manifest) -> None:
        """Writes what stands behind the instances."""
        table = extents.encode(self._extents) if self.coded_from else b""
        self._write(manifests.encode(manifest, self._written, table))

    def put(self, manifest: Manifest) -> None:
        """Ends the file, syncs it, reads it back from the disk, and only then gives it its name, durably.

        DamagedData: what was read back, decoded where it is coded, is not what was written; the present object stays.
        """
        self._finish(manifest)
        os.fsync(self._file.fileno())
        self._file.close()
        if load(self._part) != manifest or damaged_rows(self._part, manifest, self._coding):
            raise DamagedData("a series object reads back otherwise than it was written")
        sync_folder(self._path.parent.parent)
        self._part.replace(self._path)
        sync_folder(self._path.parent)

    def drop(self) -> None:
        """Takes away what is unfinished."""
        self._file.close()
        self._part.unlink(missing_ok=True)
