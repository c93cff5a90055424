"""What a steward decides about held objects, differences and links. Each decision is one record with its trace."""

import asyncio
import uuid
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

import orjson

from samsyn import limits
from samsyn.access.duties import stewarding
from samsyn.clock import STOCKHOLM, Clock
from samsyn.dicom.correcting import Modification, corrected
from samsyn.dicom.reading import summarize
from samsyn.errors import BadInput, Conflict, LimitExceeded, NotFound
from samsyn.ingest.receive import Arrival, Intake
from samsyn.jobs import queue
from samsyn.model.imaging import BodyLocation
from samsyn.model.patient import PatientIdentifier
from samsyn.model.sender import Receipt, Sender
from samsyn.model.subject import Assignment, Subject
from samsyn.patients import findings, links, registry
from samsyn.patients.corrections import ANNOUNCE_LINK
from samsyn.patients.identifiers import identify
from samsyn.patients.links import Word
from samsyn.reports import referrals
from samsyn.reports.availability import note_visible
from samsyn.reports.file import Filing
from samsyn.reports.stewardship import acts
from samsyn.reports.stewardship.acts import ActKind
from samsyn.reports.stewardship.joining import undo_join
from samsyn.reports.stewardship.moving import Mover
from samsyn.store.index import steward_rows
from samsyn.store.index.port import Row
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction

Source = tuple[Sender, str]
"""A sender with the name of its HL7 profile ("" for images)."""


