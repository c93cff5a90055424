"""What every page of the steward's console rests on: its frame, how a person reads, and what was confirmed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from samsyn.access.duties import sees_protected, stewarding
from samsyn.access.events import Event, entry
from samsyn.endpoints.viewer.dependencies import ViewerDependencies
from samsyn.endpoints.viewer.tickets import Tickets
from samsyn.endpoints.viewer.visits import Visit, Visits
from samsyn.endpoints.viewer.wording import PatientShown, day, patient_shown
from samsyn.errors import UnknownIssuer
from samsyn.model.patient import Demographics, Patient, PatientIdentifier
from samsyn.model.person_name import PersonName
from samsyn.patients.identifiers import display


@dataclass(frozen=True, slots=True)
class Told:
    """What somebody said about a person, as it reads."""

    name: str
    born: str
    sex: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """Whom a steward has named by a number, before he confirms it."""

    identifier: PatientIdentifier | None = None
    shown: Mapping[str, Any] | None = None
    """For the page, with a ticket by which its form confirms that this was shown."""
    trouble: str = ""
    """Name of the text that tells why nobody is shown."""


class Console:
    """Parts of the pages under /steward."""

    def __init__(self, deps: ViewerDependencies, visits: Visits, tickets: Tickets) -> None:
        self._deps = deps
        self._visits = visits
        self._tickets = tickets

    def show(self, visit: Visit, template: str, values: Mapping[str, Any], trouble: str = "") -> Response:
        """A page, for stewards alone; `trouble` names the text that tells why nothing was done (status 400)."""
        stewarding(visit.subject, self._deps.clock.now())
        told = {
            "tab": template.removesuffix(".html"),
            "here": "/steward",
            **values,
            "trouble": visit.words(trouble) if trouble else "",
        }
        return self._visits.show(visit, template, "steward", told, 400 if trouble else 200)

    def person(self, visit: Visit, patient: Patient | None) -> PatientShown | None:
        """Somebody as this steward may see him."""
        if patient is None:
            return None
        now = self._deps.clock.now()
        return patient_shown(patient, visit.words, now, may_see=sees_protected(visit.subject))

    def told(self, visit: Visit, said: Demographics, hidden: bool) -> Told:
        """What a sender wrote; `hidden`: about somebody with protected identity."""
        masked = hidden and not sees_protected(visit.subject)
        name = visit.words("patient.protected_name") if masked else PersonName.of(said.name).written()
        sex = visit.words(f"patient.sex_{said.sex}") if said.sex in ("M", "F", "O") else ""
        return Told(name or visit.words("common.unknown"), "" if masked else day(said.birth_date), sex)

    async def record_search(self, visit: Visit, found: Sequence[Patient]) -> None:
        """Writes down that the steward looked somebody up, before anything is told."""
        await self._deps.gatekeeper.record(
            *(
                entry(visit.subject, Event.SEARCH_PATIENT, key, details={"door": "steward"})
                for key in ([each.key for each in found] or [0])
            )
        )

    async def proposal(self, visit: Visit, number: str) -> Proposal:
        """Who has the number that the steward has typed, "" = none yet."""
        if not number:
            return Proposal()
        try:
            identifier = self._deps.decisions.identify(number)
        except UnknownIssuer:
            return Proposal(trouble="steward.no_number")
        found = await self._deps.lookup.by_identifier(identifier)
        await self.record_search(visit, found)
        shown = {
            "number": display(identifier),
            "shown": self.person(visit, found[0]) if found else None,
            "ticket": self._tickets.confirmation(visit.subject.session_id, visit.path("key"), identifier),
        }
        return Proposal(identifier, shown)

    def confirmed(self, visit: Visit) -> PatientIdentifier | None:
        """The number that was confirmed, None when the form carries none. NotFound: it was not shown here."""
        ticket = visit.form.text("ticket")
        if not ticket:
            return None
        return self._tickets.confirmed(visit.subject.session_id, visit.path("key"), ticket)
