"""One request of a logged-in reader: who asks, for which patient, in which language.

Every page goes through `Visits`: the session is looked up, forms are checked before anything is done, a patient's
page opens the View, and refusals become calm pages that tell nothing of what is hidden.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from samsyn import errors
from samsyn.access.authentication.identification import session_secret
from samsyn.access.authentication.sessions import Session
from samsyn.access.duties import sees_protected
from samsyn.access.view import View
from samsyn.endpoints.viewer.afterwards import came_for, handle_in, remember
from samsyn.endpoints.viewer.dependencies import ViewerDependencies
from samsyn.endpoints.viewer.history import Presentation
from samsyn.endpoints.viewer.language import Words
from samsyn.endpoints.viewer.pages import Pages, go_to, place
from samsyn.endpoints.viewer.pulse import Marks
from samsyn.endpoints.viewer.secure import FORM_FIELD, Form, check_origin, read_form
from samsyn.endpoints.viewer.wording import PatientShown, moment, patient_shown
from samsyn.model.patient import Patient
from samsyn.model.subject import Assignment, Subject

_STATUS: Final[tuple[tuple[type[errors.SamsynError], int, str], ...]] = (
    (errors.NotFound, 404, "not_found"),
    (errors.NotAllowed, 403, "refused"),
    (errors.BadInput, 400, "trouble"),
    (errors.LimitExceeded, 413, "too_large"),
    (errors.Conflict, 409, "trouble"),
    (errors.OutOfResources, 503, "later"),
)
"""Status and words for each kind of refusal; anything else is 500 "trouble"."""


_PARTS: Final = frozenset({"embed", "empty", "image", "object"})
"""Destinations (Sec-Fetch-Dest) of what is a part of a page that is open already."""
CHOOSE: Final = "/assignment/choose"
"""Where a reader with several assignments chooses one; before that nothing is shown."""
OWN_RECORD: Final = "/mine/record"
"""Where a private person's own pages begin."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A request of somebody who is logged in. `form` is checked already; empty for GET."""

    request: Request
    session: Session
    words: Words
    form: Form

    @property
    def subject(self) -> Subject:
        """Who asks."""
        return self.session.subject

    @property
    def assignment(self) -> Assignment:
        """The chosen assignment. NotAllowed: there is none that can read for care."""
        own = self.subject.assignment
        if own is None or not self.subject.reads_for_care:
            raise errors.NotAllowed("assignment")
        return own

    def path(self, name: str) -> str:
        """A part of the address."""
        return str(self.request.path_params[name])


@dataclass(frozen=True, slots=True)
class PatientVisit:
    """The same with an opened patient and the View for him."""

    visit: Visit
    handle: str
    patient_key: int
    patient: Patient
    shown: PatientShown
    view: View
    base: str
    """The address of the patient's page, with a slash at its end."""
    state: str = ""
    """What was there before anything was read for the page (History.state); "" where no page is shown."""

    @property
    def is_related(self) -> bool:
        """Whether a current care relation is known; without one nothing is shown."""
        return any(reader.related for reader in self.view.standings)


