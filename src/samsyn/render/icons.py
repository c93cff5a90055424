"""Neutral signs for what has no picture: an encapsulated document, a structured report, a video. Pure numpy."""

from typing import Final

import numpy as np

from samsyn.errors import BadInput
from samsyn.limits import MAX_RENDERED_SIDE
from samsyn.render.display import encoded
from samsyn.render.lettering import COLUMNS, ROWS, stamped
from samsyn.render.scaling import resized
from samsyn.render.words import Picture, PictureFormat, PictureOptions

ICON_KINDS: Final = ("pdf", "text", "ecg", "video", "sound", "object", "image")
"""What an icon can stand for; "image" is a picture that could not be made."""

_SIDE: Final = 128
_PAPER: Final = (246, 247, 249)
_BACK: Final = (226, 230, 236)
_LINE: Final = (150, 160, 174)
_INK: Final = (62, 74, 92)


def icon(kind: str, side: int) -> Picture:
    """A sheet of paper with the kind's name, square, as PNG. Raises BadInput for an unknown kind or side."""
    if kind not in ICON_KINDS or not 8 <= side <= MAX_RENDERED_SIDE:
        raise BadInput("unknown icon")
    picture = np.empty((_SIDE, _SIDE, 3), np.uint8)
    picture[:] = _BACK
    picture[14:114, 26:102] = _LINE
    picture[16:112, 28:100] = _PAPER
    _fold(picture)
    for top in (40, 50, 90, 100):
        picture[top : top + 3, 38:90] = _LINE
    word = kind.upper()
    scale = 2 if len(word) > 4 else 3
    width = (len(word) * (COLUMNS + 1) - 1) * scale
    stamped(picture, word, 72 - ROWS * scale // 2, 64 - width // 2, scale, _INK)
    return encoded(resized(picture, side, side), PictureOptions(format=PictureFormat.PNG))


def _fold(picture: "np.typing.NDArray[np.uint8]") -> None:
    """The upper right corner turned down."""
    rows, columns = np.mgrid[0:20, 0:20]
    corner = picture[14:34, 82:102]
    corner[columns > rows] = _BACK
    corner[columns <= rows] = _PAPER
    corner[(columns == rows) | (columns == rows + 1)] = _LINE
    corner[19, :] = _LINE
    corner[:, 0] = np.where((rows[:, 0] > 1)[:, None], _LINE, corner[:, 0])
