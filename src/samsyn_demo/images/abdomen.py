"""The organs under the diaphragm for the CT volume."""

import numpy as np

from samsyn_demo.drawing import vessels
from samsyn_demo.drawing.canvas import Canvas
from samsyn_demo.drawing.fields import Array, step
from samsyn_demo.images import thorax_shape
from samsyn_demo.seed import stream

_LIVER = 112.0
_LOOPS = (
    (-70, -62, -262, 24), (-28, -70, -250, 19), (22, -72, -240, 22), (66, -64, -246, 23), (96, -22, -250, 22),
    (-100, -20, -268, 25), (40, -40, -270, 19), (-10, -44, -276, 20), (88, 20, -282, 21), (4, -70, -214, 17),
    (48, -66, -206, 19), (84, -40, -214, 18), (20, -36, -238, 15), (58, -24, -236, 16), (-36, -36, -262, 17),
    (100, 8, -236, 19), (-62, -30, -282, 18), (26, -8, -262, 14),
)  # fmt: skip


def liver_vessels() -> vessels.Tree:
    """Portal and hepatic veins."""
    chance = stream("liver-points")
    cloud = chance.normal(0, 1, (600, 3)).astype(np.float32)
    cloud /= np.linalg.norm(cloud, axis=1, keepdims=True)
    cloud *= chance.uniform(0, 1, (600, 1)).astype(np.float32) ** (1 / 3)
    points = cloud * np.array([66, 66, 70], np.float32) + np.array([-66, -4, -155], np.float32)
    return vessels.grow((-18.0, 8.0, -168.0), points[:260], 0.9, 1.5)


def paint(canvas: Canvas, hepatic: vessels.Tree, texture: Array, warp: Array, dome: Array) -> None:
    """Everything between the diaphragm (`dome`: its height per pixel) and the lowest slice."""
    z = canvas.z
    if z > -60:
        return
    cavity = _cavity(canvas, dome)
    before = canvas.picture.copy()
    canvas.picture += step(cavity + 2, 1.0) * (-98 + 3 * texture - canvas.picture)
    _bowel(canvas, texture)
    _stomach(canvas, texture)
    _liver(canvas, hepatic, cavity, texture, warp)
    canvas.ellipsoid((100, 40, -152), (23, 44, 52), 118.0, (-0.25, -0.3, 0.92))
    _kidney(canvas, -60.0, 42.0, -228.0)
    _kidney(canvas, 62.0, 44.0, -212.0)
    canvas.tube(((62, 22, -178), (30, 0, -182), (4, -6, -192), (-28, -2, -204)), (9, 9, 10, 13), 98.0)
    canvas.ellipsoid((-44, -46, -214), (15, 17, 27), 8.0)
    for side in (-1, 1):
        canvas.tube(((side * 26.0, 62, -190), (side * 36.0, 56, -290)), (8, 17), 60.0)
        canvas.tube(((side * 14.0, 42, -60), (side * 16.0, 46, -190)), (5, 5), 55.0)
    canvas.tube(((6, 30, -176), (4, -6, -186), (2, -14, -290)), (4.5, 5.5, 5), 165.0)
    inside = step(cavity, 1.0)
    canvas.picture[...] = inside * canvas.picture + (1 - inside) * before


def _cavity(canvas: Canvas, dome: Array) -> Array:
    """Distance to the abdominal cavity (negative inside)."""
    width, depth, centre = thorax_shape.pleura(canvas.z)
    bulge = 6.0 if canvas.z < -180 else 0.0
    rho = thorax_shape.superellipse(
        canvas.x / np.float32(width + bulge), (canvas.y - np.float32(centre)) / np.float32(depth + bulge)
    )
    wall = (rho - 1) * np.float32(depth)
    return np.asarray(np.maximum(wall, np.float32(canvas.z) - dome), np.float32)


def _liver(canvas: Canvas, hepatic: vessels.Tree, cavity: Array, texture: Array, warp: Array) -> None:
    x, y, z = canvas.x, canvas.y, np.float32(canvas.z)
    lower = -236 + 0.55 * np.maximum(x + 80, 0) + 0.0022 * np.maximum(x + 80, 0) ** 2 - 0.45 * (y + 20)
    lower = lower + 9 * warp
    right = np.sqrt(((x + 66) / 74) ** 2 + ((y + 4) / 88) ** 2 + ((z + 150) / 96) ** 2) * 74 - 74
    left = np.sqrt(((x - 6) / 72) ** 2 + ((y + 44) / 36) ** 2 + ((z + 126) / 46) ** 2) * 40 - 40
    shape = np.maximum(np.minimum(right, left), (lower - z) * 0.6)
    covered = step(shape.astype(np.float32), 1.2) * step(cavity + 3.0, 1.2)
    rows, columns = canvas.picture.shape
    organ = Canvas(rows, columns, canvas.spacing, canvas.z, _LIVER, float(canvas.y.mean()))
    organ.picture += 5 * texture
    vessels.paint(organ, hepatic, 158.0, 5.0)
    canvas.picture += covered * (organ.picture - canvas.picture)


def _stomach(canvas: Canvas, texture: Array) -> None:
    canvas.ellipsoid((58, -22, -146), (44, 42, 56), 75.0, (0.3, 0.2, 0.9))
    inner = canvas.picture.copy()
    canvas.ellipsoid((58, -22, -146), (40, 38, 52), 999.0, (0.3, 0.2, 0.9))
    filled = canvas.picture > 600
    level = canvas.y < -34
    content = np.where(level, np.float32(-960), 22 + 14 * texture)
    canvas.picture[...] = np.where(filled, content, inner)


def _bowel(canvas: Canvas, texture: Array) -> None:
    for number, (x, y, z, radius) in enumerate(_LOOPS):
        canvas.ellipsoid((x, y, z), (radius, radius * 0.8, radius * 1.3), 70.0)
        if abs(canvas.z - z) < radius * 1.1:
            where = canvas.window(x, y, radius - 5, radius * 0.8 - 4)
            mottled = -120 + 230 * (texture[where] > 0.35) if number % 2 else 25 + 10 * texture[where]
            dx, dy = canvas.x[:, where[1]] - x, canvas.y[where[0]] - y
            core = np.sqrt((dx / (radius - 3)) ** 2 + (dy / (radius * 0.8 - 3)) ** 2) * radius - radius
            canvas.cover(where, step(core.astype(np.float32), 1.5), np.asarray(mottled, np.float32))
            if number % 3 == 0:
                gas = np.maximum(core, dy + radius * 0.2)
                canvas.cover(where, step(gas.astype(np.float32), 1.0), -970.0)


def _kidney(canvas: Canvas, x: float, y: float, z: float) -> None:
    side = 1 if x > 0 else -1
    lean = (0.18 * -side, -0.1, 0.98)
    canvas.ellipsoid((x, y, z), (29, 26, 58), 190.0, lean)
    canvas.ellipsoid((x - side * 4, y - 2, z), (20, 17, 46), 165.0, lean)
    canvas.ellipsoid((x - side * 14, y - 5, z), (15, 11, 34), -70.0, lean)
    canvas.ellipsoid((x - side * 14, y - 5, z), (7, 5, 15), 20.0, lean)
    canvas.tube(((x - side * 12, y - 6, z), (side * 14.0, 32, z + 14)), (4.5, 4.5), 165.0)
