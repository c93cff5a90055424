"""Holes in files: the file system gets blocks back, and everything else in the file stays where it is (Linux)."""

import ctypes
import os
from typing import Final

_KEEP_SIZE: Final = 1
_PUNCH_HOLE: Final = 2


def make_hole(descriptor: int, offset: int, length: int) -> None:
    """Takes these bytes out of the file; they read as zeros from now on. OSError: the file system can not do that."""
    fallocate = ctypes.CDLL(None, use_errno=True).fallocate
    fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    if fallocate(descriptor, _KEEP_SIZE | _PUNCH_HOLE, offset, length) != 0:
        problem = ctypes.get_errno()
        raise OSError(problem, os.strerror(problem))


def is_sparse(facts: os.stat_result) -> bool:
    """Whether a file has fewer blocks than its length needs."""
    return facts.st_blocks * 512 < facts.st_size
