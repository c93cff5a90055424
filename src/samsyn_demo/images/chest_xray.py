"""Chest pictures (frontal and lateral), made by adding up what the beam passes on its way through the chest."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from samsyn_demo.drawing import vessels
from samsyn_demo.drawing.fields import Array, blur, cloud, grain, resize, step, zoomed
from samsyn_demo.images import thorax, thorax_shape
from samsyn_demo.seed import stream

ROWS, COLUMNS = 1800, 1500
SPACING_MM = 0.2
"""Pixel pitch at the detector."""
_TOP, _BOTTOM, _HALF = 168.0, -212.0, 158.0
"""The picture's frame in the patient, mm: height of upper and lower edge, half width."""
_LUNG_SHARE = 0.26
"""How much lung tissue weakens the beam, compared with water."""
_BREATH = 22.0
"""How much lower the diaphragm stands when standing in full inspiration."""

View = Literal["frontal", "lateral"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A shadow: centre and radii as shares of width and height of the picture, strength in mm of water."""

    centre: tuple[float, float]
    radii: tuple[float, float]
    strength_mm: float
    kind: Literal["cloud", "nodule", "fluid"] = "cloud"


def base(heart_size: float, view: View) -> Array:
    """The beam's path (mm of water) over ROWS x COLUMNS pixels, without noise; about a second of work."""
    rows, columns = ROWS // 5, COLUMNS // 5
    path = np.empty((rows, columns), np.float32)
    for row, z in enumerate(np.linspace(_TOP, _BOTTOM, rows)):
        path[row] = _soft_tissue(float(z), columns, heart_size, view)
    return resize(blur(path, 0.6), ROWS, COLUMNS) + _thin_parts(view)


def breasts() -> Array:
    """What breasts add to the beam's path in a frontal picture."""
    x = np.linspace(-_HALF, _HALF, COLUMNS // 5, dtype=np.float32)[None, :]
    z = np.linspace(_TOP, _BOTTOM, ROWS // 5, dtype=np.float32)[:, None]
    rho2 = ((np.abs(x) - 86) / 70) ** 2 + ((z + 66) / 66) ** 2
    mound = 28 * np.clip(1 - rho2, 0, 1) ** 0.75 * np.clip((-20 - z) / 70, 0, 1)
    return resize(np.asarray(mound, np.float32), ROWS, COLUMNS)


@cache
def _thin_parts(view: View) -> Array:
    """Vessels, bones and airways: what has a sharp edge."""
    path = np.zeros((ROWS, COLUMNS), np.float32)
    pieces = [*_vessels(view), *_bones(view), *_airways(view)]
    points = np.concatenate([piece[0] for piece in pieces])
    radii = np.concatenate([piece[1] for piece in pieces])
    weights = np.concatenate([_runs(piece[0]) * np.float32(piece[2]) for piece in pieces])
    for thin, shrink in ((True, 2), (False, 4)):
        chosen = (radii < 1.5) == thin
        shadow = _shadow(points[chosen], radii[chosen], weights[chosen], (ROWS // shrink, COLUMNS // shrink))
        path += resize(blur(shadow, 0.8), ROWS, COLUMNS)
    if view == "frontal":
        path += resize(_flat_bones(ROWS // 2, COLUMNS // 2), ROWS, COLUMNS)
    return path


def picture(
    path: Array, name: str, factor: float = 1.0, findings: tuple[Finding, ...] = (), marker: str = "R"
) -> NDArray[np.uint16]:
    """A processed picture of 12 bits (bright = dense) of one patient; `name` chooses noise and placing."""
    chance = stream("chest", name)
    right, down = chance.uniform(-22, 22), chance.uniform(-25, 25)
    water = zoomed(path, factor, right, down)
    for finding in findings:
        water += _finding(finding, water.shape, name)
    coarse = blur(water[::6, ::6], 14)
    local = water - resize(coarse, ROWS, COLUMNS)
    level = resize(coarse, ROWS, COLUMNS)
    shown = 0.46 * (level - 96) / 130 + local / 62
    dose = np.sqrt(np.clip(1.5 - level / 220, 0.25, 2.0))
    noise = np.roll(_noise(), (int(chance.integers(ROWS)), int(chance.integers(COLUMNS))), (0, 1))
    values = 2047.5 + 2047.5 * np.tanh(1.45 * (shown - 0.30)) + noise * (44 / dose)
    _collimate(values, chance)
    _letter(values, marker)
    return np.rint(np.clip(values, 0, 4095)).astype(np.uint16)


@cache
def _noise() -> Array:
    return grain((ROWS, COLUMNS), 1.0, stream("chest-noise"))


def _soft_tissue(z: float, columns: int, heart_size: float, view: View) -> Array:
    """One row of the picture: mm of water along the beam, lungs counted by their share."""
    across = np.linspace(-_HALF, _HALF, columns, dtype=np.float32)
    beam = np.linspace(-168, 168, 60, dtype=np.float32)
    step_mm = float(beam[1] - beam[0])
    if view == "frontal":
        x, y = across[None, :], beam[:, None]
    else:
        x, y = beam[:, None], across[None, :]
    half_width, half_depth, centre = thorax_shape.body(z)
    trunk = thorax_shape.superellipse(x / np.float32(half_width), (y - centre) / np.float32(half_depth)) - 1
    tissue = step(trunk * 100, step_mm)
    lung = _lung(x, y, z, heart_size) * tissue
    thickness = (tissue - (1 - _LUNG_SHARE) * lung).sum(axis=0) * step_mm
    fat = 0.93
    thickness *= fat
    gas = _gas(x, y, z) * tissue
    return np.asarray(thickness - gas.sum(axis=0) * step_mm, np.float32)


def _lung(x: Array, y: Array, z: float, heart_size: float) -> Array:
    width, depth, centre = thorax_shape.pleura(z)
    rho = thorax_shape.superellipse(x / np.float32(width), (y - centre) / np.float32(depth))
    dome = np.maximum(thorax_shape.whole_diaphragm(x, y) - np.float32(_BREATH), thorax_shape.tendon(x, y) - 5)
    dome -= np.float32(z)
    middle = thorax_shape.mediastinum(x, y, z + 13, heart_size)
    waist = np.sqrt((x - 24) ** 2 + (y - 18) ** 2 + (1.1 * (z - 42)) ** 2) - 19
    trunk = np.sqrt((x - 27) ** 2 + (y + 22) ** 2 + (z + 2) ** 2) - 22
    cava = np.maximum(np.sqrt((x + 24) ** 2 + (y + 10) ** 2) - 11, np.abs(z - 30) - 50)
    middle = np.minimum(np.minimum(middle, waist), np.minimum(trunk, cava))
    distance = np.maximum(np.maximum((rho - 1) * depth, dome), -middle)
    return step(distance, 3.0)


def _gas(x: Array, y: Array, z: float) -> Array:
    """Gas in the stomach's fundus, over a level."""
    bubble = np.sqrt(((x - 60) / 27) ** 2 + ((y + 6) / 30) ** 2 + ((z + 128) / 13) ** 2)
    return 0.8 * step((bubble - 1) * 13, 3.0) * step(np.asarray(-131 - z, np.float32), 2.0)


def _place(points: Array, view: View) -> Array:
    """Patient coordinates -> (across, height) in the picture's mm."""
    return points[:, [0, 2]] if view == "frontal" else points[:, [1, 2]]


Piece = tuple[Array, Array, float]
"""Dots of one tube: (across, height) in mm (n x 2), radii in mm (n), density over its surroundings."""


def _vessels(view: View) -> Iterator[Piece]:
    for side, hilum in ((-1, (-44.0, 10.0, -12.0)), (1, (46.0, 16.0, -4.0))):
        for kind, drop, count in (("artery", 0.0, 460), ("vein", -20.0, 300)):
            targets = thorax.lung_points(side, count, kind, 1.0)
            targets[:, 2] = np.where(targets[:, 2] < -40, -40 + (targets[:, 2] + 40) * 1.18, targets[:, 2])
            root = (hilum[0], hilum[1], hilum[2] + drop)
            tree = vessels.grow(root, targets, 0.5, 1.3)
            yield _place(tree.points, view), tree.radii, 1.1


def _bones(view: View) -> Iterator[Piece]:
    for number in range(thorax_shape.RIB_COUNT):
        for side in (-1, 1):
            yield *_rib(number, side, 6.2, view), 1.55
            yield *_rib(number, side, 5.0, view), -1.05
    for side in (-1, 1):
        collar = np.array(
            [[12 * side, -58, 78], [30 * side, -60, 93], [70 * side, -46, 98], [108 * side, -20, 108],
             [140 * side, 0, 121]], np.float32
        )  # fmt: skip
        line = _dense(collar, 0.8)
        spread = np.abs(line[:, 0])
        radius = (6.2 + 3.4 * np.exp(-(((spread - 12) / 12) ** 2)) + 1.2 * (spread > 110)).astype(np.float32)
        yield _place(line, view), radius, 1.9
        yield _place(line, view), radius - 1.4, -1.3


def _airways(view: View) -> Iterator[Piece]:
    for path, radius in (
        (((0, 4, 170), (0, 10, 80), (2, 14, 22)), 8.6),
        (((2, 14, 24), (-20, 16, 4), (-36, 16, -10)), 6.0),
        (((2, 14, 24), (24, 20, 2), (42, 22, -10)), 5.6),
    ):
        line = _dense(np.array(path, np.float32), 1.0)
        yield _place(line, view), np.full(len(line), radius, np.float32), -0.95


def _rib(number: int, side: int, radius: float, view: View) -> tuple[Array, Array]:
    turn = np.linspace(0.12, thorax_shape.rib_reach(number), 200, dtype=np.float32)
    height = (
        np.float32(thorax_shape.FIRST_RIB - number * thorax_shape.RIB_SPACING)
        - thorax_shape.rib_drop(turn) * 0.9
    )
    width, depth, centre = thorax_shape.pleura_at(height)
    points = np.stack(
        [side * (width + 5) * np.sin(turn), centre + (depth + 5) * np.cos(turn), height], axis=1
    ).astype(np.float32)
    line = _dense(points, 1.0)
    return (_place(line, view), np.full(len(line), radius * (0.85 + 0.02 * min(number, 8)), np.float32))


def _dense(path: Array, spacing: float) -> Array:
    """The path resampled to points `spacing` mm apart."""
    lengths = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    places = np.arange(0, lengths[-1], spacing)
    return np.stack([np.interp(places, lengths, path[:, axis]) for axis in range(3)], axis=1).astype(
        np.float32
    )


def _runs(points: Array) -> Array:
    """How much of the tube's length each dot stands for, in mm as seen by the beam."""
    lengths = np.linalg.norm(np.diff(points, axis=0, append=points[-1:]), axis=1)
    return np.asarray(np.clip(lengths, 0.25, 1.5), np.float32)


def _shadow(points: Array, radii: Array, weights: Array, shape: tuple[int, int]) -> Array:
    """Summed depth (mm) of the dots, on a grid of `shape` over the picture's frame."""
    rows, columns = shape
    pitch = np.float32((_TOP - _BOTTOM) / rows)
    row = (np.float32(_TOP) - points[:, 1]) / pitch
    column = (points[:, 0] + np.float32(_HALF)) / np.float32(2 * _HALF / columns)
    total = np.zeros(rows * columns)
    edges = (0, 0.7, 1.1, 1.5, 3, 5.5, 99)
    for low, high in pairwise(edges):
        chosen = (radii >= low) & (radii < high)
        if not chosen.any():
            continue
        reach = int(np.ceil(float(radii[chosen].max()) / pitch))
        chosen &= (row > reach) & (row < rows - reach - 1) & (column > reach) & (column < columns - reach - 1)
        r, c, radius = row[chosen], column[chosen], radii[chosen]
        strength = weights[chosen] / radius * np.float32(1.27)
        at_row, at_column = np.rint(r).astype(np.intp), np.rint(c).astype(np.intp)
        for down in range(-reach, reach + 1):
            for right in range(-reach, reach + 1):
                gap2 = ((at_row + down - r) ** 2 + (at_column + right - c) ** 2) * (pitch * pitch)
                depth = np.sqrt(np.maximum(radius * radius - gap2, 0)) * strength
                total += np.bincount(
                    (at_row + down) * columns + at_column + right, depth, minlength=rows * columns
                )
    return total.reshape(rows, columns).astype(np.float32)


def _flat_bones(rows: int, columns: int) -> Array:
    """Vertebrae, shoulder blades and humeral heads of the frontal picture, mm of water."""
    x = np.linspace(-_HALF, _HALF, columns, dtype=np.float32)[None, :]
    z = np.linspace(_TOP, _BOTTOM, rows, dtype=np.float32)[:, None]
    total = np.zeros((rows, columns), np.float32)
    for number in range(-2, 14):
        middle = thorax_shape.FIRST_RIB - 4 - number * thorax_shape.RIB_SPACING
        half = 13.5 + 0.35 * number
        box = np.maximum(np.abs(x) - half - 0.012 * (z - middle) ** 2, np.abs(z - middle) - 9.8)
        total += 4.5 * step(box, 1.6) + 2.5 * step(np.abs(box) - 0.8, 1.0)
        for side in (-1, 1):
            oval = np.sqrt(((x - side * (half - 4)) / 2.6) ** 2 + ((z - middle - 3) / 4.4) ** 2)
            total += 4 * step((np.abs(oval - 1)) * 3 - 0.8, 1.0)
            process = np.maximum(
                np.abs(z - middle - 5 - 0.1 * np.abs(x)) - 3.6, np.abs(side * x - half - 8) - 9
            )
            total += 3 * step(process, 1.5)
        spine = np.sqrt((x / 2.4) ** 2 + ((z - middle + 11) / 5.5) ** 2)
        total += 4 * step((spine - 1) * 2.4, 1.2)
    for side in (-1, 1):
        total += _shoulder(side * x, z)
    return total


def _shoulder(x: Array, z: Array) -> Array:
    """One shoulder blade, drawn to the side as for a picture of the lungs, and the humeral head."""
    drop = (118 - z) / 150
    inner = 104 - 6 * drop + 10 * drop * drop + 2 * np.sin(drop * 5)
    outer = 150 - 42 * np.clip(drop, 0, 1) ** 1.1
    plate = np.maximum(np.maximum(inner - x, x - outer), np.maximum(-30 - z, z - 120 + 0.12 * (x - 100)))
    total = 2.2 * step(plate, 2.0) + 5.0 * step(np.abs(plate) - 0.9, 1.5)
    total += 6.0 * step(np.maximum(np.abs(x - outer + 2.5) - 2.0, np.maximum(-20 - z, z - 90)), 1.5)
    crest = np.maximum(np.abs(z - (92 + 0.42 * (x - 105))) - 3.4, np.maximum(104 - x, x - 156))
    total += 6.5 * step(crest, 1.6)
    head = np.sqrt((x - 163) ** 2 + (z - 104) ** 2) - 23
    shaft = np.maximum(np.abs(x - 176 + 0.1 * (104 - z)) - 15, np.maximum(z - 100, 20 - z))
    bone = np.minimum(head, shaft)
    return np.asarray(total + 15 * step(bone, 1.5) + 9 * step(np.abs(bone + 1) - 1.2, 1.2), np.float32)


def _finding(finding: Finding, shape: tuple[int, ...], name: str) -> Array:
    rows, columns = shape
    x = (np.arange(columns, dtype=np.float32) / columns - finding.centre[0])[None, :] / finding.radii[0]
    y = (np.arange(rows, dtype=np.float32) / rows - finding.centre[1])[:, None] / finding.radii[1]
    if finding.kind == "fluid":
        level = 0.5 + 0.5 * np.tanh(1.6 * (y + 0.5 - 0.6 * x * x))
        share = level * np.exp(-(np.maximum(y - 0.6, 0) ** 2) * 1.5) * np.exp(-0.5 * x**4)
        return np.asarray(finding.strength_mm * share, np.float32)
    rho2 = x * x + y * y
    if finding.kind == "nodule":
        return np.asarray(finding.strength_mm * np.sqrt(np.clip(1 - rho2, 0, 1)), np.float32)
    patchy = 1 + 0.55 * resize(cloud(rows // 6, columns // 6, 9, stream("finding", name)), rows, columns)
    return np.asarray(finding.strength_mm * np.exp(-1.6 * rho2) * np.clip(patchy, 0.1, 2.2), np.float32)


def _collimate(values: Array, chance: np.random.Generator) -> None:
    """The edges that the diaphragm of the tube shades."""
    for edge, width in zip(("left", "right", "top"), chance.integers(4, 34, 3), strict=True):
        where = {"left": np.s_[:, :width], "right": np.s_[:, -int(width) :], "top": np.s_[: int(width), :]}[
            edge
        ]
        values[where] = values[where] * 0.04 + 60


_GLYPHS = {
    "R": ("11110", "10001", "10001", "11110", "10100", "10010", "10001"),
    "L": ("10000", "10000", "10000", "10000", "10000", "10000", "11111"),
}


def _letter(values: Array, marker: str) -> None:
    """The lead letter of the side (R at the picture's left edge, L at its right edge)."""
    size = 12
    glyph = np.kron(np.array([[int(bit) for bit in line] for line in _GLYPHS[marker]]), np.ones((size, size)))
    rows, columns = glyph.shape
    left = 90 if marker == "R" else COLUMNS - 90 - columns
    area = values[120 : 120 + rows, left : left + columns]
    area += glyph * (3950 - area)
