"""Apps that run in a browser, from an origin of their own (SMART App Launch 2.2, CORS support).

What a server tells everybody may be read from any origin; FHIR and the token endpoint from those that the settings
register apps with.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from samsyn.wire.other_origins import Headers, OtherOrigins

_PUBLIC: Final = frozenset(
    {
        "/fhir/metadata",
        "/fhir/.well-known/smart-configuration",
        "/smart/.well-known/openid-configuration",
        "/smart/keys",
    }
)
_NOT_FOR_BROWSERS: Final = frozenset({"/smart/launches"})
_ASKED_BEFORE: Final = ("/fhir", "/fhir/{rest:path}", "/smart/token", "/smart/revoke")
_SENT: Final = b"Accept, Authorization, Content-Type, If-Modified-Since, If-None-Match"
_SHOWN: Final = b"ETag, Last-Modified, Location, Retry-After, WWW-Authenticate"
_ANY: Final[Headers] = ((b"access-control-allow-origin", b"*"),)


def for_browsers(routes: Sequence[Route], origins: Iterable[str]) -> list[Route]:
    """The routes as pages of other origins may call them; as they are where no app has any."""
    registered = OtherOrigins(origins, _SENT, _SHOWN)
    if not registered:
        return list(routes)

    async def preflight(request: Request) -> Response:
        told = registered.preflight(dict(request.scope["headers"]))
        answer = Response(status_code=405 if told is None else 204)
        answer.raw_headers.extend(told or ())
        return answer

    asked_before = [Route(path, preflight, methods=["OPTIONS"]) for path in _ASKED_BEFORE]
    return [_opened(each, registered) for each in (*asked_before, *routes)]


def _opened(route: Route, registered: OtherOrigins) -> Route:
    if route.path in _NOT_FOR_BROWSERS:
        return route
    around = Middleware(_Around, None if route.path in _PUBLIC else registered)
    return Route(route.path, route.endpoint, methods=route.methods, middleware=[around])


class _Around:
    """Puts the headers on every answer of one route."""

    def __init__(self, app: ASGIApp, registered: OtherOrigins | None) -> None:
        """`registered`: None = any origin."""
        self._app = app
        self._registered = registered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        added = _ANY if self._registered is None else self._registered.headers(dict(scope["headers"]))

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *added]}
            await send(message)

        await self._app(scope, receive, sending)
