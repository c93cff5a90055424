"""The embedded index: one SQLite file in WAL mode.

synchronous=NORMAL keeps the file consistent over a power cut but may lose the last transactions; they are
replayed from the journal, which was synced before each of them.
"""

import contextlib
import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from samsyn import limits
from samsyn.store.index.port import IndexConnection, IndexFault, InOneCall, NoRoom, Reached, RuleBroken
from samsyn.store.index.progress import last_keys, replayed_until
from samsyn.store.index.schema import SCHEMA, SCHEMA_VERSION
from samsyn.store.objects.series_objects import SeriesObjects

T = TypeVar("T")

_STATEMENTS: Final = 512
"""Prepared statements that each connection keeps."""
_LOGS: Final = ("-wal", "-shm", "-journal")
"""How the files beside a SQLite file end. A file is made with a rollback journal before it goes over to a write-ahead
log, and whoever is killed in between leaves one."""


class SqliteConnection(sqlite3.Connection):
    """A connection that raises the faults of the port, and knows where the series objects are."""

    objects: SeriesObjects
    nests_savepoints = False
    undoes_failed_statement = True
    together = None

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """As the port promises."""
        try:
            return super().execute(sql, parameters)
        except sqlite3.Error as problem:
            raise _fault(problem) from problem

    @property
    def in_one_call(self) -> InOneCall:
        """Itself."""
        return self

    def execute_many(self, sql: str, rows: Sequence[Sequence[Any]], /) -> None:
        """As the port promises."""
        try:
            super().executemany(sql, rows)
        except sqlite3.Error as problem:
            raise _fault(problem) from problem


