"""A CT volume of chest and upper abdomen with contrast, painted slice by slice."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from samsyn_demo.drawing import vessels
from samsyn_demo.drawing.canvas import Canvas, Point
from samsyn_demo.drawing.fields import Array, blur, cloud, fractal, grain, step
from samsyn_demo.images import abdomen, thorax_shape
from samsyn_demo.seed import stream

SIZE = 512
_ROWS, _COLUMNS = 344, 476
"""The part of the plane that is painted; the rest is air."""
SPACING_MM = 0.76
THICKNESS_MM = 5.0
TOP_MM = 140.0
"""Height of the first slice."""

_TOP, _LEFT = (SIZE - _ROWS) // 2, (SIZE - _COLUMNS) // 2
FAT, MUSCLE, BLOOD, LUNG, AIR, BONE, MARROW = -95.0, 55.0, 175.0, -865.0, -1000.0, 720.0, 210.0


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """Hounsfield values (slices, rows, columns), int16, head first, and where they lie in the patient."""

    values: NDArray[np.int16]
    spacing_mm: float
    thickness_mm: float
    top_mm: float


_AORTA: tuple[Point, ...] = (
    (0, -6, -28), (-13, -20, 2), (-15, -20, 32), (-8, -9, 54), (8, 14, 60), (19, 34, 50), (23, 44, 22),
    (22, 46, -60), (15, 44, -150), (6, 38, -280),
)  # fmt: skip
_AORTA_RADII = (13.0, 15, 15, 14, 13, 12.5, 12.5, 12, 11, 9.5)
_PULMONARY: tuple[Point, ...] = ((16, -42, -18), (22, -32, 6), (20, -14, 22))
_RIGHT_PULMONARY: tuple[Point, ...] = ((20, -14, 20), (0, -2, 14), (-30, 4, 8), (-46, 8, -2))
_LEFT_PULMONARY: tuple[Point, ...] = ((20, -14, 24), (36, 4, 26), (48, 16, 12))
_CAVA: tuple[Point, ...] = ((-34, -22, 96), (-28, -14, 62), (-28, -14, 10), (-30, -12, -30))
_BRANCHES: tuple[tuple[Point, ...], ...] = (
    ((-9, -9, 55), (-20, -8, 88), (-26, 2, 112), (-30, 4, 150)),
    ((5, 8, 60), (12, 4, 95), (20, 6, 150)),
    ((13, 22, 58), (24, 20, 92), (36, 18, 112), (70, 22, 118), (110, 25, 108)),
    ((-26, 2, 112), (-60, 16, 120), (-105, 24, 108)),
    ((-34, -22, 90), (0, -30, 86), (30, -28, 104), (44, -18, 118)),
)
_TRACHEA: tuple[Point, ...] = ((0, 6, 152), (0, 12, 80), (1, 14, 24))
_BRONCHI: tuple[tuple[Point, ...], ...] = (
    ((1, 14, 26), (-20, 16, 4), (-38, 16, -10), (-48, 18, -38)),
    ((1, 14, 26), (24, 20, 0), (44, 22, -12), (54, 26, -42)),
    ((-22, 16, 2), (-44, 12, 14), (-58, 8, 34)),
    ((40, 22, -9), (56, 8, 6), (64, -8, 22)),
)


@dataclass(frozen=True, slots=True)
class _Trees:
    pulmonary: tuple[vessels.Tree, ...]
    hepatic: vessels.Tree
    warp: Array
    fine: Array
    dome: Array
    """Height of the diaphragm over every pixel of the painted part."""


def volume(slices: int = 80) -> Volume:
    """The standard volume: `slices` slices of 5 mm from the lung apices downwards, portal venous phase."""
    trees = _grow_trees()
    values = np.empty((slices, SIZE, SIZE), np.int16)
    noise = grain((SIZE, SIZE), 11.0, stream("thorax-noise"))
    shifts = stream("thorax-noise-shift").integers(40, 470, (slices, 2))
    for index in range(slices):
        plane = noise + np.float32(AIR)
        plane[_TOP : _TOP + _ROWS, _LEFT : _LEFT + _COLUMNS] += (
            _slice(TOP_MM - index * THICKNESS_MM, trees) - AIR
        )
        noise = np.roll(noise, (int(shifts[index, 0]), int(shifts[index, 1])), (0, 1))
        values[index] = np.rint(plane).astype(np.int16)
    return Volume(values, SPACING_MM, THICKNESS_MM, TOP_MM)


def _grow_trees() -> _Trees:
    grown = []
    plane = Canvas(_ROWS, _COLUMNS, SPACING_MM, 0.0, AIR, centre_y=6.0)
    for side, hilum in ((-1, (-46.0, 8.0, -2.0)), (1, (50.0, 16.0, 4.0))):
        for kind, drop, count in (("artery", 0.0, 620), ("vein", -22.0, 420)):
            targets = lung_points(side, count, kind)
            root: Point = (hilum[0], hilum[1] - (0 if kind == "artery" else 8), hilum[2] + drop)
            grown.append(vessels.grow(root, targets, 0.62, 1.2))
    return _Trees(
        tuple(grown),
        abdomen.liver_vessels(),
        fractal(_ROWS, _COLUMNS, 90, 3, stream("thorax-warp")),
        cloud(_ROWS, _COLUMNS, 5, stream("thorax-texture")),
        thorax_shape.whole_diaphragm(plane.x, plane.y),
    )


def lung_points(side: int, count: int, kind: str, margin: float = 5.0) -> Array:
    """Points spread over the lung on `side` (-1 right, 1 left), at least `margin` mm above the diaphragm."""
    chance = stream("lung-points", side, kind)
    found: list[Array] = []
    while sum(map(len, found)) < count:
        x = side * chance.uniform(14, 132, 4000).astype(np.float32)
        y = chance.uniform(-95, 95, 4000).astype(np.float32)
        z = chance.uniform(-165, 128, 4000).astype(np.float32)
        rho = thorax_shape.pleura_rho(x, y, z, 6.0)
        above = z > thorax_shape.diaphragm(x, y, side < 0) + np.float32(margin)
        clear = np.sqrt((x - 24) ** 2 + ((y + 24) * 1.05) ** 2 + (0.85 * (z + 50)) ** 2) > 66
        keep = (rho < 1) & above & clear
        found.append(np.stack([x, y, z], axis=1)[keep])
    return np.concatenate(found)[:count]


def _slice(z: float, trees: _Trees) -> Array:
    canvas = Canvas(_ROWS, _COLUMNS, SPACING_MM, z, AIR, centre_y=6.0)
    _table(canvas)
    wall = _body_wall(canvas, trees)
    abdomen.paint(canvas, trees.hepatic, trees.fine, trees.warp, trees.dome)
    _mediastinum(canvas)
    _lungs(canvas, trees, wall[0])
    _heart(canvas, z, trees.dome)
    _great_vessels(canvas)
    for tree in trees.pulmonary:
        vessels.paint(canvas, tree, 60.0, THICKNESS_MM)
    _airways(canvas)
    _bones(canvas, wall)
    return blur(canvas.picture, 0.65)


def _table(canvas: Canvas) -> None:
    """The couch: a thin shell under the patient."""
    depth = canvas.y - 131 + np.float32(0.0009) * canvas.x**2
    shell = step(np.abs(depth) - 1.2, 1.0) * (np.abs(canvas.x) < 178)
    canvas.picture += shell * (-820 - canvas.picture)


def _ring(canvas: Canvas) -> tuple[Array, Array]:
    """Distance (mm) outwards from the pleura, and the turn around it (0 at the spine, pi in front)."""
    width, depth, centre = thorax_shape.pleura(canvas.z)
    dx, dy = canvas.x, canvas.y - np.float32(centre)
    rho = thorax_shape.superellipse(dx / np.float32(width), dy / np.float32(depth))
    radius = np.sqrt(dx * dx + dy * dy) / np.maximum(rho, 0.05)
    turn = np.arctan2(np.abs(dx), dy)
    return ((rho - 1) * radius).astype(np.float32), turn.astype(np.float32)


def _body_wall(canvas: Canvas, trees: _Trees) -> tuple[Array, Array]:
    z = canvas.z
    half_width, half_depth, middle = thorax_shape.body(z)
    canvas.ellipse((0, middle), (half_width, half_depth), 35.0, power=2.5)
    canvas.ellipse((0, middle), (half_width - 1.8, half_depth - 1.8), FAT, power=2.5)
    outward, turn = _ring(canvas)
    wobble = 2.2 * trees.warp
    front = np.float32(15) * np.exp(-(((turn - 2.35) / 0.42) ** 2)) * _bump(z, 58, 46)
    flank = np.float32(13) * np.exp(-(((turn - 1.15) / 0.38) ** 2)) * _bump(z, 40, 95)
    back = np.float32(24) * np.exp(-((turn / 0.5) ** 2))
    shoulder = np.float32(34) * np.exp(-(((turn - 1.3) / 0.75) ** 2)) * _bump(z, 112, 50)
    thickness = 12 + 4.0 + front + flank + back + shoulder
    skin = thorax_shape.superellipse(
        canvas.x / np.float32(half_width), (canvas.y - np.float32(middle)) / np.float32(half_depth)
    )
    skin = (skin - 1) * np.float32(half_depth) + 5
    muscle = step(np.maximum(outward - thickness - wobble, skin), 1.2)
    texture = MUSCLE + 9 * trees.fine
    canvas.picture += muscle * (texture - canvas.picture)
    planes = step(np.abs(outward - 13.5 - 0.4 * wobble) - 0.8, 1.0) * muscle * (turn > 0.5)
    deep = step(np.abs(outward - 13.5 - (front + flank) * 0.5 - wobble) - 0.7, 1.0) * muscle
    deep *= (front + flank) > 6
    canvas.picture += np.maximum(planes, deep) * (FAT + 45 - canvas.picture)
    inside = step(outward, 1.0)
    canvas.picture += inside * (FAT - canvas.picture)
    return outward, turn


def _bump(z: float, centre: float, width: float) -> float:
    return float(np.exp(-(((z - centre) / width) ** 2)))


def _mediastinum(canvas: Canvas) -> None:
    """Soft tissue between the lungs that is not vessel: fat with nodes, oesophagus, thyroid."""
    z = canvas.z
    if z < -125:
        return
    canvas.ellipse((8, 38), (7, 6), 45.0, 15)
    canvas.ellipse((8, 38), (2.2, 1.6), -300.0 if 20 < z < 60 else 20.0, 15)
    if z > 108:
        for side in (-1, 1):
            canvas.ellipsoid((17.0 * side, -4, 138), (11, 10, 26), 190.0)
    for x, y, height in ((-14, 4, 40), (6, -8, 36), (-6, 22, 10), (-18, -2, 66), (14, -30, 62)):
        canvas.ellipsoid((x, y, height), (4.0, 3.2, 5.0), 60.0)


def _lungs(canvas: Canvas, trees: _Trees, outward: Array) -> None:
    """Both lungs: inside the pleura, above the diaphragm, beside the mediastinum."""
    z = canvas.z
    middle = thorax_shape.mediastinum(canvas.x, canvas.y, canvas.z)
    covered = np.zeros_like(canvas.picture)
    for right_side in (True, False):
        side = canvas.x if right_side else -canvas.x
        dome = trees.dome - np.float32(z)
        distance = np.maximum(
            np.maximum(outward + 0.5, side + 0.9 + 0.05 * canvas.y), np.maximum(-middle, 1.3 * dome)
        )
        covered = np.maximum(covered, step(distance, SPACING_MM * 1.1))
    gravity = 0.42 * (canvas.y + 90)
    tissue = LUNG + gravity + 11 * trees.fine + 14 * trees.warp
    canvas.picture += covered * (tissue - canvas.picture)
    _fissures(canvas, covered)


def _fissures(canvas: Canvas, covered: Array) -> None:
    """The oblique fissures, thin bright lines that run forwards as they go down."""
    for side, tilt in ((-1, 0.95), (1, 1.0)):
        plane = canvas.y - np.float32(32 - tilt * (canvas.z - 10) * -0.9) + 0.12 * np.abs(canvas.x)
        line = step(np.abs(plane) - 0.35, 1.0) * covered * (side * canvas.x > 0)
        canvas.picture += 0.35 * line * (-640 - canvas.picture)


_HEART_AXIS: Point = (0.70, -0.50, -0.51)


def _heart(canvas: Canvas, z: float, dome: Array) -> None:
    """Chambers with contrast in a muscle of 105 HU, wrapped in fat."""
    if not -125 < z < 20:
        return
    canvas.cover(
        (slice(None), slice(None)),
        step(thorax_shape.heart(canvas.x, canvas.y, canvas.z) + 1.2, 1.0) * step(dome - np.float32(z), 3.0),
        FAT + 15,
    )
    axis = _HEART_AXIS
    canvas.ellipsoid((34, -22, -58), (34, 34, 52), 105.0, axis)
    canvas.ellipsoid((33, -21, -57), (22, 22, 41), BLOOD + 12, axis)
    for offset in ((8, -6, 4), (2, 10, -10)):
        canvas.ellipsoid((40 + offset[0], -28 + offset[1], -66 + offset[2]), (5, 5, 11), 105.0, axis)
    canvas.ellipsoid((4, -48, -56), (26, 20, 44), 105.0, (0.62, -0.3, -0.72))
    canvas.ellipsoid((4, -49, -55), (23, 17, 41), BLOOD, (0.62, -0.3, -0.72))
    canvas.ellipsoid((34, -22, -58), (31, 31, 49), 105.0, axis)
    canvas.ellipsoid((33, -21, -57), (22, 22, 41), BLOOD + 12, axis)
    canvas.ellipsoid((-26, -18, -42), (25, 27, 36), BLOOD)
    canvas.ellipsoid((4, 18, -22), (36, 19, 23), BLOOD + 8)
    canvas.ellipsoid((-2, -2, -26), (13, 13, 14), 110.0)


def _great_vessels(canvas: Canvas) -> None:
    canvas.tube(_AORTA, [radius + 1.0 for radius in _AORTA_RADII], 60.0)
    canvas.tube(_AORTA, _AORTA_RADII, BLOOD + 10)
    canvas.tube(_PULMONARY, (14, 14, 13), BLOOD)
    canvas.tube(_RIGHT_PULMONARY, (11, 11, 10.5, 7), BLOOD)
    canvas.tube(_LEFT_PULMONARY, (12, 11, 8), BLOOD)
    canvas.tube(_CAVA, (9, 10, 10, 11), BLOOD + 20)
    for path in _BRANCHES:
        canvas.tube(path, [5.2] * len(path), BLOOD)
    canvas.tube(((-26, 12, -60), (-24, 16, -110), (-20, 26, -280)), (12, 12, 11), BLOOD - 10)
    canvas.tube(((36, 14, -14), (18, 18, -20), (-14, 18, -20), (-40, 18, -22)), (6, 8, 8, 6), BLOOD + 5)


def _airways(canvas: Canvas) -> None:
    canvas.tube(_TRACHEA, (10.4, 10.4, 10.2), 30.0)
    for path in _BRONCHI:
        canvas.tube(path, [7.6 - 1.5 * place for place in range(len(path))], 15.0)
    canvas.tube(_TRACHEA, (8.8, 8.8, 8.8), -990.0)
    for path in _BRONCHI:
        canvas.tube(path, [6.2 - 1.4 * place for place in range(len(path))], -985.0)


def _bones(canvas: Canvas, wall: tuple[Array, Array]) -> None:
    _ribs(canvas, *wall)
    _vertebra(canvas)
    z = canvas.z
    _, depth, centre = thorax_shape.pleura(z)
    if -95 < z < 72:
        half = 15 + 12 * _bump(z, 62, 18)
        front = centre - depth - 7.5
        canvas.ellipse((0, front), (half, 6.2), BONE, power=2.6)
        canvas.ellipse((0, front), (half - 2, 4.2), MARROW - 60, power=2.6)
    for side in (-1, 1):
        collar: tuple[Point, ...] = (
            (12.0 * side, -62, 74), (48.0 * side, -66, 88), (92.0 * side, -36, 108), (140.0 * side, 2, 122),
        )  # fmt: skip
        canvas.tube(collar, (10, 6.5, 6, 7), BONE)
        canvas.tube(collar, (8, 4, 3.5, 5), MARROW)
        if -35 < z < 118:
            lower = (118 - z) / 153
            inner = (side * (88 - 6 * lower), 92 - 4 * lower, z)
            outer = (side * (142 - 30 * lower), 50 + 22 * lower, z)
            canvas.tube((inner, outer), (4.6, 4.2 - 1.4 * lower), BONE)
            canvas.tube((inner, outer), (2.4, 2.0 - 1.0 * lower), MARROW + 60)
            if z > 80:
                canvas.tube(((side * 100, 88, z), (side * 150, 62, z + 8)), (4.5, 6), BONE - 100)
        if z > 96:
            canvas.ellipsoid((side * 152.0, 30, 132), (22, 22, 26), BONE)
            canvas.ellipsoid((side * 152.0, 30, 132), (20, 20, 24), 130.0)


def _ribs(canvas: Canvas, outward: Array, turn: Array) -> None:
    """Where the plane cuts the ribs: flattened tubes that sink as they run forwards around the chest."""
    z = np.float32(canvas.z)
    sunk = z + thorax_shape.rib_drop(turn) - np.float32(thorax_shape.FIRST_RIB)
    number = np.clip(np.rint(-sunk / np.float32(thorax_shape.RIB_SPACING)), 0, thorax_shape.RIB_COUNT - 1)
    ends = np.array([thorax_shape.rib_reach(n) for n in range(thorax_shape.RIB_COUNT)], np.float32)
    dz = sunk + number * np.float32(thorax_shape.RIB_SPACING)
    across = outward - np.float32(6.0)
    slope = np.float32(0.86)
    distance = np.sqrt((across / 4.1) ** 2 + (dz * slope / 6.6) ** 2)
    bony = turn < ends[number.astype(np.intp)]
    near = step((distance - 1) * 4.1, 0.9)
    shell = step(np.abs(distance - 0.82) * 4.1 - 0.75, 0.9)
    canvas.picture += near * np.where(bony, 1.0, 0.9) * (np.where(bony, MARROW + 30, 95) - canvas.picture)
    canvas.picture += shell * bony * (BONE - canvas.picture)


def _vertebra(canvas: Canvas) -> None:
    """Body or disc, canal, arch and processes at this height."""
    z = canvas.z
    phase = ((z - thorax_shape.FIRST_RIB) / thorax_shape.RIB_SPACING + 0.25) % 1.0
    x, y = 0.0, thorax_shape.SPINE_Y
    width = 17.5 + (thorax_shape.FIRST_RIB - z) * 0.018
    disc = phase > 0.82
    if disc:
        canvas.ellipse((x, y - 2), (width, 13.5), 85.0, power=2.4)
    else:
        canvas.ellipse((x, y - 2), (width, 14), BONE - 150, power=2.4)
        canvas.ellipse((x, y - 2), (width - 1.4, 12.6), MARROW if 0.08 < phase < 0.74 else 420.0, power=2.4)
        canvas.ellipse((x, y + 10), (3, 5), MARROW - 30)
    arch = 0.3 < phase < 0.8
    if arch:
        for side in (-1, 1):
            canvas.tube(((side * 11, y + 8, z), (side * 12, y + 22, z)), (4, 4), BONE - 80)
            canvas.tube(((side * 13, y + 21, z), (side * 34, y + 31, z)), (5, 3.6), BONE - 160)
            canvas.tube(((side * 13, y + 21, z), (side * 33, y + 30, z)), (2.8, 1.8), MARROW)
    for side in (-1, 1):
        canvas.tube(((side * 11, y + 22, z), (0, y + 32, z)), (3, 3), BONE - 60)
    if phase < 0.62:
        canvas.tube(((0, y + 31, z), (0, y + 42, z)), (3.2, 3.6), BONE - 80)
        canvas.tube(((0, y + 33, z), (0, y + 40, z)), (1.4, 1.8), MARROW)
    canvas.ellipse((x, y + 20), (9.5, 8.5), 12.0)
    canvas.ellipse((x, y + 19), (5.2, 4.4), 42.0)
