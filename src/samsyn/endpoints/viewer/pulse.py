"""The pulse of an open page: whether it may go on showing what it shows, and whether that is still all.

A page tells what it told as marks that mean nothing outside its session. When a consent ends, a block comes or a
lift runs out, the marks that the server answers are fewer, and the page closes itself with a message. What the page
shows has a mark of its own: when a report, a referral or a picture has come since, or was corrected, it is another
one, and the page says so.
"""

import hashlib
import hmac
import secrets
from types import MappingProxyType
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from samsyn import limits
from samsyn.access.authentication.identification import session_secret
from samsyn.access.authentication.sessions import Session, Sessions
from samsyn.access.rules import Told
from samsyn.endpoints.viewer.dependencies import ViewerDependencies
from samsyn.errors import NotFound

USED: Final = "samsyn-used"
"""With it an open page tells that its reader has used it since: a header that no other site can send. What a page asks
without it is no use of the session."""
ENDS: Final = "Samsyn-Ends"
"""Tells an open page that the session ends soon: "unused", unless somebody uses it, or "anyhow"."""
NOT_KEPT: Final = MappingProxyType({"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"})
"""Answers to a pulse are for the moment."""


class Marks:
    """Short marks for what a page tells."""

    def __init__(self, key: bytes = b"") -> None:
        """`key`: what the marks rest on, the same on all nodes: another node's answer to a page must not close it.
        Empty = one that lives as long as the process."""
        self._key = key or secrets.token_bytes(32)

    def of(self, session_id: str, told: frozenset[Told]) -> list[str]:
        """One mark for each thing told, in an order that tells nothing."""
        return sorted(self._mark(session_id, *each) for each in told)

    def of_state(self, session_id: str, state: str) -> str:
        """The mark of a state of what is shown (History.state)."""
        return self._mark(session_id, "state", state)

    def _mark(self, *names: str) -> str:
        return hmac.new(self._key, "\n".join(names).encode(), hashlib.sha256).hexdigest()[:16]


def alive(sessions: Sessions, request: Request) -> tuple[Session | None, dict[str, str]]:
    """The session of a page that asks, None when it is over, and the headers of the answer."""
    secret, headers = session_secret(request.scope), dict(NOT_KEPT)
    found = sessions.find(secret) if USED in request.headers else sessions.look(secret)
    ending = sessions.ending(secret) if found is not None else None
    if ending is not None and ending.seconds <= limits.SESSION_WARNED_S:
        headers[ENDS] = "unused" if ending.can_go_on else "anyhow"
    return found, headers


class Pulse:
    """The addresses /pulse and /p/{handle}/pulse."""

    def __init__(self, deps: ViewerDependencies, marks: Marks) -> None:
        self._deps = deps
        self._marks = marks

    def routes(self) -> list[BaseRoute]:
        """The addresses of this part."""
        return [
            Route("/pulse", self.session, methods=["GET"]),
            Route("/p/{handle}/pulse", self.patient, methods=["GET"]),
        ]

    async def session(self, request: Request) -> Response:
        """204 while the session lasts, 401 when it is over."""
        found, headers = alive(self._deps.sessions, request)
        return Response(status_code=204 if found else 401, headers=headers)

    async def patient(self, request: Request) -> Response:
        """The marks of what may be told of the opened person now, and of its state; 401 without session, 404 when he
        was closed."""
        session, headers = alive(self._deps.sessions, request)
        if session is None:
            return Response(status_code=401, headers=NOT_KEPT)
        subject = session.subject
        try:
            key = self._deps.opened.look(subject.session_id, request.path_params["handle"])
        except NotFound:
            return Response(status_code=404, headers=NOT_KEPT)
        if subject.assignment is None or not subject.reads_for_care:
            return Response(status_code=404, headers=NOT_KEPT)
        view = await self._deps.gatekeeper.watching(subject, frozenset({key}), subject.assignment.purpose)
        state = await self._deps.history.state(view)
        answer = {
            "shown": self._marks.of(subject.session_id, view.told),
            "state": self._marks.of_state(subject.session_id, state),
        }
        return JSONResponse(answer, headers=headers)
