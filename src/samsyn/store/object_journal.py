"""The journal in an object store: each batch of records is one object, put whole before the index commits.

The records are those of the journal in a folder; a segment is one batch, its number the object's name. So any node
reads any body by range, and a node that is lost takes nothing with it.

**Numbers.** The writer takes the next number inside the index's serial section (`roll_if_full`): the first behind what
counts that is not seen to be taken. A put never replaces (port), so one whose outcome is unknown either lies there,
and the next batch, of any node, goes under a higher number; or it comes too late and finds its name taken. Who left
out a number that is free would leave it to another node, for what counts, with a higher one behind it that does not. So
of objects that begin with the same sequence number the last one counts, and those before it are *left over*: nothing of
them was acknowledged. A replay passes over them.

**Large bodies** are put ahead of the section (`lay`), under a name of their own that the segment points at
(`objects.linked`), since everybody waits while a segment is put.
"""

import contextlib
import heapq
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Final

from samsyn import limits
from samsyn.errors import Conflict, DamagedData, OutOfResources, SamsynError, StoreFailed
from samsyn.store import records
from samsyn.store.checksum import Checksum
from samsyn.store.journal import Position, ReplayedRecord, replayed
from samsyn.store.journal_port import NumberTaken
from samsyn.store.objects.joined import Left
from samsyn.store.objects.linked import POINTER_BYTES, LinkedSegments
from samsyn.store.objects.port import Objects
from samsyn.store.objects.sparse import SPARSE, SparseSegments
from samsyn.store.spool import SpooledBody

JOURNAL: Final = "journal/"


_HASHED_AT_ONCE: Final = 1 * limits.MIB
"""Some ten microseconds, for which others wait."""
NUMBERS_EACH: Final = 1_000_000_000
"""Segments of one node's own journal: a new one every second for thirty years. Those below are all nodes' together."""


def node_of(segment: int) -> int:
    """The number of the node whose own journal a segment is of; 0 = the journal that all nodes share."""
    return segment // NUMBERS_EACH


def name_of(segment: int) -> str:
    """The name of a segment's object; names in order are numbers in order."""
    return f"{JOURNAL}{segment:012d}"


@dataclass(frozen=True, slots=True)
class _Batch:
    """A segment that a replay has come to: where it is to begin, and with which sequence number."""

    segment: int
    offset: int
    size: int
    first: int


