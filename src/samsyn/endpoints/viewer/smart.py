"""Letting a SMART app in: the authorization endpoint's pages (SMART App Launch 2.2, sections 2 and 3).

An app that a record system starts gets the patient of that system's word, at once. One that starts by itself gets the
patient who is open here, or the one whom the reader names, after the reader has said so on a page. Two patients side
by side are the top hazard: while one is open, no app is let in for another.
"""

from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from samsyn.access.authentication.identification import session_secret
from samsyn.access.authentication.sessions import session_mark
from samsyn.access.authentication.smart.authority import CONTINUE_PATH, SmartAuthority, back
from samsyn.access.authentication.smart.words import Asked, OAuthRefusal
from samsyn.access.duties import sees_protected
from samsyn.access.events import Event, entry
from samsyn.endpoints.viewer.afterwards import remember
from samsyn.endpoints.viewer.dependencies import ViewerDependencies
from samsyn.endpoints.viewer.pages import go_to
from samsyn.endpoints.viewer.secure import read_form
from samsyn.endpoints.viewer.visits import Visit, Visits
from samsyn.endpoints.viewer.wording import PatientShown, patient_shown
from samsyn.errors import NotAllowed, NotFound
from samsyn.model.subject import SubjectKind
from samsyn.patients.identifiers import MAX_CHARACTERS

_MAX_STATE: Final = 2_000


