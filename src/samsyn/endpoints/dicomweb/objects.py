"""WADO-RS for whole objects, their metadata and bulk data (PS3.18 10.4)."""

from collections.abc import AsyncIterator, Sequence

from samsyn.access.view import Gatekeeper, View
from samsyn.dicom.part10 import file_preamble_and_meta
from samsyn.dicom.transfer_syntaxes import EXPLICIT_LITTLE, find
from samsyn.endpoints.dicomweb.answers import DICOM_JSON, Answer, new_boundary, plain_refusal
from samsyn.endpoints.dicomweb.frames import Frames
from samsyn.endpoints.dicomweb.negotiation import Acceptable, Offer, choose, choose_plain
from samsyn.endpoints.dicomweb.target import Target
from samsyn.errors import NotFound
from samsyn.model.imaging import StoredInstance
from samsyn.retrieve.retrieve import BASE_MARK, Retriever
from samsyn.wire.multipart import closing, part_head

_DICOM = "application/dicom"
_OCTETS = "application/octet-stream"
_PIXEL_DATA = "7FE00010"
_AT_ONCE_BYTES = 1024 * 1024
"""A single object up to this size is checked as a whole before the status is sent."""


class Objects:
    """Answers retrievals of studies, series, instances, metadata and bulk data."""

    def __init__(self, gatekeeper: Gatekeeper, retriever: Retriever, frames: Frames) -> None:
        self._gatekeeper = gatekeeper
        self._retriever = retriever
        self._frames = frames

    async def retrieve(self, view: View, target: Target, ranges: tuple[Acceptable, ...]) -> Answer:
        """Part 10 files of everything under the target, each data set byte for byte as it was received.

        Objects go out in the transfer syntax in which they are stored; who accepts only another one gets 406
        for the whole request, never a part of it.
        """
        instances = await self._instances(view, target)
        forms = set()
        for syntax in {instance.transfer_syntax_uid for instance in instances}:
            chosen = choose(ranges, (Offer(_DICOM, syntax),), single=bool(target.sop_instance_uid))
            if chosen is None:
                return plain_refusal(406, "The objects are stored in another form than is accepted.")
            forms.add(chosen[1])
        await self._gatekeeper.record_opening(view, target.study_uid, "images")
        if forms == {False}:
            return await self._single(view, instances[0])
        return self._multipart(view, instances)

    async def _instances(self, view: View, target: Target) -> Sequence[StoredInstance]:
        return await self._retriever.instances(
            view, target.study_uid, target.series_uid, target.sop_instance_uid
        )

    async def _single(self, view: View, instance: StoredInstance) -> Answer:
        kind = f"{_DICOM}; transfer-syntax={instance.transfer_syntax_uid}".encode()
        name = f'attachment; filename="{instance.sop_instance_uid}.dcm"'.encode()
        headers = ((b"content-disposition", name),)
        head, length = _head(instance), instance.location.length
        if length <= _AT_ONCE_BYTES:
            return Answer(200, head + await self._retriever.data_set(view, instance), kind, headers)

        async def body() -> AsyncIterator[bytes]:
            yield head
            async for piece in self._retriever.pieces(view, instance):
                yield piece

        return Answer(200, body(), kind, headers, len(head) + length)

    def _multipart(self, view: View, instances: Sequence[StoredInstance]) -> Answer:
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

        async def body() -> AsyncIterator[bytes]:
            for head, instance in zip(heads, instances, strict=True):
                yield head
                async for piece in self._retriever.pieces(view, instance):
                    yield piece
            yield end

        kind = f'multipart/related; type="{_DICOM}"; boundary={boundary}'.encode()
        return Answer(200, body(), kind, length=length)

    async def metadata(self, view: View, target: Target, ranges: tuple[Acceptable, ...], base: str) -> Answer:
        """The DICOM JSON of everything under the target, without bulk data."""
        if choose_plain(ranges, (DICOM_JSON.decode(), "application/json")) is None:
            return plain_refusal(406, "Metadata are sent as application/dicom+json.")
        await self._instances(view, target)
        await self._gatekeeper.record_opening(view, target.study_uid, "metadata")
        document = await self._retriever.metadata(
            view, target.study_uid, target.series_uid, target.sop_instance_uid
        )
        return Answer(200, document.replace(BASE_MARK.encode(), base.encode()), DICOM_JSON)

    async def bulk_data(self, view: View, target: Target, ranges: tuple[Acceptable, ...]) -> Answer:
        """One bulk value as metadata address it; compressed pixel data come as their frames."""
        instance = (await self._instances(view, target))[0]
        syntax = find(instance.transfer_syntax_uid)
        if target.bulk_path.upper() == _PIXEL_DATA and syntax is not None and syntax.encapsulated:
            if instance.pixels is None:
                raise NotFound
            return await self._frames.retrieve(view, instance, (), ranges)
        chosen = choose(ranges, (Offer(_OCTETS, EXPLICIT_LITTLE),), single=True)
        if chosen is None:
            return plain_refusal(406, "Bulk data are sent as application/octet-stream.")
        value = await self._retriever.bulk(view, instance, target.bulk_path)
        await self._gatekeeper.record_opening(view, target.study_uid, "images")
        if not chosen[1]:
            return Answer(200, value, _OCTETS.encode())
        boundary = new_boundary()
        body = b"".join((part_head(boundary, _OCTETS, first=True), value, closing(boundary)))
        return Answer(200, body, f'multipart/related; type="{_OCTETS}"; boundary={boundary}'.encode())


def _head(instance: StoredInstance) -> bytes:
    return file_preamble_and_meta(
        instance.sop_class_uid, instance.sop_instance_uid, instance.transfer_syntax_uid
    )
