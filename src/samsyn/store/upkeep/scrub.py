"""Reading every stored byte again, now and then: rot is found while it can be mended, and is never served.

A pass goes through the journal record by record, at a bounded rate. What does not fit its hash is written over
from the second copy where there is one; else it is marked (table `damage`), and no read touches it until it is
good again. How far a pass has come is durable, so that a restart goes on with it.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from samsyn import limits
from samsyn.clock import Clock
from samsyn.errors import DamagedData
from samsyn.store.damage import DamagedBody, marked, marked_in
from samsyn.store.index import settled_rows, upkeep_rows
from samsyn.store.index.operations import Operation
from samsyn.store.index.port import IndexConnection
from samsyn.store.journal import ReplayedRecord
from samsyn.store.objects.series_objects import SeriesObjects
from samsyn.store.replay import mark_of
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction
from samsyn.store.upkeep.rounds import Rounds

log = logging.getLogger(__name__)

_STEP_BYTES = 8 * limits.MIB
_LOOK_EVERY_S = 60.0
_PAUSE_S = 1.0
_OBJECTS_PER_NOTE = 32
_OBJECT = "series_object"
_RECORD = "record"
"""Owner of a mark that stands for a record's own frame or header; it has length 0 and refuses no read."""


@dataclass(slots=True)
class Scrubbed:
    """What a pass has seen so far."""

    read_bytes: int = 0
    bodies: int = 0
    damaged: list[DamagedBody] = field(default_factory=list)
    """What is broken and could not be mended."""
    mended: int = 0
    """Bodies and records that were written over from the second copy, or were found good again."""


@dataclass(slots=True)
class _Step:
    """Some MiB of a segment, read on a thread."""

    read_bytes: int = 0
    bodies: int = 0
    broken: list[tuple[ReplayedRecord, Operation]] = field(default_factory=list)
    whole: list[tuple[int, int, int]] = field(default_factory=list)
    """Places of bodies that are marked and good all the same."""
    lost: list[tuple[int, int]] = field(default_factory=list)
    """Segment and offset of records whose frame or header is broken."""
    mended: int = 0


