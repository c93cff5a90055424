"""Upkeep that is looked at again and again, in the background of one event loop."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from samsyn.errors import SamsynError
from samsyn.store.index.port import FAULTS
from samsyn.tasks import ended

log = logging.getLogger(__name__)


class Rounds:
    """Calls `look`, waits, calls it again; what fails is told in the log, and tried at the next look."""

    def __init__(self, name: str, look: Callable[[], Awaitable[object]], every_s: float) -> None:
        self._name = name
        self._look = look
        self._every_s = every_s
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins on the running event loop."""
        self._task = asyncio.create_task(self._run(), name=self._name)

    async def stop(self) -> None:
        """Stops between two steps; does nothing when it was never started."""
        await ended(self._task)

    async def _run(self) -> None:
        while True:
            try:
                await self._look()
            except (SamsynError, OSError, *FAULTS) as problem:
                log.warning("upkeep-failed", extra={"kind": self._name, "error": type(problem).__name__})
            except Exception as problem:
                # Upkeep that has ended tells nobody, and is missed when a disk is full or has rotted.
                log.exception("upkeep-failed", extra={"kind": self._name, "error": type(problem).__name__})
            await asyncio.sleep(self._every_s)
