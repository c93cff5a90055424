"""A referral's present state from everything that was ever told about it, whatever the order of arrival.

Every order message is kept as an event; the rows that people see are folded anew from the events, sorted by the
senders' clocks. A row stands for one examination that a referral asks for: (issuer, accession number). It takes
the events with that number and what was told, before there was a number, under the placer numbers that those
events name. A referral without any accession number yet is one row of its own. Only events of the same person
belong together, linked numbers included.
"""

from datetime import datetime, timedelta
from typing import Any

import orjson

from samsyn.clock import swedish_day
from samsyn.hl7v2.meaning import ReferralEvent, ReportEvent
from samsyn.model.sender import Sender
from samsyn.model.texts import ReferralStatus, ReportStatus
from samsyn.model.value import value
from samsyn.patients import registry
from samsyn.reports.visits import Visit
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
    "booked",
)
_DELETED = "deleted"
"""In what an event tells: the texts that it takes away."""
NOT_BOOKED = "-"
"""In `booked`: the time that was told is taken back."""
_COLUMNS = (
    "referral_key",
    "patient_key",
    "provider",
    "unit",
    "begins",
    "ends",
    "accession_issuer",
    "accession",
    "placer_id",
    "status",
    *_TEXTS,
    "message_key",
)
_ORDER = [status.value for status in ReferralStatus]


Number = tuple[str, str]
"""(issuer, accession number)."""
_NO_NUMBER: Number = ("", "")


@value
class _Told:
    """One stored event. `content` holds what the message told, empty texts left out."""

    event_key: int
    patient_key: int
    placer: str
    number: Number
    told: str
    content: dict[str, Any]
    message_key: int
    order: tuple[str, int, str]
    """By the sender's clock; at the same moment the later stage, then the content: never by arrival."""

    @property
    def is_order(self) -> bool:
        """Whether it tells of a referral; a report's answer alone makes no row."""
        return "owner_told" in self.content


def add_order(
    transaction: Transaction,
    event: ReferralEvent,
    sender: Sender,
    patient_key: int,
    told: str,
    visit: Visit,
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
        _DELETED: list(event.deleted),
    }
    issuer = event.accession_issuer or sender.accession_issuer
    number = (issuer, referral.accession) if referral.accession else None
    _tell(transaction, patient_key, referral.placer_id, number, told, content, visit, message_key)


def add_answer(
    transaction: Transaction,
    event: ReportEvent,
    sender: Sender,
    patient_key: int,
    told: str,
    visit: Visit,
    message_key: int,
) -> None:
    """A report tells which accession number a placer number became, and that the referral is answered."""
    if not event.placer_id:
        return
    answered = event.status in (ReportStatus.FINAL, ReportStatus.CORRECTION, ReportStatus.ADDENDUM)
    content = {"status": ReferralStatus.REPORTED.value} if answered else {}
    issuer = event.accession_issuer or sender.accession_issuer
    number = (issuer, event.accession) if event.accession else None
    _tell(transaction, patient_key, event.placer_id, number, told, content, visit, message_key)


def add_booked(
    transaction: Transaction,
    placer: str,
    number: Number | None,
    booked: datetime | None,
    patient_key: int,
    told: str,
    visit: Visit,
    message_key: int,
) -> None:
    """A booking tells that the referral has its time, or (None) that it waits for one again."""
    content = {"status": ReferralStatus.ORDERED.value, "booked": NOT_BOOKED}
    if booked is not None:
        content = {"status": ReferralStatus.SCHEDULED.value, "booked": booked.isoformat()}
    _tell(transaction, patient_key, placer, number, told, content, visit, message_key)


def refold(transaction: Transaction, patient_key: int) -> None:
    """Makes all referral rows of a person (linked persons included) follow from the kept events.

    Called after every merge and unmerge; the same events and links give the same rows.
    """
    persons = _persons(transaction, patient_key)
    numbers: set[Number] = set()
    placers: set[str] = set()
    for person in persons:
        for table in ("referral_event", "referral"):
            for issuer, accession, placer in transaction.all(
                f"SELECT DISTINCT accession_issuer, accession, placer_id FROM {table}"  # noqa: S608 - two constants
                " WHERE patient_key = ?",
                person,
            ):
                numbers |= {(issuer, accession)} if accession else set()
                placers |= {placer} if placer else set()
    for number in sorted(numbers):
        _fold_number(transaction, persons, number)
    for placer in sorted(placers):
        _fold_placer(transaction, persons, placer)


