"""WADO-RS for bulk data (PS3.18 10.4.1.1.5, 10.4.1.1.6): one value by its address, or all of what an address names."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, Final

from samsyn.access.view import Gatekeeper, View
from samsyn.dicom.json_array import each_in
from samsyn.dicom.report_documents import PDF
from samsyn.dicom.transfer_syntaxes import EXPLICIT_LITTLE, find
from samsyn.endpoints.dicomweb.answers import Answer, new_boundary, not_modified, plain_refusal
from samsyn.endpoints.dicomweb.asked import Asked, entity_tag
from samsyn.endpoints.dicomweb.frames import OCTETS, Frames, frame_count, offers_of
from samsyn.endpoints.dicomweb.negotiation import Offer, choose
from samsyn.endpoints.dicomweb.parts import Content, content_of, single_part
from samsyn.endpoints.dicomweb.target import Target
from samsyn.errors import NotFound
from samsyn.model.imaging import StoredInstance
from samsyn.retrieve.retrieve import Retriever
from samsyn.wire.multipart import closing, part_head

_PIXEL_DATA: Final = "7FE00010"
_PIXELS: Final = frozenset({_PIXEL_DATA, "7FE00008", "7FE00009"})
"""Pixel Data, Float Pixel Data, Double Float Pixel Data."""
_ENCAPSULATED_DOCUMENT: Final = "00420011"
_PDF: Final = "application/pdf"
_UNACCEPTABLE: Final = f"Bulk data are sent as multipart/related; type={OCTETS}, or as they are compressed."


class BulkData:
    """Answers retrievals of bulk data."""

    def __init__(self, gatekeeper: Gatekeeper, retriever: Retriever, frames: Frames) -> None:
        self._gatekeeper = gatekeeper
        self._retriever = retriever
        self._frames = frames

    async def one(self, view: View, target: Target, asked: Asked) -> Answer:
        """One bulk value as metadata address it; compressed pixel data come as their frames."""
        [instance] = await self._instances(view, target)
        path = target.bulk_path.upper()
        location = _location(instance, path, asked.base)
        if _has_frames(instance, path):
            if instance.pixels is None:
                raise NotFound
            return await self._frames.retrieve(view, instance, (), asked, location)
        offers = _offers(instance, path)
        chosen = choose(asked.accepted, offers, single=True)
        if chosen is None:
            kinds = " or ".join(offer.kind for offer in offers)
            return plain_refusal(406, f"This value is sent as {kinds}.")
        offer, multipart = chosen
        tag = entity_tag(view, "bulk", instance.sha256, path, offer.kind, multipart, weak=multipart)
        await self._gatekeeper.record_opening(view, target.study_uid, "images")
        if asked.has(tag):
            return not_modified(tag)
        content = await self._value(view, instance, target.bulk_path)
        if not multipart:
            return await single_part(asked, content, offer.kind.encode(), tag)
        boundary = new_boundary()

        async def body() -> AsyncIterator[bytes]:
            yield part_head(boundary, offer.kind, location, first=True)
            async for piece in content.whole():
                yield piece
            yield closing(boundary)

        kind = f'multipart/related; type="{offer.kind}"; boundary={boundary}'.encode()
        return Answer(200, body(), kind, tag=tag)

    async def every(self, view: View, target: Target, asked: Asked, *, pixels: bool) -> Answer:
        """All bulk values of a study, series or instance, or its pixel data alone: each as a part whose
        Content-Location is its address in the metadata (PS3.18 10.4.3.3.5), compressed pixel data as one for each
        frame. What is acceptable in no form is left out; 406 when that is all there is, NotFound when there is none.
        """
        instances = await self._instances(view, target)
        identity = b"".join(instance.sha256 for instance in instances)
        tag = entity_tag(view, "all-bulk", pixels, asked.accepted, asked.base, identity, weak=True)
        wanted = _Wanted(asked, pixels)
        boundary = new_boundary()
        parts = self._parts(view, instances, wanted, boundary)
        first = await anext(parts, None)
        if first is None and not wanted.unacceptable:
            raise NotFound
        if first is None:
            return plain_refusal(406, _UNACCEPTABLE)
        await self._gatekeeper.record_opening(view, target.study_uid, "images")
        if asked.has(tag):
            await parts.aclose()
            return not_modified(tag)

        async def body() -> AsyncIterator[bytes]:
            yield first
            async for piece in parts:
                yield piece
            yield closing(boundary)

        kind = f'multipart/related; type="{wanted.first_kind}"; boundary={boundary}'.encode()
        return Answer(200, body(), kind, tag=tag)

    async def _instances(self, view: View, target: Target) -> Sequence[StoredInstance]:
        return await self._retriever.instances(
            view, target.study_uid, target.series_uid, target.sop_instance_uid
        )

    async def _value(self, view: View, instance: StoredInstance, path: str) -> Content:
        span = await self._retriever.bulk_span(view, instance, path.upper())
        if span is None:
            return content_of(await self._retriever.bulk(view, instance, path))
        offset, length = span

        def part(first: int, size: int) -> AsyncIterator[bytes]:
            return self._retriever.stored_part(view, instance, offset + first, size)

        return Content(length, lambda: part(0, length), part)

    async def _parts(
        self, view: View, instances: Sequence[StoredInstance], wanted: "_Wanted", boundary: str
    ) -> AsyncGenerator[bytes, None]:
        """The head of a part, its bytes, the next head."""
        for instance in instances:
            for path in await self._paths(view, instance, wanted):
                offer = wanted.offer_of(instance, path)
                if offer is None:
                    continue
                location = _location(instance, path, wanted.base)
                numbers = range(1, frame_count(instance) + 1) if _has_frames(instance, path) else (0,)
                for number in numbers:
                    if number:
                        content = await self._frames.content(view, instance, number, offer)
                    else:
                        content = await self._value(view, instance, path)
                    media_type = (
                        f"{offer.kind}; transfer-syntax={offer.transfer_syntax}" if number else offer.kind
                    )
                    yield part_head(boundary, media_type, location, first=wanted.is_first(offer))
                    async for piece in content.whole():
                        yield piece

    async def _paths(self, view: View, instance: StoredInstance, wanted: "_Wanted") -> list[str]:
        """The bulk values that metadata of an instance address. Those of compressed pixels need not be looked for."""
        if wanted.pixels and instance.pixels is not None and _has_frames(instance, _PIXEL_DATA):
            return [_PIXEL_DATA]
        document = await self._retriever.metadata(
            view, instance.study_uid, instance.series_uid, instance.sop_instance_uid
        )
        found = [path for model in each_in(document) for path in _addressed(model)]
        return [path for path in found if not wanted.pixels or path in _PIXELS]


class _Wanted:
    """What all bulk data were asked for, and what has become of it so far."""

    def __init__(self, asked: Asked, pixels: bool) -> None:
        self.pixels = pixels
        self.base = asked.base
        self.unacceptable = False
        """Whether something was left out."""
        self.first_kind = ""
        """Media type of the first part."""
        self._accepted = asked.accepted

    def offer_of(self, instance: StoredInstance, path: str) -> Offer | None:
        """How a value is sent; None = it is left out."""
        is_framed = _has_frames(instance, path)
        offers = offers_of(instance.transfer_syntax_uid) if is_framed else _offers(instance, path)
        chosen = choose(self._accepted, offers, single=False)
        if chosen is None or (is_framed and instance.pixels is None):
            self.unacceptable = True
            return None
        return chosen[0]

    def is_first(self, offer: Offer) -> bool:
        """Whether a part is the first."""
        is_first = not self.first_kind
        self.first_kind = self.first_kind or offer.kind
        return is_first


def _has_frames(instance: StoredInstance, path: str) -> bool:
    syntax = find(instance.transfer_syntax_uid)
    return path == _PIXEL_DATA and syntax is not None and syntax.encapsulated


def _offers(instance: StoredInstance, path: str) -> tuple[Offer, ...]:
    """How a value that is no compressed pixel data can be sent."""
    octets = Offer(OCTETS, EXPLICIT_LITTLE)
    if path == _ENCAPSULATED_DOCUMENT and instance.sop_class_uid == PDF:
        return octets, Offer(_PDF, "")
    return (octets,)


def _location(instance: StoredInstance, path: str, base: str) -> str:
    return (
        f"{base}/studies/{instance.study_uid}/series/{instance.series_uid}"
        f"/instances/{instance.sop_instance_uid}/bulkdata/{path}"
    )


def _addressed(model: Mapping[str, Any]) -> Iterator[str]:
    """Paths of the values that a data set addresses, in its order, also inside sequences."""
    for element in model.values():
        address = element.get("BulkDataURI")
        if address is not None:
            yield address.rpartition("/bulkdata/")[2]
        elif element["vr"] == "SQ":
            for item in element.get("Value", ()):
                yield from _addressed(item)
