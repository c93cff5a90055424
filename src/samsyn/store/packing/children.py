"""A few coding children for whoever reads or settles, from any thread. None is started before one is needed."""

import contextlib
import fcntl
import logging
import os
import select
import subprocess
import sys
import time
from collections import OrderedDict
from pathlib import Path
from queue import Empty, LifoQueue
from threading import BoundedSemaphore, Lock
from typing import Final

import samsyn
from samsyn import limits
from samsyn.errors import DamagedData, OutOfResources
from samsyn.store.packing.extents import Codec, Shape
from samsyn.store.packing.messages import ANSWER, CODE, DECODE, DONE, READY, question

log = logging.getLogger(__name__)

_START_S: Final = 20.0
_F_SETPIPE_SZ: Final = 1031
"""Linux fcntl: a pipe of 1 MiB takes a whole CT frame in one wake-up."""


class CodingChildren:
    """At most limits.CODING_CHILDREN processes; `close` ends them."""

    def __init__(self) -> None:
        self._places = BoundedSemaphore(limits.CODING_CHILDREN)
        self._idle: LifoQueue[_Child] = LifoQueue()
        self._is_closed = False
        self._kept: OrderedDict[object, bytes] = OrderedDict()
        self._kept_bytes = 0
        self._lock = Lock()

    def kept(self, key: object) -> bytes | None:
        """See Decoder."""
        with self._lock:
            return self._kept.get(key)

    def keep(self, key: object, data: bytes) -> None:
        """See Decoder; at most limits.KEPT_DECODED_BYTES, the oldest go first."""
        with self._lock:
            self._kept_bytes += len(data) - len(self._kept.pop(key, b""))
            self._kept[key] = data
            while self._kept_bytes > limits.KEPT_DECODED_BYTES:
                self._kept_bytes -= len(self._kept.popitem(last=False)[1])

    def coded(self, codec: Codec, shape: Shape, data: bytes) -> bytes | None:
        """The code stream of a native frame, which was decoded again and compared; None = it stays as it is: there is
        no gain, the codec refuses it, or it cost its child. OutOfResources: not now."""
        try:
            return self._ask(CODE, codec, shape, data)
        except _Gone:
            return None

    def decoded(self, codec: Codec, shape: Shape, data: bytes) -> bytes:
        """The frame that was coded. DamagedData: it is none. OutOfResources: not now."""
        try:
            found = self._ask(DECODE, codec, shape, data)
        except _Gone as gone:
            if gone.is_late:
                raise OutOfResources("RENDER_DEADLINE_S: a frame takes too long now") from gone
            raise DamagedData("a coded frame cost its child") from gone
        if found is None:
            raise DamagedData("a coded frame can not be decoded")
        return found

    def _ask(self, what: int, codec: Codec, shape: Shape, data: bytes) -> bytes | None:
        if not self._places.acquire(timeout=limits.RENDER_WAIT_S):
            raise OutOfResources("CODING_CHILDREN: all of them are at work")
        try:
            if self._is_closed:
                raise OutOfResources("the store is closed")
            head = question(what, codec, shape, len(data))
            with contextlib.suppress(Empty, _Gone):
                # One that waited may have been ended by the system meanwhile, which is no fault of the frame.
                return self._answer(self._idle.get_nowait(), head, data, shape.length)
            return self._answer(_Child(), head, data, shape.length)
        finally:
            self._places.release()

    def _answer(self, child: "_Child", head: bytes, data: bytes, most: int) -> bytes | None:
        try:
            answer = child.ask(head, data, most)
        except BaseException:
            child.end()
            raise
        self._idle.put(child)
        if self._is_closed:
            self.close()  # which has come by meanwhile
        return answer

    def close(self) -> None:
        """Ends the children."""
        self._is_closed = True
        with contextlib.suppress(Empty):
            while True:
                self._idle.get_nowait().end()


class _Gone(Exception):
    """The child died, answered nonsense or (`is_late`) did not answer in time; it is to be ended."""

    def __init__(self, is_late: bool = False) -> None:
        super().__init__()
        self.is_late = is_late


class _Child:
    """One process and its two pipes."""

    def __init__(self) -> None:
        """OutOfResources: it does not start."""
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-s", "-m", "samsyn.store.packing.child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={"PYTHONPATH": str(Path(samsyn.__file__).parent.parent), "OMP_NUM_THREADS": "1"},
                bufsize=0,
                start_new_session=True,
            )
        except OSError as problem:
            raise OutOfResources("no coding child could be started") from problem
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to, self._from = self._process.stdin.fileno(), self._process.stdout.fileno()
        for descriptor in (self._to, self._from):
            os.set_blocking(descriptor, False)
            with contextlib.suppress(OSError):  # the user's pipe quota is used up: slower, not wrong
                fcntl.fcntl(descriptor, _F_SETPIPE_SZ, limits.MIB)
        try:
            outcome, _ = ANSWER.unpack(self._read(ANSWER.size, time.monotonic() + _START_S))
        except _Gone as problem:
            self.end()
            raise OutOfResources("the coding child does not start") from problem
        if outcome != READY:
            self.end()
            raise OutOfResources("the coding child does not start")

    def ask(self, head: bytes, data: bytes, most: int) -> bytes | None:
        """The body of the answer, of `most` bytes at the most; None = it could not be done."""
        until = time.monotonic() + limits.RENDER_DEADLINE_S
        self._write(head, until)
        self._write(data, until)
        outcome, length = ANSWER.unpack(self._read(ANSWER.size, until))
        if length > most:
            raise _Gone
        body = self._read(length, until)
        return body if outcome == DONE else None

    def _write(self, data: bytes, until: float) -> None:
        view = memoryview(data)
        while view:
            self._wait(self._to, select.POLLOUT, until)
            try:
                view = view[os.write(self._to, view) :]
            except BrokenPipeError as problem:
                raise _Gone from problem

    def _read(self, length: int, until: float) -> bytes:
        buffer = bytearray(length)
        view, filled = memoryview(buffer), 0
        while filled < length:
            self._wait(self._from, select.POLLIN, until)
            got = os.readv(self._from, [view[filled:]])
            if not got:
                raise _Gone
            filled += got
        return bytes(buffer)

    @staticmethod
    def _wait(descriptor: int, event: int, until: float) -> None:
        poll = select.poll()
        poll.register(descriptor, event)
        if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
            raise _Gone(is_late=True)

    def end(self) -> None:
        """Ends the process, whatever it does."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
