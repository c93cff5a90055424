"""The form of an adult chest and upper abdomen in mm, shared by the CT volume and the plain picture.

x grows to the patient's left, y to the back, z to the head; z = 0 lies a little below the tracheal carina.
"""

import numpy as np

from samsyn_demo.drawing.fields import Array

_LEVELS = np.array([-280, -220, -170, -120, -60, 0, 40, 70, 95, 115, 130, 150], np.float32)
_PLEURA_WIDTH = np.array([122, 126, 131, 136, 136, 127, 114, 98, 80, 63, 46, 14], np.float32)
_PLEURA_DEPTH = np.array([82, 86, 92, 97, 96, 90, 82, 72, 60, 47, 36, 12], np.float32)
_PLEURA_CENTRE = np.array([-4, -4, -5, -6, -4, 0, 6, 13, 21, 28, 34, 38], np.float32)
_BODY_WIDTH = np.array([156, 153, 152, 154, 157, 159, 163, 168, 172, 172, 160, 130], np.float32)
_BODY_DEPTH = np.array([116, 113, 112, 114, 115, 113, 110, 106, 101, 94, 84, 74], np.float32)
_BODY_CENTRE = np.array([0, 0, 0, 0, 1, 3, 5, 8, 12, 18, 26, 34], np.float32)

RIB_COUNT = 12
RIB_SPACING = 24.0
"""Distance of neighbouring ribs along the spine, mm; vertebrae stand equally far apart."""
FIRST_RIB = 118.0
"""Height of the first rib at the spine."""
SPINE_Y = 62.0
"""Depth of the vertebral bodies' middle."""


def pleura(z: float) -> tuple[float, float, float]:
    """Half width, half depth and centre (y) of the chest cavity's inner wall at height z."""
    return (
        float(np.interp(z, _LEVELS, _PLEURA_WIDTH)),
        float(np.interp(z, _LEVELS, _PLEURA_DEPTH)),
        float(np.interp(z, _LEVELS, _PLEURA_CENTRE)),
    )


def body(z: float) -> tuple[float, float, float]:
    """Half width, half depth and centre (y) of the skin at height z."""
    return (
        float(np.interp(z, _LEVELS, _BODY_WIDTH)),
        float(np.interp(z, _LEVELS, _BODY_DEPTH)),
        float(np.interp(z, _LEVELS, _BODY_CENTRE)),
    )


def pleura_at(z: Array) -> tuple[Array, Array, Array]:
    """As `pleura`, for many heights."""
    return (
        np.interp(z, _LEVELS, _PLEURA_WIDTH),
        np.interp(z, _LEVELS, _PLEURA_DEPTH),
        np.interp(z, _LEVELS, _PLEURA_CENTRE),
    )


def pleura_rho(x: Array, y: Array, z: Array, margin: float) -> Array:
    """Below 1 for points that lie at least `margin` mm inside the chest cavity."""
    width, depth, centre = pleura_at(z)
    rho = np.sqrt(
        (x / np.maximum(width - margin, 1)) ** 2 + ((y - centre) / np.maximum(depth - margin, 1)) ** 2
    )
    return np.asarray(rho, np.float32)


def rib_drop(turn: Array) -> Array:
    """How far a rib has sunk below its vertebra at `turn` (0 at the spine, pi at the breastbone), in mm."""
    share = np.clip(turn / np.float32(np.pi), 0, 1)
    drop = np.float32(138) * share - np.float32(100) * np.maximum(share - np.float32(0.66), 0)
    return np.asarray(drop, np.float32)


def rib_reach(number: int) -> float:
    """Where rib `number` (0 = the first) ends as bone, in radians of turn from the spine."""
    ends = (2.75, 2.75, 2.7, 2.65, 2.6, 2.55, 2.5, 2.4, 2.25, 2.05, 1.5, 1.05)
    return ends[number]


