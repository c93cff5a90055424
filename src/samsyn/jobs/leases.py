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
from typing import Final, Protocol

from samsyn.clock import Clock
from samsyn.errors import OutOfResources, SamsynError
from samsyn.store.index.port import FAULTS
from samsyn.store.shared.port import SharedState
from samsyn.tasks import ended

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
    meanwhile: Callable[[], Awaitable[None]] | None = None
    """What a node does now and then while another one has the duty: reading what that one has found out."""


class Runnable(Protocol):
    """Something that runs in the background."""

    def start(self) -> None:
        """Begins."""

    async def stop(self) -> None:
        """Ends; it may be started again."""


def duty_of(name: str, runnable: Runnable) -> Duty:
    """A duty that is started without waiting."""

    async def start() -> None:
        runnable.start()

    return Duty(name, start, runnable.stop)


class Duties:
    """Runs each duty on this node while its lease is here; all of them, where there is no other node."""

    def __init__(self, leases: Leases | None, clock: Clock) -> None:
        self._leases = leases
        self._duties: dict[str, Duty] = {}
        self._clock = clock
        self._running: dict[str, float] = {}
        """Since when each was certainly ours, on the monotonic clock."""
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> list[str]:
        """Names of the duties that this node does now."""
        return sorted(self._running)

    async def start(self, duties: list[Duty]) -> None:
        """Begins to take the duties, on the running event loop."""
        self._duties = {duty.name: duty for duty in duties}
        if self._leases is not None:
            self._task = asyncio.create_task(self._run(self._leases), name="duties")
            return
        for duty in duties:
            await duty.start()
            self._running[duty.name] = self._clock.monotonic()

    async def stop(self) -> None:
        """Stops all that runs here and gives the leases back, so that another node goes on at once."""
        await ended(self._task)
        names = set(self._running)
        for name in names:
            await self._end(name)
        if self._leases is not None:
            await self._leases.release(_DUTY, names)

    async def _run(self, leases: Leases) -> None:
        while True:
            try:
                await self._look(leases)
            except (SamsynError, OSError, *FAULTS) as problem:
                log.warning("duty-failed", extra={"error": type(problem).__name__})
            await asyncio.sleep(leases.seconds / _RENEWED_EACH)

    async def _look(self, leases: Leases) -> None:
        asked = self._clock.monotonic()
        ours = await leases.claim(_DUTY, set(self._duties))
        for name in ours:
            if name not in self._running:
                await self._duties[name].start()
                log.info("duty-taken", extra={"kind": name})
            self._running[name] = asked
        for name, since in list(self._running.items()):
            # What could not be renewed is stopped one look before another node may have it.
            if self._clock.monotonic() - since > leases.seconds * (1 - 1 / _RENEWED_EACH):
                await self._end(name)
        for name, duty in self._duties.items():
            if name not in self._running and duty.meanwhile is not None:
                await duty.meanwhile()

    async def _end(self, name: str) -> None:
        del self._running[name]
        await self._duties[name].stop()
        log.info("duty-ended", extra={"kind": name})
