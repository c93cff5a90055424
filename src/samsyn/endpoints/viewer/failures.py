"""What a person sees where no page answers: an unknown address, another method, a fault of ours.

A browser asks for HTML and gets a page in its language, with a way on; whoever does not ask for it is a system and
keeps the plain answer. An unknown address is told in the same bytes as what is hidden.
"""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from samsyn.clock import Clock
from samsyn.endpoints.viewer.visits import Visits
from samsyn.endpoints.viewer.wording import moment

FailureAnswer = Callable[[Request, Exception], Awaitable[Response]]

_WORDS: Final = {404: "message.not_found", 405: "message.method"}


class Failures:
    """The answers to what is raised outside our endpoints."""

    def __init__(self, visits: Visits, clock: Clock) -> None:
        self._visits = visits
        self._clock = clock

    def answers(self) -> Mapping[int | type[Exception], FailureAnswer]:
        """By status or kind of exception, as Starlette takes them."""
        return {404: self.unanswered, 405: self.unanswered, Exception: self.fault}

    async def unanswered(self, request: Request, problem: Exception) -> Response:
        """No route has the address, or not with this method."""
        assert isinstance(problem, HTTPException)
        headers = dict(problem.headers or {})
        if not _is_person(request):
            return PlainTextResponse(problem.detail, problem.status_code, headers)
        return self._visits.message(request, problem.status_code, _WORDS[problem.status_code], headers)

    async def fault(self, request: Request, problem: Exception) -> Response:
        """What nobody foresaw; it is in the operations log already, at the time that the page tells."""
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        if not _is_person(request):
            return PlainTextResponse(status.phrase, status)
        return self._visits.message(request, status, "message.fault", noted=moment(self._clock.now()))


def _is_person(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")
