"""From stored values to a picture of 8 bits, by the order of PS3.4 N.2: modality, VOI, presentation. Pure numpy.

Stored values of at most 16 bits go through one table that composes all steps, so a frame costs one lookup.
"""

import io
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from samsyn.errors import BadInput, DamagedData, NotSupported
from samsyn.model.imaging import PixelLayout
from samsyn.render.colour import palette_to_rgb, table_values
from samsyn.render.graphics import with_graphics
from samsyn.render.scaling import Bytes, framed
from samsyn.render.words import (
    DisplayValues,
    Graphic,
    LookupTable,
    Picture,
    PictureFormat,
    PictureOptions,
    Voi,
    Window,
)

Reals: TypeAlias = NDArray[np.float32] | NDArray[np.float64]
"""Double where the pixels are."""

_DARK_SHARE: Final = 0.01
_BRIGHT_SHARE: Final = 0.995
"""Shares of the pixels that a guessed window leaves black and white at most."""
_KEPT_TABLES: Final = 32
"""Tables of 64 KiB: the windows that a few readers look through."""
_LOOKED_UP_AT_ONCE: Final = 65_536
"""Pixels whose places in the table, of eight bytes each, stay in a processor's own cache. Each turn gives Python's lock
to others twice, and may have to wait for it."""
_FURTHEST_LEVEL: Final = 1e12
"""More than 32 bits with any usual slope reach; beyond it the arithmetic of a window loses its meaning."""
_MAX_ASPECT: Final = 20.0
"""A pixel more than this many times as long as wide is a typing error and shown square."""


def picture_of(
    pixels: NDArray[Any],
    layout: PixelLayout,
    values: DisplayValues,
    options: PictureOptions,
    graphics: Sequence[Graphic] = (),
    cells: NDArray[Any] | None = None,
) -> Picture:
    """The decoded frame as the header says and the options ask, encoded.

    `pixels` as decoding.decode_frame returns them; `graphics` and `cells` as for graphics.with_graphics. Raises
    DamagedData for LUTs that cannot be followed and BadInput for options that make no sense. A window of the
    header that cannot be followed (width 0, NaN) is replaced by a guessed one; one of the options is refused.
    """
    eight = eight_bits(pixels, layout, values, options.window)
    aspect = values.aspect if 1 / _MAX_ASPECT <= values.aspect <= _MAX_ASPECT else 1.0
    picture = framed(eight, aspect, options)
    if graphics:
        picture = with_graphics(picture, graphics, (eight.shape[0], eight.shape[1]), options, cells)
    return encoded(picture, options)


def encoded(picture: Bytes, options: PictureOptions) -> Picture:
    """JPEG (4:4:4, so that coloured text stays sharp), PNG or GIF of an 8-bit picture."""
    if options.format is PictureFormat.PNG:
        data = imagecodecs.png_encode(picture, level=1)
    elif options.format is PictureFormat.GIF:
        data = _gif(picture)
    else:
        if not 1 <= options.quality <= 100:
            raise BadInput("JPEG quality is 1 to 100")
        data = imagecodecs.jpeg8_encode(picture, level=options.quality, subsampling="444")
    return Picture(bytes(data), options.format.value, width=picture.shape[1], height=picture.shape[0])


def _gif(picture: Bytes) -> bytes:
    """All 256 greys, or the 256 colours that fit the picture best."""
    # Only children make these, and have it loaded; the server itself does without.
    from PIL import Image

    made = Image.fromarray(picture)
    if made.mode != "L":
        made = made.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    written = io.BytesIO()
    made.save(written, "GIF", optimize=False, interlace=False)
    return written.getvalue()


def eight_bits(
    pixels: NDArray[Any], layout: PixelLayout, values: DisplayValues, window: Window | None
) -> Bytes:
    """Grey (rows, columns) or RGB (rows, columns, 3), 0 = black."""
    if pixels.ndim == 3:
        return _eight_of_colour(pixels, layout.bits_stored)
    if layout.photometric == "PALETTE COLOR":
        if values.palette is None:
            raise DamagedData("PALETTE COLOR without palette")
        return palette_to_rgb(pixels, values.palette)
    grey = _eight_of_grey(pixels, layout, values, window)
    if values.palette is None:
        return grey
    # A supplemental palette: what lies below its first value is grey, and goes the way of grey (PS3.3 C.7.6.3.1.5).
    is_coloured = pixels >= values.palette[0].first
    return np.where(is_coloured[..., None], palette_to_rgb(pixels, values.palette), grey[..., None])


def _eight_of_grey(
    pixels: NDArray[Any], layout: PixelLayout, values: DisplayValues, window: Window | None
) -> Bytes:
    if window is not None and not usable(window):
        raise BadInput("the window can not be followed")
    if pixels.dtype.itemsize <= 2 and (window or values.voi_lut or _own_window(values)):
        return _looked_up(_table_of(pixels.dtype.str, _Form.of(layout, values), values, window), pixels)
    levels = _levels(pixels, layout, values)
    shown = _shown(levels, _Form.of(layout, values), values, window)
    return _looked_up(shown, pixels) if isinstance(levels, _Table) else shown


