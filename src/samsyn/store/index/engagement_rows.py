"""Reads of what the engagement index has been told, and of whose engagements may have changed."""

import sqlite3
from collections.abc import Iterable
from pathlib import Path


def waiting(connection: sqlite3.Connection, now: str, limit: int) -> dict[int, int]:
    """Turns by person of those whose engagements must be looked at, the longest waiting first; 0 = only time passed."""
    rows = connection.execute(
        "SELECT patient_key, turn FROM engagement_change ORDER BY change_key LIMIT ?", (limit,)
    ).fetchall()
    found = {int(row[0]): int(row[1]) for row in rows}
    due = connection.execute(
        "SELECT patient_key FROM engagement_due WHERE due <= ? ORDER BY due LIMIT ?", (now, limit)
    )
    for row in due:
        found.setdefault(int(row[0]), 0)
    return found


def told(connection: sqlite3.Connection, numbers: Iterable[str]) -> list[sqlite3.Row]:
    """What has been told about these numbers, refused ones included."""
    wanted = sorted(set(numbers))
    return connection.execute(
        f"SELECT * FROM engagement WHERE number IN ({','.join('?' * len(wanted))})", wanted
    ).fetchall()


def count_waiting(connection: sqlite3.Connection) -> int:
    """Persons whose changes have not been told yet."""
    return int(connection.execute("SELECT COUNT(*) FROM engagement_change").fetchone()[0])


def count_refused(connection: sqlite3.Connection) -> int:
    """Engagements that the index refused."""
    return int(connection.execute("SELECT COUNT(*) FROM engagement WHERE refusal <> ''").fetchone()[0])


def counts(path: Path) -> tuple[int, int]:
    """(waiting, refused) in the index file of a store that may be open elsewhere; zeros when it can not be read."""
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    except sqlite3.Error:
        return 0, 0
    try:
        return count_waiting(connection), count_refused(connection)
    except sqlite3.Error:
        return 0, 0
    finally:
        connection.close()
