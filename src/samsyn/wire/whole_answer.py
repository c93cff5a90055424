"""An extension of ASGI between our doors and our listener: an answer that is all there, handed over at once.

ASGI tells an answer in two or more messages, and each becomes a write of its own: for a small picture, or a frame in
its multipart, the system calls are then dearer than everything else.
"""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, Final, Protocol, TypeAlias

EXTENSION: Final = "samsyn.whole_answer"
"""Its name among the `extensions` of a request's scope. It is not there where the listener can not do it."""

SendWhole: TypeAlias = Callable[
    [int, Sequence[tuple[bytes, bytes]], Sequence[bytes | memoryview]], Awaitable[None]
]
"""`(status, headers, pieces of the body)`, instead of both ASGI messages. Content-Length must be among the headers,
whose names are in lower case, and be the length of the pieces."""

Ready: TypeAlias = tuple[int, Sequence[tuple[bytes, bytes]], Sequence[bytes | memoryview]]
"""What `SendWhole` takes."""


class AnswersAtOnce(Protocol):
    """An application that can answer some requests while the caller waits: a task costs more than a small picture."""

    def at_once(self, scope: MutableMapping[str, Any]) -> Ready | None:
        """The answer to a request without body; None = it is to be asked as an application, and nothing was done."""
