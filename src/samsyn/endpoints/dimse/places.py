"""Who may retrieve now: places shared by all receivers, so that a slow one leaves some for the others."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Places:
    """Gives out a number of places. A receiver gets one more only while more are free than it holds: alone it has half
    of them at the most, and whoever holds none waits only when all are taken."""

    def __init__(self, total: int) -> None:
        self._free = total
        self._held: Counter[str] = Counter()
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def taken(self, receiver: str) -> AsyncIterator[None]:
        """A place for as long as the context lasts; waits for it behind the receiver's own earlier ones."""
        place = receiver, asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        self._give()
        try:
            await place[1]
            yield
        finally:
            if place in self._waiting:
                self._waiting.remove(place)
            else:
                self._free += 1
                self._held -= Counter({receiver: 1})
            self._give()

    def _give(self) -> None:
        """Gives what is free to those who may have it, in the order in which they came."""
        for place in list(self._waiting):
            receiver, given = place
            if self._free <= self._held[receiver]:
                continue
            self._waiting.remove(place)
            self._free -= 1
            self._held[receiver] += 1
            if not given.done():
                given.set_result(None)
