"""Mammograms: both sides in craniocaudal (CC) and mediolateral oblique (MLO) projection, 12 bits."""

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from samsyn_demo.drawing.fields import Array, blur, cloud, fractal, grain, resize, sample_axis, step
from samsyn_demo.seed import stream

ROWS, COLUMNS = 1536, 1200
SPACING_MM = 0.125
_SHRINK = 2

View = Literal["CC", "MLO"]


@dataclass(frozen=True, slots=True)
class Mass:
    """A spiculated mass: place as shares of width (from the chest wall) and height, radius in mm."""

    across: float
    down: float
    radius_mm: float
    calcifications: int = 0


@cache
def base(view: View, density: Literal["fatty", "dense"]) -> Array:
    """A left breast, chest wall at the picture's left edge: brightness 0..1, exactly 0 in air."""
    rows, columns = ROWS // _SHRINK, COLUMNS // _SHRINK
    x = np.arange(columns, dtype=np.float32)[None, :] * np.float32(SPACING_MM * _SHRINK)
    y = np.arange(rows, dtype=np.float32)[:, None] * np.float32(SPACING_MM * _SHRINK)
    edge, nipple = _outline(x, y, view)
    chance = stream("mammogram", view, density)
    gland = _gland(x, y, edge, nipple, density, chance)
    roll = np.sqrt(np.clip(-edge / 26, 0, 1))
    picture = 0.19 * roll + 0.36 * gland * np.clip(-edge / 14, 0, 1)
    picture += 0.16 * np.exp(-(((edge + 1.3) / 0.9) ** 2))
    strands = np.clip(1 - np.abs(fractal(rows, columns, 46, 4, chance)) / 0.16, 0, 1)
    picture += 0.07 * strands * np.clip(-edge / 8, 0, 1) * (1 - 0.6 * gland)
    picture += 0.02 * (1 + 1.5 * gland) * fractal(rows, columns, 30, 4, chance) * roll
    picture += _vessels(rows, columns, edge, chance)
    if view == "MLO":
        muscle = _pectoral(x, y, chance)
        picture = picture * (1 - 0.55 * muscle) + 0.42 * muscle
    picture = np.clip(picture, 0.02, 1) * step(edge, 0.7)
    return resize(picture.astype(np.float32), ROWS, COLUMNS) * (resize(edge, ROWS, COLUMNS) < 0.2)


def picture(
    view: View,
    side: Literal["L", "R"],
    density: Literal["fatty", "dense"],
    name: str,
    mass: Mass | None = None,
) -> NDArray[np.uint16]:
    """One projection of one patient (bright = dense, air 0); the right side is the mirrored left one."""
    chance = stream("mammogram-of", name, side, view)
    factor, down = float(chance.uniform(0.9, 1.04)), float(chance.uniform(-30, 30))
    rows = (np.arange(ROWS, dtype=np.float32) - ROWS / 2 - np.float32(down)) / np.float32(factor) + ROWS / 2
    columns = np.arange(COLUMNS, dtype=np.float32) / np.float32(factor)
    values = sample_axis(sample_axis(base(view, density), rows, 0), columns, 1)
    inside = values > 0.01
    if mass is not None:
        _add_mass(values, mass, name)
    shift = (int(chance.integers(ROWS)), int(chance.integers(COLUMNS)))
    values = 4095 * values**0.9 + np.roll(_noise(), shift, (0, 1)) * inside
    values = np.where(inside, np.clip(values, 12, 4095), 0)
    if side == "R":
        values = values[:, ::-1]
    return np.ascontiguousarray(np.rint(values).astype(np.uint16))


@cache
def _noise() -> Array:
    return grain((ROWS, COLUMNS), 34.0, stream("mammogram-noise"))


def _outline(x: Array, y: Array, view: View) -> tuple[Array, tuple[float, float]]:
    """Signed distance (mm) to the skin and the nipple's place."""
    if view == "CC":
        rho = np.sqrt((x / 98) ** 2 + ((y - 96) / 80) ** 2)
        edge, nipple = (rho - 1) * 84, (98.0, 96.0)
    else:
        sag = np.where(y > 118, (y - 118) / 62, (118 - y) / 172)
        rho = np.sqrt((x / (104 - 0.12 * np.abs(118 - y))) ** 2 + sag**2)
        edge, nipple = (rho - 1) * 78, (104.0, 118.0)
    tip = np.sqrt((x - nipple[0]) ** 2 + (y - nipple[1]) ** 2) - 5.5
    return np.minimum(edge, tip).astype(np.float32), nipple


