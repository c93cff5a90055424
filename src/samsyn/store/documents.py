"""Derived documents: what can be made again from the journal at any time, kept as files for fast reading.

A series' metadata document is the DICOM JSON of its instances, in order, parted by commas (no brackets). Every
BulkDataURI in it starts with BASE_MARK, which the door replaces by its own address; where, is kept with it (`marked`).
"""

import asyncio
import contextlib
import gzip
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

from samsyn import limits
from samsyn.clock import Clock
from samsyn.dicom.json import to_dicom_json
from samsyn.dicom.json_array import joined
from samsyn.dicom.transfer_syntaxes import find
from samsyn.errors import DamagedData
from samsyn.model.imaging import BodyLocation, StoredInstance
from samsyn.store import large, marked
from samsyn.store.block_sums import BlockSums, is_whole_part
from samsyn.store.checksum import is_whole
from samsyn.store.index import instance_rows
from samsyn.store.making_way import making_way
from samsyn.store.store import Store

BASE_MARK: Final = "samsyn-base:"
"""Stands for the address of the DICOMweb service in stored documents."""

_MARK: Final = BASE_MARK.encode()
_GZIP_LEVEL: Final = 3
"""Attributes of slices repeat themselves: higher levels take thrice the time and save a tenth more."""
_SHORT_HEADER_BYTES: Final = 16 * limits.KIB
"""What is walked on the event loop: a tenth of a millisecond for a slice. Many frames have longer headers."""
_IN_ONE_STEP: Final = 4
"""Instances that become JSON before what is asked of the server is looked at again: some milliseconds."""


def bulk_prefix(instance: StoredInstance) -> str:
    """Where an instance's bulk data are found, with BASE_MARK for the service."""
    return (
        f"{BASE_MARK}/studies/{instance.study_uid}/series/{instance.series_uid}"
        f"/instances/{instance.sop_instance_uid}/bulkdata"
    )


def identity_of(instances: Iterable[StoredInstance]) -> bytes:
    """16 bytes that tell these very objects in this order from all others."""
    digest = hashlib.blake2b(digest_size=16)
    for instance in instances:
        digest.update(instance.sha256)
    return digest.digest()


