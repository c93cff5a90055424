"""Colour of stored samples to RGB: YBR_FULL and palettes. Pure numpy."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from samsyn.errors import DamagedData
from samsyn.render.words import LookupTable


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


def table_values(table: LookupTable) -> NDArray[np.uint16]:
    """The entries of a LUT. Raises DamagedData when the data are shorter than the descriptor says.

    8-bit entries are found packed one to a byte or one to a word; entries that need more bits than the
    descriptor tells are believed (writers put 16-bit data under a descriptor of 8, and the other way round).
    """
    if not 1 <= table.entries <= 65_536 or not 1 <= table.bits <= 16:
        raise DamagedData("impossible LUT descriptor")
    if len(table.data) >= table.entries * 2:
        return np.frombuffer(table.data, "<u2", table.entries).astype(np.uint16)
    if table.bits <= 8 and len(table.data) >= table.entries:
        return np.frombuffer(table.data, np.uint8, table.entries).astype(np.uint16)
    raise DamagedData("LUT data shorter than the descriptor says")


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
