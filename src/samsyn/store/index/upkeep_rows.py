"""Reads of what the scrub knows, and of whether a row still names a place in the journal."""

import sqlite3
from typing import Any, Final

_OBJECT_TABLES: Final = ("instance", "original_body", "held")
"""Tables that name bodies by SOP Instance UID."""


def scrub_state(connection: sqlite3.Connection) -> tuple[int, str, str] | None:
    """(next segment or 0, when the pass under way began, when the last whole one ended); None before the first."""
    row = connection.execute("SELECT segment, began, finished FROM scrub").fetchone()
    return (row[0], row[1], row[2]) if row is not None else None


def names_place(
    connection: sqlite3.Connection, table: str, uids: dict[str, Any], segment: int, offset: int
) -> bool:
    """Whether the row with this key has its body at this place of the journal.

    A place may have gone over to another table (an object that was corrected): those that know the object's UID
    are asked as well.
    """
    key, value = next(iter(uids.items()))
    if _has_row(connection, table, key, value, segment, offset):
        return True
    uid = uids.get("sop_uid")
    return uid is not None and any(
        _has_row(connection, other, "sop_uid", uid, segment, offset)
        for other in _OBJECT_TABLES
        if other != table
    )


def is_named_elsewhere(connection: sqlite3.Connection, sop_uid: str, segment: int, offset: int) -> bool:
    """Whether a row beside `instance` names this place for the object."""
    return any(
        _has_row(connection, table, "sop_uid", sop_uid, segment, offset)
        for table in _OBJECT_TABLES
        if table != "instance"
    )


def _has_row(
    connection: sqlite3.Connection, table: str, key: str, value: Any, segment: int, offset: int
) -> bool:
    found = connection.execute(
        f"SELECT 1 FROM {table} WHERE {key} = ? AND segment = ? AND body_offset = ?", (value, segment, offset)
    )
    return found.fetchone() is not None
