"""SIU (S12 to S15) by a source's rules: an examination's time booked, moved, changed or cancelled."""

from collections.abc import Sequence
from datetime import datetime

from samsyn.hl7v2.faults import REQUIRED_FIELD_MISSING, SEGMENT_SEQUENCE, BadMessage
from samsyn.hl7v2.meaning import BookingEvent
from samsyn.hl7v2.parsing import Message, Segment
from samsyn.hl7v2.paths import Path, first_of
from samsyn.hl7v2.profile import Profile
from samsyn.hl7v2.readings.identity import read_patient
from samsyn.hl7v2.values import accession_number, identifier_word, moment, owner_of, required, sent_at
from samsyn.model.organisation import Owner
from samsyn.model.sender import Sender
from samsyn.model.texts import BookingStatus


def read_bookings(
    message: Message, event: str, profile: Profile, sender: Sender, notes: list[str]
) -> list[BookingEvent]:
    """One event for each patient of the message. `event` is its trigger, S12 to S15."""
    rules, segments = profile.booking, message.segments
    if message.first("SCH") is None:
        raise BadMessage("SCH", 1, 0, "the message holds no booking", SEGMENT_SEQUENCE)
    status = _status(event, segments, profile, notes)
    starts, ends = (_begins(paths, segments) for paths in (rules.starts, rules.ends))
    sent = sent_at(message)
    if starts is None and status is BookingStatus.BOOKED:
        raise BadMessage(
            rules.starts[0].segment,
            1,
            rules.starts[0].field,
            "the booked time is missing",
            REQUIRED_FIELD_MISSING,
        )
    if starts is not None and ends is not None and ends < starts:
        notes.append("SCH-11: a booking that ends before it begins, its end left out")
        ends = None
    accession, accession_issuer = accession_number(rules.accession, segments, profile.accession_issuers)
    home = Owner(sender.provider, sender.unit)
    return [
        BookingEvent(
            patient=read_patient(group, profile.patient, notes),
            unit=owner_of(rules.unit, segments, profile.units, home, rules.unknown_unit, notes),
            booking_id=" ".join(required(rules.booking, segments, "the booking's number").split()),
            status=status,
            starts=starts,
            ends=ends,
            placer_id=identifier_word(rules.placer, segments),
            accession=accession,
            accession_issuer=accession_issuer,
            procedure_code=first_of(rules.code, segments),
            procedure_text=first_of(rules.procedure, segments),
            when=sent.begins if sent else None,
        )
        for group in _patients(message)
    ]


def _status(event: str, segments: Sequence[Segment], profile: Profile, notes: list[str]) -> BookingStatus:
    """S15 cancels; otherwise the status word may, and an unknown word leaves the booking standing."""
    if event == "S15":
        return BookingStatus.CANCELLED
    word = identifier_word(profile.booking.status_at, segments).upper()
    if word and word not in profile.booking.statuses:
        notes.append("SCH-25: a booking status that the profile does not know, taken as booked")
    return BookingStatus(profile.booking.statuses.get(word, BookingStatus.BOOKED.value))


def _begins(paths: Sequence[Path], segments: Sequence[Segment]) -> datetime | None:
    point = moment(paths, segments)
    return point.begins if point is not None else None


def _patients(message: Message) -> list[list[Segment]]:
    """PID with what belongs to it (PD1, PV1, Z-segments); several stand in a group booking."""
    groups: list[list[Segment]] = []
    for segment in message.segments:
        if segment.name == "PID":
            groups.append([segment])
        elif groups:
            groups[-1].append(segment)
    if not groups:
        raise BadMessage("PID", 1, 0, "the booking names no patient", SEGMENT_SEQUENCE)
    return groups
