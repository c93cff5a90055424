"""Objects with overlay planes (PS3.3 C.9.2), and what such a plane draws by a plain reading of the standard."""

import numpy as np
from pydicom.dataset import Dataset


def with_overlay(
    made: Dataset,
    mask: np.ndarray,
    group: int = 0x6000,
    origin: tuple[int, int] = (1, 1),
    kind: str = "G",
    frames: int | None = None,
    first_frame: int | None = None,
) -> Dataset:
    """The object with the mask, shape (rows, columns) or (frames, rows, columns), as Overlay Data."""
    bits = np.packbits(mask.reshape(-1) != 0, bitorder="little").tobytes()
    made.add_new((group, 0x0010), "US", mask.shape[-2])
    made.add_new((group, 0x0011), "US", mask.shape[-1])
    if frames is not None:
        made.add_new((group, 0x0015), "IS", frames)
    made.add_new((group, 0x0040), "CS", kind)
    made.add_new((group, 0x0050), "SS", list(origin))
    if first_frame is not None:
        made.add_new((group, 0x0051), "US", first_frame)
    made.add_new((group, 0x0100), "US", 1)
    made.add_new((group, 0x0102), "US", 0)
    made.add_new((group, 0x3000), "OW", bits + b"\0" * (len(bits) % 2))
    return made


def with_embedded(made: Dataset, position: int, group: int = 0x6000, kind: str = "G") -> Dataset:
    """The object with a plane in this bit of its cells."""
    made.add_new((group, 0x0010), "US", made.Rows)
    made.add_new((group, 0x0011), "US", made.Columns)
    made.add_new((group, 0x0040), "CS", kind)
    made.add_new((group, 0x0050), "SS", [1, 1])
    made.add_new((group, 0x0100), "US", made.BitsAllocated)
    made.add_new((group, 0x0102), "US", position)
    return made


def placed(mask: np.ndarray, origin: tuple[int, int], rows: int, columns: int) -> np.ndarray:
    """Where the mask lies on a picture, pixel by pixel."""
    seen = np.zeros((rows, columns), bool)
    for row, column in np.argwhere(mask):
        there = row + origin[0] - 1, column + origin[1] - 1
        if 0 <= there[0] < rows and 0 <= there[1] < columns:
            seen[there] = True
    return seen


def beside(seen: np.ndarray) -> np.ndarray:
    """What is drawn on, and the eight neighbours of each such pixel."""
    wide = np.pad(seen, 1)
    rows, columns = seen.shape
    return np.any([wide[r : r + rows, c : c + columns] for r in range(3) for c in range(3)], axis=0)


def drawn(picture: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """The picture with the graphic: white, and beside it nothing brighter than 96."""
    around = beside(seen)[..., None] if picture.ndim == 3 else beside(seen)
    shaded = np.where(around, np.minimum(picture, 96), picture)
    return np.where(seen[..., None] if picture.ndim == 3 else seen, 255, shaded).astype(np.uint8)
