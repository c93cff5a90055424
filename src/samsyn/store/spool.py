"""Large bodies on their way into the journal: written and hashed while they arrive, each to a file of its own.

The file is laid out as a journal segment of one record from its first byte: room for the frame, the body, later the
header. When the writer has decided, the frame and the header are put around the body and the file takes the next
segment's name (`Journal.adopt`), so that a body is written once, the serial section writes some kilobytes, and nothing
that reads segments needs to know. Where the journal lies in an object store, the body is put there before. Until then
the name says that nobody was promised anything: the next start takes it away.
"""

import contextlib
import errno
import hashlib
import mmap
import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Final

from samsyn import limits
from samsyn.errors import LimitExceeded, OutOfResources, StoreFailed
from samsyn.store.checksum import Checksum
from samsyn.store.direct_file import DirectFile, Part
from samsyn.store.durable import sync_folder
from samsyn.store.records import FRAME

_SUFFIX: Final = ".arriving"


class SpooledBody:
    """One body in the making. By one thread at a time, but for `discard`, which waits until a write has ended; whatever
    comes after it is refused (OutOfResources)."""

    def __init__(self, path: Path, largest: tuple[int, str], ended: Callable[[], None]) -> None:
        """OSError as of any new file. `largest`: bytes that it takes, and that limit's name. `ended` is called once,
        when the place is free for another."""
        self._path = path
        self._largest = largest
        self._ended = ended
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        self._file: DirectFile | None = DirectFile(path)
        self._reading = os.open(path, os.O_RDONLY)
        self._digest = hashlib.sha256()
        self._checksum = Checksum()
        self._length = 0
        self._lock = Lock()
        self.laid = ""
        """Where a journal has put it ahead of its record (`lay`); "" = it lies in its file alone."""
        self.is_adopted = False
        """Whether a journal has tried to make it part of a record, which may count then."""

    def __len__(self) -> int:
        """Bytes so far."""
        return self._length

    @property
    def sha256(self) -> str:
        """SHA-256 of the bytes so far, hex."""
        return self._digest.hexdigest()

    @property
    def checksum(self) -> int:
        """The quick check of the bytes so far."""
        return self._checksum.value

    def append(self, data: Part) -> None:
        """Hashes and writes. OutOfResources: the disk is full, but for limits.DISK_RESERVE_BYTES. StoreFailed: it
        refuses. LimitExceeded: more than this journal takes as one body."""
        if self._length + len(data) > self._largest[0]:
            raise LimitExceeded(self._largest[1])
        self._digest.update(data)
        self._checksum.update(data)
        with self._lock, _told():
            file = self._opened()
            facts = os.fstatvfs(self._reading)
            if facts.f_bavail * facts.f_frsize - len(data) < limits.DISK_RESERVE_BYTES:
                raise OutOfResources("DISK_RESERVE_BYTES: the disk is nearly full")
            self._length += file.write([data], FRAME.size + self._length)

    def sync(self) -> None:
        """The body is on the disk when this returns. Errors as in `append`."""
        with self._lock, _told():
            self._opened().sync()

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the body, fewer at its end."""
        length = min(length, self._length - offset)
        with self._lock:
            self._opened()
            return os.pread(self._reading, length, FRAME.size + offset) if length > 0 else b""

    def pages(self) -> memoryview:
        """The body as the file has it, valid until `discard`. OSError: it can not be had."""
        with self._lock:
            self._opened()
            end = FRAME.size + self._length
            return memoryview(mmap.mmap(self._reading, end, access=mmap.ACCESS_READ))[FRAME.size :]

    def become(self, path: Path, frame: bytes, header: bytes) -> None:
        """Makes of the file a whole, durable segment of one record under the name `path`, which nothing has yet.
        OSError: it is not, or its name may not be durable."""
        with self._lock:
            self._put_around(frame, header)
            self._path.rename(path)
            sync_folder(path.parent)

    def _put_around(self, frame: bytes, header: bytes) -> None:
        file = self._opened()
        end = FRAME.size + self._length
        end += file.write([header], end)
        file.cut(end)
        descriptor = os.open(self._path, os.O_WRONLY)
        try:
            os.pwrite(descriptor, frame, 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def discard(self) -> None:
        """Lets go of the file, and takes it away if it did not become a segment."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None
                os.close(self._reading)
                self._path.unlink(missing_ok=True)
                self._ended()

    def _opened(self) -> DirectFile:
        if self._file is None:
            raise OutOfResources("the sender went away")
        return self._file


class Spool:
    """Makes SpooledBodies in one folder, the journal's own, so that they can become segments of it."""

    def __init__(self, folder: Path, largest: tuple[int, str]) -> None:
        """Takes away what a process left that is gone; only who holds the data folder may make one."""
        self._folder = folder
        self._largest = largest
        self._numbers = count(1)
        self._open = 0
        for left in folder.glob(f"*{_SUFFIX}"):
            left.unlink(missing_ok=True)

    def begin(self) -> SpooledBody:
        """A new, empty body. OutOfResources: limits.MAX_SPOOLED are under way, or the disk refuses."""
        if self._open >= limits.MAX_SPOOLED:
            raise OutOfResources("MAX_SPOOLED: too many large objects arrive at once")
        self._open += 1
        try:
            with _told():
                return SpooledBody(
                    self._folder / f"{next(self._numbers)}{_SUFFIX}", self._largest, self._closed
                )
        except BaseException:
            self._open -= 1
            raise

    def _closed(self) -> None:
        self._open -= 1


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What the disk says, in the store's words."""
    try:
        yield
    except OSError as problem:
        if problem.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OutOfResources("the journal's disk is full") from problem
        raise StoreFailed(f"spool: {problem.strerror}") from problem
