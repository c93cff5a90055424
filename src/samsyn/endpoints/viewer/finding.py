"""Finding the patient: any written form of a number, sent in a form, never in an address."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from samsyn import limits
from samsyn.access.duties import sees_protected
from samsyn.access.events import Event, entry
from samsyn.access.left import LeftPages
from samsyn.access.registers import end_of_day
from samsyn.clock import STOCKHOLM
from samsyn.endpoints.viewer.afterwards import forget, handle_in, remembered
from samsyn.endpoints.viewer.dependencies import ViewerDependencies
from samsyn.endpoints.viewer.pages import go_to
from samsyn.endpoints.viewer.tickets import Tickets
from samsyn.endpoints.viewer.visits import OWN_RECORD, PatientVisit, Visit, Visits
from samsyn.endpoints.viewer.wording import PatientShown, patient_shown, short_moment
from samsyn.model.patient import Patient, PatientIdentifier
from samsyn.model.subject import Role, SubjectKind
from samsyn.patients.identifiers import MAX_CHARACTERS, display, recognise

DURATIONS: Final = MappingProxyType({"today": 0, "week": 7, "two_weeks": limits.RELATION_DAYS})
"""Days that a reader can choose for a care relation; 0 = the end of today."""
_BIRTH: Final = re.compile(r"(18|19|20)[0-9]{2}([0-9]{2}){0,2}")
"""A birth date beside a name, from its year on."""


@dataclass(frozen=True, slots=True)
class Found:
    """A person in the answer; `ticket` opens him in this session only."""

    shown: PatientShown
    ticket: str


@dataclass(frozen=True, slots=True)
class Recent:
    """A person who is open in this session."""

    shown: PatientShown
    handle: str


@dataclass(frozen=True, slots=True)
class Suggested:
    """A number that differs a little from the one that was typed; `parts` in order, with whether each differs."""

    text: str
    parts: tuple[tuple[str, bool], ...]


class Finding:
    """Search, opening and closing of a patient, and the attestation of the care relation."""

    def __init__(self, deps: ViewerDependencies, visits: Visits, tickets: Tickets, left: LeftPages) -> None:
        self._deps = deps
        self._left = left
        self._visits = visits
        self._tickets = tickets

    def routes(self) -> list[BaseRoute]:
        """The addresses of this part."""
        staff, patient = self._visits.staff, self._visits.patient
        return [
            Route("/", staff(self.start), methods=["GET"]),
            Route("/find", staff(self.find), methods=["POST"]),
            Route("/find", staff(self.start), methods=["GET"]),
            Route("/open", staff(self.open), methods=["POST"]),
            Route("/p/{handle}/close", patient(self.close, needs_relation=False), methods=["POST"]),
            Route("/p/{handle}/relation", patient(self.ask_relation, needs_relation=False), methods=["GET"]),
            Route("/p/{handle}/relation", patient(self.attest, needs_relation=False), methods=["POST"]),
        ]

    async def start(self, visit: Visit) -> Response:
        """The search field, with the patients that are open already; other duties begin at their own page."""
        if not visit.subject.reads_for_care and Role.BLOCK_ADMINISTRATOR in visit.subject.roles:
            return go_to("/blocks")
        if not visit.subject.reads_for_care and Role.STEWARD in visit.subject.roles:
            return go_to("/steward")
        if visit.subject.kind is SubjectKind.PATIENT:
            return go_to(OWN_RECORD)
        if not visit.subject.reads_for_care and Role.LOG_REVIEWER in visit.subject.roles:
            return go_to("/log")
        return await self._page(visit)

    async def find(self, visit: Visit) -> Response:
        """Looks the number up with every issuer; the search is in the audit journal before the answer."""
        _ = visit.assignment
        sought = visit.form.text("number")[:MAX_CHARACTERS]
        if not sought:
            return await self._page(visit, trouble="empty")
        recognised = recognise(sought, self._deps.clock.now().astimezone(STOCKHOLM).date())
        name, birth = _name_and_birth(sought)
        if recognised is None and name:
            return await self._find_by_name(visit, sought, name, birth)
        value = recognised.identifier.value if recognised else sought
        found = await self._deps.lookup.by_number(sought)
        kind = recognised.kind.value if recognised else "other"
        await self._deps.gatekeeper.record(
            *(
                entry(
                    visit.subject, Event.SEARCH_PATIENT, key, details={"door": "viewer", "kind": kind} | mark
                )
                for key, mark in ([(each.key, _mark(each)) for each in found] or [(0, {})])
            )
        )
        as_told = self._deps.gatekeeper.as_told
        told = [await as_told(visit.subject, each, value) for each in found]
        found = [each for each in told if each is not None]
        if not found:
            near = await self._deps.lookup.near(sought)
            if near:
                # That such a number exists is told to somebody, so it is written down, without the number.
                details = {"door": "viewer", "kind": "suggestion", "count": str(len(near))}
                await self._deps.gatekeeper.record(
                    entry(visit.subject, Event.SEARCH_PATIENT, details=details)
                )
            trouble = "none" if recognised else "bad_check"
            return await self._page(
                visit, sought, trouble=trouble, suggested=[_suggested(sought, each) for each in near]
            )
        return await self._page(visit, sought, found=[self._found(visit, each, value) for each in found])

    async def _find_by_name(self, visit: Visit, sought: str, name: str, birth: str) -> Response:
        """Persons with the name; every one of them is in the audit journal before the answer."""
        named = await self._deps.lookup.by_name(name, birth)
        told = [await self._deps.gatekeeper.as_told(visit.subject, each) for each in named]
        found = [each for each in told if each is not None]
        details = {"door": "viewer", "kind": "name", "count": str(len(found))}
        await self._deps.gatekeeper.record(
            *(
                entry(visit.subject, Event.SEARCH_PATIENT, key, details=details)
                for key in ([each.key for each in found] or [0])
            )
        )
        if not found:
            return await self._page(visit, sought, trouble="no_name")
        return await self._page(
            visit, sought, found=[self._found(visit, each, "") for each in found], by_name=True
        )

    def _found(self, visit: Visit, patient: Patient, value: str) -> Found:
        ticket = self._tickets.ticket(visit.subject.session_id, patient.key)
        return Found(
            patient_shown(patient, visit.words, self._deps.clock.now(), value, sees_protected(visit.subject)),
            ticket,
        )

    async def open(self, visit: Visit) -> Response:
        """Opens the chosen person; a ticket of another session or made up finds nobody."""
        _ = visit.assignment
        key = self._tickets.patient_key(visit.subject.session_id, visit.form.text("person"))
        patient = await self._deps.lookup.patient(key)
        handle = self._deps.opened.open(visit.subject.session_id, patient.key)
        self._left.keep(visit.subject, handle, patient.key)
        return go_to(f"/p/{handle}/")

    async def close(self, there: PatientVisit) -> Response:
        """Forgets the handle: the addresses with it lead nowhere any more."""
        self._deps.opened.close(there.visit.subject.session_id, there.handle)
        self._left.forget(there.handle)
        return go_to("/")

    async def ask_relation(self, there: PatientVisit) -> Response:
        """Asks for the care relation before anything is shown (PDL 4:1)."""
        if there.is_related:
            return go_to(there.base)
        now = self._deps.clock.now()
        durations = [
            {"name": name, "until": short_moment(self._ends(days), now)} for name, days in DURATIONS.items()
        ]
        return self._visits.show_patient(there, "relation.html", "relation", {"durations": durations})

    async def attest(self, there: PatientVisit) -> Response:
        """Registers the relation with the words that the reader saw."""
        days = DURATIONS.get(there.visit.form.text("duration"), 0)
        words, ends = there.visit.words, self._ends(days)
        name = next(name for name, each in DURATIONS.items() if each == days)
        wording = (
            f"{words('relation.wording', unit=there.visit.assignment.unit_name)} {words('relation.' + name)}"
        )
        await self._deps.gatekeeper.registers.attest_relation(
            there.visit.subject, there.patient_key, ends, wording
        )
        address = remembered(there.visit.request)
        answer = go_to(address if handle_in(address) == there.handle else there.base)
        forget(answer)
        return answer

    def _ends(self, days: int) -> datetime:
        now = self._deps.clock.now()
        if not days:
            return end_of_day(now)
        return now + timedelta(days=days)

    async def _page(
        self,
        visit: Visit,
        sought: str = "",
        found: list[Found] | None = None,
        trouble: str = "",
        suggested: Sequence[Suggested] = (),
        by_name: bool = False,
    ) -> Response:
        recent = []
        for handle, key in self._deps.opened.latest(visit.subject.session_id):
            person = await self._deps.lookup.patient(key)
            patient = await self._deps.gatekeeper.as_told(visit.subject, person)
            if patient is None:
                continue
            shown = patient_shown(
                patient, visit.words, self._deps.clock.now(), may_see=sees_protected(visit.subject)
            )
            recent.append(Recent(shown, handle))
        trouble_text = (
            visit.words(f"search.{trouble}_text") if trouble in ("none", "bad_check", "no_name") else ""
        )
        values = {
            "sought": sought,
            "found": found or [],
            "suggested": suggested,
            "by_name": by_name,
            "recent": recent,
            "trouble": visit.words(f"search.{trouble}") if trouble else "",
            "trouble_text": trouble_text,
            "here": "/",
        }
        return self._visits.show(visit, "search.html", "search", values)


def _mark(patient: Patient) -> dict[str, str]:
    """Look-ups of protected identities are marked, so that all of them can be reviewed."""
    return {"protected": "yes"} if patient.demographics.protected else {}


def _name_and_birth(sought: str) -> tuple[str, str]:
    """The words of a name and the beginning of a birth date that somebody typed; ("", "") when it is no name."""
    words = re.split(r"[\s,;^]+", sought)
    told = [word for word in words if any(sign.isdigit() for sign in word)]
    names = [word for word in words if word and word not in told]
    births = [word.replace("-", "") for word in told]
    if not names or len(births) > 1 or not all(_BIRTH.fullmatch(birth) for birth in births):
        return "", ""
    if not all(any(sign.isalpha() for sign in word) for word in names):
        return "", ""
    return " ".join(names), births[0] if births else ""


def _suggested(sought: str, identifier: PatientIdentifier) -> Suggested:
    """The number as it is written, with the characters marked that differ from what was typed."""
    typed = "".join(sign for sign in sought.upper() if sign.isalnum())
    before = len(identifier.value) - len(typed)
    marks = iter(
        place >= before and sign != typed[place - before] for place, sign in enumerate(identifier.value)
    )
    text = display(identifier)
    return Suggested(text, tuple((sign, sign != "-" and next(marks)) for sign in text))
