"""Which overlay planes (PS3.3 C.9.2, C.9.3) an instance has, and what they draw on a frame. Pure.

A mark of the side, an arrow or a measure may stand nowhere else, so no picture is without them: what of them can not be
drawn is told in the picture itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from samsyn.errors import LimitExceeded
from samsyn.limits import MAX_OVERLAY_PIXELS
from samsyn.model.imaging import PixelLayout
from samsyn.render.words import Graphic

Document: TypeAlias = dict[str, dict[str, Any]]

_GROUPS: Final = tuple((group, f"{group:04X}3000", f"{group:04X}0100") for group in range(0x6000, 0x6020, 2))
"""Repeating groups of overlays (PS3.5 7.6), each with its Overlay Data and Overlay Bits Allocated: one that draws
something has either."""
_CURVES: Final = tuple((f"{group:04X}3000", f"{group:04X}0020") for group in range(0x5000, 0x5020, 2))
"""Curve Data and Type of Data of the groups of curves, retired in 2004."""
_DRAWN_CURVES: Final = frozenset({"POLY", "ROI"})
"""Curves that lie on the picture; others are measured along an axis of their own."""
_ROWS, _COLUMNS, _FRAMES, _TYPE, _ORIGIN, _FRAME_ORIGIN = 0x10, 0x11, 0x15, 0x40, 0x50, 0x51
_BITS_ALLOCATED, _BIT_POSITION, _DATA = 0x100, 0x102, 0x3000
OVERLAY_TAGS: Final = frozenset(
    group << 16 | element
    for group, _, _ in _GROUPS
    for element in (
        *(_ROWS, _COLUMNS, _FRAMES, _TYPE, _ORIGIN, _FRAME_ORIGIN),
        *(_BITS_ALLOCATED, _BIT_POSITION, _DATA),
    )
) | {int(tag, 16) for tags in _CURVES for tag in tags}
"""What `planes_of` looks at."""


@dataclass(frozen=True, slots=True)
class Plane:
    """One overlay plane as the header tells it; -1 = not told."""

    path: str
    """Of its Overlay Data below the instance; "" = its bits stand in free ones of the pixels (retired in 2004)."""
    rows: int
    columns: int
    top: int
    left: int
    is_region: bool
    frames: int
    """Number of Frames in Overlay (60xx,0015)."""
    first_frame: int
    """Image Frame Origin (60xx,0051), from 1."""
    bits_allocated: int
    position: int
    is_curve: bool = False
    """It stands for all curves that should be drawn, and are not."""

    def at(self, number: int) -> int | None:
        """Which of its own frames, from 0, lies on frame `number` (from 1) of the image; None = none.

        One that tells of no frames lies on every one (PS3.3 C.9.2 knows none).
        """
        if self.frames < 0 and self.first_frame < 0:
            return 0
        own = number - max(self.first_frame, 1)
        return own if 0 <= own < max(self.frames, 1) else None


def planes_of(document: Document) -> tuple[Plane, ...]:
    """The planes that hold something, in the order of their groups."""
    found = []
    for group, data, bits in _GROUPS:
        if data not in document and bits not in document:
            continue

        def told(element: int, group: int = group) -> int:
            return _whole(document, group << 16 | element, 0)

        has_data = _has_bytes(document, data)
        if not has_data and told(_BITS_ALLOCATED) <= 1:
            continue
        kind = document.get(f"{group << 16 | _TYPE:08X}", {}).get("Value") or [""]
        top, left = (_whole(document, group << 16 | _ORIGIN, place, 1) - 1 for place in (0, 1))
        found.append(
            Plane(
                data if has_data else "",
                told(_ROWS),
                told(_COLUMNS),
                top,
                left,
                is_region=str(kind[0]).strip() == "R",
                frames=told(_FRAMES),
                first_frame=told(_FRAME_ORIGIN),
                bits_allocated=told(_BITS_ALLOCATED),
                position=told(_BIT_POSITION),
            )
        )
    for data, kind_of_data in _CURVES:
        if data not in document or not _has_bytes(document, data):
            continue
        kind = document.get(kind_of_data, {}).get("Value") or [""]
        if str(kind[0]).strip() in _DRAWN_CURVES:
            found.append(Plane("", 0, 0, 0, 0, False, -1, -1, 0, 0, is_curve=True))
            break
    return tuple(found)


def _has_bytes(document: Document, tag: str) -> bool:
    return bool(document.get(tag, {}).keys() & {"BulkDataURI", "InlineBinary"})


def _whole(document: Document, tag: int, place: int, otherwise: int = -1) -> int:
    values = document.get(f"{tag:08X}", {}).get("Value") or []
    value = values[place] if place < len(values) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise


def paths_of(planes: Sequence[Plane], number: int) -> list[str]:
    """The bulk values that `graphics_of` needs for frame `number`."""
    return [plane.path for plane in planes if plane.path and plane.at(number) is not None]


def graphics_of(
    planes: Sequence[Plane], number: int, pixels: PixelLayout, high_bit: int, data: Mapping[str, bytes]
) -> tuple[Graphic, ...]:
    """What the planes draw on frame `number` (from 1); `data`: Overlay Data by path, those that can not be read left
    out. LimitExceeded: MAX_OVERLAY_PIXELS."""
    graphics = []
    left = MAX_OVERLAY_PIXELS
    for plane in planes:
        own = plane.at(number)
        if own is None:
            continue
        graphic: Graphic | None
        if plane.is_curve:
            graphic = Graphic(0, 0, 0, 0, False, is_torn=True)
        elif plane.path:
            graphic = _of_data(plane, own, data.get(plane.path, b""))
        else:
            graphic = _of_cells(plane, pixels, high_bit)
        if graphic is not None:
            left -= graphic.rows * graphic.columns
            graphics.append(graphic)
        if left < 0:
            raise LimitExceeded("MAX_OVERLAY_PIXELS")
    return tuple(graphics)


def _of_data(plane: Plane, own: int, data: bytes) -> Graphic:
    rows, columns = max(plane.rows, 0), max(plane.columns, 0)
    count = rows * columns
    is_in_cells = (
        plane.bits_allocated in (8, 16) and len(data) * 8 >= (own + 1) * count * plane.bits_allocated
    )
    cell_bits = plane.bits_allocated if is_in_cells else 1
    begin, end = own * count * cell_bits, (own + 1) * count * cell_bits
    return Graphic(
        rows,
        columns,
        plane.top,
        plane.left,
        plane.is_region,
        data[begin // 8 : (end + 7) // 8],
        begin % 8,
        cell_bits,
        position=max(plane.position, 0) % cell_bits,
        is_torn=not count or len(data) * 8 < end,
    )


def _of_cells(plane: Plane, pixels: PixelLayout, high_bit: int) -> Graphic | None:
    """An embedded plane; None where its bit is none of the cells', or one of the stored values'."""
    high = high_bit if pixels.bits_stored <= high_bit < pixels.bits_allocated else pixels.bits_stored - 1
    is_free = 0 <= plane.position < pixels.bits_allocated and not (
        high - pixels.bits_stored < plane.position <= high
    )
    if pixels.samples != 1 or plane.bits_allocated != pixels.bits_allocated or not is_free:
        return None
    return Graphic(
        pixels.rows, pixels.columns, 0, 0, plane.is_region, position=plane.position, is_embedded=True
    )
