"""Draws an ECG as on paper: 25 mm/s, 10 mm/mV, millimetre grid. Pure numpy.

Twelve leads stand in two columns of six (limb leads left, chest leads right, in the recorded order), 5 s each,
with a 10 s strip of the second channel below, as Swedish printouts do; other numbers of channels stand below
each other, 10 s each. Time is the same in both columns, so that leads can be compared beat by beat.
"""

import math
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from samsyn.errors import DamagedData
from samsyn.render.display import encoded
from samsyn.render.lettering import stamped
from samsyn.render.scaling import resized
from samsyn.render.words import Picture, PictureFormat, PictureOptions, Waveform

Canvas: TypeAlias = NDArray[np.uint8]
Reals: TypeAlias = NDArray[np.float32]

PIXELS_PER_MM: Final = 5
MM_PER_S: Final = 25.0
MM_PER_MV: Final = 10.0
MAX_CHANNELS: Final = 24
"""Channels drawn of one group; an ECG has 12, a vector ECG 15."""

_LONG_S: Final = 10.0
_SHORT_S: Final = 5.0
_ROW_MM: Final = 24
_MARGIN_MM: Final = 8
_GAP_MM: Final = 5
"""Between the two columns, so that nobody reads one lead as the other's continuation."""
_REACH_MM: Final = 20
"""A curve is drawn at most this far from its base line: beyond it hides its neighbours."""
_HALF_LINE: Final = 0.8
_PAPER: Final = (255, 252, 250)
_FINE: Final = (250, 222, 218)
_STRONG: Final = (240, 180, 174)
_INK: Final = np.array((18, 24, 48), np.float32)


def traced(waveform: Waveform, longest_side: int | None = None) -> Picture:
    """The drawing as PNG. Raises DamagedData when the samples do not hold what the header says."""
    curves = microvolts(waveform)
    labels = [channel.label for channel in waveform.channels]
    places = _places(len(curves))
    rows = 1 + max(row for row, _, _, _ in places)
    width_mm = round(_LONG_S * MM_PER_S) + _GAP_MM + 2 * _MARGIN_MM
    height_mm = rows * _ROW_MM + 2 * _MARGIN_MM
    canvas = _grid(height_mm, width_mm)
    for row, left_mm, seconds, channel in places:
        top = (_MARGIN_MM + row * _ROW_MM) * PIXELS_PER_MM
        left = (_MARGIN_MM + left_mm) * PIXELS_PER_MM
        _draw(canvas, curves[channel], waveform.frequency_hz, seconds, top, left)
        stamped(canvas, labels[channel], top + 4, left + 4, 2, (18, 24, 48))
    foot = "25 mm/s  10 mm/mV"
    stamped(canvas, foot, canvas.shape[0] - 5 * PIXELS_PER_MM, _MARGIN_MM * PIXELS_PER_MM, 2, (90, 60, 60))
    if longest_side is not None and max(canvas.shape[:2]) > longest_side:
        scale = longest_side / max(canvas.shape[:2])
        canvas = resized(
            canvas, max(1, round(canvas.shape[0] * scale)), max(1, round(canvas.shape[1] * scale))
        )
    return encoded(canvas, PictureOptions(format=PictureFormat.PNG))


def microvolts(waveform: Waveform) -> list[Reals]:
    """One array per channel, at most the first 10 s, in microvolts (PS3.3 C.10.9.1.4)."""
    count = len(waveform.channels)
    if not 1 <= count <= MAX_CHANNELS:
        raise DamagedData("no channels, or more than can be drawn")
    if not math.isfinite(waveform.frequency_hz) or not 1.0 <= waveform.frequency_hz <= 100_000.0:
        raise DamagedData("impossible sampling frequency")
    if waveform.sample_bits not in (8, 16):
        raise DamagedData("samples of other than 8 or 16 bits")
    kind = np.dtype(f"<{'i' if waveform.signed else 'u'}{waveform.sample_bits // 8}")
    moments = min(
        len(waveform.data) // (count * kind.itemsize), math.ceil(_LONG_S * waveform.frequency_hz) + 1
    )
    if moments < 2:
        raise DamagedData("fewer than two samples")
    samples = np.frombuffer(waveform.data, kind, moments * count).reshape(moments, count)
    curves = []
    for number, channel in enumerate(waveform.channels):
        if not (math.isfinite(channel.microvolts_per_bit) and math.isfinite(channel.baseline)):
            raise DamagedData("impossible channel sensitivity")
        scaled = samples[:, number].astype(np.float32) * np.float32(channel.microvolts_per_bit)
        curves.append(np.clip(scaled + np.float32(channel.baseline), -1e6, 1e6))
    return curves


def _places(count: int) -> list[tuple[int, int, float, int]]:
    """(row, left edge in mm, length in s, channel) of every curve."""
    if count != 12:
        return [(row, 0, _LONG_S, row) for row in range(count)]
    second_column_mm = round(_SHORT_S * MM_PER_S) + _GAP_MM
    halves = [(channel % 6, second_column_mm * (channel // 6), _SHORT_S, channel) for channel in range(12)]
    return [*halves, (6, 0, _LONG_S, 1)]


def _grid(height_mm: int, width_mm: int) -> Canvas:
    canvas = np.empty((height_mm * PIXELS_PER_MM + 1, width_mm * PIXELS_PER_MM + 1, 3), np.uint8)
    canvas[:] = _PAPER
    for step, colour in ((1, _FINE), (5, _STRONG)):
        canvas[:: step * PIXELS_PER_MM] = colour
        canvas[:, :: step * PIXELS_PER_MM] = colour
    for row in range(1, canvas.shape[0], 5 * PIXELS_PER_MM):
        canvas[row, :] = np.minimum(canvas[row, :], np.array(_FINE, np.uint8))
    return canvas


def _draw(canvas: Canvas, curve: Reals, frequency_hz: float, seconds: float, top: int, left: int) -> None:
    """One curve: per pixel column the stretch between its lowest and highest point is inked, with soft ends."""
    pixels_per_s = MM_PER_S * PIXELS_PER_MM
    drawn_s = min(seconds, (len(curve) - 1) / frequency_hz)
    columns = max(1, int(drawn_s * pixels_per_s))
    fine = np.linspace(0.0, columns, columns * 8 + 1) / pixels_per_s * frequency_hz
    levels = np.interp(fine, np.arange(len(curve)), curve)
    middle = top + _ROW_MM * PIXELS_PER_MM / 2
    heights = middle - np.clip(levels / 1000.0 * MM_PER_MV, -_REACH_MM, _REACH_MM) * PIXELS_PER_MM
    steps = np.stack([heights[n : n + columns * 8 : 8] for n in range(9)])
    upper, lower = steps.min(axis=0) - _HALF_LINE, steps.max(axis=0) + _HALF_LINE
    first = max(0, int(upper.min()))
    last = min(canvas.shape[0], int(lower.max()) + 2)
    rows = np.arange(first, last, dtype=np.float64)[:, None]
    share = np.clip(np.minimum(rows + 1.0, lower) - np.maximum(rows, upper), 0.0, 1.0).astype(np.float32)[
        ..., None
    ]
    part = canvas[first:last, left : left + columns]
    share = share[:, : part.shape[1]]
    part[:] = np.rint(part * (np.float32(1.0) - share) + _INK * share).astype(np.uint8)
