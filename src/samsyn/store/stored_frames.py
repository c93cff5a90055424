"""Where the frames of a stored instance lie, and their bytes. Readers come by Retriever, which asks their View."""

import asyncio
from collections import OrderedDict

from samsyn import limits
from samsyn.dicom import frames as framing
from samsyn.dicom.structure import inflate
from samsyn.dicom.transfer_syntaxes import DEFLATED_LITTLE
from samsyn.errors import DamagedData, NotFound
from samsyn.model.imaging import BodyLocation, StoredInstance
from samsyn.store.checksum import Check, is_whole
from samsyn.store.objects.manifest import FrameTable
from samsyn.store.store import Store

_CACHED_TABLES = 512
_CHECKED_ANYWAY = 64 * limits.KIB
"""An instance so small is read whole for any part of it."""
SMALL_READ = 1 * limits.MIB
"""What is read without leaving the loop, where it lies in the page cache."""


class StoredFrames:
    """Frames as they are stored, checked with their instance where they are most of it."""

    def __init__(self, store: Store, tables: OrderedDict[str, FrameTable]) -> None:
        """`tables`: where the frames of coded instances lie, the latest known ones."""
        self._store = store
        self._tables = tables

    def whole(self, instance: StoredInstance, proves: bool = False) -> bytes:
        """The data set. DamagedData."""
        place = instance.location
        data = self._store.body(place.segment, place.offset, place.length)
        if not is_whole(data, instance, proves):
            raise DamagedData(f"instance {instance.sop_instance_uid}")
        return data

    def at_hand(self, instance: StoredInstance, number: int) -> memoryview | None:
        """A native frame where it lies in memory, checked as `read` checks it; None = it must be read."""
        place, pixels = instance.location, instance.pixels
        if pixels is None or instance.transfer_syntax_uid == DEFLATED_LITTLE or instance.checksum is None:
            return None
        native = framing.native_frame(pixels, place.length, number)
        if native is None or native[1] > SMALL_READ:
            return None
        offset, length = native
        if place.length > max(2 * length, _CHECKED_ANYWAY):
            return self._store.body_at_hand(BodyLocation(place.segment, place.offset + offset, length))
        whole = self._store.body_at_hand(place)
        return whole[offset : offset + length] if whole is not None and is_whole(whole, instance) else None

    async def ranges(self, instance: StoredInstance, number: int) -> list[tuple[int, int]]:
        """Where a frame lies (1 to n), as (offset, length) within its instance. NotFound: there is none."""
        pixels = instance.pixels
        if pixels is None or not 1 <= number <= max(pixels.frames, 1):
            raise NotFound
        native = framing.native_frame(pixels, instance.location.length, number)
        if native is not None:
            return [native]
        table = await self._table(instance)
        if number > len(table):
            raise NotFound
        return table[number - 1]

    def read(self, instance: StoredInstance, ranges: list[tuple[int, int]]) -> bytes:
        """The bytes of these places, one after the other. Blocking; DamagedData."""
        place = instance.location
        if len(ranges) == 1:
            offset, length = ranges[0]
            frame = self._store.body(place.segment, place.offset + offset, length)
            if place.length <= max(2 * length, _CHECKED_ANYWAY):
                self._check_around(instance, offset, frame)
            return frame
        return b"".join(
            self._store.body(place.segment, place.offset + offset, length) for offset, length in ranges
        )

    def _check_around(self, instance: StoredInstance, offset: int, frame: bytes) -> None:
        """Checks a part that is most of its instance, as in CT, MR and CR, with what is around it. DamagedData.

        To check a small part would mean to read all others; there the scrub's marks have to do.
        """
        place, check = instance.location, Check(instance)
        after = offset + len(frame)
        if offset:
            check.update(self._store.body(place.segment, place.offset, offset))
        check.update(frame)
        if after < place.length:
            check.update(self._store.body(place.segment, place.offset + after, place.length - after))
        if not check.fits():
            raise DamagedData(f"instance {instance.sop_instance_uid}")

    async def _table(self, instance: StoredInstance) -> FrameTable:
        table = self._tables.get(instance.sop_instance_uid)
        if table is None:
            table = await asyncio.to_thread(self._read_table, instance)
            self._tables[instance.sop_instance_uid] = table
            if len(self._tables) > _CACHED_TABLES:
                self._tables.popitem(last=False)
        return table

    def _read_table(self, instance: StoredInstance) -> FrameTable:
        kept = self._store.settled_frames(instance)
        if kept is not None:
            return kept
        place = instance.location
        assert instance.pixels is not None

        def read(offset: int, length: int) -> bytes:
            length = min(length, place.length - offset)
            return self._store.body(place.segment, place.offset + offset, max(length, 0))

        return framing.frame_ranges(read, place.length, instance.pixels, instance.transfer_syntax_uid)

    async def inflated(self, instance: StoredInstance, number: int) -> bytes:
        """A frame of a deflated data set. NotFound; DamagedData."""
        if instance.pixels is None or not 1 <= number <= max(instance.pixels.frames, 1):
            raise NotFound
        data = inflate(await asyncio.to_thread(self.whole, instance))
        table = framing.frame_ranges(
            lambda offset, length: bytes(data[offset : offset + length]),
            len(data),
            instance.pixels,
            instance.transfer_syntax_uid,
        )
        if number > len(table):
            raise NotFound
        return b"".join(bytes(data[offset : offset + length]) for offset, length in table[number - 1])

    async def spans(self, instance: StoredInstance, number: int) -> list[tuple[int, int]]:
        """As `ranges`, of frames that were stored coded or not; NotFound for deflated data sets."""
        if instance.pixels is None or instance.transfer_syntax_uid == DEFLATED_LITTLE:
            raise NotFound
        table = await self._table(instance)
        if not 1 <= number <= len(table):
            raise NotFound
        return table[number - 1]
