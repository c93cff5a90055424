"""Reads of the audit table."""

import sqlite3
from typing import Any


def page(
    connection: sqlite3.Connection, columns: tuple[str, ...], first: int, limit: int
) -> list[dict[str, Any]]:
    """Rows from sequence number `first` on, in order."""
    cursor = connection.execute(
        f"SELECT {', '.join(columns)} FROM audit WHERE sequence >= ? ORDER BY sequence LIMIT ?",
        (first, limit),
    )
    return [dict(zip(columns, row, strict=True)) for row in cursor]


def openings_of_patient(
    connection: sqlite3.Connection, patient_keys: list[int], limit: int
) -> list[dict[str, Any]]:
    """Newest entries about these persons."""
    marks = ",".join("?" * len(patient_keys))
    cursor = connection.execute(
        "SELECT sequence, time, event, activity, actor, actor_provider, actor_unit, assignment, purpose,"
        f" owner_provider, owner_unit, allowed, details FROM audit WHERE patient_key IN ({marks})"
        " ORDER BY sequence DESC LIMIT ?",
        (*patient_keys, limit),
    )
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]
