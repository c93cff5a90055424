"""The journal on disk: numbered segment files, appended to and synced by one writer, read by anybody.

While nothing is sent, the segment is written with zeros ahead of its end (`prepare`): overwriting a place that
the file already has needs no change of the file system's own books, which halves the time of a small sync.

A record is durable when `append` has returned: the bytes are written and the file is synced (fdatasync), and
a new file's folder entry was synced when it was made. A failed sync may have dropped pages, so it is final for
this process (DESIGN 2, promise 1): the caller must stop taking writes.
"""

import errno
import os
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from samsyn import limits
from samsyn.errors import DamagedData, OutOfResources, StoreFailed
from samsyn.model.value import value
from samsyn.store import records
from samsyn.store.cut_off import SUFFIX
from samsyn.store.direct_file import DirectFile, block_border
from samsyn.store.durable import sync_folder
from samsyn.store.holes import is_sparse, make_hole
from samsyn.store.open_files import OpenFiles, at_hand
from samsyn.store.records import FRAME, RecordHeader
from samsyn.store.spool import SpooledBody

_OPEN_FILES = 128
_PREPARED_AT_ONCE = 4 * limits.MIB
_COPIED_AT_ONCE = 4 * limits.MIB
_BLOCK = 4 * limits.KIB
"""What a disk gives or does not give."""
_LOOK_AHEAD_BYTES = 64 * limits.MIB
"""How far behind a broken record others are looked for: two of the largest batches of ordinary instances."""
_LOOK_AHEAD_RECORDS = 100_000


@value
class Position:
    """A place between two records."""

    segment: int
    offset: int


@dataclass(frozen=True, slots=True)
class ReplayedRecord:
    """One record as found on disk, its header whole, with where it starts and ends."""

    header: RecordHeader
    begins: Position
    ends: Position
    body_length: int
    body_is_whole: bool = True
    """Whether the body still has the hash that the header tells."""

    @property
    def body_place(self) -> tuple[int, int, int]:
        """Segment, offset and length of the body."""
        return self.begins.segment, self.begins.offset + FRAME.size, self.body_length


def replayed(segment: int, offset: int, found: records.Found, body_is_whole: bool) -> ReplayedRecord:
    """What `records` found at a place."""
    begins, ends = Position(segment, offset), Position(segment, found.ends)
    return ReplayedRecord(found.header, begins, ends, found.body_length, body_is_whole)


def _reading(descriptor: int) -> Callable[[int, int], bytes]:
    def read(offset: int, length: int) -> bytes:
        data = os.pread(descriptor, length, offset)
        if len(data) != length:
            raise DamagedData("the second copy ends early")
        return data

    return read


