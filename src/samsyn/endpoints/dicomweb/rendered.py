"""WADO-RS rendered pictures and thumbnails (PS3.18 10.4.1.1.3, 10.4.1.1.4, 8.3.5)."""

import math
from typing import Protocol
from urllib.parse import parse_qsl

from samsyn.access.view import Gatekeeper, View
from samsyn.dicom.transfer_syntaxes import find
from samsyn.endpoints.dicomweb.answers import Answer, not_modified, plain_refusal
from samsyn.endpoints.dicomweb.asked import Asked, entity_tag
from samsyn.endpoints.dicomweb.frames import Decoding, Frames
from samsyn.endpoints.dicomweb.negotiation import choose_plain
from samsyn.endpoints.dicomweb.parts import content_of, single_part
from samsyn.errors import BadInput, NotFound, NotSupported
from samsyn.limits import MAX_RENDERED_SIDE, THUMBNAIL_SIDE
from samsyn.model.imaging import StoredInstance
from samsyn.render.words import Picture, PictureFormat, PictureOptions, Viewport, Voi, Window
from samsyn.retrieve.retrieve import Retriever

_WINDOW_FUNCTIONS = {"linear": Voi.LINEAR, "linear-exact": Voi.LINEAR_EXACT, "sigmoid": Voi.SIGMOID}
_RENDERED_KINDS = (PictureFormat.JPEG.value, PictureFormat.PNG.value)
_ONLY_PICTURES = "A picture is sent as image/jpeg or image/png, one frame at a time."
_PDF = "application/pdf"
_PDF_CLASS = "1.2.840.10008.5.1.4.1.1.104.1"
_ENCAPSULATED_DOCUMENT = "00420011"
_KNOWN = frozenset({"accept", "charset", "annotation", "quality", "viewport", "window", "iccprofile"})


class Pictures(Decoding, Protocol):
    """What makes pictures of frames."""

    async def rendered(
        self, view: View, instance: StoredInstance, number: int, options: PictureOptions
    ) -> Picture:
        """Frame `number` (from 1) as a picture."""
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

    async def picture(
        self,
        view: View,
        instance: StoredInstance,
        numbers: tuple[int, ...],
        asked: Asked,
    ) -> Answer:
        """One frame as JPEG or PNG; without a number the first. An ECG is drawn, as PNG.

        A video and a PDF are their own rendered form (PS3.18 table 8.7.4-1) and go out as they are, by byte
        ranges too. 406 for other documents and for several frames at once.
        """
        own = _own_form(instance)
        if own and not numbers:
            return await self._as_it_is(view, instance, own, asked)
        kind = choose_plain(asked.accepted, _RENDERED_KINDS)
        if kind is None or len(numbers) > 1:
            return plain_refusal(406, _ONLY_PICTURES)
        options = options_of(asked.query_string, PictureFormat(kind))
        number = _number(instance, numbers) or 1
        tag = entity_tag(view, "rendered", instance.sha256, number, options)
        if asked.has(tag):
            await self._gatekeeper.record_opening(view, instance.study_uid, "images")
            return not_modified(tag)
        try:
            picture = await self._pictures.rendered(view, instance, number, options)
        except NotSupported:
            return plain_refusal(406, "The object has no picture.")
        return await self._sent(view, instance, picture, asked, "images", tag)

    async def _as_it_is(self, view: View, instance: StoredInstance, kind: str, asked: Asked) -> Answer:
        if choose_plain(asked.accepted, (kind,)) is None:
            return plain_refusal(406, f"This object is sent as {kind}.")
        options_of(asked.query_string, PictureFormat.JPEG)
        tag = entity_tag(view, "rendered", instance.sha256, kind)
        await self._gatekeeper.record_opening(view, instance.study_uid, "images")
        if asked.has(tag):
            return not_modified(tag)
        if kind == _PDF:
            content = content_of(await self._retriever.bulk(view, instance, _ENCAPSULATED_DOCUMENT))
        else:
            content = await self._frames.video(view, instance)
        return await single_part(asked, content, kind.encode(), tag)

    async def thumbnail(
        self,
        view: View,
        instance: StoredInstance,
        numbers: tuple[int, ...],
        asked: Asked,
    ) -> Answer:
        """A small picture; a viewport makes it larger or smaller. Objects without pixels have a sign."""
        kind = choose_plain(asked.accepted, _RENDERED_KINDS)
        if kind is None or len(numbers) > 1:
            return plain_refusal(406, _ONLY_PICTURES)
        number = _number(instance, numbers)
        options = options_of(asked.query_string, PictureFormat(kind))
        tag = entity_tag(view, "thumbnail", instance.sha256, number, options)
        if asked.has(tag):
            await self._gatekeeper.record_opening(view, instance.study_uid, "list")
            return not_modified(tag)
        if options.viewport is not None and instance.pixels is not None:
            side = min(options.viewport.width, options.viewport.height, 4 * THUMBNAIL_SIDE)
            options = PictureOptions(options.format, longest_side=side)
            picture = await self._pictures.rendered(view, instance, number or 1, options)
        else:
            picture = await self._pictures.thumbnail(view, instance, number)
        return await self._sent(view, instance, picture, asked, "list", tag)

    async def _sent(
        self,
        view: View,
        instance: StoredInstance,
        picture: Picture,
        asked: Asked,
        opening: str,
        tag: bytes,
    ) -> Answer:
        if choose_plain(asked.accepted, (picture.media_type,)) is None:
            return plain_refusal(406, f"The picture of this object is {picture.media_type}.")
        await self._gatekeeper.record_opening(view, instance.study_uid, opening)
        return Answer(200, picture.data, picture.media_type.encode(), tag=tag)


