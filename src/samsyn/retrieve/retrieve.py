"""Instances, data sets, frames, metadata and bulk data under a View."""

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

import orjson

from samsyn import limits
from samsyn.access.duties import sees_protected
from samsyn.access.view import View
from samsyn.dicom.document_classes import is_document
from samsyn.dicom.json import bulk_value
from samsyn.dicom.json_array import each_in, joined
from samsyn.dicom.masking import masked
from samsyn.dicom.overlay import overlaid, overlay_model
from samsyn.dicom.transfer_syntaxes import DEFLATED_LITTLE
from samsyn.errors import DamagedData, LimitExceeded, NotFound
from samsyn.model.amendment import Amendment
from samsyn.model.imaging import StoredInstance
from samsyn.model.predicate import NO_ITEM, Item, holds
from samsyn.model.streamed import StreamedData
from samsyn.retrieve.known import KnownObjects, KnownStudy, known_study
from samsyn.retrieve.look import Look
from samsyn.retrieve.metadata_pieces import MetadataInPieces
from samsyn.store.checksum import Check, is_whole, reads_whole
from samsyn.store.documents import BASE_MARK as BASE_MARK
from samsyn.store.documents import Documents
from samsyn.store.documents import identity_of as identity_of
from samsyn.store.index import (
    amendment_rows,
    identity_rows,
    instance_rows,
    patient_rows,
    rejected_rows,
)
from samsyn.store.index.port import IndexConnection
from samsyn.store.large import Leaving, is_large, leaving, small_value, value_span
from samsyn.store.marked import Marked
from samsyn.store.store import Store
from samsyn.store.stored_frames import SMALL_READ, StoredFrames

_CACHED_STUDIES = 256
_PIECE_BYTES = 1 * limits.MIB
AT_ONCE_BYTES: Final = 2 * limits.MIB
"""Data sets in the page cache that are read without leaving the loop: 0.3 ms, while a change of threads costs 0.1."""
_TURN_BYTES: Final = 256 * limits.KIB
"""Of them, so many before the loop looks at its connections: as long as a receiver needs to take an object."""

Given: TypeAlias = memoryview | DamagedData | LimitExceeded | NotFound
"""A data set, or why there is none."""
KeptSeries: TypeAlias = tuple[str, int, int]
"""Series UID, its key, number of its instances: of what the kept metadata are."""
_TAG = re.compile("[0-9A-F]{8}")


