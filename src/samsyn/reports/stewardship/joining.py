"""Images and texts that miss each other: the work list with suggestions, the steward's word, and its undoing.

Usually accession number and issuer join them, whichever half comes first. What is left is a study whose number is
missing, was mistyped or belongs to another system. A suggestion is a text of the same person at the same provider
around the same day that has no images; nothing is joined by itself.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial

from samsyn import limits
from samsyn.access.duties import stewarding
from samsyn.access.events import Event, entry
from samsyn.audit import journal as audit
from samsyn.clock import STOCKHOLM, Clock, day_number
from samsyn.errors import BadInput, Conflict, NotFound
from samsyn.model.patient import Patient
from samsyn.model.subject import Assignment, Subject
from samsyn.patients import registry
from samsyn.patients.findings import FindingKind, note
from samsyn.reports.stewardship import acts
from samsyn.reports.stewardship.acts import ActKind
from samsyn.reports.stewardship.worklists import person
from samsyn.store.index import joining_rows, patient_rows
from samsyn.store.index.port import IndexConnection, Row
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction

_DAYS = 90
"""How far back the lists look: what is older is for the migration's comparison."""
_AROUND = timedelta(days=3)
"""How far a text's day may be from the images' to be suggested."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A text that may belong to the images."""

    issuer: str
    accession: str
    day: str
    title: str
    kind: str
    """"report" or "referral"."""
    days_apart: int

    @property
    def group(self) -> str:
        """The examination's name, as `reports.examination` gives it."""
        return f"{self.issuer}.{self.accession}"


@dataclass(frozen=True, slots=True)
class Unjoined:
    """A study without any text."""

    study_uid: str
    patient: Patient
    date: str
    time: str
    title: str
    modalities: tuple[str, ...]
    accession: str
    instances: int
    elsewhere: Patient | None
    """Somebody else who has texts under the same number: one of the two is wrong."""
    suggestions: tuple[Suggestion, ...]


@dataclass(frozen=True, slots=True)
class Alike:
    """Two studies that seem to be one examination. `other` is "" for what another provider owns."""

    one_uid: str
    other_uid: str
    patient: Patient
    date: str
    modalities: tuple[str, ...]
    one: str
    other: str
    counts: tuple[int, int]
    is_foreign: bool
    """The other one belongs to another provider: nothing more of it is told."""


class Joining:
    """Lists and joins. NotAllowed: no steward; NotFound: not the steward's provider's."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def counts(self, subject: Subject) -> dict[str, int]:
        """How much waits in both lists, at most limits.MAX_WORK_LIST; nobody is named, so nothing is written down."""
        own, first = stewarding(subject, self._clock.now()).provider_hsa_id, self._first_day()
        most = limits.MAX_WORK_LIST
        return await self._store.read(
            lambda connection: {
                "unjoined": len(list(joining_rows.unjoined(connection, own, first, most))),
                "alike": len(list(joining_rows.alike(connection, own, first, most))),
            }
        )

    async def unjoined(self, subject: Subject) -> list[Unjoined]:
        """Studies of the last 90 days without text, the oldest first, each with suggestions, the nearest first."""
        own = await self._asked(subject, "unjoined")
        return await self._store.read(partial(_unjoined, own=own, first=self._first_day()))

    async def alike(self, subject: Subject) -> list[Alike]:
        """Pairs of studies that seem to be one examination, from two archives or sent twice under other UIDs."""
        own = await self._asked(subject, "alike")
        return await self._store.read(partial(_alike, own=own, first=self._first_day()))

    async def join(self, subject: Subject, study_uid: str, issuer: str, accession: str, reason: str) -> int:
        """The study and the texts of this number are one examination; the act's key.

        Conflict: they are joined already. NotFound: no such texts of the same person.
        """
        own = self._steward(subject, reason)

        def decide(transaction: Transaction) -> int:
            study = _own_study(transaction, own, study_uid)
            persons = registry.closure(transaction, study[0])
            if not _has_texts(transaction, issuer, accession, persons):
                raise NotFound
            group = f"{study[1]}.{study[2]}" if study[2] else study_uid
            known = transaction.one(
                "SELECT 1 FROM examination_join WHERE study_uid = ? AND other = ? AND ended = ''",
                study_uid,
                f"{issuer}.{accession}",
            )
            if known is not None or group == f"{issuer}.{accession}":
                raise Conflict("they are one examination already")
            act = acts.note(transaction, subject, own, ActKind.JOIN, study_uid, reason, {}, (study[0],))
            transaction.insert(
                "examination_join",
                join_key=transaction.next_key("examination_join"),
                patient_key=study[0],
                study_uid=study_uid,
                one=group,
                other=f"{issuer}.{accession}",
                act_key=act,
                made=transaction.time,
                ended="",
            )
            return act

        return (await self._store.commit(decide)).value

    async def not_alike(self, subject: Subject, one_uid: str, other_uid: str, reason: str) -> int:
        """The pair has been looked at and goes off the list; the act's key."""
        own = self._steward(subject, reason)

        def decide(transaction: Transaction) -> int:
            rows = [
                transaction.one("SELECT patient_key, provider, unit FROM study WHERE study_uid = ?", uid)
                for uid in (one_uid, other_uid)
            ]
            mine = next((row for row in rows if row and row[1] == own.provider_hsa_id), None)
            if mine is None or None in rows:
                raise NotFound
            reference = f"{one_uid} {other_uid}"
            note(transaction, FindingKind.DUPLICATE, reference, mine[0], (mine[1], mine[2]), ("looked-at",))
            (key,) = transaction.one(
                "SELECT finding_key FROM finding WHERE kind = 'duplicate' AND reference = ?", reference
            )
            transaction.update(
                "finding",
                {"finding_key": key},
                settled=transaction.time,
                settled_by=subject.hsa_id,
                note=reason,
            )
            detail: dict[str, object] = {"finding": key}
            return acts.note(
                transaction, subject, own, ActKind.SETTLE_FINDING, reference, reason, detail, (mine[0],)
            )

        return (await self._store.commit(decide)).value

    def _steward(self, subject: Subject, reason: str) -> Assignment:
        own = stewarding(subject, self._clock.now())
        if not reason.strip() or len(reason) > limits.MAX_WORDING_CHARACTERS:
            raise BadInput("a reason is needed")
        return own

    def _first_day(self) -> int:
        return day_number(self._clock.now().astimezone(STOCKHOLM) - timedelta(days=_DAYS))

    async def _asked(self, subject: Subject, what: str) -> Assignment:
        own = stewarding(subject, self._clock.now())
        await audit.write(self._store, entry(subject, Event.READ_WORK_LIST, details={"list": what}))
        return own