class Decisions:
    """Carries decisions out. `source_of(provider, name)` finds a known system again, None when it is gone.

    BadInput: no reason was told. NotFound: the object is not there, or another provider's. NotAllowed: no steward.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        intake: Intake,
        filing: Filing,
        source_of: Callable[[str, str], Source | None],
        mover: Mover,
    ) -> None:
        self._store = store
        self._clock = clock
        self._intake = intake
        self._filing = filing
        self._source_of = source_of
        self._mover = mover

    async def release(
        self, subject: Subject, held_key: int, reason: str, identifier: PatientIdentifier | None
    ) -> tuple[int, int]:
        """Files a held case after all: (how many objects were filed, how many stay held).

        Instances are filed under `identifier`, as a study of their own when theirs is another person's; a message by
        what it says, after the cause is mended. Whoever the header names stays written in the object and in the list
        of differences. Each object is one record, so a crash in between leaves a shorter case.
        """
        own = self._steward(subject, reason)
        rows = await self._group(own, held_key)
        source = self._source_of(own.provider_hsa_id, rows[0]["sender"])
        if source is None:
            raise Conflict("the system that sent it is no longer connected")
        split = uuid.uuid4()
        filed = 0
        for row in rows:
            place = BodyLocation(row["segment"], row["body_offset"], row["length"])
            if row["kind"] == "message":
                body = await self._store.proved(place.segment, place.offset, place.length, row["sha256"])
                done = await self._filing.file_message(
                    source[0],
                    source[1],
                    body,
                    subject.session_id,
                    arrived=datetime.fromisoformat(row["received"]),
                )
                outcome = done.receipt.outcome
                if outcome == "stored":
                    await self._note_released(subject, own, row["held_key"], reason)
            else:
                if identifier is None:
                    raise BadInput("a patient number is needed")
                after = partial(self._settle, subject, own, row["held_key"], reason, identifier)
                arrival = Arrival(
                    source[0],
                    row["transfer_syntax"],
                    subject.session_id,
                    decided=identifier,
                )
                if place.length > limits.MAX_INSTANCE_IN_MEMORY_BYTES:
                    receipt = await self._file_large(arrival, row, place, after)
                else:
                    body = await self._store.proved(place.segment, place.offset, place.length, row["sha256"])
                    body = await self._as_own_study(row, identifier, split, body)
                    receipt, _ = await self._intake.receive(arrival, body, after)
                outcome = receipt.outcome
            filed += outcome != "held"
        return filed, len(rows) - filed

    async def _file_large(
        self, arrival: Arrival, row: Row, place: BodyLocation, after: Callable[[Transaction], None]
    ) -> Receipt:
        """The same for an object that is not held in memory, byte for byte; LimitExceeded when it would have to be
        changed, since its study is another person's."""
        assert arrival.decided is not None
        if await self._is_of_another(row, arrival.decided):
            raise LimitExceeded(
                "MAX_INSTANCE_IN_MEMORY_BYTES: so large an object can not be given another study"
            )
        body = await asyncio.to_thread(self._store.respooled, place, row["sha256"])
        try:
            return (await self._intake.receive(arrival, body, after))[0]
        finally:
            body.discard()

    async def _is_of_another(self, row: Row, identifier: PatientIdentifier) -> bool:
        return await self._store.read(
            partial(steward_rows.is_of_another, study_uid=row["study_uid"], identifier=identifier)
        )

    async def _as_own_study(
        self, row: Row, identifier: PatientIdentifier, split: uuid.UUID, body: bytes
    ) -> bytes:
        """The object as part of a study of its own, when its study is another person's; else as it is."""
        if not await self._is_of_another(row, identifier):
            return body
        syntax = row["transfer_syntax"]
        series_uid = (await asyncio.to_thread(summarize, memoryview(body), syntax)).series_uid
        changes = {
            0x0020000D: ("UI", (f"2.25.{split.int}",)),
            0x0020000E: ("UI", (f"2.25.{uuid.uuid5(split, series_uid).int}",)),
        }
        moment = self._clock.now().astimezone(STOCKHOLM).strftime("%Y%m%d%H%M%S%z")
        modification = Modification(moment, "Samsyn", row["sender"])
        return await asyncio.to_thread(corrected, body, syntax, changes, modification)

    async def leave_held(self, subject: Subject, held_key: int, reason: str) -> int:
        """Takes the case off the list for good; the bytes stay where they are. The act's key."""
        own = self._steward(subject, reason)
        rows = await self._group(own, held_key)
        keys = [row["held_key"] for row in rows]

        def decide(transaction: Transaction) -> int:
            for key in keys:
                transaction.update("held", {"held_key": key}, settled=transaction.time)
            return acts.note(
                transaction, subject, own, ActKind.LEAVE_HELD, f"held:{held_key}", reason, {"held": keys}
            )

        return (await self._store.commit(decide)).value

    async def settle_finding(self, subject: Subject, finding_key: int, reason: str) -> int:
        """The difference is known and explained: the flag goes, and comes back when other fields differ."""
        own = self._steward(subject, reason)

        def decide(transaction: Transaction) -> int:
            row = transaction.one(
                "SELECT patient_key, reference FROM finding WHERE finding_key = ? AND settled = ''"
                " AND provider IN (?, '')",
                finding_key,
                own.provider_hsa_id,
            )
            if row is None:
                raise NotFound
            transaction.update(
                "finding",
                {"finding_key": finding_key},
                settled=transaction.time,
                settled_by=subject.hsa_id,
                note=reason,
            )
            detail: dict[str, object] = {"finding": finding_key}
            return acts.note(
                transaction, subject, own, ActKind.SETTLE_FINDING, row[1], reason, detail, (row[0],)
            )

        return (await self._store.commit(decide)).value

    async def link(self, subject: Subject, one: int, other: int, reason: str) -> int:
        """The two numbers are one person. Conflict as `links.link`."""
        return await self._relate(subject, ActKind.LINK, one, other, reason)

    async def part(self, subject: Subject, one: int, other: int, reason: str) -> int:
        """The two numbers are not one person, whoever said so. Conflict as `links.unlink`."""
        return await self._relate(subject, ActKind.PART, one, other, reason)

    async def stand_alone(self, subject: Subject, patient_key: int, reason: str) -> int:
        """The number is linked with no other from now on (fingerade personuppgifter). Can not be undone here."""
        own = self._steward(subject, reason)

        def decide(transaction: Transaction) -> int:
            _exists(transaction, patient_key)
            word = Word(source=subject.hsa_id, reason=reason)
            for key in {patient_key, *links.stand_alone(transaction, patient_key, word)}:
                _follow(transaction, key)
            # Only this number: naming the others would keep the link.
            return acts.note(transaction, subject, own, ActKind.STAND_ALONE, "", reason, {}, (patient_key,))

        return (await self._store.commit(decide)).value

    async def undo(self, subject: Subject, act_key: int) -> None:
        """Undoes an act and keeps it in the list. Conflict: it can not be undone, or was already."""
        own = stewarding(subject, self._clock.now())

        def decide(transaction: Transaction) -> None:
            row = transaction.one(
                "SELECT kind, patient_key, other_key, undone, detail FROM steward_act WHERE act_key = ?"
                " AND provider = ?",
                act_key,
                own.provider_hsa_id,
            )
            if row is None:
                raise NotFound
            kind = ActKind(row[0])
            if row[3] or kind not in self._undoings():
                raise Conflict("this act can not be undone")
            self._undoings()[kind](transaction, subject, act_key)
            if kind in (ActKind.LINK, ActKind.PART):
                _announce(transaction, own, act_key, row[1], row[2], undone=True)
            acts.note_undone(transaction, subject, act_key, kind, (row[1], row[2] or row[1]))

        await self._store.commit(decide)

    def identify(self, number: str) -> PatientIdentifier:
        """What a steward typed as an identifier; UnknownIssuer for a number that follows no rule."""
        return identify(number, "", "", self._clock.now().astimezone(STOCKHOLM).date())

    def _undoings(self) -> dict[ActKind, Callable[[Transaction, Subject, int], None]]:
        return {
            ActKind.LEAVE_HELD: _undo_leave_held,
            ActKind.SETTLE_FINDING: _undo_settle_finding,
            ActKind.LINK: _undo_link,
            ActKind.PART: _undo_part,
            ActKind.MOVE: self._mover.undo,
            ActKind.JOIN: undo_join,
        }

    async def _relate(self, subject: Subject, kind: ActKind, one: int, other: int, reason: str) -> int:
        own = self._steward(subject, reason)
        word = Word(source=subject.hsa_id, reason=reason)

        def decide(transaction: Transaction) -> int:
            _exists(transaction, one)
            _exists(transaction, other)
            before = transaction.one(
                "SELECT kind, lower_key, upper_key FROM patient_link WHERE holds = 1"
                " AND lower_key IN (?, ?) AND upper_key IN (?, ?)",
                one,
                other,
                one,
                other,
            )
            act = links.link if kind is ActKind.LINK else links.unlink
            if not act(transaction, one, other, word):
                raise Conflict("that is so already")
            _follow(transaction, one)
            _follow(transaction, other)
            detail: dict[str, object] = {"before": list(before) if before else []}
            act_key = acts.note(transaction, subject, own, kind, "", reason, detail, (one, other))
            _announce(transaction, own, act_key, one, other)
            return act_key

        return (await self._store.commit(decide)).value

    def _steward(self, subject: Subject, reason: str) -> Assignment:
        own = stewarding(subject, self._clock.now())
        if not reason.strip() or len(reason) > limits.MAX_WORDING_CHARACTERS:
            raise BadInput("a reason is needed")
        return own

    async def _group(self, own: Assignment, held_key: int) -> list[Row]:
        group = await self._store.read(
            lambda connection: steward_rows.held_group(connection, own.provider_hsa_id, held_key)
        )
        if group is None:
            raise NotFound
        rows = await self._store.read(lambda connection: steward_rows.held_objects(connection, group))
        if not rows:
            raise NotFound
        return rows

    @staticmethod
    def _settle(
        subject: Subject,
        own: Assignment,
        held_key: int,
        reason: str,
        identifier: PatientIdentifier | None,
        transaction: Transaction,
    ) -> None:
        transaction.update("held", {"held_key": held_key}, settled=transaction.time)
        study_uid, received = transaction.one(
            "SELECT study_uid, received FROM held WHERE held_key = ?", held_key
        )
        if study_uid:
            note_visible(transaction, study_uid, received)
        person = registry.find(transaction, identifier) if identifier else None
        acts.note(
            transaction, subject, own, ActKind.RELEASE, f"held:{held_key}", reason, persons=(person or 0,)
        )

    async def _note_released(self, subject: Subject, own: Assignment, held_key: int, reason: str) -> None:
        await self._store.commit(partial(self._settle, subject, own, held_key, reason, None))


