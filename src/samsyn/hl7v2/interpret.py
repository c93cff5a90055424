"""From a parsed message to what it means, by the profile of its source. Pure: the same input, the same meaning."""

from datetime import datetime

from samsyn.errors import NotSupported
from samsyn.hl7v2.faults import REQUIRED_FIELD_MISSING
from samsyn.hl7v2.meaning import Event, Interpretation, PatientUpdate
from samsyn.hl7v2.parsing import Message, parse
from samsyn.hl7v2.paths import parse_path
from samsyn.hl7v2.profile import Profile
from samsyn.hl7v2.readings.bookings import read_bookings
from samsyn.hl7v2.readings.documents import read_document
from samsyn.hl7v2.readings.identity import read_guardians, read_patient
from samsyn.hl7v2.readings.moves import LINKS, MERGES, MOVES, read_identity_event
from samsyn.hl7v2.readings.referrals import read_referrals
from samsyn.hl7v2.readings.results import read_reports
from samsyn.hl7v2.values import sent_at
from samsyn.model.sender import Sender

UPDATES = frozenset(("A01", "A02", "A03", "A04", "A05", "A08", "A28", "A31"))
"""ADT events that carry demographics: admission, transfer, discharge, registration, pre-admission, updates."""
ORDERS = frozenset(("ORM^O01", "OMI^O23", "OMG^O19"))
"""Referrals and their news."""
RESULTS = frozenset(("ORU^R01", "ORU^R30", "ORU^R31", "ORU^R32"))
"""Reports; R30 to R32 come from devices at the bedside, with or without an order before them."""
DOCUMENTS = frozenset(f"MDM^{event}" for event in ("T02", "T04", "T06", "T08", "T10", "T11"))
"""Reports sent as documents: original, status change, addendum, edit, replacement, cancel."""
BOOKINGS = frozenset(f"SIU^{event}" for event in ("S12", "S13", "S14", "S15"))
"""An examination's time: new, moved, changed, cancelled."""
UNDERSTOOD = frozenset(
    {f"ADT^{event}" for event in UPDATES | MERGES | LINKS | MOVES} | ORDERS | RESULTS | DOCUMENTS | BOOKINGS
)
"""MSH-9 of everything that is understood."""

_VERSIONS = ("2.1", "2.2", "2.3", "2.4", "2.5", "2.6", "2.7", "2.8", "2.9")
_EVENT_TIME = (parse_path("EVN-6.1"), parse_path("EVN-2.1"), parse_path("MSH-7.1"))


def read_message(
    raw: bytes, profile: Profile, sender: Sender, arrived: datetime | None = None
) -> Interpretation:
    """Parse and interpret in one step, with the profile's character sets; errors as in both."""
    return interpret(parse(raw, profile.charset, profile.forced_charset, arrived), profile, sender)


def interpret(message: Message, profile: Profile, sender: Sender) -> Interpretation:
    """What the message means for the record.

    Raises BadMessage (a field is missing or wrong; the place is named), NotSupported (message type, version
    or processing id), LimitExceeded. A refusal means that nothing of the message may be filed.
    """
    kind = _kind(message)
    if kind not in UNDERSTOOD:
        raise NotSupported("MSH-9: this message type and event are not taken here")
    _check_envelope(message, profile)
    notes: list[str] = []
    events: list[Event] = []
    if kind in ORDERS:
        events += read_referrals(message, profile, sender, notes)
    elif kind in RESULTS:
        events += read_reports(message, profile, sender, notes)
    elif kind in DOCUMENTS:
        events.append(read_document(message, kind.removeprefix("MDM^"), profile, sender, notes))
    elif kind in BOOKINGS:
        events += read_bookings(message, kind.removeprefix("SIU^"), profile, sender, notes)
    elif kind.removeprefix("ADT^") in MERGES | LINKS | MOVES:
        events += read_identity_event(message, kind.removeprefix("ADT^"), profile, notes)
    else:
        events.append(_update(message, profile, notes))
    return Interpretation(tuple(events), tuple(dict.fromkeys(notes)))


def _kind(message: Message) -> str:
    """MSH-9 as code^trigger; an ADT without trigger tells it in EVN-1 (before 2.3)."""
    msh = message.msh
    code, trigger = msh.text(9).upper(), msh.text(9, 2).upper()
    if not code:
        raise msh.fault(9, "the message type is missing", REQUIRED_FIELD_MISSING)
    if not trigger:
        event = message.first("EVN")
        trigger = event.text(1).upper() if event is not None else {"ORM": "O01", "ORU": "R01"}.get(code, "")
    return f"{code}^{trigger}"


def _check_envelope(message: Message, profile: Profile) -> None:
    msh = message.msh
    version = msh.text(12)
    if version and not version.startswith(_VERSIONS):
        raise NotSupported("MSH-12: this version of HL7 is not taken; send 2.3 to 2.5.1")
    if not msh.text(10):
        raise msh.fault(10, "the message control id is missing", REQUIRED_FIELD_MISSING)
    if msh.text(11).upper() not in profile.processing:
        raise NotSupported("MSH-11: only production messages (P) are filed in this record")


def _update(message: Message, profile: Profile, notes: list[str]) -> PatientUpdate:
    when = sent_at(message, _EVENT_TIME)
    patient = read_patient(message.segments, profile.patient, notes)
    if message.first("PID") is not None and any(segment.is_null(5) for segment in message.all("PID")):
        notes.append("PID-5: asks to delete the name, which is not done")
    guardians = read_guardians(message.segments, profile.patient, notes)
    return PatientUpdate(patient, when.begins if when else None, guardians)
