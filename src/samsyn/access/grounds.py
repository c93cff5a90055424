"""Which rows of the registers count now, for this reader: relation, ground, block, lift. Pure.

A row counts from `starts` (inclusive) to `ends` (exclusive), and no longer once it has been ended. A row that
names an employee counts for that person only; one without counts for everybody at the unit.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from samsyn import limits
from samsyn.access.ages import is_adult
from samsyn.access.facts import Facts
from samsyn.model.registers import Block, BlockKind, CareRelation, Consent, Ground, Lift
from samsyn.model.subject import Assignment, SubjectKind

ONE_STEP: Final = frozenset({Ground.CONSENT, Ground.CHILD})
"""Grounds on which a chosen provider's content is shown at once (SVOD 3:1)."""
TWO_STEP: Final = frozenset({Ground.INCAPACITY, Ground.EMERGENCY})
"""Grounds that show the providers' names first and demand a second attestation (SVOD 3:3, 3:6)."""


def valid_assignment(facts: Facts) -> Assignment | None:
    """The chosen assignment, unless it or its unit has ended (HSLF-FS 2016:40 4 kap. 2 §)."""
    assignment = facts.subject.assignment
    if assignment is None or not assignment.provider_hsa_id or not assignment.unit_hsa_id:
        return None
    if assignment.ends is not None and assignment.ends <= facts.now:
        return None
    return assignment


def _in_force(starts: datetime, ends: datetime | None, ended: datetime | None, now: datetime) -> bool:
    return starts <= now and (ends is None or now < ends) and (ended is None or now < ended)


def _names(facts: Facts, employee: str) -> bool:
    """Whether a row for this employee ("" = the whole unit) counts for the reader.

    A system is never an employee: it goes on what the whole unit may do.
    """
    if facts.subject.kind is SubjectKind.STAFF:
        return employee in ("", facts.subject.hsa_id)
    return employee == ""


def relation_counts(facts: Facts, relation: CareRelation, assignment: Assignment) -> bool:
    """Whether this care relation is current for the reader (PDL 4:1, SVOD 3:1).

    A system at the unit leans on any colleague's relation: it works for all of them.
    """
    return (
        relation.patient_key in facts.patient_keys
        and (relation.provider, relation.unit) == (assignment.provider_hsa_id, assignment.unit_hsa_id)
        and (facts.subject.kind is SubjectKind.SYSTEM or _names(facts, relation.employee))
        and _in_force(relation.starts, relation.ends, None, facts.now)
    )


def consent_counts(facts: Facts, consent: Consent, assignment: Assignment) -> bool:
    """Whether this registered ground is valid for the reader now (SVOD 3:1, 3:3, 3:6).

    Systems stand only on grounds that need no attestation at the screen. That a child need not consent ends with the
    eighteenth birthday, however long it was registered for (SVOD 3:1 second paragraph).
    """
    return (
        consent.patient_key in facts.patient_keys
        and (consent.provider, consent.unit) == (assignment.provider_hsa_id, assignment.unit_hsa_id)
        and _names(facts, consent.employee)
        and (facts.subject.kind is SubjectKind.STAFF or consent.ground in ONE_STEP)
        and not (consent.ground is Ground.CHILD and is_adult(facts))
        and _in_force(consent.starts, consent.ends, consent.ended, facts.now)
    )


def has_relation(facts: Facts, assignment: Assignment) -> bool:
    """Whether any care relation is current."""
    return any(relation_counts(facts, relation, assignment) for relation in facts.relations)


def valid_grounds(facts: Facts, assignment: Assignment) -> frozenset[Ground]:
    """Every ground that is registered and valid for the reader."""
    return frozenset(
        consent.ground for consent in facts.consents if consent_counts(facts, consent, assignment)
    )


def attested_facts(facts: Facts) -> Facts:
    """The facts without an attestation that is older than a ground which it would have to be for (SVOD 3:3, 3:6)."""
    attested = facts.choices.attested
    if attested is None or not any(
        consent.ground in TWO_STEP and attested < consent.starts <= facts.now for consent in facts.consents
    ):
        return facts
    return replace(facts, choices=replace(facts.choices, relevant=False))


def lift_ends(lift: Lift) -> datetime:
    """When a lift stops to count: at its end, and never later than limits.LIFT_DAYS after its start."""
    return min(lift.ends, lift.starts + timedelta(days=limits.LIFT_DAYS))


def _lift_counts(facts: Facts, lift: Lift, assignment: Assignment) -> bool:
    return (
        lift.patient_key in facts.patient_keys
        and lift.unit == assignment.unit_hsa_id
        and _names(facts, lift.employee)
        and _in_force(lift.starts, lift_ends(lift), lift.ended, facts.now)
    )


def binding_blocks(facts: Facts, assignment: Assignment) -> tuple[Block, ...]:
    """The blocks that hide something from this reader now: neither ended nor lifted, nor on the own unit.

    Inner blocks hide from other units; outer ones from other providers; inner ones from other providers too
    when the policy says so. An inner block that names no unit covers its whole provider (the closed side).
    """
    lifted = {lift.block_id for lift in facts.lifts if _lift_counts(facts, lift, assignment)}
    own_provider, own_unit = assignment.provider_hsa_id, assignment.unit_hsa_id
    patient_keys, now = facts.patient_keys, facts.now
    inner_acts_outward = facts.policy.inner_acts_outward
    binding = []
    for block in facts.blocks:
        block_id, patient_key, kind, provider, unit, _, _, ended = block
        if patient_key not in patient_keys or block_id in lifted or (ended is not None and ended <= now):
            continue
        if kind is BlockKind.OUTER:
            hides = provider != own_provider
        else:
            hides = unit != own_unit if provider == own_provider else inner_acts_outward
        if hides:
            binding.append(block)
    return tuple(binding)


def standing_blocks(facts: Facts) -> tuple[Block, ...]:
    """Every block that has not ended, for who reads on behalf of somebody unknown: lifted ones bind him too."""
    return tuple(
        block
        for block in facts.blocks
        if block.patient_key in facts.patient_keys and (block.ended is None or facts.now < block.ended)
    )


def next_change(facts: Facts) -> datetime | None:
    """The first moment after now at which a row of the facts begins or stops to count; None = never."""
    moments: list[datetime | None] = []
    for relation in facts.relations:
        moments += [relation.starts, relation.ends]
    for consent in facts.consents:
        moments += [consent.starts, consent.ends, consent.ended]
    for block in facts.blocks:
        moments.append(block.ended)
    for lift in facts.lifts:
        moments += [lift.starts, lift_ends(lift), lift.ended]
    if facts.subject.assignment is not None:
        moments.append(facts.subject.assignment.ends)
    return min((moment for moment in moments if moment is not None and moment > facts.now), default=None)
