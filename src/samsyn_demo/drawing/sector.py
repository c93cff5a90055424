"""What an ultrasound transducer sees: from a map of echo strengths in (depth, angle) to a grey picture."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from samsyn_demo.drawing.fields import Array, blur
from samsyn_demo.seed import stream


@dataclass(frozen=True, slots=True)
class Fan:
    """The scanned sector: `radius_mm` is the transducer's curvature (0 = a point, as for the heart)."""

    depth_mm: float
    half_angle: float
    radius_mm: float = 0.0
    samples: int = 400
    lines: int = 190

    def grid(self) -> tuple[Array, Array]:
        """x (to the right) and z (depth under the transducer) in mm of every (sample, line)."""
        away = np.linspace(0, self.depth_mm, self.samples, dtype=np.float32)[:, None] + np.float32(
            self.radius_mm
        )
        turn = np.linspace(-self.half_angle, self.half_angle, self.lines, dtype=np.float32)[None, :]
        return away * np.sin(turn), away * np.cos(turn) - np.float32(self.radius_mm)

    def lookup(self, rows: int, columns: int, top: int, mm_per_pixel: float) -> "Lookup":
        """Where in the polar map every pixel of a rows x columns picture lies; the fan's tip at row `top`."""
        x = (np.arange(columns, dtype=np.float32)[None, :] - columns / 2) * np.float32(mm_per_pixel)
        z = (np.arange(rows, dtype=np.float32)[:, None] - top) * np.float32(mm_per_pixel)
        z = z + np.float32(self.radius_mm)
        away, turn = np.sqrt(x * x + z * z), np.arctan2(x, z)
        sample = (away - np.float32(self.radius_mm)) / np.float32(self.depth_mm) * (self.samples - 1)
        line = (turn / np.float32(self.half_angle) + 1) / 2 * (self.lines - 1)
        inside = (sample >= 0) & (sample <= self.samples - 1) & (line >= 0) & (line <= self.lines - 1)
        sample = np.clip(sample[inside], 0, self.samples - 1.001)
        line = np.clip(line[inside], 0, self.lines - 1.001)
        row, column = sample.astype(np.intp), line.astype(np.intp)
        return Lookup(
            (rows, columns),
            np.flatnonzero(inside),
            row * self.lines + column,
            (sample - row).astype(np.float32),
            (line - column).astype(np.float32),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Lookup:
    """Pixels inside the fan: their places in the picture and in the polar map, with interpolation weights."""

    shape: tuple[int, int]
    pixels: NDArray[np.intp]
    base: NDArray[np.intp]
    down: Array
    right: Array


def speckle(fan: Fan, name: str, copies: int = 1) -> Array:
    """Speckle amplitude (copies, samples, lines), mean 1: wider across than along the beam."""
    chance = stream("speckle", name)
    shape = (copies, fan.samples, fan.lines)
    real = _smear(chance.standard_normal(shape, dtype=np.float32))
    imaginary = _smear(chance.standard_normal(shape, dtype=np.float32))
    amplitude = np.sqrt(real * real + imaginary * imaginary)
    return np.asarray(amplitude / amplitude.mean(), np.float32)


def _smear(noise: Array) -> Array:
    soft = blur(noise, 0.8)
    wide = 0.4 * soft + 0.3 * np.roll(soft, 1, -1) + 0.3 * np.roll(soft, -1, -1)
    return np.asarray(0.5 * wide + 0.25 * np.roll(wide, 2, -1) + 0.25 * np.roll(wide, -2, -1), np.float32)


def grey(echo: Array, amplitude: Array, dynamic_db: float = 52.0) -> Array:
    """Log-compressed brightness 0..255 of echo strength times speckle."""
    level = 20 * np.log10(np.maximum(echo * amplitude, 1e-5))
    return np.asarray(255 * np.clip((level + dynamic_db) / dynamic_db, 0, 1), np.float32)


def scan_convert(polar: Array, table: Lookup) -> Array:
    """The picture of a polar map, by bilinear interpolation; 0 outside the sector."""
    flat, width = polar.reshape(-1), polar.shape[1]
    upper, lower = flat[table.base], flat[table.base + width]
    upper += (flat[table.base + 1] - upper) * table.right
    lower += (flat[table.base + width + 1] - lower) * table.right
    upper += (lower - upper) * table.down
    picture = np.zeros(table.shape, np.float32)
    picture.reshape(-1)[table.pixels] = upper
    return picture