class Documents:
    """Makes, keeps and reads the metadata documents of series."""

    def __init__(self, store: Store, executor: Executor, clock: Clock) -> None:
        self._store = store
        self.executor = executor
        """Who reads from disk what is not at hand."""
        self._clock = clock
        self._folder = store.folder / "derived" / "metadata"
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._bases: list[str] = []
        self._in_turn = asyncio.Lock()
        """Held by who makes a document that can wait: two would make way for each other."""
        self.sums = BlockSums(store)

    def _path(self, series_key: int, count: int) -> Path:
        return self._folder / f"{series_key % 256:02x}" / f"{series_key}-{count}.marked"

    async def series(self, series_uid: str, series_key: int, count: int, *, can_wait: bool = False) -> bytes:
        """The document of a series with `count` instances; made now when it is not there yet. `can_wait`: for nobody
        who asks, so what is asked of the server goes before."""
        path = self._path(series_key, count)
        loop = asyncio.get_running_loop()
        with contextlib.suppress(FileNotFoundError, DamagedData):
            return await loop.run_in_executor(self.executor, marked.read, path)
        instances = await self._store.read(
            lambda connection: instance_rows.instances_of_series(connection, series_uid)
        )
        if can_wait:
            steps = (partial(self._make, some) for some in _in_steps(instances))
            async with self._in_turn:
                document = joined([made async for made in making_way(self.executor, steps)])
        else:
            document = await loop.run_in_executor(self.executor, self._make, instances)
        if len(instances) == count:
            whole = marked.with_table(document, _MARK, identity_of(instances))
            await loop.run_in_executor(self.executor, _write, path, whole)
        return document

    async def kept(self, series_uid: str, series_key: int, count: int) -> marked.Marked | None:
        """The document of `series` as it lies on disk, to be sent from there, with what it was `made_of`; made now
        when it is not there yet. None: it can not be kept."""
        path = self._path(series_key, count)
        loop = asyncio.get_running_loop()
        for _ in range(2):
            with contextlib.suppress(FileNotFoundError, DamagedData):
                return await loop.run_in_executor(self.executor, marked.looked_up, path, _MARK)
            await self.series(series_uid, series_key, count)
        return None

    async def compressed(self, series_uid: str, series_key: int, count: int, base: str) -> bytes | None:
        """The JSON array of a series as the service at `base` sends it, in gzip (RFC 1952); made and kept when it is
        not there yet. None: it is called by more names than limits.MAX_KEPT_BASES."""
        if base not in self._bases:
            if len(self._bases) >= limits.MAX_KEPT_BASES:
                return None
            self._bases.append(base)
        path = self._compressed_path(series_key, count, base)
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self.executor, path.read_bytes)
        except FileNotFoundError:
            pass
        document = await self.series(series_uid, series_key, count)
        packed = await loop.run_in_executor(self.executor, _packed, document, base)
        if self._path(series_key, count).exists():
            await loop.run_in_executor(self.executor, _write, path, packed)
        return packed

    def _compressed_path(self, series_key: int, count: int, base: str) -> Path:
        digest = hashlib.blake2b(base.encode(), digest_size=8).hexdigest()
        return self._path(series_key, count).with_suffix(f".{digest}.gz")

    async def instance(self, instance: StoredInstance) -> bytes:
        """The DICOM JSON object of one instance."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.executor, self._make, [instance])

    async def attributes(self, instance: StoredInstance, wanted: frozenset[int]) -> bytes:
        """The DICOM JSON object of one instance with these attributes alone (see to_dicom_json). What stands before
        the pixels is read at once where it is short and in memory, else the whole by a thread. Of an object of one
        frame it is not checked: whoever makes a picture of it reads the frame, and all else is checked with that."""
        place, pixels, syntax = instance.location, instance.pixels, find(instance.transfer_syntax_uid)
        is_plain = syntax is not None and not syntax.deflated
        if is_plain and pixels is not None and 0 < pixels.offset <= min(_SHORT_HEADER_BYTES, place.length):
            with contextlib.suppress(DamagedData):
                head = self._store.body_at_hand(replace(place, length=pixels.offset))
                if head is not None and (pixels.frames <= 1 or self._is_whole(instance, head)):
                    return to_dicom_json(head, instance.transfer_syntax_uid, bulk_prefix(instance), wanted)
        return await asyncio.to_thread(self._json, instance, wanted)

    def _is_whole(self, instance: StoredInstance, head: memoryview) -> bool:
        """Whether this is how the instance begins; False also when its sums are not made yet."""
        place, sums = instance.location, self.sums.known(instance)

        def read(first: int, count: int) -> memoryview | None:
            return self._store.body_at_hand(BodyLocation(place.segment, place.offset + first, count))

        return sums is not None and is_whole_part(sums, 0, head, place.length, read) is True

    async def is_kept(self, series_key: int, count: int) -> bool:
        """Whether `series` finds its document, and does not have to make it."""
        return await asyncio.to_thread(self._path(series_key, count).exists)

    def _make(self, instances: list[StoredInstance]) -> bytes:
        return joined(self._json(instance) for instance in instances)

    def _json(self, instance: StoredInstance, wanted: frozenset[int] | None = None) -> bytes:
        if large.is_large(instance):
            return large.metadata(self.sums, instance, bulk_prefix(instance), wanted)
        place = instance.location
        data = self._store.body(place.segment, place.offset, place.length)
        if not is_whole(data, instance):
            raise DamagedData(f"instance {instance.sop_instance_uid}")
        return to_dicom_json(data, instance.transfer_syntax_uid, bulk_prefix(instance), wanted)

    async def prepare(self, series_uid: str, quiet_s: float) -> float | None:
        """Makes the document of a series that has been quiet, and what its frames are checked by; otherwise
        seconds until it is worth a look."""
        facts = await self._store.read(lambda connection: instance_rows.series_facts(connection, series_uid))
        if facts is None:
            return None
        series_key, count, last = facts
        age = (self._clock.now() - datetime.fromisoformat(last)).total_seconds() if last else quiet_s
        if age < quiet_s:
            return quiet_s - age
        await self.series(series_uid, series_key, count, can_wait=True)
        for base in self._bases:
            await self.compressed(series_uid, series_key, count, base)
        await self._sum_up(series_uid)
        return None

    async def _sum_up(self, series_uid: str) -> None:
        """Makes the sums of what will be read by frames, so that the first reader does not wait for them."""
        instances = await self._store.read(
            lambda connection: instance_rows.instances_of_series(connection, series_uid)
        )
        loop = asyncio.get_running_loop()
        for instance in instances:
            has_frames = instance.pixels is not None and instance.pixels.frames > 1
            place = instance.location
            if has_frames and not self._store.checks(place, 0, place.length):
                with contextlib.suppress(DamagedData):  # whoever reads it is told
                    await loop.run_in_executor(self.executor, self.sums.of, instance)


def _in_steps(instances: Sequence[StoredInstance]) -> Iterator[list[StoredInstance]]:
    for first in range(0, len(instances), _IN_ONE_STEP):
        yield list(instances[first : first + _IN_ONE_STEP])


def _packed(document: bytes, base: str) -> bytes:
    whole = b"[" + document.replace(_MARK, base.encode()) + b"]"
    return gzip.compress(whole, _GZIP_LEVEL, mtime=0)


def _write(path: Path, document: bytes) -> None:
    """Whole or not at all. Not synced, and a full disk is no error: it can be made again."""
    fresh = path.with_suffix(f".{os.getpid()}.part")
    try:
        path.parent.mkdir(exist_ok=True, mode=0o700)
        fresh.write_bytes(document)
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
