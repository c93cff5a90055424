"""Reading the journal as it lies on disk, without opening the store: nothing is locked, cut off or changed.

For those who look for tampering: a store that starts cuts a torn last record off, and with it what it could tell.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from samsyn import limits
from samsyn.errors import DamagedData
from samsyn.store.journal import Position
from samsyn.store.object_journal import ObjectJournal
from samsyn.store.records import FRAME, RecordHeader, decode_frame, decode_header

_PIECE: Final = 4 * limits.MIB


@dataclass(frozen=True, slots=True)
class Scanned:
    """One whole record: its header and where it begins. Bodies are not read."""

    header: RecordHeader
    begins: Position
    ends: Position
    body_length: int


class Scanning(Protocol):
    """One pass over the records of a journal. After it, `fault` and `torn_bytes` tell how it ended."""

    fault: str
    torn_bytes: int
    records_seen: int

    def records(self) -> Iterator[Scanned]:
        """Every whole record in order, until the end or the first fault."""


class RemoteScan:
    """One pass over a journal that lies in an object store. Bodies are not read."""

    def __init__(self, journal: ObjectJournal) -> None:
        self._journal = journal
        self.fault = ""
        self.torn_bytes = 0
        """An object is there whole or not at all."""
        self.records_seen = 0

    def records(self) -> Iterator[Scanned]:
        """See Scanning. OutOfResources: the object store does not answer."""
        try:
            for record in self._journal.all_records(hashes=False):
                self.records_seen += 1
                yield Scanned(record.header, record.begins, record.ends, record.body_length)
        except DamagedData as problem:
            self.fault = problem.detail


class Scan:
    """One pass over a journal folder. After it, `fault` and `torn_bytes` tell how it ended."""

    def __init__(self, folder: Path, start: Position | None = None, sequence: int = 0) -> None:
        """`start`: where the record behind number `sequence` begins, None = at the beginning."""
        self._folder = folder
        self._start = start or Position(0, 0)
        self.fault = ""
        """Why the pass ended early, "" when it came to the end."""
        self.torn_bytes = 0
        """Bytes behind the last whole record that are neither a record nor prepared zeros."""
        self.records_seen = sequence
        """Whole records so far, those before the start among them."""
        self.end = Position(0, 0)
        """Where the last whole record ends."""

    def records(self) -> Iterator[Scanned]:
        """Every whole record in order, until the end or the first fault."""
        paths = sorted(self._folder.glob("*.journal"))
        for place, path in enumerate(paths, start=1):
            if path.stem != f"{place:08d}":
                self.fault = f"journal segment {place} is missing"
                return
            if place < self._start.segment:
                continue
            first = self._start.offset if place == self._start.segment else 0
            descriptor = os.open(path, os.O_RDONLY)
            try:
                for found in self._segment(descriptor, place, first):
                    self.records_seen += 1
                    if found.header.sequence != self.records_seen:
                        self.fault = (
                            f"record {self.records_seen} is missing in journal segment {place}"
                            f" at byte {found.begins.offset}"
                        )
                        return
                    yield found
                size = os.fstat(descriptor).st_size
                if self.end.offset < size:
                    if place != len(paths):
                        self.fault = f"journal segment {place} is damaged at byte {self.end.offset}"
                        return
                    self.torn_bytes = _until_zeros(descriptor, self.end.offset, size)
            finally:
                os.close(descriptor)

    def _segment(self, descriptor: int, segment: int, offset: int) -> Iterator[Scanned]:
        self.end = Position(segment, offset)
        while True:
            frame = decode_frame(os.pread(descriptor, FRAME.size, offset))
            if frame is None:
                return
            header_length, body_length, crc = frame
            begins = Position(segment, offset)
            place = offset + FRAME.size + body_length
            data = os.pread(descriptor, header_length, place)
            header = decode_header(data, crc) if len(data) == header_length else None
            if header is None:
                return
            offset = place + header_length
            self.end = Position(segment, offset)
            yield Scanned(header, begins, self.end, body_length)


def _until_zeros(descriptor: int, offset: int, size: int) -> int:
    """How many bytes from the offset on, up to the last one that is not zero."""
    last = offset
    for place in range(offset, size, _PIECE):
        piece = os.pread(descriptor, _PIECE, place).rstrip(b"\0")
        if piece:
            last = place + len(piece)
    return last - offset