class Scrub:
    """Passes over the store. One at a time; start it once, or call `whole_pass`."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        every_days: float = 0.0,
        mib_per_s: float = 0.0,
        is_busy: Callable[[], bool] = lambda: False,
    ) -> None:
        """`every_days`: from the end of a pass to the beginning of the next, 0 = only when asked.
        `mib_per_s`: how fast it reads, 0 = as fast as the disk gives. `is_busy`: whether intake needs the disk."""
        self._store = store
        self._clock = clock
        self._every = timedelta(days=every_days)
        self._rate = mib_per_s * limits.MIB
        self._is_busy = is_busy
        self._rounds = Rounds("scrub", self._look, _LOOK_EVERY_S)
        self.read_bytes = 0
        self.mended = 0
        """Since start, for metrics."""

    def start(self) -> None:
        """Begins to look, on the running event loop, whether a pass is due; does nothing when it is switched off."""
        if self._every:
            self._rounds.start()

    async def stop(self) -> None:
        """Stops; the pass under way is gone on with after the next start."""
        await self._rounds.stop()

    async def _look(self) -> None:
        if await self._is_due():
            await self.whole_pass()

    async def _is_due(self) -> bool:
        state = await self._store.read(upkeep_rows.scrub_state)
        if state is None:  # a new store: what it takes from now on is read again when the time has come
            await self._note(0, "", self._clock.now().isoformat())
            return False
        if state[0]:
            return True
        return self._clock.now() - datetime.fromisoformat(state[2]) >= self._every

    async def whole_pass(self) -> Scrubbed:
        """Goes on with the pass under way, or begins one, and ends it."""
        state = await self._store.read(upkeep_rows.scrub_state)
        first, began = (state[0], state[1]) if state is not None and state[0] else (0, "")
        after = max(0, -first)
        began = began or self._clock.now().isoformat()
        finished = state[2] if state is not None else ""
        seen = Scrubbed()
        await self._look_at_lost_marks(seen)
        if first >= 0:
            for segment in [number for number in self._store.journal.segments if number >= first]:
                await self._note(segment, began, finished)
                await self._segment(segment, seen)
        await self._objects(after, began, finished, seen)
        await self._note(0, began, self._clock.now().isoformat())
        log.info("scrubbed", extra={"bytes": seen.read_bytes, "count": len(self._store.damaged)})
        return seen

    async def _note(self, segment: int, began: str, finished: str) -> None:
        def decide(transaction: Transaction) -> None:
            transaction.replace("scrub", one=1, segment=segment, began=began, finished=finished)

        await self._store.commit(decide)

    async def _segment(self, segment: int, seen: Scrubbed) -> None:
        steps = self._steps(segment)
        while True:
            if self._is_busy():
                await asyncio.sleep(_PAUSE_S)
                continue
            began = self._clock.monotonic()
            step = await asyncio.to_thread(next, steps, None)
            if step is None:
                return
            seen.read_bytes += step.read_bytes
            seen.bodies += step.bodies
            seen.mended += step.mended
            self.read_bytes += step.read_bytes
            self.mended += step.mended
            await self._mark(step, seen)
            if self._rate:
                await asyncio.sleep(max(0.0, step.read_bytes / self._rate - self._clock.monotonic() + began))

    async def _objects(self, after: int, began: str, finished: str, seen: Scrubbed) -> None:
        """Series objects by key; `after` is the last one that is done."""
        while True:
            series = await self._store.read(
                partial(settled_rows.all_objects, after=after, limit=_OBJECTS_PER_NOTE)
            )
            if not series:
                return
            for key, count in series:
                started = self._clock.monotonic()
                async with self._store.objects_changing:
                    size = await self._object(key, count, seen)
                seen.read_bytes += size
                self.read_bytes += size
                if self._rate:
                    await asyncio.sleep(max(0.0, size / self._rate - self._clock.monotonic() + started))
            after = series[-1][0]
            await self._note(-after, began, finished)

    async def _object(self, key: int, count: int, seen: Scrubbed) -> int:
        """Looks at one series object, mends it, or marks what is damaged in it; bytes read."""
        damaged, size = await asyncio.to_thread(_look_at_object, self._store.objects, key, count)
        if damaged and not await self._store.read(partial(settled_rows.names_object, object_key=key)):
            return size  # swept away since it was named
        if damaged and await self._adopted(key, count):
            damaged = []
            seen.mended += 1
            self.mended += 1
        seen.bodies += count
        now = {(row["segment"], row["body_offset"]) for row in damaged}
        for body in await self._store.read(partial(marked_in, segment=-key)):
            if (body.segment, body.offset) not in now:
                await self._unmark((body.segment, body.offset, body.length))
        for row in damaged:
            seen.damaged.append(await self._set(row | {"segment": -key}))
        return size

    async def _adopted(self, key: int, count: int) -> bool:
        """Whether the object of the second copy has taken the place of a damaged one."""
        objects, copy = self._store.objects, self._store.second_copy
        manifest = await asyncio.to_thread(objects.in_copy, key, copy) if copy is not None else None
        if copy is None or manifest is None or manifest.object_key != key:
            return False
        if not await self._store.read(partial(settled_rows.is_of, manifest=manifest, count=count)):
            return False
        return await asyncio.to_thread(objects.adopt, key, copy, manifest)

    def _steps(self, segment: int) -> Iterator[_Step]:
        journal = self._store.journal
        offset = 0
        step = _Step()
        while offset < journal.end_of(segment):
            size = journal.end_of(segment)
            record = journal.record_at(segment, offset, size)
            given_back = record is not None and not record.body_is_whole and journal.is_given_back(record)
            if record is None or not (record.body_is_whole or given_back):
                expected = record.header.sequence if record is not None else None
                if journal.mend(segment, offset, expected):
                    record = journal.record_at(segment, offset, size)
                    step.mended += 1
            if record is None:
                step.lost.append((segment, offset))
                behind = journal.record_behind(segment, offset + 1, size)
                offset = behind.begins.offset if behind is not None else size
            else:
                self._look_at(record, step)
                step.read_bytes += record.ends.offset - offset
                offset = record.ends.offset
            if step.read_bytes >= _STEP_BYTES or step.lost:
                yield step
                step = _Step()
        yield step

    def _look_at(self, record: ReplayedRecord, step: _Step) -> None:
        for operation in record.header.operations:
            if operation[0] == "b":
                step.bodies += 1
                if not record.body_is_whole:
                    step.broken.append((record, operation))
                elif self._store.damaged.has(*record.body_place):
                    step.whole.append(record.body_place)

    async def _mark(self, step: _Step, seen: Scrubbed) -> None:
        for place in step.whole:
            await self._unmark(place)
            seen.mended += 1
        for record, operation in step.broken:
            named = await self._store.read(partial(_is_named, record=record, operation=operation))
            if named:
                seen.damaged.append(await self._set(mark_of(record, operation, "")[2]))
        for segment, offset in step.lost:
            row = {"segment": segment, "body_offset": offset, "length": 0, "sha256": ""}
            seen.damaged.append(await self._set({**row, "owner": _RECORD, "reference": ""}))

    async def _set(self, row: dict[str, Any]) -> DamagedBody:
        body = DamagedBody(*(row[key] for key in _COLUMNS))
        if body.length:
            self._store.damaged.add(body.segment, body.offset, body.length)
        log.error("damage-found", extra={"kind": body.owner, "bytes": body.length})

        def decide(transaction: Transaction) -> None:
            values = {key: row[key] for key in _COLUMNS}
            transaction.replace("damage", **values, found=transaction.time)

        await self._store.commit(decide)
        return body

    async def _unmark(self, place: tuple[int, int, int]) -> None:
        segment, offset, _ = place

        def decide(transaction: Transaction) -> None:
            transaction.delete("damage", segment=segment, body_offset=offset)

        await self._store.commit(decide)
        self._store.damaged.remove(*place)

    async def _look_at_lost_marks(self, seen: Scrubbed) -> None:
        """Marks of records are taken away when a pass begins; what is still broken is marked again by it."""
        for body in await self._store.read(marked):
            if body.owner == _RECORD:
                record = await asyncio.to_thread(
                    self._store.journal.record_at,
                    body.segment,
                    body.offset,
                    self._store.journal.end_of(body.segment),
                )
                if record is not None:
                    await self._unmark((body.segment, body.offset, 0))
                    seen.mended += 1


def _look_at_object(objects: SeriesObjects, key: int, count: int) -> tuple[list[dict[str, Any]], int]:
    """(marks for what is damaged in an object, bytes read); one mark without length for a broken manifest."""
    try:
        manifest = objects.load(key)
        if len(manifest.rows) < count:
            raise DamagedData("fewer instances than are settled")
        numbers = objects.damaged_rows(key, manifest)
    except DamagedData:
        row = {"segment": 0, "body_offset": -1, "length": 0, "sha256": ""}
        return [row | {"owner": _OBJECT, "reference": str(key)}], 0
    rows = [manifest.row(number) for number in numbers]
    marks = [
        {
            "segment": -manifest.object_key,
            "body_offset": row["body_offset"],
            "length": row["length"],
            "sha256": row["sha256"],
            "owner": _OBJECT,
            "reference": row["sop_uid"],
        }
        for row in rows
    ]
    return marks, sum(manifest.row(number)["length"] for number in range(len(manifest.rows)))


_COLUMNS = ("segment", "body_offset", "length", "sha256", "owner", "reference")


def _is_named(connection: IndexConnection, record: ReplayedRecord, operation: Operation) -> bool:
    """Whether the row that the record made still names this place; what nobody reads any more may be anything."""
    segment, offset, _ = record.body_place
    return upkeep_rows.names_place(connection, operation[1], operation[2], segment, offset)
