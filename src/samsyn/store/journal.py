"""The journal on disk: numbered segment files, appended to and synced by one writer, read by anybody.

While nothing is sent, the segment is written with zeros ahead of its end (`prepare`): overwriting a place that
the file already has needs no change of the file system's own books, which halves the time of a small sync.

A record is durable when `append` has returned: the bytes are written and the file is synced (fdatasync), and
a new file's folder entry was synced when it was made. A failed sync may have dropped pages, so it is final for
this process (DESIGN 2, promise 1): the caller must stop taking writes.
"""

import errno
import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from samsyn import limits
from samsyn.errors import DamagedData, OutOfResources, StoreFailed
from samsyn.store.records import FRAME, RecordHeader, decode_frame, decode_header, verify_body

_OPEN_FILES = 128
_MAX_VECTORS = 512
_ZEROS = bytes(4 * limits.MIB)


@dataclass(frozen=True, slots=True)
class Position:
    """A place between two records."""

    segment: int
    offset: int


@dataclass(frozen=True, slots=True)
class ReplayedRecord:
    """One whole record as found on disk, with where it starts and ends."""

    header: RecordHeader
    begins: Position
    ends: Position
    body_length: int


class Journal:
    """Segment files in one folder. `append` from one thread only; `read` from any."""

    def __init__(self, folder: Path) -> None:
        """Opens (and makes, privately) the folder; does not look for torn records yet: see `replay`."""
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._readers: OrderedDict[int, int] = OrderedDict()
        self._readers_lock = Lock()
        self._numbers = sorted(int(path.stem) for path in folder.glob("*.journal"))
        if not self._numbers:
            self._create(1)
        self._open_last()

    def _path(self, segment: int) -> Path:
        return self._folder / f"{segment:08d}.journal"

    def _create(self, segment: int) -> None:
        descriptor = os.open(self._path(segment), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.fsync(descriptor)
        os.close(descriptor)
        folder = os.open(self._folder, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        self._numbers.append(segment)

    def _open_last(self) -> None:
        self._segment = self._numbers[-1]
        self._writer = os.open(self._path(self._segment), os.O_WRONLY)
        self._end = os.fstat(self._writer).st_size
        self._prepared = self._end
        self._burst = 0
        self._wanted = 0

    @property
    def end(self) -> Position:
        """Where the next record will start."""
        return Position(self._segment, self._end)

    def roll_if_full(self) -> None:
        """Starts a new segment when the present one has reached its size."""
        if self._end < limits.SEGMENT_BYTES:
            return
        os.ftruncate(self._writer, self._end)
        os.fsync(self._writer)
        self._prepared = self._end
        self._create(self._segment + 1)
        os.close(self._writer)
        wanted = self._wanted
        self._open_last()
        self._wanted = wanted

    def prepare(self) -> bool:
        """Writes one piece of zeros ahead of the end, to be called when nothing waits; whether it did.

        As far ahead as twice the largest burst so far, within limits.PREPARED_BYTES: who sends little costs
        little. StoreFailed: the disk refused; nothing more may be written.
        """
        self._wanted = max(self._wanted, min(2 * self._burst, limits.PREPARED_BYTES))
        self._burst = 0
        start = max(self._prepared, self._end)
        if start - self._end >= self._wanted or start + len(_ZEROS) > limits.SEGMENT_BYTES:
            return False
        if self.free_bytes() < 2 * limits.DISK_RESERVE_BYTES + len(_ZEROS):
            return False
        try:
            self._prepared = start + os.pwrite(self._writer, _ZEROS, start)
            os.fdatasync(self._writer)
        except OSError as problem:
            raise StoreFailed(f"journal: {problem.strerror}") from problem
        return True

    def append(self, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        """Writes the parts at the end and syncs once.

        OutOfResources: the disk is full, the file is cut back to where it was, later calls may work.
        StoreFailed: write or sync failed otherwise; nothing may be acknowledged and nothing more written.
        """
        try:
            written = self._write(parts)
            os.fdatasync(self._writer)
        except OSError as problem:
            if problem.errno in (errno.ENOSPC, errno.EDQUOT):
                os.ftruncate(self._writer, self._end)
                self._prepared = self._end
                raise OutOfResources("the journal's disk is full") from problem
            raise StoreFailed(f"journal: {problem.strerror}") from problem
        self._end += written
        self._burst += written

    def take_back(self, end: Position) -> None:
        """Cuts off what was appended after `end` in the present segment, of which nothing was acknowledged.

        StoreFailed: it could not be cut off for certain, so nothing more may be written.
        """
        if end == self.end:
            return
        try:
            os.ftruncate(self._writer, end.offset)
            os.fdatasync(self._writer)
        except OSError as problem:
            raise StoreFailed(f"journal: {problem.strerror}") from problem
        self._end = self._prepared = end.offset

    def _write(self, parts: Sequence[bytes | bytearray | memoryview]) -> int:
        position = self._end
        for first in range(0, len(parts), _MAX_VECTORS):
            vectors = [memoryview(part) for part in parts[first : first + _MAX_VECTORS]]
            while vectors:
                count = os.pwritev(self._writer, vectors, position)
                position += count
                while vectors and count >= len(vectors[0]):
                    count -= len(vectors.pop(0))
                if count and vectors:
                    vectors[0] = vectors[0][count:]
        return position - self._end

    def read(self, segment: int, offset: int, length: int) -> bytes:
        """Exactly `length` bytes at the place; DamagedData when the file is shorter or gone."""
        try:
            data = os.pread(self._reader(segment), length, offset)
        except OSError as problem:
            raise DamagedData(f"journal segment {segment}: {problem.strerror}") from problem
        if len(data) != length:
            raise DamagedData(f"journal segment {segment} ends early")
        return data

    def _reader(self, segment: int) -> int:
        with self._readers_lock:
            descriptor = self._readers.get(segment)
            if descriptor is None:
                descriptor = os.open(self._path(segment), os.O_RDONLY)
                self._readers[segment] = descriptor
                if len(self._readers) > _OPEN_FILES:
                    _, oldest = self._readers.popitem(last=False)
                    os.close(oldest)
            return descriptor

    def replay(self, start: Position) -> Iterator[ReplayedRecord]:
        """Every whole record from `start` on, bodies verified.

        A torn record at the very end of the last segment (never acknowledged) is cut off; one anywhere else
        means rot or loss and raises DamagedData: the operator must restore, nothing is skipped silently.
        """
        for segment in [number for number in self._numbers if number >= start.segment]:
            offset = start.offset if segment == start.segment else 0
            size = os.stat(self._path(segment)).st_size
            while offset < size:
                record = self._read_record(segment, offset, size)
                if record is None:
                    if segment != self._numbers[-1]:
                        raise DamagedData(f"journal segment {segment} is damaged at {offset}")
                    self._cut(offset)
                    return
                yield record
                offset = record.ends.offset

    def _read_record(self, segment: int, offset: int, size: int) -> ReplayedRecord | None:
        frame = decode_frame(self.read(segment, offset, min(FRAME.size, size - offset)))
        if frame is None:
            return None
        header_length, body_length, crc = frame
        ends = offset + FRAME.size + body_length + header_length
        if ends > size:
            return None
        header = decode_header(self.read(segment, ends - header_length, header_length), crc)
        if header is None:
            return None
        if header.sha256:
            try:
                verify_body(self.read(segment, offset + FRAME.size, body_length), header.sha256)
            except DamagedData:
                return None
        return ReplayedRecord(header, Position(segment, offset), Position(segment, ends), body_length)

    def _cut(self, offset: int) -> None:
        os.ftruncate(self._writer, offset)
        os.fsync(self._writer)
        self._end = self._prepared = offset

    def free_bytes(self) -> int:
        """Free space of the journal's disk in bytes."""
        facts = os.statvfs(self._folder)
        return facts.f_bavail * facts.f_frsize

    def close(self) -> None:
        """Gives back what was prepared and closes every file."""
        os.ftruncate(self._writer, self._end)
        os.close(self._writer)
        with self._readers_lock:
            for descriptor in self._readers.values():
                os.close(descriptor)
            self._readers.clear()
