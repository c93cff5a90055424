"""Log review (logguppföljning, PDL 4:3; HSLF-FS 2016:40 4 kap.): searching, sampling, findings, and their history.

Only for a log reviewer and only about the entries of the own provider, which owns what its staff did (SVOD 4:1).
What a reviewer does is in the journal as well. Nobody reviews himself.
"""

import random
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

import orjson

from samsyn import limits
from samsyn.access.events import BY_SYSTEM, Activity, Event, entry
from samsyn.access.followup.targets import Access, CheckKind, PatientName, picks, plain
from samsyn.audit import journal as audit
from samsyn.clock import STOCKHOLM, Clock
from samsyn.errors import BadInput, Conflict, LimitExceeded, NotAllowed, NotFound
from samsyn.model.subject import Role, Subject, SubjectKind
from samsyn.store.index import patient_rows, review_rows
from samsyn.store.index.port import IndexConnection
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction

VERDICTS: Final = ("justified", "unclear", "unjustified")
FINDINGS: Final = ("none", "deviations")

READINGS: Final = tuple(
    event.value
    for event in Event
    if event.value.startswith(("OPEN_", "REVEAL_", "EMERGENCY_"))
    or event in (Event.EXPORT, Event.SEND, Event.PASS_BLOCKED, Event.ENTER_CARE_SYSTEM, Event.ATTEST_RELEVANT)
)
"""Events in which somebody got to know something about a patient: what a check is about."""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One entry as a reviewer reads it."""

    sequence: int
    time: datetime
    event: str
    activity: str
    actor: str
    actor_name: str
    provider: str
    unit: str
    purpose: str
    patient_key: int
    owner_provider: str
    owner_unit: str
    allowed: bool
    details: Mapping[str, str]

    @property
    def is_system(self) -> bool:
        """A computer system, no person."""
        return self.details.get("by") == BY_SYSTEM


@dataclass(frozen=True, slots=True)
class LogQuestion:
    """What is looked for; days in Swedish time, both included. Empty = any."""

    first_day: date
    last_day: date
    actor: str = ""
    patient_keys: frozenset[int] | None = None
    unit: str = ""
    only_emergencies: bool = False
    before: int = 0
    """Only entries before this one: the next page."""


@dataclass(frozen=True, slots=True)
class LogPage:
    """Entries, newest first; `before` asks for the next page, 0 = there is none."""

    entries: tuple[LogEntry, ...]
    before: int


@dataclass(frozen=True, slots=True)
class CheckSummary:
    """One line of the history of checks."""

    key: int
    kind: CheckKind
    made_by: str
    made: datetime
    first_day: str
    last_day: str
    size: int
    population: int
    finding: str
    remark: str
    signed_by: str
    signed: datetime | None


@dataclass(frozen=True, slots=True)
class CheckedAccess:
    """One access of a check: everything that the person did with the patient that day, and what was found."""

    sequence: int
    entries: tuple[LogEntry, ...]
    verdict: str
    remark: str


@dataclass(frozen=True, slots=True)
class Check:
    """A check with its accesses."""

    summary: CheckSummary
    accesses: tuple[CheckedAccess, ...]


class LogReview:
    """The review desk of every provider. NotAllowed for whoever is no log reviewer."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def persons(self, reviewer: Subject, meant: Collection[int]) -> dict[int, frozenset[int]]:
        """Those of the persons (by their keys) whom a number may mean that the own provider's log is about, each with
        every key that is linked to his.

        Of nobody else may a reviewer learn that the region knows the number, or whose it is (PDL 4:2, SVOD 2:4):
        they are as nobody, and asking about either is in the journal.
        """
        provider = reviewed_provider(reviewer, self._clock.now())

        def ask(connection: IndexConnection) -> tuple[dict[int, frozenset[int]], frozenset[int]]:
            linked = {key: patient_rows.closure_of(connection, key) for key in meant}
            known = {
                key: keys for key, keys in linked.items() if review_rows.knows(connection, provider, keys)
            }
            return known, frozenset().union(*linked.values())

        found, every = await self._store.read(ask)
        if not found:
            asked = sorted(every) or [0]
            await audit.write(
                self._store, *(entry(reviewer, Event.READ_AUDIT, key, allowed=False) for key in asked)
            )
        return found

    async def search(self, reviewer: Subject, question: LogQuestion) -> LogPage:
        """The own provider's entries; the question itself, each further page too, is in the journal before the
        answer."""
        provider = reviewed_provider(reviewer, self._clock.now())
        first, last = _period(question.first_day, question.last_day)
        about = sorted(question.patient_keys or ())
        details = {"period": f"{question.first_day} {question.last_day}"}
        if question.actor:
            details["actor"] = question.actor
        if question.unit:
            details["unit"] = question.unit
        if question.before:
            details["before"] = str(question.before)
        await audit.write(
            self._store,
            *(entry(reviewer, Event.READ_AUDIT, key, details=details) for key in (about or [0])),
        )
        if question.patient_keys is not None and not about:
            return LogPage((), 0)

        def ask(connection: IndexConnection) -> list[LogEntry]:
            begin = review_rows.first_at(connection, first)
            end = review_rows.first_at(connection, last)
            rows = review_rows.search(
                connection,
                provider,
                begin,
                min(end, question.before) if question.before else end,
                actor=question.actor,
                patient_keys=question.patient_keys,
                unit=question.unit,
                activity=Activity.EMERGENCY.value if question.only_emergencies else "",
                limit=limits.LOG_PAGE + 1,
            )
            return read_entries(connection, rows)

        found = await self._store.read(ask)
        page = tuple(found[: limits.LOG_PAGE])
        return LogPage(page, page[-1].sequence if len(found) > limits.LOG_PAGE else 0)

    async def waiting_emergencies(self, reviewer: Subject) -> int:
        """How many emergency accesses of the own provider stand in no check yet (at most limits.MAX_CHECK_SIZE)."""
        provider = reviewed_provider(reviewer, self._clock.now())
        found = await self._store.read(
            lambda connection: review_rows.unreviewed_emergencies(
                connection, provider, 1, _END, limits.MAX_CHECK_SIZE
            )
        )
        return len(found)

    async def make_check(
        self, reviewer: Subject, kind: CheckKind, first_day: date, last_day: date, size: int
    ) -> int:
        """Draws a sample and keeps it; the key of the check.

        `size` is the most that is drawn; an emergency check takes every access that waits. The reviewer's own
        accesses are left to somebody else. The seed is kept, so that the drawing can be repeated. NotFound: there
        is nothing to check. LimitExceeded: the period has more than limits.MAX_REVIEWED_ROWS entries.
        """
        provider = reviewed_provider(reviewer, self._clock.now())
        if not 1 <= size <= limits.MAX_CHECK_SIZE:
            raise BadInput("size of the sample")
        first, last = _period(first_day, last_day)

        def ask(connection: IndexConnection) -> list[Access]:
            begin, end = review_rows.first_at(connection, first), review_rows.first_at(connection, last)
            return _candidates(
                connection, provider, kind, begin, end, reviewer.hsa_id, datetime.fromisoformat(first)
            )

        found = await self._store.read(ask)
        if not found:
            raise NotFound
        seed = secrets.token_hex(8)
        everything = kind is CheckKind.EMERGENCY or len(found) <= size
        # No secret is made here: the seed is kept with the check, so that the same sample can be drawn again.
        drawn = found[: limits.MAX_CHECK_SIZE] if everything else random.Random(seed).sample(found, size)  # noqa: S311

        def decide(transaction: Transaction) -> int:
            key = transaction.next_key("log_check")
            transaction.insert(
                "log_check",
                check_key=key,
                provider=provider,
                kind=kind.value,
                made_by=reviewer.hsa_id,
                made=transaction.time,
                first_day=first_day.isoformat(),
                last_day=last_day.isoformat(),
                population=len(found),
                seed=seed,
                finding="",
                remark="",
                signed_by="",
                signed="",
            )
            for access in drawn:
                transaction.insert(
                    "log_check_access",
                    check_key=key,
                    sequence=access.sequence,
                    last_sequence=access.last_sequence,
                    actor=access.actor,
                    patient_key=access.patient_key,
                    verdict="",
                    remark="",
                )
            details = {
                "check": str(key),
                "kind": kind.value,
                "period": f"{first_day} {last_day}",
                "size": f"{len(drawn)} of {len(found)}",
                "seed": seed,
            }
            audit.append(transaction, entry(reviewer, Event.MAKE_LOG_CHECK, details=details))
            return key

        return (await self._store.commit(decide)).value

    async def checks(self, reviewer: Subject) -> list[CheckSummary]:
        """The history of the own provider's checks, newest first: what an inspector asks for."""
        provider = reviewed_provider(reviewer, self._clock.now())
        rows = await self._store.read(
            lambda connection: review_rows.checks(connection, provider, limits.LOG_PAGE)
        )
        return [_summary(row) for row in rows]

    async def check(self, reviewer: Subject, key: int) -> Check:
        """A check with everything that was done in each access; NotFound for another provider's."""
        provider = reviewed_provider(reviewer, self._clock.now())
        details = {"check": str(key)}

        def ask(connection: IndexConnection) -> Check | None:
            row = review_rows.check(connection, provider, key)
            if row is None:
                return None
            accesses = [
                CheckedAccess(
                    first,
                    tuple(
                        read_entries(
                            connection,
                            review_rows.of_access(connection, provider, first, last, actor, patient_key),
                        )
                    ),
                    verdict,
                    remark,
                )
                for first, last, actor, patient_key, verdict, remark in review_rows.accesses_of_check(
                    connection, key
                )
            ]
            return Check(_summary({**row, "size": len(accesses)}), tuple(accesses))

        found = await self._store.read(ask)
        if found is None:
            raise NotFound
        await audit.write(self._store, entry(reviewer, Event.READ_AUDIT, details=details))
        return found

    async def sign(
        self,
        reviewer: Subject,
        key: int,
        verdicts: Mapping[int, tuple[str, str]],
        finding: str,
        remark: str,
    ) -> None:
        """Signs a check off: a verdict (and remark) for each access, and the finding of the whole.

        BadInput: an access without verdict, or "none" found though an access was not justified. Conflict: it is
        signed already; a signed check is never changed.
        """
        now = self._clock.now()
        provider = reviewed_provider(reviewer, now)
        if finding not in FINDINGS or len(remark) > limits.MAX_WORDING_CHARACTERS:
            raise BadInput("finding")
        for verdict, text in verdicts.values():
            if verdict not in VERDICTS or len(text) > limits.MAX_WORDING_CHARACTERS:
                raise BadInput("verdict")
        if finding == "none" and any(verdict == "unjustified" for verdict, _ in verdicts.values()):
            raise BadInput("an access that was not justified is a deviation")

        def decide(transaction: Transaction) -> None:
            row = transaction.one(
                "SELECT signed FROM log_check WHERE check_key = ? AND provider = ?", key, provider
            )
            if row is None:
                raise NotFound
            if row[0]:
                raise Conflict("the check is signed")
            rows = transaction.all("SELECT sequence, actor FROM log_check_access WHERE check_key = ?", key)
            if {each[0] for each in rows} != set(verdicts):
                raise BadInput("every access needs a verdict")
            if any(each[1] == reviewer.hsa_id for each in rows):
                raise NotAllowed("nobody reviews himself")
            for sequence, (verdict, text) in sorted(verdicts.items()):
                transaction.update(
                    "log_check_access",
                    {"check_key": key, "sequence": sequence},
                    verdict=verdict,
                    remark=text,
                )
            transaction.update(
                "log_check",
                {"check_key": key},
                finding=finding,
                remark=remark,
                signed_by=reviewer.hsa_id,
                signed=transaction.time,
            )
            told = [verdict for verdict, _ in verdicts.values()]
            details = {
                "check": str(key),
                "finding": finding,
                **{verdict: str(told.count(verdict)) for verdict in VERDICTS},
            }
            audit.append(transaction, entry(reviewer, Event.SIGN_LOG_CHECK, details=details))

        await self._store.commit(decide)