def _gland(
    x: Array, y: Array, edge: Array, nipple: tuple[float, float], density: str, chance: np.random.Generator
) -> Array:
    """Share of glandular tissue: strands that run together at the nipple, in a cone behind it."""
    rows, columns = edge.shape
    away = np.sqrt((x - nipple[0]) ** 2 + (y - nipple[1]) ** 2)
    turn = np.arctan2(y - nipple[1], nipple[0] - x)
    polar = 0.7 * fractal(420, 300, 34, 4, chance) + 0.3 * fractal(420, 300, 60, 2, chance)
    at_turn = np.clip((turn / np.pi + 0.5) * 419, 0, 419).astype(np.intp)
    at_away = np.clip(away * 2.4, 0, 299).astype(np.intp)
    radial = blur(polar[at_turn, at_away], 1.5)
    patches = fractal(rows, columns, 120, 4, chance)
    ridged = 1 - np.abs(fractal(rows, columns, 44, 4, chance))
    cone = np.exp(-((turn / 0.85) ** 2)) * np.clip(away / 14, 0.35, 1) * np.exp(-(((away - 46) / 52) ** 2))
    lift = 0.55 if density == "dense" else -0.45
    field = 0.85 * radial + 0.75 * patches + 0.6 * ridged + 1.25 * cone + lift - 1.25
    share = 1 / (1 + np.exp(-1.7 * field))
    margin = np.clip((-edge - 7) / 10, 0, 1)
    ducts = np.exp(-((turn / 0.5) ** 2)) * np.exp(-away / 22)
    return np.asarray(np.clip(share * (0.3 + cone) * 1.15 + 0.35 * ducts, 0, 1) * margin, np.float32)


def _pectoral(x: Array, y: Array, chance: np.random.Generator) -> Array:
    """The pectoral muscle, a wedge in the upper corner of the oblique view."""
    line = x - 58 + 0.43 * y + 0.0009 * y * y
    fibres = 1 + 0.05 * cloud(line.shape[0], line.shape[1], 12, chance)
    return np.asarray(step(line.astype(np.float32), 3.5) * fibres * np.clip(1.02 - y / 420, 0, 1), np.float32)


def _vessels(rows: int, columns: int, edge: Array, chance: np.random.Generator) -> Array:
    total = np.zeros((rows, columns), np.float32)
    for _ in range(4):
        share = np.linspace(0, 1, 900)
        x = columns * (0.02 + 0.55 * share)
        wave = 0.05 * np.sin(share * chance.uniform(4, 9) + chance.uniform(0, 6))
        y = rows * (chance.uniform(0.25, 0.75) + wave + chance.uniform(-0.12, 0.12) * share)
        at = np.clip(np.rint(y).astype(int), 2, rows - 3), np.clip(np.rint(x).astype(int), 2, columns - 3)
        total[at] = 1
    return np.asarray(0.20 * blur(total, 1.7) * np.clip(-edge / 9, 0, 1), np.float32)


def _add_mass(values: Array, mass: Mass, name: str) -> None:
    chance = stream("mass", name)
    row, column = int(mass.down * ROWS), int(mass.across * COLUMNS)
    reach = int(mass.radius_mm / SPACING_MM * 3)
    top, left = max(row - reach, 0), max(column - reach, 0)
    part = values[top : row + reach, left : column + reach]
    y = (np.arange(part.shape[0], dtype=np.float32) + top - row)[:, None] * np.float32(SPACING_MM)
    x = (np.arange(part.shape[1], dtype=np.float32) + left - column)[None, :] * np.float32(SPACING_MM)
    away, turn = np.sqrt(x * x + y * y), np.arctan2(y, x)
    spokes = sum(np.cos(turn * count + chance.uniform(0, 6)) for count in (5, 9, 14, 23))
    edge = mass.radius_mm * (0.9 + 0.06 * spokes)
    core = 1 / (1 + np.exp((away - edge) / 0.55))
    rays = np.clip(spokes - 1.0, 0, 3) * np.exp(-np.maximum(away - mass.radius_mm, 0) / mass.radius_mm) * 0.25
    part += ((0.15 * core + 0.07 * rays * (1 - core)) * (part > 0.02)).astype(np.float32)
    for _ in range(mass.calcifications):
        at = chance.normal(0, mass.radius_mm * 0.7 / SPACING_MM, 2)
        r, c = int(reach + at[0]), int(reach + at[1])
        if 3 < r < part.shape[0] - 3 and 3 < c < part.shape[1] - 3:
            size = int(chance.integers(1, 3))
            part[r : r + size + 1, c : c + size] += 0.22
    np.clip(values, 0, 1, out=values)
