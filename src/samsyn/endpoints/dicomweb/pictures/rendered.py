"""WADO-RS rendered pictures and thumbnails (PS3.18 10.4.1.1.3, 10.4.1.1.4, 8.3.5)."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from samsyn.access.view import Gatekeeper, View
from samsyn.dicom.transfer_syntaxes import find
from samsyn.endpoints.dicomweb.answers import Answer, new_boundary, not_modified, plain_refusal
from samsyn.endpoints.dicomweb.asked import Asked, entity_tag
from samsyn.endpoints.dicomweb.frames import Decoding, Frames, frame_count
from samsyn.endpoints.dicomweb.negotiation import Offer, choose, choose_plain
from samsyn.endpoints.dicomweb.parts import single_part
from samsyn.endpoints.dicomweb.pictures.options import PictureWish
from samsyn.endpoints.dicomweb.pictures.texts import ENCAPSULATED, Texts, is_text
from samsyn.errors import LimitExceeded, NotFound, NotSupported
from samsyn.limits import MAX_CLIP_FRAMES, THUMBNAIL_SIDE
from samsyn.model.imaging import StoredInstance
from samsyn.render import clip
from samsyn.render.pictures import best_of
from samsyn.render.words import Picture, PictureFormat, PictureOptions, Viewport
from samsyn.retrieve.retrieve import Retriever
from samsyn.wire.multipart import closing, part_head

_RENDERED_KINDS = (PictureFormat.JPEG.value, PictureFormat.PNG.value)
_RENDERED_OFFERS = tuple(Offer(kind, "") for kind in _RENDERED_KINDS)
_CLIP_KINDS = (*_RENDERED_KINDS, PictureFormat.GIF.value)
_USUAL_FRAME_MS = 100.0
"""For clips whose header tells no time."""
_NO_PICTURE = "The object has no picture."
_ONLY_PICTURES = (
    "A picture is sent as image/jpeg or image/png, several in multipart/related, a clip as image/gif."
)


class Pictures(Decoding, Protocol):
    """What makes pictures of frames."""

    async def rendered(
        self, view: View, instance: StoredInstance, number: int, options: PictureOptions
    ) -> Picture:
        """Frame `number` (from 1) as a picture."""
        ...

    async def frame_time_ms(self, view: View, instance: StoredInstance) -> float | None:
        """How long each frame of a clip is shown; None = the header says nothing."""
        ...

    async def thumbnail(self, view: View, instance: StoredInstance, number: int = 0) -> Picture:
        """A small picture of the instance (0 = the frame that shows it best), for every kind of object."""
        ...


class Rendered:
    """Answers requests for pictures."""

    def __init__(
        self, gatekeeper: Gatekeeper, pictures: Pictures, retriever: Retriever, frames: Frames
    ) -> None:
        self._gatekeeper = gatekeeper
        self._pictures = pictures
        self._retriever = retriever
        self._frames = frames
        self._texts = Texts(gatekeeper, retriever)

    async def picture(
        self,
        view: View,
        instances: Sequence[StoredInstance],
        numbers: tuple[int, ...],
        asked: Asked,
        wish: PictureWish,
    ) -> Answer:
        """A picture of what the instances show, as JPEG or PNG, or all of them.

        One part: the frame that is named, else the first of the instance that shows the study or series best. An
        ECG is drawn, as PNG. A video, a PDF and a CDA document are their own rendered form (PS3.18 table 8.7.4-1)
        and go out as they are, by byte ranges too; a structured report is written out, as HTML or plain text.
        Multipart, asked for by name or by several frame numbers: every frame, one part each. image/gif: the frames
        that are named, else all of that instance, as a clip that moves. 406 for what has no picture (other
        documents). LimitExceeded: MAX_CLIP_FRAMES, or a report of too many items.
        """
        shown = best_of(instances)
        own = _own_form(shown)
        if own and not numbers and not asked.accepted[0].multipart:
            return await self._as_it_is(view, shown, own, asked, wish)
        if is_text(shown) and not numbers:
            return await self._texts.written_out(view, shown, asked, wish)
        if choose_plain(asked.accepted, _CLIP_KINDS) == PictureFormat.GIF.value:
            return await self._clip(view, shown, numbers, asked, wish)
        is_one = len(numbers) < 2
        chosen = choose(asked.accepted, _RENDERED_OFFERS, single=is_one, parts_by_default=not is_one)
        if chosen is None:
            return plain_refusal(406, _ONLY_PICTURES)
        kind = PictureFormat(chosen[0].kind)
        options = wish.in_format(kind)
        if chosen[1]:
            return await self._every(view, instances, numbers, options, wish)
        number = _number(shown, numbers) or 1
        tag = entity_tag(view, "rendered", shown.sha256, number, options)
        if asked.has(tag):
            await self._gatekeeper.record_opening(view, shown.study_uid, "images")
            return not_modified(tag)
        try:
            picture = await self._pictures.rendered(view, shown, number, options)
        except NotSupported:
            return plain_refusal(406, _NO_PICTURE)
        return await self._sent(view, shown, picture, asked, "images", tag, wish)

    async def _every(
        self,
        view: View,
        instances: Sequence[StoredInstance],
        numbers: tuple[int, ...],
        options: PictureOptions,
        wish: PictureWish,
    ) -> Answer:
        """Each frame as a part of its own, made while it is sent; objects without pictures are left out."""
        wanted = [
            (instance, number)
            for instance in instances
            for number in numbers or range(1, frame_count(instance) + 1)
            if _own_form(instance) == "" and (not numbers or _number(instance, (number,)))
        ]
        first: Picture | None = None
        while wanted and first is None:
            try:
                first = await self._pictures.rendered(view, *wanted[0], options)
            except NotSupported:
                wanted.pop(0)
        if first is None:
            return plain_refusal(406, _NO_PICTURE)
        await self._gatekeeper.record_opening(view, instances[0].study_uid, "images")
        boundary = new_boundary()
        kind = options.format.value
        body = self._parts(view, wanted, first, options, boundary)
        head = f'multipart/related; type="{kind}"; boundary={boundary}'.encode()
        return Answer(200, body, head, wish.headers())

    async def _parts(
        self,
        view: View,
        wanted: Sequence[tuple[StoredInstance, int]],
        first: Picture,
        options: PictureOptions,
        boundary: str,
    ) -> AsyncIterator[bytes]:
        yield part_head(boundary, first.media_type, first=True) + first.data
        for instance, number in wanted[1:]:
            try:
                picture = await self._pictures.rendered(view, instance, number, options)
            except NotSupported:
                continue
            yield part_head(boundary, picture.media_type) + picture.data
        yield closing(boundary)

    async def _clip(
        self,
        view: View,
        instance: StoredInstance,
        numbers: tuple[int, ...],
        asked: Asked,
        wish: PictureWish,
    ) -> Answer:
        """The frames one after the other, made while they are sent (PS3.18 table 8.7.4-1: multi-frame)."""
        wanted = numbers or range(1, frame_count(instance) + 1)
        if len(wanted) > MAX_CLIP_FRAMES:
            raise LimitExceeded("MAX_CLIP_FRAMES")
        for number in numbers:
            _number(instance, (number,))
        options = wish.in_format(PictureFormat.GIF)
        tag = entity_tag(view, "clip", instance.sha256, tuple(wanted), options)
        if asked.has(tag):
            await self._gatekeeper.record_opening(view, instance.study_uid, "images")
            return not_modified(tag)
        try:
            first = await self._pictures.rendered(view, instance, wanted[0], options)
        except NotSupported:
            return plain_refusal(406, _NO_PICTURE)
        if first.media_type != PictureFormat.GIF.value:
            return plain_refusal(406, f"This object is sent as {first.media_type}.")
        shown_ms = await self._pictures.frame_time_ms(view, instance) or _USUAL_FRAME_MS
        await self._gatekeeper.record_opening(view, instance.study_uid, "images")
        body = self._moving(view, instance, wanted, first, options, shown_ms)
        return Answer(200, body, first.media_type.encode(), wish.headers(), tag=tag)

    async def _moving(
        self,
        view: View,
        instance: StoredInstance,
        numbers: Sequence[int],
        first: Picture,
        options: PictureOptions,
        shown_ms: float,
    ) -> AsyncIterator[bytes]:
        yield clip.beginning(first.data) + clip.picture(first.data, shown_ms)
        for number in numbers[1:]:
            made = await self._pictures.rendered(view, instance, number, options)
            yield clip.picture(made.data, shown_ms)
        yield clip.TRAILER

    async def _as_it_is(
        self, view: View, instance: StoredInstance, kind: str, asked: Asked, wish: PictureWish
    ) -> Answer:
        if choose_plain(asked.accepted, (kind,)) is None:
            return plain_refusal(406, f"This object is sent as {kind}.")
        tag = entity_tag(view, "rendered", instance.sha256, kind)
        await self._gatekeeper.record_opening(view, instance.study_uid, "images")
        if asked.has(tag):
            return not_modified(tag)
        if instance.sop_class_uid in ENCAPSULATED:
            return await self._texts.encapsulated(view, instance, asked, wish, tag)
        content = await self._frames.video(view, instance)
        return await single_part(asked, content, kind.encode(), tag, wish.headers())

    async def thumbnail(
        self,
        view: View,
        instances: Sequence[StoredInstance],
        numbers: tuple[int, ...],
        asked: Asked,
        wish: PictureWish,
    ) -> Answer:
        """A small picture; a viewport makes it larger or smaller. Objects without pixels have a sign."""
        instance = best_of(instances)
        kind = choose_plain(asked.accepted, _RENDERED_KINDS)
        if kind is None or len(numbers) > 1:
            return plain_refusal(406, _ONLY_PICTURES)
        number = _number(instance, numbers)
        options = wish.in_format(PictureFormat(kind))
        tag = entity_tag(view, "thumbnail", instance.sha256, number, options)
        if asked.has(tag):
            await self._gatekeeper.record_opening(view, instance.study_uid, "list")
            return not_modified(tag)
        if options.viewport is not None and instance.pixels is not None:
            sides = options.viewport.width, options.viewport.height
            viewport = Viewport(*(min(side, 4 * THUMBNAIL_SIDE) for side in sides))
            options = PictureOptions(options.format, viewport=viewport)
            picture = await self._pictures.rendered(view, instance, number or 1, options)
        else:
            picture = await self._pictures.thumbnail(view, instance, number)
        return await self._sent(view, instance, picture, asked, "list", tag, wish)

    async def _sent(
        self,
        view: View,
        instance: StoredInstance,
        picture: Picture,
        asked: Asked,
        opening: str,
        tag: bytes,
        wish: PictureWish,
    ) -> Answer:
        if choose_plain(asked.accepted, (picture.media_type,)) is None:
            return plain_refusal(406, f"The picture of this object is {picture.media_type}.")
        await self._gatekeeper.record_opening(view, instance.study_uid, opening)
        return Answer(200, picture.data, picture.media_type.encode(), wish.headers(), tag=tag)


def _own_form(instance: StoredInstance) -> str:
    """The media type of an object that is shown as it was stored, "" for all others."""
    if instance.sop_class_uid in ENCAPSULATED:
        return ENCAPSULATED[instance.sop_class_uid]
    syntax = find(instance.transfer_syntax_uid)
    return syntax.media_type if syntax is not None and syntax.video and instance.pixels is not None else ""


def _number(instance: StoredInstance, numbers: tuple[int, ...]) -> int:
    """The frame that is named, 0 = none; NotFound when the instance has no such frame."""
    number = numbers[0] if numbers else 0
    if number > (max(instance.pixels.frames, 1) if instance.pixels is not None else 1):
        raise NotFound
    return number
