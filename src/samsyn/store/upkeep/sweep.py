"""Taking series objects out of an object store that nothing names any more: former versions, and what attempts left.

An object goes when no row has named it for limits.RETIRED_S, as this process has seen it: readings that began before
are through by then, and an attempt that is under way is recorded or given up. A former version keeps its row until no
instance lies in it; the row goes first, by a record, and the object an hour later.
"""

import asyncio
import contextlib
import logging
from typing import Final

from samsyn import limits
from samsyn.clock import Clock
from samsyn.errors import SamsynError
from samsyn.store.index import settled_rows
from samsyn.store.index.port import FAULTS
from samsyn.store.objects.remote_series import RemoteSeries
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction

log = logging.getLogger(__name__)

_LOOK_EVERY_S: Final = 900.0


class Sweeping:
    """Looks through the object store now and then; does nothing where series lie in a folder."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._unnamed: dict[int, float] = {}
        """Objects that nothing names, and since when this process knows."""
        self._task: asyncio.Task[None] | None = None
        self.swept = 0
        """Objects taken away since start, for metrics."""

    def start(self) -> None:
        """Begins on the running event loop."""
        if isinstance(self._store.objects, RemoteSeries):
            self._task = asyncio.create_task(self._run(), name="sweeping")

    async def stop(self) -> None:
        """Stops between two objects."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._unnamed.clear()

    async def _run(self) -> None:
        while True:
            try:
                await self.look()
            except (SamsynError, OSError, *FAULTS) as problem:
                log.warning("sweeping-failed", extra={"error": type(problem).__name__})
            await asyncio.sleep(_LOOK_EVERY_S)

    async def look(self) -> int:
        """Takes away what is due; how many objects those were."""
        series = self._store.objects
        if not isinstance(series, RemoteSeries):
            return 0
        for key in await self._store.read(settled_rows.empty_former_objects):
            await self._forget(key)
        there = await asyncio.to_thread(lambda: set(series.keys()))
        named = await self._store.read(settled_rows.object_keys)
        now = self._clock.monotonic()
        self._unnamed = {key: self._unnamed.get(key, now) for key in there - named}
        due = [key for key, since in self._unnamed.items() if now - since >= limits.RETIRED_S]
        for key in due:
            await asyncio.to_thread(series.delete, key)
            del self._unnamed[key]
            self.swept += 1
        return len(due)

    async def _forget(self, key: int) -> None:
        def decide(transaction: Transaction) -> None:
            if not settled_rows.is_named_by_rows(transaction.one, key):
                transaction.delete("former_object", object_key=key)

        await self._store.commit(decide)
