"""Giving back the journal's space: the bytes of settled instances are taken out of closed segments.

A hole is made where a body lay (the file keeps its length, the file system gets the blocks back). So every place in
the journal stays what it was, every record keeps its header and its number, and texts, audit entries and registers
are never moved. A body goes only when its series has been settled for limits.RETIRED_S, and when the same bytes have
just been read from the object and have their hash. A crash in between leaves some holes made and others not, which
the next look finds.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final

from samsyn import limits
from samsyn.clock import Clock
from samsyn.model.imaging import StoredInstance
from samsyn.store.index import settled_rows, upkeep_rows
from samsyn.store.index.port import IndexConnection
from samsyn.store.records import has_hash
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction
from samsyn.store.upkeep.rounds import Rounds

_LOOK_EVERY_S: Final = 600.0
_STEP: Final = 64


@dataclass(frozen=True, slots=True)
class _Body:
    """An instance's bytes in a closed segment."""

    sop_uid: str
    sha256: str
    segment: int
    offset: int
    length: int


class GivingBack:
    """Looks through closed segments now and then. One per store."""

    def __init__(self, store: Store, clock: Clock, is_busy: Callable[[], bool] = lambda: False) -> None:
        self._store = store
        self._clock = clock
        self._is_busy = is_busy
        self._rounds = Rounds("giving-back", self.look, _LOOK_EVERY_S)
        self.given_bytes = 0
        """Given back since start, for metrics."""

    def start(self) -> None:
        """Begins on the running event loop."""
        self._rounds.start()

    async def stop(self) -> None:
        """Stops between two steps."""
        await self._rounds.stop()

    async def look(self) -> int:
        """Bytes given back now. OSError: the file system can not make holes, or refused."""
        if not await self._store.read(settled_rows.is_any):
            return 0
        done = await self._store.read(settled_rows.given_back)
        given = 0
        for segment in self._store.journal.separate[:-1]:
            if segment not in done and not self._is_busy():
                given += await self._segment(segment)
        return given

    async def _segment(self, segment: int) -> int:
        bodies = await asyncio.to_thread(self._bodies, segment)
        if bodies is None:
            return 0
        given, is_done = 0, True
        before = (self._clock.now() - timedelta(seconds=limits.RETIRED_S)).isoformat()
        for first in range(0, len(bodies), _STEP):
            if self._is_busy():
                return given
            part = bodies[first : first + _STEP]
            settled = await self._store.read(partial(_settled_long_ago, bodies=part, before=before))
            holes, size = await asyncio.to_thread(self._give, segment, settled)
            is_done = is_done and holes == len(part)
            given += size
        if is_done:
            await self._store.commit(partial(_note, segment=segment))
        return given

    def _bodies(self, segment: int) -> list[_Body] | None:
        """The instances' bodies that still lie in the segment and are worth a hole; None when it is damaged."""
        found: list[_Body] = []
        journal = self._store.journal
        for record in journal.headed(segment):
            if record is None:
                return None
            _, offset, length = record.body_place
            if length < limits.SMALLEST_HOLE_BYTES or journal.is_given_back(record):
                continue
            for operation in record.header.operations:
                if operation[:2] == ["b", "instance"]:
                    uid = operation[2]["sop_uid"]
                    found.append(_Body(uid, record.header.sha256, segment, offset, length))
        return found

    def _give(self, segment: int, settled: list[tuple[_Body, StoredInstance]]) -> tuple[int, int]:
        """Makes the holes of those whose object reads back well; (holes, bytes)."""
        good = [body for body, instance in settled if self._reads_back(body, instance)]
        if good:
            self._store.give_back(segment, [(body.offset, body.length) for body in good])
        given = sum(body.length for body in good)
        self.given_bytes += given
        return len(good), given

    def _reads_back(self, body: _Body, instance: StoredInstance) -> bool:
        place = instance.location
        return has_hash(partial(self._store.body, place.segment), place.offset, place.length, body.sha256)


def _settled_long_ago(
    connection: IndexConnection, bodies: list[_Body], before: str
) -> list[tuple[_Body, StoredInstance]]:
    found: list[tuple[_Body, StoredInstance]] = []
    for body in bodies:
        instance = settled_rows.settled_before(connection, body.sop_uid, before)
        if instance is None or instance.sha256.hex() != body.sha256:
            continue
        if not upkeep_rows.is_named_elsewhere(connection, body.sop_uid, body.segment, body.offset):
            found.append((body, instance))
    return found


def _note(transaction: Transaction, segment: int) -> None:
    transaction.replace("given_back", segment=segment, told=transaction.time)
