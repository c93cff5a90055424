"""Taking objects out of an object store that nothing names any more: former versions of series, large bodies that were
put ahead of a record that did not come, and what attempts left.

An object goes when no row has named it for limits.RETIRED_S, as this process has seen it: readings that began before
are through by then, and an attempt that is under way is recorded or given up. A former version keeps its row until no
instance lies in it; the row goes first, by a record, and the object an hour later. An attempt of a node that stood
still for longer than that is given up for it: a record says so (`_give_up`) before its object goes.
"""

import asyncio
import logging
from typing import Final, Generic, TypeVar

from samsyn import limits
from samsyn.clock import Clock
from samsyn.errors import SamsynError
from samsyn.store.index import settled_rows
from samsyn.store.index.port import FAULTS
from samsyn.store.object_journal import ObjectJournal
from samsyn.store.objects.remote_series import RemoteSeries
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction
from samsyn.tasks import ended

log = logging.getLogger(__name__)

_LOOK_EVERY_S: Final = 900.0


K = TypeVar("K", int, str)


class _Unnamed(Generic[K]):
    """Objects that nothing names, and since when this process knows."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since: dict[K, float] = {}

    def due(self, unnamed: set[K]) -> list[K]:
        """Those that nothing has named for limits.RETIRED_S, up to now."""
        now = self._clock.monotonic()
        self._since = {each: self._since.get(each, now) for each in unnamed}
        return [each for each, since in self._since.items() if now - since >= limits.RETIRED_S]

    def clear(self) -> None:
        """Another node has the duty."""
        self._since.clear()


class Sweeping:
    """Looks through the object store now and then; does nothing where series lie in a folder."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._series: _Unnamed[int] = _Unnamed(clock)
        self._bodies: _Unnamed[str] = _Unnamed(clock)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins on the running event loop."""
        if isinstance(self._store.objects, RemoteSeries):
            self._task = asyncio.create_task(self._run(), name="sweeping")

    async def stop(self) -> None:
        """Stops between two objects."""
        await ended(self._task)
        self._series.clear()
        self._bodies.clear()

    async def _run(self) -> None:
        while True:
            try:
                await self.look()
            except (SamsynError, OSError, *FAULTS) as problem:
                log.warning("sweeping-failed", extra={"error": type(problem).__name__})
            await asyncio.sleep(_LOOK_EVERY_S)

    async def look(self) -> int:
        """Takes away what is due; how many objects those were."""
        series, journal = self._store.objects, self._store.journal
        if not isinstance(series, RemoteSeries):
            return 0
        for key in await self._store.read(settled_rows.empty_former_objects):
            await self._forget(key)
        there = await asyncio.to_thread(lambda: set(series.all_keys()))
        named = await self._store.read(settled_rows.object_keys)
        count = 0
        for key in self._series.due(there - named):
            if await self._give_up(key):
                await asyncio.to_thread(series.delete, key)
                count += 1
        if isinstance(journal, ObjectJournal):
            for name in self._bodies.due(await asyncio.to_thread(journal.unnamed_objects)):
                await asyncio.to_thread(journal.sweep, name)
                count += 1
        return count

    async def _give_up(self, key: int) -> bool:
        """Makes sure that no record can name the object any more; False: one does. Settling names only keys behind the
        last one that a record tells of."""

        def decide(transaction: Transaction) -> bool:
            if transaction.one(settled_rows.NAMING, key) is not None:
                return False
            (last,) = transaction.one("SELECT last_object FROM settled_size")
            if last < key:
                transaction.update("settled_size", {"one": 1}, last_object=key)
            return True

        return (await self._store.commit(decide)).value

    async def _forget(self, key: int) -> None:
        def decide(transaction: Transaction) -> None:
            if not settled_rows.is_named_by_rows(transaction.one, key):
                transaction.delete("former_object", object_key=key)

        await self._store.commit(decide)
