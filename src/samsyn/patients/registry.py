"""Persons in the index: found by identifier, made when new, described by whoever knows best, never guessed.

Everything is filed under the person whose identifier it was sent with and stays there. `links` tells which of
these are one person; all of them together are a *closure*, and one of them, the survivor, stands for all.
"""

from collections.abc import Callable, Iterable
from typing import Any

import orjson

from samsyn.dicom.names import folded
from samsyn.model.patient import Demographics, DemographicsOrigin, Patient, PatientIdentifier
from samsyn.model.value import value
from samsyn.patients.names import name_words
from samsyn.store.index import patient_rows
from samsyn.store.index.port import IndexConnection
from samsyn.store.transaction import Transaction

_STRENGTH = {DemographicsOrigin.IMAGE: 1, DemographicsOrigin.REFERRAL: 2, DemographicsOrigin.ADT: 3}
_STRONGEST = max(_STRENGTH.values())


def find(transaction: Transaction, identifier: PatientIdentifier) -> int | None:
    """The person who has this identifier, as it was filed (not followed through merges)."""
    row = transaction.one(
        "SELECT patient_key FROM patient_identifier WHERE value = ? AND issuer = ?",
        identifier.value,
        identifier.issuer,
    )
    return int(row[0]) if row else None


@value
class Known:
    """A person as he was filed under one identifier: what was said of him, and how strongly."""

    key: int
    demographics: Demographics
    origin: DemographicsOrigin
    told: str
    """JSON: field -> [strength, time] of the word that holds."""
    is_survivor: bool
    """Not merged into anybody: what is known about him stands here."""


def look(transaction: Transaction, identifier: PatientIdentifier) -> Known | None:
    """The person who has this identifier, as it was filed (not followed through merges)."""
    sql, values = (
        "SELECT patient_key, name, birth_date, sex, protected, deceased, origin, told, merged_into,"
        " EXISTS(SELECT 1 FROM patient AS other WHERE other.merged_into = patient.patient_key)"
        " FROM patient_identifier JOIN patient USING(patient_key) WHERE value = ? AND issuer = ?",
        (identifier.value, identifier.issuer),
    )
    row = transaction.one(sql, *values, of=(("patient_identifier", identifier.value),))
    if row is None:
        return None
    if transaction.is_waiting("patient", row[0]):
        row = transaction.one(sql, *values)
    key, name, birth_date, sex, protected, deceased, origin, told, merged_into, has_merged = row
    if merged_into is None and not has_merged:
        transaction.alone.add(key)
    said = Demographics(name, birth_date, sex, bool(protected), deceased or "")
    return Known(int(key), said, DemographicsOrigin(origin), told or "{}", merged_into is None)


def find_or_make(
    transaction: Transaction,
    identifier: PatientIdentifier,
    demographics: Demographics,
    origin: DemographicsOrigin,
    told: str = "",
) -> int:
    """The person's key, made when new; demographics as `update_demographics` takes them over.

    `told`: when the source said it (ISO 8601, UTC), "" = not known.
    """
    found = look(transaction, identifier)
    if found is None:
        return make(transaction, identifier, demographics, origin, told)
    update_demographics(transaction, found, demographics, origin, told)
    return found.key


def make(
    transaction: Transaction,
    identifier: PatientIdentifier,
    demographics: Demographics,
    origin: DemographicsOrigin,
    told: str = "",
) -> int:
    """A new person, described as told; nobody has the identifier yet."""
    key = transaction.next_key("patient")
    transaction.insert(
        "patient",
        patient_key=key,
        name=demographics.name,
        folded_name=folded(demographics.name),
        birth_date=demographics.birth_date,
        sex=demographics.sex,
        protected=int(demographics.protected),
        deceased=demographics.deceased,
        origin=origin.value,
        told=orjson.dumps(
            {field: _stamp(field, origin, told) for field in _said(demographics, origin)}
        ).decode(),
        merged_into=None,
    )
    transaction.insert(
        "patient_identifier", issuer=identifier.issuer, value=identifier.value, patient_key=key
    )
    _keep_words(transaction, key, "", demographics.name)
    return key


