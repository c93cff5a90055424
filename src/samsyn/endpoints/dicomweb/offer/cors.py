"""Which pages of other origins may call the door (Fetch standard, CORS). By setting; nobody without.

A page of another origin shows a token of its own; the cookie of a browser session is never taken from it, so
credentials are not allowed here.
"""

from collections.abc import Mapping
from typing import Final

Headers = tuple[tuple[bytes, bytes], ...]

_METHODS: Final = b"GET, HEAD, POST, OPTIONS"
_REQUEST_HEADERS: Final = b"Accept, Authorization, Content-Type, If-None-Match, If-Range, Range"
_SHOWN: Final = (
    b"Accept-Ranges, Content-Disposition, Content-Range, ETag, Location, Retry-After, Warning, X-Total-Count"
)
_AGE_S: Final = b"600"


class OtherOrigins:
    """The origins that settings name."""

    def __init__(self, origins: tuple[str, ...]) -> None:
        self._origins = frozenset(origin.rstrip("/").encode("ascii", "replace") for origin in origins)

    def headers(self, request: Mapping[bytes, bytes]) -> Headers:
        """What an answer to this request carries for the browser that asked."""
        if not self._origins:
            return ()
        origin = request.get(b"origin", b"")
        if origin not in self._origins:
            return ((b"vary", b"Origin"),)
        return (
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", _SHOWN),
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
            (b"access-control-allow-headers", _REQUEST_HEADERS),
            (b"access-control-max-age", _AGE_S),
        )
