"""What waits for a steward, and what stewards have done.

Every question is in the audit journal before it is answered. A steward sees what his own provider's systems sent
and what his own provider answers for; of other providers' information he is told nothing, not even that it exists.
"""

from dataclasses import dataclass
from datetime import datetime

import orjson

from samsyn import limits
from samsyn.access.duties import stewarding
from samsyn.access.events import Event, entry
from samsyn.audit import journal as audit
from samsyn.clock import Clock
from samsyn.errors import NotFound
from samsyn.model.patient import Demographics, Patient, PatientIdentifier
from samsyn.model.subject import Subject
from samsyn.patients import links
from samsyn.patients.findings import FindingKind
from samsyn.patients.links import LinkEvent
from samsyn.reports.shared_numbers import accession_in
from samsyn.reports.stewardship.acts import ActKind
from samsyn.store.index import identity_rows, patient_rows, steward_rows
from samsyn.store.index.port import IndexConnection, Row
from samsyn.store.store import Store


@dataclass(frozen=True, slots=True)
class HeldCase:
    """Held objects that belong together: the instances of one study with one reason, or one message."""

    held_key: int
    """Of the first; names the case."""
    is_message: bool
    reason: str
    """Code of the refusal (errors.py)."""
    detail: str
    count: int
    first: datetime
    last: datetime
    sender: str
    study_uid: str
    accession: str
    patient_id: str
    sent: Demographics
    """What the object says about its patient."""
    numbered: Patient | None
    """Who has the number that was sent."""
    other: Patient | None
    """Whose the study is that the instances name."""


@dataclass(frozen=True, slots=True)
class FindingCase:
    """One difference."""

    finding_key: int
    kind: str
    reference: str
    fields: tuple[str, ...]
    found: datetime
    patient: Patient | None
    study_date: str
    title: str
    modalities: tuple[str, ...]
    accession: str
    sent: Demographics


@dataclass(frozen=True, slots=True)
class DoneAct:
    """One act of a steward."""

    act_key: int
    kind: ActKind
    reference: str
    patient: Patient | None
    other: Patient | None
    numbers: tuple[tuple[PatientIdentifier, ...], ...]
    """Of both as the act was about them, those of persons linked with them aside."""
    actor: str
    happened: datetime
    reason: str
    detail: dict[str, object]
    undone: datetime | None
    undone_by: str


class WorkLists:
    """Answers stewards. NotAllowed for everybody else."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def counts(self, subject: Subject) -> dict[str, int]:
        """How much waits, by list."""
        own = stewarding(subject, self._clock.now())
        return await self._store.read(lambda connection: steward_rows.counts(connection, own.provider_hsa_id))

    async def held(self, subject: Subject) -> list[HeldCase]:
        """The quarantine, the oldest first; at most limits.MAX_WORK_LIST."""
        provider = await self._asked(subject, "held")
        return await self._store.read(
            lambda connection: [
                _held(connection, row)
                for row in steward_rows.held(connection, provider, limits.MAX_WORK_LIST)
            ]
        )

    async def held_case(self, subject: Subject, held_key: int) -> HeldCase:
        """One case of it. NotFound: none of this provider's."""
        provider = await self._asked(subject, f"held {held_key}")

        def question(connection: IndexConnection) -> HeldCase:
            row = steward_rows.held_group(connection, provider, held_key)
            if row is None:
                raise NotFound
            return _held(connection, row)

        return await self._store.read(question)

    async def findings(self, subject: Subject) -> list[FindingCase]:
        """Differences between what was sent and the register, the oldest first."""
        provider = await self._asked(subject, "findings")
        return await self._store.read(
            lambda connection: [
                _finding(connection, row)
                for row in steward_rows.findings(connection, provider, limits.MAX_WORK_LIST)
            ]
        )

    async def acts(self, subject: Subject) -> list[DoneAct]:
        """What the provider's stewards did, the latest first."""
        provider = await self._asked(subject, "acts")
        return await self._store.read(
            lambda connection: [
                _act(connection, row) for row in steward_rows.acts(connection, provider, limits.MAX_WORK_LIST)
            ]
        )

    async def history(self, subject: Subject, patient_key: int) -> list[LinkEvent]:
        """Every word about the person's numbers, the latest first."""
        await self._asked(subject, "numbers", patient_key)

        def question(connection: IndexConnection) -> list[LinkEvent]:
            return links.events_of(connection, patient_rows.closure_of(connection, patient_key))

        return await self._store.read(question)

    async def _asked(self, subject: Subject, what: str, patient_key: int = 0) -> str:
        """The steward's provider, once the question is written down."""
        own = stewarding(subject, self._clock.now())
        details = {"list": what}
        await audit.write(self._store, entry(subject, Event.READ_WORK_LIST, patient_key, details=details))
        return own.provider_hsa_id


def person(connection: IndexConnection, key: int | None) -> Patient | None:
    """The person (the survivor, when linked), None without a key."""
    return patient_rows.patient(connection, patient_rows.root(connection, key)) if key else None


def _held(connection: IndexConnection, row: Row) -> HeldCase:
    return HeldCase(
        held_key=row["held_key"],
        is_message=row["kind"] == "message",
        reason=row["reason"],
        detail=row["detail"],
        count=row["count"],
        first=datetime.fromisoformat(row["first"]),
        last=datetime.fromisoformat(row["last"]),
        sender=row["sender"],
        study_uid=row["study_uid"],
        accession=row["accession"] or "",
        patient_id=row["patient_id"] or "",
        sent=Demographics(row["name"] or "", row["birth_date"] or "", row["sex"] or ""),
        numbered=person(connection, row["patient_key"]),
        other=person(connection, row["other_key"]),
    )


def _finding(connection: IndexConnection, row: Row) -> FindingCase:
    return FindingCase(
        finding_key=row["finding_key"],
        kind=row["kind"],
        reference=row["reference"],
        fields=tuple(row["detail"].split()),
        found=datetime.fromisoformat(row["found"]),
        patient=person(connection, row["patient_key"]),
        study_date=row["study_date"] or "",
        title=row["description"] or "",
        modalities=tuple(part for part in (row["modalities"] or "").split("\\") if part),
        accession=accession_in(row["reference"])
        if row["kind"] == FindingKind.TEXT_NUMBER
        else row["accession"] or "",
        sent=Demographics(row["sent_name"] or "", row["sent_birth_date"] or "", row["sent_sex"] or ""),
    )


def _act(connection: IndexConnection, row: Row) -> DoneAct:
    return DoneAct(
        act_key=row["act_key"],
        kind=ActKind(row["kind"]),
        reference=row["reference"],
        patient=person(connection, row["patient_key"]),
        other=person(connection, row["other_key"]),
        numbers=tuple(identity_rows.numbers_of(connection, [row["patient_key"], row["other_key"]]).values()),
        actor=row["actor"],
        happened=datetime.fromisoformat(row["happened"]),
        reason=row["reason"],
        detail=orjson.loads(row["detail"]),
        undone=datetime.fromisoformat(row["undone"]) if row["undone"] else None,
        undone_by=row["undone_by"],
    )