def undo_join(transaction: Transaction, subject: Subject, act_key: int) -> None:
    """Takes a steward's word back: the two are examinations of their own again."""
    row = transaction.one("SELECT join_key FROM examination_join WHERE act_key = ? AND ended = ''", act_key)
    if row is None:
        raise Conflict("it has been taken back already")
    transaction.update("examination_join", {"join_key": row[0]}, ended=transaction.time)


def _own_study(transaction: Transaction, own: Assignment, study_uid: str) -> tuple[int, str, str]:
    row = transaction.one(
        "SELECT patient_key, accession_issuer, accession, provider FROM study WHERE study_uid = ?", study_uid
    )
    if row is None or row[3] != own.provider_hsa_id:
        raise NotFound
    return row[0], row[1], row[2]


def _has_texts(transaction: Transaction, issuer: str, accession: str, persons: frozenset[int]) -> bool:
    for table in ("report", "referral"):
        rows = transaction.all(
            f"SELECT patient_key FROM {table} WHERE accession = ? AND accession_issuer = ?",  # noqa: S608 - constants
            accession,
            issuer,
        )
        if any(row[0] in persons for row in rows):
            return True
    return False


def _unjoined(connection: IndexConnection, own: Assignment, first: int) -> list[Unjoined]:
    provider = own.provider_hsa_id
    found = []
    for row in joining_rows.unjoined(connection, provider, first, limits.MAX_WORK_LIST):
        patient = person(connection, row["patient_key"])
        assert patient is not None
        other = joining_rows.elsewhere(
            connection, row["accession_issuer"], row["accession"], row["patient_key"]
        )
        found.append(
            Unjoined(
                study_uid=row["study_uid"],
                patient=patient,
                date=row["study_date"],
                time=row["study_time"],
                title=row["description"],
                modalities=_parts(row["modalities"]),
                accession=row["accession"],
                instances=row["instance_count"],
                elsewhere=person(connection, other),
                suggestions=_suggestions(connection, row, provider),
            )
        )
    return found


def _suggestions(connection: IndexConnection, study: Row, provider: str) -> tuple[Suggestion, ...]:
    day = _day(study["study_date"])
    if day is None:
        return ()
    keys = patient_rows.closure_of(connection, study["patient_key"])
    first, last = (day_number(each) for each in (day - _AROUND, day + _AROUND))
    found: dict[str, Suggestion] = {}
    for row in joining_rows.texts_near(connection, keys, provider, first, last):
        at = _day(str(row["day"]))
        apart = abs((at - day).days) if at else _AROUND.days
        suggestion = Suggestion(
            row["accession_issuer"], row["accession"], str(row["day"]), row["title"] or "", row["kind"], apart
        )
        known = found.get(suggestion.group)
        if known is None or known.kind == "referral":
            found[suggestion.group] = suggestion
    return tuple(sorted(found.values(), key=lambda each: (each.days_apart, each.accession)))


def _alike(connection: IndexConnection, own: Assignment, first: int) -> list[Alike]:
    found = []
    for row in joining_rows.alike(connection, own.provider_hsa_id, first, limits.MAX_WORK_LIST):
        patient = person(connection, row["patient_key"])
        assert patient is not None
        sides = [
            (row[f"{side}_provider"], f"{row[f'{side}_title']} {row[f'{side}_accession']}".strip())
            for side in ("one", "other")
        ]
        foreign = any(provider != own.provider_hsa_id for provider, _ in sides)
        mine = next(text for provider, text in sides if provider == own.provider_hsa_id)
        counts = (row["one_count"], row["other_count"])
        found.append(
            Alike(
                one_uid=row["one_uid"],
                other_uid=row["other_uid"],
                patient=patient,
                date=row["study_date"],
                modalities=_parts(row["modalities"]),
                one=mine,
                other="" if foreign else sides[1][1],
                counts=(0, 0) if foreign else counts,
                is_foreign=foreign,
            )
        )
    return found


def _parts(modalities: str) -> tuple[str, ...]:
    return tuple(part for part in modalities.split("\\") if part)


def _day(text: str) -> date | None:
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError:
        return None
