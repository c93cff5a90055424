"""Reads of the audit journal for those who follow it up. Every question names the provider whose rows it is about."""

from collections.abc import Collection, Iterator
from typing import Any, Final

from samsyn.store.index.port import Cursor, IndexConnection

ENTRY: Final = (
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
_COLUMNS: Final = ", ".join(ENTRY)


def first_at(connection: IndexConnection, time: str) -> int:
    """The number of the first entry at or after the time, one more than the last entry when there is none.

    Found by halving: entries are numbered in the order of their time.
    """
    low, high = 1, int(connection.execute("SELECT COALESCE(MAX(sequence), 0) FROM audit").fetchone()[0]) + 1
    while low < high:
        middle = (low + high) // 2
        row = connection.execute("SELECT time FROM audit WHERE sequence = ?", (middle,)).fetchone()
        if row is not None and row[0] < time:
            low = middle + 1
        else:
            high = middle
    return low


def search(
    connection: IndexConnection,
    provider: str,
    first: int,
    last: int,
    *,
    actor: str,
    patient_keys: Collection[int] | None,
    unit: str,
    activity: str,
    limit: int,
) -> list[dict[str, Any]]:
    """The provider's entries in first ≤ sequence < last that fit every condition that is not empty, newest first."""
    # The plus keeps the index of the provider out of it when the reader's or the patient's leads to fewer rows.
    narrow = bool(actor) or patient_keys is not None
    owner = "+actor_provider = ?" if narrow else "actor_provider = ?"
    conditions, values = [owner, "sequence >= ?", "sequence < ?"], [provider, first, last]
    who = "+actor" if patient_keys is not None else "actor"
    for column, wanted in ((who, actor), ("actor_unit", unit), ("activity", activity)):
        if wanted:
            conditions.append(f"{column} = ?")
            values.append(wanted)
    if patient_keys is not None:
        conditions.append(f"patient_key IN ({', '.join('?' * len(patient_keys))})")
        values += sorted(patient_keys)
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM audit WHERE {' AND '.join(conditions)} ORDER BY sequence DESC LIMIT ?",
        (*values, limit),
    )
    return _entries(rows)


def after(connection: IndexConnection, sequence: int, limit: int) -> list[dict[str, Any]]:
    """Entries behind a number, in order."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM audit WHERE sequence > ? ORDER BY sequence LIMIT ?", (sequence, limit)
    )
    return _entries(rows)


def accesses(
    connection: IndexConnection, provider: str, first: int, last: int, events: Collection[str]
) -> Iterator[tuple[int, int, str, int]]:
    """(first entry, last entry, actor, patient) of each access: one person's looking at one patient in one day."""
    marks = ", ".join("?" * len(events))
    yield from connection.execute(
        "SELECT MIN(sequence), MAX(sequence), actor, patient_key FROM audit WHERE actor_provider = ?"
        f" AND sequence >= ? AND sequence < ? AND patient_key <> 0 AND event IN ({marks})"
        " GROUP BY actor, patient_key, substr(time, 1, 10) ORDER BY 1",
        (provider, first, last, *events),
    )


def count(connection: IndexConnection, provider: str, first: int, last: int) -> int:
    """How many entries the provider has there."""
    row = connection.execute(
        "SELECT COUNT(*) FROM audit WHERE actor_provider = ? AND sequence >= ? AND sequence < ?",
        (provider, first, last),
    ).fetchone()
    return int(row[0])


def unreviewed_emergencies(
    connection: IndexConnection, provider: str, first: int, last: int, limit: int
) -> list[tuple[int, int, str, int]]:
    """The same for emergency accesses, without the entries that stand in a check already."""
    return [
        (row[0], row[1], row[2], row[3])
        for row in connection.execute(
            "SELECT MIN(sequence), MAX(sequence), actor, patient_key FROM audit WHERE actor_provider = ?"
            " AND activity = 'Nödöppning' AND sequence >= ? AND sequence < ?"
            " AND NOT EXISTS (SELECT 1 FROM log_check_access AS a WHERE a.patient_key = audit.patient_key"
            "  AND a.actor = audit.actor AND audit.sequence BETWEEN a.sequence AND a.last_sequence)"
            " GROUP BY actor, patient_key, substr(time, 1, 10) ORDER BY 1 LIMIT ?",
            (provider, first, last, limit),
        )
    ]


