"""Proving that the audit journal is what was written: chain, journal against index, and anchors.

Everything is read as it lies on disk, nothing is changed; it may run beside the service.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from samsyn.audit.anchors import Anchor
from samsyn.audit.chain import COLUMNS, FIRST_HASH, chained_hash
from samsyn.store.index import audit_rows
from samsyn.store.index.port import FAULTS, Index, IndexConnection
from samsyn.store.index.progress import replayed_until
from samsyn.store.index.sqlite import open_reader
from samsyn.store.object_journal import ObjectJournal
from samsyn.store.scan import RemoteScan, Scan, Scanned, Scanning

_ROW: Final = (*COLUMNS, "hash")
_PAGE: Final = 10_000
_NAMES: Final = frozenset(_ROW)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not fit. `sequence` is the first entry that it concerns."""

    sequence: int
    sentence: str


@dataclass(slots=True)
class Proof:
    """What the check found. Whole when there are no findings."""

    entries: int = 0
    """Entries whose chain fits, from the first one on."""
    journal: str = ""
    """Which journal it is (see anchors.Anchor), "" while it is empty."""
    head: str = FIRST_HASH
    anchored: int = 0
    """The newest entry that an anchor vouches for."""
    anchors: int = 0
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def found(self, sequence: int, sentence: str) -> None:
        """Adds a finding."""
        self.findings.append(Finding(sequence, sentence))


def prove(folder: Path, anchors: Sequence[Anchor]) -> Proof:
    """Checks the data folder's audit journal from its first entry to its last against itself and the anchors."""
    with closing(_file_rows(folder / "index.sqlite")) as index:
        return _proved(Scan(folder / "journal"), index, anchors)


def prove_shared(
    journal: ObjectJournal, kind: Index, connection: IndexConnection | None, anchors: Sequence[Anchor]
) -> Proof:
    """The same of a journal in an object store and an index in a database, which nodes may be writing to.

    Records that another node has on its own disk only are told as missing: it is for a cluster at rest then.
    """
    index = _IndexRows()
    if connection is not None:
        index = _IndexRows(connection, kind.reached(connection).sequence, _paged(connection))
    return _proved(RemoteScan(journal), index, anchors)


def _proved(scan: Scanning, index: "_IndexRows", anchors: Sequence[Anchor]) -> Proof:
    proof = Proof()
    expected: dict[int, set[str]] = {}
    for anchor in anchors:
        expected.setdefault(anchor.sequence, set()).add(anchor.hash)
    for record in scan.records():
        if not _take(record, proof, index, expected):
            break
    else:
        if scan.fault:
            proof.found(proof.entries + 1, scan.fault)
        else:
            _end(proof, index, scan)
    for anchor in anchors:
        if proof.journal and anchor.sequence and anchor.journal != proof.journal:
            proof.found(1, f"the anchor at entry {anchor.sequence} belongs to another journal")
            break
    _anchors_beyond(proof, anchors)
    proof.anchors = len(anchors)
    proof.findings.sort(key=lambda finding: finding.sequence)
    return proof


def _take(record: Scanned, proof: Proof, index: "_IndexRows", expected: dict[int, set[str]]) -> bool:
    """Checks what one record does to the audit journal; False when there is no sense in going on."""
    for operation in record.header.operations:
        if operation[1] != "audit":
            continue
        row = operation[2]
        sequence = proof.entries + 1
        if operation[0] != "i" or not isinstance(row, dict) or set(row) != _NAMES:
            proof.found(
                sequence, f"record {record.header.sequence} does something to the entries but adding one"
            )
            return False
        if row["sequence"] != sequence or chained_hash(proof.head, row) != row["hash"]:
            proof.found(sequence, "the journal's entry does not fit the chain")
            return False
        proof.entries, proof.head = sequence, str(row["hash"])
        if sequence == 1:
            proof.journal = proof.head[:16]
        if not expected.get(sequence, {proof.head}) <= {proof.head}:
            proof.found(
                sequence, "the entry has another hash than an anchor says: the journal was written anew"
            )
            return False
        problem = index.compare(row, record.header.sequence)
        if problem:
            proof.found(sequence, problem)
    return True


