"""Reads of what the engagement index has been told, and of whose engagements may have changed."""

from collections.abc import Iterable
from typing import Final

from samsyn.store.index.port import IndexConnection, Row


def waiting(connection: IndexConnection, now: str, limit: int) -> dict[int, int]:
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


def told(connection: IndexConnection, numbers: Iterable[str]) -> list[Row]:
    """What has been told about these numbers, refused ones included."""
    wanted = sorted(set(numbers))
    return connection.execute(
        f"SELECT * FROM engagement WHERE number IN ({','.join('?' * len(wanted))})", wanted
    ).fetchall()


_WAITING: Final = "SELECT COUNT(*) FROM engagement_change"
_REFUSED: Final = "SELECT COUNT(*) FROM engagement WHERE refusal <> ''"


def count_waiting(connection: IndexConnection) -> int:
    """Persons whose changes have not been told yet."""
    return int(connection.execute(_WAITING).fetchone()[0])


def count_refused(connection: IndexConnection) -> int:
    """Engagements that the index refused."""
    return int(connection.execute(_REFUSED).fetchone()[0])


def counts(connection: IndexConnection) -> tuple[int, int]:
    """(waiting, refused)."""
    waiting, refused = (int(connection.execute(sql).fetchone()[0]) for sql in (_WAITING, _REFUSED))
    return waiting, refused
