"""`receive`: the one way in for an instance, whatever door it came through.

Duplicate, identity and policy checks come before the record is written; the Receipt comes after it is durable.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeAlias

from samsyn import limits
from samsyn.access.events import Event, filed
from samsyn.audit import journal as audit
from samsyn.clock import Clock, Today
from samsyn.dicom.alike import Alike, Habits
from samsyn.dicom.outline import Outline
from samsyn.dicom.reading import Summary, summarize
from samsyn.dicom.rejection import KEY_OBJECT_SELECTION, read_rejection
from samsyn.dicom.sop_classes import is_private, is_storage_class
from samsyn.errors import (
    DifferentBytes,
    IdentityConflict,
    LimitExceeded,
    Mismatch,
    NotSupported,
    SamsynError,
    UnknownIssuer,
)
from samsyn.ingest import filing, rejecting
from samsyn.ingest.arriving import LargeArrival
from samsyn.jobs import queue
from samsyn.model.audit import AuditEntry
from samsyn.model.patient import Demographics, DemographicsOrigin, PatientIdentifier
from samsyn.model.rejection import RejectionNote
from samsyn.model.sender import Receipt, Sender
from samsyn.model.value import value
from samsyn.patients import corrections, findings, registry
from samsyn.patients.findings import FindingKind
from samsyn.patients.identifiers import identify
from samsyn.patients.likeness import Agreement
from samsyn.store.batch import Ahead
from samsyn.store.blank import blank
from samsyn.store.checksum import Bytes
from samsyn.store.spool import SpooledBody
from samsyn.store.store import Store
from samsyn.store.submitted import Committed
from samsyn.store.transaction import Transaction

_SMALL_BYTES = 2 * limits.MIB
_LOOK_UP: Final = (
    "SELECT instance.sha256, instance.transfer_syntax, patient_identifier.patient_key, study.study_key,"
    " study.patient_key, series.series_key, series.study_key, EXISTS(SELECT 1 FROM series_object)"
    " FROM (SELECT 1)"
    " LEFT JOIN instance ON sop_uid = ?"
    " LEFT JOIN patient_identifier ON patient_identifier.value = ? AND issuer = ?"
    " LEFT JOIN study ON study_uid = ? LEFT JOIN series ON series_uid = ?"
)
_NOTED_VISITS = 20_000
_KNOWN_HEADERS: Final = 64
"""Connections with a kind of object whose headers are known, at most 0.4 MiB each (`Alike`)."""
_Compared: TypeAlias = tuple[str, PatientIdentifier, Demographics]
"""Study, whose it is said to be, and what the header says about the person."""
_Answer: TypeAlias = Committed[_Compared | None] | BaseException
_BURST_RATE = 50
"""Instances in one second that make a burst."""
_BURST_LASTS_S = 3.0
"""Seconds after its last instance in which a burst is taken to go on."""


@value
class Arrival:
    """What a door knows about an instance before it is read. Empty UIDs = the door does not say."""

    sender: Sender
    transfer_syntax_uid: str
    session_id: str
    """The association or request, for the audit journal."""
    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    study_uid: str = ""
    source: str = ""
    """What comes by one connection is most alike (`dicom.alike`): its name; "" = unknown."""
    decided: PatientIdentifier | None = None
    """Whose it is by a steward's decision, whatever the header says; None = what the header says."""


