"""Audit entries of what messages wrote: who sent it, about whom, whose it is; never a text or a name."""

from types import MappingProxyType
from typing import Final

from samsyn.hl7v2.meaning import (
    BookingEvent,
    Event,
    IdentifierMove,
    PatientLink,
    PatientMerge,
    PatientUpdate,
    ReferralEvent,
    ReportEvent,
    TextMove,
)
from samsyn.model.audit import AuditEntry
from samsyn.model.organisation import Owner
from samsyn.model.sender import Sender

_NAMES: Final[MappingProxyType[type[Event], str]] = MappingProxyType(
    {
        PatientUpdate: "UPDATE_PATIENT",
        PatientMerge: "MERGE_PATIENT",
        PatientLink: "LINK_PATIENT",
        IdentifierMove: "MOVE_IDENTIFIER",
        TextMove: "MOVE_TEXTS",
        ReferralEvent: "FILE_REFERRAL",
        BookingEvent: "FILE_BOOKING",
        ReportEvent: "FILE_REPORT",
    }
)


def entry_of(sender: Sender, source: str, session_id: str, event: Event, patient_key: int) -> AuditEntry:
    """The entry of one event about one person."""
    owner = Owner(sender.provider, sender.unit)
    details = {"source": source}
    if isinstance(event, ReportEvent):
        owner = event.owner
        details |= {"accession": event.accession, "status": event.status.value}
    elif isinstance(event, ReferralEvent):
        owner = Owner(event.referral.provider, event.referral.unit)
        details |= {"accession": event.referral.accession, "status": event.referral.status.value}
    elif isinstance(event, BookingEvent):
        owner = event.unit
        details |= {"booking": event.booking_id[:64], "status": event.status.value}
    elif isinstance(event, TextMove):
        details |= {"kind": event.kind, "number": event.number[:64]}
    elif isinstance(event, PatientLink):
        details |= {"status": "linked" if event.linked else "unlinked"}
    return _written(sender, session_id, _NAMES[type(event)], patient_key, owner, details)


def held_entry(sender: Sender, source: str, session_id: str, reason: str) -> AuditEntry:
    """The entry of a message that was kept aside."""
    owner = Owner(sender.provider, sender.unit)
    return _written(sender, session_id, "HOLD_MESSAGE", 0, owner, {"source": source, "reason": reason})


def _written(
    sender: Sender, session_id: str, event: str, patient_key: int, owner: Owner, details: dict[str, str]
) -> AuditEntry:
    return AuditEntry(
        event=event,
        activity="Skriva",
        actor=sender.name,
        actor_provider=sender.provider,
        actor_unit=sender.unit,
        assignment="",
        purpose="Vård och behandling",
        session_id=session_id,
        patient_key=patient_key,
        owner_provider=owner.provider,
        owner_unit=owner.unit,
        allowed=True,
        details=details,
    )
