"""The log extract (loggutdrag): who has looked at a person's information, told so that the person can judge it.

Care unit, time and what was done (HSLF-FS 2016:40 4 kap. 10 §; PDL 5:5, 8:5). One line is one reader at one unit in
one day. Whether staff are named is the provider's: a public provider's lists are public, a private one's are not.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from types import MappingProxyType
from typing import Final

from samsyn import limits
from samsyn.access.ages import is_under_own_age
from samsyn.access.events import Activity, Event, entry
from samsyn.access.followup.review import LogEntry, read_entries, reviewed_provider
from samsyn.audit import journal as audit
from samsyn.clock import STOCKHOLM, Clock
from samsyn.errors import NotAllowed
from samsyn.model.subject import Purpose, Subject, SubjectKind
from samsyn.store.index import patient_rows, register_rows, review_rows
from samsyn.store.index.port import IndexConnection
from samsyn.store.store import Store

TOO_YOUNG: Final = "too-young"
"""Detail of the NotAllowed that a child's own log-in gets."""
DONE: Final = MappingProxyType(
    {
        Event.SEARCH_PATIENT.value: "search",
        Event.SEARCH.value: "search",
        Event.OWN_RECORD.value: "search",
        Event.OPEN_LIST.value: "list",
        Event.OPEN_METADATA.value: "list",
        Event.OPEN_IMAGES.value: "images",
        Event.OPEN_REFERRAL.value: "referral",
        Event.OPEN_REPORT.value: "report",
        Event.EXPORT.value: "export",
        Event.SEND.value: "send",
        Event.REVEAL_OTHER_UNITS.value: "more",
        Event.CHOOSE_UNITS.value: "more",
        Event.REVEAL_OTHER_PROVIDER.value: "more",
        Event.ENTER_CARE_SYSTEM.value: "more",
        Event.REVEAL_BLOCKED.value: "blocked",
        Event.REVEAL_BLOCKED_PROVIDER.value: "blocked",
        Event.PASS_BLOCKED.value: "passed",
        Event.EMERGENCY_PASS_BLOCKED.value: "passed",
        Event.EMERGENCY_CONSENT.value: "emergency",
        Event.ATTEST_RELEVANT.value: "emergency",
        Event.ATTEST_RELATION.value: "relation",
        Event.ATTEST_CONSENT.value: "consent",
        Event.WITHDRAW_CONSENT.value: "consent_end",
        Event.ANNUL_CONSENT.value: "consent_end",
        Event.REGISTER_BLOCK.value: "block",
        Event.END_BLOCK.value: "block_end",
        Event.LIFT_BLOCK.value: "block_end",
        Event.REQUEST_LIFT.value: "lift_asked",
        Event.ANSWER_LIFT.value: "lift_answered",
        Event.READ_REGISTER.value: "register",
        Event.READ_AUDIT.value: "log",
    }
)
"""What the patient is told for each event, as a code that the pages have words for; others are no reading."""


@dataclass(frozen=True, slots=True)
class ExtractLine:
    """One reader at one unit in one day."""

    day: date
    first: datetime
    last: datetime
    provider: str
    unit: str
    done: tuple[str, ...]
    """Codes of DONE, in the order in which they came, each once."""
    purpose: str
    is_emergency: bool
    is_system: bool
    """A computer system, no person."""
    is_patient: bool
    """The patient himself."""
    is_guardian: bool
    """A private person who stands in for the patient (vårdnadshavare)."""
    staff: str
    """The reader's name, "" where it is not given out."""
    consumer: str = ""
    """The national consumer (such as the national overview of patients) that asked; it tells who its own reader was."""


@dataclass(frozen=True, slots=True)
class Extract:
    """The whole extract, newest first."""

    made: datetime
    lines: tuple[ExtractLine, ...]
    is_complete: bool
    """False: there is more, older than the oldest line."""