class Intake:
    """Receives instances. One per server."""

    def __init__(self, store: Store, clock: Clock, largest_bytes: int = limits.MAX_INSTANCE_BYTES) -> None:
        """`largest_bytes`: of one data set that is taken in by pieces, by setting."""
        self._largest_bytes = min(largest_bytes, limits.MAX_INSTANCE_BYTES)
        self._store = store
        self._clock = clock
        self._today = Today(clock)
        self._noted: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._noting: OrderedDict[tuple[str, str], int] = OrderedDict()
        """The entry that the last decision about session and study made; whether it stands, the journal knows."""
        self._compared: OrderedDict[_Compared, None] = OrderedDict()
        self._alike: OrderedDict[tuple[str, str, str], Alike] = OrderedDict()
        self._habits: OrderedDict[tuple[str, str, str], Habits] = OrderedDict()
        self.stored = 0
        self.held = 0
        self.repeated = 0
        """Counts since start, for metrics."""
        self._second = 0
        self._in_second = 0
        self._rate = 0

    def is_busy(self) -> bool:
        """Whether a burst is coming in: work that can wait should wait."""
        return self._clock.monotonic() - self._second < _BURST_LASTS_S and self._rate >= _BURST_RATE

    def _note_arrival(self) -> None:
        second = int(self._clock.monotonic())
        if second != self._second:
            self._rate, self._second, self._in_second = self._in_second, second, 0
        self._in_second += 1
        self._rate = max(self._rate, self._in_second)

    def large(self, eased: Callable[[], None]) -> LargeArrival:
        """For a data set that turns out to be larger than limits.SPOOLED_ABOVE_BYTES while it arrives."""
        return LargeArrival(self._store.spool, self._largest_bytes, "[data] largest_object_mib", eased)

    async def receive(
        self,
        arrival: Arrival,
        data: Bytes | SpooledBody,
        after: Callable[[Transaction], None] | None = None,
    ) -> tuple[Receipt, Summary]:
        """Takes one data set (without file meta) and returns when it is durable; `after` runs in the same record
        when the object is stored.

        Receipt.outcome "stored" or "already-stored" (the same bytes again): success. "held": durable in
        quarantine, `reason` = code of DifferentBytes, IdentityConflict or UnknownIssuer; never success.
        A rejection note hides what it names in the same record; NotAllowed when its sender does not own that.
        Raises BadInput, LimitExceeded, Mismatch, NotSupported (nothing kept), OutOfResources, StoreFailed.
        """
        self._note_arrival()
        summary = await self._read(arrival, data)
        _check_envelope(arrival, summary)
        note = None
        if summary.sop_class_uid == KEY_OBJECT_SELECTION:
            if isinstance(data, SpooledBody):
                raise LimitExceeded(
                    "SPOOLED_ABOVE_BYTES: a key object selection names objects and holds none"
                )
            note = await asyncio.to_thread(read_rejection, bytes(data), arrival.transfer_syntax_uid)
        stores, ahead = self._decision(arrival, summary, note)

        def decide(transaction: Transaction) -> _Compared | None:
            compared = stores(transaction)
            if after is not None and transaction.outcome != "held":
                after(transaction)
            return compared

        committed = await self._store.commit(decide, data, ahead, arrival.session_id)
        return self._filed(committed, arrival.session_id, summary.study_uid), summary

    def receive_soon(
        self,
        arrival: Arrival,
        data: Bytes,
        done: Callable[[tuple[Receipt, Summary] | BaseException], None],
        waits: bool = True,
    ) -> tuple[Receipt, Summary] | bool:
        """As `receive` without a task. A Receipt: it is durable already, since its sender comes alone (see
        Writer.goes_at_once) and `waits` for the answer before he sends more. True: `done` is told on this loop what
        `receive` would return or raise. False: it takes longer than the loop may wait. Nothing is done then, nor when
        this raises.
        """
        if len(data) >= _SMALL_BYTES:
            return False
        summary = summarize(memoryview(data), arrival.transfer_syntax_uid, self._alike_of(arrival))
        _check_envelope(arrival, summary)
        if summary.sop_class_uid == KEY_OBJECT_SELECTION:
            return False
        decide, ahead = self._decision(arrival, summary, None)
        session_id = arrival.session_id
        if waits and self._store.goes_at_once(session_id, len(data)):
            committed = self._store.commit_at_once(decide, data, ahead)
            if committed is not None:
                self._note_arrival()
                return self._filed(committed, session_id, summary.study_uid), summary

        def answered(answer: _Answer) -> None:
            if isinstance(answer, Committed):
                done((self._filed(answer, session_id, summary.study_uid), summary))
            else:
                done(answer)

        self._store.commit_soon(decide, data, ahead, session_id, answered)
        self._note_arrival()
        return True

    def _decision(
        self, arrival: Arrival, summary: Summary, note: RejectionNote | None
    ) -> tuple[Callable[[Transaction], _Compared | None], Ahead]:
        """What the writer is to run, and what that asks first."""
        identifier, doubt = (
            (arrival.decided, None) if arrival.decided else self._identify(arrival.sender, summary)
        )
        question = _question(summary, identifier)
        return (
            lambda transaction: self._decide(
                transaction, arrival, summary, question, identifier, doubt, note
            ),
            question,
        )

    async def _read(self, arrival: Arrival, data: Bytes | SpooledBody) -> Summary:
        syntax = arrival.transfer_syntax_uid
        if isinstance(data, SpooledBody):
            return await asyncio.to_thread(_summarize_large, data, syntax)
        view = memoryview(data)
        if len(data) >= _SMALL_BYTES:
            return await asyncio.to_thread(summarize, view, syntax)
        return summarize(view, syntax, self._alike_of(arrival))

    def _alike_of(self, arrival: Arrival) -> Alike:
        """What is known of the headers that this sender gives objects of this class: by this connection, but for its
        first object, which may be its only one."""
        source = (arrival.sender.name, arrival.source, arrival.sop_class_uid)
        alike = self._alike.get(source)
        if alike is not None:
            self._alike.move_to_end(source)
            return alike
        kind = (arrival.sender.name, "", arrival.sop_class_uid)
        # What differs between connections is no habit of any one of them: the shared one has habits of its own.
        shared = self._alike.pop(kind, None) or Alike()
        habits = self._habits.pop(kind, None) or Habits()
        self._alike[source] = Alike(habits)
        self._alike[kind] = shared
        self._habits[kind] = habits
        while len(self._alike) > _KNOWN_HEADERS:
            self._alike.popitem(last=False)
        if len(self._habits) > _KNOWN_HEADERS:
            self._habits.popitem(last=False)
        return shared

    def _identify(
        self, sender: Sender, summary: Summary
    ) -> tuple[PatientIdentifier | None, type[SamsynError] | None]:
        values = summary.values
        try:
            identifier = identify(
                values.get(0x00100020, ""),
                values.get(0x00100021, "").strip(),
                sender.default_issuer,
                self._today.date(),
            )
        except UnknownIssuer:
            return None, UnknownIssuer
        return identifier, None

    def _decide(
        self,
        transaction: Transaction,
        arrival: Arrival,
        summary: Summary,
        question: Ahead,
        identifier: PatientIdentifier | None,
        doubt: type[SamsynError] | None,
        note: RejectionNote | None,
    ) -> _Compared | None:
        """What was compared for the first time, None when nothing was stored. It is remembered when it is durable: a
        decision that is run again must not find its own traces."""
        found = _look_up(transaction, summary, question)
        if found.sha256 is not None:
            if (found.sha256, found.transfer_syntax) == (
                transaction.body_sha256,
                arrival.transfer_syntax_uid,
            ):
                transaction.outcome = "already-stored"
                return None
            if corrections.was_original(transaction, summary.sop_instance_uid, transaction.body_sha256):
                transaction.outcome = "already-stored"
                return None
            _hold(transaction, arrival, summary, DifferentBytes, identifier)
            return None
        if identifier is None:
            _hold(transaction, arrival, summary, doubt or UnknownIssuer, None)
            return None
        if _contradicts(transaction, found):
            _hold(transaction, arrival, summary, IdentityConflict, identifier)
            _follow_correction(transaction, summary, found.patient_key)
            return None
        patient_key, study_key, series_key = found.patient_key, found.study_key, found.series_key
        said = filing.demographics_of(summary)
        compared = (summary.study_uid, identifier, said)
        differing: tuple[str, ...] = ()
        is_known = compared in self._compared
        if patient_key is not None and not is_known:
            comparison = findings.agreement(transaction, patient_key, said)
            if comparison.agreement is Agreement.CONTRADICTS and arrival.decided is None:
                _hold(transaction, arrival, summary, IdentityConflict, identifier)
                return None
            differing = comparison.fields
        if patient_key is None or study_key is None:
            own = Demographics() if arrival.decided else said
            patient_key = registry.find_or_make(transaction, identifier, own, DemographicsOrigin.IMAGE)
        if study_key is None:
            study_key = filing.add_study(transaction, arrival.sender, summary, patient_key)
            findings.keep_sent(transaction, study_key, *_identity_sent(summary), said)
        elif series_key is None:
            filing.complete_study(transaction, arrival.sender, summary, study_key)
        if differing:
            owner = (arrival.sender.provider, arrival.sender.unit)
            findings.note(
                transaction, FindingKind.IMAGE_HEADER, summary.study_uid, patient_key, owner, differing
            )
        if series_key is None:
            series_key = filing.add_series(transaction, summary, study_key)
        filing.add_instance(transaction, arrival.sender, summary, arrival.transfer_syntax_uid, series_key)
        if found.study_patient_key not in (None, patient_key):
            # One study under two linked numbers: if they are parted again, this object goes with its own.
            transaction.insert(
                "sent_for",
                sop_uid=summary.sop_instance_uid,
                patient_key=patient_key,
                study_uid=summary.study_uid,
            )
        if note is not None:
            rejecting.apply(transaction, arrival.sender, summary, note)
            details = {"reason": note.code, "instances": str(len(note.references))}
            audit.append(
                transaction, _entry(arrival, summary, patient_key, event=Event.REJECT_INSTANCES, more=details)
            )
        elif (arrival.session_id, summary.study_uid) not in self._noted:
            self._note_once(transaction, arrival, summary, patient_key)
        return None if is_known else compared

    def _note_once(
        self, transaction: Transaction, arrival: Arrival, summary: Summary, patient_key: int
    ) -> None:
        """An entry for the session and study, unless a record of this turn has it: they become durable together; or one
        of a turn before, whose sender has not been told yet."""
        noted = f"noted {arrival.session_id} {summary.study_uid} {patient_key}"
        if noted in transaction.carried:
            return
        visit, entry = (arrival.session_id, summary.study_uid), _entry(arrival, summary, patient_key)
        made = self._noting.get(visit)
        if made is None or not audit.holds(transaction, made, entry):
            self._noting[visit] = audit.append(transaction, entry)
            transaction.carried[noted] = ""
            if len(self._noting) > _NOTED_VISITS:
                self._noting.popitem(last=False)

    def _remember(self, compared: _Compared) -> None:
        """The next instance with the same header needs no comparison."""
        self._compared[compared] = None
        if len(self._compared) > _NOTED_VISITS:
            self._compared.popitem(last=False)

    def _filed(self, committed: Committed[_Compared | None], session_id: str, study_uid: str) -> Receipt:
        """Counts and remembers what is durable."""
        receipt = committed.receipt
        if committed.value is not None:
            self._remember(committed.value)
        if receipt.outcome == "stored":
            self.stored += 1
            self._noted[session_id, study_uid] = None
            self._noting.pop((session_id, study_uid), None)
            if len(self._noted) > _NOTED_VISITS:
                self._noted.popitem(last=False)
        elif receipt.outcome == "held":
            self.held += 1
        else:
            self.repeated += 1
        return receipt