def _tell(
    transaction: Transaction,
    patient_key: int,
    placer: str,
    number: Number | None,
    told: str,
    content: dict[str, Any],
    visit: Visit,
    message_key: int,
) -> None:
    """Keeps the event and brings the rows up to date that it can change."""
    persons = _persons(transaction, patient_key)
    own = number or _NO_NUMBER
    around = _around(transaction, persons, placer, number)
    is_first = not around
    kept = _keep(transaction, around, patient_key, placer, own, told, content, visit, message_key)
    if is_first and not kept.is_order:
        return  # a report whose referral nobody has told of: without an event there is no row either
    rows = _rows(transaction, persons, placer, number)
    around = sorted((*around, kept), key=lambda each: (each.patient_key, each.event_key))
    if number is None:
        for each in sorted({event.number for event in around} - {_NO_NUMBER}):
            _fold_number(transaction, persons, each)
    else:
        events = [event for event in around if event.number == number]
        for other in sorted({event.placer for event in events if event.placer}):
            if other == placer:
                events += [each for each in around if each.placer == placer and each.number == _NO_NUMBER]
            else:
                events += _told(transaction, persons, "placer_id = ? AND accession = ''", other)
        _write(transaction, [row for row in rows if row["accession"]], events, number)
    if placer:
        under = [event for event in around if event.placer == placer]
        if any(event.number != _NO_NUMBER for event in under):
            under = []  # the row of the placer's number goes when the first accession number has come
        _write(transaction, [row for row in rows if not row["accession"]], under, _NO_NUMBER)


def _fold_number(transaction: Transaction, persons: list[int], number: Number) -> None:
    """The row of one accession number."""
    events = _told(transaction, persons, "accession_issuer = ? AND accession = ?", *number)
    for placer in sorted({event.placer for event in events if event.placer}):
        events += _told(transaction, persons, "placer_id = ? AND accession = ''", placer)
    present = _present(transaction, persons, "accession_issuer = ? AND accession = ?", *number)
    _write(transaction, present, events, number)


def _fold_placer(transaction: Transaction, persons: list[int], placer: str) -> None:
    """The row of a placer number that has no accession number yet; it goes when the first one has come."""
    events = _told(transaction, persons, "placer_id = ?", placer)
    if any(event.number != _NO_NUMBER for event in events):
        events = []
    present = _present(transaction, persons, "placer_id = ? AND accession = ''", placer)
    _write(transaction, present, events, _NO_NUMBER)


def _persons(transaction: Transaction, patient_key: int) -> list[int]:
    return sorted(registry.closure(transaction, patient_key))


def _keep(
    transaction: Transaction,
    around: list[_Told],
    patient_key: int,
    placer: str,
    number: Number,
    told: str,
    content: dict[str, Any],
    visit: Visit,
    message_key: int,
) -> _Told:
    """The event, added; one that says the same of the same referral again only becomes later, and leaves `around`."""
    said = {key: value for key, value in content.items() if value not in ("", None, [])}
    text = orjson.dumps(said, option=orjson.OPT_SORT_KEYS).decode()
    for place, same in enumerate(around):
        if (same.patient_key, same.placer, same.number, same.order[2]) == (patient_key, placer, number, text):
            del around[place]
            if told > same.told:
                transaction.update("referral_event", {"event_key": same.event_key}, told=told)
                return _event(same.event_key, patient_key, placer, number, told, text, same.message_key)
            return same
    key = transaction.next_key("referral_event")
    transaction.insert(
        "referral_event",
        event_key=key,
        patient_key=patient_key,
        placer_id=placer,
        accession_issuer=number[0],
        accession=number[1],
        told=told,
        content=text,
        visit=visit.visit,
        account=visit.account,
        message_key=message_key,
    )
    return _event(key, patient_key, placer, number, told, text, message_key, said)


_EVENTS = (
    "SELECT event_key, patient_key, placer_id, accession_issuer, accession, told, content, message_key"
    " FROM referral_event WHERE patient_key = ?"
)


def _around(transaction: Transaction, persons: list[int], placer: str, number: Number | None) -> list[_Told]:
    """The kept events that one more under this placer number and accession number belongs with."""
    under = f"{_EVENTS} AND placer_id = ?"
    with_number = f"{_EVENTS} AND accession = ? AND accession_issuer = ?"
    rows: list[tuple[Any, ...]] = []
    for person in persons:
        of = (("referral_event", person),)
        if transaction.is_bare(person, "referral_event"):
            continue
        if number is None:
            rows += transaction.all(under, person, placer, of=of)
        elif not placer:
            rows += transaction.all(with_number, person, number[1], number[0], of=of)
        else:
            rows += transaction.all(
                f"{with_number} UNION ALL {under} AND NOT (accession = ? AND accession_issuer = ?)",
                *(person, number[1], number[0]),
                *(person, placer, number[1], number[0]),
                of=of,
            )
    return [_from_row(row) for row in rows]


