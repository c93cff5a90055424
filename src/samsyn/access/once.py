"""Doing something durable once per key and time, while many ask for it at once."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable

from samsyn.clock import Clock


class Once:
    """Remembers what was done, at most `capacity` keys for `seconds`; forgetting only means doing it again."""

    def __init__(self, clock: Clock, seconds: float, capacity: int) -> None:
        self._clock = clock
        self._seconds = seconds
        self._capacity = capacity
        self._done: OrderedDict[Hashable, tuple[float, asyncio.Task[None] | None]] = OrderedDict()

    def is_done(self, key: Hashable) -> bool:
        """Whether it was finished within the time."""
        found = self._done.get(key)
        return found is not None and found[1] is None and self._clock.monotonic() - found[0] < self._seconds

    async def do(self, key: Hashable, work: Callable[[], Awaitable[None]]) -> None:
        """Returns when the work has been done for this key, by this call or by another one just before.

        A failure is raised in everybody who waits for it, and the next call tries again. A caller that goes away
        does not take the work with it.
        """
        if self.is_done(key):
            return
        found = self._done.get(key)
        task = found[1] if found is not None else None
        if task is None:
            task = asyncio.ensure_future(self._run(key, work))
            self._done[key] = (self._clock.monotonic(), task)
            self._done.move_to_end(key)
        await asyncio.shield(task)

    async def _run(self, key: Hashable, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except BaseException:
            self._done.pop(key, None)
            raise
        self._done[key] = (self._clock.monotonic(), None)
        while len(self._done) > self._capacity:
            self._done.popitem(last=False)
