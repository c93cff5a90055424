"""Persons in the index: found by identifier, made when new, linked and merged, never guessed.

A merge is a link from the subsumed person to the survivor: nothing that was filed is rewritten, so an unmerge
brings everything back to the person it was sent for. A person together with all linked ones is a *closure*.
"""

import sqlite3
from collections.abc import Callable, Iterable
from typing import Any

from samsyn.errors import Conflict
from samsyn.model.patient import Demographics, DemographicsOrigin, Patient, PatientIdentifier
from samsyn.patients.names import folded
from samsyn.store.index import patient_rows
from samsyn.store.transaction import Transaction

_STRENGTH = {"": 0, DemographicsOrigin.IMAGE: 1, DemographicsOrigin.REFERRAL: 2, DemographicsOrigin.ADT: 3}


def find(transaction: Transaction, identifier: PatientIdentifier) -> int | None:
    """The person who has this identifier, as it was filed (not followed through merges)."""
    row = transaction.one(
        "SELECT patient_key FROM patient_identifier WHERE value = ? AND issuer = ?",
        identifier.value,
        identifier.issuer,
    )
    return int(row[0]) if row else None


def find_or_make(
    transaction: Transaction,
    identifier: PatientIdentifier,
    demographics: Demographics,
    origin: DemographicsOrigin,
    told: str = "",
) -> int:
    """The person's key; a new person gets the demographics, a known one only from a stronger origin.

    `told`: when the source said it (ISO 8601, UTC), so that late news do not overwrite newer ones.
    """
    key = find(transaction, identifier)
    if key is None:
        key = transaction.next_key("patient")
        transaction.insert(
            "patient",
            patient_key=key,
            name=demographics.name,
            folded_name=folded(demographics.name),
            birth_date=demographics.birth_date,
            sex=demographics.sex,
            protected=int(demographics.protected),
            origin=origin.value,
            told=told,
            merged_into=None,
        )
        transaction.insert(
            "patient_identifier", issuer=identifier.issuer, value=identifier.value, patient_key=key
        )
    else:
        update_demographics(transaction, key, demographics, origin, told)
    return key


def update_demographics(
    transaction: Transaction,
    key: int,
    demographics: Demographics,
    origin: DemographicsOrigin,
    told: str = "",
) -> None:
    """Takes over what a source says, unless a stronger or later word has been spoken; an image overwrites nothing.

    `told` orders words of the same strength by the source's clock, not by arrival. Protection is only lifted by
    the register that sets it (ADT).
    """
    known_origin, known_told = transaction.one("SELECT origin, told FROM patient WHERE patient_key = ?", key)
    known_strength = _STRENGTH.get(known_origin, 0)
    if origin is DemographicsOrigin.IMAGE or _STRENGTH[origin] < known_strength:
        return
    if _STRENGTH[origin] == known_strength and told < (known_told or ""):
        return
    values: dict[str, Any] = {"origin": origin.value, "told": told}
    if demographics.name:
        values |= {"name": demographics.name, "folded_name": folded(demographics.name)}
    if demographics.birth_date:
        values["birth_date"] = demographics.birth_date
    if demographics.sex:
        values["sex"] = demographics.sex
    if origin is DemographicsOrigin.ADT:
        values["protected"] = int(demographics.protected)
    transaction.update("patient", {"patient_key": key}, **values)


def merge(transaction: Transaction, survivor: int, subsumed: int) -> None:
    """Links the subsumed person to the survivor. Conflict: the link would close a cycle or exists elsewhere."""
    if root_of(transaction, survivor) == subsumed:
        raise Conflict("the merge would close a cycle")
    row = transaction.one("SELECT merged_into FROM patient WHERE patient_key = ?", subsumed)
    if row[0] is not None and row[0] != survivor:
        raise Conflict("the subsumed person is already merged into another")
    transaction.update("patient", {"patient_key": subsumed}, merged_into=survivor)


def unmerge(transaction: Transaction, subsumed: int) -> None:
    """Breaks the link again: everything is with the person it was sent for."""
    transaction.update("patient", {"patient_key": subsumed}, merged_into=None)


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
    return patient_rows.closure(lambda sql, *values: transaction.all(sql, *values), key)


def patients_with(
    identifiers: Iterable[PatientIdentifier],
) -> Callable[[sqlite3.Connection], list[Patient]]:
    """A question for Store.read: the survivors among the persons who have one of the identifiers."""
    wanted = list(identifiers)

    def question(connection: sqlite3.Connection) -> list[Patient]:
        keys: dict[int, None] = {}
        for identifier in wanted:
            for key in patient_rows.keys_of(connection, identifier.issuer, identifier.value):
                keys[patient_rows.root(connection, key)] = None
        return [patient_rows.patient(connection, key) for key in keys]

    return question
