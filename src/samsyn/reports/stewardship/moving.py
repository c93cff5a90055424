"""Giving a study that was sent for the wrong person, or some of its series, to the right one, and taking it back.

First the consequences are shown. Then corrected bodies are written aside, each in a record of its own, seen by
nobody; one last record gives everything over at once: images with corrected headers (the former values inside them),
texts, flags, trace, audit. A crash before it leaves nothing but unused bytes. The bytes that were sent stay where
they are, and undoing points back to them. What arrives later for the former person follows by itself.
"""

import asyncio
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from samsyn import limits
from samsyn.access.duties import stewarding
from samsyn.access.events import Event, entry
from samsyn.audit import journal as audit
from samsyn.clock import STOCKHOLM, Clock
from samsyn.dicom.correcting import Corrections, Modification, corrected
from samsyn.dicom.reading import summarize
from samsyn.errors import BadInput, Conflict, NotFound
from samsyn.jobs.queue import Job, Later
from samsyn.model.patient import Demographics, DemographicsOrigin, Patient, PatientIdentifier
from samsyn.model.sender import Sender
from samsyn.model.subject import Assignment, Subject
from samsyn.patients import corrections, registry
from samsyn.patients.identifiers import preference
from samsyn.reports.stewardship import acts, flipping
from samsyn.reports.stewardship.acts import ActKind
from samsyn.reports.stewardship.worklists import person
from samsyn.store.index import correction_rows, patient_rows
from samsyn.store.index.port import IndexConnection, Row
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction

_AT_ONCE = 4
"""Bodies that are corrected at the same time: each is in memory twice."""
_ROUNDS = 3
"""How often instances that came in meanwhile are taken along before the steward is asked to try again."""
_PERSONAL = (0x00101000, 0x00101001, 0x00101002, 0x00101005, 0x00101010, 0x00101040, 0x00101060, 0x00102154)
"""Other ids and names, birth name, age, address, mother's name and telephone of whoever the header named."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Somebody or some system that has opened or got the object."""

    actor: str
    provider: str
    unit: str
    event: str
    receiver: str
    first: datetime
    last: datetime
    times: int


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """One series that can be split off."""

    series_uid: str
    modality: str
    description: str
    instances: int


@dataclass(frozen=True, slots=True)
class Consequences:
    """What a move would do, without doing it."""

    study_uid: str
    date: str
    title: str
    modalities: tuple[str, ...]
    accession: str
    instances: int
    size_bytes: int
    series: tuple[SeriesFacts, ...]
    former: Patient
    owner: Patient | None
    """None: nobody is known under the number; a person without a name would be made."""
    reports: int
    referrals: int
    seen: tuple[Seen, ...]
    """From the audit journal: people and systems that have opened, fetched or been sent it."""
    to_tell: tuple[tuple[str, str], ...]
    """(provider, unit) of everybody who must be told: owner, referrer, and whoever has seen it."""
    former_blocked: bool
    owner_blocked: bool
    """Whether the person has a block at the owning provider: it applies from the move on."""


