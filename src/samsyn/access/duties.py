"""Who may write in the access registers. Pure; NotAllowed tells the rule by its code, never hidden data."""

from datetime import datetime, timedelta
from typing import Final

from samsyn import limits
from samsyn.access.ages import is_adult
from samsyn.access.facts import Facts
from samsyn.access.grounds import TWO_STEP, has_relation, valid_assignment
from samsyn.errors import BadInput, Conflict, NotAllowed, NotFound
from samsyn.model.registers import Block, BlockKind, Consent, Ground
from samsyn.model.subject import Assignment, Purpose, Role, Scope, Subject, SubjectKind

CHANNELS: Final = frozenset({"visit", "phone", "referral"})
LIFT_REASONS: Final = frozenset({"consent", "emergency"})


def care_staff(facts: Facts) -> Assignment:
    """The assignment of a member of staff who reads for care; NotAllowed for everybody else (PDL 4:1-2)."""
    assignment = valid_assignment(facts)
    if facts.subject.kind is not SubjectKind.STAFF or assignment is None:
        raise NotAllowed("no-assignment")
    if assignment.purpose is not Purpose.CARE or facts.purpose is not Purpose.CARE:
        raise NotAllowed("other-purpose")
    if assignment.reading_scope() is None:
        raise NotAllowed("no-right")
    return assignment


def caring_staff(facts: Facts) -> Assignment:
    """The same with a current care relation to the person."""
    assignment = care_staff(facts)
    if not has_relation(facts, assignment):
        raise NotAllowed("no-relation")
    return assignment


def check_relation(facts: Facts, ends: datetime) -> Assignment:
    """Attesting a care relation: for oneself, at the chosen unit, for a bounded time."""
    assignment = care_staff(facts)
    _bounded(facts.now, ends, timedelta(days=limits.RELATION_DAYS))
    return assignment


def check_ground(
    facts: Facts, ground: Ground, personal: bool, starts: datetime, ends: datetime | None, channel: str
) -> Assignment:
    """Registering a ground: in a care relation, for the own unit (SVOD 3:1).

    Emergency and incapacity are attested by the person who is to read; an emergency is personal and short. Conflict:
    an adult is said to be a child.
    """
    assignment = caring_staff(facts)
    if ground in TWO_STEP and assignment.reading_scope() is not Scope.CROSS_PROVIDER:
        raise NotAllowed("scope")
    if channel not in CHANNELS:
        raise BadInput("consent channel")
    if ground is Ground.CHILD and is_adult(facts):
        raise Conflict("the person is no child")
    if ends is not None and ends <= max(starts, facts.now):
        raise BadInput("a ground must end after it begins")
    if ground is Ground.EMERGENCY:
        if not personal or starts > facts.now:
            raise NotAllowed("an emergency is attested by the reader, for now")
        _bounded(facts.now, ends, timedelta(hours=limits.EMERGENCY_HOURS))
    return assignment


def check_end_of_ground(facts: Facts, consent: Consent) -> None:
    """Ending a ground: the unit that registered it, its provider's block administrator, or the patient.

    NotFound for anybody else.
    """
    if facts.subject.kind is SubjectKind.PATIENT:
        if facts.subject.patient_key not in facts.patient_keys:
            raise NotFound
        return
    if is_administrator_of(facts, consent.provider):
        return
    assignment = care_staff(facts)
    if (consent.provider, consent.unit) != (assignment.provider_hsa_id, assignment.unit_hsa_id):
        raise NotFound


def check_block(
    facts: Facts, kind: BlockKind, provider: str, unit: str, days: tuple[int | None, int | None]
) -> None:
    """Blocking: the provider's own block administrator, or the patient himself (PDL 4:4, SVOD 2:3)."""
    if facts.subject.kind is SubjectKind.PATIENT:
        if facts.subject.patient_key not in facts.patient_keys:
            raise NotFound
    else:
        _administrator_of(facts, provider)
    if not provider or (kind is BlockKind.INNER) != bool(unit):
        raise BadInput("an inner block names a unit and an outer one only a provider")
    first, last = days
    if first is not None and last is not None and first > last:
        raise BadInput("a block's days are in the wrong order")


