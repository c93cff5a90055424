"""WADO-URI (PS3.18 9): one instance by query parameters, for clients that know nothing newer."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from samsyn.dicom.uids import is_uid
from samsyn.endpoints.dicomweb.asked import Asked
from samsyn.endpoints.dicomweb.negotiation import Acceptable, acceptable
from samsyn.endpoints.dicomweb.parameters import own_and_foreign
from samsyn.endpoints.dicomweb.pictures.options import (
    ANNOTATION_IGNORED,
    NOTHING_BURNT_IN,
    PictureWish,
    finite,
    quality_of,
)
from samsyn.endpoints.dicomweb.target import Target
from samsyn.errors import BadInput, NotSupported
from samsyn.limits import MAX_RENDERED_SIDE
from samsyn.model.imaging import StoredInstance
from samsyn.render.words import PictureOptions, Viewport, Window

_KINDS: Final = (
    *("application/dicom", "image/jpeg", "image/png", "video/mp4", "video/mpeg"),
    *("application/pdf", "text/html", "text/plain", "text/xml"),
)
_MAX_PARAMETERS: Final = 64
PARAMETERS: Final = MappingProxyType(
    {
        "requestType": "WADO",
        "studyUID": "required",
        "seriesUID": "required",
        "objectUID": "required",
        "contentType": f"{', '.join(_KINDS)}; without it one that the Accept header names, else the default",
        "charset": "read and of no effect: what is written out is in UTF-8",
        "transferSyntax": "of application/dicom: the stored one, or another uncompressed one for native objects",
        "frameNumber": "one frame, from 1",
        "rows": "largest height in pixels",
        "columns": "largest width in pixels",
        "region": "left,top,right,bottom as parts of 1",
        "windowCenter": "with windowWidth",
        "windowWidth": "with windowCenter",
        "imageQuality": "1 to 100, of JPEG",
        "annotation": ANNOTATION_IGNORED,
        "anonymize": "refused: objects are never de-identified on the way out",
        "presentationUID": "refused: presentation states are not applied",
        "presentationSeriesUID": "refused: presentation states are not applied",
    }
)
"""Every parameter of WADO-URI and what is done with it."""

_REQUIRED: Final = ("studyUID", "seriesUID", "objectUID")
_REFUSED: Final = frozenset({"anonymize", "presentationUID", "presentationSeriesUID"})
_DICOM: Final = "application/dicom"


@dataclass(frozen=True, slots=True)
class UriRequest:
    """A parsed request."""

    target: Target
    accepted: tuple[Acceptable, ...]
    """What contentType names, else what the Accept header names among it; () = nothing."""
    parameters: Mapping[str, str]
    foreign: tuple[str, ...] = ()
    """Parameters that are ignored, since they are none of ours."""

    def is_for_object(self, instance: StoredInstance) -> bool:
        """Whether the DICOM object itself is wanted: named, or the default for what is no single picture
        (PS3.18 9.1.2.2.1)."""
        if not self.accepted:
            return instance.pixels is None or instance.pixels.frames > 1
        return self.accepted[0].kind == _DICOM

    def accepted_for(self, instance: StoredInstance, asked: Asked) -> Asked:
        """The request as WADO-RS would have it: a single part of the type that is wanted."""
        if self.is_for_object(instance):
            syntax = self.parameters.get("transferSyntax", "")
            return replace(asked, accepted=(Acceptable(_DICOM, False, syntax, 1.0),))
        return replace(asked, accepted=self.accepted or acceptable("image/jpeg, image/png;q=0.5"))

    def wish(self, instance: StoredInstance) -> PictureWish:
        """How the picture is to look."""
        given = self.parameters
        warnings = (NOTHING_BURNT_IN,) if "annotation" in given else ()
        options = PictureOptions(
            quality=quality_of(given.get("imageQuality", "90")),
            window=_window(given),
            viewport=_viewport(given, instance),
        )
        return PictureWish(options, warnings, self.foreign)


def parse_uri_request(query_string: bytes, header: tuple[Acceptable, ...] = ()) -> UriRequest:
    """`header`: the ranges of the Accept header, which count without contentType when they name a type; wild cards mean
    the default (PS3.18 8.7.8). BadInput: a parameter is missing, malformed or stands twice. NotSupported: one
    that would have to change what is sent and does not."""
    given, foreign = own_and_foreign(query_string, PARAMETERS, _MAX_PARAMETERS)
    if given.get("requestType") != "WADO":
        raise BadInput("requestType is WADO")
    if not all(is_uid(given.get(name, "")) for name in _REQUIRED):
        raise BadInput("studyUID, seriesUID and objectUID are required")
    for name in sorted(_REFUSED & given.keys()):
        raise NotSupported(f"{name} is not supported")
    accepted = tuple(each for each in acceptable(given.get("contentType", "")) if given.get("contentType"))
    is_picture = bool(accepted) and accepted[0].kind != _DICOM
    if is_picture and "transferSyntax" in given:
        raise BadInput("transferSyntax is for application/dicom")
    if not (given.get("contentType") or "transferSyntax" in given):
        accepted = tuple(each for each in header if each.kind in _KINDS and each.quality > 0)
    frames = (_positive(given["frameNumber"]),) if "frameNumber" in given else ()
    uids = [given[name] for name in _REQUIRED]
    return UriRequest(Target("wado", 0, uids[0], uids[1], uids[2], frames), accepted, given, foreign)


def _window(given: Mapping[str, str]) -> Window | None:
    if ("windowCenter" in given) != ("windowWidth" in given):
        raise BadInput("windowCenter and windowWidth go together")
    if "windowCenter" not in given:
        return None
    center, width = finite(given["windowCenter"]), finite(given["windowWidth"])
    if width < 1:
        raise BadInput("the window can not be used")
    return Window(center, width)


def _viewport(given: Mapping[str, str], instance: StoredInstance) -> Viewport | None:
    """rows and columns bound the picture; region is a part of it in fractions (PS3.18 9.1.2.2.4)."""
    if not {"rows", "columns", "region"} & given.keys():
        return None
    if instance.pixels is None:
        raise BadInput("the object has no part that could be shown")
    size = (instance.pixels.columns, instance.pixels.rows)
    left, top, right, bottom = _region(given.get("region", "0,0,1,1"))
    part = ((right - left) * size[0], (bottom - top) * size[1])
    width = _positive(given.get("columns", "")) if "columns" in given else None
    height = _positive(given.get("rows", "")) if "rows" in given else None
    shown = (width or _fitting(part[0], height, part[1]), height or _fitting(part[1], width, part[0]))
    if max(shown) > MAX_RENDERED_SIDE:
        raise BadInput("the picture would be too large")
    return Viewport(*shown, left * size[0], top * size[1], *part)


def _fitting(own: float, other: int | None, others_own: float) -> int:
    """A side that is not named, so that the named one alone decides."""
    length = own if other is None else own * other / others_own
    return min(max(round(length + 0.5), 1), MAX_RENDERED_SIDE)


def _region(text: str) -> tuple[float, float, float, float]:
    parts = [finite(part) for part in text.split(",")]
    if len(parts) != 4:
        raise BadInput("region is left,top,right,bottom")
    left, top, right, bottom = parts
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise BadInput("region is left,top,right,bottom, each from 0 to 1")
    return left, top, right, bottom


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9) or int(text) < 1:
        raise BadInput("a whole number from 1 is malformed")
    return int(text)
