"""What a steward did: one row for every act, with what is needed to undo it, beside its audit entry."""

from enum import StrEnum

import orjson

from samsyn.access.events import Event, entry
from samsyn.audit import journal as audit
from samsyn.model.subject import Assignment, Subject
from samsyn.store.transaction import Transaction


class ActKind(StrEnum):
    """The kinds of acts."""

    RELEASE = "release"
    """A held object was filed after all."""
    LEAVE_HELD = "leave-held"
    """A held object stays aside for good."""
    SETTLE_FINDING = "settle-finding"
    LINK = "link"
    PART = "part"
    STAND_ALONE = "stand-alone"
    MOVE = "move"
    JOIN = "join"


_EVENTS = {
    ActKind.RELEASE: Event.SETTLE_HELD,
    ActKind.LEAVE_HELD: Event.SETTLE_HELD,
    ActKind.SETTLE_FINDING: Event.SETTLE_FINDING,
    ActKind.LINK: Event.STEWARD_LINK,
    ActKind.PART: Event.STEWARD_LINK,
    ActKind.STAND_ALONE: Event.STEWARD_LINK,
    ActKind.MOVE: Event.MOVE_OBJECT,
    ActKind.JOIN: Event.JOIN_OBJECTS,
}


def note(
    transaction: Transaction,
    subject: Subject,
    own: Assignment,
    kind: ActKind,
    reference: str,
    reason: str,
    detail: dict[str, object] | None = None,
    persons: tuple[int, ...] = (0,),
) -> int:
    """Writes the act and an audit entry for every person whom it is about; the act's key."""
    key = transaction.next_key("steward_act")
    one, other = (*persons, 0, 0)[:2]
    transaction.insert(
        "steward_act",
        act_key=key,
        kind=kind.value,
        reference=reference,
        patient_key=one,
        other_key=other,
        provider=own.provider_hsa_id,
        actor=subject.hsa_id,
        happened=transaction.time,
        reason=reason,
        detail=orjson.dumps(detail or {}).decode(),
        undone="",
        undone_by="",
    )
    for person in dict.fromkeys(persons):
        details = {"act": str(key), "kind": kind.value, "of": reference}
        audit.append(transaction, entry(subject, _EVENTS[kind], person, details=details))
    return key


def note_undone(
    transaction: Transaction, subject: Subject, act_key: int, kind: ActKind, persons: tuple[int, ...]
) -> None:
    """Marks the act as undone; it stays in the list."""
    transaction.update("steward_act", {"act_key": act_key}, undone=transaction.time, undone_by=subject.hsa_id)
    for person in dict.fromkeys(persons):
        details = {"act": str(act_key), "kind": kind.value}
        audit.append(transaction, entry(subject, Event.UNDO_ACT, person, details=details))
