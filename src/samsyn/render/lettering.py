"""A drawn 5 x 7 alphabet, so that labels need no font file and no text library. Pure numpy."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

ROWS: Final = 7
COLUMNS: Final = 5

_GLYPHS: Final[Mapping[str, str]] = MappingProxyType(
    {
        " ": "00 00 00 00 00 00 00",
        "-": "00 00 00 1F 00 00 00",
        "+": "00 04 04 1F 04 04 00",
        ".": "00 00 00 00 00 0C 0C",
        "/": "01 01 02 04 08 10 10",
        ":": "00 0C 0C 00 0C 0C 00",
        "0": "0E 11 13 15 19 11 0E",
        "1": "04 0C 04 04 04 04 0E",
        "2": "0E 11 01 02 04 08 1F",
        "3": "1F 02 04 02 01 11 0E",
        "4": "02 06 0A 12 1F 02 02",
        "5": "1F 10 1E 01 01 11 0E",
        "6": "06 08 10 1E 11 11 0E",
        "7": "1F 01 02 04 08 08 08",
        "8": "0E 11 11 0E 11 11 0E",
        "9": "0E 11 11 0F 01 02 0C",
        "A": "0E 11 11 1F 11 11 11",
        "B": "1E 11 11 1E 11 11 1E",
        "C": "0E 11 10 10 10 11 0E",
        "D": "1C 12 11 11 11 12 1C",
        "E": "1F 10 10 1E 10 10 1F",
        "F": "1F 10 10 1E 10 10 10",
        "G": "0E 11 10 17 11 11 0F",
        "H": "11 11 11 1F 11 11 11",
        "I": "0E 04 04 04 04 04 0E",
        "J": "07 02 02 02 02 12 0C",
        "K": "11 12 14 18 14 12 11",
        "L": "10 10 10 10 10 10 1F",
        "M": "11 1B 15 15 11 11 11",
        "N": "11 11 19 15 13 11 11",
        "O": "0E 11 11 11 11 11 0E",
        "P": "1E 11 11 1E 10 10 10",
        "Q": "0E 11 11 11 15 12 0D",
        "R": "1E 11 11 1E 14 12 11",
        "S": "0F 10 10 0E 01 01 1E",
        "T": "1F 04 04 04 04 04 04",
        "U": "11 11 11 11 11 11 0E",
        "V": "11 11 11 11 11 0A 04",
        "W": "11 11 11 15 15 15 0A",
        "X": "11 11 0A 04 0A 11 11",
        "Y": "11 11 11 0A 04 04 04",
        "Z": "1F 01 02 04 08 10 1F",
        "a": "00 00 0E 01 0F 11 0F",
        "m": "00 00 1A 15 15 11 11",
        "s": "00 00 0E 10 0E 01 1E",
        "z": "00 00 1F 02 04 08 1F",
    }
)


def lettering(text: str, scale: int = 1) -> NDArray[np.bool_]:
    """The text as ink, shape (7 * scale, 6 * scale * characters); small letters without glyph become capitals.

    At most 40 characters; what has no glyph is left blank.
    """
    kept = text[:40]
    ink = np.zeros((ROWS, max(len(kept), 1) * (COLUMNS + 1)), np.bool_)
    for position, character in enumerate(kept):
        glyph = _GLYPHS.get(character) or _GLYPHS.get(character.upper())
        if glyph is None:
            continue
        rows = np.array([int(row, 16) for row in glyph.split()], np.uint8)
        bits = np.unpackbits(rows[:, None], axis=1)[:, 8 - COLUMNS :].astype(np.bool_)
        left = position * (COLUMNS + 1)
        ink[:, left : left + COLUMNS] = bits
    return np.repeat(np.repeat(ink, scale, axis=0), scale, axis=1)


def stamped(
    picture: NDArray[np.uint8], text: str, top: int, left: int, scale: int, ink: tuple[int, int, int]
) -> None:
    """Writes the text into an RGB picture in place, cut at its edges."""
    letters = lettering(text, scale)
    part = picture[top : top + letters.shape[0], left : left + letters.shape[1]]
    part[letters[: part.shape[0], : part.shape[1]]] = ink
