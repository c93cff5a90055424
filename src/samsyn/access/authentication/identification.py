"""Who calls an HTTP door: a bearer token (system or persona) or a session cookie."""

from collections.abc import Callable, Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final
from urllib.parse import urlsplit

from samsyn.access.authentication.sessions import Session, Sessions
from samsyn.access.authentication.tokens import Tokens
from samsyn.errors import NotAllowed, NotAuthenticated
from samsyn.model.subject import Subject

SESSION_COOKIE: Final = "samsyn-session"
"""HttpOnly, SameSite=Lax, Path=/; Secure wherever the page came over TLS."""

CERTIFICATE: Final = "samsyn.certificate"
"""Key of the ASGI scope for the HSA-id in the connection's verified client certificate, "" when it has none. No
header can set it."""
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_MAX_HEADER_CHARACTERS: Final = 4_096


class Identification:
    """Tells the subject of a request; NotAuthenticated when nobody can be told.

    `systems` answers for the tokens of connected systems, `certified` for the HSA-ids in their verified client
    certificates (providers.connections).
    """

    def __init__(
        self,
        sessions: Sessions,
        tokens: Tokens,
        systems: Callable[[str], Subject | None] = lambda token: None,
        certified: Callable[[str], Subject | None] = lambda hsa_id: None,
    ) -> None:
        self._sessions = sessions
        self._tokens = tokens
        self._systems = systems
        self._certified = certified

    def identify(self, scope: Mapping[str, Any]) -> Subject:
        """The subject of an ASGI request. A bearer token goes before a cookie; where the connection has a client
        certificate, that alone tells who calls.

        A request that could change something counts with a cookie only when it comes from our own pages
        (NotAllowed otherwise): a cookie is sent by the browser, whoever made it ask.
        """
        if CERTIFICATE in scope:
            subject = self._certified(scope[CERTIFICATE])
            if subject is None:
                raise NotAuthenticated
            return subject
        headers = dict(scope["headers"])
        authorization = headers.get(b"authorization", b"").decode("latin-1")
        if authorization:
            return self._bearer(authorization)
        session = self.session(scope)
        if session is None:
            raise NotAuthenticated
        if scope.get("method", "GET") not in _SAFE_METHODS and not _from_our_pages(headers):
            raise NotAllowed("a request from another site")
        return session.subject

    def session(self, scope: Mapping[str, Any]) -> Session | None:
        """The session of the request's cookie, or None."""
        secret = session_secret(scope)
        return self._sessions.find(secret) if secret else None

    def _bearer(self, authorization: str) -> Subject:
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token or len(token) > _MAX_HEADER_CHARACTERS:
            raise NotAuthenticated
        subject = self._tokens.find(token) or self._systems(token)
        if subject is None:
            raise NotAuthenticated
        return subject


def session_secret(scope: Mapping[str, Any]) -> str:
    """The secret in the request's session cookie, "" without one."""
    for name, value in scope["headers"]:
        if name == b"cookie":
            try:
                cookie: SimpleCookie = SimpleCookie(value.decode("latin-1"))
            except CookieError:
                continue
            if SESSION_COOKIE in cookie:
                return cookie[SESSION_COOKIE].value
    return ""


def _from_our_pages(headers: Mapping[bytes, bytes]) -> bool:
    """Whether the browser says that one of our own pages made the request (Origin, Sec-Fetch-Site)."""
    site = headers.get(b"sec-fetch-site", b"").decode("latin-1")
    if site not in ("", "same-origin"):
        return False
    origin = headers.get(b"origin", b"").decode("latin-1")
    if not origin:
        return site == "same-origin"
    return urlsplit(origin).netloc == headers.get(b"host", b"").decode("latin-1")
