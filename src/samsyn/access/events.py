"""The audit journal's closed vocabulary: what can happen to a patient's information, and the entry for it.

The names follow the region's field practice; the activity is one of the words that the national log service
takes. Details are short codes and identifiers: no names, no patient numbers, no report text.
"""

from enum import StrEnum
from types import MappingProxyType
from typing import Final

from samsyn import limits
from samsyn.model.audit import AuditEntry
from samsyn.model.organisation import Owner
from samsyn.model.sender import Sender
from samsyn.model.subject import Purpose, Subject, SubjectKind


class Activity(StrEnum):
    """National words for what was done (aktivitet), all of them; nothing here is ever erased."""

    READ = "Läsa"
    WRITE = "Skriva"
    SIGN = "Signera"
    PRINT = "Utskrift"
    ACKNOWLEDGE = "Vidimera"
    ERASE = "Radera"
    EMERGENCY = "Nödöppning"


class Event(StrEnum):
    """Everything that is written down, whichever room writes it."""

    STORE_STUDY = "STORE_STUDY"
    REJECT_INSTANCES = "REJECT_INSTANCES"
    AMEND_STUDY = "AMEND_STUDY"
    HOLD_INSTANCE = "HOLD_INSTANCE"
    HOLD_MESSAGE = "HOLD_MESSAGE"
    FILE_REFERRAL = "FILE_REFERRAL"
    FILE_REPORT = "FILE_REPORT"
    FILE_BOOKING = "FILE_BOOKING"
    UPDATE_PATIENT = "UPDATE_PATIENT"
    MERGE_PATIENT = "MERGE_PATIENT"
    LINK_PATIENT = "LINK_PATIENT"
    MOVE_IDENTIFIER = "MOVE_IDENTIFIER"
    MOVE_TEXTS = "MOVE_TEXTS"
    VIDIMERA = "VIDIMERA"
    LOGIN = "LOGIN"
    LOGIN_REFUSED = "LOGIN_REFUSED"
    LOGOUT = "LOGOUT"
    CHOOSE_ASSIGNMENT = "CHOOSE_ASSIGNMENT"
    SEARCH_PATIENT = "SEARCH_PATIENT"
    SYSTEM_VIEW = "SYSTEM_VIEW"
    OWN_RECORD = "OWN_RECORD"
    SEARCH = "SEARCH"
    ATTEST_RELATION = "ATTEST_RELATION"
    END_RELATION = "END_RELATION"
    ATTEST_CONSENT = "ATTEST_CONSENT"
    EMERGENCY_CONSENT = "EMERGENCY_CONSENT"
    WITHDRAW_CONSENT = "WITHDRAW_CONSENT"
    ANNUL_CONSENT = "ANNUL_CONSENT"
    REVEAL_OTHER_UNITS = "REVEAL_OTHER_UNITS"
    CHOOSE_UNITS = "CHOOSE_UNITS"
    REVEAL_BLOCKED = "REVEAL_BLOCKED"
    PASS_BLOCKED = "PASS_BLOCKED"  # noqa: S105 - an event, not a password
    EMERGENCY_PASS_BLOCKED = "EMERGENCY_PASS_BLOCKED"  # noqa: S105
    REVEAL_OTHER_PROVIDER = "REVEAL_OTHER_PROVIDER"
    ENTER_CARE_SYSTEM = "ENTER_CARE_SYSTEM"
    ATTEST_RELEVANT = "ATTEST_RELEVANT"
    REVEAL_BLOCKED_PROVIDER = "REVEAL_BLOCKED_PROVIDER"
    REQUEST_LIFT = "REQUEST_LIFT"
    ANSWER_LIFT = "ANSWER_LIFT"
    READ_REGISTER = "READ_REGISTER"
    REGISTER_BLOCK = "REGISTER_BLOCK"
    END_BLOCK = "END_BLOCK"
    LIFT_BLOCK = "LIFT_BLOCK"
    END_LIFT = "END_LIFT"
    OPEN_LIST = "OPEN_LIST"
    OPEN_METADATA = "OPEN_METADATA"
    OPEN_IMAGES = "OPEN_IMAGES"
    OPEN_REFERRAL = "OPEN_REFERRAL"
    OPEN_REPORT = "OPEN_REPORT"
    EXPORT = "EXPORT"
    SEND = "SEND"
    SUBSCRIBE = "SUBSCRIBE"
    AUTHORIZE_APP = "AUTHORIZE_APP"
    END_APP = "END_APP"
    END_SUBSCRIPTION = "END_SUBSCRIPTION"
    READ_AUDIT = "READ_AUDIT"
    MAKE_LOG_CHECK = "MAKE_LOG_CHECK"
    SIGN_LOG_CHECK = "SIGN_LOG_CHECK"
    REFUSED = "REFUSED"
    REGISTER_GUARDIAN = "REGISTER_GUARDIAN"
    END_GUARDIAN = "END_GUARDIAN"
    READ_WORK_LIST = "READ_WORK_LIST"
    SETTLE_HELD = "SETTLE_HELD"
    SETTLE_FINDING = "SETTLE_FINDING"
    STEWARD_LINK = "STEWARD_LINK"
    MOVE_OBJECT = "MOVE_OBJECT"
    JOIN_OBJECTS = "JOIN_OBJECTS"
    UNDO_ACT = "UNDO_ACT"


