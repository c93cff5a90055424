"""Stills of the upper abdomen: liver with kidney, gall bladder (with or without stone), aorta."""

from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from samsyn_demo.drawing import sector
from samsyn_demo.drawing.fields import Array, cloud, resize, step
from samsyn_demo.seed import stream

ROWS, COLUMNS = 600, 800
MM_PER_PIXEL = 0.33
_FAN = sector.Fan(depth_mm=150.0, half_angle=0.56, radius_mm=52.0, samples=460, lines=256)
_TOP = 74

Scene = Literal["liver", "gallbladder", "stone", "aorta", "aneurysm", "hydronephrosis"]


def still(scene: Scene, name: str, caption: str) -> NDArray[np.uint8]:
    """One picture, ROWS x COLUMNS, 8 bits grey, with caption, depth marks and callipers where they fit."""
    x, z = _FAN.grid()
    chance = stream("ultrasound", name, scene)
    warp = 3.0 * resize(cloud(46, 26, 9, chance), _FAN.samples, _FAN.lines)
    x = x + np.float32(chance.uniform(-5, 5)) + warp
    z = z + 0.6 * warp
    echo = _layers(x, z, chance)
    marks = {
        "liver": _kidney,
        "hydronephrosis": _hydronephrosis,
        "gallbladder": _gallbladder,
        "stone": _stone,
        "aorta": _aorta,
        "aneurysm": _aneurysm,
    }[scene](echo, x, z)
    gain = np.clip(1.2 - z / 230, 0.35, 1.2)
    amplitude = np.roll(_speckle(), (int(chance.integers(400)), int(chance.integers(200))), (0, 1))
    picture = sector.scan_convert(sector.grey(echo * gain, amplitude, 48.0), _table())
    return _annotate(picture.astype(np.uint8), caption, marks)


@cache
def _table() -> sector.Lookup:
    return _FAN.lookup(ROWS, COLUMNS, _TOP, MM_PER_PIXEL)


@cache
def _speckle() -> Array:
    return np.asarray(sector.speckle(_FAN, "abdomen")[0], np.float32)


Marks = tuple[tuple[float, float], tuple[float, float]] | None
"""Ends of a measured distance in mm (x, z), or nothing."""


def _oval(
    x: Array, z: Array, centre: tuple[float, float], radii: tuple[float, float], degrees: float = 0
) -> Array:
    cosine, sine = np.float32(np.cos(np.radians(degrees))), np.float32(np.sin(np.radians(degrees)))
    dx, dz = x - np.float32(centre[0]), z - np.float32(centre[1])
    rho = np.sqrt(((cosine * dx + sine * dz) / radii[0]) ** 2 + ((cosine * dz - sine * dx) / radii[1]) ** 2)
    return np.asarray((rho - 1) * min(radii), np.float32)


def _lay(echo: Array, distance: Array, value: float, softness: float = 1.6) -> None:
    echo += step(distance, softness) * (np.float32(value) - echo)


def _layers(x: Array, z: Array, chance: np.random.Generator) -> Array:
    """Skin, fat, muscle and liver with its veins."""
    echo = np.full(x.shape, 0.085, np.float32)
    _lay(echo, (z - 20).astype(np.float32), 0.13)
    for depth, value in ((3, 0.45), (9, 0.28), (14, 0.40), (20, 0.5)):
        echo += np.float32(value) * np.exp(-(((z - depth - 0.012 * x * x * 0.3) / 0.9) ** 2))
    for _ in range(14):
        centre = (float(chance.uniform(-60, 60)), float(chance.uniform(30, 95)))
        radii = (float(chance.uniform(3, 11)), float(chance.uniform(1.3, 2.6)))
        turn = float(chance.uniform(-50, 50))
        if chance.uniform() < 0.5:
            _lay(echo, _oval(x, z, centre, (radii[0] + 1.4, radii[1] + 1.4), turn), 0.22)
        _lay(echo, _oval(x, z, centre, radii, turn), 0.012)
    arc = np.abs(np.sqrt((x + 10) ** 2 + (z - 10) ** 2) - 128) - 1.6
    _lay(echo, np.maximum(arc, 20 - z).astype(np.float32), 0.8)
    beyond = np.sqrt((x + 10) ** 2 + (z - 10) ** 2) - 131
    _lay(echo, -beyond.astype(np.float32), 0.05, 6)
    return echo