def check_end_of_block(facts: Facts, block: Block) -> None:
    """Ending a block: only the provider that holds it, on the patient's word (SVOD 2:3)."""
    _administrator_of(facts, block.provider)


def check_lift(facts: Facts, block: Block, unit: str, employee: str, ends: datetime, reason: str) -> bool:
    """Lifting a block for a while; True when it is a reader who passes an inner block himself (PDL 4:5).

    An outer block, and any block of another provider, is lifted by its owner only (SVOD 2:3, 3:5, 3:7).
    """
    if reason not in LIFT_REASONS or not unit:
        raise BadInput("a lift names a unit and a reason")
    _bounded(facts.now, ends, timedelta(days=limits.LIFT_DAYS))
    if is_administrator_of(facts, block.provider):
        return False
    assignment = caring_staff(facts)
    if block.kind is not BlockKind.INNER or block.provider != assignment.provider_hsa_id:
        raise NotFound
    if assignment.reading_scope() is Scope.UNIT:
        raise NotAllowed("scope")
    if unit != assignment.unit_hsa_id or employee not in ("", facts.subject.hsa_id):
        raise NotAllowed("a reader lifts for the own unit")
    if reason == "emergency" and employee != facts.subject.hsa_id:
        raise NotAllowed("an emergency is attested by the reader")
    return True


def check_lift_time(now: datetime, ends: datetime) -> None:
    """A lift ends within limits.LIFT_DAYS."""
    _bounded(now, ends, timedelta(days=limits.LIFT_DAYS))


def is_administrator_of(facts: Facts, provider: str) -> bool:
    """Whether the reader keeps the blocks of this provider."""
    assignment = valid_assignment(facts)
    return (
        facts.subject.kind is SubjectKind.STAFF
        and assignment is not None
        and Role.BLOCK_ADMINISTRATOR in facts.subject.roles
        and bool(provider)
        and assignment.provider_hsa_id == provider
    )


def administered_provider(facts: Facts) -> str:
    """The provider whose blocks the reader keeps; NotAllowed for everybody else."""
    provider = facts.subject.assignment.provider_hsa_id if facts.subject.assignment else ""
    _administrator_of(facts, provider)
    return provider


def _administrator_of(facts: Facts, provider: str) -> None:
    if not is_administrator_of(facts, provider):
        raise NotAllowed("only the owner's block administrator")


def _bounded(now: datetime, ends: datetime | None, longest: timedelta) -> None:
    if ends is None or not now < ends <= now + longest:
        raise BadInput("an end within the allowed time is needed")


def sees_protected(subject: Subject) -> bool:
    """Whether the subject may see the name of a person with protected identity; every look-up is marked anyway."""
    return subject.kind is SubjectKind.PATIENT or Role.PROTECTED_IDENTITY in subject.roles


def stewarding(subject: Subject, now: datetime) -> Assignment:
    """The assignment of a steward (datasteward), who mends what his own provider answers for; others NotAllowed.

    The work is patient administration (PDL 2:4 p. 2): a steward sees who, when and whose, no report and no image.
    """
    own = subject.assignment
    if subject.kind is not SubjectKind.STAFF or own is None or Role.STEWARD not in subject.roles:
        raise NotAllowed("steward")
    if own.purpose not in (Purpose.ADMINISTRATION, Purpose.CARE) or (
        own.ends is not None and own.ends <= now
    ):
        raise NotAllowed("steward")
    return own


def sees_rejected(subject: Subject) -> bool:
    """Whether the subject sees what rejection notes hide: a steward with an assignment."""
    return Role.STEWARD in subject.roles and subject.assignment is not None


def check_sees_rejected(subject: Subject) -> None:
    """NotAllowed for who does not see it."""
    if not sees_rejected(subject):
        raise NotAllowed("only stewards see what was rejected")
