"""What is submitted in one turn of an event loop is handed to the writer's thread together (ADR 0033)."""

import asyncio
import queue

from samsyn.store.submitted import Submitted


class HandingOver:
    """Between the loops and the thread's queue. Order is kept."""

    def __init__(self, to: "queue.SimpleQueue[Submitted | None]") -> None:
        self._queue = to
        self._coming: dict[asyncio.AbstractEventLoop, list[Submitted]] = {}
        """What was submitted in this turn of a loop."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits to be handed over."""
        return not self._coming

    def waiting(self, loop: asyncio.AbstractEventLoop) -> int:
        """How much of this turn of the loop waits to be handed over."""
        return len(self._coming.get(loop, ()))

    def take(self, item: Submitted, is_alone: bool) -> None:
        """Lets the thread have it with whatever else comes in this turn of the loop: woken by the first, it would take
        the interpreter from the others for a turn of one. Who comes alone does not wait."""
        coming = self._coming.get(item.loop)
        if coming is not None:
            coming.append(item)
        elif is_alone:
            self._queue.put(item)
        else:
            self._coming[item.loop] = [item]
            item.loop.call_soon(self._hand_over, item.loop)

    def finish(self) -> None:
        """Hands over all that is left."""
        for loop in tuple(self._coming):
            self._hand_over(loop)

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        for item in self._coming.pop(loop, ()):
            self._queue.put(item)