def _summarize_large(body: SpooledBody, transfer_syntax_uid: str) -> Summary:
    with blank(len(body)) as pages, memoryview(pages) as outline:
        Outline(body.read, outline, transfer_syntax_uid)
        return summarize(outline, transfer_syntax_uid)


def _check_envelope(arrival: Arrival, summary: Summary) -> None:
    """The envelope must name the object that is in it, and its class must be one that we take."""
    if arrival.sop_instance_uid and arrival.sop_instance_uid != summary.sop_instance_uid:
        raise Mismatch("Affected SOP Instance UID differs from the data set's")
    if arrival.sop_class_uid and arrival.sop_class_uid != summary.sop_class_uid:
        raise Mismatch("Affected SOP Class UID differs from the data set's")
    if arrival.study_uid and arrival.study_uid != summary.study_uid:
        raise Mismatch("the data set belongs to another study than the request names")
    known = is_storage_class(summary.sop_class_uid)
    if not known and not (arrival.sender.private_classes and is_private(summary.sop_class_uid)):
        raise NotSupported(f"SOP class {summary.sop_class_uid} is not taken from this sender")


class _Known(NamedTuple):
    """What the index has under the UIDs and the patient identifier of an arriving instance; None = nothing."""

    sha256: str | None
    transfer_syntax: str | None
    patient_key: int | None
    study_key: int | None
    study_patient_key: int | None
    series_key: int | None
    series_study_key: int | None
    any_settled: int