def _fault(problem: sqlite3.Error) -> IndexFault:
    if isinstance(problem, sqlite3.IntegrityError):
        return RuleBroken(str(problem))
    if getattr(problem, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL:
        return NoRoom("the index's disk is full")
    return IndexFault(str(problem))


class SqliteIndex:
    """The index of one data folder, in one file."""

    follows_journal = True

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log = path.with_name(path.name + "-wal")
        self._fresh = path.with_name(path.name + ".new")

    @property
    def is_shared(self) -> bool:
        """No: the data folder is this process's alone."""
        return False

    def is_there(self) -> bool:
        """Whether there is a file."""
        return self._path.exists()

    def is_of_this_version(self) -> bool:
        """Whether the file is new or has the tables that this program needs; False also for what is no index."""
        if not self._path.exists():
            return True
        connection = sqlite3.connect(self._path, isolation_level=None)
        try:
            return connection.execute("PRAGMA user_version").fetchone()[0] in (0, SCHEMA_VERSION)
        except sqlite3.DatabaseError:
            return False
        finally:
            connection.close()

    def open_writer(self, objects: SeriesObjects) -> SqliteConnection:
        """The one connection that changes the index; makes the tables when the file is new."""
        remove(self._fresh)  # a process that was killed may have left a part of one
        return open_writer(self._path, objects)

    def open_reader(self, objects: SeriesObjects) -> SqliteConnection:
        """A connection that can only read; each thread has its own."""
        return open_reader(self._path, objects)

    @property
    def complaint(self) -> str:
        """Nothing."""
        return ""

    def reached(self, connection: IndexConnection) -> Reached:
        """How far it has come."""
        place, sequence = replayed_until(connection)
        return Reached(place, sequence, last_keys(connection), "")

    def hold_still(self, connection: IndexConnection) -> None:
        """Opens a transaction, which begins with the first question."""
        connection.execute("BEGIN")

    def begin(self, connection: IndexConnection, known: Reached) -> Reached:
        """Opens a transaction; this process alone writes, and knows what it noted."""
        connection.execute("BEGIN IMMEDIATE")
        return known

    def tidy_as_writer(self, connection: IndexConnection) -> None:
        """Lets the write-ahead log begin from its start again when it has grown long.

        `tidy` alone never gets there in a long burst, since the log goes on growing while it works. The writer has
        then only the rest to move, and whoever reads an older state just now only puts it off to the next time.
        """
        with contextlib.suppress(FileNotFoundError):
            if self._log.stat().st_size > limits.INDEX_LOG_BYTES:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def commit(self, connection: IndexConnection, reached: Reached | None) -> None:
        """Ends the transaction, and notes in it how far the index has come with it."""
        if reached is not None:
            connection.execute(
                "UPDATE journal_state SET segment = ?, end_offset = ?, sequence = ?",
                (reached.place.segment, reached.place.offset, reached.sequence),
            )
        connection.execute("COMMIT")

    def tidy(self) -> None:
        """Moves what the write-ahead log holds into the file, beside the writer and without blocking it."""
        connection = sqlite3.connect(self._path, isolation_level=None)
        try:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        except sqlite3.Error:
            pass  # busy or full: the next round tries again, the journal holds everything
        finally:
            connection.close()

    def make_anew(self, objects: SeriesObjects, fill: Callable[[IndexConnection], T]) -> T:
        """A fresh index, filled by the function; the old one stays until the new one is whole and on disk."""
        fresh = self._fresh
        try:
            found = self._filled(objects, fill)
        except BaseException:
            remove(fresh)
            raise
        _sync(fresh)
        remove(self._path)
        fresh.replace(self._path)
        _sync(self._path.parent)
        return found

    def _filled(self, objects: SeriesObjects, fill: Callable[[IndexConnection], T]) -> T:
        remove(self._fresh)
        connection = open_writer(self._fresh, objects)
        try:
            # Nobody reads a half-made index, and a crash throws it away: it needs no log, which would hold each page
            # as often as it was changed and grow to many times the index.
            connection.execute("PRAGMA journal_mode=OFF")
            connection.execute("PRAGMA synchronous=OFF")
            connection.execute(f"PRAGMA cache_size=-{limits.REBUILD_CACHE_BYTES // limits.KIB}")
            return fill(connection)
        finally:
            connection.close()

    def close(self) -> None:
        """Nothing is held beside the connections."""


def _opened(path: str, objects: SeriesObjects, *, uri: bool = False) -> SqliteConnection:
    connection = sqlite3.connect(
        path,
        uri=uri,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=_STATEMENTS,
        factory=SqliteConnection,
    )
    connection.objects = objects
    return connection


def open_writer(path: Path, objects: SeriesObjects, schema: str = SCHEMA) -> SqliteConnection:
    """See SqliteIndex.open_writer. `schema`: of a new file."""
    fresh = not path.exists()
    connection = _opened(str(path), objects)
    if fresh:
        path.chmod(0o600)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    connection.execute(f"PRAGMA journal_size_limit={limits.INDEX_LOG_BYTES // 4}")
    connection.execute("PRAGMA cache_size=-65536")
    # What a savepoint may have to undo is some pages, of the largest correction some ten thousand; in a temporary file
    # they cost thirty calls for each record.
    connection.execute("PRAGMA temp_store=MEMORY")
    if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
        connection.executescript(f"BEGIN; {schema} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;")
    return connection


def remove(path: Path) -> None:
    """Takes the index file away with its logs: a log that is left would be played into the next file."""
    for name in (path, *(path.with_name(path.name + end) for end in _LOGS)):
        name.unlink(missing_ok=True)


def open_reader(path: Path, objects: SeriesObjects | None = None) -> SqliteConnection:
    """See SqliteIndex.open_reader."""
    connection = _opened(f"file:{path}?mode=ro", objects or SeriesObjects(path.parent / "objects"), uri=True)
    connection.execute("PRAGMA query_only=1")
    connection.execute("PRAGMA case_sensitive_like=1")
    connection.execute("PRAGMA mmap_size=2147418112")
    connection.execute("PRAGMA cache_size=-16384")
    connection.row_factory = sqlite3.Row
    return connection


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
