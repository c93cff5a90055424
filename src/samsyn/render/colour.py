"""Colour of stored samples to RGB: YBR_FULL and palettes. Pure numpy."""

from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from samsyn.errors import DamagedData
from samsyn.render.words import LookupTable

_DISCRETE, _LINEAR, _COPY = 0, 1, 2
"""Opcodes of segments."""
_MAX_SEGMENT_WORDS: Final = 3 * 65_536
"""Each entry as a segment of its own."""


def ycbcr_to_rgb(pixels: NDArray[Any], bits: int) -> NDArray[Any]:
    """YBR_FULL to RGB (PS3.3 C.7.6.3.1.2): shape (rows, columns, 3) unsigned, `bits` significant bits."""
    top = float((1 << bits) - 1)
    middle = float(1 << (bits - 1))
    luma = pixels[..., 0].astype(np.float32)
    blue = pixels[..., 1].astype(np.float32) - middle
    red = pixels[..., 2].astype(np.float32) - middle
    rgb = np.empty(pixels.shape, np.float32)
    rgb[..., 0] = luma + 1.402 * red
    rgb[..., 1] = luma - 0.344136 * blue - 0.714136 * red
    rgb[..., 2] = luma + 1.772 * blue
    np.rint(rgb, out=rgb)
    np.clip(rgb, 0.0, top, out=rgb)
    return rgb.astype(pixels.dtype)


def partial_ycbcr_to_rgb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """YBR_PARTIAL_422 of which every sample is there to RGB, of eight bits: the inverse of PS3.3 C.7.6.3.1.2."""
    luma = (pixels[..., 0].astype(np.float32) - 16.0) * np.float32(255.0 / 219.0)
    blue, red = (
        (pixels[..., channel].astype(np.float32) - 128.0) * np.float32(255.0 / 224.0) for channel in (1, 2)
    )
    rgb = np.stack(
        (luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue), axis=-1
    )
    made: NDArray[np.uint8] = np.clip(np.rint(rgb), 0.0, 255.0).astype(np.uint8)
    return made


def rgb_to_ycbcr(pixels: NDArray[Any], bits: int) -> NDArray[Any]:
    """The other way: RGB to YBR_FULL."""
    top, middle = float((1 << bits) - 1), float(1 << (bits - 1))
    red, green, blue = (pixels[..., channel].astype(np.float32) for channel in range(3))
    ybr = np.empty(pixels.shape, np.float32)
    ybr[..., 0] = 0.299 * red + 0.587 * green + 0.114 * blue
    ybr[..., 1] = -0.168736 * red - 0.331264 * green + 0.5 * blue + middle
    ybr[..., 2] = 0.5 * red - 0.418688 * green - 0.081312 * blue + middle
    np.rint(ybr, out=ybr)
    np.clip(ybr, 0.0, top, out=ybr)
    return ybr.astype(pixels.dtype)


def table_values(table: LookupTable) -> NDArray[np.uint16]:
    """The entries of a LUT. Raises DamagedData when the data are shorter than the descriptor says.

    8-bit entries are found packed one to a byte or one to a word; entries that need more bits than the
    descriptor tells are believed (writers put 16-bit data under a descriptor of 8, and the other way round).
    """
    if not 1 <= table.entries <= 65_536 or not 1 <= table.bits <= 16:
        raise DamagedData("impossible LUT descriptor")
    if table.is_segmented:
        return _expanded(table)
    if len(table.data) >= table.entries * 2:
        return np.frombuffer(table.data, "<u2", table.entries).astype(np.uint16)
    if table.bits <= 8 and len(table.data) >= table.entries:
        return np.frombuffer(table.data, np.uint8, table.entries).astype(np.uint16)
    raise DamagedData("LUT data shorter than the descriptor says")


@lru_cache(maxsize=6)
def _expanded(table: LookupTable) -> NDArray[np.uint16]:
    """The entries that segments stand for (PS3.3 C.7.9.2), kept for the next frames of a film.

    Raises DamagedData when they are not exactly as many as the descriptor says.
    """
    width = 1 if table.bits <= 8 else 2
    words = np.frombuffer(
        table.data, f"<u{width}", min(len(table.data) // width, _MAX_SEGMENT_WORDS)
    ).tolist()
    entries: list[int] = []
    _append_segments(entries, words, 0, table.entries, None, width)
    if len(entries) != table.entries:
        raise DamagedData("a segmented LUT gives another number of entries than the descriptor says")
    made = np.array(entries, np.uint16)
    made.flags.writeable = False
    return made


def _append_segments(
    entries: list[int], words: list[int], position: int, wanted: int, count: int | None, width: int
) -> None:
    """`count`: so many segments, which are copied; None = until there are enough entries. Every segment gives some, so
    there are as many turns as entries at most. `width`: bytes of an opcode, a length and an entry."""
    sizes = {_LINEAR: 1, _COPY: 4 // width}
    while len(entries) < wanted and count != 0:
        kind, length = words[position : position + 2] if position + 2 <= len(words) else (-1, 0)
        size = length if kind == _DISCRETE else sizes.get(kind, 0)
        rest = words[position + 2 : position + 2 + size]
        if not length or len(rest) != size:
            raise DamagedData("a segmented LUT can not be followed")
        if kind == _DISCRETE:
            entries += rest
        elif kind == _LINEAR and entries:
            start, step = entries[-1], (rest[0] - entries[-1]) / length
            entries += (round(start + step * number) for number in range(1, length + 1))
        elif kind == _COPY and count is None:
            offset = sum(part << 8 * width * place for place, part in enumerate(rest))
            _append_segments(entries, words, offset // width, wanted, length, width)
        else:
            raise DamagedData("a segmented LUT can not be followed")
        position += 2 + size
        count = None if count is None else count - 1


def palette_to_rgb(
    indices: NDArray[Any], palette: tuple[LookupTable, LookupTable, LookupTable]
) -> NDArray[np.uint8]:
    """PALETTE COLOR indices (rows, columns) to 8-bit RGB (PS3.3 C.7.6.3.1.5)."""
    rgb = np.empty((*indices.shape, 3), np.uint8)
    channels = [table_values(table) for table in palette]
    # Entries of 16 bits carry the colour in the high byte; some writers fill only the low one, of all three.
    above = 8 if max(int(values.max()) for values in channels) > 255 else 0
    for channel, (table, values) in enumerate(zip(palette, channels, strict=True)):
        position = np.clip(indices.astype(np.int64) - table.first, 0, table.entries - 1)
        rgb[..., channel] = (values >> above)[position]
    return rgb