class Journal:
    """Segment files in one folder. `append` from one thread only; `read` from any."""

    def __init__(
        self,
        folder: Path,
        second_copy: Path | None = None,
        first: int = 1,
        segment_bytes: int = 0,
    ) -> None:
        """Opens (and makes, privately) the folder; does not look for torn records yet: see `replay`.

        `second_copy`: a data folder that somebody keeps as a copy of this one, to mend rot from. `first`: number of
        the first segment of all; `segment_bytes`: where one is closed, 0 = limits.SEGMENT_BYTES.
        """
        self._folder = folder
        self._own_size = segment_bytes
        self._second_copy = second_copy
        self._stands_until = Position(0, 0)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._files = OpenFiles(_OPEN_FILES)
        self._paths: dict[int, Path] = {}
        self._numbers = sorted(int(path.stem) for path in folder.glob("*.journal"))
        if not self._numbers:
            self._create(first)
        self._given_back: dict[int, tuple[tuple[int, ...], tuple[int, ...]]] = {}
        """Ends and begins of what this process gave back, by segment, for readers with older places."""
        self._sparse = {number for number in self._numbers[:-1] if is_sparse(os.stat(self._path(number)))}
        self._open_last()

    def _path(self, segment: int) -> Path:
        path = self._paths.get(segment)
        if path is None:
            path = self._paths[segment] = self._folder / f"{segment:08d}.journal"
        return path

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
        self._writer = DirectFile(self._path(self._segment))
        self._end = self._writer.size
        self._prepared = self._end
        self._burst = 0
        self._wanted = 0

    @property
    def end(self) -> Position:
        """Where the next record will start."""
        return Position(self._segment, self._end)

    def stands_until(self, place: Position) -> None:
        """What begins before this place counts, as an index knows: a replay takes none of it for a torn end."""
        self._stands_until = place

    def start(self) -> None:
        """Nothing runs in the background."""

    def roll_if_full(self, behind: int = 0) -> None:
        """Starts a new segment when the present one has reached its size; nobody else's numbers matter here."""
        if self._end >= self._segment_bytes:
            self.roll()

    @property
    def _segment_bytes(self) -> int:
        return self._own_size or limits.SEGMENT_BYTES

    def roll(self) -> None:
        """Starts a new segment."""
        self._writer.cut(self._end)
        self._writer.sync()
        self._prepared = self._end
        self._create(self._segment + 1)
        self._writer.close()
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
        start = block_border(max(self._prepared, self._end))
        if start - self._end >= self._wanted or start + _PREPARED_AT_ONCE > self._segment_bytes:
            return False
        if self.free_bytes() < 2 * limits.DISK_RESERVE_BYTES + _PREPARED_AT_ONCE:
            return False
        try:
            self._prepared = start + self._writer.write_zeros(start, _PREPARED_AT_ONCE)
            self._writer.sync()
        except OSError as problem:
            raise StoreFailed(f"journal: {problem.strerror}") from problem
        return True

    def append(self, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        """Writes the parts at the end and syncs once.

        OutOfResources: the disk is full, the file is cut back to where it was, later calls may work.
        StoreFailed: write or sync failed otherwise; nothing may be acknowledged and nothing more written.
        """
        try:
            written = self._writer.write(parts, self._end)
            self._writer.sync()
        except OSError as problem:
            if problem.errno in (errno.ENOSPC, errno.EDQUOT):
                self._writer.cut(self._end)
                self._prepared = self._end
                raise OutOfResources("the journal's disk is full") from problem
            raise StoreFailed(f"journal: {problem.strerror}") from problem
        self._end += written
        self._burst += written

    @property
    def spool_folder(self) -> Path:
        """Where large bodies are written that are to become segments."""
        return self._folder

    @property
    def largest_body(self) -> tuple[int, str]:
        """As large as a record can be."""
        return limits.MAX_INSTANCE_BYTES, "MAX_INSTANCE_BYTES"

    @property
    def large_begins(self) -> Position:
        """Where the record of a large body will start."""
        return Position(self._segment + 1, 0)

    def lay(self, body: SpooledBody) -> None:
        """Syncs it."""
        body.sync()

    def let_go(self, body: SpooledBody) -> None:
        """Nothing: the file is its owner's."""

    def adopt(self, body: SpooledBody, frame: bytes, header: bytes) -> None:
        """Makes a segment of its own of a large body, which others may follow. Errors as in `append`."""
        try:
            self._writer.cut(self._end)
            self._writer.sync()
            self._prepared = self._end
            body.become(self._path(self._segment + 1), frame, header)
        except OSError as problem:
            if problem.errno in (errno.ENOSPC, errno.EDQUOT):
                raise OutOfResources("the journal's disk is full") from problem
            raise StoreFailed(f"journal: {problem.strerror}") from problem
        self._numbers.append(self._segment + 1)
        self._writer.close()
        self._open_last()

    def take_back(self, end: Position) -> None:
        """Cuts off what was appended after `end`, a batch or a large body, of which nothing was acknowledged.

        StoreFailed: it could not be cut off for certain, so nothing more may be written.
        """
        if end == self.end:
            return
        try:
            if end.segment != self._segment:
                self._drop_last(end.segment)
            self._writer.cut(end.offset)
            self._writer.sync()
        except OSError as problem:
            raise StoreFailed(f"journal: {problem.strerror}") from problem
        self._end = self._prepared = end.offset

    def _drop_last(self, last: int) -> None:
        """Takes the last segment away, which holds one large body that nobody was promised; `last` is the last then."""
        self._path(self._segment).unlink()
        sync_folder(self._folder)
        self._files.drop(self._numbers.pop())
        if self._numbers[-1] != last:
            raise StoreFailed("journal: more than one batch would have to be taken back")
        self._writer.close()
        self._open_last()

    def read(self, segment: int, offset: int, length: int) -> bytes:
        """Exactly `length` bytes at the place; DamagedData when the file is shorter or gone."""
        try:
            data = self._files.read(segment, self._path(segment), offset, length)
        except OSError as problem:
            raise DamagedData(f"journal segment {segment}: {problem.strerror}") from problem
        if len(data) != length:
            raise DamagedData(f"journal segment {segment} ends early")
        if segment in self._given_back and self._is_gone(segment, offset, length):
            raise DamagedData(f"journal segment {segment} was given back there")
        return data

    def read_at_hand(self, segment: int, offset: int, length: int) -> memoryview | None:
        """The same if it is in the page cache, else None; `read` then tells what is the matter."""
        if segment in self._given_back and self._is_gone(segment, offset, length):
            return None
        try:
            file = self._files.take(segment, self._path(segment))
            try:
                return at_hand(file.descriptor, offset, length)
            finally:
                self._files.give_back(file)
        except OSError:
            return None

    def _is_gone(self, segment: int, offset: int, length: int) -> bool:
        """Whether any of these bytes was given back by this process. What was before it, nothing names any more."""
        ends, begins = self._given_back[segment]
        place = bisect_right(ends, offset)
        return place < len(begins) and begins[place] < offset + length

    def is_given_back(self, record: ReplayedRecord) -> bool:
        """Whether nothing is left of the body in its segment, which happens when it is settled.

        A file that was copied sparsely has holes for zeros as well: who asks has seen that the hash does not fit.
        """
        segment, offset, length = record.body_place
        if segment not in self._sparse or length < limits.SMALLEST_HOLE_BYTES:
            return False
        return self._files.is_hollow(segment, self._path(segment), offset, length)

    def give_back(self, segment: int, places: Sequence[tuple[int, int]]) -> None:
        """Takes ranges (offset, length) out of a closed segment, durably; from now on they can not be read.

        OSError: the file system can not make holes, or refused; some of the ranges may be out already.
        """
        if segment == self._segment:
            raise ValueError("the segment that is written to gives nothing back")
        descriptor = os.open(self._path(segment), os.O_WRONLY)
        try:
            self._sparse.add(segment)
            self._remember(segment, places)
            for offset, length in places:
                make_hole(descriptor, offset, length)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _remember(self, segment: int, places: Sequence[tuple[int, int]]) -> None:
        ends, begins = self._given_back.pop(segment, ((), ()))
        ranges = sorted(
            {*zip(begins, ends, strict=True), *((offset, offset + length) for offset, length in places)}
        )
        self._given_back[segment] = (
            tuple(end for _, end in ranges),
            tuple(begin for begin, _ in ranges),
        )
        while len(self._given_back) > limits.REMEMBERED_GIVEN_BACK:
            self._given_back.pop(next(iter(self._given_back)))

    def headed(self, segment: int) -> Iterator[ReplayedRecord | None]:
        """The records of a closed segment, bodies unread; None and the end where a header is broken."""
        offset, size = 0, os.stat(self._path(segment)).st_size
        while offset < size:
            found = records.find(partial(self._legible, segment), offset, size)
            if found is None:
                yield None
                return
            yield replayed(segment, offset, found, True)
            offset = found.ends

    @property
    def segments(self) -> list[int]:
        """Numbers of the segment files, in order."""
        return list(self._numbers)

    @property
    def separate(self) -> list[int]:
        """The same: no segment is joined to others here."""
        return self.segments

    def has(self, segment: int) -> bool:
        """Whether the segment lies in this folder."""
        return segment in self._numbers

    def drop(self, segment: int) -> None:
        """Takes a closed segment away, which lies safely elsewhere."""
        if segment == self._segment:
            raise ValueError("the segment that is written to stays")
        self._numbers.remove(segment)
        self._path(segment).unlink()
        self._files.drop(segment)
        sync_folder(self._folder)

    def cut_behind(self, end: Position) -> None:
        """Cuts off what lies behind a place of the last segment and counts no more; it is kept beside the segment."""
        if end.segment != self._segment:
            raise DamagedData(f"journal segment {end.segment} has records that the index knows nothing of")
        self._keep_aside(end.offset, self._end)
        self._cut(end.offset)

    def path(self, segment: int) -> Path:
        """The file of a segment."""
        return self._path(segment)

    def end_of(self, segment: int) -> int:
        """Where the last record of a segment ends, in bytes."""
        if segment == self._segment:
            return self._end
        return os.stat(self._path(segment)).st_size

    def replay(self, start: Position, sequence: int = 0) -> Iterator[ReplayedRecord]:
        """Every record from `start` (behind number `sequence`) on whose header is whole; bodies are hashed.

        What a crash left at the end of the last segment, and nobody was promised, is cut off. Rot is mended from
        the second copy where that can be; otherwise a broken body is told with its record, and a header that is
        broken raises DamagedData: nothing is skipped silently.
        """
        for segment in [number for number in self._numbers if number >= start.segment]:
            offset = start.offset if segment == start.segment else 0
            size = os.stat(self._path(segment)).st_size
            while offset < size:
                record = self.record_at(segment, offset, size)
                if record is not None and not record.body_is_whole and self.is_given_back(record):
                    pass
                elif record is None or not record.body_is_whole:
                    if self.mend(segment, offset, sequence + 1):
                        record = self.record_at(segment, offset, size)
                    elif segment == self._numbers[-1] and self._is_torn(offset, size, record, sequence):
                        self._cut(offset)
                        return
                    if record is None:
                        raise DamagedData(f"journal segment {segment} is damaged at {offset}")
                yield record
                offset, sequence = record.ends.offset, record.header.sequence

    def record_at(self, segment: int, offset: int, size: int) -> ReplayedRecord | None:
        """The record that starts there, its body hashed; None when frame or header are no whole ones."""
        found = records.find(partial(self._legible, segment), offset, size)
        if found is None:
            return None
        whole = records.has_whole_body(partial(self.read, segment), offset, found)
        return replayed(segment, offset, found, whole)

    def record_behind(
        self, segment: int, offset: int, size: int, last: int | None = None
    ) -> ReplayedRecord | None:
        """The next record at or behind the offset with a whole header, its body unread; it begins before `last`."""
        last = size if last is None else last
        found = records.find_behind(partial(self._legible, segment), offset, size, last)
        return replayed(segment, *found, True) if found is not None else None

    def _legible(self, segment: int, offset: int, length: int) -> bytes:
        """As `read`, with zeros for the blocks that the disk does not give: one of them hides no record behind it."""
        try:
            return self.read(segment, offset, length)
        except DamagedData:
            pass
        found, end = bytearray(), offset + length
        while offset < end:
            piece = min(_BLOCK - offset % _BLOCK, end - offset)
            try:
                found += self.read(segment, offset, piece)
            except DamagedData:
                found += bytes(piece)
            offset += piece
        return bytes(found)

    def mend(self, segment: int, offset: int, sequence: int | None) -> bool:
        """Writes a broken record over with the same record of the second copy; whether it is whole now.

        `sequence`: which number it has, None = not known here. False and nothing changed: there is no second copy,
        or it has not this record, whole; with the same header, if that can be read.
        """
        if self._second_copy is None:
            return False
        try:
            descriptor = os.open(self._second_copy / "journal" / self._path(segment).name, os.O_RDONLY)
        except OSError:
            return False
        try:
            size = os.fstat(descriptor).st_size
            read = _reading(descriptor)
            found = records.find(read, offset, size) if offset < size else None
            if found is None or sequence not in (None, found.header.sequence):
                return False
            if not records.has_whole_body(read, offset, found):
                return False
            own = records.find(partial(self._legible, segment), offset, os.stat(self._path(segment)).st_size)
            if own is not None and own != found:
                return False
            self._overwrite(segment, offset, found.ends, read)
        except (DamagedData, OSError):
            return False
        finally:
            os.close(descriptor)
        mended = self.record_at(segment, offset, found.ends)
        return mended is not None and mended.body_is_whole

    def _overwrite(self, segment: int, offset: int, ends: int, read: Callable[[int, int], bytes]) -> None:
        descriptor = os.open(self._path(segment), os.O_WRONLY)
        try:
            while offset < ends:
                offset += os.pwrite(descriptor, read(offset, min(_COPIED_AT_ONCE, ends - offset)), offset)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _is_torn(self, offset: int, size: int, broken: ReplayedRecord | None, sequence: int) -> bool:
        """Whether a broken record of the last segment belongs to the last batch, which a crash may have torn.

        The records of one batch bear one time and share one sync, and a batch is begun when the one before is
        synced. So whole records of another, later batch behind the broken one prove that it was synced, and
        that it is rot; so does an index that had it, and a disk that can not read it. Where this can not be told, since
        a header is whole or follows, what is cut off is kept beside the segment.
        """
        if (self._segment, offset) < (self._stands_until.segment, self._stands_until.offset):
            return False
        if not self._can_be_read(offset, min(size, offset + _LOOK_AHEAD_BYTES)):
            return False
        times = {broken.header.time} if broken is not None else set()
        found = False
        behind = broken.ends.offset if broken is not None else offset + 1
        last = behind + _LOOK_AHEAD_BYTES
        while (record := self.record_behind(self._segment, behind, size, last)) is not None:
            behind = record.ends.offset
            if not sequence < record.header.sequence <= sequence + _LOOK_AHEAD_RECORDS:
                continue  # bytes of a body that look like a record
            found = True
            times.add(record.header.time)
            if len(times) > 1:
                return False
        if found or broken is not None:
            self._keep_aside(offset, size)
        return True

    def _can_be_read(self, offset: int, end: int) -> bool:
        try:
            while offset < end:
                offset += len(self.read(self._segment, offset, min(_COPIED_AT_ONCE, end - offset)))
        except DamagedData:
            return False
        return True

    def _keep_aside(self, offset: int, size: int) -> None:
        aside = self._folder / f"{self._segment:08d}-{offset}{SUFFIX}"
        with aside.open("wb") as file:
            os.chmod(file.fileno(), 0o600)
            while offset < size:
                piece = self.read(self._segment, offset, min(_COPIED_AT_ONCE, size - offset))
                file.write(piece)
                offset += len(piece)

    def _cut(self, offset: int) -> None:
        self._writer.cut(offset)
        self._writer.sync()
        self._end = self._prepared = offset

    def free_bytes(self) -> int:
        """Free space of the journal's disk in bytes."""
        facts = os.statvfs(self._folder)
        return facts.f_bavail * facts.f_frsize

    def close(self) -> None:
        """Gives back what was prepared and closes every file."""
        self._writer.cut(self._end)
        self._writer.close()
        self._files.close()