class SmartPages:
    """The addresses /smart/authorize and /smart/continue."""

    def __init__(self, deps: ViewerDependencies, visits: Visits) -> None:
        self._deps = deps
        self._visits = visits

    def routes(self) -> list[BaseRoute]:
        """The addresses of this part."""
        anybody, staff = self._visits.anybody, self._visits.staff
        return [
            Route("/smart/authorize", anybody(self.authorize), methods=["GET", "POST"]),
            Route(f"{CONTINUE_PATH}{{ticket}}", anybody(self.come), methods=["GET"]),
            Route(f"{CONTINUE_PATH}{{ticket}}", staff(self.decide), methods=["POST"]),
        ]

    @property
    def _authority(self) -> SmartAuthority:
        return self._deps.smart

    async def authorize(self, request: Request) -> Response:
        """The app's browser, from its own site. An unknown app or address gets a page, never a redirect."""
        sent: Mapping[str, str] = (
            request.query_params if request.method == "GET" else await read_form(request)
        )
        redirect_uri, state = sent.get("redirect_uri", ""), sent.get("state", "")[:_MAX_STATE]
        try:
            app = self._authority.client(sent.get("client_id", ""), redirect_uri)
        except OAuthRefusal as refusal:
            await self._note(request, refusal)
            return self._visits.message(request, 400, "smart.unknown")
        try:
            asked = self._authority.asked(app, sent)
        except OAuthRefusal as refusal:
            await self._note(request, refusal)
            return go_to(_refused(redirect_uri, state, refusal))
        return go_to(f"{CONTINUE_PATH}{self._authority.request(asked)}")

    async def come(self, request: Request) -> Response:
        """The browser with its ticket: to the log-in first, if nobody is logged in."""
        ticket = request.path_params["ticket"]
        if self._visits.session(request) is not None:
            return await self._visits.staff(self._show)(request)
        answer = go_to("/login")
        if self._authority.look(ticket) is not None:
            remember(request, answer, f"{CONTINUE_PATH}{ticket}")
        return answer

    async def decide(self, visit: Visit) -> Response:
        """The reader lets the app in, for this patient; or does not."""
        ticket = visit.path("ticket")
        asked = self._authority.look(ticket)
        if asked is None or asked.launch is not None:
            raise NotFound
        if visit.form.text("answer") != "allow":
            self._authority.take(ticket)
            return self._away(visit, asked, _refused(asked.redirect_uri, asked.state, _DENIED))
        key: int | None = None
        if asked.wants_patient:
            key = await self._chosen(visit, visit.form.text("number")[:MAX_CHARACTERS])
            if key is None:
                return await self._page(visit, asked, "none", 404)
        self._authority.take(ticket)
        return self._away(visit, asked, await self._let_in(visit, asked, key))

    async def _show(self, visit: Visit) -> Response:
        ticket = visit.path("ticket")
        asked = self._authority.look(ticket)
        if asked is None:
            raise NotFound
        if asked.launch is None:
            return await self._page(visit, asked)
        self._authority.take(ticket)
        own = visit.subject.assignment
        told = (own.provider_hsa_id if own else "", visit.subject.hsa_id)
        try:
            if told != (asked.launch.provider, asked.launch.employee):
                raise OAuthRefusal("access_denied", "the launch is for somebody else")
            key = await self._found(visit, asked.launch.number)
            if key is None:
                raise OAuthRefusal("access_denied", "the launch's patient is not known here")
            if await self._is_other_open(visit, key):
                raise OAuthRefusal("access_denied", "another patient is open in this session")
        except OAuthRefusal as refusal:
            await self._note(visit.request, refusal, visit)
            return go_to(_refused(asked.redirect_uri, asked.state, refusal))
        return go_to(await self._let_in(visit, asked, key))

    async def _let_in(self, visit: Visit, asked: Asked, key: int | None) -> str:
        """Where the browser goes; what was granted is in the audit journal first."""
        try:
            handle = self._deps.lookup.handle(key) if key is not None else ""
            address, granted = self._authority.approved(
                asked,
                visit.subject,
                key,
                handle,
                self._user(visit),
                session_mark(session_secret(visit.request.scope)),
            )
        except OAuthRefusal as refusal:
            return _refused(asked.redirect_uri, asked.state, refusal)
        details = {"client": asked.app.client_id, "scope": granted.scope[:300]}
        await self._deps.gatekeeper.record(
            entry(visit.subject, Event.AUTHORIZE_APP, key or 0, details=details)
        )
        if key is not None and visit.subject.kind is SubjectKind.STAFF:
            self._deps.opened.open(visit.subject.session_id, key)
        return address

    def _user(self, visit: Visit) -> str:
        """The reader himself as a FHIR reference."""
        own = visit.subject.patient_key
        if own is not None:
            return f"Patient/{self._deps.lookup.handle(own)}"
        return f"Practitioner/{visit.subject.hsa_id}"

    async def _chosen(self, visit: Visit, number: str) -> int | None:
        """The patient that a standalone app works with: the person himself, who is open, or who was named."""
        if visit.subject.kind is SubjectKind.PATIENT:
            return visit.subject.patient_key
        current = self._deps.opened.current(visit.subject.session_id)
        if current is not None:
            return current
        return await self._found(visit, number) if number else None

    async def _found(self, visit: Visit, number: str) -> int | None:
        """The one person with the number whom the reader may be told of; the search is in the audit journal first."""
        gatekeeper = self._deps.gatekeeper
        found = await self._deps.lookup.by_number(number)
        keys = [each.key for each in found] or [0]
        details = {"door": "smart"}
        await gatekeeper.record(
            *(entry(visit.subject, Event.SEARCH_PATIENT, key, details=details) for key in keys)
        )
        told = [each.key for each in found if await gatekeeper.may_be_told_who(visit.subject, each.key)]
        return told[0] if len(told) == 1 else None

    async def _is_other_open(self, visit: Visit, key: int) -> bool:
        opened = self._deps.opened.keys(visit.subject.session_id)
        return bool(opened) and opened.isdisjoint(await self._deps.lookup.linked(key))

    async def _page(self, visit: Visit, asked: Asked, trouble: str = "", status: int = 200) -> Response:
        values: dict[str, Any] = {
            "app": asked.app.name,
            "ticket": visit.path("ticket"),
            "trouble": trouble,
            "patient": await self._patient_shown(visit) if asked.wants_patient else None,
            "needs_number": False,
            "is_own": visit.subject.kind is SubjectKind.PATIENT,
            "wants_patient": asked.wants_patient,
            "days": self._days(visit, asked),
            "here": "/",
        }
        values["needs_number"] = asked.wants_patient and values["patient"] is None and not values["is_own"]
        # The layout's banner is for an opened patient's own pages.
        values["of"] = values.pop("patient")
        return self._visits.show(visit, "smart.html", "smart", values, status)

    @staticmethod
    def _days(visit: Visit, asked: Asked) -> int:
        """For how many days the app would go on by itself; 0 = it ends with the log-in session."""
        is_private = visit.subject.kind is SubjectKind.PATIENT
        return asked.app.offline.days if is_private and asked.wants_offline else 0

    async def _patient_shown(self, visit: Visit) -> PatientShown | None:
        key = self._deps.opened.current(visit.subject.session_id)
        if key is None:
            return None
        patient = await self._deps.gatekeeper.as_told(visit.subject, await self._deps.lookup.patient(key))
        if patient is None:
            raise NotAllowed("assignment")
        return patient_shown(
            patient, visit.words, self._deps.clock.now(), may_see=sees_protected(visit.subject)
        )

    def _away(self, visit: Visit, asked: Asked, address: str) -> Response:
        """On to the app by a page of its own: a form of ours may not lead to another site (form-action)."""
        values = {"app": asked.app.name, "address": address, "here": "/"}
        answer = self._visits.show(visit, "smart_away.html", "smart", values)
        answer.headers["Refresh"] = f"0; url={address}"
        return answer

    async def _note(self, request: Request, refusal: OAuthRefusal, visit: Visit | None = None) -> None:
        """A refused app is in the audit journal, with who was logged in."""
        address = request.client.host if request.client else ""
        await self._deps.gatekeeper.refusals.record(
            "smart",
            NotAllowed(f"{refusal.error}: {refusal.description}"),
            subject=visit.subject if visit else None,
            address=address,
        )


_DENIED: Final = OAuthRefusal("access_denied", "the reader did not let the app in")


def _refused(redirect_uri: str, state: str, refusal: OAuthRefusal) -> str:
    told = {"error": refusal.error, "error_description": refusal.description}
    return back(redirect_uri, {**told, **({"state": state} if state else {})})
