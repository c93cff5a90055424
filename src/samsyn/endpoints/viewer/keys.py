"""Whether single letters are shortcuts in this browser: who dictates to the computer, or whose hand shakes, presses
them without meaning to, so they can be switched off (WCAG 2.1, 2.1.4)."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

COOKIE: Final = "samsyn_keys"
"""What the browser remembers, with nobody's name in it."""
_OFF: Final = "off"
_SECONDS: Final = 365 * 24 * 3600


def has_keys(request: Request) -> bool:
    """Whether the pages listen to single letters; they do unless they were told not to."""
    return request.cookies.get(COOKIE) != _OFF


def choose_keys(answer: Response, choice: str) -> None:
    """Remembers the choice in the browser: "off", or anything else for on."""
    if choice == _OFF:
        answer.set_cookie(COOKIE, _OFF, max_age=_SECONDS, path="/", httponly=True, samesite="lax")
    else:
        answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")
