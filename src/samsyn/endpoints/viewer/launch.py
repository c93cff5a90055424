"""Opening a patient from a record system: by a form of its page, or by a ticket that its server has fetched.

A form may come from any site, so the patient is a suggestion that the reader confirms. A ticket was made by a known
system of the reader's own provider, so it opens at once. Either way every other patient of the session is closed, and
their open pages close themselves: two patients side by side are the top hazard.
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from samsyn.access.authentication.identification import CERTIFICATE
from samsyn.access.events import Event, entry
from samsyn.access.launches import Launch, Launches
from samsyn.access.left import LeftPages
from samsyn.endpoints.viewer.afterwards import remember
from samsyn.endpoints.viewer.dependencies import ViewerDependencies
from samsyn.endpoints.viewer.history import mark_of
from samsyn.endpoints.viewer.pages import go_to
from samsyn.endpoints.viewer.secure import read_form
from samsyn.endpoints.viewer.visits import PatientVisit, Visit, Visits
from samsyn.errors import NotFound
from samsyn.patients.identifiers import MAX_CHARACTERS

UNSHOWN: Final = "unshown"
"""The patient's page says so when the examination of a call is not among what it shows."""
_LONGEST_NAME: Final = 64
"""Characters of a UID (PS3.5 9.1); an accession number has fewer."""
_NOT_KEPT: Final = {"Cache-Control": "no-store"}


class LaunchPages:
    """The addresses under /launch."""

    def __init__(self, deps: ViewerDependencies, visits: Visits, launches: Launches, left: LeftPages) -> None:
        self._deps = deps
        self._left = left
        self._visits = visits
        self._launches = launches

    def routes(self) -> list[BaseRoute]:
        """The addresses of this part."""
        anybody, staff = self._visits.anybody, self._visits.staff
        return [
            Route("/launch", anybody(self.called), methods=["POST"]),
            Route("/launch/tickets", anybody(self.ticket), methods=["POST"]),
            Route("/launch/{ticket}", anybody(self.come), methods=["GET"]),
            Route("/launch/{ticket}", staff(self.confirm), methods=["POST"]),
            Route("/p/{handle}/to/{ticket}", self._visits.patient(self.examination), methods=["GET"]),
        ]

    async def called(self, request: Request) -> Response:
        """A form of a record system's page, from its own site; the browser comes back with our cookies."""
        form = await read_form(request)
        number, examination = form.text("number")[:MAX_CHARACTERS], form.text("examination")[:_LONGEST_NAME]
        return go_to(f"/launch/{self._launches.put(Launch(number, examination=examination))}")

    async def ticket(self, request: Request) -> Response:
        """A known system's server asks for an address that opens the patient, for one of its provider's staff."""
        if CERTIFICATE in request.scope:
            system = self._deps.connections.certificate(request.scope[CERTIFICATE])
        else:
            scheme, _, secret = request.headers.get("authorization", "").partition(" ")
            system = self._deps.connections.token(secret.strip()) if scheme.lower() == "bearer" else None
        if system is None or system.subject.assignment is None or not system.may_query:
            return Response(status_code=401, headers={**_NOT_KEPT, "WWW-Authenticate": "Bearer"})
        form = await read_form(request)
        number, employee = form.text("number")[:MAX_CHARACTERS], form.text("employee")[:64].strip().upper()
        if not number or not employee:
            return JSONResponse({"error": "number and employee are needed"}, 400, _NOT_KEPT)
        examination = form.text("examination")[:_LONGEST_NAME]
        launch = Launch(number, system.subject.assignment.provider_hsa_id, employee, examination)
        return JSONResponse({"address": f"/launch/{self._launches.put(launch)}"}, 201, _NOT_KEPT)

    async def come(self, request: Request) -> Response:
        """The browser with its ticket: to the log-in first, if nobody is logged in."""
        ticket = request.path_params["ticket"]
        if self._visits.session(request) is None:
            answer = go_to("/login")
            if self._launches.look(ticket) is not None:
                remember(request, answer, f"/launch/{ticket}")
            return answer
        return await self._visits.staff(self._suggested)(request)

    async def confirm(self, visit: Visit) -> Response:
        """The reader says that this is the patient."""
        launch = self._launches.take(visit.path("ticket"))
        if launch is None:
            raise NotFound
        return await self._open(visit, launch)

    async def _suggested(self, visit: Visit) -> Response:
        own, ticket = visit.assignment, visit.path("ticket")
        launch = self._launches.look(ticket)
        if launch is None:
            raise NotFound
        if launch.is_certain_for(own.provider_hsa_id, visit.subject.hsa_id):
            self._launches.take(ticket)
            return await self._open(visit, launch)
        others = len(self._deps.opened.keys(visit.subject.session_id))
        values = {"number": launch.number, "ticket": ticket, "others": others, "here": "/"}
        return self._visits.show(visit, "launch.html", "launch", values)

    async def _open(self, visit: Visit, launch: Launch) -> Response:
        """The search is in the audit journal before the answer; nobody found is told as after a search."""
        _ = visit.assignment
        gatekeeper, session_id = self._deps.gatekeeper, visit.subject.session_id
        found = await self._deps.lookup.by_number(launch.number)
        await gatekeeper.record(
            *(
                entry(visit.subject, Event.SEARCH_PATIENT, key, details={"door": "launch"})
                for key in ([each.key for each in found] or [0])
            )
        )
        for closed, _ in self._deps.opened.latest(session_id):
            self._left.forget(closed)
        told = [each for each in found if await gatekeeper.may_be_told_who(visit.subject, each.key)]
        if len(told) != 1:
            self._deps.opened.forget(session_id)
            values = {"number": launch.number, "ticket": "", "others": 0, "here": "/"}
            return self._visits.show(visit, "launch.html", "launch", values, 404)
        handle = self._deps.opened.open_only(session_id, told[0].key)
        self._left.keep(visit.subject, handle, told[0].key)
        return go_to(
            f"/p/{handle}/to/{self._launches.put(launch)}" if launch.examination else f"/p/{handle}/"
        )

    async def examination(self, there: PatientVisit) -> Response:
        """The examination of the call, when the View shows one and one only; what is hidden and what is not here are
        answered alike, with words on the patient's page."""
        launch = self._launches.look(there.visit.path("ticket"))
        wanted = launch.examination if launch is not None else ""
        found = [
            each.reference
            for each in (await self._deps.history.examinations(there.view) if wanted else ())
            if wanted == each.accession or wanted in {study.study_uid for study in each.studies}
        ]
        if len(found) != 1:
            return go_to(f"{there.base}?{UNSHOWN}=1")
        return go_to(f"{there.base}e/{mark_of(there.handle, found[0])}")
