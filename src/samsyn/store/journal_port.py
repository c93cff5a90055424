"""What the store asks of a journal, wherever its segments lie: in a folder of this node, or in an object store."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from samsyn.errors import OutOfResources
from samsyn.store.journal import Position, ReplayedRecord
from samsyn.store.spool import SpooledBody


class NumberTaken(OutOfResources):
    """A batch found its segment's number taken by bytes of an unknown outcome; with the next number it may be put."""


class AnyJournal(Protocol):
    """One writer appends; any thread reads. A segment's number is never used for other bytes."""

    @property
    def end(self) -> Position:
        """Where the next record will start."""

    @property
    def segments(self) -> list[int]:
        """Numbers of the segments, in order."""

    @property
    def separate(self) -> list[int]:
        """Those of them that may still give back: they were not joined to others."""

    def start(self) -> None:
        """Begins what runs in the background, once the store takes commits."""

    def roll_if_full(self, behind: int = 0) -> None:
        """Moves on to a new segment when the present one takes no more. `behind`: the highest segment that the index
        knows of; a journal that nodes share goes on behind it."""

    def prepare(self) -> bool:
        """Makes ready for the next batch when nothing waits; whether there was something to do. StoreFailed."""

    def append(self, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        """Makes the parts durable at the end. NumberTaken: they are not, and the same decisions may be made at once
        for the next segment. OutOfResources: they are not, later calls may work. StoreFailed: nothing may be
        acknowledged and nothing more written."""

    @property
    def spool_folder(self) -> Path:
        """Where large bodies are written that are to be adopted."""

    @property
    def largest_body(self) -> tuple[int, str]:
        """Bytes of the largest body that `adopt` takes, and the limit's name."""

    @property
    def large_begins(self) -> Position:
        """Where the record of a large body will start, once `roll_if_full` was called."""

    def lay(self, body: SpooledBody) -> None:
        """Makes a large body durable where `adopt` takes it from; by any thread, before anybody else has to wait.
        OutOfResources, StoreFailed: it is not."""

    def adopt(self, body: SpooledBody, frame: bytes, header: bytes) -> None:
        """Makes one record of a large body that was laid, with a segment of its own. Errors as in `append`."""

    def let_go(self, body: SpooledBody) -> None:
        """Takes away what `lay` put where `adopt` was not asked for it. Never raises SamsynError."""

    def take_back(self, end: Position) -> None:
        """Undoes what was appended after `end`, of which nothing was acknowledged. StoreFailed: it can not."""

    def read(self, segment: int, offset: int, length: int) -> bytes:
        """Exactly `length` bytes at the place. DamagedData; OutOfResources: they can not be had just now."""

    def read_at_hand(self, segment: int, offset: int, length: int) -> memoryview | None:
        """The same when it can be had without waiting, else None."""

    def end_of(self, segment: int) -> int:
        """Where the last record of a segment ends, in bytes."""

    def replay(self, start: Position, sequence: int = 0) -> Iterator[ReplayedRecord]:
        """Every record from `start` (behind number `sequence`) on whose header is whole; bodies are hashed."""

    def record_at(self, segment: int, offset: int, size: int) -> ReplayedRecord | None:
        """The record that starts there, its body hashed; None when frame or header are no whole ones."""

    def record_behind(
        self, segment: int, offset: int, size: int, last: int | None = None
    ) -> ReplayedRecord | None:
        """The next record at or behind the offset with a whole header, its body unread; it begins before `last`."""

    def headed(self, segment: int) -> Iterator[ReplayedRecord | None]:
        """The records of a closed segment, bodies unread; None and the end where a header is broken."""

    def mend(self, segment: int, offset: int, sequence: int | None) -> bool:
        """Writes a broken record over with the same record of a second copy; whether it is whole now."""

    def is_given_back(self, record: ReplayedRecord) -> bool:
        """Whether nothing is left of the body in its segment, which happens when it is settled."""

    def give_back(self, segment: int, places: Sequence[tuple[int, int]]) -> None:
        """Takes ranges (offset, length) out of a closed segment, durably. OSError, OutOfResources: not, or not all."""

    def free_bytes(self) -> int:
        """Room for what is still to come, in bytes."""

    def close(self) -> None:
        """Lets go of everything."""
