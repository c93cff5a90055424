"""Settling: a series that has been quiet becomes one immutable object, and its rows leave the index.

In this order, so that a crash between any two steps loses nothing: the new version of the object is written beside
the present one, synced, read back and compared with every hash; it takes its name, and the folder is synced; a
record of the journal says how many of its instances are settled; with that record the rows go. Whatever was not
recorded is simply still in the journal, and the next attempt writes the object anew.

Only what the index files as stored is settled: what is held for a steward is no row of `instance` and stays where it
is. Late instances make a new version, which begins with the bytes of the one before.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final

from samsyn import limits
from samsyn.clock import Clock
from samsyn.dicom import frames as framing
from samsyn.dicom.transfer_syntaxes import DEFLATED_LITTLE
from samsyn.errors import Conflict, DamagedData, SamsynError
from samsyn.store.index import settled_rows
from samsyn.store.index.port import FAULTS, IndexConnection
from samsyn.store.objects.manifest import FrameTable, Manifest, pixels_of
from samsyn.store.objects.series_objects import SettledSeries
from samsyn.store.packing.extents import Codec, Shape
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction
from samsyn.store.upkeep.recompress import Recompression, SeriesFacts, facts_of, frames_of
from samsyn.store.upkeep.rounds import Rounds

log = logging.getLogger(__name__)

_LOOK_EVERY_S: Final = 30.0
_LONGEST_REST_S: Final = 5.0
_ROUND: Final = 500
"""Series that are settled between two looks at what is quiet."""
_KEYS_TRIED: Final = 16
"""Keys of an object store that may be taken by attempts that were not recorded."""
_OWN_COLUMNS: Final = ("series_key", "segment")
"""Columns of an instance's row that a manifest tells once or not at all."""


