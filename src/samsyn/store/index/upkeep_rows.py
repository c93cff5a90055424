"""Reads of what the scrub knows, and of whether a row still names a place in the journal."""

from typing import Any, Final

from samsyn.store.index import tables
from samsyn.store.index.port import IndexConnection

_OBJECT_TABLES: Final = ("instance", "original_body", "held")
"""Tables that name bodies by SOP Instance UID."""


def scrub_state(connection: IndexConnection) -> tuple[int, str, str] | None:
    """(next segment or 0, when the pass under way began, when the last whole one ended); None before the first."""
    row = connection.execute("SELECT segment, began, finished FROM scrub").fetchone()
    return (row[0], row[1], row[2]) if row is not None else None


def names_place(
    connection: IndexConnection, table: str, uids: dict[str, Any], segment: int, offset: int
) -> bool:
    """Whether the row with this key has its body at this place of the journal.

    A place may have gone over to another table (an object that was corrected): those that know the object's UID
    are asked as well.
    """
    key, value = next(iter(uids.items()))
    if not {key, "segment", "body_offset"} <= {*tables.columns_of(table)}:
        return False  # behind a broken header the bytes of a body may look like a record
    if _has_row(connection, table, key, value, segment, offset):
        return True
    uid = uids.get("sop_uid")
    return uid is not None and any(
        _has_row(connection, other, "sop_uid", uid, segment, offset)
        for other in _OBJECT_TABLES
        if other != table
    )


def is_named_elsewhere(connection: IndexConnection, sop_uid: str, segment: int, offset: int) -> bool:
    """Whether a row beside `instance` names this place for the object."""
    return any(
        _has_row(connection, table, "sop_uid", sop_uid, segment, offset)
        for table in _OBJECT_TABLES
        if table != "instance"
    )


def damage_count(connection: IndexConnection) -> int:
    """Marks of damage."""
    return int(connection.execute("SELECT COUNT(*) FROM damage").fetchone()[0])


def _has_row(
    connection: IndexConnection, table: str, key: str, value: Any, segment: int, offset: int
) -> bool:
    found = connection.execute(
        f"SELECT 1 FROM {table} WHERE {key} = ? AND segment = ? AND body_offset = ?", (value, segment, offset)
    )
    return found.fetchone() is not None
