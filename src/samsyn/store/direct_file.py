"""A file that is written at its end past the page cache, in whole blocks.

The kernel's page cache makes a synced write of some hundred kB dear: pages are taken, filled, marked, written by
another thread and waited for. O_DIRECT hands the bytes to the disk from one aligned buffer. What does not fill
the last block is padded with zeros, kept, and written again with what follows. Where the file system knows no
O_DIRECT the same bytes go through the cache.
"""

import errno
import mmap
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from samsyn import limits

Part = bytes | bytearray | memoryview

_BLOCK: Final = 4 * limits.KIB
"""Alignment that every common disk and file system takes for O_DIRECT."""
_BUFFER_BYTES: Final = 4 * limits.MIB


class DirectFile:
    """One file open for writing, by one thread at a time. OSError: as of the system call that failed."""

    def __init__(self, path: Path) -> None:
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_DIRECT)
        except OSError as problem:
            if problem.errno != errno.EINVAL:
                raise
            self._descriptor = os.open(path, os.O_RDWR)
        self._pages = mmap.mmap(-1, _BUFFER_BYTES)
        self._buffer = memoryview(self._pages)
        self._kept = -1
        """Offset of the block whose bytes stand at the buffer's beginning, -1 = none."""
        self._zeros: mmap.mmap | None = None

    @property
    def size(self) -> int:
        """The file's length in bytes, padding included."""
        return os.fstat(self._descriptor).st_size

    def write(self, parts: Sequence[Part], offset: int) -> int:
        """Writes the parts one after the other at `offset`, which is the end of what counts; their length.

        Up to the next whole block the file has zeros behind them.
        """
        start = offset - offset % _BLOCK
        filled = offset - start
        if filled and self._kept != start:
            self._keep(start)
        self._kept = -1
        total = 0
        for part in parts:
            view = memoryview(part)
            total += len(view)
            while view:
                piece = view[: _BUFFER_BYTES - filled]
                self._buffer[filled : filled + len(piece)] = piece
                filled += len(piece)
                view = view[len(piece) :]
                if filled == _BUFFER_BYTES:
                    self._put(start, filled)
                    start, filled = start + filled, 0
        padded = -(-filled // _BLOCK) * _BLOCK
        self._buffer[filled:padded] = bytes(padded - filled)
        self._put(start, padded)
        whole = filled - filled % _BLOCK
        self._kept = start + whole
        if whole:
            self._buffer[:_BLOCK] = self._buffer[whole : whole + _BLOCK]
        return total

    def write_zeros(self, offset: int, length: int) -> int:
        """Writes zeros from `offset`, which is at a block's border, for a whole number of blocks; how many bytes."""
        if self._zeros is None or len(self._zeros) != length:
            # Private and never written to: all of it is the kernel's one page of zeros, and takes no memory.
            self._zeros = mmap.mmap(-1, length, mmap.MAP_PRIVATE, mmap.PROT_READ)
        return os.pwrite(self._descriptor, self._zeros, offset)

    def sync(self) -> None:
        """Durable when it returns."""
        os.fdatasync(self._descriptor)

    def cut(self, length: int) -> None:
        """Ends the file at `length`."""
        self._kept = -1
        os.ftruncate(self._descriptor, length)

    def close(self) -> None:
        """Closes the file without a sync."""
        os.close(self._descriptor)
        self._buffer.release()
        self._pages.close()

    def _keep(self, start: int) -> None:
        """Fetches the block that `start` begins."""
        got = os.preadv(self._descriptor, [self._buffer[:_BLOCK]], start)
        self._buffer[got:_BLOCK] = bytes(_BLOCK - got)

    def _put(self, start: int, length: int) -> None:
        done = 0
        while done < length:
            done += os.pwritev(self._descriptor, [self._buffer[done:length]], start + done)


def block_border(offset: int) -> int:
    """The next offset at or behind this one at which `write_zeros` may begin."""
    return -(-offset // _BLOCK) * _BLOCK
