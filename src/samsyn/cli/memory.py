"""How the serving process keeps its memory (docs/adr/0039)."""

import ctypes
import gc
from typing import Final

from samsyn import limits

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
"""Names of glibc's malloc.h (mallopt(3))."""

_ARENAS: Final = 2
"""The loop's and one for all other threads; eight for each processor, as glibc has it, each keep what was freed."""
_MAPPED_BYTES: Final = 4 * limits.MIB
"""What is larger has pages of its own, which go back when it is freed: objects, documents of thousands of instances.
Left alone, glibc raises this to 32 MiB with the first large thing that is freed, and keeps the holes. What comes and
goes all the time (data sets of slices, windows, groups that are sent) is smaller and costs no new pages."""
_FREE_AT_THE_END_BYTES: Final = 16 * limits.MIB
"""Free bytes at the end of the heap that are kept for the next burst; more goes back to the system."""


def bound_what_is_kept() -> None:
    """Has the C library keep little of what was freed; before any thread starts. Nothing where it is not glibc."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    for name, value in (
        (_M_ARENA_MAX, _ARENAS),
        (_M_MMAP_THRESHOLD, _MAPPED_BYTES),
        (_M_TRIM_THRESHOLD, _FREE_AT_THE_END_BYTES),
    ):
        mallopt(name, value)


def keep_what_has_started() -> None:
    """Takes all that the start has made (programs, settings, routes: some hundred thousand objects that live as long as
    the process) out of what Python searches for unused circles. Each whole search stops the process, so that it costs
    the requests of that moment 0.1 s and more, for nothing."""
    gc.collect()
    gc.freeze()
