"""An extension of ASGI between our doors and our listener: an answer that is all there, handed over at once.

ASGI tells an answer in two or more messages, and each becomes a write of its own: for a small picture, or a frame in
its multipart, the system calls are then dearer than everything else.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

EXTENSION: Final = "samsyn.whole_answer"
"""Its name among the `extensions` of a request's scope. It is not there where the listener can not do it."""

SendWhole: TypeAlias = Callable[[int, Sequence[tuple[bytes, bytes]], Sequence[bytes]], Awaitable[None]]
"""`(status, headers, pieces of the body)`, instead of both ASGI messages. Content-Length must be among the headers,
whose names are in lower case, and be the length of the pieces."""
