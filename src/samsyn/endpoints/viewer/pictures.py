"""Pictures in the pages: thumbnails, the quick viewer with its stack, ECG and documents, and the page around OHIF.

An address names a picture by the patient's handle, the examination's mark and places in it, so nothing about the
patient stands in it. Everything is read through the View of the moment; an opening is written before a byte leaves.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from samsyn.endpoints.viewer.dependencies import ViewerDependencies
from samsyn.endpoints.viewer.history import mark_of
from samsyn.endpoints.viewer.secure import PAGE_HEADERS, PAGE_POLICY
from samsyn.endpoints.viewer.series import (
    PDF_CLASS,
    SeriesLists,
    SeriesShown,
    diagnostic_address,
)
from samsyn.endpoints.viewer.visits import PatientVisit, Visits
from samsyn.endpoints.viewer.wording import day
from samsyn.errors import BadInput, NotFound
from samsyn.model.imaging import StoredInstance
from samsyn.render.words import Picture, PictureFormat, PictureOptions, Window
from samsyn.reports.examination import Examination

_THUMBNAIL_SIDE: Final = 320
_QUALITY: Final = 90
_DOCUMENT: Final = "00420011"
_PICTURE_HEADERS: Final = {
    "Cache-Control": "private, max-age=300",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Vary": "Cookie",
}


@dataclass(frozen=True, slots=True)
class Place:
    """One series of one examination, found through the View."""

    examination: Examination
    mark: str
    series: SeriesShown
    all_series: list[SeriesShown]
    instances: list[StoredInstance]


class PicturePages:
    """The addresses under /p/{handle}/e/{mark}/."""

    def __init__(self, deps: ViewerDependencies, visits: Visits, series: SeriesLists, has_ohif: bool) -> None:
        self._deps = deps
        self._visits = visits
        self._series = series
        self._has_ohif = has_ohif

    def routes(self) -> list[BaseRoute]:
        """The addresses of this part."""
        patient = self._visits.patient
        base = "/p/{handle}/e/{mark}"
        return [
            Route(f"{base}/diagnostic", patient(self.diagnostic), methods=["GET"]),
            Route(f"{base}/s/{{place:int}}", patient(self.page), methods=["GET"]),
            Route(f"{base}/s/{{place:int}}/thumbnail", patient(self.thumbnail), methods=["GET"]),
            Route(f"{base}/s/{{place:int}}/stack", patient(self.stack), methods=["GET"]),
            Route(f"{base}/s/{{place:int}}/document", patient(self.document), methods=["GET"]),
            Route(f"{base}/s/{{place:int}}/{{index:int}}", patient(self.frame), methods=["GET"]),
        ]

    async def page(self, there: PatientVisit) -> Response:
        """The quick viewer on a page of its own, with the other series beside it."""
        found = await self._find(there)
        await self._write(there, found, "images")
        entry = self._visits.presentation(there.visit).entry(found.examination, there.handle)
        values = {
            "entry": entry,
            "series": found.all_series,
            "now": found.series,
            "diagnostic": self._has_ohif and bool(diagnostic_address(found.examination)),
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
        """A small picture of the series: the middle of it, which shows it best."""
        found = await self._find(there)
        instance = found.instances[len(found.instances) // 2]
        if instance.pixels is None:
            picture = await self._deps.pictures.thumbnail(there.view, instance)
        else:
            number = max(instance.pixels.frames, 1) // 2 + 1 if instance.pixels.frames > 1 else 1
            options = PictureOptions(PictureFormat.JPEG, _QUALITY, longest_side=_THUMBNAIL_SIDE)
            picture = await self._deps.pictures.rendered(there.view, instance, number, options)
        await self._write(there, found, "images")
        return _picture(picture)

    async def stack(self, there: PatientVisit) -> Response:
        """What the quick viewer asks for: the caption and the address of every picture (static/quickviewer.js)."""
        found = await self._find(there)
        await self._write(there, found, "images")
        words, who = there.visit.words, there.shown
        frames = _frames(found.instances)
        header = await self._header(there, found)
        told = {
            "caption": {
                "patient": who.name,
                "number": who.number.text,
                "date": day(found.examination.date),
                "study": found.examination.title or words("timeline.untitled"),
                "series": found.series.title,
                "note": words("pictures.not_diagnostic"),
            },
            "frames": [
                {"url": f"{there.base}e/{found.mark}/s/{found.series.place}/{index}"}
                for index in range(len(frames))
            ],
            "modality": found.series.modality,
            "window": header.window,
            "inverted": header.is_inverted,
            "frame_time_ms": header.frame_time_ms,
            "start": 0 if header.frame_time_ms else len(frames) // 2 if len(frames) > 8 else 0,
        }
        return Response(json.dumps(told), media_type="application/json", headers=dict(PAGE_HEADERS))

    async def frame(self, there: PatientVisit) -> Response:
        """One picture of the stack, by its place from 0, in the window that was asked for."""
        found = await self._find(there)
        frames = _frames(found.instances)
        index = int(there.visit.path("index"))
        if index >= len(frames):
            raise NotFound
        instance, number = frames[index]
        window = _window(there.visit.request.query_params.get("window", ""))
        options = PictureOptions(PictureFormat.JPEG, _QUALITY, window)
        if instance.pixels is None:
            picture = await self._deps.pictures.trace(there.view, instance)
        else:
            picture = await self._deps.pictures.rendered(there.view, instance, number, options)
        await self._write(there, found, "images")
        return _picture(picture)

    async def document(self, there: PatientVisit) -> Response:
        """A PDF as it was sent: sandboxed when opened by itself, and never taken for anything else."""
        found = await self._find(there)
        instance = found.instances[0]
        if instance.sop_class_uid != PDF_CLASS:
            raise NotFound
        data = await self._deps.retriever.bulk(there.view, instance, _DOCUMENT)
        await self._write(there, found, "images")
        is_pdf = data.startswith(b"%PDF-")
        inline = is_pdf and there.visit.request.query_params.get("as") != "file"
        headers = {
            **PAGE_HEADERS,
            "X-Frame-Options": "SAMEORIGIN",
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; object-src 'self'; "
            "frame-ancestors 'self'",
            "Content-Disposition": f'{"inline" if inline else "attachment"}; filename="document.pdf"',
        }
        media_type = "application/pdf" if is_pdf else "application/octet-stream"
        return Response(data, media_type=media_type, headers=headers)

    async def _examination(self, there: PatientVisit) -> tuple[Examination, str]:
        mark = there.visit.path("mark")
        for examination in await self._deps.history.examinations(there.view):
            if mark_of(there.handle, examination.reference) == mark:
                return examination, mark
        raise NotFound

    async def _find(self, there: PatientVisit) -> Place:
        examination, mark = await self._examination(there)
        every = await self._series.of(there, examination)
        place = int(there.visit.path("place"))
        if not 1 <= place <= len(every):
            raise NotFound
        series = every[place - 1]
        instances = await self._deps.retriever.instances(there.view, series.study_uid, series.series_uid)
        return Place(examination, mark, series, every, list(instances))

    async def _write(self, there: PatientVisit, found: Place, kind: str) -> None:
        await self._deps.gatekeeper.record_opening(there.view, found.series.study_uid, kind)

    async def _header(self, there: PatientVisit, found: Place) -> "_Header":
        series = found.series
        text = await self._deps.retriever.metadata(
            there.view, series.study_uid, series.series_uid, found.instances[0].sop_instance_uid
        )
        return _header_of(json.loads(text)[0], found.instances[0])


@dataclass(frozen=True, slots=True)
class _Header:
    """What the stack's viewer must know of the first instance's header."""

    window: dict[str, float] | None
    is_inverted: bool
    frame_time_ms: float | None


def _header_of(tags: Mapping[str, Any], instance: StoredInstance) -> _Header:
    shared = _first_item(tags.get("52009229")) or {}
    first = _first_item(tags.get("52009230")) or {}
    voi = _first_item(first.get("00289132")) or _first_item(shared.get("00289132")) or tags
    center, width = _number(voi, "00281050"), _number(voi, "00281051")
    pixels = instance.pixels
    is_grey = pixels is not None and pixels.samples == 1 and pixels.photometric.startswith("MONOCHROME")
    window = None
    if is_grey and center is not None and width is not None and width >= 1:
        window = {"center": center, "width": width}
    time = _number(tags, "00181063")
    rate = _number(tags, "00082144") or _number(tags, "00180040")
    if time is None and rate:
        time = 1000 / rate
    is_cine = pixels is not None and pixels.frames > 1 and time is not None and 1 <= time <= 10_000
    return _Header(
        window,
        pixels is not None and pixels.photometric == "MONOCHROME1",
        time if is_cine else None,
    )


def _first_item(element: Any) -> dict[str, Any] | None:
    values = element.get("Value") if isinstance(element, dict) else None
    return values[0] if values and isinstance(values[0], dict) else None


def _number(tags: Mapping[str, Any], tag: str) -> float | None:
    values = tags.get(tag, {}).get("Value") or [None]
    try:
        number = float(values[0])
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _frames(instances: list[StoredInstance]) -> list[tuple[StoredInstance, int]]:
    """Every picture of the series in order: (instance, frame from 1)."""
    return [
        (instance, number)
        for instance in instances
        for number in range(1, (max(instance.pixels.frames, 1) if instance.pixels else 1) + 1)
    ]


def _window(text: str) -> Window | None:
    """center,width,linear as the quick viewer asks (PS3.18 8.3.5.1.4); None for an empty text."""
    if not text:
        return None
    parts = text.split(",")
    try:
        center, width = float(parts[0]), float(parts[1])
    except (ValueError, IndexError):
        raise BadInput("window") from None
    if len(parts) != 3 or parts[2] != "linear" or not math.isfinite(center) or not 1 <= width < 1e9:
        raise BadInput("window")
    return Window(center, width)


def _picture(picture: Picture) -> Response:
    return Response(picture.data, media_type=picture.media_type, headers=_PICTURE_HEADERS)