def _kidney(echo: Array, x: Array, z: Array) -> Marks:
    _lay(echo, _oval(x, z, (12, 92), (56, 27), 14), 0.32)
    _lay(echo, _oval(x, z, (12, 92), (54, 25), 14), 0.045)
    _lay(echo, _oval(x, z, (12, 92), (34, 9.5), 14), 0.30, 5)
    for place in (-30, -12, 8, 28):
        _lay(echo, _oval(x, z, (12 + place, 92 + place * 0.25 - 14), (6, 4.5), 14), 0.022, 3)
    return (-40.0, 79.0), (64.0, 105.0)


def _hydronephrosis(echo: Array, x: Array, z: Array) -> Marks:
    _kidney(echo, x, z)
    _lay(echo, _oval(x, z, (12, 92), (24, 10), 14), 0.010, 2)
    for place in (-22, 0, 24):
        _lay(echo, _oval(x, z, (12 + place, 92 + place * 0.25 - 7), (6.5, 8)), 0.010, 2)
    return (8.0, 83.0), (10.0, 102.0)


def _gallbladder(echo: Array, x: Array, z: Array) -> Marks:
    _lay(echo, _oval(x, z, (-4, 66), (35, 14.5), 24), 0.34)
    _lay(echo, _oval(x, z, (-4, 66), (33, 12.6), 24), 0.008)
    behind = _oval(x, z, (4, 104), (26, 30), 10)
    echo *= 1 + 0.9 * step(behind, 12)
    return None


def _stone(echo: Array, x: Array, z: Array) -> Marks:
    _gallbladder(echo, x, z)
    _lay(echo, np.maximum(_oval(x, z, (8, 80), (8.5, 7)), z - 80), 0.95)
    shadow = np.maximum(np.abs(x - 8 - 0.08 * (z - 80)) - 8, 79 - z)
    echo *= 1 - 0.94 * step(shadow.astype(np.float32), 2.5)
    _lay(echo, np.abs(_oval(x, z, (8, 80), (8.5, 7))) - 0.9 + 50 * (z > 79), 0.95)
    return (-0.5, 78.0), (16.5, 78.0)


def _vessel(echo: Array, x: Array, z: Array, calibre: Array) -> None:
    middle = 88 - 0.06 * x
    wall = np.abs(z - middle) - calibre
    _lay(echo, (np.abs(wall) - 1.2).astype(np.float32), 0.55)
    _lay(echo, wall.astype(np.float32), 0.010)
    _lay(echo, np.abs(z - middle - calibre - 12).astype(np.float32) - 6, 0.16, 6)


def _aorta(echo: Array, x: Array, z: Array) -> Marks:
    _vessel(echo, x, z, np.full_like(x, 9.0))
    return (0.0, 79.0), (0.0, 97.0)


def _aneurysm(echo: Array, x: Array, z: Array) -> Marks:
    calibre = 9 + 14 * np.exp(-(((x - 10) / 24) ** 2))
    _vessel(echo, x, z, calibre.astype(np.float32))
    clot = np.maximum(np.abs(z - 88 + 0.06 * x) - calibre + 1, 97 - z)
    _lay(echo, clot.astype(np.float32), 0.07)
    return (10.0, 64.5), (10.0, 110.5)


def _annotate(picture: NDArray[np.uint8], caption: str, marks: Marks) -> NDArray[np.uint8]:
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(14)
    draw.text((12, 8), caption, 200, font)
    draw.text((12, 28), "C5-1   15 cm   31 Hz   MI 1,0", 150, font)
    for mark in range(16):
        row = _TOP + int(mark * 10 / MM_PER_PIXEL)
        draw.line((COLUMNS - 26, row, COLUMNS - (14 if mark % 5 else 8), row), 170)
    if marks is not None:
        for x, z in marks:
            column, level = COLUMNS / 2 + x / MM_PER_PIXEL, _TOP + z / MM_PER_PIXEL
            draw.line((column - 6, level, column + 6, level), 255, 2)
            draw.line((column, level - 6, column, level + 6), 255, 2)
        (x1, z1), (x2, z2) = marks
        length = f"{np.hypot(x2 - x1, z2 - z1) / 10:.1f}".replace(".", ",")
        draw.text((12, ROWS - 34), f"+ Avst {length} cm", 230, font)
    return np.asarray(image, np.uint8)