class ObjectJournal:
    """`append` from one thread only; `read` from any."""

    def __init__(self, objects: Objects, folder: Path) -> None:
        """`folder`: the node's own, whose free space is told. Nothing is asked of the object store yet."""
        self._objects = objects
        self._folder = folder
        self._sparse = SparseSegments(objects)
        self._linked = LinkedSegments(objects, name_of)
        self._segment = 1
        self._size = 0
        """Bytes of the segment that was put last; 0 = nothing was put under `_segment`, nor tried."""
        self._taken = 0
        """The highest number of which this node knows that something lies there."""

    @property
    def end(self) -> Position:
        """Where the next record will start, once `roll_if_full` was called."""
        return Position(self._segment, self._size)

    @property
    def segments(self) -> list[int]:
        """Numbers of all segments, in order: a question to the object store for each thousand, and for each joined
        object."""
        return sorted({*self.separate, *self._sparse.joined.segments()})

    @property
    def separate(self) -> list[int]:
        """The same without those that were joined to others: a question to the object store for each thousand."""
        numbers = {_number(each.name) for each in self._objects.names(JOURNAL)}
        return sorted(numbers | {_number(each.name) for each in self._objects.names(SPARSE)})

    def start(self) -> None:
        """Nothing runs in the background."""

    def roll_if_full(self, behind: int = 0) -> None:
        """A segment takes one batch; the next one has the first number behind those that are known to be taken."""
        self._segment, self._size = max(behind, self._taken) + 1, 0

    def prepare(self) -> bool:
        """There is nothing to prepare."""
        return False

    def append(self, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        """Puts the batch; durable when this returns. NumberTaken: what lies there is left over from a batch whose
        outcome nobody heard."""
        self._size = sum(len(part) for part in parts)
        with self._taking():
            self._objects.put_new(name_of(self._segment), parts)

    @contextlib.contextmanager
    def _taking(self) -> Iterator[None]:
        """The number is taken afterwards, unless it is not known whether it is. NumberTaken: by something else."""
        try:
            yield
        except Conflict as taken:
            with contextlib.suppress(DamagedData):  # whatever it is, it is there
                if self._objects.size(name_of(self._segment)) is None:
                    # Two requests met, and neither has come through yet.
                    raise OutOfResources(f"journal segment {self._segment} may be taken or not") from taken
            self._taken = max(self._taken, self._segment)
            raise NumberTaken(f"journal segment {self._segment} is taken") from taken
        self._taken = max(self._taken, self._segment)

    @property
    def spool_folder(self) -> Path:
        """The node's own folder."""
        return self._folder

    @property
    def largest_body(self) -> tuple[int, str]:
        """As large as a record can be."""
        return limits.MAX_INSTANCE_BYTES, "MAX_INSTANCE_BYTES"

    @property
    def large_begins(self) -> Position:
        """Every batch is a segment of its own."""
        return self.end

    def lay(self, body: SpooledBody) -> None:
        """Puts the large body where a segment can point at it. StoreFailed also when the disk has given back other
        bytes than came: the object's seal would vouch for them."""
        try:
            pages = body.pages()
        except OSError as problem:
            raise StoreFailed(f"spool: {problem.strerror}") from problem
        body.laid = self._linked.put_body(pages)
        check = Checksum()
        for begins in range(0, len(pages), _HASHED_AT_ONCE):
            check.update(pages[begins : begins + _HASHED_AT_ONCE])
        if check.value != body.checksum:
            self.let_go(body)
            raise StoreFailed("spool: the disk gives back other bytes than were written")

    def adopt(self, body: SpooledBody, frame: bytes, header: bytes) -> None:
        """Puts a batch that points at the large body. OutOfResources also when the body is not there any more: this
        node stood still for so long since it was put that another one has swept it away."""
        if self._objects.size(body.laid) != len(body):
            raise OutOfResources("the large object was swept away before its turn: send it again")
        body.is_adopted = True
        self._size = len(frame) + len(body) + len(header)
        with self._taking():
            self._linked.put(self._segment, body.laid, frame, header)

    def let_go(self, body: SpooledBody) -> None:
        """Takes the body away that was put for nothing. What can not be taken away now is swept later."""
        if body.laid and not body.is_adopted:
            with contextlib.suppress(SamsynError):
                self._objects.delete(body.laid)

    def unnamed_objects(self) -> set[str]:
        """Names of large bodies, and of what points at them, that no segment has; also of what is just being put."""
        return self._linked.unnamed()

    def sweep(self, name: str) -> None:
        """Takes away what `unnamed_objects` has told for as long as an attempt can last."""
        self._objects.delete(name)

    def take_back(self, end: Position) -> None:
        """Nothing has to be done: what was put is left over as soon as the next batch is there."""

    def read(self, segment: int, offset: int, length: int) -> bytes:
        """Exactly `length` bytes at the place."""
        if self._sparse.knows(segment):
            return self._sparse.read(segment, offset, length)
        if self._linked.knows(segment):
            try:
                return self._linked.read(segment, offset, length)
            except DamagedData:
                self._linked.forget(segment)  # another node may have given back of it since
        try:
            return self._objects.read(name_of(segment), offset, length)
        except DamagedData:
            if self._sparse.find(segment):
                return self._sparse.read(segment, offset, length)
            if self._linked.find(segment):
                return self._linked.read(segment, offset, length)
            raise

    def read_at_hand(self, segment: int, offset: int, length: int) -> memoryview | None:
        """None: it may have to come over the network."""
        return None

    def end_of(self, segment: int) -> int:
        """The segment's length. DamagedData: there is no such segment."""
        size = self._objects.size(name_of(segment))
        if size is None:
            return self._sparse.size(segment)
        return size if size != POINTER_BYTES else self._linked.size(segment)

    def replay(self, start: Position, sequence: int = 0, hashes: bool = True) -> Iterator[ReplayedRecord]:
        """Every record of every batch that counts, from `start` on; from here on the next batch comes behind all.
        Without `hashes` no body is read, and each counts as whole.

        DamagedData: a header is broken, a batch is missing between two others, or the last one can not be read: whether
        that one was acknowledged nobody can tell.
        """
        if start == Position(0, 0) and sequence == 0:
            yield from self.all_records(hashes)
            return
        yield from self._shared(start, sequence, hashes)

    def all_records(self, hashes: bool = True) -> Iterator[ReplayedRecord]:
        """Everything of all nodes, in order of the records' numbers, for an index that is made anew and for proofs.

        DamagedData: a record is missing; only a node's own disk may have it.
        """
        own = [segment for segment in self.segments if node_of(segment)]
        nodes: dict[int, list[int]] = {}
        for segment in own:
            nodes.setdefault(node_of(segment), []).append(segment)
        streams: list[Iterator[ReplayedRecord]] = [
            chain.from_iterable(self._whole(segment, hashes) for segment in segments)
            for segments in nodes.values()
        ]
        streams.append(self._shared(Position(0, 0), 0, hashes, is_all=not own))
        sequence = 0
        for record in heapq.merge(*streams, key=lambda found: found.header.sequence):
            if record.header.sequence <= sequence:
                continue  # left over from a batch that counts in no index
            if record.header.sequence != sequence + 1:
                raise DamagedData(f"record {sequence + 1} is missing: a node's own disk may have it")
            sequence = record.header.sequence
            yield record

    def _whole(self, segment: int, hashes: bool) -> Iterator[ReplayedRecord]:
        """Every record of a segment of a node's own journal."""
        offset, size = 0, self.end_of(segment)
        while offset < size:
            record = self._at(segment, offset, size, hashes)
            if record is None:
                raise DamagedData(f"journal segment {segment} is damaged at {offset}")
            yield record
            offset = record.ends.offset

    def _shared(
        self, start: Position, sequence: int, hashes: bool, is_all: bool = True
    ) -> Iterator[ReplayedRecord]:
        """The records of the shared journal. `is_all`: that there are no others between them."""
        waiting: _Batch | None = None
        damaged: DamagedData | None = None
        for number in self._behind(start.segment):
            self.roll_if_full(number)
            try:
                batch = self._batch(number, start.offset if number == start.segment else 0)
            except DamagedData as problem:
                damaged = problem  # left over, if the next one goes on without it
                continue
            if batch is None or batch.first <= sequence:
                continue
            damaged = None
            if waiting is not None and waiting.first < batch.first:
                for record in self._records(waiting, sequence if is_all else waiting.first - 1, hashes):
                    sequence = record.header.sequence
                    yield record
            waiting = batch
        if waiting is not None:
            yield from self._records(waiting, sequence if is_all else waiting.first - 1, hashes)
        if damaged is not None:
            raise damaged

    def _behind(self, segment: int) -> list[int]:
        """Numbers from this one on, in order."""
        before = f"{segment - 1:012d}" if segment > 0 else ""
        found: set[int] = set()
        for folder in (JOURNAL, SPARSE):
            after = folder + before if before else ""
            found |= {_number(each.name) for each in self._objects.names(folder, after)}
        found.update(self._sparse.joined.segments(segment))
        return sorted(number for number in found if number >= segment and not node_of(number))

    def _batch(self, segment: int, offset: int) -> _Batch | None:
        size = self.end_of(segment)
        if offset >= size:
            return None
        found = records.find(partial(self.read, segment), offset, size)
        if found is None:
            raise DamagedData(f"journal segment {segment} is damaged at {offset}")
        return _Batch(segment, offset, size, found.header.sequence)

    def _records(self, batch: _Batch, sequence: int, hashes: bool) -> Iterator[ReplayedRecord]:
        offset = batch.offset
        while offset < batch.size:
            record = self._at(batch.segment, offset, batch.size, hashes)
            if record is None:
                raise DamagedData(f"journal segment {batch.segment} is damaged at {offset}")
            sequence += 1
            if record.header.sequence != sequence:
                raise DamagedData(f"journal segment {batch.segment}: record {sequence} is missing")
            yield record
            offset = record.ends.offset

    def record_at(self, segment: int, offset: int, size: int) -> ReplayedRecord | None:
        """The record that starts there, its body hashed; None when frame or header are no whole ones."""
        return self._at(segment, offset, size, True)

    def _at(self, segment: int, offset: int, size: int, hashes: bool) -> ReplayedRecord | None:
        read = partial(self.read, segment)
        found = records.find(read, offset, size)
        if found is None:
            return None
        is_whole = not hashes or records.has_whole_body(read, offset, found)
        return replayed(segment, offset, found, is_whole)

    def record_behind(
        self, segment: int, offset: int, size: int, last: int | None = None
    ) -> ReplayedRecord | None:
        """The next record with a whole header; what can not be read ends the search."""
        try:
            found = records.find_behind(
                partial(self.read, segment), offset, size, size if last is None else last
            )
        except DamagedData:
            return None
        return replayed(segment, *found, True) if found is not None else None

    def headed(self, segment: int) -> Iterator[ReplayedRecord | None]:
        """The records of a segment, bodies unread; None and the end where a header is broken."""
        offset, size = 0, self.end_of(segment)
        while offset < size:
            found = records.find(partial(self.read, segment), offset, size)
            if found is None:
                yield None
                return
            yield replayed(segment, offset, found, True)
            offset = found.ends

    def mend(self, segment: int, offset: int, sequence: int | None) -> bool:
        """False: an object store keeps its copies itself."""
        return False

    def is_given_back(self, record: ReplayedRecord) -> bool:
        """Whether the body was taken out of its segment."""
        segment, offset, length = record.body_place
        return self._sparse.find(segment) and self._sparse.is_gone(segment, offset, length)

    def has_gone(self, record: ReplayedRecord) -> bool:
        """`is_given_back` of a record that was just read here; nothing is asked."""
        segment, offset, length = record.body_place
        return self._sparse.knows(segment) and self._sparse.is_gone(segment, offset, length)

    def give_back(self, segment: int, places: Sequence[tuple[int, int]]) -> None:
        """Puts a sparse form of the segment, reads it back, and takes the former one away."""
        size = self.end_of(segment)
        former = self._sparse.replace(segment, size, places, partial(self.read, segment))
        self._objects.delete(former or name_of(segment))
        if self._linked.knows(segment):
            self._linked.drop(segment)

    def not_joined(self, ready: Collection[int]) -> list[list[int]]:
        """Those of the segments that are small objects of their own, in order, as groups that can be joined."""
        small: dict[int, int] = {}
        for folder in (JOURNAL, SPARSE):
            for each in self._objects.names(folder):
                if folder == JOURNAL and each.size == POINTER_BYTES:
                    continue  # its body is large, and is there
                small[_number(each.name)] = small.get(_number(each.name), 0) + each.size
        groups: list[list[int]] = [[]]
        room = limits.JOINED_BYTES
        for number, size in sorted(small.items()):
            if number in ready and size <= limits.SMALL_SEGMENT_BYTES:
                if size > room or len(groups[-1]) == limits.JOINED_SEGMENTS:
                    groups.append([])
                    room = limits.JOINED_BYTES
                groups[-1].append(number)
                room -= size
        return groups

    def join(self, segments: Sequence[int]) -> int:
        """Makes one object of what is left of the segments, in order, and takes the small ones away; how many were
        joined. What lies in a joined object already is only taken away."""
        fresh = [number for number in segments if self._sparse.joined.find(number) is None]
        if fresh:
            self._sparse.joined.join([self._left(number) for number in fresh])
        for number in segments:
            self._objects.delete(name_of(number))
            for each in list(self._objects.names(f"{SPARSE}{number:012d}/")):
                self._objects.delete(each.name)
            self._sparse.forget(number)
        return len(fresh)

    def _left(self, segment: int) -> Left:
        if self._sparse.find(segment):
            return self._sparse.left(segment)
        size = self.end_of(segment)
        return Left(segment, size, ((0, self._objects.read(name_of(segment), 0, size)),))

    def free_bytes(self) -> int:
        """Free space of the node's own disk, where settling and derived files need it."""
        facts = os.statvfs(self._folder)
        return facts.f_bavail * facts.f_frsize

    def close(self) -> None:
        """The objects are closed by whoever made them."""


def _number(name: str) -> int:
    """The segment that a name of an object tells."""
    return int(name.split("/")[1])
