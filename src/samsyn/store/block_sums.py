"""The quick check of a part of a body: an XXH3-64 checksum of each of its blocks, for frames that are a small part of
their object (a clip, a slide, an enhanced CT), so that a part is checked without the rest being read (decision 0043).

Made once for each object that is read by parts, when its series has been quiet or at the first reading of a part, while
the whole is read and compared with its own checksum: so they are those of the bytes that came in. Kept by the body's
SHA-256 in the derived folder, where they can be deleted at any time. An object store checks its blocks itself
(`objects.sealed`), but for what came by a node's own journal, and frames that lie coded have a CRC of their own
(`packing.extents`), which what lies plain beside them has not.
"""

import os
import struct
from array import array
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Final, TypeAlias

from xxhash import xxh3_64, xxh3_64_intdigest

from samsyn import limits
from samsyn.errors import DamagedData
from samsyn.model.imaging import StoredInstance
from samsyn.store.checksum import Bytes, Check
from samsyn.store.store import Store

BLOCK: Final = 16 * limits.KIB
"""A part costs at most two of these beside it; the sums of a gigabyte are 512 KiB."""
_HEAD: Final = struct.Struct("<4s4xQQ")
"""Magic, number of sums, XXH3-64 of the sums."""
_MAGIC: Final = b"BS01"
_PIECE: Final = 64 * BLOCK
_SUM_BYTES: Final = 8

Sums: TypeAlias = Sequence[int]
Read: TypeAlias = Callable[[int, int], Bytes | None]
"""`length` bytes of the body from an offset on; None = not at hand."""


class BlockSums:
    """Makes, keeps and finds the sums of bodies."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._folder = store.folder / "derived" / "sums"
        self._kept: OrderedDict[bytes, Sums] = OrderedDict()
        self._kept_bytes = 0
        self._lock = Lock()

    def known(self, instance: StoredInstance) -> Sums | None:
        """What is in memory; None = ask `of`, in a thread."""
        with self._lock:
            found = self._kept.get(instance.sha256)
            if found is not None:
                self._kept.move_to_end(instance.sha256)
            return found

    def of(self, instance: StoredInstance) -> Sums:
        """The sums of the instance's blocks. Blocking: the whole body may be read. DamagedData: it is not what came."""
        found = self.known(instance)
        if found is None:
            path = self._path(instance)
            found = _read(path, instance.location.length)
            if found is None:
                found = self._made(instance)
                _write(path, found)
            self._keep(instance.sha256, found)
        return found

    def part(self, instance: StoredInstance, offset: int, length: int) -> bytes:
        """Bytes of the instance from an offset on, checked with what is around them unless they are where they lie.
        Blocking, as `of`. DamagedData: they are not what came."""
        place = instance.location

        def read(first: int, count: int) -> bytes:
            return self._store.body(place.segment, place.offset + first, count)

        part = read(offset, length)
        if not length or self._store.checks(place, offset, length):
            return part
        if not is_whole_part(self.of(instance), offset, part, place.length, read):
            raise DamagedData(f"instance {instance.sop_instance_uid}")
        return part

    def _path(self, instance: StoredInstance) -> Path:
        name = instance.sha256.hex()
        return self._folder / name[:2] / f"{name}.sums"

    def _made(self, instance: StoredInstance) -> Sums:
        place, check, found = instance.location, Check(instance), array("Q")
        for offset in range(0, place.length, _PIECE):
            length = min(_PIECE, place.length - offset)
            piece = memoryview(self._store.body(place.segment, place.offset + offset, length))
            check.update(piece)
            found.extend(xxh3_64_intdigest(piece[first : first + BLOCK]) for first in range(0, length, BLOCK))
        if not check.fits():
            raise DamagedData(f"instance {instance.sop_instance_uid}")
        return found

    def _keep(self, key: bytes, sums: Sums) -> None:
        with self._lock:
            if key not in self._kept:
                self._kept[key] = sums
                self._kept_bytes += len(sums) * _SUM_BYTES
            while self._kept_bytes > limits.KEPT_SUM_BYTES and len(self._kept) > 1:
                self._kept_bytes -= len(self._kept.popitem(last=False)[1]) * _SUM_BYTES


def is_whole_part(sums: Sums, offset: int, part: Bytes, total: int, read: Read) -> bool | None:
    """Whether a part of a body of `total` bytes, from `offset` on, is what came; `read` gives what is around it
    up to the ends of its blocks. None: that is not at hand."""
    view, end = memoryview(part), offset + len(part)
    for number in range(offset // BLOCK, -(-end // BLOCK)):
        begins, ends = number * BLOCK, min((number + 1) * BLOCK, total)
        inside = view[max(begins - offset, 0) : min(ends, end) - offset]
        if begins >= offset and ends <= end:
            digest = xxh3_64_intdigest(inside)
        else:
            before = read(begins, offset - begins) if begins < offset else b""
            after = read(end, ends - end) if end < ends else b""
            if before is None or after is None:
                return None
            summed = xxh3_64(before)
            summed.update(inside)
            summed.update(after)
            digest = summed.intdigest()
        if digest != sums[number]:
            return False
    return True


def _read(path: Path, length: int) -> Sums | None:
    """What is kept for a body of that length; None = nothing that is whole."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    if len(data) < _HEAD.size:
        return None
    magic, count, digest = _HEAD.unpack_from(data)
    rows = data[_HEAD.size :]
    is_right = magic == _MAGIC and count == -(-length // BLOCK) and len(rows) == count * _SUM_BYTES
    if not is_right or xxh3_64_intdigest(rows) != digest:
        return None
    found = array("Q")
    found.frombytes(rows)
    return found


def _write(path: Path, sums: Sums) -> None:
    """Whole or not at all. Not synced, and a full disk is no error: it can be made again."""
    rows = array("Q", sums).tobytes()
    fresh = path.with_suffix(f".{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh.write_bytes(_HEAD.pack(_MAGIC, len(sums), xxh3_64_intdigest(rows)) + rows)
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