def _question(summary: Summary, identifier: PatientIdentifier | None) -> Ahead:
    """What is known about an instance, all in one."""
    value, issuer = (identifier.value, identifier.issuer) if identifier else (None, None)
    return Ahead(
        _LOOK_UP,
        (summary.sop_instance_uid, value, issuer, summary.study_uid, summary.series_uid),
        {
            "instance": ("sop_uid", summary.sop_instance_uid),
            "patient_identifier": ("value", value),
            "study": ("study_uid", summary.study_uid),
            "series": ("series_uid", summary.series_uid),
            "series_object": None,
        },
    )


def _look_up(transaction: Transaction, summary: Summary, question: Ahead) -> _Known:
    """The writer's thread passes here for every instance."""
    known = _Known(*transaction.one(question.sql, *question.parameters))
    if known.sha256 is not None or not known.any_settled:
        return known
    settled = transaction.settled(summary.sop_instance_uid)
    if settled is None:
        return known
    return known._replace(sha256=settled.sha256.hex(), transfer_syntax=settled.transfer_syntax_uid)


def _contradicts(transaction: Transaction, found: _Known) -> bool:
    """Whether the series stands in another study, or the study under another patient."""
    if found.series_key is not None and found.series_study_key != found.study_key:
        return True
    if found.study_key is None or found.study_patient_key == found.patient_key:
        return False
    return found.patient_key is None or found.study_patient_key not in registry.closure(
        transaction, found.patient_key
    )


