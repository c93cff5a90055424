"""Reads of persons and their identifiers."""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from samsyn.errors import NotFound
from samsyn.model.patient import Demographics, Patient, PatientIdentifier
from samsyn.store.index.port import IndexConnection

Ask: TypeAlias = Callable[..., list[Any]]
"""As register_rows.Ask."""
_DAY: Final = 8
"""Characters of a day, YYYYMMDD."""
_ADDED: Final = MappingProxyType({"1.2.752.129.2.1.3.1": 0, "1.2.752.129.2.1.3.3": 60})
"""What personnummer and samordningsnummer add to the day of the birth (lag 2022:1697)."""


def keys_of(connection: IndexConnection, issuer: str, value: str) -> list[int]:
    """Persons with the value; an empty issuer means any issuer."""
    if issuer:
        sql, values = (
            "SELECT patient_key FROM patient_identifier WHERE value = ? AND issuer = ?",
            [value, issuer],
        )
    else:
        sql, values = "SELECT patient_key FROM patient_identifier WHERE value = ?", [value]
    return [int(row[0]) for row in connection.execute(sql, values)]


def root(connection: IndexConnection, key: int) -> int:
    """The survivor of the merges that the person is part of."""
    seen = {key}
    while True:
        row = connection.execute("SELECT merged_into FROM patient WHERE patient_key = ?", (key,)).fetchone()
        if row is None or row[0] is None or row[0] in seen:
            return key
        key = int(row[0])
        seen.add(key)


def closure(ask: Ask, key: int) -> frozenset[int]:
    """The person with everybody linked by merges, over any number of steps. `ask(sql, *values) -> rows`."""
    found, waiting = {key}, [key]
    while waiting:
        person = waiting.pop()
        rows = ask(
            "SELECT patient_key FROM patient WHERE merged_into = ?"
            " UNION ALL SELECT merged_into FROM patient WHERE patient_key = ? AND merged_into IS NOT NULL",
            person,
            person,
        )
        for row in rows:
            if row[0] not in found:
                found.add(int(row[0]))
                waiting.append(int(row[0]))
    return frozenset(found)


def closure_of(connection: IndexConnection, key: int) -> frozenset[int]:
    """`closure` on a reader's connection."""
    return closure(lambda sql, *values: connection.execute(sql, values).fetchall(), key)


def identifiers_of(connection: IndexConnection, key: int) -> tuple[PatientIdentifier, ...]:
    """Every identifier of the person and those linked to him, own ones first."""
    keys = sorted(closure_of(connection, key), key=lambda other: (other != key, other))
    return tuple(
        PatientIdentifier(issuer, value)
        for person in keys
        for issuer, value in connection.execute(
            "SELECT issuer, value FROM patient_identifier WHERE patient_key = ? ORDER BY value", (person,)
        )
    )


def is_protected(ask: Ask, key: int) -> bool:
    """Whether the person, by any linked record, has protected identity (skyddade personuppgifter)."""
    keys = sorted(closure(ask, key))
    marks = ",".join("?" * len(keys))
    return bool(ask(f"SELECT 1 FROM patient WHERE patient_key IN ({marks}) AND protected = 1", *keys))


def births_of(ask: Ask, keys: frozenset[int]) -> frozenset[int]:
    """The days (YYYYMMDD) that these records tell as the birth; what is no such number is none."""
    # Only question marks are put into the statement; the values are bound.
    marks = ",".join("?" * len(keys))
    rows = ask(
        f"SELECT DISTINCT birth_date FROM patient WHERE patient_key IN ({marks}) AND birth_date <> ''",
        *sorted(keys),
    )
    return frozenset(int(day) for (day,) in rows if len(day) == _DAY and day.isascii() and day.isdigit())


def births_by_number(ask: Ask, keys: frozenset[int]) -> frozenset[int]:
    """The same by personnummer and samordningsnummer, whose day has sixty added."""
    marks = ",".join("?" * len(keys))
    rows = ask(
        f"SELECT issuer, value FROM patient_identifier WHERE patient_key IN ({marks})",
        *sorted(keys),
    )
    return frozenset(
        int(value[:_DAY]) - _ADDED[issuer]
        for issuer, value in rows
        if issuer in _ADDED and value[:_DAY].isascii() and value[:_DAY].isdigit()
    )


def own_births(ask: Ask, keys: frozenset[int]) -> frozenset[int]:
    """What the records tell; where none does, the day in a national number, which may be a nearby one
    (folkbokföringslagen 18 §)."""
    return births_of(ask, keys) or births_by_number(ask, keys)


def patient(connection: IndexConnection, key: int) -> Patient:
    """The survivor `key` with every identifier of the whole closure, own ones first.

    What nobody said of the survivor is taken from the linked ones; one of them protected makes all protected.
    """
    keys = sorted(closure_of(connection, key), key=lambda other: (other != key, other))
    marks = ",".join("?" * len(keys))
    rows = connection.execute(
        f"SELECT patient_key, name, birth_date, sex, protected, deceased FROM patient WHERE patient_key IN ({marks})"
        " ORDER BY patient_key <> ?, origin = 'image', origin = 'referral', patient_key",
        (*keys, key),
    ).fetchall()
    if not rows or rows[0][0] != key:
        raise NotFound
    name, birth_date, sex, deceased = (
        next((row[field] for row in rows if row[field]), "") for field in (1, 2, 3, 5)
    )
    identifiers = tuple(
        PatientIdentifier(issuer, value)
        for person in keys
        for issuer, value in connection.execute(
            "SELECT issuer, value FROM patient_identifier WHERE patient_key = ?", (person,)
        )
    )
    is_protected = any(row[4] for row in rows)
    return Patient(key, identifiers, Demographics(name, birth_date, sex, is_protected, deceased))
