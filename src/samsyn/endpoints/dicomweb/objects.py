"""WADO-RS for whole objects and their metadata (PS3.18 10.4)."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from operator import attrgetter
from typing import TypeAlias

from samsyn.access.view import Gatekeeper, View
from samsyn.dicom.json_array import each_in
from samsyn.dicom.part10 import file_preamble_and_meta
from samsyn.dicom.recoding import RECODABLE, RECODED
from samsyn.endpoints.dicomweb.answers import DICOM_JSON, Answer, new_boundary, not_modified, plain_refusal
from samsyn.endpoints.dicomweb.asked import Asked, entity_tag
from samsyn.endpoints.dicomweb.datasets import as_xml, form_of, not_acceptable
from samsyn.endpoints.dicomweb.negotiation import Offer, choose
from samsyn.endpoints.dicomweb.parts import Content, content_of, single_part
from samsyn.endpoints.dicomweb.target import Target
from samsyn.exchange.forms import in_form
from samsyn.exchange.gathering import Pieces
from samsyn.model.amendment import Amendment
from samsyn.model.imaging import StoredInstance
from samsyn.model.streamed import StreamedData
from samsyn.render.transcoding import Transcoder, can_be_native, is_too_large
from samsyn.retrieve.metadata_pieces import WINDOW_BYTES, MetadataInPieces
from samsyn.retrieve.read_ahead import GROUP_BYTES, ReadAhead
from samsyn.retrieve.retrieve import BASE_MARK, Retriever, identity_of
from samsyn.wire.multipart import closing, part_head

_DICOM = "application/dicom"
_Stored: TypeAlias = tuple[str, bool]
"""A transfer syntax, and whether objects in it can be written in an uncompressed one: not every one can."""


class Objects:
    """Answers retrievals of studies, series, instances and metadata."""

    def __init__(self, gatekeeper: Gatekeeper, retriever: Retriever, transcoder: Transcoder) -> None:
        self._transcoder = transcoder
        self._gatekeeper = gatekeeper
        self._retriever = retriever

    async def retrieve(self, view: View, target: Target, asked: Asked) -> Answer:
        """Part 10 files of everything under the target, each data set byte for byte as it was received.

        Who accepts only another uncompressed transfer syntax gets them in that one, with every value unchanged and
        exactly the pixels that were compressed. 406 is for the whole request, never for a part of it.
        """
        instances = await self._instances(view, target)
        sent: dict[_Stored, str] = {}
        forms = set()
        for stored in dict.fromkeys(map(_stored, instances)):
            offers = _offers_of(stored)
            chosen = choose(asked.accepted, offers, single=bool(target.sop_instance_uid))
            if chosen is None:
                return plain_refusal(406, _unacceptable(offers))
            sent[stored] = chosen[0].transfer_syntax
            forms.add(chosen[1])
        is_single = forms == {False}
        corrections = self._retriever.amendments_of(view, target.study_uid)
        form = (is_single, *sorted(sent.items()), corrections)
        tag = entity_tag(view, "objects", form, _identity(instances), weak=not is_single)
        await self._gatekeeper.record_opening(view, target.study_uid, "images")
        if asked.has(tag):
            return not_modified(tag)
        if is_single:
            return await self._single(view, instances[0], sent[_stored(instances[0])], asked, tag)
        if corrections or any(stored[0] != wanted for stored, wanted in sent.items()):
            return self._recoded(view, instances, sent, tag)
        return self._multipart(view, instances, tag)

    async def _instances(self, view: View, target: Target) -> Sequence[StoredInstance]:
        return await self._retriever.instances(
            view, target.study_uid, target.series_uid, target.sop_instance_uid
        )

    async def _single(
        self, view: View, instance: StoredInstance, syntax: str, asked: Asked, tag: bytes
    ) -> Answer:
        kind = f"{_DICOM}; transfer-syntax={syntax}".encode()
        name = f'attachment; filename="{instance.sop_instance_uid}.dcm"'.encode()
        headers = ((b"content-disposition", name),)
        head, length = _head(instance, syntax), instance.location.length
        corrections = self._retriever.amendments_of(view, instance.study_uid)
        is_as_stored = syntax == instance.transfer_syntax_uid
        streamed = await self._retriever.streamed_length(view, instance) if corrections else None
        if streamed is not None and is_as_stored:
            length = streamed
        elif corrections or not is_as_stored:
            content = content_of(head + await self._in_syntax(view, instance, syntax))
            return await single_part(asked, content, kind, tag, headers)

        async def whole() -> AsyncIterator[bytes]:
            yield head
            async for piece in self._retriever.pieces(view, instance):
                yield piece

        async def part(first: int, size: int) -> AsyncIterator[bytes]:
            if first < len(head):
                yield head[first : first + size]
            begin = max(first - len(head), 0)
            end = max(first + size - len(head), 0)
            async for piece in self._retriever.part(view, instance, begin, end - begin):
                yield piece

        return await single_part(asked, Content(len(head) + length, whole, part), kind, tag, headers)

    async def _in_syntax(self, view: View, instance: StoredInstance, syntax: str) -> bytes:
        data = await self._retriever.data_set(view, instance)
        made = await in_form(data, instance, syntax, self._transcoder, view)
        assert not isinstance(made, StreamedData)
        return bytes(made)

    def _recoded(
        self, view: View, instances: Sequence[StoredInstance], sent: dict[_Stored, str], tag: bytes
    ) -> Answer:
        boundary = new_boundary()

        async def body() -> AsyncIterator[bytes]:
            for number, instance in enumerate(instances):
                syntax = sent[_stored(instance)]
                kind = f"{_DICOM}; transfer-syntax={syntax}"
                yield part_head(boundary, kind, first=number == 0) + _head(instance, syntax)
                if syntax != instance.transfer_syntax_uid:
                    yield await self._in_syntax(view, instance, syntax)
                    continue
                async for piece in self._retriever.pieces(view, instance):
                    yield piece
            yield closing(boundary)

        return Answer(
            200, body(), f'multipart/related; type="{_DICOM}"; boundary={boundary}'.encode(), tag=tag
        )

    def _multipart(self, view: View, instances: Sequence[StoredInstance], tag: bytes) -> Answer:
        boundary = new_boundary()
        heads = [
            part_head(
                boundary, f"{_DICOM}; transfer-syntax={instance.transfer_syntax_uid}", first=number == 0
            )
            + _head(instance)
            for number, instance in enumerate(instances)
        ]
        end = closing(boundary)
        length = sum(map(len, heads)) + sum(instance.location.length for instance in instances) + len(end)

        async def body() -> AsyncIterator[bytes | Pieces]:
            left = iter(heads)
            async with ReadAhead(self._retriever, view, instances, GROUP_BYTES) as ahead:
                for group in ahead.groups:
                    if group[0].location.length > GROUP_BYTES:
                        yield next(left)
                        async for piece in self._retriever.pieces(view, group[0]):
                            yield piece
                        continue
                    parts: list[bytes | memoryview] = []
                    for instance in group:
                        parts += (next(left), await ahead.data_of(instance))
                    yield Pieces(parts)
            yield end

        kind = f'multipart/related; type="{_DICOM}"; boundary={boundary}'.encode()
        return Answer(200, body(), kind, length=length, tag=tag)

    async def metadata(self, view: View, target: Target, asked: Asked) -> Answer:
        """The data sets of everything under the target as JSON or XML, without bulk data."""
        form = form_of(asked.accepted)
        if form is None:
            return not_acceptable("Metadata")
        if form == "json" and not target.sop_instance_uid:
            kept = await self._kept_metadata(view, target, asked)
            if kept is not None:
                return kept
        instances = await self._instances(view, target)
        corrections = self._retriever.amendments_of(view, target.study_uid)
        made_of = tuple(map(identity_of, _by_series(instances)))
        tag = _metadata_tag(view, form, asked, corrections, made_of)
        await self._gatekeeper.record_opening(view, target.study_uid, "metadata")
        if asked.has(tag):
            return not_modified(tag)
        document = await self._retriever.metadata(
            view, target.study_uid, target.series_uid, target.sop_instance_uid
        )
        body = document.replace(BASE_MARK.encode(), asked.base.encode())
        if form == "xml":
            return replace(as_xml(each_in(body)), tag=tag)
        return Answer(200, body, DICOM_JSON, tag=tag)

    async def _kept_metadata(self, view: View, target: Target, asked: Asked) -> Answer | None:
        """The answer from documents that are kept, whose instances need not be asked for; None = there are none. They
        are looked up while the audit journal is written, and sent when it is."""
        series = self._retriever.series_as_kept(view, target.study_uid, target.series_uid)
        if not series:
            return None
        _, kept = await asyncio.gather(
            self._gatekeeper.record_opening(view, target.study_uid, "metadata"),
            self._retriever.metadata_kept(view, target.study_uid, series, asked.base),
        )
        if kept is None:
            return None
        tag = _metadata_tag(view, "json", asked, (), kept.made_of)
        if asked.has(tag):
            return not_modified(tag)
        if asked.takes_gzip and len(series) == 1:
            packed = await self._retriever.metadata_compressed(view, target.study_uid, series[0], asked.base)
            if packed is not None:
                return Answer(200, packed, DICOM_JSON, ((b"content-encoding", b"gzip"),), tag=tag)
        return await _from_kept(kept, tag)


async def _from_kept(kept: MetadataInPieces, tag: bytes) -> Answer:
    """Small ones leave in one write, larger ones window by window, without a copy."""
    if kept.length <= WINDOW_BYTES:
        return Answer(
            200, b"".join([piece async for pieces in kept.pieces() for piece in pieces]), DICOM_JSON, tag=tag
        )

    async def body() -> AsyncIterator[Pieces]:
        async for pieces in kept.pieces():
            yield Pieces(pieces)

    return Answer(200, body(), DICOM_JSON, length=kept.length, tag=tag)


def _metadata_tag(
    view: View, form: str, asked: Asked, corrections: tuple[Amendment, ...], made_of: tuple[bytes, ...]
) -> bytes:
    """`made_of`: of the instances of each series."""
    return entity_tag(view, "metadata", form, asked.base, corrections, b"".join(made_of), weak=True)


def _by_series(instances: Sequence[StoredInstance]) -> Iterator[Iterator[StoredInstance]]:
    return (each for _, each in groupby(instances, attrgetter("series_uid")))


def _identity(instances: Sequence[StoredInstance]) -> bytes:
    """What tells these very objects in this order from all others."""
    return b"".join([instance.sha256 for instance in instances])


def _stored(instance: StoredInstance) -> _Stored:
    syntax = instance.transfer_syntax_uid
    return syntax, syntax in RECODABLE or (can_be_native(instance) and not is_too_large(instance))


def _offers_of(stored: _Stored) -> tuple[Offer, ...]:
    """The stored form first, then the uncompressed ones in which the same can be written."""
    syntax, is_convertible = stored
    others = RECODED if is_convertible else ()
    return tuple(Offer(_DICOM, uid) for uid in dict.fromkeys((syntax, *others)))


def _unacceptable(offers: tuple[Offer, ...]) -> str:
    forms = " or ".join(offer.transfer_syntax for offer in offers)
    return f"The objects can be sent as {_DICOM} in transfer syntax {forms}; several as multipart/related."


def _head(instance: StoredInstance, syntax: str = "") -> bytes:
    return file_preamble_and_meta(
        instance.sop_class_uid, instance.sop_instance_uid, syntax or instance.transfer_syntax_uid
    )