def _follow_correction(transaction: Transaction, summary: Summary, patient_key: int | None) -> None:
    """An object of a study that a steward has moved goes where the study went: durable now, filed by a job."""
    if corrections.followed(transaction, summary.study_uid, summary.series_uid, patient_key) is None:
        return
    row = transaction.one(
        "SELECT held_key, settled FROM held WHERE sop_uid = ? AND sha256 = ?",
        summary.sop_instance_uid,
        transaction.body_sha256,
    )
    transaction.outcome, transaction.reason = "stored", ""
    if not row[1]:
        queue.enqueue(transaction, corrections.LATE_OBJECT, str(row[0]))


def _identity_sent(summary: Summary) -> tuple[str, str]:
    """Patient ID and issuer as the header tells them."""
    return summary.values.get(0x00100020, "").strip(), summary.values.get(0x00100021, "").strip()


def _hold(
    transaction: Transaction,
    arrival: Arrival,
    summary: Summary,
    reason: type[SamsynError],
    identifier: PatientIdentifier | None,
) -> None:
    """Keeps the bytes aside for a steward; the same bytes are kept once however often they come."""
    transaction.outcome, transaction.reason = "held", reason.code
    same = transaction.one(
        "SELECT 1 FROM held WHERE sop_uid = ? AND sha256 = ?",
        summary.sop_instance_uid,
        transaction.body_sha256,
    )
    if same is not None:
        return
    key = transaction.next_key("held")
    transaction.insert_with_body(
        "held",
        held_key=key,
        kind="instance",
        reason=reason.code,
        sop_uid=summary.sop_instance_uid,
        study_uid=summary.study_uid,
        transfer_syntax=arrival.transfer_syntax_uid,
        sender=arrival.sender.name,
        provider=arrival.sender.provider,
        detail=reason.sentence,
        received=transaction.time,
        sha256=transaction.body_sha256,
        settled="",
    )
    said = filing.demographics_of(summary)
    patient_id, issuer = _identity_sent(summary)
    study = transaction.one("SELECT patient_key FROM study WHERE study_uid = ?", summary.study_uid)
    transaction.insert(
        "held_identity",
        held_key=key,
        patient_id=patient_id,
        issuer=issuer,
        name=said.name,
        birth_date=said.birth_date,
        sex=said.sex,
        accession=summary.values.get(0x00080050, "").strip(),
        patient_key=(registry.find(transaction, identifier) if identifier else None) or 0,
        other_key=study[0] if study else 0,
    )
    audit.append(transaction, _entry(arrival, summary, 0, event=Event.HOLD_INSTANCE, reason=reason.code))


def _entry(
    arrival: Arrival,
    summary: Summary,
    patient_key: int,
    event: Event = Event.STORE_STUDY,
    reason: str = "",
    more: Mapping[str, str] | None = None,
) -> AuditEntry:
    details = {"study": summary.study_uid, **(more or {})}
    if reason:
        details |= {"instance": summary.sop_instance_uid, "reason": reason}
    return filed(arrival.sender, event, patient_key, details, session_id=arrival.session_id)
