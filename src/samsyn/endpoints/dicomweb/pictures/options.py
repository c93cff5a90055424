"""Rendering parameters (PS3.18 8.3.5): from a query string to what the asker wants to see."""

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from samsyn.endpoints.dicomweb.parameters import ignored, own_and_foreign
from samsyn.errors import BadInput
from samsyn.limits import MAX_RENDERED_SIDE
from samsyn.render.words import PictureFormat, PictureOptions, Viewport, Voi, Window

WINDOW_FUNCTIONS = MappingProxyType(
    {"linear": Voi.LINEAR, "linear-exact": Voi.LINEAR_EXACT, "sigmoid": Voi.SIGMOID}
)
ANNOTATION_IGNORED: Final = "ignored with a Warning: no text about patient or technique is burnt in"
NOTHING_BURNT_IN: Final = (
    "The annotation parameter is not supported: no text about patient or technique is burnt in."
)
"""That Warning."""
PARAMETERS = MappingProxyType(
    {
        "accept": "media types, before the Accept header",
        "charset": "read and of no effect: reports are written out in UTF-8",
        "annotation": ANNOTATION_IGNORED,
        "quality": "1 to 100, of JPEG",
        "viewport": "width,height or width,height,x,y,width,height; what is left out at the end or between commas"
        " is the whole; a negative width or height mirrors",
        "window": "centre,width,function; without function linear",
        "iccprofile": "ignored with a Warning: colours are sent as sRGB without a profile",
    }
)
"""Every rendering parameter and what is done with it."""
THUMBNAIL_PARAMETERS = MappingProxyType(
    {
        "accept": PARAMETERS["accept"],
        "charset": PARAMETERS["charset"],
        "viewport": "width,height: the largest picture in it that keeps its proportions",
    }
)

_MAX_PARAMETERS = 32
_REMEMBERED_BYTES = 256
"""A page of thumbnails or a stack has one query string; longer ones are read anew each time."""
_ANNOTATIONS = frozenset({"patient", "technique"})
_PROFILES = frozenset({"no", "yes", "srgb", "adobergb", "rommrgb", "displayp3"})


@dataclass(frozen=True, slots=True)
class PictureWish:
    """How a picture is to look, and what of the wish can not be had."""

    options: PictureOptions
    warnings: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    """Parameters that were ignored."""

    def in_format(self, picture_format: PictureFormat) -> PictureOptions:
        """The wish in a format that was agreed on."""
        if picture_format is self.options.format:
            return self.options
        return replace(self.options, format=picture_format)

    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """A Warning for each part of the wish that is left out (PS3.18 8.3.5: 299)."""
        told = tuple((b"warning", f'299 Samsyn "{text}"'.encode("ascii")) for text in self.warnings)
        return (*told, *ignored(self.foreign))


def wish_of(query_string: bytes, *, is_thumbnail: bool = False) -> PictureWish:
    """The rendering parameters; of a thumbnail its size alone (PS3.18 table 8.3.5-2). Malformed ones are BadInput: a
    picture that is shown otherwise than was asked for misleads. Of a legal one that is not followed, and of those that
    are none of ours, the answer warns."""
    if len(query_string) > _REMEMBERED_BYTES:
        return _wish.__wrapped__(query_string, is_thumbnail)
    return _wish(query_string, is_thumbnail)


@lru_cache(maxsize=256)
def _wish(query_string: bytes, is_thumbnail: bool) -> PictureWish:
    known = THUMBNAIL_PARAMETERS if is_thumbnail else PARAMETERS
    parameters, foreign = own_and_foreign(query_string, known, _MAX_PARAMETERS)
    warnings: list[str] = []
    if "annotation" in parameters:
        if not set(parameters["annotation"].split(",")) <= _ANNOTATIONS:
            raise BadInput("annotation is a list of patient and technique")
        warnings.append(NOTHING_BURNT_IN)
    profile = parameters.get("iccprofile", "no")
    if profile not in _PROFILES:
        raise BadInput("iccprofile is no, yes or the name of a colour space")
    if profile != "no":
        warnings.append("The iccprofile parameter is not supported: colours are sRGB without a profile.")
    options = PictureOptions(
        quality=quality_of(parameters.get("quality", "90")),
        window=_window(parameters["window"]) if "window" in parameters else None,
        viewport=_viewport(parameters["viewport"]) if "viewport" in parameters else None,
    )
    if is_thumbnail and options.viewport is not None and "," in parameters["viewport"].partition(",")[2]:
        raise BadInput("the viewport of a thumbnail is width,height")
    return PictureWish(options, tuple(warnings), foreign)


def quality_of(text: str) -> int:
    """JPEG quality from 1 to 100."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:4]) <= 100):
        raise BadInput("quality is a whole number from 1 to 100")
    return int(text)


def _window(text: str) -> Window:
    """centre,width,function (PS3.18 8.3.5.1.4); the function may be left out."""
    parts = text.split(",")
    if len(parts) not in (2, 3):
        raise BadInput("window is centre,width,function")
    center, width = (finite(part) for part in parts[:2])
    function = parts[2] if len(parts) == 3 else "linear"
    if function not in WINDOW_FUNCTIONS or width <= 0 or (function == "linear" and width < 1):
        raise BadInput("the window can not be used")
    return Window(center, width, WINDOW_FUNCTIONS[function])


def _viewport(text: str) -> Viewport:
    """vw,vh,sx,sy,sw,sh (PS3.18 8.3.5.1.3); the source part may be left out, wholly or value by value, and at its end
    without commas."""
    parts = text.split(",")
    if not 2 <= len(parts) <= 6:
        raise BadInput("viewport is width,height or width,height,x,y,width,height")
    width, height = (finite(part) for part in parts[:2])
    if not (1 <= width <= MAX_RENDERED_SIDE and 1 <= height <= MAX_RENDERED_SIDE):
        raise BadInput("the viewport is too large or too small")
    if len(parts) == 2:
        return Viewport(int(width), int(height))
    given = [finite(part) if part else None for part in parts[2:]]
    given += [None] * (4 - len(given))
    left, top, part_width, part_height = given
    if part_width == 0 or part_height == 0 or (left or 0) < 0 or (top or 0) < 0:
        raise BadInput("the viewport shows no part of the picture")
    return Viewport(int(width), int(height), left or 0.0, top or 0.0, part_width, part_height)


def finite(text: str) -> float:
    """A number that is one."""
    try:
        value = float(text)
    except ValueError:
        raise BadInput("a number is malformed") from None
    if not math.isfinite(value) or len(text) > 32:
        raise BadInput("a number is malformed")
    return value
