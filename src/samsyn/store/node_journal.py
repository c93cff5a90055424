"""A node's own journal, synced to its own disk, whose segments go to the object store soon after.

The sender's answer waits for this node's disk and the index alone. A segment is closed when it is large or when
nothing has come for a moment, put as one object, and only then taken off the disk; until then other nodes get its bytes
from this one (`peers`). So what a node took in its last seconds is away with it until its disk is back.

Segment numbers bear the node's number, so that no two nodes ever use the same one. Record numbers go on over all nodes:
in order of them the segments of all nodes are one journal.
"""

import contextlib
import logging
import mmap
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event, Thread
from typing import Final

from samsyn import limits
from samsyn.errors import DamagedData, OutOfResources, SamsynError
from samsyn.store.journal import Journal, Position, ReplayedRecord
from samsyn.store.object_journal import NUMBERS_EACH, ObjectJournal, name_of, node_of
from samsyn.store.objects.port import Objects
from samsyn.store.peers import Peers
from samsyn.store.spool import SpooledBody

log = logging.getLogger(__name__)

_AGAIN_S: Final = 5.0
_KEPT_NUMBERS: Final = 100_000
"""Segments of which it is remembered that they are in the object store."""


class NodeJournal(ObjectJournal):
    """Appends to the node's own disk; reads there, in the object store, or from the node that still has it."""

    def __init__(self, objects: Objects, folder: Path, number: int, peers: Peers) -> None:
        """`number`: the node's. The uploading begins with `start`."""
        super().__init__(objects, folder)
        self._number = number
        self._peers = peers
        self._own = Journal(folder / "journal", None, number * NUMBERS_EACH + 1, limits.NODE_SEGMENT_BYTES)
        self._there: set[int] = set()
        self._appended = time.monotonic()
        self._closed = Event()
        self._stopping = Event()
        self._uploads = Thread(target=self._upload_loop, name="journal-uploads", daemon=True)

    def start(self) -> None:
        """Begins to bring closed segments into the object store."""
        self._closed.set()
        self._uploads.start()

    @property
    def end(self) -> Position:
        """Where the next record will start."""
        return self._own.end

    @property
    def waiting(self) -> int:
        """Segments of this node that are not in the object store yet, the open one among them."""
        return len(self._own.segments)

    @property
    def segments(self) -> list[int]:
        """Numbers of all segments in the object store and of those of this node's disk."""
        return sorted({*super().segments, *self._own.segments})

    @property
    def separate(self) -> list[int]:
        """The same without those that were joined to others."""
        return sorted({*super().separate, *self._own.segments})

    def roll_if_full(self, behind: int = 0) -> None:
        """Starts a new segment when the present one has reached its size."""
        before = self._own.end.segment
        self._own.roll_if_full()
        if self._own.end.segment != before:
            self._closed.set()

    def prepare(self) -> bool:
        """Closes the segment when nothing has come for a moment, so that it can go where all nodes read."""
        if self._own.end.offset and time.monotonic() - self._appended >= limits.NODE_SEGMENT_S:
            self._own.roll()
            self._closed.set()
            return True
        return self._own.prepare()

    def append(self, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        """Writes and syncs on this node's disk."""
        self._own.append(parts)
        self._appended = time.monotonic()

    @property
    def spool_folder(self) -> Path:
        """The folder of this node's own segments."""
        return self._own.spool_folder

    @property
    def largest_body(self) -> tuple[int, str]:
        """What this node's own disk takes."""
        return self._own.largest_body

    @property
    def large_begins(self) -> Position:
        """A segment of this node's own."""
        return self._own.large_begins

    def lay(self, body: SpooledBody) -> None:
        """Syncs it on this node's disk."""
        self._own.lay(body)

    def adopt(self, body: SpooledBody, frame: bytes, header: bytes) -> None:
        """A segment on this node's disk, which goes to the object store like the others."""
        self._own.adopt(body, frame, header)
        self._appended = time.monotonic()
        self._closed.set()

    def take_back(self, end: Position) -> None:
        """Cuts off what was appended behind `end`."""
        self._own.take_back(end)

    def read(self, segment: int, offset: int, length: int) -> bytes:
        """Exactly `length` bytes. OutOfResources: the node that still has them does not answer."""
        if self._own.has(segment):
            with contextlib.suppress(DamagedData):  # it may just have gone to the object store
                return self._own.read(segment, offset, length)
        if self._lies_elsewhere(segment):
            try:
                return self._peers.read(node_of(segment), segment, offset, length)
            except DamagedData:
                pass  # that node has it no more, so it lies in the object store by now
        return super().read(segment, offset, length)

    def own_bytes(self, segment: int, offset: int, length: int) -> bytes:
        """For other nodes: bytes of a segment on this node's disk. DamagedData: it is not here (any more)."""
        if not self._own.has(segment) or offset + length > self._own.end_of(segment):
            raise DamagedData(f"journal segment {segment} is not on this node")
        return self._own.read(segment, offset, length)

    def _lies_elsewhere(self, segment: int) -> bool:
        if node_of(segment) in (0, self._number) or segment in self._there or self._sparse.knows(segment):
            return False
        if self._objects.size(name_of(segment)) is None and not self._sparse.find(segment):
            return True
        self._there.add(segment)  # once there, always there
        if len(self._there) > _KEPT_NUMBERS:
            self._there.clear()
        return False

    def end_of(self, segment: int) -> int:
        """The segment's length."""
        return self._own.end_of(segment) if self._own.has(segment) else super().end_of(segment)

    def replay(self, start: Position, sequence: int = 0, hashes: bool = True) -> Iterator[ReplayedRecord]:
        """What the index lacks: at a start the end of this node's own journal, for an index that is made anew
        everything of all nodes.

        What lies on this disk behind `start` and bears numbers that others have used since was never acknowledged:
        it is cut off and kept aside. DamagedData: records are missing that only another node's disk has, the index
        knows nothing of this node's journal, or more of it than this disk has.
        """
        if start == Position(0, 0) and sequence == 0:
            yield from self.all_records(hashes)
            return
        if start == Position(0, 0):
            if self._own.end.offset or len(self._own.segments) > 1:
                raise DamagedData("the index does not know this node's journal: make it anew (index rebuild)")
            return
        self._check_reach(start)
        for record in self._own.replay(start, sequence):
            if record.header.sequence <= sequence:
                self._own.cut_behind(record.begins)
                return
            if record.header.sequence != sequence + 1:
                raise DamagedData("the index lacks records of other nodes: make it anew (index rebuild)")
            sequence = record.header.sequence
            yield record

    def _check_reach(self, known: Position) -> None:
        """DamagedData: this node's disk is not the one up to whose end the index knows. Whatever came next would bear
        places that rows have, and go under names that objects have."""
        end = self._own.end
        is_short = (end.segment, end.offset) < (known.segment, known.offset)
        if not is_short and self._own.has(known.segment) and known.offset:
            # A file may be longer than its records by what was prepared.
            is_short = self._own.read(known.segment, known.offset - 1, 1) != b"}"
        if is_short:
            raise DamagedData(
                f"this node's own journal ends before byte {known.offset} of segment {known.segment}, up to which the"
                " index knows it: start it with the disk that it had, or, when that is lost, with an empty folder and a"
                " [node] number and name that no node has had"
            )

    def _whole(self, segment: int, hashes: bool) -> Iterator[ReplayedRecord]:
        if segment == self._own.end.segment:
            return self._own.replay(Position(segment, 0))
        return super()._whole(segment, hashes)

    def give_back(self, segment: int, places: Sequence[tuple[int, int]]) -> None:
        """As the journal in the object store; OutOfResources: the segment is not there yet."""
        if self._own.has(segment):
            raise OutOfResources("the segment is on its way to the object store")
        super().give_back(segment, places)

    def _upload_loop(self) -> None:
        while not self._stopping.is_set():
            self._closed.wait(_AGAIN_S)
            self._closed.clear()
            self.upload()

    def upload(self) -> None:
        """Brings every closed segment into the object store, then takes it off this disk. What fails is tried again
        after a while."""
        for segment in self._own.segments[:-1]:
            try:
                self._objects.put_new(name_of(segment), self._pieces(segment))
                if self._objects.size(name_of(segment)) != self._own.end_of(segment):
                    raise OutOfResources("the object store tells another length")
            except (SamsynError, OSError) as problem:
                log.warning("upload-failed", extra={"error": type(problem).__name__})
                return
            self._own.drop(segment)

    def _pieces(self, segment: int) -> list[memoryview]:
        path = self._own.path(segment)
        if not path.stat().st_size:
            return []
        descriptor = os.open(path, os.O_RDONLY)
        try:
            return [memoryview(mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ))]
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Closes the open segment and brings it to the others, if that goes at once; then everything ends."""
        self._stopping.set()
        self._closed.set()
        if self._uploads.is_alive():
            self._uploads.join()
        if self._own.end.offset:
            self._own.roll()
        self.upload()
        self._own.close()
        self._peers.close()
