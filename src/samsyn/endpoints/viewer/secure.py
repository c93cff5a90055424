"""What protects the pages: headers, forms that only our own pages can send, bounded bodies."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request

from samsyn import limits
from samsyn.errors import BadInput, LimitExceeded, NotAllowed

PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; object-src 'none'; media-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
"""No inline script or style, no other host, no framing. `data:` is for Designsystemet's own icons."""

PAGE_HEADERS: Final = MappingProxyType(
    {
        "Content-Security-Policy": PAGE_POLICY,
        "Cache-Control": "no-store",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), microphone=(), geolocation=(), interest-cohort=()",
    }
)
"""For every page that is about somebody or somebody's session."""

FORM_FIELD: Final = "form_token"
_MAX_FIELDS: Final = 500


class Form(Mapping[str, str]):
    """The fields of a form; `every` gives all values of one that may come several times."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = pairs
        self._last = dict(pairs)

    def __getitem__(self, name: str) -> str:
        return self._last[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._last)

    def __len__(self) -> int:
        return len(self._last)

    def text(self, name: str) -> str:
        """One value without surrounding space; "" when it was not sent."""
        return self._last.get(name, "").strip()

    def every(self, name: str) -> list[str]:
        """All values of the field."""
        return [value for key, value in self._pairs if key == name]


async def read_form(request: Request) -> Form:
    """The body of a form, at most limits.MAX_FORM_BYTES. BadInput: another kind of body."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise BadInput("not a form")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limits.MAX_FORM_BYTES:
            raise LimitExceeded("MAX_FORM_BYTES")
    try:
        pairs = parse_qsl(
            body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict"
        )
    except ValueError as problem:
        raise BadInput("form fields") from problem
    return Form(pairs)


def check_origin(request: Request) -> None:
    """NotAllowed("form") unless the browser says that the request comes from our own pages."""
    own = request.headers.get("host", "").lower()
    told = request.headers.get("origin") or request.headers.get("referer") or ""
    if told:
        if not own or urlsplit(told).netloc.lower() != own:
            raise NotAllowed("form")
    elif request.headers.get("sec-fetch-site") != "same-origin":
        raise NotAllowed("form")
