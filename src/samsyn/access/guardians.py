"""The register of guardians (vårdnadshavare): who reads a young child's record in the child's stead (PDL 5:5; row 29).

It is told by the population register, through ADT messages or a file, or by a steward on proof. The age limit is no
row of it but a rule (rules.is_young_child), so that nobody has to end anything on a birthday. A child with protected
identity is read by no guardian: where care was given tells where the child is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from samsyn import limits
from samsyn.access import duties
from samsyn.access.events import Event, entry
from samsyn.access.facts import Choices
from samsyn.access.registers import Registers, new_id, read_facts, utc_text
from samsyn.access.rules import stands_for
from samsyn.audit import journal as audit
from samsyn.clock import STOCKHOLM, Clock
from samsyn.errors import BadInput, NotFound
from samsyn.model.audit import AuditEntry
from samsyn.model.registers import Guardianship
from samsyn.model.subject import Purpose, Subject, SubjectKind
from samsyn.store.index import guardian_rows, patient_rows, register_rows
from samsyn.store.index.register_rows import Ask
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction

BY_STEWARD = "steward"


@dataclass(frozen=True, slots=True)
class Told:
    """What a source says of a child: this guardian, from then, until then (None = open)."""

    guardian_key: int
    starts: datetime
    ends: datetime | None


class Guardians:
    """Reads and administers the register."""

    def __init__(self, store: Store, clock: Clock, registers: Registers) -> None:
        self._store = store
        self._clock = clock
        self._registers = registers

    async def children(self, subject: Subject) -> tuple[int, ...]:
        """Whom the private person is the guardian of now; whether the age still allows it is the View's to say."""
        if subject.kind is not SubjectKind.PATIENT or subject.patient_key is None:
            return ()
        key, now = subject.patient_key, self._clock.now().isoformat()

        def question(ask: Ask) -> tuple[int, ...]:
            found = guardian_rows.children_of(ask, patient_rows.closure(ask, key), now)
            return tuple(dict.fromkeys(each.child_key for each in found))

        return await self._store.read(lambda connection: question(register_rows.asking(connection)))

    async def stands_for(self, subject: Subject, patient_key: int) -> bool:
        """Whether the private person is that person, or the guardian of the young child that he is, now. Open pages
        ask this every other second, so it opens nothing and is not written down."""
        now = self._clock.now()

        def question(ask: Ask) -> bool:
            keys = patient_rows.closure(ask, patient_key)
            policy, purpose = self._registers.policy, Purpose.OWN_RECORD
            return stands_for(read_facts(ask, subject, purpose, keys, now, Choices(), policy, True))

        return await self._store.read(lambda connection: question(register_rows.asking(connection)))

    async def of_child(self, steward: Subject, child_key: int) -> tuple[Guardianship, ...]:
        """A child's guardians, for a steward; the reading is in the audit journal first. NotAllowed for others."""
        now = self._clock.now()
        duties.stewarding(steward, now)
        await audit.write(self._store, entry(steward, Event.READ_REGISTER, child_key))

        def question(ask: Ask) -> tuple[Guardianship, ...]:
            return guardian_rows.guardians_of(ask, patient_rows.closure(ask, child_key), now.isoformat())

        return await self._store.read(lambda connection: question(register_rows.asking(connection)))

    async def register(
        self, steward: Subject, child_key: int, guardian_key: int, ends: datetime | None, reason: str
    ) -> Guardianship:
        """A steward's own word, with the proof that he has seen. BadInput: no reason, an end that is past, or one
        person twice. NotAllowed for who is no steward."""
        duties.stewarding(steward, self._clock.now())
        if not reason.strip() or len(reason) > limits.MAX_REQUEST_CHARACTERS:
            raise BadInput("a reason is needed")

        def decide(transaction: Transaction) -> Guardianship:
            now = datetime.fromisoformat(transaction.time)
            if guardian_key in patient_rows.closure(transaction.all, child_key):
                raise BadInput("nobody is his own guardian")
            if ends is not None and ends <= now:
                raise BadInput("a guardianship ends later than now")
            row = Guardianship(new_id(), child_key, guardian_key, now, ends, BY_STEWARD)
            _insert(transaction, row)
            audit.append(transaction, _entry(steward, Event.REGISTER_GUARDIAN, row, reason))
            return row

        return await self._registers.change(decide)

    async def end(self, steward: Subject, guardianship_id: str, reason: str) -> None:
        """Takes a guardianship back, whoever told it; twice is once. A source that tells it again makes a new one."""
        duties.stewarding(steward, self._clock.now())
        if not reason.strip() or len(reason) > limits.MAX_REQUEST_CHARACTERS:
            raise BadInput("a reason is needed")

        def decide(transaction: Transaction) -> None:
            row = guardian_rows.guardianship(transaction.all, guardianship_id)
            if row is None:
                raise NotFound
            if row.ended is not None:
                return
            _end(transaction, row)
            audit.append(transaction, _entry(steward, Event.END_GUARDIAN, row, reason))

        await self._registers.change(decide)