def of_access(
    connection: IndexConnection, provider: str, first: int, last: int, actor: str, patient_key: int
) -> list[dict[str, Any]]:
    """Everything that a person did with a patient from one entry to another."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM audit WHERE patient_key = ? AND sequence BETWEEN ? AND ? AND +actor = ?"
        " AND +actor_provider = ? ORDER BY sequence",
        (patient_key, first, last, actor, provider),
    )
    return _entries(rows)


def of_patient(
    connection: IndexConnection, patient_keys: Collection[int], provider: str, limit: int
) -> list[dict[str, Any]]:
    """The newest entries about a person, of one provider's staff and systems or ("") of everybody's."""
    marks = ", ".join("?" * len(patient_keys))
    owner = " AND +actor_provider = ?" if provider else ""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM audit WHERE patient_key IN ({marks}){owner} ORDER BY sequence DESC LIMIT ?",
        (*sorted(patient_keys), *([provider] if provider else []), limit),
    )
    return _entries(rows)


def knows(connection: IndexConnection, provider: str, patient_keys: Collection[int]) -> bool:
    """Whether the provider has entries about the person beside what its log reviewers themselves have asked."""
    marks = ", ".join("?" * len(patient_keys))
    row = connection.execute(
        f"SELECT 1 FROM audit WHERE patient_key IN ({marks}) AND +actor_provider = ? AND event <> 'READ_AUDIT'"
        " AND NOT (event = 'EXPORT' AND owner_provider = '') LIMIT 1",
        (*sorted(patient_keys), provider),
    ).fetchone()
    return row is not None


def told_at_login(connection: IndexConnection, provider: str, actor: str) -> str:
    """Details (JSON) of the person's newest log-in for the provider, "" when there was none."""
    row = connection.execute(
        "SELECT details FROM audit WHERE actor_provider = ? AND actor = ? AND event = 'LOGIN'"
        " ORDER BY sequence DESC LIMIT 1",
        (provider, actor),
    ).fetchone()
    return str(row[0]) if row else ""


def staff_of(connection: IndexConnection, provider: str, since: int, limit: int) -> list[str]:
    """HSA-ids of everybody who has logged in for the provider since an entry."""
    rows = connection.execute(
        "SELECT DISTINCT actor FROM audit WHERE actor_provider = ? AND event = 'LOGIN' AND sequence >= ? LIMIT ?",
        (provider, since, limit),
    )
    return [str(row[0]) for row in rows]


def persons(connection: IndexConnection, patient_keys: Collection[int]) -> dict[int, tuple[str, bool]]:
    """(name in DICOM form, protected) by key."""
    found: dict[int, tuple[str, bool]] = {}
    for key in patient_keys:
        row = connection.execute(
            "SELECT name, protected FROM patient WHERE patient_key = ?", (key,)
        ).fetchone()
        if row is not None:
            found[key] = (str(row[0] or ""), bool(row[1]))
    return found


def checks(connection: IndexConnection, provider: str, limit: int) -> list[dict[str, Any]]:
    """The provider's checks, newest first, each with how many accesses it has."""
    rows = connection.execute(
        "SELECT log_check.*, (SELECT COUNT(*) FROM log_check_access AS a WHERE a.check_key = log_check.check_key)"
        " AS size FROM log_check WHERE provider = ? ORDER BY check_key DESC LIMIT ?",
        (provider, limit),
    )
    return [dict(row) for row in rows]


def check(connection: IndexConnection, provider: str, check_key: int) -> dict[str, Any] | None:
    """One check of the provider."""
    row = connection.execute(
        "SELECT * FROM log_check WHERE provider = ? AND check_key = ?", (provider, check_key)
    ).fetchone()
    return dict(row) if row else None


def accesses_of_check(
    connection: IndexConnection, check_key: int
) -> list[tuple[int, int, str, int, str, str]]:
    """(first entry, last entry, actor, patient, verdict, remark) of each access of a check."""
    rows = connection.execute(
        "SELECT sequence, last_sequence, actor, patient_key, verdict, remark FROM log_check_access"
        " WHERE check_key = ? ORDER BY sequence",
        (check_key,),
    )
    return [tuple(row) for row in rows]


def _entries(rows: Cursor) -> list[dict[str, Any]]:
    return [dict(zip(ENTRY, tuple(row), strict=True)) for row in rows]
