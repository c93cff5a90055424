"""Noise, smoothing and resampling of float32 pictures."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
"""A picture or volume, in practice float32; the unit is said where it is made."""


def resize(picture: Array, rows: int, columns: int) -> Array:
    """Bilinear resampling of a 2D picture to rows x columns, corners on corners."""
    return _along(_along(picture, rows, 0), columns, 1)


def _along(picture: Array, count: int, axis: int) -> Array:
    places = np.linspace(0, picture.shape[axis] - 1, count, dtype=np.float32)
    return sample_axis(picture, places, axis)


def sample_axis(picture: Array, places: Array, axis: int) -> Array:
    """Linear interpolation along one axis at fractional index `places`; outside repeats the edge."""
    places = np.clip(places, 0, picture.shape[axis] - 1)
    low = np.minimum(places.astype(np.intp), max(picture.shape[axis] - 2, 0))
    high = np.minimum(low + 1, picture.shape[axis] - 1)
    shape = [1] * picture.ndim
    shape[axis] = len(places)
    weight = (places - low).astype(np.float32).reshape(shape)
    below = np.take(picture, low, axis=axis)
    return np.asarray(below + weight * (np.take(picture, high, axis=axis) - below), np.float32)


def zoomed(picture: Array, factor: float, right: float = 0.0, down: float = 0.0) -> Array:
    """The 2D picture enlarged by `factor` around its centre and moved by `right` and `down` pixels."""
    rows, columns = picture.shape
    down_places = (np.arange(rows, dtype=np.float32) - rows / 2 - down) / factor + rows / 2
    right_places = (np.arange(columns, dtype=np.float32) - columns / 2 - right) / factor + columns / 2
    return sample_axis(sample_axis(picture, down_places, 0), right_places, 1)


def blur(picture: Array, sigma: float) -> Array:
    """Gaussian smoothing of the last two axes; `sigma` in pixels, edges repeated."""
    if sigma <= 0:
        return picture
    reach = max(1, int(np.ceil(2.2 * sigma)))
    kernel = np.exp(-0.5 * (np.arange(reach + 1) / sigma) ** 2)
    kernel /= kernel[0] + 2 * kernel[1:].sum()
    return _spread(_spread(picture, kernel, -2), kernel, -1)


def _spread(picture: Array, kernel: NDArray[np.float64], axis: int) -> Array:
    """Convolves one axis with the symmetric kernel whose right half is given."""
    reach, length = len(kernel) - 1, picture.shape[axis]
    margin = [(0, 0)] * picture.ndim
    margin[axis] = (reach, reach)
    padded = np.pad(picture, margin, mode="edge")
    window = [slice(None)] * picture.ndim

    def shifted(by: int) -> Array:
        window[axis] = slice(reach + by, reach + by + length)
        return padded[tuple(window)]

    total = np.multiply(picture, np.float32(kernel[0]), dtype=np.float32)
    pair = np.empty_like(total)
    for by in range(1, reach + 1):
        np.add(shifted(-by), shifted(by), out=pair)
        pair *= np.float32(kernel[by])
        total += pair
    return total


def cloud(rows: int, columns: int, cell: float, chance: np.random.Generator) -> Array:
    """Smooth random field with mean 0 and about unit variance; `cell` is its grain in pixels."""
    grid_rows, grid_columns = int(rows / cell) + 3, int(columns / cell) + 3
    grid = chance.standard_normal((grid_rows, grid_columns), dtype=np.float32)
    fine = blur(resize(grid, rows, columns), cell / 3)
    return np.asarray(fine / (fine.std() + np.float32(1e-6)), np.float32)


def fractal(
    rows: int, columns: int, cell: float, octaves: int, chance: np.random.Generator, fade: float = 0.55
) -> Array:
    """Sum of clouds, each half as coarse and `fade` as strong as the one before; about unit variance."""
    total = np.zeros((rows, columns), np.float32)
    strength = 1.0
    for octave in range(octaves):
        total += strength * cloud(rows, columns, max(cell / 2**octave, 1.5), chance)
        strength *= fade
    return np.asarray(total / (total.std() + np.float32(1e-6)), np.float32)


def grain(shape: tuple[int, ...], sigma: float, chance: np.random.Generator) -> Array:
    """Detector noise: Gaussian, slightly correlated between neighbours, unit variance before `sigma`."""
    white = chance.standard_normal(shape, dtype=np.float32)
    soft = 0.64 * white
    for axis in (-1, -2):
        soft += 0.38 * np.roll(white, 1, axis) + 0.38 * np.roll(white, -1, axis)
    return sigma * soft / np.float32(0.99)


def step(distance: Array, softness: float) -> Array:
    """1 inside (distance < 0), 0 outside, with a linear edge of width `softness` in the distance's unit."""
    return np.asarray(np.clip(0.5 - distance / np.float32(softness), 0, 1), np.float32)
