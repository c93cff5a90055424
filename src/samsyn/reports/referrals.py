"""A referral's present state from everything that was ever told about it, whatever the order of arrival.

Every order message is kept as an event; the rows that people see are folded anew from all events of the same
referral, sorted by the senders' clocks. Events belong together when they share the placer number or the
(issuer, accession number), and are about the same person, linked numbers included. One referral with several
accession numbers is several rows, one for each examination; what was told before there was an accession number
holds for all of them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from samsyn.clock import STOCKHOLM
from samsyn.hl7v2.meaning import ReferralEvent, ReportEvent
from samsyn.model.sender import Sender
from samsyn.model.texts import ReferralStatus, ReportStatus
from samsyn.patients import registry
from samsyn.store.transaction import Transaction

_OPEN_DAYS = 365
"""A referral that nobody closes gives no care relation beyond a year."""
_AFTER_DAYS = 14
"""Days that a closed referral still gives a care relation (national rule for care engagement)."""

_TEXTS = (
    "priority",
    "ordered",
    "procedure_code",
    "procedure_text",
    "question",
    "history",
    "referrer",
    "performer_provider",
    "performer_unit",
)
_COLUMNS = (
    "referral_key, patient_key, provider, unit, begins, ends, accession_issuer, accession, placer_id, status,"
    " priority, ordered, procedure_code, procedure_text, question, history, referrer, performer_provider,"
    " performer_unit, message_key"
)
_ORDER = [status.value for status in ReferralStatus]


@dataclass(frozen=True, slots=True)
class _Told:
    """One stored event. `content` holds what the message told, empty texts left out."""

    key: int
    patient_key: int
    placer: str
    issuer: str
    accession: str
    told: str
    content: dict[str, Any]
    message_key: int

    @property
    def order(self) -> tuple[str, int, bytes]:
        """By the sender's clock; at the same moment the later stage, then the content: never by arrival."""
        stage = _ORDER.index(self.content["status"]) if "status" in self.content else -1
        return self.told, stage, orjson.dumps(self.content, option=orjson.OPT_SORT_KEYS)


def add_order(
    transaction: Transaction,
    event: ReferralEvent,
    sender: Sender,
    patient_key: int,
    told: str,
    message_key: int,
) -> None:
    """Keeps what an order message tells and brings the referral's rows up to it."""
    referral = event.referral
    content: dict[str, Any] = {
        "status": referral.status.value,
        "priority": referral.priority,
        "ordered": referral.ordered.isoformat() if referral.ordered else "",
        "procedure_code": referral.procedure_code,
        "procedure_text": referral.procedure_text,
        "question": referral.question,
        "history": referral.history,
        "referrer": referral.referrer,
        "performer_provider": event.performer.provider,
        "performer_unit": event.performer.unit,
        "provider": referral.provider,
        "unit": referral.unit,
        "owner_told": event.owner_told,
    }
    issuer = event.accession_issuer or sender.accession_issuer
    _keep(
        transaction, patient_key, referral.placer_id, issuer, referral.accession, told, content, message_key
    )
    refold(transaction, patient_key)


def add_answer(
    transaction: Transaction,
    event: ReportEvent,
    sender: Sender,
    patient_key: int,
    told: str,
    message_key: int,
) -> None:
    """A report tells which accession number a placer number became, and that the referral is answered."""
    if not event.placer_id:
        return
    answered = event.status in (ReportStatus.FINAL, ReportStatus.CORRECTION, ReportStatus.ADDENDUM)
    content = {"status": ReferralStatus.REPORTED.value} if answered else {}
    issuer = event.accession_issuer or sender.accession_issuer
    _keep(transaction, patient_key, event.placer_id, issuer, event.accession, told, content, message_key)
    refold(transaction, patient_key)


def refold(transaction: Transaction, patient_key: int) -> None:
    """Makes the referral rows of a person (linked persons included) follow from the kept events.

    Called after every event, merge and unmerge; the same events and links give the same rows.
    """
    persons = sorted(registry.closure(transaction, patient_key))
    events = [event for person in persons for event in _kept(transaction, person)]
    wanted = [row for group in _groups(events) for row in _rows(group)]
    _write(transaction, persons, wanted)


def _keep(
    transaction: Transaction,
    patient_key: int,
    placer: str,
    issuer: str,
    accession: str,
    told: str,
    content: dict[str, Any],
    message_key: int,
) -> None:
    said = {key: value for key, value in content.items() if value not in ("", None)}
    transaction.insert(
        "referral_event",
        event_key=transaction.next_key("referral_event"),
        patient_key=patient_key,
        placer_id=placer,
        accession_issuer=issuer if accession else "",
        accession=accession,
        told=told,
        content=orjson.dumps(said, option=orjson.OPT_SORT_KEYS).decode(),
        message_key=message_key,
    )


def _kept(transaction: Transaction, patient_key: int) -> list[_Told]:
    rows = transaction.all(
        "SELECT event_key, patient_key, placer_id, accession_issuer, accession, told, content, message_key"
        " FROM referral_event WHERE patient_key = ?",
        patient_key,
    )
    return [
        _Told(key, person, placer, issuer, accession, told, orjson.loads(content), message)
        for key, person, placer, issuer, accession, told, content, message in rows
    ]


