"""Documents on disk with a table of their marks, places where a text is put in that whoever asks brings along.

A document leaves for any address without being looked through or copied: what lies between the marks is sent as it was
read, window by window. On disk: `document | offset of each mark (8 bytes each) | _TAIL`, in which lies what tells the
things that it was made of from all others.
"""

import asyncio
import os
import struct
import sys
from array import array
from bisect import bisect_left
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from samsyn import limits
from samsyn.errors import DamagedData
from samsyn.store.open_files import at_hand

_TAIL: Final = struct.Struct("<QQ16s8s")
"""Bytes of the document, number of marks, what it was made of, _MAGIC."""
_MAGIC: Final = b"SMARKED2"
WINDOW_BYTES: Final = 512 * limits.KIB
"""Read and handed on at once: a tenth of a millisecond, so others of the loop hardly wait."""


@dataclass(frozen=True, slots=True)
class Marked:
    """One document as it lay on disk when it was looked up."""

    path: Path
    mark: bytes
    length: int
    """Bytes of the document with its marks."""
    offsets: "array[int]"
    made_of: bytes
    """As `with_table` was told."""
    identity: tuple[int, int, int]

    def length_with(self, text: bytes) -> int:
        """Bytes of the document with the text in place of each mark."""
        return self.length + len(self.offsets) * (len(text) - len(self.mark))

    async def pieces(self, text: bytes, executor: Executor) -> AsyncIterator[Sequence[bytes | memoryview]]:
        """The document with the text in place of each mark, in order; several pieces to a window. A window that is not
        in the page cache is read by the executor.

        DamagedData: the file is not what it was, or has become another meanwhile; what has left is no whole document.
        """
        loop = asyncio.get_running_loop()
        descriptor = await loop.run_in_executor(executor, os.open, self.path, os.O_RDONLY)
        try:
            if _identity(descriptor) != self.identity:
                raise DamagedData(f"{self.path.name} was replaced")
            place = number = 0
            while place < self.length:
                end, following = self._window(place)
                data = at_hand(descriptor, place, end - place)
                if data is None:
                    read = await loop.run_in_executor(executor, os.pread, descriptor, end - place, place)
                    data = memoryview(read)
                if len(data) != end - place:
                    raise DamagedData(f"{self.path.name} is short")
                yield self._filled(data, place, self.offsets[number:following], text)
                place, number = end, following
        finally:
            os.close(descriptor)

    def _window(self, place: int) -> tuple[int, int]:
        """Where a window from here on ends, so that it parts no mark, and how many marks lie before its end."""
        end = min(place + WINDOW_BYTES, self.length)
        following = bisect_left(self.offsets, end)
        if following and self.offsets[following - 1] + len(self.mark) > end:
            following -= 1
            end = self.offsets[following]
        return end, following

    def _filled(
        self, data: memoryview, place: int, offsets: "array[int]", text: bytes
    ) -> Sequence[bytes | memoryview]:
        pieces: list[bytes | memoryview] = []
        begins, size = 0, len(self.mark)
        for offset in offsets:
            ends = offset - place
            if data[ends : ends + size] != self.mark:
                raise DamagedData(f"{self.path.name} has no mark at {offset}")
            pieces += (data[begins:ends], text)
            begins = ends + size
        pieces.append(data[begins:])
        return pieces


def with_table(document: bytes, mark: bytes, made_of: bytes) -> bytes:
    """The document as it is written to disk; `made_of`: 16 bytes that tell what it was made of from all else."""
    offsets, found = array("Q"), document.find(mark)
    while found >= 0:
        offsets.append(found)
        found = document.find(mark, found + len(mark))
    tail = _TAIL.pack(len(document), len(offsets), made_of, _MAGIC)
    return b"".join((document, _as_little(offsets).tobytes(), tail))


def looked_up(path: Path, mark: bytes) -> Marked:
    """The document at the path. Blocking; FileNotFoundError, and DamagedData for a file that is not whole."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return _looked_up(descriptor, path, mark)
    finally:
        os.close(descriptor)


def read(path: Path) -> bytes:
    """The document with its marks. Blocking; FileNotFoundError, and DamagedData for a file that is not whole."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return _read(descriptor, 0, _looked_up(descriptor, path, b"").length)
    finally:
        os.close(descriptor)


def _looked_up(descriptor: int, path: Path, mark: bytes) -> Marked:
    identity = _identity(descriptor)
    size = identity[1]
    length, count, made_of, magic = _TAIL.unpack(_read(descriptor, max(size - _TAIL.size, 0), _TAIL.size))
    if magic != _MAGIC or length + count * 8 + _TAIL.size != size:
        raise DamagedData(f"{path.name} has no table")
    offsets = array("Q", _read(descriptor, length, count * 8))
    return Marked(path, mark, length, _as_little(offsets), made_of, identity)


def _read(descriptor: int, offset: int, length: int) -> bytes:
    data = os.pread(descriptor, length, offset)
    if len(data) != length:
        raise DamagedData("a kept document is short")
    return data


def _identity(descriptor: int) -> tuple[int, int, int]:
    told = os.fstat(descriptor)
    return told.st_ino, told.st_size, told.st_mtime_ns


def _as_little(offsets: "array[int]") -> "array[int]":
    if sys.byteorder != "little":
        offsets.byteswap()
    return offsets
