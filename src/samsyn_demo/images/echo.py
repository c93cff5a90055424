"""Beating hearts: echocardiographic cine loops of one heart cycle, apical four-chamber and short axis."""

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from samsyn_demo.drawing import sector
from samsyn_demo.drawing.fields import Array, step

ROWS, COLUMNS = 600, 800
FRAMES = 45
FRAME_TIME_MS = 20.0
"""50 frames a second: one beat of 0.9 s, so that the loop closes."""
MM_PER_PIXEL = 0.30

View = Literal["A4C", "PSAX"]
_FAN = sector.Fan(depth_mm=160.0, half_angle=0.70)
_TOP = 44


@dataclass(frozen=True, slots=True)
class Heart:
    """`ejection` 0..1 is how strongly the left ventricle contracts; `dilated` scales its cavity."""

    ejection: float = 1.0
    dilated: float = 1.0


def contraction(share: float) -> float:
    """How contracted the ventricles are (0..1) at `share` of the cycle, which begins at the R wave."""
    if share < 0.36:
        return float(np.sin(share / 0.36 * np.pi / 2) ** 1.4)
    if share < 0.52:
        return float(1 - 0.78 * ((share - 0.36) / 0.16) ** 1.2)
    if share < 0.82:
        return 0.22 - 0.10 * (share - 0.52) / 0.30
    return 0.12 * (1 - (share - 0.82) / 0.18)


def cine(view: View, heart: Heart, caption: str) -> NDArray[np.uint8]:
    """FRAMES pictures of ROWS x COLUMNS x 3 (RGB) of one beat, with ECG trace and depth marks."""
    table = _table()
    x, z = _FAN.grid()
    moving = _speckles(view)
    frames = np.empty((FRAMES, ROWS, COLUMNS, 3), np.uint8)
    backdrop = _backdrop(caption)
    for frame in range(FRAMES):
        share = frame / FRAMES
        squeeze = contraction(share) * heart.ejection
        draw = _four_chambers if view == "A4C" else _short_axis
        echo = draw(x, z, squeeze, share, heart)
        gain = np.exp(-(((z - 70) / 120) ** 2)) * np.clip(
            1.15 - (np.abs(x) / (0.62 * z + 18)) ** 4 * 0.5, 0.1, 1.2
        )
        drift = np.roll(moving[0], round(7 * squeeze), 0)
        texture = 0.72 * drift + 0.28 * moving[1 + frame % 3]
        picture = sector.scan_convert(sector.grey(echo * gain, texture, 50.0), table)
        frames[frame] = np.maximum(backdrop, picture.astype(np.uint8)[..., None])
        _trace(frames[frame], share)
    return frames


@cache
def _table() -> sector.Lookup:
    return _FAN.lookup(ROWS, COLUMNS, _TOP, MM_PER_PIXEL)


@cache
def _speckles(view: View) -> Array:
    return sector.speckle(_FAN, f"echo-{view}", 4)


def _oval(
    x: Array, z: Array, centre: tuple[float, float], radii: tuple[float, float], power: float = 2.0
) -> Array:
    rho = (np.abs((x - centre[0]) / radii[0]) ** power + np.abs((z - centre[1]) / radii[1]) ** power) ** (
        1 / power
    )
    return np.asarray((rho - 1) * min(radii), np.float32)


def _line(x: Array, z: Array, start: tuple[float, float], end: tuple[float, float], half: float) -> Array:
    """Coverage of a thin leaf from start to end."""
    ax, az = end[0] - start[0], end[1] - start[1]
    share = np.clip(((x - start[0]) * ax + (z - start[1]) * az) / (ax * ax + az * az), 0, 1)
    gap = np.sqrt((x - start[0] - share * ax) ** 2 + (z - start[1] - share * az) ** 2)
    return step((gap - half).astype(np.float32), 1.5)


def _lay(echo: Array, distance: Array, value: float, softness: float = 2.5) -> None:
    echo += step(distance, softness) * (np.float32(value) - echo)


def _four_chambers(x: Array, z: Array, squeeze: float, share: float, heart: Heart) -> Array:
    base = 104 - 13 * squeeze
    wide = 23.0 * heart.dilated * (1 - 0.34 * squeeze)
    apex = 24 + 4 * squeeze
    wall = 9.5 + 4.5 * squeeze
    middle, long = (apex + base) / 2, (base - apex) / 2 + 9
    left = (14.0, middle + 7)
    echo = np.full(x.shape, 0.018, np.float32) + 0.05 * np.exp(-z / 28)
    _lay(echo, _oval(x, z, (4, 80), (66 * heart.dilated**0.5, 76)), 0.050, 10)
    _lay(echo, _oval(x, z, left, (wide + wall, long + wall * 0.8)), 0.24)
    _lay(echo, _oval(x, z, (-23, middle + 16), (20 * (1 - 0.2 * squeeze) + 5, long * 0.86 + 4)), 0.20)
    shell = np.abs(_oval(x, z, left, (wide + wall + 1.5, long + wall * 0.8 + 1.5))) - 1.0
    echo += step(shell.astype(np.float32), 2) * (x > 24) * 0.42
    _lay(echo, _oval(x, z, (-26, middle + 16), (17 * (1 - 0.25 * squeeze), long * 0.82)), 0.0042)
    _lay(echo, _oval(x, z, left, (wide, long)), 0.0036)
    atria = 1 + 0.16 * squeeze
    top = base + 4
    for centre, radii in (
        ((17.0, top + 21), (22 * atria, 21 * atria)),
        ((-25.0, top + 19), (20 * atria, 19 * atria)),
    ):
        _lay(echo, _oval(x, z, centre, (radii[0] + 3.5, radii[1] + 3.5)), 0.17)
        _lay(echo, _oval(x, z, centre, radii), 0.0036)
    septum = np.abs(x + 6.5 - 0.05 * (z - base)) - np.where(z > base, 1.6, 4.0 + 0.6 * squeeze)
    septum = np.maximum(septum, np.maximum(apex + 8 - z, z - base - 40))
    _lay(echo, septum.astype(np.float32), 0.22, 2)
    for ring, spread in ((16.0, wide * 0.86), (-26.0, 16.0)):
        _valve(echo, x, z, ring, spread, base, share)
    for hinge in (-4.0, 16.0 + wide * 0.86 + 3, -44.0):
        echo += np.float32(0.5) * np.exp(-(((x - hinge) / 3.2) ** 2) - ((z - base) / 2.6) ** 2)
    return echo