class Settling:
    """Settles quiet series, one after another. One per store."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        quiet_s: float = 0.0,
        is_busy: Callable[[], bool] = lambda: False,
        recompression: Recompression | None = None,
    ) -> None:
        """`quiet_s`: a series is settled when its last instance came so long ago; 0 = never by itself.
        `is_busy`: whether intake needs the disk just now. `recompression`: which series are stored coded,
        None = none."""
        self._recompression = recompression
        self._store = store
        self._clock = clock
        self._quiet_s = quiet_s
        self._is_busy = is_busy
        self._put_off: dict[int, float] = {}
        self._rounds = Rounds("settling", self.look, _LOOK_EVERY_S)
        self.series = 0
        self.instances = 0
        """Settled since start, for metrics."""

    def start(self) -> None:
        """Begins on the running event loop; does nothing when it is switched off."""
        if self._quiet_s:
            self._rounds.start()

    async def stop(self) -> None:
        """Stops; what is unfinished is begun anew after the next start."""
        await self._rounds.stop()

    async def look(self) -> int:
        """Settles what is quiet now; how many series were. What fails is told in the log and put off."""
        before = (self._clock.now() - timedelta(seconds=self._quiet_s)).isoformat()
        settled = 0
        for series_key, size in await self._store.read(
            partial(settled_rows.quiet_series, before=before, limit=_ROUND)
        ):
            if self._is_busy() or not self._has_room(size):
                break
            if self._put_off.get(series_key, 0.0) > self._clock.monotonic():
                continue
            began = self._clock.monotonic()
            try:
                await self.settle(series_key)
            except Exception as problem:
                # Whatever it was, the others behind this series are to be settled.
                self._put_off[series_key] = self._clock.monotonic() + limits.SETTLE_AGAIN_S
                expected = isinstance(problem, (SamsynError, OSError, *FAULTS))
                log.warning("settling-failed", extra={"error": type(problem).__name__}, exc_info=not expected)
            else:
                self._put_off.pop(series_key, None)
                settled += 1
            # Half of the time at most: there is no hurry, and readers want the processor as well.
            await asyncio.sleep(min(self._clock.monotonic() - began, _LONGEST_REST_S))
        return settled

    def _has_room(self, size: int) -> bool:
        """Intake goes before settling: twice its reserve stays free."""
        return self._store.free_bytes() - size > 2 * limits.DISK_RESERVE_BYTES

    async def settle(self, series_key: int) -> None:
        """`_settle`, one series at a time."""
        async with self._store.objects_changing:
            await self._settle(series_key)

    async def _settle(self, series_key: int) -> None:
        """Settles every instance that is filed under the series now.

        DamagedData: one of them has not its hash any more; OSError: the disk refused; Conflict: something else
        changed the rows meanwhile. All of them leave the series as it was, whole.
        """
        objects = self._store.objects
        free_key, present, rows, uids, facts = await self._store.read(partial(_plan, series_key=series_key))
        if not rows:
            return
        replaced = present.manifest.object_key if present is not None else None
        object_key = replaced if replaced is not None and objects.replaces else free_key
        try:
            written = await asyncio.to_thread(self._write, object_key, present, rows, uids, facts)
        except DamagedData as damaged:
            if self._recompression is None or not self._recompression.is_on:
                raise
            # If the coding is to blame, the series settles as it came; if an instance is, this is told again.
            log.warning("recompression-failed", extra={"error": type(damaged).__name__})
            written = await asyncio.to_thread(self._write, object_key, present, rows, uids, None)
        object_key, coded_from, coded_to = written
        objects.forget(object_key)
        named = (replaced, len(present.instances)) if present is not None else None
        for first in range(0, len(rows), limits.SETTLE_ROWS):
            part = rows[first : first + limits.SETTLE_ROWS]
            names = (object_key, (named[1] if named is not None else 0) + len(part))
            await self._store.commit(
                partial(_record, series_key=series_key, uids=uids, before=named, after=names, rows=part)
            )
            named = names
        if self._recompression is not None:
            self._recompression.note(coded_from, coded_to)
        self.series += 1
        self.instances += len(rows)

    def _write(
        self,
        object_key: int,
        present: SettledSeries | None,
        rows: list[dict[str, Any]],
        uids: tuple[str, str],
        facts: SeriesFacts | None,
    ) -> tuple[int, int, int]:
        """Writes the object; its key, where keys are not replaced one that nobody has used, and the bytes of the frames
        that are coded, before and after. Without `facts` none is.

        An attempt that was not recorded may have left an object under the key; it stays, unnamed, and the next key
        is taken.
        """
        for key in range(object_key, object_key + _KEYS_TRIED):
            try:
                return key, *self._write_as(key, present, rows, uids, facts)
            except Conflict:
                continue
        raise Conflict(f"the keys from {object_key} on are taken in the object store")

    def _write_as(
        self,
        object_key: int,
        present: SettledSeries | None,
        rows: list[dict[str, Any]],
        uids: tuple[str, str],
        facts: SeriesFacts | None,
    ) -> tuple[int, int]:
        objects = self._store.objects
        columns = tuple(name for name in rows[0] if name not in _OWN_COLUMNS)
        told: list[tuple[Any, ...]] = []
        frames: list[FrameTable | None] = []
        version = objects.new_version(object_key)
        try:
            if present is not None:
                for instance, table in zip(present.instances, present.manifest.frames, strict=True):
                    row = present.manifest.row(len(told))
                    place = instance.location
                    read = self._reading(place.segment, place.offset)
                    row["body_offset"], row["checksum"] = version.append(
                        read, place.length, row["sha256"], *self._coding(row, facts)
                    )
                    told.append(tuple(row.get(name) for name in columns))
                    frames.append(table)
            for row in rows:
                read = self._reading(row["segment"], row["body_offset"])
                coding = self._coding(row, facts)
                offset, checksum = version.append(read, row["length"], row["sha256"], *coding)
                row = row | {"body_offset": offset, "checksum": checksum}
                told.append(tuple(row[name] for name in columns))
                frames.append(_frame_table(read, row))
            version.put(Manifest(object_key, *uids, columns, tuple(told), tuple(frames)))
        except BaseException:
            version.drop()
            raise
        return version.coded_from, version.coded_to

    def _coding(
        self, row: dict[str, Any], facts: SeriesFacts | None
    ) -> tuple[Sequence[tuple[int, Shape]], Codec]:
        """Which frames of an instance are to be coded, and how."""
        if self._recompression is None or facts is None:
            return (), Codec.PLAIN
        codec = self._recompression.codec_of(facts, row["transfer_syntax"])
        return (frames_of(row) if codec is not Codec.PLAIN else ()), codec

    def _reading(self, segment: int, offset: int) -> Callable[[int, int], bytes]:
        return lambda at, length: self._store.body(segment, offset + at, length)


def _plan(
    connection: IndexConnection, series_key: int
) -> tuple[int, SettledSeries | None, list[dict[str, Any]], tuple[str, str], SeriesFacts]:
    """(a free object key, what is settled, rows to settle, UIDs of series and study, what rules ask)."""
    present = settled_rows.settled_of(connection, series_key)
    return (
        settled_rows.next_object(connection),
        present,
        settled_rows.rows_to_settle(connection, series_key),
        settled_rows.uids_of_series(connection, series_key),
        facts_of(connection, series_key),
    )


def _record(
    transaction: Transaction,
    series_key: int,
    uids: tuple[str, str],
    before: tuple[int | None, int] | None,
    after: tuple[int, int],
    rows: list[dict[str, Any]],
) -> None:
    """Says that these instances are settled, if all that was written into the object is still as it was: the rows, the
    series' place, and what was settled of it, `before` and `after` this being (object key, instances).

    Conflict: a steward has taken the series up meanwhile, or another node has settled it.
    """
    object_key, count = after
    settled = transaction.one(
        "SELECT object_key, instances FROM series_object WHERE series_key = ?", series_key
    )
    place = transaction.one(
        "SELECT series_uid, study_uid FROM series JOIN study USING(study_key) WHERE series_key = ?",
        series_key,
    )
    if (settled and tuple(settled)) != before or (place and tuple(place)) != uids:
        raise Conflict("a series was changed while it was being settled")
    if before is None or before[0] != object_key:
        # A key up to the last one that a record tells of may have been taken from an attempt as slow as this one, its
        # object swept away and the key used for another series.
        (last,) = transaction.one("SELECT last_object FROM settled_size")
        if object_key <= last:
            raise Conflict("other series were settled under later keys meanwhile")
    for row in rows:
        found = transaction.one(
            "SELECT sha256, segment, body_offset, series_key FROM instance WHERE sop_uid = ?", row["sop_uid"]
        )
        if found != (row["sha256"], row["segment"], row["body_offset"], series_key):
            raise Conflict("a row was changed while its series was being settled")
    if before is not None and before[0] != object_key:
        transaction.insert("former_object", object_key=before[0], instances=before[1])
    transaction.settle(series_key, object_key, count, [row["sop_uid"] for row in rows])


def _frame_table(read: Callable[[int, int], bytes], row: dict[str, Any]) -> FrameTable | None:
    """Where the frames of an encapsulated instance lie; None where that follows from the header (native data), and
    where the pixel data can not be followed, which is for the reader to find out."""
    pixels = pixels_of(row)
    if pixels is None or pixels.length >= 0 or row["transfer_syntax"] == DEFLATED_LITTLE:
        return None

    def bounded(offset: int, length: int) -> bytes:
        return read(offset, max(0, min(length, row["length"] - offset)))

    try:
        return framing.frame_ranges(bounded, row["length"], pixels, row["transfer_syntax"])
    except SamsynError:
        return None
