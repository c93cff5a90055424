"""Reads of the job table."""

from collections.abc import Sequence

from samsyn.store.index.port import IndexConnection


def ready(
    connection: IndexConnection, until: str, limit: int, kinds: Sequence[str]
) -> list[tuple[int, str, str, str, int]]:
    """(key, kind, name, payload, attempt) of jobs of these kinds whose time has come, most urgent first."""
    rows = connection.execute(
        "SELECT job_key, kind, name, payload, attempt FROM job WHERE state = 'ready' AND run_at <= ?"
        f" AND kind IN ({','.join('?' * len(kinds))}) ORDER BY priority, run_at LIMIT ?",
        (until, *kinds, limit),
    )
    return [tuple(row) for row in rows]


def late(connection: IndexConnection, kind: str, prefix: str, now: str, limit: int) -> list[int]:
    """Keys of jobs whose names begin so, and which wait for another attempt or were given up."""
    rows = connection.execute(
        "SELECT job_key FROM job WHERE kind = ? AND name >= ? AND name < ?"
        " AND (state = 'parked' OR run_at > ?) LIMIT ?",
        (kind, prefix, prefix[:-1] + chr(ord(prefix[-1]) + 1), now, limit),
    )
    return [row[0] for row in rows]


def counts(connection: IndexConnection) -> dict[str, int]:
    """Jobs by state."""
    return {row[0]: row[1] for row in connection.execute("SELECT state, COUNT(*) FROM job GROUP BY state")}


def any_of(connection: IndexConnection, kind: str, prefix: str) -> bool:
    """Whether any job whose name begins so is not done; one that was given up is not done."""
    following = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    rows = connection.execute(
        "SELECT 1 FROM job WHERE kind = ? AND name >= ? AND name < ? LIMIT 1", (kind, prefix, following)
    )
    return rows.fetchone() is not None