def _eight_of_colour(pixels: NDArray[Any], bits: int) -> Bytes:
    if pixels.dtype == np.uint8:
        return pixels << np.uint8(8 - bits) if bits < 8 else pixels
    kept = pixels.astype(np.uint32)
    return (kept >> np.uint32(bits - 8) if bits >= 8 else kept << np.uint32(8 - bits)).astype(np.uint8)


def usable(window: Window) -> bool:
    """Whether PS3.3 C.11.2.1.2 gives the window a meaning."""
    if not (math.isfinite(window.center) and math.isfinite(window.width)):
        return False
    if abs(window.center) > _FURTHEST_LEVEL or window.width > _FURTHEST_LEVEL:
        return False
    return window.width >= 1.0 if window.voi is Voi.LINEAR else window.width > 0.0


def _own_window(values: DisplayValues) -> Window | None:
    return next((known for known in values.windows if usable(known)), None)


def fitting_window(pixels: NDArray[Any], layout: PixelLayout, values: DisplayValues) -> Window:
    """The window that a grey frame without one is shown with, and others like it; NotSupported for colour, and for
    frames of one single value, which tells nothing about others."""
    if pixels.ndim == 3 or layout.photometric == "PALETTE COLOR":
        raise NotSupported("colour has no window")
    if values.palette is not None:
        pixels = pixels[pixels < values.palette[0].first]
    levels, counts = _levels(pixels, layout, values).counted()
    if not levels.size or levels.min() == levels.max():
        raise NotSupported("one single value has no window")
    return guessed_window(levels, counts)


class _Form(NamedTuple):
    """What a table depends on of the layout, so that it serves every frame of this form."""

    bits_allocated: int
    signed: bool
    is_inverted: bool

    @classmethod
    def of(cls, layout: PixelLayout, values: DisplayValues) -> "_Form":
        """The form of a grey layout."""
        return cls(layout.bits_allocated, layout.signed, values.is_inverted(layout))


@lru_cache(maxsize=_KEPT_TABLES)
def _table_of(kind: str, form: _Form, values: DisplayValues, window: Window | None) -> Bytes:
    """What every value of samples of this dtype is shown as, where no pixel needs to be counted for it. Kept: the
    pictures of a series have the same one."""
    shown = _shown(_Table(np.empty(0, kind), form, values), form, values, window)
    shown.flags.writeable = False
    return shown


def _looked_up(shown: Bytes, pixels: NDArray[Any]) -> Bytes:
    """The frame, from what every possible value is shown as."""
    picture = np.empty(pixels.shape, np.uint8)
    flat, seen = pixels.view(f"u{pixels.dtype.itemsize}").reshape(-1), picture.reshape(-1)
    places = np.empty(min(_LOOKED_UP_AT_ONCE, flat.size), np.intp)
    for begin in range(0, flat.size, _LOOKED_UP_AT_ONCE):
        part = flat[begin : begin + _LOOKED_UP_AT_ONCE]
        some = places[: part.size]
        np.copyto(some, part)
        # Every value has its place; "wrap" leaves out numpy's copy of the result, which "raise" makes.
        np.take(shown, some, out=seen[begin : begin + part.size], mode="wrap")
    return picture


class _Table:
    """All steps composed into one table over the values that the sample format can hold."""

    def __init__(self, pixels: NDArray[Any], form: _Form, values: DisplayValues) -> None:
        width = pixels.dtype.itemsize
        self._size = 1 << (8 * width)
        possible = np.arange(self._size, dtype=np.uint32).astype(f"u{width}").view(pixels.dtype)
        self._raw = pixels.view(f"u{width}")
        self.padding = _padding_mask(possible, values, form)
        self.reals = _modality(possible, values)

    def counted(self) -> tuple[Reals, NDArray[np.float64]]:
        """The levels that occur in the frame, padding left out, and how often."""
        counts = np.bincount(self._raw.reshape(-1), minlength=self._size).astype(np.float64)
        if self.padding is not None:
            counts[self.padding] = 0.0
        seen = counts > 0
        return self.reals[seen], counts[seen]


class _Every:
    """32-bit samples (dose grids) and floating point ones: every pixel is computed."""

    def __init__(self, pixels: NDArray[Any], form: _Form, values: DisplayValues) -> None:
        self.padding = _padding_mask(pixels, values, form)
        self.reals = _modality(pixels, values)

    def counted(self) -> tuple[Reals, NDArray[np.float64]]:
        """As _Table.counted."""
        tissue = self.reals if self.padding is None else self.reals[~self.padding]
        tissue = tissue[np.isfinite(tissue)]
        return tissue.reshape(-1), np.ones(tissue.size, np.float64)


def _levels(pixels: NDArray[Any], layout: PixelLayout, values: DisplayValues) -> _Table | _Every:
    kind = _Table if pixels.dtype.itemsize <= 2 else _Every
    return kind(pixels, _Form.of(layout, values), values)