class Retriever:
    """Reads stored objects. Nothing is cached across Views but what is the same for every reader."""

    def __init__(self, store: Store, documents: Documents) -> None:
        self._store = store
        self._documents = documents
        self.known = KnownObjects()
        self._studies = self.known.studies
        self._frames = StoredFrames(store, self.known.tables, documents.sums, documents.executor)
        self._layout = store.layout

    def item_of(self, view: View, study_uid: str) -> Item:
        """The study's facts; NotFound when it is absent or hidden from this reader."""
        facts = self._store.recall(instance_rows.study_facts, study_uid)
        if not holds(view.predicate, facts[1] if facts else NO_ITEM) or facts is None:
            raise NotFound
        return facts[1]

    async def _still_shown(self, view: View, study_uid: str) -> None:
        """NotFound when the registers, as they stand now, hide the study: work that lasts ends within
        limits.VIEW_SECONDS of a block."""
        self.item_of(await view.renew(view), study_uid)

    async def instances(
        self, view: View, study_uid: str, series_uid: str = "", sop_instance_uid: str = ""
    ) -> Sequence[StoredInstance]:
        """Instances of a study, a series or one instance, in order; NotFound when there are none to see."""
        facts = self._store.recall(instance_rows.study_facts, study_uid)
        if not holds(view.predicate, facts[1] if facts else NO_ITEM) or facts is None:
            raise NotFound
        study_key, _, count = facts
        known = await self._study(study_uid, study_key, count)
        if sop_instance_uid:
            one = known.by_uid.get(sop_instance_uid)
            found = [one] if one is not None and series_uid in ("", one.series_uid) else []
        elif series_uid:
            found = [instance for instance in known.instances if instance.series_uid == series_uid]
        else:
            found = known.instances
        if known.documents and view.withholds_documents(study_uid):
            found = [instance for instance in found if instance.series_uid not in known.documents]
        hidden = self._rejected(view, facts[1], study_uid)
        if hidden:
            found = [instance for instance in found if instance.sop_instance_uid not in hidden]
        if not found:
            raise NotFound
        return found

    def known_instance(
        self, view: View, study_uid: str, series_uid: str, sop_instance_uid: str
    ) -> StoredInstance | None:
        """One instance of a study whose instances are remembered; None = ask `instances`. NotFound as there."""
        item = self.item_of(view, study_uid)
        facts = self._store.recall(instance_rows.study_facts, study_uid)
        cached = self._studies.get(study_uid)
        if (
            facts is None
            or cached is None
            or len(cached.instances) != facts[2]
            or self._layout != self._store.layout
        ):
            return None
        instance = cached.by_uid.get(sop_instance_uid)
        if instance is None or instance.series_uid != series_uid:
            raise NotFound
        if series_uid in cached.documents and view.withholds_documents(study_uid):
            raise NotFound
        if sop_instance_uid in self._rejected(view, item, study_uid):
            raise NotFound
        return instance

    def _rejected(self, view: View, item: Item, study_uid: str) -> frozenset[str]:
        """What rejection notes hide of a study from this reader."""
        if view.rejected_of and view.rejected_of == item.provider:
            return frozenset()
        return self._store.recall(rejected_rows.hidden_of_study, study_uid)

    def check(self, view: View, instance: StoredInstance) -> None:
        """NotFound when the instance is hidden from this reader, also since it was looked up."""
        item = self.item_of(view, instance.study_uid)
        uid = instance.sop_instance_uid
        if self._store.recall(rejected_rows.is_hidden, uid) and (
            view.rejected_of != item.provider or not item.provider
        ):
            raise NotFound
        if is_document(instance.sop_class_uid) and view.withholds_documents(instance.study_uid):
            raise NotFound

    async def _still_checked(self, view: View, instance: StoredInstance) -> None:
        """`check` by the registers as they stand now; see `_still_shown`."""
        self.check(await view.renew(view), instance)

    async def _study(self, study_uid: str, study_key: int, count: int) -> KnownStudy:
        layout = self._store.layout
        if self._layout != layout:
            self._layout = layout
            self._studies.clear()
            self.known.tables.clear()
        cached = self._studies.get(study_uid)
        if cached is None or len(cached.instances) != count:
            found = await self._store.read(
                lambda connection: instance_rows.instances_of_study(connection, study_key)
            )
            cached = self._studies[study_uid] = known_study(found)
            if len(self._studies) > _CACHED_STUDIES:
                self._studies.popitem(last=False)
        self._studies.move_to_end(study_uid)
        return cached

    async def by_instance_uids(self, view: View, sop_instance_uids: Sequence[str]) -> list[StoredInstance]:
        """Instances by their UIDs alone, those that the View shows; unknown ones are left out."""
        found: list[StoredInstance] = []
        for uid in sop_instance_uids:
            study_uid = self._store.peek(partial(instance_rows.study_of_instance, sop_uid=uid))
            if study_uid is not None:
                try:
                    found.extend(await self.instances(view, study_uid, "", uid))
                except NotFound:
                    continue
        return found

    async def by_series_uids(self, view: View, series_uids: Sequence[str]) -> list[StoredInstance]:
        """Instances of whole series, those that the View shows; unknown ones are left out."""
        found: list[StoredInstance] = []
        for uid in series_uids:
            study_uid = self._store.peek(partial(instance_rows.study_of_series, series_uid=uid))
            if study_uid is not None:
                try:
                    found.extend(await self.instances(view, study_uid, uid))
                except NotFound:
                    continue
        return found

    async def data_set(self, view: View, instance: StoredInstance) -> bytes:
        """The data set byte for byte as received; DamagedData when it is not whole any more."""
        await self._still_checked(view, instance)
        return await asyncio.to_thread(
            self._corrected, instance, self.amendments_of(view, instance.study_uid)
        )

    async def data_sets(
        self, view: View, instances: Sequence[StoredInstance], looked: dict[str, Look] | None = None
    ) -> list[Given]:
        """Several data sets, which should be small ones; faults stand in their place.

        Read at once where they lie in memory anyway, which is quicker than to change threads, else in one turn of a
        thread. `looked`: what earlier calls with this View found of studies, kept by whoever calls often.
        """
        looks = looked if looked is not None else {}
        await self.look(view, instances, looks)
        found = await self._given_at_once(instances, looks)
        return found or await asyncio.to_thread(self._given_by_thread, instances, looks)

    async def look(self, view: View, instances: Sequence[StoredInstance], looked: dict[str, Look]) -> None:
        """Asks what the View shows of their studies, for `at_hand` and `still_given`."""
        for study_uid in {instance.study_uid for instance in instances}:
            await self._look(view, study_uid, looked)

    async def at_hand(
        self, view: View, instance: StoredInstance, looked: dict[str, Look]
    ) -> memoryview | None:
        """One data set whose study was `look`ed at and which is `still_given`, if giving it takes no time: no waiting
        for the disk, no SHA-256, no corrections. None = ask `data_sets`, which also tells faults. NotFound."""
        await self.still_given(view, instance, looked)
        is_quick = instance.location.length <= AT_ONCE_BYTES and instance.checksum is not None
        return self._at_hand(instance) if is_quick and not looked[instance.study_uid].corrections else None

    def _at_hand(self, instance: StoredInstance) -> memoryview | None:
        try:
            data = self._store.body_at_hand(instance.location)
        except DamagedData:
            return None
        return data if data is not None and is_whole(data, instance) else None

    async def still_given(self, view: View, instance: StoredInstance, looked: dict[str, Look]) -> None:
        """Asks the registers again for what was looked at some time ago. NotFound: it is not shown any more."""
        if await view.renew(view) is not looked[instance.study_uid].view:
            await self._look(view, instance.study_uid, looked)
        if looked[instance.study_uid].hides(instance):
            raise NotFound

    async def _look(self, view: View, study_uid: str, looks: dict[str, Look]) -> None:
        """Asks what the View, as the registers stand now, shows of a study, unless nothing was written since."""
        view = await view.renew(view)
        state = self._store.state
        look = looks.get(study_uid)
        if look is not None and look.view is view and state is not None and look.state == state:
            return
        hidden: frozenset[str] | None = None
        corrections: tuple[Amendment, ...] = ()
        with contextlib.suppress(NotFound):
            shown = self._rejected(view, self.item_of(view, study_uid), study_uid)
            corrections = self.amendments_of(view, study_uid)
            hidden = shown
        if self._store.state != state:
            state = None  # something was written while the index was asked
        looks[study_uid] = Look(view, state, hidden, corrections)

    async def _given_at_once(
        self, instances: Sequence[StoredInstance], looks: Mapping[str, Look]
    ) -> list[Given]:
        """What `data_sets` gives where that takes no time: no waiting for the disk, no SHA-256, no corrections; else
        nothing. The loop gets its turn in between: an answer that has come to what left before is not kept waiting."""
        is_quick = (
            sum(instance.location.length for instance in instances) <= AT_ONCE_BYTES
            and not any(instance.checksum is None for instance in instances)
            and not any(look.corrections for look in looks.values())
        )
        found: list[Given] = []
        read_bytes = 0
        for instance in instances if is_quick else ():
            if read_bytes >= _TURN_BYTES:
                read_bytes = 0
                await asyncio.sleep(0)
            read_bytes += instance.location.length
            if looks[instance.study_uid].hides(instance):
                found.append(NotFound())
                continue
            data = self._at_hand(instance)
            if data is None:
                return []
            found.append(data)
        return found

    def _given_by_thread(self, instances: Sequence[StoredInstance], looks: Mapping[str, Look]) -> list[Given]:
        shown = [each.location for each in instances if not looks[each.study_uid].hides(each)]
        found: list[Given] = []
        bodies = iter(self._store.bodies(shown))
        for instance in instances:
            look = looks[instance.study_uid]
            if look.hides(instance):
                found.append(NotFound())
                continue
            data = next(bodies)
            if isinstance(data, LimitExceeded):
                found.append(data)
            elif isinstance(data, DamagedData) or not is_whole(data, instance):
                found.append(DamagedData(f"instance {instance.sop_instance_uid}"))
            elif look.corrections:
                laid_over = overlaid(data, instance.transfer_syntax_uid, look.corrections)
                found.append(memoryview(laid_over))
            else:
                found.append(data)
        return found

    def amendments_of(self, view: View, study_uid: str) -> tuple[Amendment, ...]:
        """What was corrected in a study; whatever of it leaves as a whole data set has the corrections laid over."""
        self.item_of(view, study_uid)
        return self._store.peek(lambda connection: amendment_rows.amendments_of(connection, study_uid))

    def _corrected(
        self, instance: StoredInstance, corrections: tuple[Amendment, ...], proves: bool = False
    ) -> bytes:
        data = self._frames.whole(instance, proves)
        return overlaid(data, instance.transfer_syntax_uid, corrections) if corrections else data

    async def pieces(
        self, view: View, instance: StoredInstance, proves: bool = False
    ) -> AsyncIterator[bytes]:
        """The data set in order, in pieces of at most _PIECE_BYTES, for slow readers of large objects.

        The last piece is given only when the whole has its checksum, or with `proves` its SHA-256: for promises, and
        for copies that are kept elsewhere. DamagedData in its place.
        """
        await self._still_checked(view, instance)
        corrections = self.amendments_of(view, instance.study_uid)
        if corrections and not is_large(instance):
            data = await asyncio.to_thread(self._corrected, instance, corrections, proves)
            for first in range(0, len(data), _PIECE_BYTES):
                yield data[first : first + _PIECE_BYTES]
            return
        place, check, offset = instance.location, Check(instance, proves), 0
        if corrections:
            form = await self._leaving(instance, corrections)
            await asyncio.to_thread(self._checked_piece, place.segment, place.offset, form.rest, check)
            offset = form.rest
            yield form.head
        while offset < place.length:
            length = min(_PIECE_BYTES, place.length - offset)
            piece = await asyncio.to_thread(
                self._checked_piece, place.segment, place.offset + offset, length, check
            )
            offset += length
            if offset == place.length and not check.fits():
                raise DamagedData(f"instance {instance.sop_instance_uid}")
            yield piece
            await self._still_checked(view, instance)

    async def streamed(self, view: View, instance: StoredInstance) -> StreamedData:
        """A large data set for a receiver that can not be told in the middle that it is damaged: everything is read
        once before the first byte leaves. DamagedData: its hash does not fit any more."""
        await self._still_checked(view, instance)
        corrections = self.amendments_of(view, instance.study_uid)
        if not await asyncio.to_thread(
            reads_whole, partial(self._store.body, instance.location.segment), instance
        ):
            raise DamagedData(f"instance {instance.sop_instance_uid}")
        form = await self._leaving(instance, corrections)
        return StreamedData(len(form), lambda: self.pieces(view, instance))

    async def streamed_length(self, view: View, instance: StoredInstance) -> int | None:
        """Bytes of a large data set as it leaves, with corrections laid over it; None = it is not large."""
        if not is_large(instance):
            return None
        corrections = self.amendments_of(view, instance.study_uid)
        return len(await self._leaving(instance, corrections))

    async def _leaving(self, instance: StoredInstance, corrections: tuple[Amendment, ...]) -> Leaving:
        if corrections:
            await self._frames.ready(instance)
        return await asyncio.to_thread(leaving, self._documents.sums, instance, corrections)

    def _checked_piece(self, segment: int, offset: int, length: int, check: Check) -> bytes:
        piece = self._store.body(segment, offset, length)
        check.update(piece)
        return piece

    async def frame(self, view: View, instance: StoredInstance, number: int) -> bytes:
        """One frame (1 to n) as stored: native bytes, or one compressed code stream without its item tags.

        NotFound: the instance has no such frame.
        """
        await self._still_checked(view, instance)
        if instance.transfer_syntax_uid == DEFLATED_LITTLE:
            return await self._frames.inflated(instance, number)
        ranges = await self._frames.ranges(instance, number)
        await self._frames.ready(instance, ranges)
        if sum(length for _, length in ranges) <= SMALL_READ and self._store.reads_at_once(instance):
            return self._frames.read(instance, ranges)
        return await asyncio.to_thread(self._frames.read, instance, ranges)

    def frame_at_hand(self, view: View, instance: StoredInstance, number: int) -> memoryview | None:
        """A native frame where it lies in memory, for a View that was asked for just now; checked as `frame` checks it.
        None = ask `frame`, which tells what is the matter. NotFound as `check`."""
        self.check(view, instance)
        return self._frames.at_hand(instance, number)

    async def frame_source(self, view: View, instance: StoredInstance, number: int) -> Callable[[], bytes]:
        """What reads the frame when it is called, for a thread that goes on to work with the bytes. Blocking;
        DamagedData. Not for deflated data sets. NotFound as `frame`, at once."""
        await self._still_checked(view, instance)
        ranges = await self._frames.ranges(instance, number)
        await self._frames.ready(instance, ranges)
        return partial(self._frames.read, instance, ranges)

    async def metadata(
        self, view: View, study_uid: str, series_uid: str = "", sop_instance_uid: str = ""
    ) -> bytes:
        """DICOM JSON array of a study, series or instance; bulk addresses start with documents.BASE_MARK.

        Of a person with protected identity without name, birth date and address, for whoever may not see them;
        the objects themselves leave as they came.
        """
        document = await self._metadata(view, study_uid, series_uid, sop_instance_uid)
        corrections = self.amendments_of(view, study_uid)
        if corrections:
            document = await asyncio.to_thread(_overlaid_document, document, corrections)
        key = self.item_of(view, study_uid).patient_key
        if sees_protected(view.subject) or not self._store.peek(partial(_is_protected, key=key)):
            return document
        return await asyncio.to_thread(masked, document)

    def series_as_kept(self, view: View, study_uid: str, series_uid: str) -> tuple[KeptSeries, ...]:
        """The series of which this reader is to see the kept metadata as they are: those of the study, or the one;
        nothing when `metadata` has to look at each instance. NotFound as `instances`, which is not asked."""
        item = self.item_of(view, study_uid)
        every = self._store.recall(instance_rows.series_of_study, study_uid)
        found = tuple(each for each in every if series_uid in ("", each[0]))
        if not found:
            raise NotFound
        if view.withholds_documents(study_uid):
            return ()
        if self.amendments_of(view, study_uid) or self._rejected(view, item, study_uid):
            return ()
        if not sees_protected(view.subject) and self._store.peek(
            partial(_is_protected, key=item.patient_key)
        ):
            return ()
        return found

    async def metadata_if_ready(self, view: View, study_uid: str, series_uid: str) -> bytes | None:
        """What `metadata` gives of a series when that takes no more than reading it; None = it must be made first."""
        count = len(await self.instances(view, study_uid, series_uid))
        if self._rejected(view, self.item_of(view, study_uid), study_uid):
            return None
        key = self._store.peek(partial(instance_rows.series_key, series_uid=series_uid))
        if not await self._documents.is_kept(key, count):
            return None
        return await self.metadata(view, study_uid, series_uid)

    async def attributes(self, view: View, instance: StoredInstance, wanted: frozenset[int]) -> bytes:
        """DICOM JSON array of one instance as it was sent, with these attributes alone: none that is corrected or
        that names the person. NotFound as `check`."""
        await self._still_checked(view, instance)
        return b"[" + await self._documents.attributes(instance, wanted) + b"]"

    async def metadata_kept(
        self, view: View, study_uid: str, series: Sequence[KeptSeries], base: str
    ) -> MetadataInPieces | None:
        """What `metadata` gives of what `series_as_kept` has just told, with `base` for BASE_MARK, from where it lies.
        None = it is not kept. `pieces` ends within limits.VIEW_SECONDS of a block."""
        self.item_of(view, study_uid)
        documents: list[Marked] = []
        for each in series:
            document = await self._documents.kept(*each)
            if document is None:
                return None
            documents.append(document)
        return MetadataInPieces(
            documents, base.encode(), self._documents.executor, partial(self._still_shown, view, study_uid)
        )

    async def metadata_compressed(
        self, view: View, study_uid: str, series: KeptSeries, base: str
    ) -> bytes | None:
        """What `metadata_kept` gives of one series, in gzip, where that is kept ready. None = it is not."""
        self.item_of(view, study_uid)
        return await self._documents.compressed(*series, base)

    async def _metadata(self, view: View, study_uid: str, series_uid: str, sop_instance_uid: str) -> bytes:
        instances = await self.instances(view, study_uid, series_uid, sop_instance_uid)
        if sop_instance_uid:
            return b"[" + await self._documents.instance(instances[0]) + b"]"
        if self._rejected(view, self.item_of(view, study_uid), study_uid):
            # Documents of series hold what is rejected too.
            shown = [await self._documents.instance(instance) for instance in instances]
            return b"[" + joined(shown) + b"]"
        counts = Counter(instance.series_uid for instance in instances)
        parts = [await self._series_document(uid, count) for uid, count in counts.items()]
        return b"[" + joined(parts) + b"]"

    async def _series_document(self, series_uid: str, count: int) -> bytes:
        facts = self._store.peek(lambda connection: instance_rows.series_key(connection, series_uid))
        return await self._documents.series(series_uid, facts, count)

    async def bulk(self, view: View, instance: StoredInstance, path: str) -> bytes:
        """The value at a path of tags and item numbers as metadata name it; NotFound when there is none.
        LimitExceeded: a large value of an object above MAX_INSTANCE_IN_MEMORY_BYTES; `bulk_span` tells where it lies.
        Small values of large objects are checked like frames; corrections do not touch them."""
        if is_large(instance):
            await self._still_checked(view, instance)
            await self._frames.ready(instance)
            with contextlib.suppress(LimitExceeded):  # then it is read whole, as far as that goes
                return await asyncio.to_thread(small_value, self._documents.sums, instance, path)
        data = await self.data_set(view, instance)
        return bytes(await asyncio.to_thread(bulk_value, data, instance.transfer_syntax_uid, path))

    async def bulk_span(self, view: View, instance: StoredInstance, path: str) -> tuple[int, int] | None:
        """Where a large binary value of a large object lies in its data set, for `stored_part`; None = it is none."""
        await self._still_checked(view, instance)
        if not is_large(instance) or not _TAG.fullmatch(path):
            return None
        await self._frames.ready(instance)
        return await asyncio.to_thread(value_span, self._documents.sums, instance, int(path, 16))

    def stored_part(
        self, view: View, instance: StoredInstance, first: int, length: int
    ) -> AsyncIterator[bytes]:
        """`length` bytes of what is stored from `first` on, in pieces; checked like frames."""
        return self._spans(view, instance, [(first, length)])

    async def part(
        self, view: View, instance: StoredInstance, first: int, length: int
    ) -> AsyncIterator[bytes]:
        """`length` bytes of the data set from `first` on, in pieces; checked like frames."""
        await self._still_checked(view, instance)
        corrections = self.amendments_of(view, instance.study_uid)
        if corrections and not is_large(instance):
            yield (await self.data_set(view, instance))[first : first + length]
            return
        if corrections:
            form = await self._leaving(instance, corrections)
            end, head = first + length, len(form.head)
            yield form.head[first:end]
            first, end = (max(each, head) - head + form.rest for each in (first, end))
            length = end - first
        async for piece in self._spans(view, instance, [(first, length)]):
            yield piece

    async def frame_length(self, view: View, instance: StoredInstance, number: int) -> int:
        """Bytes of one frame as stored (a video is one frame), without reading it. NotFound as `frame`."""
        await self._still_checked(view, instance)
        return sum(length for _, length in await self._frames.spans(instance, number))

    async def frame_part(
        self, view: View, instance: StoredInstance, number: int, first: int, length: int
    ) -> AsyncIterator[bytes]:
        """`length` bytes of a frame as stored from its byte `first` on, in pieces. NotFound as `frame`."""
        await self._still_checked(view, instance)
        spans: list[tuple[int, int]] = []
        for offset, size in await self._frames.spans(instance, number):
            begin, end = max(first, 0), min(first + length, size)
            if begin < end:
                spans.append((offset + begin, end - begin))
            first -= size
        async for piece in self._spans(view, instance, spans):
            yield piece

    async def _spans(
        self, view: View, instance: StoredInstance, spans: list[tuple[int, int]]
    ) -> AsyncIterator[bytes]:
        await self._frames.ready(instance)
        for first, length in spans:
            for offset in range(first, first + length, _PIECE_BYTES):
                size = min(_PIECE_BYTES, first + length - offset)
                yield await asyncio.to_thread(self._frames.read, instance, [(offset, size)])
                await self._still_checked(view, instance)


def _is_protected(connection: IndexConnection, key: int) -> bool:
    return identity_rows.is_protected(connection, patient_rows.closure_of(connection, key))


def _overlaid_document(document: bytes, corrections: tuple[Amendment, ...]) -> bytes:
    return b"[" + joined(_overlaid(model, corrections) for model in each_in(document)) + b"]"


def _overlaid(model: dict[str, Any], corrections: tuple[Amendment, ...]) -> bytes:
    overlay_model(model, corrections)
    return orjson.dumps(model)
