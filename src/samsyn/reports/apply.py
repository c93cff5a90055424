"""What a message means, filed inside a record in the making."""

from datetime import datetime, timedelta

from samsyn import limits
from samsyn.errors import BadInput, IdentityConflict
from samsyn.hl7v2.meaning import (
    BookingEvent,
    Event,
    IdentifierMove,
    PatientClaim,
    PatientLink,
    PatientMerge,
    PatientUpdate,
    ReferralEvent,
    ReportEvent,
    SentIdentifier,
    TextEvent,
    TextMove,
)
from samsyn.model.patient import DemographicsOrigin, PatientIdentifier
from samsyn.model.sender import Sender
from samsyn.model.value import value
from samsyn.patients import corrections, findings, registry
from samsyn.patients.links import Word
from samsyn.reports import bookings, people, referrals, versions, visits
from samsyn.store.transaction import Transaction


@value
class Resolved:
    """An event with the identifiers that it is to be filed under."""

    event: Event
    identifier: PatientIdentifier
    others: tuple[PatientIdentifier, ...] = ()
    """Of whoever else it names: the subsumed, the linked, the moved, the former owner."""

    @property
    def told(self) -> str:
        """The sender's clock as ISO 8601 in UTC, "" when it told none."""
        return self.event.when.isoformat() if self.event.when else ""


def claims_of(event: Event) -> tuple[PatientClaim, tuple[tuple[SentIdentifier, ...], ...]]:
    """The person whom an event is about, and the identifiers of everybody else whom it names."""
    if isinstance(event, PatientMerge):
        return event.survivor, tuple((each,) for each in event.subsumed)
    if isinstance(event, PatientUpdate):
        return event.patient, tuple(each.identifiers for each in event.guardians or ())
    if isinstance(event, PatientLink):
        return event.one, (event.other.identifiers,)
    if isinstance(event, IdentifierMove):
        return event.owner, ((event.moved,),)
    if isinstance(event, TextMove):
        return event.owner, (event.former,)
    return event.patient, ()


def apply(transaction: Transaction, resolved: Resolved, sender: Sender, message_key: int) -> tuple[int, ...]:
    """Files one event; the keys of the persons whose record it changed, the one whom it is about first.

    Raises IdentityConflict (the study that it names is another person's), Conflict (it contradicts what is recorded)
    and BadInput (a text's time lies in the future); the record is then not written.
    """
    event, told = resolved.event, resolved.told
    word = Word(told, sender.name, message_key=message_key)
    if isinstance(event, PatientUpdate):
        key = people.update(transaction, event, resolved.identifier, told)
        people.tell_guardians(transaction, event, key, resolved.others, word)
        return (key,)
    if isinstance(event, PatientMerge):
        key = people.merge(transaction, event, resolved.identifier, resolved.others, word)
        referrals.refold(transaction, key)
        findings.recheck(transaction, key)
        return (key,)
    if isinstance(event, PatientLink | IdentifierMove):
        (other,) = resolved.others
        keys: tuple[int, ...]
        if isinstance(event, PatientLink):
            keys = people.link(transaction, event, resolved.identifier, other, word)
        else:
            keys = people.move_identifier(transaction, event, resolved.identifier, other, word)
        for key in keys:
            referrals.refold(transaction, key)
            findings.recheck(transaction, key)
        return keys
    if isinstance(event, TextMove):
        return _move_texts(transaction, event, resolved, sender, message_key)
    return (_file_text(transaction, event, resolved, sender, told, message_key),)


def _move_texts(
    transaction: Transaction, event: TextMove, resolved: Resolved, sender: Sender, message_key: int
) -> tuple[int, ...]:
    (former_identifier,) = resolved.others
    owner = people.person(
        transaction, event.owner, resolved.identifier, DemographicsOrigin.ADT, resolved.told
    )
    former = people.by_number(transaction, former_identifier)
    number = visits.named(event.number, sender)
    changed = visits.move(transaction, event.kind, number, former, owner, resolved.told, message_key)
    for key in sorted(changed):
        referrals.refold(transaction, key)
        bookings.refold(transaction, key)
    return tuple(dict.fromkeys((owner, former)))


def _file_text(
    transaction: Transaction,
    event: TextEvent,
    resolved: Resolved,
    sender: Sender,
    told: str,
    message_key: int,
) -> int:
    _refuse_future(transaction, event)
    sent_for = people.of_text(transaction, event.patient, resolved.identifier, sender, told)
    visit = visits.visit_of(event.patient, sender)
    by_visit = visits.owner_of_text(transaction, visit, sent_for)
    key, steps = corrections.owner_of_text(transaction, *_number(event, sender), by_visit)
    _file(transaction, event, sender, key, told, visit, message_key)
    for correction, taken_from in steps:
        corrections.note_late_texts(transaction, correction, message_key, key, taken_from)
    return key


def _refuse_future(transaction: Transaction, event: TextEvent) -> None:
    """BadInput: the message, or the result in it, would be later than whatever follows it."""
    latest = datetime.fromisoformat(transaction.time) + timedelta(seconds=limits.MAX_TIME_AHEAD_S)
    if event.when is not None and event.when > latest:
        raise BadInput("MSH-7: the message's time lies more than a day ahead")
    if isinstance(event, ReportEvent) and event.result_time is not None and event.result_time > latest:
        raise BadInput("the result's time (OBR-22, issued) lies more than a day ahead")


def _number(event: TextEvent, sender: Sender) -> tuple[str, str]:
    """(issuer, accession number) that a text names."""
    accession = event.referral.accession if isinstance(event, ReferralEvent) else event.accession
    return event.accession_issuer or sender.accession_issuer, accession


def _file(
    transaction: Transaction,
    event: TextEvent,
    sender: Sender,
    key: int,
    told: str,
    visit: visits.Visit,
    message_key: int,
) -> None:
    if isinstance(event, BookingEvent):
        bookings.add(transaction, event, sender, key, told, visit, message_key)
        return
    _refuse_foreign_study(transaction, event.study_uids, key)
    if isinstance(event, ReferralEvent):
        referrals.add_order(transaction, event, sender, key, told, visit, message_key)
    else:
        versions.add(transaction, event, sender, key, visit, message_key)
        referrals.add_answer(transaction, event, sender, key, told, visit, message_key)


def _refuse_foreign_study(transaction: Transaction, study_uids: tuple[str, ...], patient_key: int) -> None:
    """A text that names a study of somebody else must not be shown with either."""
    for study_uid in study_uids:
        row = transaction.one("SELECT patient_key FROM study WHERE study_uid = ?", study_uid)
        if row is not None and row[0] not in registry.closure(transaction, patient_key):
            raise IdentityConflict("the study that the message names belongs to another patient")