_END: Final = 2**62
_STAFF_SINCE: Final = timedelta(days=400)
"""Who has logged in this long before the period counts as staff: everybody does within a year."""


def reviewed_provider(reviewer: Subject, now: datetime) -> str:
    """The provider whose log the reviewer may follow up; NotAllowed for everybody else."""
    own = reviewer.assignment
    if (
        reviewer.kind is not SubjectKind.STAFF
        or Role.LOG_REVIEWER not in reviewer.roles
        or own is None
        or not own.provider_hsa_id
        or (own.ends is not None and own.ends <= now)
    ):
        raise NotAllowed("no-log-reviewer")
    return own.provider_hsa_id


def read_entries(connection: IndexConnection, rows: list[dict[str, Any]]) -> list[LogEntry]:
    """Rows as entries, with the readers' names as they were at their newest log-in."""
    names: dict[str, str] = {}
    found: list[LogEntry] = []
    for row in rows:
        actor = row["actor"]
        if actor not in names:
            names[actor] = staff_name(review_rows.told_at_login(connection, row["actor_provider"], actor))
        found.append(
            LogEntry(
                row["sequence"],
                datetime.fromisoformat(row["time"]),
                row["event"],
                row["activity"],
                actor,
                names[actor],
                row["actor_provider"],
                row["actor_unit"],
                row["purpose"],
                row["patient_key"],
                row["owner_provider"],
                row["owner_unit"],
                bool(row["allowed"]),
                orjson.loads(row["details"]),
            )
        )
    return found