def _end(proof: Proof, index: "_IndexRows", scan: Scanning) -> None:
    problem = index.compare_end(scan.records_seen)
    if problem:
        proof.found(proof.entries + 1, problem)
    if scan.torn_bytes:
        proof.notes.append(
            f"{scan.torn_bytes} bytes behind the last record are no record: what a power cut or a service at work"
            " leaves, or what a damaged last record looks like"
        )


def _anchors_beyond(proof: Proof, anchors: Sequence[Anchor]) -> None:
    """An anchor behind the last entry means that entries are gone, unless the check stopped before for a reason."""
    newest = max((anchor.sequence for anchor in anchors), default=0)
    proof.anchored = max((each.sequence for each in anchors if each.sequence <= proof.entries), default=0)
    if newest > proof.entries and not proof.findings:
        proof.found(
            proof.entries + 1,
            f"the journal ends at entry {proof.entries}, but an anchor was taken at entry {newest}:"
            " entries were cut off or an older copy was put back",
        )


class _IndexRows:
    """The index's audit rows beside those of the journal; tells the first difference only."""

    def __init__(
        self,
        connection: IndexConnection | None = None,
        applied: int = 0,
        rows: Iterator[tuple[Any, ...]] | None = None,
        fault: str = "",
    ) -> None:
        """`connection`: None = there is no index; `applied`: the last record that it knows; `rows`: its entries."""
        self._connection = connection
        self._applied = applied
        self._rows = rows or iter(())
        self._fault = fault
        self._told = False

    def compare(self, row: dict[str, Any], record: int) -> str:
        """What is wrong with the index's row for this entry of the journal; "" when nothing is."""
        if self._is_absent or self._told or (record > self._applied and not self._fault):
            return ""
        if not self._fault and self._next() != tuple(row[name] for name in _ROW) and not self._fault:
            self._fault = "the index does not tell what the journal tells: remove it to have it made anew"
        self._told = bool(self._fault)
        return self._fault

    def compare_end(self, last_record: int) -> str:
        """What is wrong with what the index has beyond the journal's end."""
        if self._is_absent or self._told:
            return ""
        if self._applied > last_record or (self._next() is not None and not self._fault):
            return f"the index knows {self._applied} records, the journal ends with {last_record}: its end is gone"
        return self._fault

    @property
    def _is_absent(self) -> bool:
        return self._connection is None and not self._fault

    def _next(self) -> tuple[Any, ...] | None:
        try:
            return next(self._rows, None)
        except FAULTS as problem:
            self._fault = _unreadable(problem)
            return None

    def close(self) -> None:
        """Lets go of the file."""
        if self._connection is not None:
            self._connection.close()


def _file_rows(path: Path) -> _IndexRows:
    """Those of an index file, all of one moment."""
    connection: IndexConnection | None = None
    if not path.exists():
        return _IndexRows()
    try:
        connection = open_reader(path)
        connection.execute("BEGIN")
        _, applied = replayed_until(connection)
        return _IndexRows(connection, applied, audit_rows.all_rows(connection, _ROW))
    except (*FAULTS, TypeError) as problem:
        return _IndexRows(connection, fault=_unreadable(problem))


def _paged(connection: IndexConnection) -> Iterator[tuple[Any, ...]]:
    """Those of a database, some thousands at a time."""
    first = 1
    while rows := audit_rows.page(connection, _ROW, first, _PAGE):
        for row in rows:
            yield tuple(row.values())
        first = rows[-1]["sequence"] + 1


def _unreadable(problem: Exception) -> str:
    return f"the index can not be read ({problem}): remove it to have it made anew"