Answer = Callable[[Visit], Awaitable[Response]]
PatientAnswer = Callable[[PatientVisit], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


class Visits:
    """Turns page functions into endpoints."""

    def __init__(self, deps: ViewerDependencies, pages: Pages, marks: Marks) -> None:
        self._deps = deps
        self._marks = marks
        self.pages = pages

    def staff(self, answer: Answer, *, by_itself: bool = False) -> Endpoint:
        """For a reader who is logged in; others are sent to the login page.

        `by_itself`: an open page asks it without its reader, so it is no use of the session.
        """

        async def endpoint(request: Request) -> Response:
            return await self._safely(request, lambda: self._answer(request, answer, by_itself))

        return endpoint

    def patient(
        self, answer: PatientAnswer, *, needs_relation: bool = True, by_itself: bool = False
    ) -> Endpoint:
        """For a reader with an opened patient; without a care relation he is asked for it first.

        `by_itself`: as for `staff`, and the patient does not become the session's current one by it.
        """

        async def opened(visit: Visit) -> Response:
            there = await self.opened(visit, by_itself=by_itself)
            if needs_relation and not there.is_related:
                if visit.request.method == "GET" and visit.request.headers.get("sec-fetch-dest") != "image":
                    asked = go_to(f"{there.base}relation")
                    remember(visit.request, asked, came_for(visit.request))
                    return asked
                raise errors.NotFound
            return await answer(there)

        return self.staff(opened, by_itself=by_itself)

    def own(self, answer: PatientAnswer) -> Endpoint:
        """For a private person with the own record or that of a young child whom he is the guardian of."""

        async def opened(visit: Visit) -> Response:
            return await answer(await self.opened_own(visit, visit.path("handle")))

        return self.staff(opened)

    def anybody(self, answer: Endpoint) -> Endpoint:
        """For everybody, logged in or not."""

        async def endpoint(request: Request) -> Response:
            return await self._safely(request, lambda: answer(request))

        return endpoint

    async def opened(self, visit: Visit, *, by_itself: bool = False) -> PatientVisit:
        """The patient behind the address's handle. NotFound: not opened in this session."""
        own = visit.assignment
        handle = visit.path("handle")
        behind = self._deps.opened.look if by_itself else self._deps.opened.patient_key
        key = behind(visit.subject.session_id, handle)
        patient = await self._deps.lookup.patient(key)
        view = await self._deps.gatekeeper.open_view(visit.subject, frozenset({key}), own.purpose)
        told = await self._deps.gatekeeper.as_told(visit.subject, patient)
        if told is None:
            raise errors.NotAllowed("assignment")
        shown = patient_shown(
            told, visit.words, self._deps.clock.now(), may_see=sees_protected(visit.subject)
        )
        state = await self._state(visit, view)
        return PatientVisit(visit, handle, key, told, shown, view, f"/p/{handle}/", state)

    async def opened_own(self, visit: Visit, handle: str) -> PatientVisit:
        """The same for a private person (PDL 5:5). NotAllowed: he is none. NotFound: neither himself nor his child."""
        if visit.subject.patient_key is None:
            raise errors.NotAllowed("only the patient")
        key = self._deps.opened.patient_key(visit.subject.session_id, handle)
        view = await self._deps.gatekeeper.open_view(visit.subject, frozenset({key}))
        told = await self._deps.gatekeeper.as_told(visit.subject, await self._deps.lookup.patient(key))
        if told is None:
            raise errors.NotFound
        shown = patient_shown(told, visit.words, self._deps.clock.now(), may_see=True)
        state = await self._state(visit, view)
        return PatientVisit(visit, handle, key, told, shown, view, f"{OWN_RECORD}/{handle}/", state)

    async def _state(self, visit: Visit, view: View) -> str:
        """Read before the page, so that what comes meanwhile makes a difference; "" for a part of an open page."""
        is_part = visit.request.headers.get("sec-fetch-dest") in _PARTS
        return "" if is_part else await self._deps.history.state(view)

    def watched(self, there: PatientVisit) -> dict[str, Any]:
        """By which an open page about the person asks whether what it shows may stay and is still all."""
        subject = there.visit.subject
        session_id = subject.session_id
        # A private person is told of nothing that is hidden: his pages close only as a whole.
        told = frozenset() if subject.patient_key is not None else there.view.told
        return {
            "pulse": f"{there.base}pulse",
            "shown": self._marks.of(session_id, told),
            "state": self._marks.of_state(session_id, there.state) if there.state else "",
        }

    def presentation(self, visit: Visit) -> Presentation:
        """How histories read for this reader."""
        return Presentation(
            self._deps.connections, self.pages.languages, visit.words, visit.subject.assignment
        )

    def show(
        self, visit: Visit, template: str, page: str, values: dict[str, Any], status: int = 200
    ) -> Response:
        """A page for the reader."""
        everything = {
            "loaded": moment(self._deps.clock.now()),
            "subject": visit.subject,
            "token": visit.session.csrf,
            "page": page,
            "pulse": "/pulse",
            **values,
        }
        if visit.request.method != "GET":
            everything.setdefault("here", "/")
        return self.pages.show(visit.request, template, everything, status)

    def show_patient(
        self, there: PatientVisit, template: str, page: str, values: dict[str, Any], status: int = 200
    ) -> Response:
        """A page with the patient's banner."""
        banner: dict[str, Any] = {"patient": there.shown, "handle": there.handle, "here": there.base}
        banner["base"] = there.base
        banner |= self.watched(there)
        if there.visit.request.method == "GET":
            banner["here"] = place(there.visit.request)
        return self.show(there.visit, template, page, {**banner, **values}, status)

    def session(self, request: Request, *, by_itself: bool = False) -> Session | None:
        """Who is logged in with the request's cookie, or None. `by_itself`: as for `staff`."""
        secret = session_secret(request.scope)
        if not secret:
            return None
        return self._deps.sessions.look(secret) if by_itself else self._deps.sessions.find(secret)

    async def _answer(self, request: Request, answer: Answer, by_itself: bool) -> Response:
        secret = session_secret(request.scope)
        session = self.session(request, by_itself=by_itself)
        if session is None:
            return self._to_login(request, had_session=bool(secret))
        if session.choices and request.method == "GET" and request.url.path != CHOOSE:
            away = go_to(CHOOSE)
            remember(request, away, came_for(request))
            return away
        form = Form([])
        if request.method == "POST":
            check_origin(request)
            form = await read_form(request)
            session.check_form(form.text(FORM_FIELD))
        return await answer(Visit(request, session, self.pages.words(request), form))

    def _to_login(self, request: Request, had_session: bool) -> Response:
        if request.headers.get("accept", "").startswith("application/json"):
            return Response(status_code=401, headers={"Cache-Control": "no-store"})
        answer = go_to("/login?because=expired" if had_session else "/login")
        if request.headers.get("hx-request"):
            # A part of a page can not be replaced by the login page: the whole page goes there.
            answer = Response(status_code=204, headers={"HX-Redirect": "/login?because=expired"})
        remember(request, answer, came_for(request))
        return answer

    async def _safely(self, request: Request, work: Callable[[], Awaitable[Response]]) -> Response:
        try:
            return await work()
        except errors.NotAuthenticated:
            return self._to_login(request, had_session=True)
        except errors.SamsynError as problem:
            session = self.session(request, by_itself=True)
            if session is not None:
                await self._deps.gatekeeper.refusals.record("viewer", problem, subject=session.subject)
            return self._refusal(request, problem)

    def _refusal(self, request: Request, problem: errors.SamsynError) -> Response:
        status, key = next(
            ((status, key) for kind, status, key in _STATUS if isinstance(problem, kind)), (500, "trouble")
        )
        if isinstance(problem, errors.NotAllowed) and "form" in problem.detail:
            key = "form_old"
        return self.message(request, status, f"message.{key}")

    def message(
        self,
        request: Request,
        status: int,
        key: str,
        headers: Mapping[str, str] | None = None,
        noted: str = "",
    ) -> Response:
        """A page with the words of `key` and the ways on. `noted`: the time by which a fault is found in our log."""
        words = self.pages.words(request)
        session = self.session(request, by_itself=True)
        is_own = (
            session is not None
            and session.subject.patient_key is not None
            and self.pages.languages.has(f"{key}_own")
        )
        values = {
            "title": words(key),
            "text": words(f"{key}_own" if is_own else f"{key}_text"),
            "noted": noted,
            "subject": session.subject if session else None,
            "token": session.csrf if session else "",
            "patient_page": self._patient_page(request, session),
            "here": "/",
        }
        return self.pages.show(request, "message.html", values, status, headers)

    def _patient_page(self, request: Request, session: Session | None) -> str:
        """The page of the patient below whose address something failed, while he is open in the session; or ""."""
        handle = handle_in(request.url.path)
        if session is None or not handle or request.url.path == f"/p/{handle}/":
            return ""
        try:
            self._deps.opened.look(session.subject.session_id, handle)
        except errors.NotFound:
            return ""
        return f"/p/{handle}/"
