"""Is everything that was acknowledged to be found, and is everything to be found that was acknowledged?

The journal is told anew into an index beside the present one (`retold`), by what makes an index anew. Then the rows of
both are compared, and the series objects with what the records that settled them said. Nothing is changed, so a service
may be at work meanwhile: the index is held still for as long as its rows are compared, and what was changed since is
asked for again before it is told as a fault. Memory is bounded; the disk has to have room for a second index.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from samsyn.errors import ConfigurationError
from samsyn.settings import Settings
from samsyn.store.comparing.objects import ObjectsLookedAt, ObjectsSeen
from samsyn.store.comparing.retold import Retold, retold
from samsyn.store.comparing.rows import Difference, Kind, differences
from samsyn.store.comparing.untouched import Untouched, UntouchedFolder, UntouchedObjects
from samsyn.store.index import settled_rows, upkeep_rows
from samsyn.store.index.port import FAULTS, Index, IndexConnection
from samsyn.store.index.sqlite import SqliteIndex
from samsyn.store.object_journal import ObjectJournal
from samsyn.store.objects.remote_series import RemoteSeries
from samsyn.store.objects.series_objects import SeriesObjects
from samsyn.store.opening import open_index, open_objects

_CATCHING_UP: Final = 3
"""Rounds in which the second index comes near the first, which a service goes on writing to, before that is held."""
_OWNERS: Final = {
    "instance": "sop_uid",
    "message": "message_key",
    "held": "held_key",
    "original_body": "sop_uid",
    "draft_body": "sop_uid",
}
"""Tables whose rows name bodies in the journal, and the column that names the row."""


@dataclass(slots=True)
class Compared:
    """What the comparison found."""

    records: int = 0
    """Of the journal, that the index was compared with."""
    waiting: int = 0
    """Records behind those."""
    known: int = 0
    """Records that the index says it has; 0 = there is no index."""
    has_index: bool = False
    index_fault: str = ""
    """Why the index could not be read, "" when it could."""
    journal_fault: str = ""
    """Why the journal could not be read to its end."""
    torn_bytes: int = 0
    rows: list[Difference] = field(default_factory=list)
    """Tables that differ."""
    gone: dict[str, Kind] = field(default_factory=dict)
    """Bodies that lie no more where the journal had them, or have not their SHA-256, by table of their row."""
    objects: ObjectsSeen = field(default_factory=ObjectsSeen)


def compare(values: Settings, told: Callable[[str], None], *, hashes: bool = False) -> Compared:
    """Compares the data of an installation; `hashes`: every stored body is read, too. `told` hears how far it has come.

    ConfigurationError, StoreFailed: the settings do not lead there. OutOfResources: the object store does not answer,
    or there is no room for the second index.
    """
    folder = values.data.folder
    with ExitStack() as undo:
        workshop = undo.enter_context(_workshop(folder))
        remote = open_objects(values.objects)
        journal: Untouched
        if remote is None:
            journal = UntouchedFolder(folder / "journal", hashes=hashes)
            series = SeriesObjects(folder / "objects")
        else:
            undo.callback(remote.close)
            journal = UntouchedObjects(ObjectJournal(remote, folder), hashes=hashes)
            series = RemoteSeries(remote, workshop / "series")
        undo.callback(series.close)
        undo.callback(journal.close)
        index: Index = open_index(values) or SqliteIndex(folder / "index.sqlite")
        undo.callback(index.close)
        truth = undo.enter_context(retold(journal, series, workshop, told, is_shared=index.is_shared))
        comparison = _Comparison(truth, index, series, told, hashes=hashes)
        comparison.run()
        comparison.found.torn_bytes = journal.torn_bytes
        return comparison.found


@contextmanager
def _workshop(folder: Path) -> Iterator[Path]:
    derived = folder / "derived"
    try:
        derived.mkdir(mode=0o700, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix="check-", dir=derived))
    except OSError as problem:
        raise ConfigurationError(f"{derived} can not be written: {problem.strerror}") from problem
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


class _Comparison:
    def __init__(
        self,
        truth: Retold,
        index: Index,
        series: SeriesObjects,
        told: Callable[[str], None],
        *,
        hashes: bool,
    ) -> None:
        self.found = Compared()
        self._truth = truth
        self._index = index
        self._series = series
        self._told = told
        self._hashes = hashes

    def run(self) -> None:
        """All of it."""
        with ExitStack() as undo:
            reader: IndexConnection | None = None
            try:
                if self._index.is_there() and self._index.is_of_this_version():
                    reader = undo.enter_context(closing(self._index.open_reader(self._series)))
                    self.found.has_index = True
                    self._compare_rows(reader)
            except FAULTS as problem:
                self.found.index_fault, reader = str(problem), None
            if reader is None:
                self._truth.go_on()
            self.found.records = self._truth.sequence
            self.found.waiting = self._truth.behind() if not self._truth.fault else 0
            self.found.journal_fault = self._truth.fault
            self._look_at_bodies(reader)
            objects = ObjectsLookedAt(
                self._truth,
                self._series,
                lambda key: None if reader is None else settled_rows.names_object(reader, key),
                self._told,
                hashes=self._hashes,
            )
            self.found.objects = objects.look()

    def _compare_rows(self, reader: IndexConnection) -> None:
        for _ in range(_CATCHING_UP):
            self._truth.go_on(self._index.reached(reader).sequence)
        self._index.hold_still(reader)
        try:
            self.found.known = self._index.reached(reader).sequence
            self._truth.go_on(self.found.known)
            self.found.rows += differences(self._truth.connection, reader, self._told)
        finally:
            reader.execute("ROLLBACK")

    def _look_at_bodies(self, reader: IndexConnection | None) -> None:
        """Of the bodies that were not found whole those that a row names, then and still."""
        connection = self._truth.connection
        if not upkeep_rows.damage_count(connection):
            return
        for table in _OWNERS:
            connection.execute(f"CREATE INDEX {table}_by_place ON {table}(segment, body_offset)")
        for segment, offset in connection.execute("SELECT segment, body_offset FROM damage"):
            for table, column in _OWNERS.items():
                sql = f"SELECT {column} FROM {table} WHERE segment = ? AND body_offset = ?"  # noqa: S608 - constants
                for (key,) in connection.execute(sql, (segment, offset)):
                    if reader is None or upkeep_rows.names_place(
                        reader, table, {column: key}, segment, offset
                    ):
                        self.found.gone.setdefault(table, Kind()).add(str(key))
