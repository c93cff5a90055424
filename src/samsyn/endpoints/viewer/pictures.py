"""Pictures in the pages: thumbnails, the quick viewer with its stack, ECG and documents, and the page around OHIF.

An address names a picture by the patient's handle and by marks of the examination, the series and the object, so
nothing about the patient stands in it, and what comes or goes while a page is open makes no address mean another
picture. Everything is read through the View of the moment; an opening is written before a byte leaves.
"""

import json
import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from samsyn import limits
from samsyn.endpoints.viewer.dependencies import ViewerDependencies
from samsyn.endpoints.viewer.history import mark_of
from samsyn.endpoints.viewer.reading import Beside
from samsyn.endpoints.viewer.secure import PAGE_HEADERS, PAGE_POLICY
from samsyn.endpoints.viewer.series import SeriesLists, SeriesShown, diagnostic_address, left_out
from samsyn.endpoints.viewer.visits import OWN_RECORD, Endpoint, PatientAnswer, PatientVisit, Visits
from samsyn.endpoints.viewer.wording import day
from samsyn.errors import BadInput, DamagedData, LimitExceeded, NotFound, NotSupported
from samsyn.render.orientation import UNTOLD
from samsyn.render.pictures import Stack, StackFrame
from samsyn.render.words import Picture, PictureFormat, PictureOptions, Voi, Window
from samsyn.reports.examination import Examination

_THUMBNAIL_SIDE: Final = 320
_QUALITY: Final = 90
_DOCUMENT: Final = "00420011"
_FUNCTIONS: Final = MappingProxyType({"linear": (Voi.LINEAR, 1.0), "linear-exact": (Voi.LINEAR_EXACT, 0.01)})
"""How a window can be asked for, and how narrow it may be."""
_DOCUMENT_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; object-src 'self'; frame-ancestors 'none'"
)
_PICTURE_HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}


@dataclass(frozen=True, slots=True)
class Found:
    """A series of an examination with its stack, remembered between the pictures of one reading."""

    title: str
    date: str
    series: SeriesShown
    stack: Stack
    frames: Mapping[str, StackFrame]
    """The pictures of the stack in its order, by their names in addresses."""


