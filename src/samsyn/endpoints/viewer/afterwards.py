"""Whereto a browser goes on after a log-in: to the page that it came for, and to no other site.

The address waits in a cookie of the browser, so that it stands in no log and in no other address, until a session with
an assignment is there. What was sent with a form is never sent again: the patient's page is shown instead.
"""

import re
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from samsyn import limits

AFTER_COOKIE: Final = "samsyn-after"
"""The address to go on with; lives as long as a log-in may take."""
_MAX_CHARACTERS: Final = 1_000
"""More than any address of ours has."""
_PATIENT: Final = re.compile(r"(/p/([\w-]{24})/)(?:[!-~]*)", re.ASCII)
"""An address of an opened patient, with its handle."""


def is_ours(address: str) -> bool:
    """Whether it is a path of this site, whatever a browser makes of it: no other host, no line's end."""
    return address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()


def handle_in(address: str) -> str:
    """The handle of the patient whose page it is, or ""."""
    found = _PATIENT.fullmatch(address)
    return found[2] if found else ""


def came_for(request: Request) -> str:
    """What the browser is to be shown after the log-in; "" = the start page.

    Pictures, scripts and frames of a page are nothing to go on with; a part of a page (htmx) belongs to its page.
    """
    if request.headers.get("hx-request"):
        page = urlsplit(request.headers.get("hx-current-url", ""))
        if page.netloc.lower() != request.headers.get("host", "").lower():
            return ""
        address = page.path
    elif request.headers.get("sec-fetch-dest", "document") != "document":
        return ""
    else:
        address = quote(request.url.path) + (f"?{request.url.query}" if request.url.query else "")
    if request.method != "GET":
        found = _PATIENT.fullmatch(address)
        return found[1] if found else ""
    return address


def remember(request: Request, answer: Response, address: str) -> None:
    """The browser keeps the address while its reader logs in."""
    if address in ("", "/") or not is_ours(address) or len(address) > _MAX_CHARACTERS:
        return
    answer.set_cookie(
        AFTER_COOKIE,
        quote(address, safe=""),
        max_age=limits.LOGIN_SECONDS,
        path="/",
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )


def remembered(request: Request) -> str:
    """The address that was kept; "/" when there is none, or when it leads elsewhere."""
    address = unquote(request.cookies.get(AFTER_COOKIE, ""))
    return address if is_ours(address) and len(address) <= _MAX_CHARACTERS else "/"


def forget(answer: Response) -> None:
    """The browser has gone on."""
    answer.delete_cookie(AFTER_COOKIE, path="/", httponly=True, samesite="lax")
