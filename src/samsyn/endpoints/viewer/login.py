"""Log-in, log-out and change of assignment: the pages around the log-in desk."""

from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from samsyn.access.authentication.identification import SESSION_COOKIE, session_secret
from samsyn.access.authentication.sessions import Session
from samsyn.access.events import Event, entry
from samsyn.access.left import LeftPages
from samsyn.endpoints.viewer.afterwards import forget, handle_in, is_ours, remembered
from samsyn.endpoints.viewer.dependencies import ViewerDependencies
from samsyn.endpoints.viewer.language import COOKIE as LANGUAGE_COOKIE
from samsyn.endpoints.viewer.language import LANGUAGES
from samsyn.endpoints.viewer.pages import go_to
from samsyn.endpoints.viewer.secure import check_origin, read_form
from samsyn.endpoints.viewer.visits import CHOOSE, OWN_RECORD, Visit, Visits
from samsyn.errors import NotAuthenticated, NotFound, NotSupported, OutOfResources
from samsyn.model.subject import Subject

BINDING_COOKIE: Final = "samsyn-login"
"""Binds a log-in under way to the browser that began it; lives as long as the log-in may."""
_BINDING_SECONDS: Final = 600
_STARTS: Final = (OWN_RECORD, "/blocks", "/steward/guardians")
"""Where pages begin that tell of a person under a handle which ends with the session: they are gone on with there."""
_LANGUAGE_SECONDS: Final = 365 * 24 * 3600
_MAX_ANSWER_CHARACTERS: Final = 4_096


