"""Which persons are behind keys, and what exists of one: read for the View alone, which tells bits and names of it."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from samsyn.access.masters import Masters
from samsyn.access.rules import Level, Verdict
from samsyn.access.standing import Standing, told_apart
from samsyn.model.national import Register
from samsyn.model.predicate import Item
from samsyn.model.subject import Subject, SubjectKind
from samsyn.store.index import examination_rows, grant_rows, patient_rows, register_rows
from samsyn.store.index.port import IndexConnection
from samsyn.store.index.register_rows import Ask


def persons(ask: Ask, patient_keys: frozenset[int]) -> list[frozenset[int]]:
    """The persons behind the keys, each with every key that merges have given him."""
    found: list[frozenset[int]] = []
    for key in sorted(patient_keys):
        if not any(key in person for person in found):
            found.append(patient_rows.closure(ask, key))
    return found


def in_care_of(ask: Ask, system: Subject, now: datetime, masters: Masters) -> list[frozenset[int]]:
    """The persons whom a system's unit has a relation and a ground for, beside its own provider's information."""
    own = system.assignment
    if system.kind is not SubjectKind.SYSTEM or own is None:
        return []
    unit = own.provider_hsa_id, own.unit_hsa_id
    keys = register_rows.persons_with_ground(ask, *unit, now.isoformat())
    if masters.counts(Register.CONSENT, own.provider_hsa_id):
        keys = [*keys, *grant_rows.persons_with_ground(ask, *unit, now.isoformat())]
    return persons(ask, frozenset(keys))


def items_of(connection: IndexConnection, reader: Standing) -> tuple[Item, ...]:
    """What exists of the person, for indicators and names; by owner only, where no block asks for the day."""
    facts = reader.facts
    if any(block.first is not None or block.last is not None for block in facts.blocks):
        return tuple(told_apart(reader, examination_rows.items_of(connection, facts.patient_keys)))
    return tuple(register_rows.owners_of(register_rows.asking(connection), facts.patient_keys))


def untold_issuers(
    subject: Subject, verdicts: Iterable[tuple[Item, Verdict]], local_issuers: Mapping[str, str]
) -> frozenset[str]:
    """Issuers of those providers that are neither the reader's own nor named or shown to him now."""
    if subject.kind is SubjectKind.PATIENT:
        return frozenset()
    told = {item.provider for item, verdict in verdicts if verdict.level >= Level.NAMES}
    if subject.assignment is not None:
        told.add(subject.assignment.provider_hsa_id)
    return frozenset(issuer for issuer, provider in local_issuers.items() if provider not in told)
