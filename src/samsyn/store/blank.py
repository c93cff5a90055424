"""Zeros that cost no memory until something is written among them."""

import mmap
from typing import Final

_NORESERVE: Final = 0x4000
"""MAP_NORESERVE of Linux, which the module mmap does not name before Python 3.13."""


def blank(length: int) -> mmap.mmap:
    """A private buffer of so many zeros, more than 0, whose pages come into being when they are written to."""
    return mmap.mmap(-1, length, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NORESERVE)
