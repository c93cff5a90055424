"""An extension of ASGI between our doors and our listener: the body of a request is read to where it is wanted.

ASGI hands a body on in pieces of what the listener happened to read, each copied some five times and told by an event
of its own to a task: for an object of some hundred kB that costs more than storing it.
"""

from collections.abc import Callable, MutableMapping
from typing import Any, Final, Protocol

from samsyn.wire.whole_answer import Ready


class BodyTaker(Protocol):
    """Takes the body of one request. Nothing here raises."""

    def room(self) -> memoryview:
        """Where the next bytes go; never empty before the whole body has come."""

    def filled(self, count: int) -> None:
        """So many bytes of the room were written."""

    def gone(self) -> None:
        """The client went away before the whole body had come; no answer is needed any more."""


CONNECTION: Final = "samsyn.connection"
"""Key in the scope of a request that `take_body` is asked about: a dictionary in which the application may keep what it
knows of the connection. A request whose head is that of the one before, byte for byte, comes with the same scope."""


class TakesBodies(Protocol):
    """An application that can take the bodies of some requests itself."""

    def take_body(
        self, scope: MutableMapping[str, Any], length: int, answered: Callable[[Ready], None]
    ) -> BodyTaker | None:
        """Who takes a body of `length` bytes, more than none; None = the application is to be asked, and nothing was
        done. `answered` is told the answer once, when the whole body has come or later."""
