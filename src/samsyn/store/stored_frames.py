"""Where the frames of a stored instance lie, and their bytes. Readers come by Retriever, which asks their View."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Executor

from samsyn import limits
from samsyn.dicom import frames as framing
from samsyn.dicom.structure import inflate
from samsyn.dicom.transfer_syntaxes import DEFLATED_LITTLE
from samsyn.errors import DamagedData, NotFound
from samsyn.model.imaging import BodyLocation, StoredInstance
from samsyn.store.block_sums import BLOCK, BlockSums, Sums, is_whole_part
from samsyn.store.checksum import Check, is_whole
from samsyn.store.objects.manifest import FrameTable
from samsyn.store.store import Store

_CACHED_TABLES = 512
_CHECKED_ANYWAY = 64 * limits.KIB
"""An instance so small is read whole for any part of it."""
SMALL_READ = 1 * limits.MIB
"""What is read without leaving the loop, where it lies in the page cache."""


class StoredFrames:
    """Frames as they are stored: checked with their instance where they are most of it, else with their blocks."""

    def __init__(
        self, store: Store, tables: OrderedDict[str, FrameTable], sums: BlockSums, executor: Executor
    ) -> None:
        """`tables`: where the frames of coded instances lie, the latest known ones. `executor`: who makes `sums`."""
        self._store = store
        self._tables = tables
        self._sums = sums
        self._executor = executor
        self._making: dict[bytes, asyncio.Future[Sums]] = {}

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
        native = framing.native_frame(pixels, place.length, number, instance.transfer_syntax_uid)
        if native is None or native[1] > SMALL_READ:
            return None
        offset, length = native
        if place.length > max(2 * length, _CHECKED_ANYWAY):
            return self._part_at_hand(instance, offset, length)
        whole = self._store.body_at_hand(place)
        return whole[offset : offset + length] if whole is not None and is_whole(whole, instance) else None

    def _part_at_hand(self, instance: StoredInstance, offset: int, length: int) -> memoryview | None:
        """None also for what is not what came: `read` tells so."""
        place, sums = instance.location, self._sums.known(instance)
        if sums is None or not self._store.reads_at_once(instance):
            return None

        def read(first: int, count: int) -> memoryview | None:
            return self._store.body_at_hand(BodyLocation(place.segment, place.offset + first, count))

        part = read(offset, length)
        return part if part is not None and is_whole_part(sums, offset, part, place.length, read) else None

    def _goes_by_sums(self, instance: StoredInstance, ranges: Sequence[tuple[int, int]]) -> bool:
        """Whether these parts are checked by the sums of their blocks: not those that are checked where they lie, and
        not where the instance is so small that it is read whole."""
        place = instance.location
        return place.length > _CHECKED_ANYWAY and not all(
            self._store.checks(place, offset, length) for offset, length in ranges
        )

    async def ready(self, instance: StoredInstance, ranges: Sequence[tuple[int, int]] = ()) -> None:
        """Has what the checks of `read` need for these parts, none = for any, so that it need not be made there; for
        one range that is most of the instance nothing is. DamagedData: the instance is not what came."""
        parts = ranges or [(0, instance.location.length)]
        if _is_most(instance, ranges) or not self._goes_by_sums(instance, parts):
            return
        if self._sums.known(instance) is not None:
            return
        key = instance.sha256
        making = self._making.get(key)
        if making is None:
            loop = asyncio.get_running_loop()
            making = self._making[key] = loop.run_in_executor(self._executor, self._sums.of, instance)
            making.add_done_callback(lambda _: self._making.pop(key, None))
        await asyncio.shield(making)

    async def ranges(self, instance: StoredInstance, number: int) -> list[tuple[int, int]]:
        """Where a frame lies (1 to n), as (offset, length) within its instance. NotFound: there is none."""
        pixels = instance.pixels
        if pixels is None or not 1 <= number <= max(pixels.frames, 1):
            raise NotFound
        native = framing.native_frame(pixels, instance.location.length, number, instance.transfer_syntax_uid)
        if native is not None:
            return [native]
        table = await self._table(instance)
        if number > len(table):
            raise NotFound
        return table[number - 1]

    def read(self, instance: StoredInstance, ranges: list[tuple[int, int]]) -> bytes:
        """The bytes of these places, one after the other. Blocking; DamagedData."""
        place = instance.location
        if _is_most(instance, ranges):
            offset, length = ranges[0]
            frame = self._store.body(place.segment, place.offset + offset, length)
            self._check_around(instance, offset, frame)
            return frame
        if place.length <= _CHECKED_ANYWAY:
            whole = self.whole(instance)
            return b"".join(whole[offset : offset + length] for offset, length in ranges)
        parts = [self._sums.part(instance, offset, length) for offset, length in ranges]
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _check_around(self, instance: StoredInstance, offset: int, frame: bytes) -> None:
        """Checks a part that is most of its instance, as in CT, MR and CR, with what is around it. DamagedData."""
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
            await self.ready(instance)
            table = await asyncio.to_thread(self._read_table, instance)
            self._tables[instance.sop_instance_uid] = table
            if len(self._tables) > _CACHED_TABLES:
                self._tables.popitem(last=False)
        return table

    def _read_table(self, instance: StoredInstance) -> FrameTable:
        kept = self._store.settled_frames(instance)
        if kept is not None:
            return kept
        total = instance.location.length
        assert instance.pixels is not None
        begins, blocks = 0, self.whole(instance) if total <= _CHECKED_ANYWAY else b""

        def read(offset: int, length: int) -> bytes:
            """By whole blocks, of which many small fragments lie in one."""
            nonlocal begins, blocks
            length = max(min(length, total - offset), 0)
            if not begins <= offset <= offset + length <= begins + len(blocks):
                begins = offset // BLOCK * BLOCK
                ends = min(-(-(offset + length) // BLOCK) * BLOCK, total)
                blocks = self._sums.part(instance, begins, ends - begins)
            return blocks[offset - begins : offset - begins + length]

        return framing.frame_ranges(read, total, instance.pixels, instance.transfer_syntax_uid)

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


def _is_most(instance: StoredInstance, ranges: Sequence[tuple[int, int]]) -> bool:
    """Whether the one part is so much of its instance that it is checked with the whole."""
    return len(ranges) == 1 and instance.location.length <= max(2 * ranges[0][1], _CHECKED_ANYWAY)