class PicturePages:
    """The addresses under /p/{handle}/e/{mark}/, and a private person's under /mine/record/{handle}/e/{mark}/."""

    def __init__(self, deps: ViewerDependencies, visits: Visits, series: SeriesLists, has_ohif: bool) -> None:
        self._deps = deps
        self._visits = visits
        self._series = series
        self._has_ohif = has_ohif
        self._beside = Beside(deps, visits, series)
        self._kept: OrderedDict[tuple[str, str, str], Found] = OrderedDict()

    def routes(self) -> list[BaseRoute]:
        """The addresses of this part."""
        patient, own = self._visits.patient, self._visits.own
        start = "/p/{handle}/e/{mark}"
        return [
            Route(f"{start}/diagnostic", patient(self.diagnostic), methods=["GET"]),
            *self._series_routes(start, patient),
            *self._series_routes(f"{OWN_RECORD}/{{handle}}/e/{{mark}}", own),
        ]

    def _series_routes(self, start: str, opened: Callable[[PatientAnswer], Endpoint]) -> list[BaseRoute]:
        place = f"{start}/s/{{series}}"
        return [
            Route(place, opened(self.page), methods=["GET"]),
            Route(f"{place}/thumbnail", opened(self.thumbnail), methods=["GET"]),
            Route(f"{place}/stack", opened(self.stack), methods=["GET"]),
            Route(f"{place}/document", opened(self.document), methods=["GET"]),
            Route(f"{place}/document/{{document}}", opened(self.document), methods=["GET"]),
            Route(f"{place}/{{picture}}", opened(self.frame), methods=["GET"]),
        ]

    async def page(self, there: PatientVisit) -> Response:
        """The quick viewer on a page of its own, with the other series beside it."""
        examinations = await self._deps.history.examinations(there.view)
        examination, _ = await self._examination(there, examinations)
        every = await self._series.of(there, examination)
        now = _named(every, there.visit.path("series"))
        await self._write(there, now)
        values = {
            "entry": self._visits.presentation(there.visit).entry(examination, there.handle),
            "series": every,
            "now": now,
            # The diagnostic viewer is for care.
            "diagnostic": self._has_ohif
            and there.visit.subject.reads_for_care
            and bool(diagnostic_address(examination)),
            "changed": False,
            **await self._beside.values(there, examinations, examination, now),
        }
        return self._visits.show_patient(there, "pictures.html", "pictures", values)

    async def diagnostic(self, there: PatientVisit) -> Response:
        """OHIF inside a page that keeps the patient's banner on the screen."""
        examination, mark = await self._examination(there)
        address = diagnostic_address(examination)
        if not address or not self._has_ohif:
            raise NotFound
        for study in examination.studies:
            await self._deps.gatekeeper.record_opening(there.view, study.study_uid, "images")
        entry = self._visits.presentation(there.visit).entry(examination, there.handle)
        values = {"entry": entry, "address": address, "mark": mark}
        answer = self._visits.show_patient(there, "diagnostic.html", "pictures", values)
        answer.headers["Content-Security-Policy"] = f"{PAGE_POLICY}; frame-src 'self'"
        return answer

    async def thumbnail(self, there: PatientVisit) -> Response:
        """A small picture of the series: the one in its middle, or a sign for what has no picture."""
        found = await self._found(there)
        await self._write(there, found.series)
        pictures = self._deps.pictures
        if found.stack.frames:
            middle = found.stack.frames[len(found.stack.frames) // 2]
            options = PictureOptions(PictureFormat.JPEG, _QUALITY, longest_side=_THUMBNAIL_SIDE)
            try:
                return _picture(await pictures.rendered(there.view, middle.instance, middle.number, options))
            except (NotSupported, DamagedData, LimitExceeded):
                pass  # the sign below says what it is
        series = found.series
        return _picture(await pictures.series_thumbnail(there.view, series.study_uid, series.series_uid))

    async def stack(self, there: PatientVisit) -> Response:
        """What the quick viewer asks for: the caption and the address of every picture (static/quickviewer.js)."""
        found = await self._found(there, anew=True)
        await self._write(there, found.series)
        words, who, stack = there.visit.words, there.shown, found.stack
        first = next((frame.window for frame in stack.frames if frame.window), None)
        sides = stack.frames[0].sides if stack.frames else UNTOLD
        inverted = bool(stack.frames) and stack.frames[0].is_inverted
        base = f"{there.base}e/{there.visit.path('mark')}/s/{found.series.mark}"
        told = {
            "caption": {
                "patient": who.name,
                "number": who.number.text,
                "date": found.date,
                "study": found.title or words("timeline.untitled"),
                "series": found.series.title,
                "note": words("pictures.not_diagnostic"),
                "left_out": left_out(Counter(kind for _, kind in stack.other), words),
            },
            "frames": [
                {"url": f"{base}/{name}"}
                | ({"window": _told(frame.window)} if frame.window else {})
                | ({"sides": frame.sides} if frame.sides != sides else {})
                | ({"inverted": frame.is_inverted} if frame.is_inverted != inverted else {})
                for name, frame in found.frames.items()
            ],
            "modality": stack.modality or found.series.modality,
            "window": _told(first) if first else None,
            "inverted": inverted,
            "sides": sides,
            "frame_time_ms": stack.frame_time_ms,
            "start": stack.start,
        }
        return Response(json.dumps(told), media_type="application/json", headers=dict(PAGE_HEADERS))

    async def frame(self, there: PatientVisit) -> Response:
        """One picture of the stack, by its name, in the window that was asked for."""
        name = there.visit.path("picture")
        found = await self._found(there)
        if name not in found.frames:
            found = await self._found(there, anew=True)
        frame = found.frames.get(name)
        if frame is None:
            raise NotFound
        window = _window(there.visit.request.query_params.get("window", ""))
        await self._write(there, found.series)
        options = PictureOptions(PictureFormat.JPEG, _QUALITY, window)
        return _picture(await self._deps.pictures.rendered(there.view, frame.instance, frame.number, options))

    async def document(self, there: PatientVisit) -> Response:
        """A PDF as it was sent, the first of the series unless one is named, in a reader without rights to our pages;
        anything else only as a file."""
        name = there.visit.request.path_params.get("document", "")
        instance, found = None, await self._found(there)
        for each, kind in found.stack.other:
            if kind == "pdf" and name in ("", mark_of(there.handle, each.sop_instance_uid)):
                instance = each
                break
        if instance is None:
            raise NotFound
        await self._write(there, found.series)
        data = await self._deps.retriever.bulk(there.view, instance, _DOCUMENT)
        is_pdf = data.startswith(b"%PDF-")
        inline = is_pdf and there.visit.request.query_params.get("as") != "file"
        headers = {
            **PAGE_HEADERS,
            "Content-Security-Policy": _DOCUMENT_POLICY,
            "Content-Disposition": f'{"inline" if inline else "attachment"}; filename="document.pdf"',
        }
        media_type = "application/pdf" if is_pdf else "application/octet-stream"
        return Response(data, media_type=media_type, headers=headers)

    async def _examination(
        self, there: PatientVisit, every: Sequence[Examination] | None = None
    ) -> tuple[Examination, str]:
        mark = there.visit.path("mark")
        for examination in every or await self._deps.history.examinations(there.view):
            if mark_of(there.handle, examination.reference) == mark:
                return examination, mark
        raise NotFound

    async def _found(self, there: PatientVisit, anew: bool = False) -> Found:
        """The series that the address names. What is remembered is only where it lies: every picture is asked for
        with the View of the moment."""
        key = (there.handle, there.visit.path("mark"), there.visit.path("series"))
        kept = self._kept.get(key)
        if kept is None or anew:
            examination, _ = await self._examination(there)
            every = await self._series.of(there, examination)
            series = _named(every, key[2])
            stack = await self._deps.pictures.stack(there.view, series.study_uid, series.series_uid)
            kept = self._kept[key] = Found(
                examination.title, day(examination.date), series, stack, _names(there.handle, stack)
            )
            while len(self._kept) > limits.MAX_KEPT_STACKS:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return kept

    async def _write(self, there: PatientVisit, series: SeriesShown) -> None:
        """NotFound when the View does not show the study any more; no picture leaves before this is written."""
        await self._deps.gatekeeper.record_opening(there.view, series.study_uid, "images")


def _named(every: Sequence[SeriesShown], mark: str) -> SeriesShown:
    for series in every:
        if series.mark == mark:
            return series
    raise NotFound


def _names(handle: str, stack: Stack) -> dict[str, StackFrame]:
    """The pictures by the mark of their object and the number of the frame in it."""
    marks = {uid: mark_of(handle, uid) for uid in {each.instance.sop_instance_uid for each in stack.frames}}
    return {f"{marks[each.instance.sop_instance_uid]}-{each.number}": each for each in stack.frames}


def _told(window: Window) -> dict[str, float | str]:
    return {"center": window.center, "width": window.width, "function": window.voi.value}


def _window(text: str) -> Window | None:
    """center,width,linear or linear-exact as the quick viewer asks (PS3.18 8.3.5.1.4); None for an empty text."""
    if not text:
        return None
    parts = text.split(",")
    try:
        center, width = float(parts[0]), float(parts[1])
    except (ValueError, IndexError):
        raise BadInput("window") from None
    if len(parts) != 3 or parts[2] not in _FUNCTIONS or not math.isfinite(center):
        raise BadInput("window")
    voi, narrowest = _FUNCTIONS[parts[2]]
    if not narrowest <= width < 1e9:
        raise BadInput("window")
    return Window(center, width, voi)


def _picture(picture: Picture) -> Response:
    return Response(picture.data, media_type=picture.media_type, headers=_PICTURE_HEADERS)