def tell_of_child(
    transaction: Transaction, source: str, child_key: int, told: Iterable[Told], told_at: str
) -> None:
    """What a source says of one child takes the place of what it said before.

    `told_at`: by the source's own clock (ISO 8601 in UTC, "" = not told); what it said earlier and arrives late
    changes nothing.
    """
    known = guardian_rows.told(transaction.all, source, child_key)
    if known and told_at and told_at < known:
        return
    transaction.replace("guardians_told", source=source, child_key=child_key, told=told_at or known)
    before = [
        each for each in guardian_rows.of_source(transaction.all, source) if each.child_key == child_key
    ]
    _replace(transaction, source, before, {child_key: tuple(told)})


def tell_everything(transaction: Transaction, source: str, told: Mapping[int, tuple[Told, ...]]) -> int:
    """What a source says of all children takes the place of what it said before; how many rows changed."""
    return _replace(transaction, source, guardian_rows.of_source(transaction.all, source), told)


def between(first: str, last: str) -> tuple[datetime, datetime | None]:
    """From the first to the end of the last day (YYYYMMDD, Swedish; "" = not bounded). BadInput: no such day."""
    starts = _midnight(first) if first else datetime(1900, 1, 1, tzinfo=UTC)
    return starts, _midnight(last, behind=1) if last else None


def _midnight(day: str, behind: int = 0) -> datetime:
    """Of a day so many days later: days are not always 24 hours."""
    try:
        local = datetime.strptime(day, "%Y%m%d") + timedelta(days=behind)  # noqa: DTZ007 - the zone is put to it below
        return local.replace(tzinfo=STOCKHOLM).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadInput("a day is YYYYMMDD") from None


def _replace(
    transaction: Transaction,
    source: str,
    before: Iterable[Guardianship],
    told: Mapping[int, tuple[Told, ...]],
) -> int:
    wanted = {
        (
            child_key,
            each.guardian_key,
            utc_text(each.starts),
            utc_text(each.ends) if each.ends else None,
        ): each
        for child_key, several in told.items()
        for each in several
    }
    changed = 0
    for row in before:
        same = (
            row.child_key,
            row.guardian_key,
            utc_text(row.starts),
            utc_text(row.ends) if row.ends else None,
        )
        if wanted.pop(same, None) is None:
            _end(transaction, row)
            changed += 1
    for (child_key, *_), each in wanted.items():
        _insert(
            transaction, Guardianship(new_id(), child_key, each.guardian_key, each.starts, each.ends, source)
        )
        changed += 1
    return changed


def _insert(transaction: Transaction, row: Guardianship) -> None:
    transaction.insert(
        "guardianship",
        guardianship_id=row.guardianship_id,
        child_key=row.child_key,
        guardian_key=row.guardian_key,
        starts=utc_text(row.starts),
        ends=utc_text(row.ends) if row.ends else None,
        source=row.source,
        ended=None,
    )


def _end(transaction: Transaction, row: Guardianship) -> None:
    transaction.update("guardianship", {"guardianship_id": row.guardianship_id}, ended=transaction.time)


def _entry(steward: Subject, event: Event, row: Guardianship, reason: str) -> AuditEntry:
    details = {
        "guardianship": row.guardianship_id,
        "guardian": f"patient-{row.guardian_key}",
        "source": row.source,
        "reason": reason,
    }
    return entry(steward, event, row.child_key, details=details)
