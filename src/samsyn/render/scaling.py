"""Cuts and scales 8-bit pictures: exact area averages downwards, bilinear upwards. Pure numpy."""

from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from samsyn.errors import BadInput
from samsyn.limits import MAX_RENDERED_SIDE
from samsyn.render.words import PictureOptions, Viewport

Bytes: TypeAlias = NDArray[np.uint8]

_PLACES: Final = 6


def resized(picture: Bytes, height: int, width: int) -> Bytes:
    """The picture, shape (rows, columns) or (rows, columns, 3), with another number of rows and columns."""
    if height < picture.shape[0]:
        picture = _shrunk(picture, height)
    if width < picture.shape[1]:
        picture = _turned(_shrunk(_turned(picture), width))
    if height > picture.shape[0]:
        picture = _stretched(picture, height)
    if width > picture.shape[1]:
        picture = _turned(_stretched(_turned(picture), width))
    return np.ascontiguousarray(picture)


def _turned(picture: Bytes) -> Bytes:
    return picture.swapaxes(0, 1)


def _shrunk(picture: Bytes, size: int) -> Bytes:
    """Each new row is the average of the exact stretch of old rows that it covers."""
    length = picture.shape[0]
    if length % size == 0:
        blocks = picture.reshape(size, length // size, *picture.shape[1:])
        return _rounded(blocks.mean(axis=1, dtype=np.float32))
    sums = np.zeros((length + 1, *picture.shape[1:]), np.float64)
    np.cumsum(picture, axis=0, dtype=np.float64, out=sums[1:])
    edges = np.linspace(0.0, length, size + 1)
    below = np.minimum(edges.astype(np.int64), length - 1)
    part = (edges - below).reshape(-1, *([1] * (picture.ndim - 1)))
    at_edges = sums[below] * (1.0 - part) + sums[below + 1] * part
    return _rounded(np.diff(at_edges, axis=0) * (size / length))


def _stretched(picture: Bytes, size: int) -> Bytes:
    """Bilinear along the first axis, with pixel centres kept in place."""
    length = picture.shape[0]
    centres = np.clip((np.arange(size, dtype=np.float64) + 0.5) * length / size - 0.5, 0.0, length - 1.0)
    below = np.minimum(centres.astype(np.int64), max(length - 2, 0))
    part = (centres - below).astype(np.float32).reshape(-1, *([1] * (picture.ndim - 1)))
    above = np.minimum(below + 1, length - 1)
    mixed = picture[below] * (np.float32(1.0) - part) + picture[above] * part
    return _rounded(mixed)


def _rounded(levels: NDArray[Any]) -> Bytes:
    whole: Bytes = np.rint(levels).astype(np.uint8)
    return whole


def framed(picture: Bytes, aspect: float, options: PictureOptions) -> Bytes:
    """The part that the options ask for, with square pixels, in the size that they ask for.

    Raises BadInput when the viewport lies outside the picture or is larger than MAX_RENDERED_SIDE.
    """
    if options.viewport is not None:
        return _in_viewport(picture, aspect, options.viewport)
    height, width = _square_size(picture.shape[0], picture.shape[1], aspect)
    limit = min(options.longest_side or MAX_RENDERED_SIDE, MAX_RENDERED_SIDE)
    scale = min(1.0, limit / max(height, width))
    return resized(picture, max(1, round(height * scale)), max(1, round(width * scale)))


def _square_size(rows: int, columns: int, aspect: float) -> tuple[float, float]:
    """Height and width with square pixels; the longer direction of a pixel grows, nothing is lost."""
    return (rows * aspect, float(columns)) if aspect >= 1.0 else (float(rows), columns / aspect)


def part_of(picture: Bytes, view: Viewport) -> Bytes:
    """What the viewport shows of the picture, mirrored where it says so; BadInput as `framed`."""
    if not (1 <= view.width <= MAX_RENDERED_SIDE and 1 <= view.height <= MAX_RENDERED_SIDE):
        raise BadInput(f"viewport sides must be 1 to {MAX_RENDERED_SIDE}")
    rows, columns = picture.shape[:2]
    part_width = columns - view.left if view.part_width is None else view.part_width
    part_height = rows - view.top if view.part_height is None else view.part_height
    left, right = _whole(view.left, abs(part_width), columns)
    top, lower = _whole(view.top, abs(part_height), rows)
    part = picture[top:lower, left:right]
    if part_width < 0:
        part = part[:, ::-1]
    if part_height < 0:
        part = part[::-1]
    return part


def _in_viewport(picture: Bytes, aspect: float, view: Viewport) -> Bytes:
    part = part_of(picture, view)
    height, width = _square_size(part.shape[0], part.shape[1], aspect)
    scale = min(view.width / width, view.height / height)
    return resized(part, max(1, round(height * scale)), max(1, round(width * scale)))


def _whole(start: float, length: float, limit: int) -> tuple[int, int]:
    """The whole pixels that the stretch touches, inside 0 to limit."""
    if not (np.isfinite(start) and np.isfinite(length)) or start < 0 or start >= limit or length <= 0:
        raise BadInput("the viewport lies outside the picture")
    # Fractions of a picture's size miss the whole pixel that is meant by as little as a float does.
    first = int(round(start, _PLACES))
    last = int(min(float(limit), np.ceil(round(start + length, _PLACES))))
    return first, max(last, first + 1)
