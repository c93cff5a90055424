"""What an ultrasound transducer sees: from a map of echo strengths in (depth, angle) to a grey picture."""

from dataclasses import dataclass

import numpy as np

from samsyn_demo.images.fields import Array, blur
from samsyn_demo.seed import stream


@dataclass(frozen=True, slots=True)
class Fan:
    """The scanned sector: `radius_mm` is the transducer's curvature (0 = a point, as for the heart)."""

    depth_mm: float
    half_angle: float
    radius_mm: float = 0.0
    samples: int = 440
    lines: int = 220

    def grid(self) -> tuple[Array, Array]:
        """x (to the right) and z (depth under the transducer) in mm of every (sample, line)."""
        away = np.linspace(0, self.depth_mm, self.samples, dtype=np.float32)[:, None] + np.float32(
            self.radius_mm
        )
        turn = np.linspace(-self.half_angle, self.half_angle, self.lines, dtype=np.float32)[None, :]
        return away * np.sin(turn), away * np.cos(turn) - np.float32(self.radius_mm)

    def lookup(self, rows: int, columns: int, top: int, mm_per_pixel: float) -> tuple[Array, Array, Array]:
        """For a picture of rows x columns: sample, line (fractional) and whether inside, per pixel."""
        x = (np.arange(columns, dtype=np.float32)[None, :] - columns / 2) * np.float32(mm_per_pixel)
        z = (np.arange(rows, dtype=np.float32)[:, None] - top) * np.float32(mm_per_pixel) + np.float32(
            self.radius_mm
        )
        away, turn = np.sqrt(x * x + z * z), np.arctan2(x, z)
        sample = (away - np.float32(self.radius_mm)) / np.float32(self.depth_mm) * (self.samples - 1)
        line = (turn / np.float32(self.half_angle) + 1) / 2 * (self.lines - 1)
        inside = (sample >= 0) & (sample <= self.samples - 1) & (line >= 0) & (line <= self.lines - 1)
        return sample, line, inside


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


def scan_convert(polar: Array, table: tuple[Array, Array, Array]) -> Array:
    """The picture of a polar map, by bilinear interpolation; 0 outside the sector."""
    sample, line, inside = table
    at_sample = np.clip(sample, 0, polar.shape[0] - 1.001)
    at_line = np.clip(line, 0, polar.shape[1] - 1.001)
    row, column = at_sample.astype(np.intp), at_line.astype(np.intp)
    down, right = at_sample - row, at_line - column
    flat = polar.reshape(-1)
    base = row * polar.shape[1] + column
    width = polar.shape[1]
    upper = flat[base] * (1 - right) + flat[base + 1] * right
    lower = flat[base + width] * (1 - right) + flat[base + width + 1] * right
    return np.asarray((upper * (1 - down) + lower * down) * inside, np.float32)
