"""WADO-RS frames (PS3.18 10.4.1.1.6): the stored bytes of single frames, or their decoded pixels."""

from collections.abc import AsyncIterator
from typing import Final, Protocol

import orjson

from samsyn.access.view import Gatekeeper, View
from samsyn.dicom.frames import aligned, octets
from samsyn.dicom.transfer_syntaxes import EXPLICIT_BIG, EXPLICIT_LITTLE, find
from samsyn.endpoints.dicomweb.answers import Answer, new_boundary, not_modified, plain_refusal
from samsyn.endpoints.dicomweb.asked import Asked, entity_tag
from samsyn.endpoints.dicomweb.negotiation import Offer, choose
from samsyn.endpoints.dicomweb.parts import Content, content_of, single_part, whole_part
from samsyn.errors import NotFound, NotSupported
from samsyn.model.imaging import StoredInstance
from samsyn.render.words import DecodedFrame
from samsyn.retrieve.retrieve import Retriever
from samsyn.wire.multipart import closing, part_head

OCTETS = "application/octet-stream"

_WORDS: Final = (("7FE00010", "OW", 16), ("7FE00008", "OF", 32), ("7FE00009", "OD", 64))
"""Bits of the words that pixels are written in, by tag and VR (PS3.5 7.3); OB knows none."""


class Decoding(Protocol):
    """Frames decompressed for who can not do it himself."""

    async def decoded(self, view: View, instance: StoredInstance, number: int) -> DecodedFrame:
        """Frame `number` (from 1) as native pixels."""
        ...


class Frames:
    """Answers retrievals of frames."""

    def __init__(self, gatekeeper: Gatekeeper, retriever: Retriever, decoding: Decoding) -> None:
        self._gatekeeper = gatekeeper
        self._retriever = retriever
        self._decoding = decoding

    def at_once(self, view: View, instance: StoredInstance, number: int, asked: Asked) -> Answer | None:
        """What `retrieve` answers for one native frame that is at hand, of a study whose opening is written down; None
        = ask it."""
        if asked.if_none_match or asked.range or not 1 <= number <= frame_count(instance):
            return None
        offers = offers_of(instance.transfer_syntax_uid)
        chosen = choose(asked.accepted, offers, single=True)
        if chosen is None or chosen[0] != offers[0] or instance.transfer_syntax_uid == EXPLICIT_BIG:
            return None
        if not self._gatekeeper.is_recorded(view, instance.study_uid, "images"):
            return None
        at_hand = self._retriever.frame_at_hand(view, instance, number)
        if at_hand is None or instance.pixels is None:
            return None
        frame = aligned(at_hand, instance.pixels, number)
        offer, multipart = chosen
        kind = f"{offer.kind}; transfer-syntax={offer.transfer_syntax}"
        tag = entity_tag(view, "frames", instance.sha256, (number,), kind, multipart, weak=multipart)
        return _one_part(frame, offer, kind, tag) if multipart else whole_part((frame,), kind.encode(), tag)

    async def retrieve(
        self, view: View, instance: StoredInstance, numbers: tuple[int, ...], asked: Asked, location: str = ""
    ) -> Answer:
        """The frames in the order asked for; no numbers = all of them. `location`: the address of the value that they
        are, told in each part.

        Native pixels are little endian octet streams; each frame of 1-bit pixels begins with a byte. Compressed
        ones go out as stored to who accepts that, and are decompressed for who accepts only octet streams without
        naming a transfer syntax. NotFound when one of the frames does not exist: then none is sent.
        """
        if instance.pixels is None:
            raise NotFound
        last = frame_count(instance)
        if numbers and max(numbers) > last:
            raise NotFound
        numbers = numbers or tuple(range(1, last + 1))
        offers = offers_of(instance.transfer_syntax_uid)
        chosen = choose(asked.accepted, offers, single=len(numbers) == 1)
        if chosen is None:
            return plain_refusal(406, _unacceptable(offers))
        offer, multipart = chosen
        kind = f"{offer.kind}; transfer-syntax={offer.transfer_syntax}"
        tag = entity_tag(view, "frames", instance.sha256, numbers, kind, multipart, weak=multipart)
        if asked.has(tag):
            await self._gatekeeper.record_opening(view, instance.study_uid, "images")
            return not_modified(tag)
        if not multipart:
            content = await self.content(view, instance, numbers[0], offer)
            await self._gatekeeper.record_opening(view, instance.study_uid, "images")
            return await single_part(asked, content, kind.encode(), tag)
        first = await self._frame(view, instance, numbers[0], offer)
        await self._gatekeeper.record_opening(view, instance.study_uid, "images")
        if len(numbers) == 1:
            return _one_part(first, offer, kind, tag, location)
        boundary = new_boundary()
        content_type = f'multipart/related; type="{offer.kind}"; boundary={boundary}'.encode()
        body = self._parts(view, instance, numbers, offer, first, boundary, kind, location)
        return Answer(200, body, content_type, tag=tag)

    async def _parts(
        self,
        view: View,
        instance: StoredInstance,
        numbers: tuple[int, ...],
        offer: Offer,
        first: bytes,
        boundary: str,
        kind: str,
        location: str,
    ) -> AsyncIterator[bytes]:
        yield part_head(boundary, kind, location, first=True) + first
        head = part_head(boundary, kind, location)
        for number in numbers[1:]:
            yield head + await self._frame(view, instance, number, offer)
        yield closing(boundary)

    async def content(self, view: View, instance: StoredInstance, number: int, offer: Offer) -> Content:
        """One frame, from 1, in one of `offers_of`; a video is read as it is sent."""
        syntax = find(instance.transfer_syntax_uid)
        if syntax is None or not syntax.video:
            return content_of(await self._frame(view, instance, number, offer))
        return await self.video(view, instance)

    async def video(self, view: View, instance: StoredInstance) -> Content:
        """The whole bit stream of a video, as stored."""
        length = await self._retriever.frame_length(view, instance, 1)

        def part(first: int, size: int) -> AsyncIterator[bytes]:
            return self._retriever.frame_part(view, instance, 1, first, size)

        return Content(length, lambda: part(0, length), part)

    async def _frame(self, view: View, instance: StoredInstance, number: int, offer: Offer) -> bytes:
        if offer.decoded:
            return (await self._decoding.decoded(view, instance, number)).data
        assert instance.pixels is not None
        data = await self._retriever.frame(view, instance, number)
        if instance.transfer_syntax_uid == EXPLICIT_BIG:
            data = octets(data, instance.pixels, number, await self._word_bits(view, instance))
        if offer.transfer_syntax == EXPLICIT_LITTLE:
            return bytes(aligned(data, instance.pixels, number))
        return data

    async def _word_bits(self, view: View, instance: StoredInstance) -> int:
        """Of the words that the pixels were written in, which big endian order turns round."""
        assert instance.pixels is not None
        if instance.pixels.bits_allocated == 16:
            return 16
        document = await self._retriever.metadata(
            view, instance.study_uid, instance.series_uid, instance.sop_instance_uid
        )
        [found] = orjson.loads(document)
        return next((bits for tag, vr, bits in _WORDS if found.get(tag, {}).get("vr") == vr), 8)