class Mover:
    """Moves studies. `forget` is told the UID of every study whose bodies have changed.

    NotAllowed: no steward. NotFound: no such study of the steward's provider. BadInput: no reason was told.
    """

    def __init__(self, store: Store, clock: Clock, forget: Callable[[str], None]) -> None:
        self._store = store
        self._clock = clock
        self._forget = forget

    async def studies(self, subject: Subject, patient_key: int) -> list[Row]:
        """The studies of a person that the steward's provider owns."""
        own = stewarding(subject, self._clock.now())
        await audit.write(
            self._store, entry(subject, Event.READ_WORK_LIST, patient_key, details={"list": "studies"})
        )

        def question(connection: IndexConnection) -> list[Row]:
            keys = patient_rows.closure_of(connection, patient_key)
            return correction_rows.studies_of(connection, own.provider_hsa_id, keys)

        return await self._store.read(question)

    async def consequences(
        self, subject: Subject, study_uid: str, identifier: PatientIdentifier | None = None
    ) -> Consequences:
        """What would follow from giving the study to whoever has the identifier (None = not chosen yet)."""
        own = stewarding(subject, self._clock.now())
        now = self._clock.now().isoformat()
        found = await self._store.read(
            partial(_consequences, own=own, study_uid=study_uid, identifier=identifier, now=now)
        )
        await audit.write(
            self._store,
            *(
                entry(subject, Event.READ_WORK_LIST, key, details={"list": "consequences", "of": study_uid})
                for key in dict.fromkeys((found.former.key, found.owner.key if found.owner else 0))
            ),
        )
        return found

    async def move(
        self,
        subject: Subject,
        study_uid: str,
        identifier: PatientIdentifier,
        reason: str,
        *,
        series: frozenset[str] = frozenset(),
        with_texts: bool = True,
    ) -> int:
        """Gives the study (or these series as a new study) to whoever has the identifier; the act's key.

        `with_texts`: referral and reports of its accession number go along; never when it is split. Conflict:
        the person is the same, or the study changed while it was moved; nothing is done then.
        """
        own = stewarding(subject, self._clock.now())
        if not reason.strip() or len(reason) > limits.MAX_WORDING_CHARACTERS:
            raise BadInput("a reason is needed")
        draft = secrets.token_hex(16)
        split_uid = f"2.25.{uuid.uuid4().int}" if series else ""
        done: set[str] = set()
        for _ in range(_ROUNDS):
            plan = await self._store.read(
                partial(_plan, own=own, study_uid=study_uid, identifier=identifier, series=series)
            )
            waiting = [row for row in plan.objects if row["sop_uid"] not in done]
            changes = _changes(plan.owner, identifier, split_uid)
            for start in range(0, len(waiting), _AT_ONCE):
                part = waiting[start : start + _AT_ONCE]
                await asyncio.gather(*(self._draft(draft, row, changes) for row in part))
                done |= {row["sop_uid"] for row in part}
            switch = flipping.Switch(
                study_uid, split_uid, series, plan.from_key, identifier, draft, frozenset(done), with_texts
            )
            try:
                committed = await self._store.commit(
                    partial(self._decide, subject=subject, own=own, reason=reason, switch=switch)
                )
            except flipping.MoreHasCome:
                continue
            self._forget(study_uid)
            return committed.value
        raise Conflict("images of the study are arriving; try again when it is complete")

    async def texts(self, subject: Subject, patient_key: int) -> list[Row]:
        """The person's examinations of which the steward's provider has written reports and there are no images.

        Columns: accession_issuer, accession, day, title, unit, versions.
        """
        own = stewarding(subject, self._clock.now())
        await audit.write(
            self._store, entry(subject, Event.READ_WORK_LIST, patient_key, details={"list": "texts"})
        )

        def question(connection: IndexConnection) -> list[Row]:
            keys = patient_rows.closure_of(connection, patient_key)
            return correction_rows.texts_alone(connection, own.provider_hsa_id, keys)

        return await self._store.read(question)

    async def text_consequences(
        self,
        subject: Subject,
        patient_key: int,
        number: tuple[str, str],
        identifier: PatientIdentifier | None = None,
    ) -> Consequences:
        """What would follow from giving the texts of an accession number to whoever has the identifier."""
        own = stewarding(subject, self._clock.now())
        now = self._clock.now().isoformat()
        found = await self._store.read(
            partial(
                _text_consequences,
                own=own,
                patient_key=patient_key,
                number=number,
                identifier=identifier,
                now=now,
            )
        )
        await audit.write(
            self._store,
            *(
                entry(subject, Event.READ_WORK_LIST, key, details={"list": "consequences"})
                for key in dict.fromkeys((found.former.key, found.owner.key if found.owner else 0))
            ),
        )
        return found

    async def move_texts(
        self,
        subject: Subject,
        patient_key: int,
        number: tuple[str, str],
        identifier: PatientIdentifier,
        reason: str,
    ) -> int:
        """Gives the texts of (issuer, accession number) to whoever has the identifier; the act's key.

        Conflict, NotFound as `flipping.give_texts`.
        """
        own = stewarding(subject, self._clock.now())
        if not reason.strip() or len(reason) > limits.MAX_WORDING_CHARACTERS:
            raise BadInput("a reason is needed")

        def decide(transaction: Transaction) -> int:
            to_key = registry.find_or_make(transaction, identifier, Demographics(), DemographicsOrigin.IMAGE)
            detail: dict[str, object] = {"texts": True}
            persons = (patient_key, to_key)
            act = acts.note(transaction, subject, own, ActKind.MOVE, "", reason, detail, persons)
            flipping.give_texts(transaction, number, patient_key, to_key, own.provider_hsa_id, act)
            return act

        return (await self._store.commit(decide)).value

    def _decide(
        self,
        transaction: Transaction,
        subject: Subject,
        own: Assignment,
        reason: str,
        switch: flipping.Switch,
    ) -> int:
        to_key = registry.find_or_make(
            transaction, switch.identifier, Demographics(), DemographicsOrigin.IMAGE
        )
        act = acts.note(
            transaction,
            subject,
            own,
            ActKind.MOVE,
            switch.study_uid,
            reason,
            {"series": sorted(switch.series), "texts": switch.with_texts, "split": switch.split_uid},
            (switch.from_key, to_key),
        )
        flipping.give(transaction, switch, to_key, own.provider_hsa_id, act)
        return act

    async def _draft(self, draft: str, row: Row, changes: Corrections) -> None:
        """Writes one corrected body aside."""
        body = await self._store.proved(row["segment"], row["body_offset"], row["length"], row["sha256"])
        fresh, columns = await asyncio.to_thread(
            _corrected, body, row["transfer_syntax"], changes, self._modification(row["sender"])
        )

        def decide(transaction: Transaction) -> None:
            transaction.insert_with_body(
                "draft_body",
                draft=draft,
                sop_uid=row["sop_uid"],
                sha256=transaction.body_sha256,
                checksum=transaction.body_checksum,
                **columns,
            )

        await self._store.commit(decide, fresh)

    def _modification(self, source: str) -> Modification:
        moment = self._clock.now().astimezone(STOCKHOLM).strftime("%Y%m%d%H%M%S%z")
        return Modification(moment, "Samsyn", source)

    async def file_late(self, job: Job) -> Later | None:
        """Work of kind LATE_OBJECT: an object of a corrected study that came under its former patient.

        The bytes that were sent stay as they are held; the corrected ones are filed where the study is.
        """
        held_key = int(job.name)
        plan = await self._store.read(partial(_late_plan, held_key=held_key))
        if plan is None:
            return None
        held, correction, identifier, owner = plan
        body = await self._store.proved(held["segment"], held["body_offset"], held["length"], held["sha256"])
        changes = _changes(owner, identifier, correction.split_uid)
        syntax = held["transfer_syntax"]
        fresh, _ = await asyncio.to_thread(
            _corrected, body, syntax, changes, self._modification(held["sender"])
        )
        summary = summarize(memoryview(fresh), syntax)
        layout = await asyncio.to_thread(_layout, body, syntax)
        sender = Sender(held["sender"], held["provider"], "", "", "")

        def decide(transaction: Transaction) -> None:
            if corrections.by_key(transaction, correction.key) is None:
                return  # undone meanwhile: it stays held, for a steward
            flipping.add_late(transaction, correction, held_key, sender, summary, syntax, layout)

        await self._store.commit(decide, fresh)
        self._forget(correction.split_uid or correction.study_uid)
        return None

    def undo(self, transaction: Transaction, subject: Subject, act_key: int) -> None:
        """Takes a move back, within the record that notes it as undone. Conflict: something new hangs on it."""
        study_uid = flipping.take_back(transaction, act_key)
        self._forget(study_uid)


