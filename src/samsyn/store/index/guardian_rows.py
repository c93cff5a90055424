"""Reads of the register of guardians (vårdnadshavare): who stands in for which child, from when, until when."""

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any, Final, TypeAlias

from samsyn.model.registers import Guardianship
from samsyn.store.index import patient_rows

Ask: TypeAlias = Callable[..., list[Any]]

_GUARDIANSHIP: Final = (
    "SELECT guardianship_id, child_key, guardian_key, starts, ends, source, ended FROM guardianship"
)
_IN_FORCE: Final = "starts <= ? AND (ends IS NULL OR ends > ?) AND (ended IS NULL OR ended > ?)"


def children_of(ask: Ask, guardian_keys: Collection[int], now: str) -> tuple[Guardianship, ...]:
    """Guardianships of this person (all keys) that are in force, but for children with protected identity: one of a
    child's linked records that is protected makes the child so."""
    marks = ",".join("?" * len(guardian_keys))
    rows = ask(
        f"{_GUARDIANSHIP} WHERE guardian_key IN ({marks}) AND {_IN_FORCE} ORDER BY guardianship_id",
        *sorted(guardian_keys),
        now,
        now,
        now,
    )
    found = [_guardianship(row) for row in rows]
    return tuple(each for each in found if not patient_rows.is_protected(ask, each.child_key))


def guardians_of(ask: Ask, child_keys: Collection[int], now: str) -> tuple[Guardianship, ...]:
    """Guardianships of this child (all keys) that have not ended, those that begin later among them."""
    marks = ",".join("?" * len(child_keys))
    rows = ask(
        f"{_GUARDIANSHIP} WHERE child_key IN ({marks}) AND (ends IS NULL OR ends > ?)"
        " AND (ended IS NULL OR ended > ?) ORDER BY starts, guardianship_id",
        *sorted(child_keys),
        now,
        now,
    )
    return tuple(_guardianship(row) for row in rows)


def of_source(ask: Ask, source: str) -> tuple[Guardianship, ...]:
    """Everything that a source has told and not taken back."""
    rows = ask(f"{_GUARDIANSHIP} WHERE source = ? AND ended IS NULL", source)
    return tuple(_guardianship(row) for row in rows)


def told(ask: Ask, source: str, child_key: int) -> str:
    """When a source last told of a child, by its own clock; "" = never, or without a time."""
    rows = ask("SELECT told FROM guardians_told WHERE source = ? AND child_key = ?", source, child_key)
    return str(rows[0][0]) if rows else ""


def guardianship(ask: Ask, guardianship_id: str) -> Guardianship | None:
    """One guardianship, ended or not."""
    rows = ask(f"{_GUARDIANSHIP} WHERE guardianship_id = ?", guardianship_id)
    return _guardianship(rows[0]) if rows else None


def _guardianship(row: Any) -> Guardianship:
    guardianship_id, child_key, guardian_key, starts, ends, source, ended = row
    return Guardianship(
        guardianship_id,
        child_key,
        guardian_key,
        datetime.fromisoformat(starts),
        datetime.fromisoformat(ends) if ends else None,
        source,
        datetime.fromisoformat(ended) if ended else None,
    )
