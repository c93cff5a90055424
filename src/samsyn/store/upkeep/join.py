"""Joining what is left of old journal segments in an object store to larger objects; see `objects.joined`.

A segment is joined when it has nothing more to give back, which a row says. First the joined object is put and read
back, then the small ones go. A crash in between leaves both, which say the same; the next look takes the small ones
away.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from samsyn import limits
from samsyn.clock import Clock
from samsyn.store.index import settled_rows
from samsyn.store.object_journal import ObjectJournal
from samsyn.store.store import Store
from samsyn.store.upkeep.rounds import Rounds

_LOOK_EVERY_S: Final = 1_800.0


class SegmentJoining:
    """Looks now and then; does nothing where the journal lies in a folder."""

    def __init__(self, store: Store, clock: Clock, is_busy: Callable[[], bool] = lambda: False) -> None:
        self._store = store
        self._clock = clock
        self._is_busy = is_busy
        self._rounds = Rounds("joining", self.look, _LOOK_EVERY_S)
        self.joined = 0
        """Segments joined since start, for metrics."""

    def start(self) -> None:
        """Begins on the running event loop."""
        if isinstance(self._store.journal, ObjectJournal):
            self._rounds.start()

    async def stop(self) -> None:
        """Stops; what was not ended is done by the next look."""
        await self._rounds.stop()

    async def look(self) -> int:
        """Joins what is ready; how many segments were."""
        journal, joined = self._store.journal, 0
        if not isinstance(journal, ObjectJournal):
            return 0
        ready = await self._store.read(settled_rows.given_back)
        for group in await asyncio.to_thread(journal.not_joined, ready):
            if len(group) >= limits.SMALLEST_JOIN and not self._is_busy():
                joined += await asyncio.to_thread(journal.join, group)
        self.joined += joined
        return joined