def _told(transaction: Transaction, persons: list[int], where: str, *values: str) -> list[_Told]:
    """Kept events; `where` is one of this module's constants."""
    return [
        _from_row(row)
        for person in persons
        for row in transaction.all(
            f"{_EVENTS} AND {where}", person, *values, of=(("referral_event", person),)
        )
    ]


def _from_row(row: tuple[Any, ...]) -> _Told:
    event_key, patient_key, placer, issuer, accession, told, text, message_key = row
    return _event(event_key, patient_key, placer, (issuer, accession), told, text, message_key)


def _event(
    event_key: int,
    patient_key: int,
    placer: str,
    number: Number,
    told: str,
    text: str,
    message_key: int,
    content: dict[str, Any] | None = None,
) -> _Told:
    content = orjson.loads(text) if content is None else content
    stage = _ORDER.index(content["status"]) if "status" in content else -1
    number = number if number[1] else _NO_NUMBER
    return _Told(event_key, patient_key, placer, number, told, content, message_key, (told, stage, text))


def _folded(events: list[_Told], number: Number) -> dict[str, Any]:
    """The latest word for each field; the owner that was named goes before a sender that only forwarded."""
    events = sorted(events, key=lambda each: each.order)
    row: dict[str, Any] = dict.fromkeys(_TEXTS, "")
    row |= {"provider": "", "unit": "", "placer_id": "", "status": ReferralStatus.ORDERED.value}
    row["accession_issuer"], row["accession"] = number
    for event in events:
        row |= {key: event.content[key] for key in (*_TEXTS, "status") if key in event.content}
        row |= dict.fromkeys(event.content.get(_DELETED, ()), "")
        row["placer_id"] = event.placer or row["placer_id"]
    orders = [each for each in events if each.is_order]
    told = [each for each in orders if each.content["owner_told"]]
    owner = (told[-1:] or orders[:1])[0]
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
    return swedish_day(datetime.fromisoformat(moment)) if moment else None


def _present(transaction: Transaction, persons: list[int], where: str, *values: str) -> list[dict[str, Any]]:
    """Rows as they stand; `where` is one of this module's constants."""
    sql = f"{_ROWS} AND {where}"
    return [_row(row) for person in persons for row in transaction.all(sql, person, *values, of=())]


def _rows(
    transaction: Transaction, persons: list[int], placer: str, number: Number | None
) -> list[dict[str, Any]]:
    """The rows of the accession number and the one of the placer number without any."""
    rows: list[tuple[Any, ...]] = []
    for person in persons:
        if transaction.is_bare(person, "referral"):
            continue
        if number is None:
            rows += transaction.all(_ROWS_UNDER, person, placer, of=())
        else:
            rows += transaction.all(_ROWS_AROUND, person, *number, person, placer, of=())
    return [_row(row) for row in rows]


_ROWS = f"SELECT {', '.join(_COLUMNS)} FROM referral WHERE patient_key = ?"  # noqa: S608 - constants
_ROWS_UNDER = f"{_ROWS} AND placer_id = ? AND accession = ''"
_ROWS_AROUND = f"{_ROWS} AND accession_issuer = ? AND accession = ? UNION ALL {_ROWS_UNDER}"


def _row(row: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(_COLUMNS, row, strict=True))


def _write(
    transaction: Transaction, present: list[dict[str, Any]], events: list[_Told], number: Number
) -> None:
    """Makes the present rows the one that the events give, or none; changes only what differs."""
    if any(event.is_order for event in events):
        row = _folded(events, number)
        values = {name: row[name] for name in _COLUMNS[1:]}
        if present:
            same = present.pop(0)
            key = same["referral_key"]
            changed = {name: value for name, value in values.items() if same[name] != value}
            if changed:
                transaction.update("referral", {"referral_key": key}, changed=transaction.time, **changed)
        else:
            key = transaction.next_key("referral")
            transaction.insert("referral", referral_key=key, changed=transaction.time, **values)
        _relate(transaction, key, row)
    for row in present:
        # The referral got its accession number, or two persons' rows turned out to be one; the events are kept.
        transaction.delete("referral", referral_key=row["referral_key"])
        transaction.delete("care_relation", relation_id=f"referral-{row['referral_key']}")


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