OPENINGS: Final = MappingProxyType(
    {
        "list": Event.OPEN_LIST,
        "metadata": Event.OPEN_METADATA,
        "images": Event.OPEN_IMAGES,
        "referral": Event.OPEN_REFERRAL,
        "report": Event.OPEN_REPORT,
        "export": Event.EXPORT,
        "send": Event.SEND,
    }
)
"""The event for each kind of opening that a door can tell."""
PERSON_OPENED: Final = MappingProxyType(
    {
        SubjectKind.STAFF: Event.SEARCH_PATIENT,
        SubjectKind.SYSTEM: Event.SEARCH_PATIENT,
        SubjectKind.PATIENT: Event.OWN_RECORD,
        SubjectKind.CONSUMER: Event.SEARCH_PATIENT,
    }
)
"""The event for who opens a View over persons."""

FOR_PATIENTS: Final = "patients"
"""Role of a national consumer that serves patients; it is also told of the patient as whom it reads."""
BY_SYSTEM: Final = "system"
"""What `by` in an entry's details says when a system did it, no person."""

_WRITES: Final = frozenset(
    {
        Event.STORE_STUDY,
        Event.REJECT_INSTANCES,
        Event.AMEND_STUDY,
        Event.HOLD_INSTANCE,
        Event.HOLD_MESSAGE,
        Event.FILE_REFERRAL,
        Event.FILE_REPORT,
        Event.FILE_BOOKING,
        Event.UPDATE_PATIENT,
        Event.MERGE_PATIENT,
        Event.LINK_PATIENT,
        Event.MOVE_IDENTIFIER,
        Event.MOVE_TEXTS,
        Event.ATTEST_RELATION,
        Event.END_RELATION,
        Event.ATTEST_CONSENT,
        Event.WITHDRAW_CONSENT,
        Event.ANNUL_CONSENT,
        Event.ATTEST_RELEVANT,
        Event.PASS_BLOCKED,
        Event.REQUEST_LIFT,
        Event.ANSWER_LIFT,
        Event.REGISTER_BLOCK,
        Event.END_BLOCK,
        Event.LIFT_BLOCK,
        Event.END_LIFT,
        Event.REGISTER_GUARDIAN,
        Event.END_GUARDIAN,
        Event.SETTLE_HELD,
        Event.SETTLE_FINDING,
        Event.STEWARD_LINK,
        Event.MOVE_OBJECT,
        Event.JOIN_OBJECTS,
        Event.UNDO_ACT,
        Event.SUBSCRIBE,
        Event.END_SUBSCRIPTION,
    }
)
_EMERGENCIES: Final = frozenset(
    {Event.EMERGENCY_CONSENT, Event.EMERGENCY_PASS_BLOCKED, Event.REVEAL_BLOCKED_PROVIDER}
)


def activity_of(event: Event) -> Activity:
    """The national word for an event."""
    if event in _EMERGENCIES:
        return Activity.EMERGENCY
    if event is Event.SIGN_LOG_CHECK:
        return Activity.SIGN
    if event is Event.VIDIMERA:
        return Activity.ACKNOWLEDGE
    if event in (Event.EXPORT, Event.SEND):
        return Activity.PRINT
    return Activity.WRITE if event in _WRITES else Activity.READ


def entry(
    subject: Subject,
    event: Event,
    patient_key: int = 0,
    *,
    purpose: Purpose | None = None,
    owner_provider: str = "",
    owner_unit: str = "",
    allowed: bool = True,
    activity: Activity | None = None,
    details: dict[str, str] | None = None,
) -> AuditEntry:
    """What the subject did, as one entry. The reader's provider owns it (SVOD 4:1)."""
    assignment = subject.assignment
    if purpose is None:
        if subject.kind is SubjectKind.PATIENT:
            purpose = Purpose.OWN_RECORD
        elif assignment is not None:
            purpose = assignment.purpose
    told = {key: text[: limits.MAX_WORDING_CHARACTERS] for key, text in (details or {}).items()}
    is_consumer = subject.kind is SubjectKind.CONSUMER or FOR_PATIENTS in subject.roles
    if is_consumer or subject.kind is SubjectKind.SYSTEM:
        told["by"] = BY_SYSTEM
    if is_consumer:
        told["consumer"] = subject.name
    return AuditEntry(
        event=event.value,
        activity=(activity or activity_of(event)).value,
        actor=subject.hsa_id,
        actor_provider=assignment.provider_hsa_id if assignment else "",
        actor_unit=assignment.unit_hsa_id if assignment else "",
        assignment=assignment.hsa_id if assignment else "",
        purpose=purpose.value if purpose else "",
        session_id=subject.session_id,
        patient_key=patient_key,
        owner_provider=owner_provider,
        owner_unit=owner_unit,
        allowed=allowed,
        details=told,
    )


def filed(
    sender: Sender,
    event: Event,
    patient_key: int,
    details: dict[str, str],
    *,
    owner: Owner | None = None,
    purpose: Purpose = Purpose.CARE,
    session_id: str = "",
) -> AuditEntry:
    """What a sending system put in, as one entry. `owner` None: what it put in is its own unit's."""
    return AuditEntry(
        event=event.value,
        activity=Activity.WRITE.value,
        actor=sender.name,
        actor_provider=sender.provider,
        actor_unit=sender.unit,
        assignment="",
        purpose=purpose.value,
        session_id=session_id,
        patient_key=patient_key,
        owner_provider=owner.provider if owner else sender.provider,
        owner_unit=owner.unit if owner else sender.unit,
        allowed=True,
        details=details,
    )
