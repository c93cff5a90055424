"""Branching trees (lung and liver vessels) that fill a volume from a root."""

from dataclasses import dataclass

import numpy as np

from samsyn_demo.drawing.canvas import Canvas, Point
from samsyn_demo.drawing.fields import Array
from samsyn_demo.seed import stream


@dataclass(frozen=True, slots=True)
class Tree:
    """Points along the branches: position in mm (n x 3) and radius in mm (n), dense enough to paint as dots."""

    points: Array
    radii: Array


def grow(root: Point, targets: Array, tip_radius: float, spacing: float, reach: float = 0.55) -> Tree:
    """A tree from `root` to every target (n x 3).

    The targets are halved again and again along their longest extent; every half gets a branch that goes `reach`
    of the way to its middle. Radii follow Murray's law (r^2.7 adds up over the branches).
    """
    pieces: list[Array] = []
    bends = stream("vessels", *root, len(targets)).uniform(-1, 1, (997, 3)).astype(np.float32)

    def branch(start: Array, ends: Array) -> None:
        count = len(ends)
        radius = tip_radius * count ** (1 / 2.7)
        stop = ends[0] if count == 1 else start + reach * (ends.mean(axis=0) - start)
        way = stop - start
        steps = max(2, int(np.sqrt(way @ way) / spacing))
        share = np.arange(steps, dtype=np.float32)[:, None] / np.float32(steps)
        line = np.empty((steps, 4), np.float32)
        line[:, :3] = start + share * way + (0.28 * bow() * np.abs(way).max()) * (share * (1 - share) * 2)
        line[:, 3] = radius
        pieces.append(line)
        if count == 1:
            return
        relative = ends - stop
        axis = int(np.argmax(relative.max(axis=0) - relative.min(axis=0)))
        order = np.argsort(relative[:, axis])
        branch(stop, ends[order[: count // 2]])
        branch(stop, ends[order[count // 2 :]])

    def bow() -> Array:
        """How the next branch bends; drawn in bulk, since one number at a time is slow."""
        return np.asarray(bends[len(pieces) % len(bends)], np.float32)

    branch(np.array(root, np.float32), targets.astype(np.float32))
    everything = np.concatenate(pieces)
    return Tree(everything[:, :3], everything[:, 3])


def paint(canvas: Canvas, tree: Tree, value: float, thickness: float) -> None:
    """Lays the tree's cut through a plane with slice `thickness` mm over the canvas."""
    near = np.abs(tree.points[:, 2] - canvas.z) < tree.radii + thickness / 2
    covered = np.zeros_like(canvas.picture)
    for thinnest, thickest in ((0.0, 1.1), (1.1, 2.6), (2.6, 99.0)):
        chosen = near & (tree.radii >= thinnest) & (tree.radii < thickest)
        if chosen.any():
            _dots(covered, canvas, tree.points[chosen], tree.radii[chosen], thickness)
    canvas.picture += covered * (value - canvas.picture)


def _dots(covered: Array, canvas: Canvas, points: Array, radii: Array, thickness: float) -> None:
    """Raises `covered` to the share of each pixel that the dots' discs fill."""
    rows, columns = covered.shape
    column = (points[:, 0] - canvas.x[0, 0]) / np.float32(canvas.spacing)
    row = (points[:, 1] - canvas.y[0, 0]) / np.float32(canvas.spacing)
    reach = int(np.ceil(float(radii.max()) / canvas.spacing + 0.5))
    inside = (row > reach) & (row < rows - reach - 1) & (column > reach) & (column < columns - reach - 1)
    points, radii, row, column = points[inside], radii[inside], row[inside], column[inside]
    excess2 = np.maximum(np.abs(points[:, 2] - canvas.z) - np.float32(thickness / 2), 0) ** 2
    strength = np.minimum(2.2 * radii / thickness + 0.25, 1).astype(np.float32)
    at_row, at_column = np.rint(row).astype(np.intp), np.rint(column).astype(np.intp)
    flat = covered.reshape(-1)
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            gap2 = (at_row + down - row) ** 2 + (at_column + right - column) ** 2
            gap = np.sqrt(gap2 * np.float32(canvas.spacing**2) + excess2)
            share = (
                np.clip((radii - gap) / np.float32(canvas.spacing) + 0.5, 0, 1).astype(np.float32) * strength
            )
            np.maximum.at(flat, (at_row + down) * columns + at_column + right, share)
