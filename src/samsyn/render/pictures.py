"""Pictures of what is stored, under a View: rendered frames, thumbnails of everything, stacks for the viewer."""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import orjson

from samsyn.access.view import View
from samsyn.clock import Clock
from samsyn.dicom.frames import frame_bits, octets
from samsyn.dicom.json_array import each_in
from samsyn.dicom.transfer_syntaxes import EXPLICIT_BIG, EXPLICIT_LITTLE, find
from samsyn.errors import BadInput, DamagedData, NotFound, NotSupported, SamsynError
from samsyn.limits import KEPT_OVERLAY_BYTES, MAX_KEPT_HEADERS, MAX_THUMBNAIL_SIDE, THUMBNAIL_SIDE
from samsyn.model.imaging import PixelLayout, StoredInstance
from samsyn.render.children import DecodingChildren
from samsyn.render.header import (
    PICTURE_TAGS,
    Document,
    PictureHeader,
    bulk_paths,
    ecg,
    picture_header,
)
from samsyn.render.here import PictureThreads, is_light
from samsyn.render.kept import LASTING_REFUSALS, RenderedPictures, ThumbnailFolder
from samsyn.render.orientation import UNTOLD, Sides
from samsyn.render.overlays import graphics_of, paths_of
from samsyn.render.transcoding import as_samples
from samsyn.render.words import (
    DecodedFrame,
    DisplayValues,
    EncodedFrame,
    Graphic,
    Picture,
    PictureFormat,
    PictureOptions,
    Voi,
    Window,
)
from samsyn.retrieve.retrieve import Retriever

_GREY: Final = ("MONOCHROME1", "MONOCHROME2")
_SLICES: Final = ("CT", "MR", "PT", "NM")
"""Modalities whose single pictures are slices through one volume, in one measure."""
_COUNTS: Final = ("NM", "PT", "SEG")
"""Modalities whose eight bits are counts or labels, not grey levels."""
_EIGHT_BITS: Final = Window(127.5, 255.0, Voi.LINEAR_EXACT)
"""Every level as it is."""
_SOP_UID: Final = "00080018"
_LOOK_AGAIN_S: Final = 1.0
"""The document of a series is made when it has been quiet for some seconds."""
_KINDS: Final = (
    ("1.2.840.10008.5.1.4.1.1.104.1", "pdf"),
    ("1.2.840.10008.5.1.4.1.1.104.2", "text"),
    ("1.2.840.10008.5.1.4.1.1.88.", "text"),
    ("1.2.840.10008.5.1.4.1.1.9.4.", "sound"),
    ("1.2.840.10008.5.1.4.1.1.9.", "ecg"),
)
"""SOP classes without pixels, by the beginning of their UID, and what their icon says; others are "object"."""


@dataclass(frozen=True, slots=True)
class StackFrame:
    """One picture of a stack."""

    instance: StoredInstance
    number: int
    """Frame of the instance, from 1."""
    window: Window | None
    """How it is shown unless asked otherwise; None for colour and tracings."""
    sides: Sides = UNTOLD
    """Which side of the patient lies at which edge."""
    is_inverted: bool = False
    """Whether larger values are darker."""


@dataclass(frozen=True, slots=True)
class Stack:
    """The pictures of a series in order, with what a viewer needs to know before the first one comes."""

    modality: str
    description: str
    frames: tuple[StackFrame, ...]
    """Empty when the series holds nothing that can be shown as a picture."""
    frame_time_ms: float | None
    start: int
    """Index of the picture to begin with: the middle of a volume, the first of a cine."""
    other: tuple[tuple[StoredInstance, str], ...]
    """Instances without pictures and what they are: pdf, text, video, sound, object."""


@dataclass(slots=True)
class _Series:
    """Headers of one series as far as they were read, by SOP Instance UID."""

    headers: dict[str, PictureHeader] = field(default_factory=dict)
    windows: dict[str, Window | None] = field(default_factory=dict)
    """Found in the pixels, where the header has none: by what is shown with it, see `_windowed`. None = looked for, and
    the pixels gave none."""
    seen: set[str] = field(default_factory=set)
    """Instances of the series' document, also those whose header must be read by itself."""
    look_again: float = 0.0
    """When it is worth asking again for a document that was not kept, on the monotonic clock."""
    values: dict[DisplayValues, DisplayValues] = field(default_factory=dict)
    """Each once: what the headers of a series say is mostly the same."""
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)
    finding: asyncio.Lock = field(default_factory=asyncio.Lock)