class Login:
    """The addresses under /login, and /logout, /assignment and /language."""

    def __init__(self, deps: ViewerDependencies, visits: Visits, left: LeftPages) -> None:
        self._deps = deps
        self._left = left
        self._visits = visits

    def routes(self) -> list[BaseRoute]:
        """The addresses of this part."""
        anybody, staff = self._visits.anybody, self._visits.staff
        return [
            Route("/login", anybody(self.page), methods=["GET"]),
            Route("/login/start", anybody(self.start), methods=["GET"]),
            Route("/login/callback", anybody(self.callback), methods=["GET"]),
            Route("/login/backchannel", anybody(self.told_to_end), methods=["POST"]),
            Route("/login/saml/acs", anybody(self.receive), methods=["POST"]),
            Route("/login/saml/continue", anybody(self.fetch), methods=["GET"]),
            Route("/login/saml/logout", anybody(self.asked_to_end), methods=["GET"]),
            Route("/login/saml/metadata", anybody(self.metadata), methods=["GET"]),
            Route("/logout", staff(self.leave), methods=["POST"]),
            Route("/assignment", staff(self.change), methods=["POST"]),
            Route(CHOOSE, staff(self.ask_assignment), methods=["GET"]),
            Route(CHOOSE, staff(self.choose_assignment), methods=["POST"]),
            Route("/language", anybody(self.language), methods=["POST"]),
        ]

    async def page(self, request: Request) -> Response:
        """The button to the identity provider, with what happened before."""
        because = request.query_params.get("because", "")
        return self._page(request, because if because in ("expired", "logged_out") else "")

    async def start(self, request: Request) -> Response:
        """Sends the browser to the identity provider."""
        return await self._begin(request, choose_again=False)

    async def callback(self, request: Request) -> Response:
        """What the browser brings back from the identity provider becomes a session, or a calm refusal."""
        sent = {name: request.query_params.get(name, "") for name in ("state", "code", "iss")}
        if any(len(text) > _MAX_ANSWER_CHARACTERS for text in sent.values()):
            return self._page(request, "failed", 400)
        try:
            secret, session = await self._deps.desk.finish(
                state=sent["state"],
                code=sent["code"],
                binding=request.cookies.get(BINDING_COOKIE, ""),
                issuer=sent["iss"],
                before=session_secret(request.scope),
                address=_caller(request),
            )
        except NotAuthenticated:
            return self._page(request, "failed", 403)
        except OutOfResources:
            return self._page(request, "failed", 503)
        return await self._logged_in(request, secret, session)

    async def told_to_end(self, request: Request) -> Response:
        """OpenID Connect Back-Channel Logout 1.0: the provider's server tells which session has ended."""
        form = await read_form(request)
        try:
            await self._deps.desk.told_to_end(form.text("logout_token"), _caller(request))
        except (NotAuthenticated, OutOfResources):
            return JSONResponse({"error": "invalid_request"}, 400, {"Cache-Control": "no-store"})
        return Response(status_code=200, headers={"Cache-Control": "no-store"})

    async def receive(self, request: Request) -> Response:
        """The form that the SAML identity provider's page sends, without our cookies (SameSite): verified, put
        aside, and the browser sent to fetch it with them."""
        form = await read_form(request)
        try:
            ticket = await self._deps.desk.receive(
                form.text("SAMLResponse"), form.text("RelayState"), _caller(request)
            )
        except (NotAuthenticated, NotSupported):
            return self._page(request, "failed", 403)
        return go_to(f"/login/saml/continue?ticket={ticket}")

    async def fetch(self, request: Request) -> Response:
        """A verified SAML response becomes the session of the browser that began the log-in, and of no other."""
        try:
            secret, session = await self._deps.desk.finish_saml(
                ticket=request.query_params.get("ticket", ""),
                binding=request.cookies.get(BINDING_COOKIE, ""),
                before=session_secret(request.scope),
                address=_caller(request),
            )
        except NotAuthenticated:
            return self._page(request, "failed", 403)
        except OutOfResources:
            return self._page(request, "failed", 503)
        return await self._logged_in(request, secret, session)

    async def asked_to_end(self, request: Request) -> Response:
        """Single log-out: the identity provider's signed request ends its sessions here; its answer to ours is a
        log-out page."""
        if "SAMLRequest" not in request.query_params:
            return go_to("/login?because=logged_out")
        try:
            return go_to(await self._deps.desk.asked_to_end(request.query_params, _caller(request)))
        except NotAuthenticated:
            return self._page(request, "failed", 403)

    async def metadata(self, request: Request) -> Response:
        """Our SAML metadata, for the identity provider."""
        try:
            told = self._deps.desk.saml_metadata()
        except NotAuthenticated:
            raise NotFound from None
        return Response(told, media_type="application/samlmetadata+xml")

    async def _logged_in(self, request: Request, secret: str, session: Session) -> Response:
        """On to what the browser came for; while an assignment is to be chosen, that waits."""
        if session.choices:
            answer = go_to(CHOOSE)
        else:
            answer = go_to(await self._goes_on(remembered(request), session.subject))
            forget(answer)
        secure = request.url.scheme == "https"
        answer.set_cookie(SESSION_COOKIE, secret, path="/", httponly=True, samesite="lax", secure=secure)
        answer.delete_cookie(BINDING_COOKIE, path="/login", httponly=True, samesite="lax", secure=secure)
        return answer

    async def _goes_on(self, address: str, reader: Subject) -> str:
        """The address, with the patient opened anew for whom he was open; the start page instead of another's page."""
        for start in _STARTS:
            if address.startswith(f"{start}/"):
                return start
        if not address.startswith("/p/"):
            return address
        handle = handle_in(address)
        key = self._left.patient_key(reader, handle) if handle else None
        if key is None or not reader.reads_for_care:
            return "/"
        details = {"door": "viewer", "kind": "again"}
        await self._deps.gatekeeper.record(entry(reader, Event.SEARCH_PATIENT, key, details=details))
        self._deps.opened.open(reader.session_id, key, handle)
        return address

    async def leave(self, visit: Visit) -> Response:
        """Ends the session here and at the identity provider; what it had opened is closed at once, for good."""
        for handle, _ in self._deps.opened.latest(visit.subject.session_id):
            self._left.forget(handle)
        address = await self._deps.desk.log_out(session_secret(visit.request.scope))
        answer = go_to(address or "/login?because=logged_out")
        answer.delete_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="lax")
        answer.headers["Clear-Site-Data"] = '"cache", "storage"'
        return answer

    async def change(self, visit: Visit) -> Response:
        """Another assignment is another log-in; the present session lasts until that has succeeded."""
        return await self._begin(visit.request, choose_again=True)

    async def ask_assignment(self, visit: Visit) -> Response:
        """The assignments that the directory has in force; what was already chosen is changed by a new log-in."""
        if not visit.session.choices:
            return go_to("/")
        return self._visits.show(visit, "assignment.html", "login", {"choices": visit.session.choices})

    async def choose_assignment(self, visit: Visit) -> Response:
        """The chosen assignment makes a new session."""
        secret, session = await self._deps.desk.choose(
            session_secret(visit.request.scope), visit.form.text("assignment")
        )
        return await self._logged_in(visit.request, secret, session)

    async def language(self, request: Request) -> Response:
        """Remembers the chosen language in this browser and goes back."""
        check_origin(request)
        form = await read_form(request)
        language, back = form.text("language"), form.text("to")
        answer = go_to(back if is_ours(back) else "/")
        if language in LANGUAGES:
            answer.set_cookie(
                LANGUAGE_COOKIE, language, max_age=_LANGUAGE_SECONDS, path="/", httponly=True, samesite="lax"
            )
        return answer

    async def _begin(self, request: Request, choose_again: bool) -> Response:
        try:
            begun = await self._deps.desk.begin(choose_again=choose_again)
        except (NotAuthenticated, OutOfResources):
            return self._page(request, "failed", 503)
        answer = go_to(begun.address)
        answer.set_cookie(
            BINDING_COOKIE,
            begun.binding,
            max_age=_BINDING_SECONDS,
            path="/login",
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return answer

    def _page(self, request: Request, trouble: str, status: int = 200) -> Response:
        words = self._visits.pages.words(request)
        values = {
            "page": "login",
            "here": "/login",
            "trouble": words(f"login.{trouble}") if trouble else "",
            "trouble_text": words("login.failed_text") if trouble == "failed" else "",
            "trouble_kind": "warning" if trouble == "failed" else "info",
        }
        return self._visits.pages.show(request, "login.html", values, status)


def _caller(request: Request) -> str:
    return request.client.host if request.client else ""
