"""Reads of the job table."""

import sqlite3


def ready(connection: sqlite3.Connection, until: str, limit: int) -> list[tuple[int, str, str, str, int]]:
    """(key, kind, name, payload, attempt) of jobs whose time has come, most urgent first."""
    rows = connection.execute(
        "SELECT job_key, kind, name, payload, attempt FROM job WHERE state = 'ready' AND run_at <= ?"
        " ORDER BY priority, run_at LIMIT ?",
        (until, limit),
    )
    return [tuple(row) for row in rows]


def counts(connection: sqlite3.Connection) -> dict[str, int]:
    """Jobs by state."""
    return {row[0]: row[1] for row in connection.execute("SELECT state, COUNT(*) FROM job GROUP BY state")}