class Pictures:
    """Makes pictures. Every function takes the View first and asks `retrieve` before anything else, so what the
    View does not show is NotFound, also when the picture is already in memory."""

    def __init__(self, retriever: Retriever, children: DecodingChildren, derived: Path, clock: Clock) -> None:
        """`derived` is a folder for files that can be made again."""
        self._retriever = retriever
        self._children = children
        self._clock = clock
        self._threads = PictureThreads()
        self._rendered = RenderedPictures(clock)
        self._thumbnails = ThumbnailFolder(derived / "thumbnails")
        self._series: OrderedDict[str, _Series] = OrderedDict()
        self._overlays: OrderedDict[tuple[bytes, str, str], bytes] = OrderedDict()
        """Overlay Data by instance and path, those asked for last."""

    async def rendered(
        self, view: View, instance: StoredInstance, number: int, options: PictureOptions
    ) -> Picture:
        """Frame `number` (from 1) as a picture; an ECG is frame 1 of its instance and drawn as PNG.

        NotFound: hidden, or no such frame. NotSupported: nothing that can be shown (documents, video).
        DamagedData, LimitExceeded: it can not be decoded. OutOfResources: too much is being rendered just now.
        """
        return await self._picture(view, instance, number, options, urgent=True)

    async def _picture(
        self, view: View, instance: StoredInstance, number: int, options: PictureOptions, urgent: bool
    ) -> Picture:
        self._retriever.check(view, instance)
        key = self._rendered.key(instance, number, options)
        known = self._rendered.get(key)
        if known is not None:
            return known
        try:
            made = await self._made(view, instance, number, options, urgent)
        except LASTING_REFUSALS as error:
            self._rendered.refuse(key, error)
            raise
        self._rendered.put(key, made)
        return made

    async def _made(
        self, view: View, instance: StoredInstance, number: int, options: PictureOptions, urgent: bool
    ) -> Picture:
        if instance.pixels is None:
            return await self._tracing(view, instance, number, options, urgent)
        if kind_of(instance) == "video":
            raise NotSupported("video is not decoded")
        header = await self._header(view, instance)
        values = await self._windowed(view, instance, header, header.of_frame(number))
        graphics = await self._graphics(view, instance, number, header) if header.planes else ()
        if not (graphics or header.float_bits) and is_light(
            instance.pixels, instance.transfer_syntax_uid, values.aspect, options
        ):
            source = await self._source(view, instance, number, header)
            return await self._threads.picture(source, values, options, urgent)
        frame = replace(await self._frame(view, instance, number, header), graphics=graphics)
        return await self._children.picture(frame, values, options, urgent)

    async def _graphics(
        self, view: View, instance: StoredInstance, number: int, header: PictureHeader
    ) -> tuple[Graphic, ...]:
        """What is drawn on frame `number`. LimitExceeded: MAX_OVERLAY_PIXELS."""
        assert instance.pixels is not None
        data: dict[str, bytes] = {}
        for path in paths_of(header.planes, number):
            # What can not be read is told in the picture.
            with contextlib.suppress(NotFound, NotSupported, BadInput):
                data[path] = await self._overlay_data(view, instance, path)
        return graphics_of(header.planes, number, instance.pixels, header.high_bit, data)

    async def _overlay_data(self, view: View, instance: StoredInstance, path: str) -> bytes:
        key = instance.sha256, instance.sop_instance_uid, path
        known = self._overlays.get(key)
        if known is None:
            known = self._overlays[key] = await self._retriever.bulk(view, instance, path)
            kept = sum(len(value) for value in self._overlays.values())
            while kept > KEPT_OVERLAY_BYTES:
                _, oldest = self._overlays.popitem(last=False)
                kept -= len(oldest)
        else:
            self._overlays.move_to_end(key)
        return known

    async def _source(
        self, view: View, instance: StoredInstance, number: int, header: PictureHeader
    ) -> Callable[[], EncodedFrame]:
        try:
            read = await self._retriever.frame_source(view, instance, number)
        except BadInput as error:
            raise DamagedData(error.detail) from error
        layout, syntax = instance.pixels, instance.transfer_syntax_uid
        assert layout is not None
        return lambda: EncodedFrame(read(), layout, syntax, high_bit=header.high_bit)

    async def frame_time_ms(self, view: View, instance: StoredInstance) -> float | None:
        """How long each frame of a clip is shown, as the header says; None = it says nothing. NotFound: hidden."""
        self._retriever.check(view, instance)
        header = await self._header_if_readable(view, instance)
        return header.frame_time_ms if header is not None else None

    async def trace(self, view: View, instance: StoredInstance) -> Picture:
        """An ECG drawn as on paper, 25 mm/s and 10 mm/mV. Errors as `rendered`."""
        return await self.rendered(view, instance, 1, PictureOptions(PictureFormat.PNG))

    async def thumbnail(
        self, view: View, instance: StoredInstance, number: int = 0, side: int = THUMBNAIL_SIDE
    ) -> Picture:
        """A small picture of any object, made once and kept; 0 = the frame that shows it best (the middle).

        `side`: pixels of its longest side, at most MAX_THUMBNAIL_SIDE. What can not be shown has a neutral sign
        (icons.ICON_KINDS). NotFound: hidden. OutOfResources.
        """
        self._retriever.check(view, instance)
        if not 16 <= side <= MAX_THUMBNAIL_SIDE:
            raise BadInput("the thumbnail is too large or too small")
        key = "thumbnail", instance.sha256, instance.sop_instance_uid, number, side
        known = self._rendered.get(key)
        if known is not None:
            return known
        found = await asyncio.to_thread(self._thumbnails.get, instance, number, side)
        if found is None:
            found = await self._small(view, instance, number, side)
            await asyncio.to_thread(self._thumbnails.put, instance, number, side, found)
        self._rendered.put(key, found)
        return found

    async def _small(self, view: View, instance: StoredInstance, number: int, side: int) -> Picture:
        kind = kind_of(instance)
        if kind not in ("image", "ecg"):
            return await self._children.icon(kind, side)
        frames = max(instance.pixels.frames, 1) if instance.pixels is not None else 1
        options = PictureOptions(quality=80, longest_side=side)
        try:
            return await self._picture(view, instance, number or (frames + 1) // 2, options, urgent=False)
        except (*LASTING_REFUSALS, BadInput):
            return await self._children.icon(kind, side)

    async def series_thumbnail(
        self, view: View, study_uid: str, series_uid: str, side: int = THUMBNAIL_SIDE
    ) -> Picture:
        """A small picture of a series: its middle image. Errors as `thumbnail`."""
        instances = await self._retriever.instances(view, study_uid, series_uid)
        return await self.thumbnail(view, best_of(instances), side=side)

    async def decoded(self, view: View, instance: StoredInstance, number: int) -> DecodedFrame:
        """Frame `number` (from 1) of a compressed object uncompressed, little endian, as its metadata tell: every bit
        of the cells, YBR_FULL as that, and colour by plane where it is so. Other YBR is RGB where the codec makes it
        that. Errors as `rendered`."""
        self._retriever.check(view, instance)
        pixels = instance.pixels
        if pixels is None:
            raise NotFound
        frame = await self._frame(view, instance, number)
        layout, is_rgb = as_samples(pixels, instance.transfer_syntax_uid, frame.data)
        return await self._children.decoded(
            replace(frame, layout=layout),
            to_ybr=is_rgb and pixels.photometric == "YBR_FULL",
            by_plane=pixels.planar == 1 and pixels.photometric in ("RGB", "YBR_FULL"),
        )

    async def stack(self, view: View, study_uid: str, series_uid: str) -> Stack:
        """The pictures of a series. NotFound: absent or hidden. A header that can not be read costs its own
        instance the window, nothing else."""
        instances = await self._retriever.instances(view, study_uid, series_uid)
        frames: list[StackFrame] = []
        other: list[tuple[StoredInstance, str]] = []
        first: PictureHeader | None = None
        for instance in instances:
            kind = kind_of(instance)
            if kind == "ecg":
                frames.append(StackFrame(instance, 1, None))
            elif kind != "image" or instance.pixels is None:
                other.append((instance, kind))
            else:
                header = await self._header_if_readable(view, instance)
                first = first or header
                sides = header.sides if header else UNTOLD
                inverted = (header.values if header else DisplayValues()).is_inverted(instance.pixels)
                frames += [
                    StackFrame(
                        instance,
                        number,
                        await self._shown_window(view, instance, number, header),
                        sides,
                        inverted,
                    )
                    for number in range(1, max(instance.pixels.frames, 1) + 1)
                ]
        series = self._series.get(series_uid)
        some = first or next(iter(series.headers.values()), None) if series else first
        is_cine = first is not None and first.frame_time_ms is not None and len(frames) > 1
        return Stack(
            modality=some.modality if some else "",
            description=some.description if some else "",
            frames=tuple(frames),
            frame_time_ms=first.frame_time_ms if first else None,
            start=0 if is_cine else len(frames) // 2,
            other=tuple(other),
        )

    async def _shown_window(
        self, view: View, instance: StoredInstance, number: int, header: PictureHeader | None
    ) -> Window | None:
        pixels = instance.pixels
        if header is None or pixels is None or pixels.photometric not in _GREY or pixels.samples != 1:
            return None
        values = header.of_frame(number)
        if values.voi_lut is not None:
            table = values.voi_lut
            return Window(table.first + table.entries / 2, float(table.entries), Voi.LINEAR_EXACT)
        values = await self._windowed(view, instance, header, values)
        return values.windows[0] if values.windows else None

    async def _tracing(
        self, view: View, instance: StoredInstance, number: int, options: PictureOptions, urgent: bool
    ) -> Picture:
        if kind_of(instance) != "ecg":
            raise NotSupported("the object has no picture")
        if number != 1:
            raise NotFound
        document = await self._document(view, instance)
        waveform = ecg(document, (await self._bulk(view, instance, document)).__getitem__)
        if waveform is None:
            raise NotSupported("the waveform is no electrocardiogram")
        return await self._children.trace(waveform, options.longest_side, urgent)

    async def _frame(
        self, view: View, instance: StoredInstance, number: int, header: PictureHeader | None = None
    ) -> EncodedFrame:
        try:
            data = await self._retriever.frame(view, instance, number)
        except BadInput as error:
            raise DamagedData(error.detail) from error
        pixels, syntax = instance.pixels, instance.transfer_syntax_uid
        assert pixels is not None
        if syntax == EXPLICIT_BIG and header is not None:
            word_bits = header.float_bits or (16 if header.pixel_words else 8)
            data, syntax = octets(data, pixels, number, word_bits), EXPLICIT_LITTLE
        is_packed = pixels.bits_allocated == 1 and pixels.length >= 0
        return EncodedFrame(
            data,
            pixels,
            syntax,
            first_bit=(number - 1) * frame_bits(pixels) % 8 if is_packed else 0,
            high_bit=header.high_bit if header else -1,
            float_bits=header.float_bits if header else 0,
        )

    async def _windowed(
        self, view: View, instance: StoredInstance, header: PictureHeader, values: DisplayValues
    ) -> DisplayValues:
        """The values with a window, where the header has none.

        Eight bits that were made to be looked at are shown as they are (PS3.4 N.2.1.2: without VOI transformation).
        Others get one that is found in the pixels: for slices in the middle of the series, the same for all of them,
        so that scrolling does not flicker; else in the middle of the object, since two exposures of a series have
        little in common.
        """
        pixels = instance.pixels
        if values.windows or values.voi_lut or pixels is None or pixels.photometric not in _GREY:
            return values
        if header.modality not in _COUNTS and is_as_seen(pixels, values):
            return replace(values, windows=(_EIGHT_BITS,))
        of_series = header.modality in _SLICES and pixels.frames <= 1
        key = "" if of_series else instance.sop_instance_uid
        series = self._remembered(instance.series_uid)
        async with series.finding:
            if key not in series.windows:
                # What gives no window must not cost the others theirs: each then finds one by itself.
                found: Window | None = None
                with contextlib.suppress(*LASTING_REFUSALS):
                    found = await self._found_window(view, instance, of_series)
                series.windows[key] = found
        window = series.windows[key]
        return replace(values, windows=(window,)) if window else values

    async def _found_window(self, view: View, instance: StoredInstance, of_series: bool) -> Window:
        middle = instance
        if of_series:
            middle = best_of(await self._retriever.instances(view, instance.study_uid, instance.series_uid))
        if middle.pixels is None or middle.pixels.photometric not in _GREY:
            middle = instance
        assert middle.pixels is not None
        number = (max(middle.pixels.frames, 1) + 1) // 2
        header = await self._header_if_readable(view, middle)
        if header is None:
            middle, number = instance, 1
            header = await self._header(view, instance)
        frame = await self._frame(view, middle, number, header)
        return await self._children.window(frame, header.of_frame(number))

    # -- headers ------------------------------------------------------------------------------------------

    def _remembered(self, series_uid: str) -> _Series:
        series = self._series.get(series_uid)
        if series is None:
            series = self._series[series_uid] = _Series()
            kept = sum(len(other.headers) for other in self._series.values())
            while kept > MAX_KEPT_HEADERS and len(self._series) > 1:
                _, oldest = self._series.popitem(last=False)
                kept -= len(oldest.headers)
        self._series.move_to_end(series_uid)
        return series

    async def _header(self, view: View, instance: StoredInstance) -> PictureHeader:
        """The instance's header. Where the series' document is kept, the first one asked for reads those of the whole
        series; else each is read by itself, since making that document takes a hundred times as long."""
        series = self._remembered(instance.series_uid)
        known = series.headers.get(instance.sop_instance_uid)
        if known is not None:
            return known
        async with series.reading:
            now = self._clock.monotonic()
            if instance.sop_instance_uid not in series.seen and now >= series.look_again:
                series.look_again = now + _LOOK_AGAIN_S
                await self._read_series(view, instance, series)
            known = series.headers.get(instance.sop_instance_uid)
        if known is None:
            # Whoever opens a long series reads one header after the other: others get their turn in between.
            await asyncio.sleep(0)
            raw = await self._retriever.attributes(view, instance, PICTURE_TAGS)
            document: Document = orjson.loads(raw)[0]
            known = picture_header(document, (await self._bulk(view, instance, document)).__getitem__)
            known = replace(known, values=series.values.setdefault(known.values, known.values))
            series.headers[instance.sop_instance_uid] = known
        return known

    async def _header_if_readable(self, view: View, instance: StoredInstance) -> PictureHeader | None:
        try:
            return await self._header(view, instance)
        except (*LASTING_REFUSALS, BadInput):
            return None

    async def _read_series(self, view: View, instance: StoredInstance, series: _Series) -> None:
        """Headers that need no bulk values, of every instance of the series, in one read of what is kept, if it is."""
        raw = await self._retriever.metadata_if_ready(view, instance.study_uid, instance.series_uid)
        if raw is None:
            return
        seen, headers = await asyncio.to_thread(_plain_headers, raw, series.values)
        series.headers.update(headers)
        series.seen.update(seen)

    async def _document(self, view: View, instance: StoredInstance) -> Document:
        raw = await self._retriever.metadata(
            view, instance.study_uid, instance.series_uid, instance.sop_instance_uid
        )
        found: list[Document] = await asyncio.to_thread(orjson.loads, raw)
        return found[0]

    async def _bulk(self, view: View, instance: StoredInstance, document: Document) -> dict[str, bytes]:
        return {path: await self._retriever.bulk(view, instance, path) for path in bulk_paths(document)}


def _plain_headers(
    raw: bytes, values: dict[DisplayValues, DisplayValues]
) -> tuple[set[str], dict[str, PictureHeader]]:
    """SOP Instance UIDs of a document, and headers by them, those that need bulk values or are broken left out."""
    seen: set[str] = set()
    headers: dict[str, PictureHeader] = {}
    for document in each_in(raw):
        uids = document.get(_SOP_UID, {}).get("Value")
        if not uids:
            continue
        seen.add(uids[0])
        if bulk_paths(document):
            continue
        try:
            header = picture_header(document, _no_bulk)
        except (SamsynError, ValueError):
            continue
        headers[uids[0]] = replace(header, values=values.setdefault(header.values, header.values))
    return seen, headers


def _no_bulk(path: str) -> bytes:
    raise DamagedData(f"no bulk value {path}")


def is_as_seen(pixels: PixelLayout, values: DisplayValues) -> bool:
    """Whether stored values are grey levels from black to white already."""
    is_plain = (values.slope, values.intercept, values.modality_lut) == (1.0, 0.0, None)
    return pixels.bits_stored == 8 and not pixels.signed and is_plain


def kind_of(instance: StoredInstance) -> str:
    """What an object is to a reader: image, ecg, or one of icons.ICON_KINDS."""
    if instance.pixels is not None:
        syntax = find(instance.transfer_syntax_uid)
        return "video" if syntax is not None and syntax.video else "image"
    uid = instance.sop_class_uid
    return next((kind for beginning, kind in _KINDS if uid.startswith(beginning)), "object")


def best_of(instances: Sequence[StoredInstance]) -> StoredInstance:
    """The instance that stands for a series: the middle one of its images, else of everything."""
    images = [instance for instance in instances if instance.pixels is not None] or list(instances)
    return images[len(images) // 2]