def _exists(transaction: Transaction, patient_key: int) -> None:
    if transaction.one("SELECT 1 FROM patient WHERE patient_key = ?", patient_key) is None:
        raise NotFound


def _announce(
    transaction: Transaction, own: Assignment, act_key: int, one: int, other: int, undone: bool = False
) -> None:
    """The provider's own HL7 systems are told."""
    said = {"provider": own.provider_hsa_id, "one": one, "other": other, "made": transaction.time}
    name = f"{act_key} undone" if undone else str(act_key)
    queue.enqueue(transaction, ANNOUNCE_LINK, name, orjson.dumps(said).decode())


def _follow(transaction: Transaction, patient_key: int) -> None:
    """What follows from who is one person with whom."""
    referrals.refold(transaction, patient_key)
    findings.recheck(transaction, patient_key)


def _detail(transaction: Transaction, act_key: int) -> tuple[dict[str, Any], int, int]:
    row = transaction.one("SELECT detail, patient_key, other_key FROM steward_act WHERE act_key = ?", act_key)
    return orjson.loads(row[0]), row[1], row[2]


def _undo_leave_held(transaction: Transaction, subject: Subject, act_key: int) -> None:
    detail, _, _ = _detail(transaction, act_key)
    for key in detail["held"]:
        transaction.update("held", {"held_key": key}, settled="")


def _undo_settle_finding(transaction: Transaction, subject: Subject, act_key: int) -> None:
    detail, _, _ = _detail(transaction, act_key)
    transaction.update("finding", {"finding_key": detail["finding"]}, settled="", settled_by="", note="")


def _undo_link(transaction: Transaction, subject: Subject, act_key: int) -> None:
    _, one, other = _detail(transaction, act_key)
    links.unlink(transaction, one, other, Word(source=subject.hsa_id, reason=f"undoes act {act_key}"))
    _follow(transaction, one)
    _follow(transaction, other)


def _undo_part(transaction: Transaction, subject: Subject, act_key: int) -> None:
    detail, one, other = _detail(transaction, act_key)
    kind, lower, upper = detail["before"]
    word = Word(source=subject.hsa_id, reason=f"undoes act {act_key}")
    if kind == "merge":
        links.merge(transaction, upper, lower, word)
    else:
        links.link(transaction, lower, upper, word)
    _follow(transaction, one)
    _follow(transaction, other)
