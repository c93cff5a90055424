"""What the writer's thread was given and has not told the outcome of, in order."""

import queue
import threading
from typing import Final

from samsyn import limits
from samsyn.store.spool import SpooledBody
from samsyn.store.submitted import Submitted

_STOP: Final = None
_BATCH_BYTES: Final = 32 * limits.MIB


class Handed:
    """Put in by any thread, taken out by the writer's alone."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Submitted | None] = queue.SimpleQueue()
        self._put_off: Submitted | None = None
        """Taken from the queue, and the first of the next batch."""
        self._lock = threading.Lock()
        self._untold = 0
        self.is_stopping = False
        """Whether the sign to stop was met: nothing comes after it."""

    @property
    def waiting(self) -> int:
        """How many have not been taken yet, about."""
        return self._queue.qsize()

    @property
    def untold(self) -> int:
        """How many have not been told their outcome yet, those that are being decided included."""
        return self._untold

    def put(self, items: list[Submitted]) -> None:
        """Puts them behind what is there."""
        with self._lock:
            self._untold += len(items)
        for item in items:
            self._queue.put(item)

    def told(self, count: int) -> None:
        """So many have their outcome."""
        with self._lock:
            self._untold -= count

    def stop(self) -> None:
        """Puts the sign to stop behind what is there."""
        self._queue.put(_STOP)

    def take(self, timeout_s: float | None = None) -> Submitted | None:
        """The next one, None for the sign to stop. queue.Empty: none has come in so many seconds (None = wait)."""
        if self._put_off is not None:
            item, self._put_off = self._put_off, None
            return item
        return self._queue.get(timeout=timeout_s)

    def gather(self, batch: list[Submitted]) -> None:
        """Adds what waits to a batch, up to its bounds. A spooled body is a batch of its own."""
        if isinstance(batch[0].body, SpooledBody):
            return
        size = sum(len(item.body or b"") for item in batch)
        while (
            len(batch) < limits.COMMIT_BATCH
            and size < _BATCH_BYTES
            and not self.is_stopping
            and self._put_off is None
        ):
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return
            if item is _STOP:
                self.is_stopping = True
                return
            if isinstance(item.body, SpooledBody):
                self._put_off = item
                return
            batch.append(item)
            size += len(item.body or b"")
