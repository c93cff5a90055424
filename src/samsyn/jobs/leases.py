"""Which node does what, when several could: leases, taken in one statement of the shared database, no leader.

A lease is held for a while and kept by renewing it; a node that is dead renews none, and another one takes over. A
node that can not renew stops what it does before the lease can be another's. All work under leases bears repetition:
a node that was asleep may wake up and finish what another has begun.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from samsyn.clock import Clock
from samsyn.errors import OutOfResources
from samsyn.store.shared.port import SharedState

log = logging.getLogger(__name__)

JOB: Final = "job"
_DUTY: Final = "duty"
_RENEWED_EACH: Final = 3
"""Attempts to renew within the time of one lease."""


class Leases:
    """The leases of this node. `owner` is new with every start: a restarted process holds nothing of its own past."""

    def __init__(self, shared: SharedState, owner: str, seconds: float) -> None:
        self._shared = shared
        self._owner = owner
        self.seconds = seconds
        """How long one is held without being renewed."""

    async def claim(self, kind: str, keys: set[str]) -> set[str]:
        """Takes or keeps these; the ones that this node holds now, none when the database does not answer."""
        if not keys:
            return set()
        with contextlib.suppress(OutOfResources):
            return await asyncio.to_thread(self._shared.claim, kind, keys, self._owner, self.seconds)
        return set()

    async def release(self, kind: str, keys: set[str]) -> None:
        """Gives these back, if that can be told; otherwise they come to their end."""
        if keys:
            with contextlib.suppress(OutOfResources):
                await asyncio.to_thread(self._shared.release, kind, keys, self._owner)


@dataclass(frozen=True, slots=True)
class Duty:
    """Something that runs on one node at a time. Starting and stopping may be repeated."""

    name: str
    start: Callable[[], Awaitable[None]]
    stop: Callable[[], Awaitable[None]]


class Duties:
    """Runs each duty on this node while its lease is here."""

    def __init__(self, leases: Leases, duties: list[Duty], clock: Clock) -> None:
        self._leases = leases
        self._duties = {duty.name: duty for duty in duties}
        self._clock = clock
        self._running: dict[str, float] = {}
        """Since when each was certainly ours, on the monotonic clock."""
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> list[str]:
        """Names of the duties that this node does now."""
        return sorted(self._running)

    def start(self) -> None:
        """Begins to take duties, on the running event loop."""
        self._task = asyncio.create_task(self._run(), name="duties")

    async def stop(self) -> None:
        """Stops all that runs here and gives the leases back, so that another node goes on at once."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        names = set(self._running)
        for name in names:
            await self._end(name)
        await self._leases.release(_DUTY, names)

    async def _run(self) -> None:
        while True:
            await self._look()
            await asyncio.sleep(self._leases.seconds / _RENEWED_EACH)

    async def _look(self) -> None:
        asked = self._clock.monotonic()
        ours = await self._leases.claim(_DUTY, set(self._duties))
        for name in ours:
            if name not in self._running:
                await self._duties[name].start()
                log.info("duty-taken", extra={"kind": name})
            self._running[name] = asked
        for name, since in list(self._running.items()):
            # What could not be renewed is stopped one look before another node may have it.
            if self._clock.monotonic() - since > self._leases.seconds * (1 - 1 / _RENEWED_EACH):
                await self._end(name)

    async def _end(self, name: str) -> None:
        del self._running[name]
        await self._duties[name].stop()
        log.info("duty-ended", extra={"kind": name})