def _groups(events: Iterable[_Told]) -> list[list[_Told]]:
    """Events of the same referral: connected by placer number or by (issuer, accession)."""
    groups: list[tuple[set[tuple[str, str]], list[_Told]]] = []
    for event in events:
        names = {("placer", event.placer)} if event.placer else set()
        if event.accession:
            names.add((f"accession {event.issuer}", event.accession))
        joined = [event]
        apart = []
        for known, members in groups:
            if known & names:
                names |= known
                joined += members
            else:
                apart.append((known, members))
        groups = [*apart, (names, joined)]
    return [sorted(members, key=lambda each: each.order) for _, members in groups]


def _rows(group: list[_Told]) -> list[dict[str, Any]]:
    """One row for each accession number, or one without; none when only answers have come."""
    if not any("unit" in each.content or "owner_told" in each.content for each in group):
        return []
    numbers = sorted({(each.issuer, each.accession) for each in group if each.accession}) or [("", "")]
    return [
        _folded(
            [each for each in group if not each.accession or (each.issuer, each.accession) == number], number
        )
        for number in numbers
    ]


def _folded(events: list[_Told], number: tuple[str, str]) -> dict[str, Any]:
    """The latest word for each field; the owner that was named goes before a sender that only forwarded."""
    row: dict[str, Any] = dict.fromkeys(_TEXTS, "")
    row |= {"provider": "", "unit": "", "placer_id": "", "status": ReferralStatus.ORDERED.value}
    row["accession_issuer"], row["accession"] = number
    for event in events:
        row |= {key: event.content[key] for key in (*_TEXTS, "status") if key in event.content}
        row["placer_id"] = event.placer or row["placer_id"]
    orders = [each for each in events if "owner_told" in each.content]
    told = [each for each in orders if each.content["owner_told"]]
    for owner in told[-1:] or orders[:1]:
        row["provider"], row["unit"] = owner.content.get("provider", ""), owner.content.get("unit", "")
    row["patient_key"] = events[0].patient_key
    row["message_key"] = events[-1].message_key
    row["began"] = row["ordered"] or events[0].told
    row["closed"] = _closed(events, row["status"])
    day = _day(row["began"])
    return row | {"begins": day, "ends": day}


def _closed(events: list[_Told], status: str) -> str:
    """When the referral was answered or cancelled; "" while it is open."""
    if status not in (ReferralStatus.REPORTED.value, ReferralStatus.CANCELLED.value):
        return ""
    return next(each.told for each in reversed(events) if each.content.get("status") == status)


def _day(moment: str) -> int | None:
    """The Swedish day of an ISO moment as YYYYMMDD."""
    if not moment:
        return None
    return int(datetime.fromisoformat(moment).astimezone(STOCKHOLM).strftime("%Y%m%d"))


def _write(transaction: Transaction, persons: list[int], wanted: list[dict[str, Any]]) -> None:
    """Changes only the rows that differ; a row keeps its key as long as it has its number."""
    names = [name.strip() for name in _COLUMNS.split(",")]
    present = [
        dict(zip(names, row, strict=True))
        for person in persons
        for row in transaction.all(
            f"SELECT {_COLUMNS} FROM referral WHERE patient_key = ? ORDER BY referral_key",  # noqa: S608 - constant
            person,
        )
    ]
    for row in wanted:
        values = {name: row[name] for name in names[1:]}
        same = _same_referral(present, row)
        if same is None:
            key = transaction.next_key("referral")
            transaction.insert("referral", referral_key=key, changed=transaction.time, **values)
        else:
            present.remove(same)
            key = same["referral_key"]
            changed = {name: value for name, value in values.items() if same[name] != value}
            if changed:
                transaction.update("referral", {"referral_key": key}, changed=transaction.time, **changed)
        _relate(transaction, key, row)
    for row in present:
        # Two rows turned out to be one referral; the events of both are kept.
        transaction.delete("referral", referral_key=row["referral_key"])
        transaction.delete("care_relation", relation_id=f"referral-{row['referral_key']}")


def _same_referral(present: list[dict[str, Any]], row: dict[str, Any]) -> dict[str, Any] | None:
    number = (row["accession_issuer"], row["accession"])
    for each in present:
        if row["accession"] and (each["accession_issuer"], each["accession"]) == number:
            return each
    for each in present:
        if not each["accession"] and each["placer_id"] == row["placer_id"]:
            return each
    return None


def _relate(transaction: Transaction, key: int, row: dict[str, Any]) -> None:
    """An open referral gives the examining unit a care relation, a closed one for two weeks more."""
    if not row["performer_unit"] or not row["began"]:
        return
    closed = row["closed"]
    start = datetime.fromisoformat(row["began"])
    ends = (
        datetime.fromisoformat(closed) + timedelta(days=_AFTER_DAYS)
        if closed
        else start + timedelta(days=_OPEN_DAYS)
    )
    values = {
        "patient_key": row["patient_key"],
        "provider": row["performer_provider"],
        "unit": row["performer_unit"],
        "employee": "",
        "starts": start.isoformat(),
        "ends": ends.isoformat(),
        "source": "referral",
    }
    relation_id = f"referral-{key}"
    present = transaction.one(
        "SELECT patient_key, provider, unit, employee, starts, ends, source FROM care_relation"
        " WHERE relation_id = ?",
        relation_id,
    )
    if present != tuple(values.values()):
        transaction.replace("care_relation", relation_id=relation_id, **values)
