"""Reads of the local copies of the national registers of consent and care relation. They are kept by the patient's
number, as the national blocks are, so that they follow a person who becomes known later or is merged."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

from samsyn.model.national import NationalGrant, Register
from samsyn.model.registers import CareRelation, Consent, Ground

Ask: TypeAlias = Callable[..., list[Any]]

NATIONAL: Final = "national"
"""Channel of a copied consent and source of a copied relation: the register does not tell how it was given."""
_PERSON_NUMBERS: Final = "1.2.752."
"""The issuers of Swedish person numbers are Swedish OIDs; the relation contract names a number without issuer."""
_GRANT: Final = "grant_id, issuer, number, kind, provider, unit, employee, starts, ends"
_OF: Final = (
    "FROM patient_identifier AS known JOIN national_grant AS copy ON copy.number = known.value"
    f" AND (copy.issuer = known.issuer OR (copy.issuer = '' AND known.issuer LIKE '{_PERSON_NUMBERS}%'))"
)
_COLUMNS: Final = (
    "copy.grant_id, known.patient_key, copy.kind, copy.provider, copy.unit, copy.employee, copy.starts, copy.ends,"
    " copy.ended"
)


@dataclass(frozen=True, slots=True)
class Reading:
    """How far the copy of one provider's grants has come; times are ISO 8601 in UTC."""

    more_on: str
    read_at: str
    whole_at: str


def reading(ask: Ask, register: Register, provider: str) -> Reading | None:
    """None before the first whole reading."""
    rows = ask(
        "SELECT more_on, read_at, whole_at FROM national_reading WHERE register = ? AND provider = ?",
        register.value,
        provider,
    )
    return Reading(*rows[0]) if rows else None


def grants(ask: Ask, register: Register, provider: str) -> dict[str, NationalGrant]:
    """Every copied grant of one provider, by id."""
    rows = ask(
        f"SELECT {_GRANT} FROM national_grant WHERE register = ? AND provider = ?", register.value, provider
    )
    return {row[0]: _grant(row) for row in rows}


def ended(ask: Ask, register: Register, grant_id: str) -> str | None:
    """When a grant was ended here, which counts though its register may not know it yet."""
    rows = ask(
        "SELECT ended FROM national_grant WHERE register = ? AND grant_id = ?", register.value, grant_id
    )
    return rows[0][0] if rows else None


def consent(ask: Ask, consent_id: str) -> Consent | None:
    """One copied consent of a person who is known here."""
    rows = ask(
        f"SELECT {_COLUMNS} {_OF} WHERE copy.register = 'consent' AND copy.grant_id = ?"
        " ORDER BY known.patient_key",
        consent_id,
    )
    return _consent(rows[0]) if rows else None


def consents_of(ask: Ask, keys: Collection[int], now: str) -> tuple[Consent, ...]:
    """Copied consents and emergencies of these persons that have not ended before `now`, but for those that are
    kept here too: the own register knows more of them (which ground, ended just now)."""
    rows = _of(ask, Register.CONSENT, keys, now)
    return tuple(_consent(row) for row in rows if not _is_own(ask, row[0]))


def relations_of(ask: Ask, keys: Collection[int], now: str) -> tuple[CareRelation, ...]:
    """Copied care relations of these persons that have not ended before `now`."""
    found = []
    for grant_id, key, _, provider, unit, employee, starts, ends, ended_at in _of(
        ask, Register.RELATION, keys, now
    ):
        if ends is not None and ended_at is None:
            began, until = datetime.fromisoformat(starts), datetime.fromisoformat(ends)
            found.append(CareRelation(grant_id, key, provider, unit, employee, began, until, NATIONAL))
    return tuple(found)


def persons_with_ground(ask: Ask, provider: str, unit: str, now: str) -> list[int]:
    """Persons for whom the whole unit has a copied ground that has not ended before `now`."""
    rows = ask(
        f"SELECT DISTINCT known.patient_key {_OF} WHERE copy.register = 'consent' AND copy.unit = ?"
        " AND copy.provider = ? AND copy.employee = '' AND copy.ended IS NULL"
        " AND (copy.ends IS NULL OR copy.ends > ?)",
        unit,
        provider,
        now,
    )
    return [int(row[0]) for row in rows]


def _of(ask: Ask, register: Register, keys: Collection[int], now: str) -> list[Any]:
    marks = ",".join("?" * len(keys))
    return ask(
        f"SELECT {_COLUMNS} {_OF} WHERE known.patient_key IN ({marks}) AND copy.register = ?"
        " AND (copy.ends IS NULL OR copy.ends > ?)",
        *sorted(keys),
        register.value,
        now,
    )


def _is_own(ask: Ask, consent_id: str) -> bool:
    return bool(ask("SELECT 1 FROM consent WHERE consent_id = ?", consent_id))


def _grant(row: Any) -> NationalGrant:
    grant_id, issuer, number, kind, provider, unit, employee, starts, ends = row
    until = datetime.fromisoformat(ends) if ends else None
    began = datetime.fromisoformat(starts)
    return NationalGrant(grant_id, issuer, number, kind, provider, unit, employee, began, until)


def _consent(row: Any) -> Consent:
    grant_id, key, kind, provider, unit, employee, starts, ends, ended_at = row
    return Consent(
        grant_id,
        key,
        Ground(kind),
        provider,
        unit,
        employee,
        datetime.fromisoformat(starts),
        datetime.fromisoformat(ends) if ends else None,
        NATIONAL,
        datetime.fromisoformat(ended_at) if ended_at else None,
    )