def known(transaction: Transaction, key: int) -> tuple[Demographics, DemographicsOrigin]:
    """What is known about the person (the survivor, when linked) and by how strong a word."""
    row = transaction.one(
        "SELECT name, birth_date, sex, protected, deceased, origin FROM patient WHERE patient_key = ?",
        root_of(transaction, key),
    )
    said = Demographics(row[0], row[1], row[2], bool(row[3]), row[4] or "")
    return said, DemographicsOrigin(row[5])


def update_demographics(
    transaction: Transaction,
    person: Known,
    demographics: Demographics,
    origin: DemographicsOrigin,
    told: str = "",
) -> None:
    """Takes over, field by field, what a source says, unless a stronger or later word has been spoken.

    ADT is stronger than a referral; an image only fills what nobody has said. `told` orders words of the same
    strength by the source's clock: whatever the order of arrival, the same words give the same person.
    Protection is set by whoever marks it and lifted by the register's own word alone (ADT that says so).
    """
    known = person.demographics
    if origin is DemographicsOrigin.IMAGE and known.protected:
        return
    stamps: dict[str, Any] = orjson.loads(person.told)
    values: dict[str, Any] = {}
    is_later = False
    for field, said in _said(demographics, origin).items():
        stamp = _stamp(field, origin, told)
        before = stamps.get(field) or ([_STRENGTH[person.origin], ""] if getattr(known, field) else None)
        if before is None or (origin is not DemographicsOrigin.IMAGE and before <= stamp):
            if getattr(known, field) != said:
                values[field] = said
            is_later |= stamps.get(field) != stamp
            stamps[field] = stamp
    if not values and not is_later:
        return
    if "name" in values:
        values["folded_name"] = folded(demographics.name)
        _keep_words(transaction, person.key, known.name, demographics.name)
    if _STRENGTH[origin] > _STRENGTH[person.origin]:
        values["origin"] = origin.value
    transaction.update("patient", {"patient_key": person.key}, **values, told=orjson.dumps(stamps).decode())


def _keep_words(transaction: Transaction, key: int, before: str, name: str) -> None:
    """The words under which the person is found follow his name."""
    old, new = name_words(before) if before else frozenset(), name_words(name)
    for word in sorted(old - new):
        transaction.delete("patient_name_word", word=word, patient_key=key)
    for word in sorted(new - old):
        transaction.insert("patient_name_word", word=word, patient_key=key)


def _said(demographics: Demographics, origin: DemographicsOrigin) -> dict[str, Any]:
    """The fields that a source told something about."""
    fields: dict[str, Any] = {
        "name": demographics.name,
        "birth_date": demographics.birth_date,
        "sex": demographics.sex,
        "deceased": demographics.deceased,
    }
    said = {field: value for field, value in fields.items() if value}
    if demographics.protected or (origin is DemographicsOrigin.ADT and demographics.unprotected):
        said["protected"] = int(demographics.protected)
    return said


def _stamp(field: str, origin: DemographicsOrigin, told: str) -> list[Any]:
    """How much a word weighs: [strength, time]. Protection weighs alike from everybody, so time decides."""
    return [_STRONGEST if field == "protected" else _STRENGTH[origin], told]


def root_of(transaction: Transaction, key: int) -> int:
    """The surviving person at the end of the chain of merges."""
    seen = {key}
    while True:
        row = transaction.one("SELECT merged_into FROM patient WHERE patient_key = ?", key)
        if row is None or row[0] is None or row[0] in seen:
            return key
        key = int(row[0])
        seen.add(key)


def closure(transaction: Transaction, key: int) -> frozenset[int]:
    """The person and everybody linked to the same survivor, at any distance."""
    if key in transaction.alone or transaction.is_bare(key):
        return frozenset((key,))
    # No change that can wait says who is one person with whom.
    return patient_rows.closure(lambda sql, *values: transaction.all(sql, *values, of=()), key)


def patients_with(
    identifiers: Iterable[PatientIdentifier],
) -> Callable[[IndexConnection], list[Patient]]:
    """A question for Store.read: the survivors among the persons who have one of the identifiers."""
    wanted = list(identifiers)

    def question(connection: IndexConnection) -> list[Patient]:
        keys: dict[int, None] = {}
        for identifier in wanted:
            for key in patient_rows.keys_of(connection, identifier.issuer, identifier.value):
                keys[patient_rows.root(connection, key)] = None
        return [patient_rows.patient(connection, key) for key in keys]

    return question
