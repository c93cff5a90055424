"""Reads of what the scrub knows, and of whether a row still names a place in the journal."""

import sqlite3
from typing import Any


def scrub_state(connection: sqlite3.Connection) -> tuple[int, str, str] | None:
    """(next segment or 0, when the pass under way began, when the last whole one ended); None before the first."""
    row = connection.execute("SELECT segment, began, finished FROM scrub").fetchone()
    return (row[0], row[1], row[2]) if row is not None else None


def names_place(
    connection: sqlite3.Connection, table: str, key: str, value: Any, segment: int, offset: int
) -> bool:
    """Whether the row with this key has its body at this place of the journal."""
    found = connection.execute(
        f"SELECT 1 FROM {table} WHERE {key} = ? AND segment = ? AND body_offset = ?", (value, segment, offset)
    )
    return found.fetchone() is not None