class Extracts:
    """Makes extracts. `names_given_by`: HSA-ids of the providers that name their staff."""

    def __init__(self, store: Store, clock: Clock, names_given_by: frozenset[str] = frozenset()) -> None:
        self._store = store
        self._clock = clock
        self._names_given_by = names_given_by

    async def own(self, patient: Subject) -> Extract:
        """The patient's own extract of everybody's readings; NotAllowed for anybody but a patient of sixteen."""
        key = await own_key(self._store, self._clock, patient)
        made = entry(patient, Event.READ_AUDIT, key, purpose=Purpose.OWN_RECORD)
        await audit.write(self._store, made)
        return await self._extract(key, "")

    async def own_entries(self, patient: Subject) -> tuple[LogEntry, ...]:
        """The same as single entries, newest first, at most limits.MAX_EXTRACT_ROWS; for programs."""
        key = await own_key(self._store, self._clock, patient)
        made = entry(patient, Event.READ_AUDIT, key, purpose=Purpose.OWN_RECORD)
        await audit.write(self._store, made)
        question = partial(_entries, patient_key=key, provider="")
        found = await self._store.read(question)
        return tuple(
            each if each.provider in self._names_given_by else replace(each, actor="", actor_name="")
            for each in found[: limits.MAX_EXTRACT_ROWS]
            if each.event in DONE
        )

    async def on_request(self, reviewer: Subject, patient_key: int) -> Extract:
        """What a provider hands out on the patient's request: its own staff's readings (PDL 8:5)."""
        provider = reviewed_provider(reviewer, self._clock.now())
        made = entry(reviewer, Event.EXPORT, patient_key, details={"of": "log-extract"})
        await audit.write(self._store, made)
        return await self._extract(patient_key, provider)

    async def _extract(self, patient_key: int, provider: str) -> Extract:
        found = await self._store.read(partial(_entries, patient_key=patient_key, provider=provider))
        complete = len(found) <= limits.MAX_EXTRACT_ROWS
        told = [each for each in found[: limits.MAX_EXTRACT_ROWS] if each.event in DONE]
        keys = await self._store.read(partial(patient_rows.closure_of, key=patient_key))
        himself = frozenset(f"patient-{key}" for key in keys)
        return Extract(self._clock.now(), tuple(self._lines(told, himself)), complete)

    def _lines(self, newest_first: list[LogEntry], himself: frozenset[str]) -> Iterable[ExtractLine]:
        groups: dict[tuple[date, str, str], list[LogEntry]] = {}
        for each in newest_first:
            day = each.time.astimezone(STOCKHOLM).date()
            groups.setdefault((day, each.actor, each.unit), []).append(each)
        for (day, _, unit), entries in groups.items():
            entries.reverse()
            named = entries[0].provider in self._names_given_by
            private = entries[0].purpose == Purpose.OWN_RECORD
            yield ExtractLine(
                day=day,
                first=entries[0].time,
                last=entries[-1].time,
                provider=entries[0].provider,
                unit=unit,
                done=tuple(dict.fromkeys(DONE[each.event] for each in entries)),
                purpose=entries[0].purpose,
                is_emergency=any(each.activity == Activity.EMERGENCY for each in entries),
                is_system=entries[0].is_system,
                is_patient=private and entries[0].actor in himself,
                is_guardian=private and entries[0].actor not in himself and not entries[0].is_system,
                staff=entries[0].actor_name if named else "",
                consumer=entries[0].details.get("consumer", ""),
            )


async def own_key(store: Store, clock: Clock, patient: Subject) -> int:
    """The key of a private person who may read his own log. NotAllowed: anybody else, or too young for direct access
    (access.ages): the log tells where a child is in care. The provider hands it out on request (PDL 8:5)."""
    key = patient.patient_key
    if patient.kind is not SubjectKind.PATIENT or key is None:
        raise NotAllowed("only the patient")

    def ask(connection: IndexConnection) -> frozenset[int]:
        keys = patient_rows.closure_of(connection, key)
        return patient_rows.own_births(register_rows.asking(connection), keys)

    if is_under_own_age(await store.read(ask), clock.now()):
        raise NotAllowed(TOO_YOUNG)
    return key


def _entries(connection: IndexConnection, patient_key: int, provider: str) -> list[LogEntry]:
    keys = patient_rows.closure_of(connection, patient_key)
    rows = review_rows.of_patient(connection, keys, provider, limits.MAX_EXTRACT_ROWS + 1)
    return read_entries(connection, rows)