def staff_name(login_details: str) -> str:
    """The name that a log-in told, "" when it told none."""
    return str(orjson.loads(login_details).get("name", "")) if login_details else ""


def _candidates(
    connection: IndexConnection,
    provider: str,
    kind: CheckKind,
    begin: int,
    end: int,
    reviewer: str,
    first_time: datetime,
) -> list[Access]:
    """The accesses that the kind of check looks for, without the reviewer's own."""
    if kind is CheckKind.EMERGENCY:
        waiting = review_rows.unreviewed_emergencies(connection, provider, begin, end, limits.MAX_CHECK_SIZE)
        return [Access(*row) for row in waiting if row[2] != reviewer]
    if review_rows.count(connection, provider, begin, end) > limits.MAX_REVIEWED_ROWS:
        raise LimitExceeded("MAX_REVIEWED_ROWS: choose a shorter period")
    accesses = [
        Access(*row)
        for row in review_rows.accesses(connection, provider, begin, end, READINGS)
        if row[2] != reviewer
    ]
    if kind is CheckKind.RANDOM:
        return accesses
    since = review_rows.first_at(connection, (first_time - _STAFF_SINCE).isoformat())
    staff = review_rows.staff_of(connection, provider, since, limits.MAX_REVIEWED_STAFF)
    names = {
        actor: plain(staff_name(review_rows.told_at_login(connection, provider, actor))) for actor in staff
    }
    persons = {
        key: PatientName.of(*facts)
        for key, facts in review_rows.persons(connection, {access.patient_key for access in accesses}).items()
    }
    return [
        access
        for access in accesses
        if access.patient_key in persons and picks(kind, access, persons[access.patient_key], names)
    ]


def _period(first_day: date, last_day: date) -> tuple[str, str]:
    """The days in Swedish time as moments in UTC, as the journal writes them: from, and up to but not including."""
    if last_day < first_day:
        raise BadInput("the period ends before it begins")
    begins = datetime.combine(first_day, time(), STOCKHOLM)
    ends = datetime.combine(last_day + timedelta(days=1), time(), STOCKHOLM)
    return begins.astimezone(UTC).isoformat(), ends.astimezone(UTC).isoformat()


def _summary(row: Mapping[str, Any]) -> CheckSummary:
    return CheckSummary(
        row["check_key"],
        CheckKind(row["kind"]),
        row["made_by"],
        datetime.fromisoformat(row["made"]),
        row["first_day"],
        row["last_day"],
        row["size"],
        row["population"],
        row["finding"],
        row["remark"],
        row["signed_by"],
        datetime.fromisoformat(row["signed"]) if row["signed"] else None,
    )
