"""A journal as `replay` reads it, without opening it: nothing is locked, cut off, mended or swept, so that a service
may be at work on it.

A body counts as whole when it is there: where its segment has given it back, and nowhere else, it is not. With `hashes`
it is read and has to have its SHA-256.
"""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from samsyn import limits
from samsyn.errors import DamagedData
from samsyn.store import records
from samsyn.store.holes import is_sparse
from samsyn.store.journal import Position, ReplayedRecord
from samsyn.store.object_journal import ObjectJournal, node_of
from samsyn.store.open_files import OpenFiles
from samsyn.store.records import FRAME
from samsyn.store.scan import Scan, Scanned

_OPEN_FILES: Final = 4


class Untouched(Protocol):
    """A journal that is only looked at."""

    last: int
    """Number of the last record that is told; 0 = every one that is there."""
    torn_bytes: int
    """Bytes behind the last record that are none, as a crash or a service at work leaves them."""

    def replay(self, start: Position, sequence: int = 0) -> Iterator[ReplayedRecord]:
        """Every record behind `start`. DamagedData: a header is broken, or records are missing."""

    def behind(self, start: Position, sequence: int) -> int:
        """How many records follow; bodies are not looked at. DamagedData as in `replay`."""

    def close(self) -> None:
        """Lets go of files."""


class UntouchedFolder:
    """The journal of a data folder."""

    def __init__(self, folder: Path, *, hashes: bool = False) -> None:
        self._folder = folder
        self._hashes = hashes
        self._files = OpenFiles(_OPEN_FILES)
        self._sparse = (0, False)
        """The segment that is being read, and whether it has holes."""
        self.last = 0
        self.torn_bytes = 0

    def _path(self, segment: int) -> Path:
        return self._folder / f"{segment:08d}.journal"

    def replay(self, start: Position, sequence: int = 0) -> Iterator[ReplayedRecord]:
        """See Untouched."""
        for each in self._scanned(start, sequence):
            if self.last and each.header.sequence > self.last:
                return
            yield ReplayedRecord(each.header, each.begins, each.ends, each.body_length, self._has_body(each))

    def _scanned(self, start: Position, sequence: int) -> Iterator[Scanned]:
        scan = Scan(self._folder, start, sequence)
        yield from scan.records()
        if scan.fault:
            raise DamagedData(scan.fault)
        self.torn_bytes = scan.torn_bytes

    def behind(self, start: Position, sequence: int) -> int:
        """See Untouched."""
        return sum(1 for _ in self._scanned(start, sequence))

    def _has_body(self, record: Scanned) -> bool:
        segment, offset = record.begins.segment, record.begins.offset + FRAME.size
        if not record.header.sha256 or not (
            self._hashes or self._is_gap(segment, offset, record.body_length)
        ):
            return True
        # A file that was copied sparsely has holes for zeros, too.
        return records.has_hash(
            partial(self._read, segment), offset, record.body_length, record.header.sha256
        )

    def _is_gap(self, segment: int, offset: int, length: int) -> bool:
        path = self._path(segment)
        if self._sparse[0] != segment:
            self._sparse = segment, is_sparse(os.stat(path))
        if not self._sparse[1] or length < limits.SMALLEST_HOLE_BYTES:
            return False
        return self._files.is_hollow(segment, path, offset, length)

    def _read(self, segment: int, offset: int, length: int) -> bytes:
        data = self._files.read(segment, self._path(segment), offset, length)
        if len(data) != length:
            raise DamagedData(f"journal segment {segment} ends early")
        return data

    def close(self) -> None:
        """Closes the files."""
        self._files.close()


class UntouchedObjects:
    """The journal in an object store, that of all nodes. What only a node's own disk has is told as missing."""

    torn_bytes = 0

    def __init__(self, journal: ObjectJournal, *, hashes: bool = False) -> None:
        self._journal = journal
        self._hashes = hashes
        self.last = 0

    def replay(self, start: Position, sequence: int = 0) -> Iterator[ReplayedRecord]:
        """See Untouched."""
        for each in self._headers(start, sequence):
            if self.last and each.header.sequence > self.last:
                return
            yield ReplayedRecord(each.header, each.begins, each.ends, each.body_length, self._has_body(each))

    def _headers(self, start: Position, sequence: int) -> Iterator[ReplayedRecord]:
        """With journals of nodes' own there is no one place to go on from: all headers are read again."""
        has_own = any(node_of(segment) for segment in self._journal.segments)
        found = self._journal.replay(*((Position(0, 0), 0) if has_own else (start, sequence)), hashes=False)
        return (each for each in found if each.header.sequence > sequence)

    def behind(self, start: Position, sequence: int) -> int:
        """See Untouched."""
        return sum(1 for _ in self._headers(start, sequence))

    def _has_body(self, record: ReplayedRecord) -> bool:
        if not record.header.sha256:
            return True
        if not self._hashes:
            return not self._journal.has_gone(record)
        segment, offset, length = record.body_place
        return records.has_hash(partial(self._journal.read, segment), offset, length, record.header.sha256)

    def close(self) -> None:
        """The objects are closed by whoever opened them."""
