"""Files kept open for reading, at most so many; one that is being read from is never closed under the reader."""

import errno
import os
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final

import numpy as np

from samsyn import limits

_BLOCK_BYTES: Final = 4 * limits.KIB
"""Blocks of a file system."""


@dataclass(slots=True)
class OpenFile:
    """A file that is read from, and what was asked about this very one when it was opened."""

    descriptor: int
    about: object = None
    users: int = 0
    is_dropped: bool = False


def at_hand(descriptor: int, offset: int, length: int) -> memoryview | None:
    """What a file holds there, without waiting for the disk: None when not all of it is in the page cache, or the file
    system can not tell. OSError as the system tells it."""
    # A bytearray would be filled with zeros first, which costs nearly as much as reading into it.
    buffer = np.empty(length, np.uint8).data
    try:
        count = os.preadv(descriptor, [buffer], offset, os.RWF_NOWAIT)
    except OSError as problem:
        if problem.errno not in (errno.EAGAIN, errno.EOPNOTSUPP):
            raise
        return None
    return buffer if count == length else None


class OpenFiles:
    """Reads from many files by many threads. A descriptor that is reused too early would give another file's bytes."""

    def __init__(self, most: int, about: Callable[[int], object] | None = None) -> None:
        """`about(descriptor)` is asked once for each file that is opened, and its answer kept with the descriptor."""
        self._most = most
        self._about = about
        self._files: OrderedDict[Hashable, OpenFile] = OrderedDict()
        self._lock = Lock()

    def read(self, key: Hashable, path: Path, offset: int, length: int) -> bytes:
        """What the file holds there, shorter when it ends early. OSError as the system tells it."""
        file = self.take(key, path)
        try:
            return os.pread(file.descriptor, length, offset)
        finally:
            self.give_back(file)

    def is_hollow(self, key: Hashable, path: Path, offset: int, length: int) -> bool:
        """Whether the file has no blocks there, but for the first and the last, which hold neighbours' bytes."""
        file = self.take(key, path)
        try:
            return (
                os.lseek(file.descriptor, offset + _BLOCK_BYTES, os.SEEK_DATA)
                >= offset + length - _BLOCK_BYTES
            )
        except OSError as problem:
            if problem.errno != errno.ENXIO:
                raise
            return True  # no data up to the file's end
        finally:
            self.give_back(file)

    def drop(self, key: Hashable) -> None:
        """The next read opens the file anew: it was replaced."""
        with self._lock:
            file = self._files.pop(key, None)
            if file is not None:
                self._close_when_unused(file)

    def close(self) -> None:
        """Closes every file."""
        with self._lock:
            for file in self._files.values():
                self._close_when_unused(file)
            self._files.clear()

    def take(self, key: Hashable, path: Path) -> OpenFile:
        """The open file, which stays open until it is given back. OSError as the system tells it."""
        with self._lock:
            file = self._files.get(key)
            if file is None:
                file = self._files[key] = self._open(path)
                if len(self._files) > self._most:
                    _, oldest = self._files.popitem(last=False)
                    self._close_when_unused(oldest)
            else:
                self._files.move_to_end(key)
            file.users += 1
            return file

    def _open(self, path: Path) -> OpenFile:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            return OpenFile(descriptor, self._about(descriptor) if self._about is not None else None)
        except BaseException:
            os.close(descriptor)
            raise

    def give_back(self, file: OpenFile) -> None:
        """Whoever took it reads no more."""
        with self._lock:
            file.users -= 1
            if file.is_dropped and not file.users:
                os.close(file.descriptor)

    @staticmethod
    def _close_when_unused(file: OpenFile) -> None:
        file.is_dropped = True
        if not file.users:
            os.close(file.descriptor)
