"""Storing many objects over one association: the next one stands ready when the answer to the one before comes.

Only one C-STORE is under way at a time. To read, check and frame the next in the meantime takes that off the way
between an answer and the next object, on which nothing else goes on.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from samsyn.model.imaging import StoredInstance
from samsyn.wire.assembly import PIECE_BYTES, Message, message_parts
from samsyn.wire.dimse import StoreRequest

Answered: TypeAlias = Callable[[Message | None], None]
"""Hears the answer to a request; None = the association is gone, or the peer let its time pass."""
Told: TypeAlias = Callable[[StoredInstance, Message | None], bool]
"""Hears how an object fared, None as in `Answered`; whether the next one may leave. Must not raise."""
_Framed: TypeAlias = tuple[StoredInstance, int, Sequence[bytes | memoryview]]


class Line(Protocol):
    """An association that one side stores over."""

    @property
    def peer_maximum_length(self) -> int:
        """See Association."""

    @property
    def is_writable(self) -> bool:
        """Whether the peer has taken enough of what was written."""

    async def writable(self) -> None:
        """Waits until it is."""

    def new_message_id(self) -> int:
        """A message id for one request."""

    def post(self, message_id: int, pieces: Sequence[bytes | memoryview], answered: Answered) -> None:
        """Writes a whole request at once; `answered` is called once, before this returns when nothing can be written
        any more. The peer has as long as for any other request."""


def fits(data: bytes | memoryview) -> bool:
    """Whether an object is small enough to wait in memory beside the one that is under way."""
    return len(data) < PIECE_BYTES


class OneAhead:
    """Sends objects in order, each given once. Holds at most two of `fits` in memory."""

    def __init__(self, line: Line, told: Told) -> None:
        self._line = line
        self._told = told
        self._under_way: StoredInstance | None = None
        self._ready: _Framed | None = None
        self._changed: asyncio.Future[None] | None = None
        self.is_over = False
        """Nothing leaves any more: the association is gone, or `told` said so."""

    async def send(
        self, instance: StoredInstance, context_id: int, request: StoreRequest, data: bytes | memoryview
    ) -> None:
        """Returns when the object has left, so that the next one can be prepared; nothing once all is over."""
        pieces = list(message_parts(context_id, request, data, self._line.peer_maximum_length))
        self._ready = instance, request.message_id, pieces
        while self._ready is not None and not self.is_over:
            if self._under_way is None:
                await self._line.writable()
                self._go()
            else:
                await self._change()

    async def finish(self) -> None:
        """Waits for the last answer."""
        while self._under_way is not None and not self.is_over:
            await self._change()

    async def _change(self) -> None:
        self._changed = asyncio.get_running_loop().create_future()
        await self._changed
        self._changed = None

    def _go(self) -> None:
        if self._ready is None or self._under_way is not None or self.is_over:
            return
        self._under_way, message_id, pieces = self._ready
        self._ready = None
        self._line.post(message_id, pieces, self._answered)

    def _answered(self, message: Message | None) -> None:
        instance, self._under_way = self._under_way, None
        assert instance is not None
        if not self._told(instance, message) or message is None:
            self.is_over, self._ready = True, None
        elif self._line.is_writable:
            # A peer that answers what it has not read gets no more until it does.
            self._go()
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)