@dataclass(frozen=True, slots=True)
class _Plan:
    from_key: int
    objects: list[Row]
    owner: Patient | None


def _owned(connection: IndexConnection, own: Assignment, study_uid: str) -> Row:
    study = correction_rows.study(connection, study_uid)
    if study is None or study["provider"] != own.provider_hsa_id:
        raise NotFound
    return study


def _who(connection: IndexConnection, identifier: PatientIdentifier) -> int | None:
    keys = patient_rows.keys_of(connection, identifier.issuer, identifier.value)
    return keys[0] if keys else None


def _plan(
    connection: IndexConnection,
    own: Assignment,
    study_uid: str,
    identifier: PatientIdentifier,
    series: frozenset[str],
) -> _Plan:
    study = _owned(connection, own, study_uid)
    key = _who(connection, identifier)
    if key is not None and key in patient_rows.closure_of(connection, study["patient_key"]):
        raise Conflict("the study is that person's already")
    objects = correction_rows.objects_of(connection, study["study_key"])
    chosen = [row for row in objects if not series or row["series_uid"] in series]
    if not chosen or (series and len(chosen) == len(objects)):
        raise BadInput("a split takes some of the series, not all")
    return _Plan(study["patient_key"], chosen, person(connection, key))


def _consequences(
    connection: IndexConnection,
    own: Assignment,
    study_uid: str,
    identifier: PatientIdentifier | None,
    now: str,
) -> Consequences:
    study = _owned(connection, own, study_uid)
    objects = correction_rows.objects_of(connection, study["study_key"])
    number = (study["accession_issuer"], study["accession"])
    found = _told(
        connection,
        own,
        study["patient_key"],
        number,
        identifier,
        now,
        study_uid,
        (own.provider_hsa_id, study["unit"]),
    )
    return replace(
        found,
        study_uid=study_uid,
        date=study["study_date"],
        title=study["description"],
        modalities=tuple(part for part in study["modalities"].split("\\") if part),
        instances=len(objects),
        size_bytes=sum(row["length"] for row in objects),
        series=tuple(
            SeriesFacts(row["series_uid"], row["modality"], row["description"], row["instance_count"])
            for row in correction_rows.series_of(connection, study["study_key"])
        ),
    )


