"""A plane in millimetres to paint tissues on: every shape covers, with a soft edge, what was there before."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from samsyn_demo.drawing.fields import Array, step

Point = tuple[float, float, float]
"""x (to the patient's left), y (to the back), z (to the head), in mm."""


class Canvas:
    """An axial plane at height `z`; `picture` holds the values (HU or relative brightness).

    The plane has rows x columns pixels of `spacing` mm, centred on (0, centre_y). Shapes only touch the pixels
    in their own bounding box, so that painting a small vessel costs little.
    """

    def __init__(
        self,
        rows: int,
        columns: int,
        spacing: float,
        z: float,
        background: float,
        centre_y: float = 0.0,
    ) -> None:
        self.spacing = spacing
        self.z = z
        self.x: Array = _axis(columns, spacing, 0.0)[None, :]
        self.y: Array = _axis(rows, spacing, centre_y)[:, None]
        self.picture: Array = np.full((rows, columns), background, np.float32)

    def window(self, x: float, y: float, reach_x: float, reach_y: float) -> tuple[slice, slice]:
        """Rows and columns within reach of (x, y)."""
        columns = np.searchsorted(self.x[0], [x - reach_x, x + reach_x])
        rows = np.searchsorted(self.y[:, 0], [y - reach_y, y + reach_y])
        return slice(int(rows[0]), int(rows[1])), slice(int(columns[0]), int(columns[1]))

    def cover(self, where: tuple[slice, slice], coverage: Array, value: float | Array) -> None:
        """Lays `value` over the window with `coverage` 0..1."""
        part = self.picture[where]
        part += coverage * (value - part)

    def ellipse(
        self,
        centre: tuple[float, float],
        radii: tuple[float, float],
        value: float,
        degrees: float = 0.0,
        softness: float | None = None,
        power: float = 2.0,
    ) -> None:
        """A (super)ellipse of this plane, turned by `degrees` from +x towards +y."""
        reach = max(radii) + 2 * self.spacing
        where = self.window(centre[0], centre[1], reach, reach)
        dx, dy = self.x[:, where[1]] - np.float32(centre[0]), self.y[where[0]] - np.float32(centre[1])
        if degrees:
            cosine, sine = np.float32(np.cos(np.radians(degrees))), np.float32(np.sin(np.radians(degrees)))
            dx, dy = cosine * dx + sine * dy, cosine * dy - sine * dx
        if power == 2.0:
            rho = np.sqrt((dx / np.float32(radii[0])) ** 2 + (dy / np.float32(radii[1])) ** 2)
        else:
            rho = (
                np.abs(dx / np.float32(radii[0])) ** power + np.abs(dy / np.float32(radii[1])) ** power
            ) ** (1 / power)
        distance = (rho - 1) * np.float32(min(radii))
        self.cover(where, step(distance, softness or self.spacing), value)

    def ellipsoid(
        self,
        centre: Point,
        radii: Point,
        value: float,
        long_axis: Point | None = None,
        softness: float | None = None,
    ) -> None:
        """The cut of a 3D ellipsoid; `long_axis` turns its third radius into that direction."""
        reach = max(radii)
        dz = np.float32(self.z - centre[2])
        if abs(dz) > reach:
            return
        where = self.window(centre[0], centre[1], reach + 2 * self.spacing, reach + 2 * self.spacing)
        dx, dy = self.x[:, where[1]] - np.float32(centre[0]), self.y[where[0]] - np.float32(centre[1])
        axes = np.eye(3, dtype=np.float32) if long_axis is None else _frame(long_axis)
        rho2 = np.zeros(np.broadcast_shapes(dx.shape, dy.shape), np.float32)
        slope2 = np.zeros_like(rho2)
        for direction, radius in zip(axes, radii, strict=True):
            along = (direction[0] * dx + direction[1] * dy + direction[2] * dz) / np.float32(radius)
            rho2 += along * along
            slope2 += (along / np.float32(radius)) ** 2
        rho = np.sqrt(rho2)
        distance = (rho - 1) * rho / (np.sqrt(slope2) + np.float32(1e-6))
        self.cover(where, step(distance, softness or self.spacing), value)

    def tube(self, path: Sequence[Point], radii: Sequence[float], value: float, wall: float = 0.0) -> None:
        """Capsules along a path with a radius per point; `wall` > 0 paints only that thick a shell."""
        for (start, end), (first, last) in zip(pairwise(path), pairwise(radii), strict=True):
            widest = max(first, last)
            if not min(start[2], end[2]) - widest <= self.z <= max(start[2], end[2]) + widest:
                continue
            where = self.window(
                (start[0] + end[0]) / 2,
                (start[1] + end[1]) / 2,
                abs(start[0] - end[0]) / 2 + widest + self.spacing,
                abs(start[1] - end[1]) / 2 + widest + self.spacing,
            )
            distance = self._capsule(where, start, end, first, last)
            if wall:
                distance = np.abs(distance + np.float32(wall / 2)) - np.float32(wall / 2)
            self.cover(where, step(distance, self.spacing), value)

    def _capsule(
        self, where: tuple[slice, slice], start: Point, end: Point, first: float, last: float
    ) -> Array:
        dx, dy = self.x[:, where[1]] - np.float32(start[0]), self.y[where[0]] - np.float32(start[1])
        dz = np.float32(self.z - start[2])
        ax, ay, az = (np.float32(end[i] - start[i]) for i in range(3))
        length2 = ax * ax + ay * ay + az * az + np.float32(1e-6)
        share = np.clip((dx * ax + dy * ay + dz * az) / length2, 0, 1)
        gap = np.sqrt((dx - share * ax) ** 2 + (dy - share * ay) ** 2 + (dz - share * az) ** 2)
        distance: Array = gap - (np.float32(first) + share * np.float32(last - first))
        return distance


def _axis(count: int, spacing: float, centre: float) -> Array:
    steps = np.arange(count, dtype=np.float32) - np.float32((count - 1) / 2)
    return steps * np.float32(spacing) + np.float32(centre)


def _frame(long_axis: Point) -> Array:
    """Three orthogonal unit vectors, the third along `long_axis`."""
    third = np.array(long_axis, np.float32)
    third /= np.linalg.norm(third)
    first = np.cross(third, np.array([0, 0, 1] if abs(third[2]) < 0.9 else [1, 0, 0], np.float32))
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(third, first), third]).astype(np.float32)