def diaphragm(x: Array | float, y: Array | float, right_side: bool) -> Array:
    """Height of the diaphragm's dome over (x, y)."""
    centre_x, top = (-62.0, -72.0) if right_side else (66.0, -84.0)
    dx, dy = np.asarray(x, np.float32) - centre_x, np.asarray(y, np.float32) + 12
    radius2 = (dx / 70) ** 2 + (dy / 95) ** 2
    return (top - 62 * radius2 * np.sqrt(np.sqrt(radius2)) - 0.22 * dy).astype(np.float32)


def whole_diaphragm(x: Array, y: Array) -> Array:
    """Both domes and the tendon between them."""
    return np.maximum(np.maximum(diaphragm(x, y, True), diaphragm(x, y, False)), tendon(x, y))


def tendon(x: Array, y: Array) -> Array:
    """Height of the diaphragm's middle part, on which the heart lies."""
    falls = np.float32(0.009) * (x - 14) ** 2 + np.float32(0.005) * np.maximum(y + 5, 0) ** 2
    return np.float32(-97) - falls


def superellipse(x: Array, y: Array) -> Array:
    """(|x|^2.5 + |y|^2.5)^(1/2.5): 1 on the boundary of a rounded box."""
    x, y = np.abs(x), np.abs(y)
    return np.exp2(np.float32(0.4) * np.log2(x * x * np.sqrt(x) + y * y * np.sqrt(y) + np.float32(1e-6)))


_HEART_CENTRE = (20.0, -24.0, -52.0)
_HEART_AXIS = (0.70, -0.50, -0.51)


def mediastinum(x: Array, y: Array, z: float, heart_size: float = 1.0) -> Array:
    """Signed distance to the middle compartment (negative inside): spine, great vessels, heart."""
    spine = np.sqrt((x / 27) ** 2 + ((y - SPINE_Y) / 27) ** 2) * 27 - 27
    waist = float(np.interp(z, [-130, -40, 10, 50, 90, 130, 150], [16, 24, 31, 29, 22, 19, 19]))
    column = np.sqrt(((x + 2) / waist) ** 2 + ((y - 8) / 46) ** 2) * waist - waist
    descending = np.sqrt((x - 22) ** 2 + (y - 46) ** 2) - 15 if z < 62 else np.full_like(spine, 99)
    distance = np.minimum(np.minimum(spine, column), descending)
    own = heart(x, y, z, heart_size)
    hila = np.minimum(
        np.sqrt((x + 40) ** 2 + (y - 12) ** 2 + (z + 4) ** 2) - 13,
        np.sqrt((x - 44) ** 2 + (y - 16) ** 2 + (z - 6) ** 2) - 13,
    )
    _, depth, centre = pleura(z)
    spread = float(np.interp(z, [-130, -60, 0, 60, 100], [58, 40, 15, 9, 16]))
    front = np.sqrt((x / spread) ** 2 + ((y - centre + depth + 2) / 17) ** 2) * 15 - 15
    fat = np.sqrt((x - 52) ** 2 + (y + 52) ** 2 + (z + 108) ** 2) - 26
    cava = np.sqrt((x + 30) ** 2 + (y + 2) ** 2) - (14 if -100 < z < -20 else -50)
    smallest = np.minimum(
        np.minimum(distance, own), np.minimum(np.minimum(hila, np.minimum(fat, front)), cava)
    )
    return np.asarray(smallest, np.float32)


def heart(x: Array, y: Array, z: float, size: float = 1.0) -> Array:
    """Distance to the pericardium: an egg along the heart's axis."""
    axis = np.array(_HEART_AXIS, np.float32) / np.float32(np.linalg.norm(_HEART_AXIS))
    dx, dy = x - np.float32(_HEART_CENTRE[0]), y - np.float32(_HEART_CENTRE[1])
    dz = np.float32(z - _HEART_CENTRE[2])
    along = axis[0] * dx + axis[1] * dy + axis[2] * dz
    across = np.sqrt(np.maximum(dx * dx + dy * dy + dz * dz - along * along, 0))
    belly = 52 * size - 0.16 * along
    rho = np.sqrt((along / (68 * size)) ** 2 + (across / belly) ** 2)
    return np.asarray((rho - 1) * 52, np.float32)
