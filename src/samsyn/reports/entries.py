"""Audit entries of what messages wrote: who sent it, about whom, whose it is; never a text or a name."""

from types import MappingProxyType
from typing import Final

from samsyn.access.events import Event, filed
from samsyn.hl7v2 import meaning
from samsyn.hl7v2.meaning import (
    BookingEvent,
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

_NAMES: Final[MappingProxyType[type[meaning.Event], Event]] = MappingProxyType(
    {
        PatientUpdate: Event.UPDATE_PATIENT,
        PatientMerge: Event.MERGE_PATIENT,
        PatientLink: Event.LINK_PATIENT,
        IdentifierMove: Event.MOVE_IDENTIFIER,
        TextMove: Event.MOVE_TEXTS,
        ReferralEvent: Event.FILE_REFERRAL,
        BookingEvent: Event.FILE_BOOKING,
        ReportEvent: Event.FILE_REPORT,
    }
)


def entry_of(
    sender: Sender, source: str, session_id: str, event: meaning.Event, patient_key: int
) -> AuditEntry:
    """The entry of one event about one person."""
    owner: Owner | None = None
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
    return filed(sender, _NAMES[type(event)], patient_key, details, owner=owner, session_id=session_id)


def held_entry(sender: Sender, source: str, session_id: str, reason: str) -> AuditEntry:
    """The entry of a message that was kept aside."""
    return filed(sender, Event.HOLD_MESSAGE, 0, {"source": source, "reason": reason}, session_id=session_id)