def frame_count(instance: StoredInstance) -> int:
    """How many frames can be asked for; a video is one."""
    syntax = find(instance.transfer_syntax_uid)
    if instance.pixels is None or (syntax is not None and syntax.video):
        return 1
    return max(instance.pixels.frames, 1)


def _one_part(frame: bytes | memoryview, offer: Offer, kind: str, tag: bytes, location: str = "") -> Answer:
    boundary = new_boundary()
    parts = (part_head(boundary, kind, location, first=True), frame, closing(boundary))
    return Answer(
        200, parts, f'multipart/related; type="{offer.kind}"; boundary={boundary}'.encode(), tag=tag
    )


def _unacceptable(offers: tuple[Offer, ...]) -> str:
    forms = " or ".join(
        sorted({f"{offer.kind}; transfer-syntax={offer.transfer_syntax}" for offer in offers})
    )
    return f"The frames can be sent as {forms}; as multipart/related, or a single frame alone."


def offers_of(transfer_syntax_uid: str) -> tuple[Offer, ...]:
    """How frames stored in a transfer syntax can be sent, our preference first."""
    syntax = find(transfer_syntax_uid)
    if syntax is None:
        raise NotSupported("the transfer syntax is not known")
    if not syntax.encapsulated:
        return (Offer(OCTETS, EXPLICIT_LITTLE),)
    stored = Offer(syntax.media_type, syntax.uid)
    decoded = Offer(OCTETS, EXPLICIT_LITTLE, decoded=True)
    if syntax.media_type == OCTETS:
        # Of octet streams the little endian ones are meant where nothing else is named (PS3.18 8.7.3.5.2).
        return (decoded, stored)
    if syntax.video:
        return (stored, Offer(OCTETS, syntax.uid))
    return (stored, decoded, Offer(OCTETS, syntax.uid))
