"""Draws overlay planes on a picture. Pure numpy; runs in the child process.

Graphics are white, and what is brighter than _SHADE beside them is darkened to it, so that they can be told from any
ground. In a smaller picture a line keeps its strength: it would fade to nothing in the average of its neighbours.
"""

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from samsyn.render.lettering import ROWS, lettering
from samsyn.render.scaling import Bytes, part_of, resized
from samsyn.render.words import Graphic, PictureOptions

Mask: TypeAlias = NDArray[np.bool_]

MISSING: Final = ("GRAFIK SAKNAS", "GRAPHICS MISSING")
"""Written into a picture that lacks something of what the object draws on it."""
_SHADE: Final = 96
_MARGIN: Final = 2
_WIDTH_BY_SCALE: Final = 400


def with_graphics(
    picture: Bytes,
    graphics: Sequence[Graphic],
    size: tuple[int, int],
    options: PictureOptions,
    cells: NDArray[Any] | None,
) -> Bytes:
    """The picture, as `framed` made it of one with `size` rows and columns, with the graphics on it.

    `cells`: whole cells of the frame for planes that stand in them; None = they are not there any more, which is so
    after lossy compression.
    """
    ink = _ink(graphics, size, cells)
    part = ink if options.viewport is None else part_of(ink, options.viewport)
    shown = resized(part, *picture.shape[:2])
    shrunk = max(part.shape[0] / shown.shape[0], part.shape[1] / shown.shape[1], 1.0)
    if any(graphic.is_torn for graphic in graphics):
        _say(shown)
    drawn = picture.copy()
    box = _box(shown)
    if box is None:
        return drawn
    ground = drawn[box]
    strength = np.minimum(shown[box] * np.float32(shrunk / 255.0), np.float32(1.0))
    shade = np.float32(255.0) - np.float32(255.0 - _SHADE) * _spread(strength)
    if picture.ndim == 3:
        strength, shade = strength[..., None], shade[..., None]
    shaded = np.minimum(ground, shade)
    ground[:] = np.rint(shaded + (np.float32(255.0) - shaded) * strength).astype(np.uint8)
    return drawn


def _box(shown: Bytes) -> tuple[slice, slice] | None:
    """The part that has ink, and a pixel around it; None = there is none."""
    rows, columns = (np.flatnonzero(shown.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return None
    return slice(max(rows[0] - 1, 0), rows[-1] + 2), slice(max(columns[0] - 1, 0), columns[-1] + 2)


def _ink(graphics: Sequence[Graphic], size: tuple[int, int], cells: NDArray[Any] | None) -> Bytes:
    """255 where any of the graphics has a bit, in the picture's own rows and columns."""
    ink = np.zeros(size, np.uint8)
    for graphic in graphics:
        top, lower = max(graphic.top, 0), min(graphic.top + graphic.rows, size[0])
        left, right = max(graphic.left, 0), min(graphic.left + graphic.columns, size[1])
        if top >= lower or left >= right:
            continue
        if graphic.is_embedded:
            if cells is None:
                continue
            mask = cells >> graphic.position & 1 != 0
        else:
            mask = _bits(graphic, top - graphic.top, lower - graphic.top)
            mask = mask[:, left - graphic.left : right - graphic.left]
        if graphic.is_region:
            mask = _edge(mask)
        ink[top:lower, left:right][mask] = 255
    return ink


def _bits(graphic: Graphic, first: int, last: int) -> Mask:
    """The rows from `first` to before `last`; what is missing at the end of the data is empty."""
    count = (last - first) * graphic.columns
    begin = first * graphic.columns
    if graphic.cell_bits > 1:
        whole: NDArray[Any] = np.frombuffer(graphic.data, f"<u{graphic.cell_bits // 8}")
        found: NDArray[Any] = whole[begin : begin + count] >> graphic.position & 1
    else:
        begin += graphic.first_bit
        data = np.frombuffer(graphic.data, np.uint8)[begin // 8 : (begin + count + 7) // 8]
        found = np.unpackbits(data, bitorder="little")[begin % 8 :][:count]
    mask = np.zeros(count, np.bool_)
    mask[: found.size] = found
    return mask.reshape(last - first, graphic.columns)


def _edge(mask: Mask) -> Mask:
    """What of it has a neighbour, across or along, that is none of it; a line is its own edge."""
    inner = mask.copy()
    inner[1:] &= mask[:-1]
    inner[:-1] &= mask[1:]
    inner[:, 1:] &= mask[:, :-1]
    inner[:, :-1] &= mask[:, 1:]
    inner[[0, -1]] = inner[:, [0, -1]] = False
    return mask & ~inner


def _spread(strength: NDArray[np.float32]) -> NDArray[np.float32]:
    """The most of it in each pixel and its eight neighbours."""
    for axis in (0, 1):
        turned = np.moveaxis(strength, axis, 0)
        wide = turned.copy()
        np.maximum(wide[1:], turned[:-1], out=wide[1:])
        np.maximum(wide[:-1], turned[1:], out=wide[:-1])
        strength = np.moveaxis(wide, 0, axis)
    return strength


def _say(shown: Bytes) -> None:
    """Writes MISSING at the upper left, cut at the edges."""
    scale = max(1, shown.shape[1] // _WIDTH_BY_SCALE)
    for line, text in enumerate(MISSING):
        letters = lettering(text, scale)
        top = _MARGIN + line * (ROWS + 2) * scale
        part = shown[top : top + letters.shape[0], _MARGIN : _MARGIN + letters.shape[1]]
        part[letters[: part.shape[0], : part.shape[1]]] = 255