def _padding_mask(stored: NDArray[Any], values: DisplayValues, form: _Form) -> NDArray[np.bool_] | None:
    """Where stored values mean "nothing was measured here": shown black and left out of guessed windows."""
    is_float = stored.dtype.kind == "f"
    nowhere = np.isnan(stored) if is_float else None
    if values.padding is None:
        return nowhere
    low, high = sorted(values.padding if is_float else (_as_stored(value, form) for value in values.padding))
    mask = (stored >= low) & (stored <= high)
    # A padding range that is everything hides the picture: a typing error in the header, not followed.
    if mask.all():
        return nowhere
    return mask if nowhere is None else mask | nowhere


def _as_stored(value: float, form: _Form) -> int:
    """The padding value in the pixels' own signedness: its VR is often that of the other one."""
    span = 1 << form.bits_allocated
    whole = int(value) % span
    return whole - span if form.signed and whole >= span // 2 else whole


def _modality(stored: NDArray[Any], values: DisplayValues) -> Reals:
    """Stored values to output units (PS3.3 C.11.1): LUT, or slope and intercept."""
    if values.modality_lut is not None:
        table = table_values(values.modality_lut).astype(np.float32)
        position = np.clip(stored.astype(np.int64) - values.modality_lut.first, 0, table.size - 1)
        return table[position]
    reals: Reals = stored if stored.dtype == np.float64 else stored.astype(np.float32)
    slope, intercept = values.slope, values.intercept
    if not (math.isfinite(slope) and math.isfinite(intercept)) or slope == 0.0 or abs(slope) > 1e12:
        return reals
    if (slope, intercept) != (1.0, 0.0):
        # Python's numbers take the precision of the array.
        reals = reals * slope + intercept
    return reals


def _shown(levels: _Table | _Every, form: _Form, values: DisplayValues, window: Window | None) -> Bytes:
    """VOI and presentation: a window that was asked for, else the header's LUT, else its window, else a guess."""
    reals, own = levels.reals, _own_window(values)
    if window is not None:
        unit = _windowed(reals, window)
    elif values.voi_lut is not None:
        unit = _by_voi_lut(reals, values.voi_lut)
    elif own is not None:
        unit = _windowed(reals, own)
    else:
        unit = _windowed(reals, guessed_window(*levels.counted()))
    if form.is_inverted:
        unit = np.float32(1.0) - unit
    if levels.padding is not None:
        unit = np.where(levels.padding, 0.0, unit)  # among them what is no number, and has no grey
    eight: Bytes = np.rint(unit * np.float32(255.0)).astype(np.uint8)
    return eight


def _by_voi_lut(reals: Reals, lut: LookupTable) -> Reals:
    """0 to 1 by a VOI LUT (PS3.3 C.11.2.1.1).

    White is what the descriptor's bits can tell, or the bits that the largest entry needs where those are more, or
    where the descriptor tells 16: writers put that there for tables of 8 to 12 bits.
    """
    table = table_values(lut).astype(np.float32)
    bits = max(int(table.max()).bit_length(), lut.bits if lut.bits < 16 else 1)
    position = np.clip(np.rint(reals).astype(np.int64) - lut.first, 0, table.size - 1)
    unit: Reals = table[position] / np.float32((1 << bits) - 1)
    return unit


def _windowed(reals: Reals, window: Window) -> Reals:
    """0 to 1 by PS3.3 C.11.2.1.2.1 (LINEAR), C.11.2.1.3.2 (LINEAR_EXACT), C.11.2.1.3.1 (SIGMOID)."""
    if window.voi is Voi.SIGMOID:
        power = np.clip(-4.0 * (reals - window.center) / window.width, -80.0, 80.0)
        curve: Reals = (1.0 / (1.0 + np.exp(power))).astype(np.float32)
        return curve
    center, width = window.center, window.width
    if window.voi is Voi.LINEAR:
        center, width = center - 0.5, width - 1.0
        if width == 0.0:
            step: Reals = (reals > center).astype(np.float32)
            return step
    unit = (reals - center) / width + 0.5
    clipped: Reals = np.clip(unit, 0.0, 1.0)
    return clipped


def guessed_window(levels: Reals, counts: NDArray[np.float64]) -> Window:
    """A window for pictures whose header has none: from the dark to the bright percentile of what is there."""
    total = float(counts.sum())
    if total <= 0.0:
        return Window(0.5, 1.0, Voi.LINEAR_EXACT)
    order = np.argsort(levels, kind="stable")
    shares = np.cumsum(counts[order]) / total
    low = float(levels[order[np.searchsorted(shares, _DARK_SHARE)]])
    high = float(levels[order[min(int(np.searchsorted(shares, _BRIGHT_SHARE)), len(order) - 1)]])
    if high <= low:
        low, high = float(levels.min()), float(levels.max())
    if high <= low:
        # One single value: black when it is nothing, otherwise mid-grey, so that "empty" can be told.
        return Window(low + 0.5, 1.0, Voi.LINEAR_EXACT) if low <= 0 else Window(low, 1.0, Voi.LINEAR_EXACT)
    return Window((low + high) / 2.0, high - low, Voi.LINEAR_EXACT)
