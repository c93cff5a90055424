"""Which pages of other origins may call a door (Fetch standard, CORS). By setting; nobody without.

A page of another origin shows a token of its own; the cookie of a browser session is never taken from it, so
credentials are not allowed here.
"""

from collections.abc import Iterable, Mapping
from typing import Final

Headers = tuple[tuple[bytes, bytes], ...]

_METHODS: Final = b"GET, HEAD, POST, DELETE, OPTIONS"
_AGE_S: Final = b"600"


class OtherOrigins:
    """The origins that settings name. `sent`: which headers their requests may have; `shown`: which of an answer's
    their pages may read."""

    def __init__(self, origins: Iterable[str], sent: bytes, shown: bytes) -> None:
        self._origins = frozenset(origin.rstrip("/").encode("ascii", "replace") for origin in origins)
        self._sent = sent
        self._shown = shown

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._origins)

    def headers(self, request: Mapping[bytes, bytes]) -> Headers:
        """What an answer to this request carries for the browser that asked."""
        if not self._origins:
            return ()
        origin = request.get(b"origin", b"")
        if origin not in self._origins:
            return ((b"vary", b"Origin"),)
        return (
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", self._shown),
            (b"vary", b"Origin"),
        )

    def preflight(self, request: Mapping[bytes, bytes]) -> Headers | None:
        """What a question before the request is answered with; None when it is none, or of an origin that is not
        named."""
        if (
            b"access-control-request-method" not in request
            or request.get(b"origin", b"") not in self._origins
        ):
            return None
        return (
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", self._sent),
            (b"access-control-max-age", _AGE_S),
        )
