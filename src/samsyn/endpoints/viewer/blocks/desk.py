"""The block administrator's desk: requests to lift that wait for an answer, and the way to a person's blocks."""

from dataclasses import dataclass
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from samsyn.access.authentication.identification import session_secret
from samsyn.access.duties import LIFT_REASONS
from samsyn.access.events import Event, entry
from samsyn.access.lift_requests import is_waiting
from samsyn.access.registers import end_of_day
from samsyn.clock import STOCKHOLM
from samsyn.endpoints.viewer.dependencies import ViewerDependencies
from samsyn.endpoints.viewer.pages import go_to
from samsyn.endpoints.viewer.pulse import NOT_KEPT, Marks
from samsyn.endpoints.viewer.tickets import Tickets
from samsyn.endpoints.viewer.typed import moment_typed, typed_moment
from samsyn.endpoints.viewer.visits import Answer, Endpoint, Visit, Visits
from samsyn.endpoints.viewer.wording import PatientShown, moment, patient_shown
from samsyn.errors import BadInput, Conflict, NotAllowed, NotFound
from samsyn.model.registers import LiftAnswer, LiftRequest
from samsyn.model.subject import Subject
from samsyn.patients.identifiers import MAX_CHARACTERS, recognise


@dataclass(frozen=True, slots=True)
class RequestShown:
    """A request to lift as the administrator reads it."""

    request_id: str
    patient: PatientShown
    asker: str
    unit: str
    provider: str
    for_unit: bool
    phone: str
    need: str
    asked: str
    waiting: bool
    answer: str
    told: str
    until: str


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody found by number, with the ticket that opens his registers in this session."""

    shown: PatientShown
    ticket: str


class LiftDesk:
    """The addresses under /blocks that name no person."""

    def __init__(self, deps: ViewerDependencies, visits: Visits, tickets: Tickets, marks: Marks) -> None:
        self._deps = deps
        self._visits = visits
        self._tickets = tickets
        self._marks = marks

    def routes(self) -> list[BaseRoute]:
        """The addresses of this part."""
        return [
            Route("/blocks", self._administrator(self.desk), methods=["GET"]),
            Route("/blocks/pulse", self.pulse, methods=["GET"]),
            Route("/blocks/find", self._administrator(self.find), methods=["POST"]),
            Route("/blocks/open", self._administrator(self.open), methods=["POST"]),
            Route("/blocks/requests/{request}", self._administrator(self.ask_answer), methods=["GET"]),
            Route("/blocks/requests/{request}", self._administrator(self.answer), methods=["POST"]),
        ]

    async def desk(self, visit: Visit) -> Response:
        """Everything that waits, and what was answered lately."""
        return await self._desk(visit)

    async def pulse(self, request: Request) -> Response:
        """What an open desk asks every other second: a mark for each request, so that a new one is told at once."""
        session = self._deps.sessions.look(session_secret(request.scope))
        if session is None:
            return Response(status_code=401, headers=NOT_KEPT)
        try:
            requests = await self._deps.lift_requests.to_answer(session.subject)
        except NotAllowed:
            return Response(status_code=404, headers=NOT_KEPT)
        return JSONResponse({"shown": self._marks_of(session.subject, requests)}, headers=NOT_KEPT)

    async def find(self, visit: Visit) -> Response:
        """Looks a person up by number; the search is in the audit journal before the answer."""
        sought = visit.form.text("number")[:MAX_CHARACTERS]
        found = await self._deps.lookup.by_number(sought) if sought else []
        await self._deps.gatekeeper.record(
            *(
                entry(visit.subject, Event.SEARCH_PATIENT, key, details={"door": "blocks"})
                for key in ([each.key for each in found] or [0])
            )
        )
        found = [each for each in found if await self._deps.administration.knows(visit.subject, each.key)]
        recognised = recognise(sought, self._deps.clock.now().astimezone(STOCKHOLM).date())
        value = recognised.identifier.value if recognised else sought
        people = [
            Person(
                patient_shown(each, visit.words, self._deps.clock.now(), value),
                self._tickets.ticket(visit.subject.session_id, each.key),
            )
            for each in found
        ]
        return await self._desk(visit, sought, people, visit.words("blocks.none_found") if not found else "")

    async def open(self, visit: Visit) -> Response:
        """Opens the found person's registers."""
        key = self._tickets.patient_key(visit.subject.session_id, visit.form.text("person"))
        return go_to(f"/blocks/p/{self._deps.opened.open(visit.subject.session_id, key)}/")

    async def ask_answer(self, visit: Visit) -> Response:
        """The request with the two ways to answer it."""
        last = end_of_day(self._deps.clock.now()) - timedelta(minutes=1)
        return await self._answer_page(visit, await self._request(visit), typed_moment(last), "")

    async def answer(self, visit: Visit) -> Response:
        """Grants or refuses, with the words that the administrator saw; the asker sees it at once."""
        request, form, words = await self._request(visit), visit.form, visit.words
        granted = form.text("answer") == LiftAnswer.GRANTED.value
        for_unit = form.text("scope") == "unit"
        reason = form.text("reason") if form.text("reason") in LIFT_REASONS else "emergency"
        try:
            ends = moment_typed(form.text("ends")) if granted else None
            if granted and ends is not None:
                # "Until and including" a minute: the end itself is the next one.
                ends += timedelta(minutes=1)
            scope = words("blocks.for_unit" if for_unit else "blocks.for_person")
            saw = f"{words('blocks.grant_wording_' + reason)} {scope}. {form.text('ends')}"
            await self._deps.lift_requests.answer(
                visit.subject,
                request.request_id,
                LiftAnswer.GRANTED if granted else LiftAnswer.REFUSED,
                for_unit=for_unit,
                ends=ends,
                reason=reason,
                told=form.text("told"),
                wording=saw if granted else words("blocks.refuse"),
            )
        except BadInput:
            trouble = words("blocks.bad_end" if granted else "blocks.tell_why")
            return await self._answer_page(visit, request, form.text("ends"), trouble, 400)
        except Conflict:
            return await self._answer_page(visit, request, "", words("blocks.answered_already"), 409)
        return go_to("/blocks")

    def _administrator(self, answer: Answer) -> Endpoint:
        async def checked(visit: Visit) -> Response:
            self._deps.administration.check(visit.subject)
            return await answer(visit)

        return self._visits.staff(checked)

    async def _request(self, visit: Visit) -> LiftRequest:
        for request in await self._deps.lift_requests.to_answer(visit.subject):
            if request.request_id == visit.path("request"):
                return request
        raise NotFound

    async def _answer_page(
        self, visit: Visit, request: LiftRequest, ends: str, trouble: str, status: int = 200
    ) -> Response:
        shown = await self._shown(visit, request)
        values = {"request": shown, "ends": ends, "trouble": trouble, "here": "/blocks"}
        return self._visits.show(visit, "block_answer.html", "blocks", values, status)

    async def _desk(
        self, visit: Visit, sought: str = "", found: list[Person] | None = None, trouble: str = ""
    ) -> Response:
        known = await self._deps.lift_requests.to_answer(visit.subject)
        requests = [await self._shown(visit, request) for request in known]
        values = {
            "waiting": [each for each in requests if each.waiting],
            "answered": [each for each in reversed(requests) if not each.waiting],
            "provider": visit.subject.assignment.provider_name if visit.subject.assignment else "",
            "sought": sought,
            "found": found or [],
            "trouble": trouble,
            "here": "/blocks",
            "pulse": "/blocks/pulse",
            "shown": self._marks_of(visit.subject, known),
            "more_note": visit.words("blocks.new_request"),
        }
        return self._visits.show(visit, "blocks.html", "blocks", values)

    def _marks_of(self, subject: Subject, requests: tuple[LiftRequest, ...]) -> list[str]:
        return self._marks.of(
            subject.session_id, frozenset(("request", each.request_id) for each in requests)
        )

    async def _shown(self, visit: Visit, request: LiftRequest) -> RequestShown:
        patient = await self._deps.lookup.patient(request.patient_key)
        connections = self._deps.connections
        return RequestShown(
            request.request_id,
            patient_shown(patient, visit.words, self._deps.clock.now()),
            request.asker or visit.words("blocks.protected_asker"),
            connections.unit_name(request.provider, request.unit),
            connections.provider_name(request.provider),
            request.for_unit,
            request.phone,
            request.need,
            moment(request.asked),
            is_waiting(request, self._deps.clock.now()),
            request.answer.value,
            request.told,
            moment(request.until),
        )
