"""How the serving process keeps its memory (docs/adr/0039)."""

import asyncio
import ctypes
import gc
import time
from collections.abc import Callable
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
LOOK_S: Final = 5.0
"""How often it is looked whether free pages are to be given back: some seconds after a burst they are not missed."""
_IDLE_SHARE: Final = 0.1
"""Of one processor, taken since the last look: less is idle, so that no burst has to fetch its pages again."""
_WORTH_BYTES: Final = 8 * limits.MIB
"""Less that is free is not looked for."""
_WORTH_S: Final = 1.0
"""Processor time taken since pages were given back last: so much work may have fetched them again."""
_TOO_MUCH_BYTES: Final = 24 * limits.MIB
"""So much goes back while much is done, too: what lay in bursts that are over, as far as anybody can tell."""
_BUSY_PAUSE_S: Final = 30.0
"""Not more often: to go through the heap takes some milliseconds, in which nobody else gets memory from it."""


_FIELDS: Final = (
    *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
    *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
)


class _Mallinfo(ctypes.Structure):
    """What mallinfo2(3) tells, in bytes or blocks."""

    _fields_ = tuple((name, ctypes.c_size_t) for name in _FIELDS)


class FreePages:
    """Gives back what is free between things in use, while little is done, or when it has become much: bursts of small
    things leave it there."""

    def __init__(
        self,
        wall: Callable[[], float] = time.monotonic,
        taken: Callable[[], float] = time.process_time,
    ) -> None:
        """`wall`: seconds that pass; `taken`: seconds of processor time of this process."""
        library = ctypes.CDLL(None)
        self._trim = getattr(library, "malloc_trim", None)
        self._info = getattr(library, "mallinfo2", None)
        if self._info is not None:
            self._info.restype = _Mallinfo
        self._wall, self._taken = wall, taken
        self._seen = wall(), taken()
        self._given_back = self._seen[0], 0.0
        """When pages were given back last, by both clocks."""

    async def look(self) -> bool:
        """Whether pages were given back. For every LOOK_S; nothing where the C library is not glibc 2.33 or later."""
        if self._trim is None or self._info is None:
            return False
        now = self._wall(), self._taken()
        passed, taken = (new - old for new, old in zip(now, self._seen, strict=True))
        self._seen = now
        is_idle = taken <= passed * _IDLE_SHARE
        if not is_idle and now[0] - self._given_back[0] < _BUSY_PAUSE_S:
            return False
        if now[1] - self._given_back[1] < _WORTH_S:
            return False
        if self._free_bytes() < (_WORTH_BYTES if is_idle else _TOO_MUCH_BYTES):
            return False
        # A thread, which waits without Python's lock: it goes through the whole heap, some milliseconds.
        await asyncio.to_thread(self._trim, ctypes.c_size_t(0))
        self._given_back = now
        return True

    def _free_bytes(self) -> int:
        """Free in the heap, whether its pages are there or not."""
        assert self._info is not None
        return int(self._info().fordblks)


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
