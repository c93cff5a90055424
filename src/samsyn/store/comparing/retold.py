"""The index that the journal tells of, made beside the present one in a file without a name: it is gone as soon as
nobody has it open, however the process ends."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from samsyn import limits
from samsyn.errors import DamagedData, OutOfResources
from samsyn.store import replay
from samsyn.store.batch import Batch
from samsyn.store.comparing.marks import SettledMarks
from samsyn.store.comparing.untouched import Untouched
from samsyn.store.index.port import NoRoom
from samsyn.store.index.schema import SCHEMA
from samsyn.store.index.sqlite import SqliteConnection, open_writer, remove
from samsyn.store.journal import Position
from samsyn.store.objects.series_objects import SeriesObjects

_LOOK_EVERY: Final = 10_000


class Retold:
    """What the records of a journal say up to one of them."""

    def __init__(
        self, journal: Untouched, connection: SqliteConnection, folder: Path, told: Callable[[str], None]
    ) -> None:
        """`folder`: the disk on which it grows. `told` hears how far it has come."""
        self.connection = connection
        self.marks = SettledMarks(connection)
        self.sequence = 0
        """Number of the last record that is in it."""
        self.ends = Position(0, 0)
        """Where that record ends."""
        self.fault = ""
        """Why the journal can not be read further, "" when it can."""
        self._journal = journal
        self._folder = folder
        self._told = told

    def go_on(self, last: int = 0) -> None:
        """Takes the records up to number `last` in, 0 = all that are there. OutOfResources: the disk would run full."""
        if self.fault or (last and last <= self.sequence):
            return
        self._journal.last = last
        connection, batch = self.connection, Batch(self.connection, None)
        connection.execute("BEGIN")
        try:
            for record in self._journal.replay(self.ends, self.sequence):
                for operation in record.header.operations:
                    self.marks.take(operation)
                replay.apply(batch, record)
                self.sequence, self.ends = record.header.sequence, record.ends
                if self.sequence % _LOOK_EVERY == 0:
                    connection.execute("COMMIT")
                    self._look_for_room()
                    self._told(f"record {self.sequence} of the journal, segment {record.ends.segment}")
                    connection.execute("BEGIN")
        except DamagedData as problem:
            self.fault = problem.detail
        except NoRoom as problem:
            raise _no_room(self._folder) from problem
        finally:
            if connection.in_transaction:
                connection.execute("COMMIT")

    def _look_for_room(self) -> None:
        if shutil.disk_usage(self._folder).free < 2 * limits.DISK_RESERVE_BYTES:
            raise _no_room(self._folder)

    def behind(self) -> int:
        """How many records of the journal are not in it."""
        try:
            return self._journal.behind(self.ends, self.sequence)
        except DamagedData as problem:
            self.fault = problem.detail
            return 0


def _no_room(folder: Path) -> OutOfResources:
    kept_free = 2 * limits.DISK_RESERVE_BYTES // limits.MIB
    return OutOfResources(
        f"no room: a second index is made in {folder.parent}, where {kept_free} MiB have to stay free; free some space,"
        " or compare a copy of the data folder"
    )


@contextmanager
def retold(
    journal: Untouched, objects: SeriesObjects, folder: Path, told: Callable[[str], None], *, is_shared: bool
) -> Iterator[Retold]:
    """An empty one in the folder. `is_shared`: for an index that nodes share, which gives the numbers that it gives out
    itself by its rows alone (postgresql.ddl), while a file's AUTOINCREMENT leaves gaps."""
    if shutil.disk_usage(folder).free < 2 * limits.DISK_RESERVE_BYTES:
        raise _no_room(folder)
    path = folder / "retold.sqlite"
    schema = SCHEMA.replace(" AUTOINCREMENT", "") if is_shared else SCHEMA
    with closing(open_writer(path, objects, schema)) as connection:
        connection.execute("PRAGMA journal_mode=OFF")
        connection.execute("PRAGMA synchronous=OFF")
        remove(path)
        yield Retold(journal, connection, folder, told)
