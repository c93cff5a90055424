"""Reads of the audit table."""

from collections.abc import Iterator
from typing import Any

from samsyn.store.index.port import IndexConnection


def page(
    connection: IndexConnection, columns: tuple[str, ...], first: int, limit: int
) -> list[dict[str, Any]]:
    """Rows from sequence number `first` on, in order."""
    cursor = connection.execute(
        f"SELECT {', '.join(columns)} FROM audit WHERE sequence >= ? ORDER BY sequence LIMIT ?",
        (first, limit),
    )
    return [dict(zip(columns, row, strict=True)) for row in cursor]


def all_rows(connection: IndexConnection, columns: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    """Every row in order, one at a time."""
    for row in connection.execute(f"SELECT {', '.join(columns)} FROM audit ORDER BY sequence"):
        yield tuple(row)


def hash_at(connection: IndexConnection, sequence: int) -> str | None:
    """The hash of an entry, None when there is no such entry."""
    row = connection.execute("SELECT hash FROM audit WHERE sequence = ?", (sequence,)).fetchone()
    return None if row is None else str(row[0])


def last_sequence(connection: IndexConnection) -> int:
    """The number of the newest entry, 0 when there is none."""
    return int(connection.execute("SELECT COALESCE(MAX(sequence), 0) FROM audit").fetchone()[0])


def place_of(connection: IndexConnection, receiver: str) -> tuple[int, int] | None:
    """(delivered, attempted) of a receiver of the journal, None when it never got anything."""
    row = connection.execute(
        "SELECT delivered, attempted FROM audit_delivery WHERE receiver = ?", (receiver,)
    ).fetchone()
    return None if row is None else (int(row[0]), int(row[1]))


def places(connection: IndexConnection) -> list[tuple[str, int]]:
    """(receiver, newest entry delivered) of every receiver, by name."""
    rows = connection.execute("SELECT receiver, delivered FROM audit_delivery ORDER BY receiver")
    return [(str(row[0]), int(row[1])) for row in rows]


def set_aside(connection: IndexConnection, receiver: str) -> list[tuple[int, str, str]]:
    """(entry, state, the receiver's words) of what a receiver did not take, in order."""
    rows = connection.execute(
        "SELECT sequence, state, reason FROM audit_exception WHERE receiver = ? ORDER BY sequence",
        (receiver,),
    )
    return [(int(row[0]), str(row[1]), str(row[2])) for row in rows]
