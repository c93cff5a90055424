"""Bookings (tidsbokningar): what every message told of one, folded by the senders' clocks into its present state.

A booking gives the examining unit a care relation from when it was told until 14 days after its time (the
national rule for care engagement), and is what prefetching goes by. Keyed by (provider, booking number).
"""

from datetime import datetime, timedelta
from typing import Any

import orjson

from samsyn.hl7v2.meaning import BookingEvent
from samsyn.model.sender import Sender
from samsyn.model.texts import BookingStatus
from samsyn.reports import referrals
from samsyn.reports.visits import Visit
from samsyn.store.transaction import Transaction

_AFTER_DAYS = 14
"""Days that a booking whose time has passed still gives a care relation."""
_TEXTS = (
    "unit",
    "starts",
    "ends",
    "placer_id",
    "accession_issuer",
    "accession",
    "procedure_code",
    "procedure_text",
)
_COLUMNS = ("patient_key", "provider", "booking_id", "status", *_TEXTS, "message_key")
_STAGES = (BookingStatus.BOOKED.value, BookingStatus.DONE.value, BookingStatus.CANCELLED.value)
"""Of two words spoken at the same moment the later stage holds."""


def add(
    transaction: Transaction,
    event: BookingEvent,
    sender: Sender,
    patient_key: int,
    told: str,
    visit: Visit,
    message_key: int,
) -> None:
    """Keeps what the message tells, brings the booking up to it, and tells the referral that it is booked."""
    issuer = event.accession_issuer or sender.accession_issuer
    provider = event.unit.provider
    content = {
        "status": event.status.value,
        "unit": event.unit.unit,
        "starts": event.starts.isoformat() if event.starts else "",
        "ends": event.ends.isoformat() if event.ends else "",
        "placer_id": event.placer_id,
        "accession_issuer": issuer if event.accession else "",
        "accession": event.accession,
        "procedure_code": event.procedure_code,
        "procedure_text": event.procedure_text,
    }
    _keep(transaction, event, provider, patient_key, told, content, visit, message_key)
    _fold(transaction, provider, event.booking_id)
    booked = event.starts if event.status is BookingStatus.BOOKED else None
    if event.placer_id and (booked is not None or event.status is BookingStatus.CANCELLED):
        number = (issuer, event.accession) if event.accession else None
        referrals.add_booked(
            transaction, event.placer_id, number, booked, patient_key, told, visit, message_key
        )


def refold(transaction: Transaction, patient_key: int) -> None:
    """Makes a person's bookings follow from the kept events, after events were moved to or from him."""
    for table in ("booking_event", "booking"):
        for provider, booking_id in transaction.all(
            f"SELECT DISTINCT provider, booking_id FROM {table} WHERE patient_key = ?",  # noqa: S608 - constants
            patient_key,
        ):
            _fold(transaction, provider, booking_id)


def _keep(
    transaction: Transaction,
    event: BookingEvent,
    provider: str,
    patient_key: int,
    told: str,
    content: dict[str, str],
    visit: Visit,
    message_key: int,
) -> None:
    said = {key: value for key, value in content.items() if value}
    text = orjson.dumps(said, option=orjson.OPT_SORT_KEYS).decode()
    key = (event.booking_id, provider, patient_key, told, text)
    same = transaction.one(
        "SELECT 1 FROM booking_event WHERE booking_id = ? AND provider = ? AND patient_key = ? AND told = ?"
        " AND content = ?",
        *key,
    )
    if same is None:
        transaction.insert(
            "booking_event",
            event_key=transaction.next_key("booking_event"),
            provider=provider,
            booking_id=event.booking_id,
            patient_key=patient_key,
            told=told,
            content=text,
            visit=visit.visit,
            account=visit.account,
            message_key=message_key,
        )


def _fold(transaction: Transaction, provider: str, booking_id: str) -> None:
    """One row for each person of the booking (a group booking has several)."""
    told: dict[int, list[tuple[str, dict[str, str], int]]] = {}
    for person, when, text, message in transaction.all(
        "SELECT patient_key, told, content, message_key FROM booking_event WHERE booking_id = ? AND provider = ?",
        booking_id,
        provider,
    ):
        told.setdefault(person, []).append((when, orjson.loads(text), message))
    for person, events in sorted(told.items()):
        events.sort(key=lambda each: (each[0], _STAGES.index(each[1]["status"]), sorted(each[1].items())))
        row: dict[str, Any] = dict.fromkeys(_TEXTS, "")
        for _, content, _ in events:
            row |= content
        row |= {
            "patient_key": person,
            "provider": provider,
            "booking_id": booking_id,
            "message_key": events[-1][2],
        }
        _write(transaction, row, events[0][0], events[-1][0])
    for key, person in transaction.all(
        "SELECT booking_key, patient_key FROM booking WHERE booking_id = ? AND provider = ?",
        booking_id,
        provider,
    ):
        if person not in told:
            transaction.delete("booking", booking_key=key)
            transaction.delete("care_relation", relation_id=f"booking-{key}")


def _write(transaction: Transaction, row: dict[str, Any], first_told: str, last_told: str) -> None:
    values = {name: row[name] for name in _COLUMNS}
    present = transaction.one(
        f"SELECT booking_key, {', '.join(_COLUMNS)} FROM booking"  # noqa: S608 - constants
        " WHERE booking_id = ? AND provider = ? AND patient_key = ?",
        row["booking_id"],
        row["provider"],
        row["patient_key"],
    )
    if present is None:
        key = transaction.next_key("booking")
        transaction.insert("booking", booking_key=key, changed=transaction.time, **values)
    else:
        key = present[0]
        before = dict(zip(_COLUMNS, present[1:], strict=True))
        changed = {name: value for name, value in values.items() if before[name] != value}
        if changed:
            transaction.update("booking", {"booking_key": key}, changed=transaction.time, **changed)
    _relate(transaction, key, row, first_told, last_told)


def _relate(transaction: Transaction, key: int, row: dict[str, Any], first_told: str, last_told: str) -> None:
    if not row["unit"] or not first_told:
        return
    if row["status"] == BookingStatus.CANCELLED.value:
        ends = last_told
    else:
        over = datetime.fromisoformat(row["ends"] or row["starts"] or last_told)
        ends = (over + timedelta(days=_AFTER_DAYS)).isoformat()
    transaction.replace(
        "care_relation",
        relation_id=f"booking-{key}",
        patient_key=row["patient_key"],
        provider=row["provider"],
        unit=row["unit"],
        employee="",
        starts=first_told,
        ends=ends,
        source="booking",
    )
