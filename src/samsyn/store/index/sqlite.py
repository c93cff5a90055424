"""The embedded index: one SQLite file in WAL mode.

synchronous=NORMAL keeps the file consistent over a power cut but may lose the last transactions; they are
replayed from the journal, which was synced before each of them.
"""

import sqlite3
from pathlib import Path

from samsyn.dicom.names import folded
from samsyn.store.index.schema import KEYED_TABLES, SCHEMA, SCHEMA_VERSION
from samsyn.store.index.settled_rows import IndexConnection
from samsyn.store.journal import Position
from samsyn.store.objects.series_objects import SeriesObjects


def open_writer(path: Path, objects: SeriesObjects | None = None) -> sqlite3.Connection:
    """The one connection that changes the index; makes the tables when the file is new."""
    fresh = not path.exists()
    connection = sqlite3.connect(
        path,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=512,
        factory=IndexConnection,
    )
    connection.objects = objects or SeriesObjects(path.parent / "objects")
    if fresh:
        path.chmod(0o600)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    connection.execute("PRAGMA cache_size=-65536")
    # What a savepoint may have to undo is some pages; in a temporary file they cost thirty calls for each record.
    connection.execute("PRAGMA temp_store=MEMORY")
    if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
        connection.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;")
    return connection


def is_of_this_version(path: Path) -> bool:
    """Whether the file is new or has the tables that this program needs; False also for what is no index at all."""
    if not path.exists():
        return True
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        return connection.execute("PRAGMA user_version").fetchone()[0] in (0, SCHEMA_VERSION)
    except sqlite3.DatabaseError:
        return False
    finally:
        connection.close()


def remove(path: Path) -> None:
    """Takes the index file away with its logs: a log that is left would be played into the next file."""
    for name in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))):
        name.unlink(missing_ok=True)


def open_reader(path: Path, objects: SeriesObjects | None = None) -> sqlite3.Connection:
    """A connection that can only read; each thread has its own."""
    connection = sqlite3.connect(
        f"file:{path}?mode=ro",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=512,
        factory=IndexConnection,
    )
    connection.objects = objects or SeriesObjects(path.parent / "objects")
    connection.execute("PRAGMA query_only=1")
    connection.execute("PRAGMA case_sensitive_like=1")
    connection.execute("PRAGMA mmap_size=1073741824")
    connection.execute("PRAGMA cache_size=-16384")
    connection.create_function("folded", 1, folded, deterministic=True)
    connection.row_factory = sqlite3.Row
    return connection


def checkpoint(path: Path) -> None:
    """Moves what the write-ahead log holds into the file, beside the writer and without blocking it."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
    finally:
        connection.close()


def replayed_until(connection: sqlite3.Connection) -> tuple[Position, int]:
    """The journal position and sequence number up to which the index is complete."""
    segment, offset, sequence = connection.execute(
        "SELECT segment, end_offset, sequence FROM journal_state"
    ).fetchone()
    return Position(segment, offset), sequence


def last_keys(connection: sqlite3.Connection) -> dict[str, int]:
    """The highest key in use of each keyed table."""
    return {
        table: connection.execute(f"SELECT COALESCE(MAX({key}), 0) FROM {table}").fetchone()[0]
        for table, key in KEYED_TABLES.items()
    }