def _text_consequences(
    connection: IndexConnection,
    own: Assignment,
    patient_key: int,
    number: tuple[str, str],
    identifier: PatientIdentifier | None,
    now: str,
) -> Consequences:
    keys = patient_rows.closure_of(connection, patient_key)
    rows = correction_rows.texts_alone(connection, own.provider_hsa_id, keys)
    row = next((each for each in rows if (each["accession_issuer"], each["accession"]) == number), None)
    if row is None:
        raise NotFound
    found = _told(
        connection, own, patient_key, number, identifier, now, "", (own.provider_hsa_id, row["unit"])
    )
    return replace(found, date=str(row["day"] or ""), title=row["title"] or "")


def _told(
    connection: IndexConnection,
    own: Assignment,
    patient_key: int,
    number: tuple[str, str],
    identifier: PatientIdentifier | None,
    now: str,
    study_uid: str,
    unit: tuple[str, str],
) -> Consequences:
    """Persons, texts, and who has seen it: what a study and a text alone have in common."""
    former_keys = patient_rows.closure_of(connection, patient_key)
    key = _who(connection, identifier) if identifier else None
    owner_keys = patient_rows.closure_of(connection, key) if key else frozenset()
    reports, referrals = correction_rows.texts_of(connection, *number, former_keys)
    references = [study_uid or "-", ".".join(number), *(str(row["report_key"]) for row in reports)]
    seen = tuple(
        Seen(
            row["actor"],
            row["actor_provider"],
            row["actor_unit"],
            row["event"],
            row["receiver"] or "",
            datetime.fromisoformat(row["first"]),
            datetime.fromisoformat(row["last"]),
            row["times"],
        )
        for row in correction_rows.seen_by(connection, former_keys, references)
    )
    units = [unit, *((row["provider"], row["unit"]) for row in (*referrals, *reports))]
    units += [(each.provider, each.unit) for each in seen]
    former = person(connection, patient_key)
    assert former is not None
    provider = own.provider_hsa_id
    return Consequences(
        study_uid="",
        date="",
        title="",
        modalities=(),
        accession=number[1],
        instances=0,
        size_bytes=0,
        series=(),
        former=former,
        owner=person(connection, key),
        reports=len(reports),
        referrals=len(referrals),
        seen=seen,
        to_tell=tuple(dict.fromkeys(each for each in units if each[1])),
        former_blocked=correction_rows.has_blocks(connection, former_keys, provider, now),
        owner_blocked=bool(owner_keys) and correction_rows.has_blocks(connection, owner_keys, provider, now),
    )


def _late_plan(
    connection: IndexConnection, held_key: int
) -> tuple[Row, corrections.Correction, PatientIdentifier, Patient | None] | None:
    held = connection.execute(
        "SELECT held.*, c.correction_key, c.split_uid, c.series, c.from_key, c.to_key FROM held"
        " JOIN correction AS c ON c.study_uid = held.study_uid AND c.ended = ''"
        " WHERE held_key = ? AND settled = '' ORDER BY c.correction_key DESC",
        (held_key,),
    ).fetchone()
    if held is None:
        return None
    correction = corrections.Correction(
        held["correction_key"],
        held["study_uid"],
        held["split_uid"],
        frozenset(held["series"].split()),
        held["from_key"],
        held["to_key"],
    )
    owner = person(connection, correction.to_key)
    assert owner is not None
    return held, correction, min(owner.identifiers, key=preference), owner


def _changes(owner: Patient | None, identifier: PatientIdentifier, split_uid: str) -> Corrections:
    """The attributes of the header that name the patient, as the register knows the right one."""
    best = min(owner.identifiers, key=preference) if owner else identifier
    known = owner.demographics if owner else Demographics()

    def some(value: str) -> tuple[str, ...]:
        return (value,) if value else ()

    changes: dict[int, tuple[str, tuple[object, ...]] | None] = dict.fromkeys(_PERSONAL)
    changes |= {
        0x00100010: ("PN", some(known.name)),
        0x00100020: ("LO", (best.value,)),
        0x00100021: ("LO", (best.issuer,)),
        0x00100024: None,
        0x00100030: ("DA", some(known.birth_date)),
        0x00100040: ("CS", some(known.sex)),
    }
    if split_uid:
        changes[0x0020000D] = ("UI", (split_uid,))
    return changes


def _corrected(
    body: bytes, syntax: str, changes: Corrections, modification: Modification
) -> tuple[bytes, dict[str, int]]:
    fresh = corrected(body, syntax, changes, modification)
    return fresh, _layout(fresh, syntax)


def _layout(body: bytes, syntax: str) -> dict[str, int]:
    """Where the pixels lie."""
    pixels = summarize(memoryview(body), syntax).pixels
    return {
        "pixel_offset": pixels.offset if pixels else -1,
        "pixel_length": pixels.length if pixels else 0,
    }
