"""The hash chain: each entry's hash covers its own fields and the hash before it.

Changing, removing, inserting or swapping an entry breaks every hash from there on; `broken_at` finds where.
"""

import hashlib
from typing import Final

import orjson

from samsyn.model.audit import AuditEntry

FIRST_HASH: Final = "0" * 64

COLUMNS: Final = (
    "sequence",
    "time",
    "event",
    "activity",
    "actor",
    "actor_provider",
    "actor_unit",
    "assignment",
    "purpose",
    "session_id",
    "patient_key",
    "owner_provider",
    "owner_unit",
    "allowed",
    "details",
)
"""What the hash covers, in this order."""


def row_of(sequence: int, time: str, entry: AuditEntry) -> dict[str, object]:
    """The entry as a row of the audit table, without its hash."""
    return {
        "sequence": sequence,
        "time": time,
        "event": entry.event,
        "activity": entry.activity,
        "actor": entry.actor,
        "actor_provider": entry.actor_provider,
        "actor_unit": entry.actor_unit,
        "assignment": entry.assignment,
        "purpose": entry.purpose,
        "session_id": entry.session_id,
        "patient_key": entry.patient_key,
        "owner_provider": entry.owner_provider,
        "owner_unit": entry.owner_unit,
        "allowed": int(entry.allowed),
        "details": orjson.dumps(entry.details, option=orjson.OPT_SORT_KEYS).decode(),
    }


def chained_hash(previous: str, row: dict[str, object]) -> str:
    """SHA-256 (hex) over the hash before and the row's covered columns."""
    covered = orjson.dumps([row[column] for column in COLUMNS])
    return hashlib.sha256(previous.encode("ascii") + covered).hexdigest()


def broken_at(rows: list[dict[str, object]], previous: str = FIRST_HASH, first: int = 1) -> int | None:
    """The sequence number of the first entry that does not fit the chain; None when all fit.

    `rows` in order of sequence, each with its stored `hash`; `previous` and `first` continue a chain.
    """
    expected = first
    for row in rows:
        if row["sequence"] != expected or chained_hash(previous, row) != row["hash"]:
            return expected
        previous = str(row["hash"])
        expected += 1
    return None