def _valve(echo: Array, x: Array, z: Array, centre: float, spread: float, base: float, share: float) -> None:
    """Two leaves that hang from the ring: shut in systole, wide in early and late diastole."""
    if share < 0.40:
        opening = 0.0
    elif share < 0.56:
        opening = float(np.sin((share - 0.40) / 0.16 * np.pi) ** 0.7)
    elif share < 0.78:
        opening = 0.25
    else:
        opening = 0.25 + 0.5 * float(np.sin(min((share - 0.78) / 0.2, 1.0) * np.pi))
    depth = base - 5 - 15 * opening
    for side in (-1, 1):
        hinge = (centre + side * spread, base)
        tip = (centre + side * spread * (0.06 + 0.62 * opening), depth)
        echo += _line(x, z, hinge, tip, 0.55) * (np.float32(0.55) - echo)


def _short_axis(x: Array, z: Array, squeeze: float, share: float, heart: Heart) -> Array:
    del share
    radius = 26.0 * heart.dilated * (1 - 0.33 * squeeze)
    wall = 10.5 + 4.5 * squeeze
    centre = (12.0, 84.0)
    echo = np.full(x.shape, 0.018, np.float32) + 0.05 * np.exp(-z / 28)
    _lay(echo, _oval(x, z, (4, 84), (74, 66)), 0.050, 10)
    _lay(echo, _oval(x, z, (-16, 72), (46, 38)), 0.20)
    _lay(echo, _oval(x, z, (-16, 72), (42 * (1 - 0.12 * squeeze), 34 * (1 - 0.12 * squeeze))), 0.0042)
    _lay(echo, _oval(x, z, centre, (radius + wall, radius + wall)), 0.25)
    shell = np.abs(_oval(x, z, centre, (radius + wall + 1.5, radius + wall + 1.5))) - 1.0
    echo += step(shell.astype(np.float32), 2) * np.clip((z - 84) / 20, 0, 1) * 0.45
    _lay(echo, _oval(x, z, centre, (radius, radius)), 0.0036)
    for side in (-1, 1):
        place = (centre[0] + side * radius * 0.62, centre[1] + radius * 0.38)
        _lay(echo, _oval(x, z, place, (5.5, 5.0)), 0.24)
    return echo


@cache
def _backdrop(caption: str) -> NDArray[np.uint8]:
    """Caption, depth marks and the line under which the ECG runs."""
    picture = Image.new("RGB", (COLUMNS, ROWS))
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(14)
    draw.text((12, 8), caption, (200, 200, 200), font)
    draw.text((12, 28), "16 cm   50 Hz   MI 1,1   TIS 0,7", (150, 150, 150), font)
    for mark in range(17):
        row = _TOP + int(mark * 10 / MM_PER_PIXEL)
        draw.line((COLUMNS - 26, row, COLUMNS - (14 if mark % 5 else 8), row), (170, 170, 170))
        if mark and mark % 5 == 0:
            draw.text((COLUMNS - 48, row - 8), str(mark), (170, 170, 170), font)
    return np.asarray(picture, np.uint8)


def _trace(frame: NDArray[np.uint8], share: float) -> None:
    """The ECG under the sector, two beats, with a mark at the present moment."""
    columns = np.arange(24, 300)
    phase = (columns - 24) / 138 % 1.0
    wave = 26 * np.exp(-(((phase - 0.03) / 0.0042) ** 2)) - 6 * np.exp(-(((phase - 0.06) / 0.0042) ** 2))
    wave += 7 * np.exp(-(((phase - 0.34) / 0.05) ** 2)) + 4 * np.exp(-(((phase - 0.88) / 0.025) ** 2))
    rows = np.rint(ROWS - 26 - wave).astype(int)
    for column, low, high in zip(
        columns[1:],
        np.minimum(rows, np.roll(rows, 1))[1:],
        np.maximum(rows, np.roll(rows, 1))[1:],
        strict=True,
    ):
        frame[low : high + 2, column] = (70, 220, 110)
    now = 24 + 138 + int(share * 138)
    frame[ROWS - 58 : ROWS - 14, min(now, 299)] = (240, 200, 60)