def _own_form(instance: StoredInstance) -> str:
    """The media type of an object that is shown as it was stored, "" for all others."""
    if instance.sop_class_uid == _PDF_CLASS:
        return _PDF
    syntax = find(instance.transfer_syntax_uid)
    return syntax.media_type if syntax is not None and syntax.video and instance.pixels is not None else ""


def _number(instance: StoredInstance, numbers: tuple[int, ...]) -> int:
    """The frame that is named, 0 = none; NotFound when the instance has no such frame."""
    number = numbers[0] if numbers else 0
    if number > (max(instance.pixels.frames, 1) if instance.pixels is not None else 1):
        raise NotFound
    return number


def options_of(query_string: bytes, picture_format: PictureFormat) -> PictureOptions:
    """The rendering parameters. Unknown or malformed ones are BadInput: a picture that is shown otherwise than
    was asked for misleads. Annotations are not burnt in, so `annotation` is refused."""
    parameters: dict[str, str] = {}
    try:
        for name, value in parse_qsl(query_string.decode("ascii"), keep_blank_values=True, max_num_fields=32):
            if name not in _KNOWN or name in parameters:
                raise BadInput("a rendering parameter is unknown or stands twice")
            parameters[name] = value
    except (ValueError, UnicodeDecodeError):
        raise BadInput("the query string is malformed") from None
    if "annotation" in parameters or parameters.get("iccprofile", "no") != "no":
        raise BadInput("annotations and colour profiles are not rendered")
    quality = parameters.get("quality", "90")
    if not (quality.isascii() and quality.isdigit() and 1 <= int(quality[:4]) <= 100):
        raise BadInput("quality is a whole number from 1 to 100")
    window = _window(parameters["window"]) if "window" in parameters else None
    viewport = _viewport(parameters["viewport"]) if "viewport" in parameters else None
    return PictureOptions(picture_format, int(quality), window, viewport)


def _window(text: str) -> Window:
    """centre,width,function (PS3.18 8.3.5.1.4); the function may be left out."""
    parts = text.split(",")
    if len(parts) not in (2, 3):
        raise BadInput("window is centre,width,function")
    center, width = (_finite(part) for part in parts[:2])
    function = parts[2] if len(parts) == 3 else "linear"
    if function not in _WINDOW_FUNCTIONS or width <= 0 or (function == "linear" and width < 1):
        raise BadInput("the window can not be used")
    return Window(center, width, _WINDOW_FUNCTIONS[function])


def _viewport(text: str) -> Viewport:
    """vw,vh,sx,sy,sw,sh (PS3.18 8.3.5.1.3); the source part may be left out, wholly or value by value."""
    parts = text.split(",")
    if len(parts) not in (2, 6):
        raise BadInput("viewport is width,height or width,height,x,y,width,height")
    width, height = (_finite(part) for part in parts[:2])
    if not (1 <= width <= MAX_RENDERED_SIDE and 1 <= height <= MAX_RENDERED_SIDE):
        raise BadInput("the viewport is too large or too small")
    if len(parts) == 2:
        return Viewport(int(width), int(height))
    left, top, part_width, part_height = (_finite(part) if part else None for part in parts[2:])
    if part_width == 0 or part_height == 0 or (left or 0) < 0 or (top or 0) < 0:
        raise BadInput("the viewport shows no part of the picture")
    return Viewport(int(width), int(height), left or 0.0, top or 0.0, part_width, part_height)


def _finite(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise BadInput("a number is malformed") from None
    if not math.isfinite(value) or len(text) > 32:
        raise BadInput("a number is malformed")
    return value
