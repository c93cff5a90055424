"""A frontal picture of a knee, 12 bits."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from samsyn_demo.drawing.fields import Array, blur, fractal, grain, resize, step, zoomed
from samsyn_demo.seed import stream

ROWS, COLUMNS = 1600, 1200
SPACING_MM = 0.15
_SHRINK = 2


def base(arthrosis: float = 0.0) -> Array:
    """A left knee (fibula at the picture's right), brightness 0..1; `arthrosis` 0..1 narrows the joint."""
    rows, columns = ROWS // _SHRINK, COLUMNS // _SHRINK
    pitch = np.float32(SPACING_MM * _SHRINK)
    x = (np.arange(columns, dtype=np.float32)[None, :] - columns / 2) * pitch
    z = (np.arange(rows, dtype=np.float32)[:, None] - rows * 0.52) * pitch
    chance = stream("knee")
    limb = 58 + 5 * np.cos((z + 70) / 60) + 0.05 * np.abs(z) - 7 * np.exp(-((z / 30) ** 2))
    rho = np.clip(np.abs(x - 2) / limb, 0, 1.2)
    soft = np.sqrt(np.clip(1 - rho**2.2, 0, 1))
    muscle = step((np.abs(x + 2) - limb + 13 + 0.06 * np.abs(z)).astype(np.float32), 7)
    total = 0.30 * soft + 0.07 * muscle * soft
    texture = fractal(rows, columns, 9, 3, chance)
    striae = blur(chance.standard_normal((rows, columns)).astype(np.float32), 1.3) * 2.2
    for shape, strength, shell in _bones(x, z, arthrosis):
        total += _bone(shape, strength, shell, 0.55 * texture + 0.45 * striae)
    return resize(np.asarray(total, np.float32), ROWS, COLUMNS)


def _bone(shape: Array, strength: float, shell: float, texture: Array) -> Array:
    """Brightness of a bone whose outline is `shape` = 0: spongy inside, bright shell."""
    inside = step(shape, 0.8)
    depth = np.clip(-shape / 16, 0, 1)
    body = (0.55 + 0.45 * np.sqrt(depth)) * (1 + 0.085 * texture)
    cortex = np.exp(-(((shape + shell * 0.7) / shell) ** 2))
    return np.asarray(strength * inside * (body + 0.62 * cortex), np.float32)


def _bones(x: Array, z: Array, arthrosis: float) -> list[tuple[Array, float, float]]:
    """Femur, tibia, fibula and patella as signed distances (mm), with strength and thickness of the shell."""
    gap = 2.4 - 1.7 * arthrosis * (x < 0)
    flare = 15 + 27 / (1 + np.exp((-z - 47) / 8.5))
    shaft = np.maximum(np.abs(x - 0.03 * z) - flare, z + 24)
    condyles = np.minimum(
        np.sqrt(((x - 20.5) / 22) ** 2 + ((z + 26) / 24.5) ** 2) * 22 - 22,
        np.sqrt(((x + 20.5) / 22.5) ** 2 + ((z + 26.5) / 25) ** 2) * 22.5 - 22.5,
    )
    notch = np.sqrt((x / 7) ** 2 + ((z - 1) / 19) ** 2) * 7 - 7
    femur = np.maximum(_melt(shaft, condyles, 5.0), -notch)
    flare = 13.5 + 28 / (1 + np.exp((z - 26) / 8.0)) - 3.5 * np.exp(-z / 3)
    plateau = gap + 0.5 + 0.0035 * (np.abs(x) - 20) ** 2 - 5.5 * np.exp(-(((np.abs(x) - 5.5) / 3.0) ** 2))
    tibia = np.maximum(np.abs(x + 1 - 0.02 * z) - flare, plateau - z)
    spur = np.sqrt((np.abs(x) - 38.5) ** 2 + ((z - 4.5) / 0.7) ** 2) - 4.0 * arthrosis
    tibia = np.minimum(tibia, spur)
    head = np.sqrt(((x - 38) / 8.5) ** 2 + ((z - 24) / 10) ** 2) * 8.5 - 8.5
    fibula = np.minimum(head, np.maximum(np.abs(x - 37 + 0.02 * (z - 40)) - 5.5, 26 - z))
    patella = np.sqrt(((x - 2) / 21) ** 2 + ((z + 30) / 22) ** 2) * 21 - 21
    shapes = ((femur, 0.36, 1.5), (tibia, 0.36, 1.5), (fibula, 0.20, 1.2), (patella, 0.055, 1.6))
    return [(blur(np.asarray(shape, np.float32), 2.0), strength, shell) for shape, strength, shell in shapes]


def _melt(first: Array, second: Array, width: float) -> Array:
    """The union of two shapes with a rounded joint of `width` mm."""
    share = np.clip(0.5 + 0.5 * (second - first) / width, 0, 1)
    return np.asarray(second + (first - second) * share - width * share * (1 - share), np.float32)


def picture(base_picture: Array, name: str, side: Literal["L", "R"]) -> NDArray[np.uint16]:
    """One knee of one patient; the right side is the mirrored left one. Bright = dense."""
    chance = stream("knee-of", name, side)
    values = zoomed(
        base_picture,
        float(chance.uniform(0.95, 1.06)),
        float(chance.uniform(-18, 18)),
        float(chance.uniform(-30, 30)),
    )
    if side == "R":
        values = np.ascontiguousarray(values[:, ::-1])
    values = 4095 * (0.03 + 0.97 * np.clip(values, 0, 1.15) ** 0.9) + grain(values.shape, 30.0, chance)
    left, right = int(chance.integers(40, 110)), COLUMNS - int(chance.integers(40, 110))
    values[:, :left] = 70
    values[:, right:] = 70
    _letter(values, side, left + 70 if side == "R" else right - 150)
    return np.rint(np.clip(values, 0, 4095)).astype(np.uint16)


def _letter(values: Array, side: str, column: int) -> None:
    glyph = {
        "R": ("11110", "10001", "10001", "11110", "10100", "10010", "10001"),
        "L": ("10000", "10000", "10000", "10000", "10000", "10000", "11111"),
    }[side]
    block = np.kron(np.array([[int(bit) for bit in line] for line in glyph]), np.ones((12, 12)))
    area = values[180 : 180 + block.shape[0], column : column + block.shape[1]]
    area += block * (3950 - area)
