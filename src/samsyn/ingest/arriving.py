"""A large data set while it arrives: hashed and written to disk in a thread, in step with its sender."""

import asyncio
from collections import deque
from collections.abc import Callable

from samsyn import limits
from samsyn.errors import LimitExceeded, SamsynError
from samsyn.store.spool import SpooledBody


class LargeArrival:
    """What a door does with a data set that is too large for memory: `take` as it comes, `whole` at its end, and in any
    case `drop`. On one event loop."""

    def __init__(
        self,
        begin: Callable[[], SpooledBody],
        largest_bytes: int,
        largest_name: str,
        eased: Callable[[], None],
    ) -> None:
        """`begin` opens the file, once something is written. `largest_bytes`: where the data set is refused, by that
        name. `eased` is called when `is_behind` has become False."""
        self._begin = begin
        self._largest = (largest_bytes, largest_name)
        self._eased = eased
        self._body: SpooledBody | None = None
        self._piece = bytearray()
        self._waiting: deque[bytearray] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._refusal: SamsynError | None = None
        self._length = 0
        self._is_dropped = False

    @property
    def is_behind(self) -> bool:
        """Whether the sender should wait: as much is in memory as shall be."""
        return bool(self._waiting)

    def take(self, data: bytes | bytearray | memoryview) -> None:
        """Takes the next bytes; a bytearray as a whole, which nobody else may use any more. Once it is refused, the
        rest is let go."""
        self._length += len(data)
        if self._length > self._largest[0]:
            self._refuse(LimitExceeded(self._largest[1]))
        if self._refusal is not None or self._is_dropped:
            return
        if isinstance(data, bytearray) and not self._piece:
            self._piece = data
        else:
            self._piece += data
        if len(self._piece) >= limits.SPOOL_PIECE_BYTES:
            self._hand_on()

    async def whole(self) -> SpooledBody:
        """The data set, once all of it is written. SamsynError: why it was refused (full disk, too long)."""
        if self._piece or self._body is None:
            self._hand_on()
        if self._worker is not None:
            await self._worker
        if self._refusal is not None:
            raise self._refusal
        assert self._body is not None
        return self._body

    def drop(self) -> None:
        """Lets go of it; what has been stored stays stored."""
        if not self._is_dropped:
            self._is_dropped = True
            self._forget()

    def _hand_on(self) -> None:
        self._waiting.append(self._piece)
        self._piece = bytearray()
        if self._worker is None:
            self._worker = asyncio.get_running_loop().create_task(self._write_all())

    async def _write_all(self) -> None:
        try:
            while self._waiting and self._refusal is None and not self._is_dropped:
                await asyncio.to_thread(self._write, self._waiting[0])
                self._waiting.popleft()
                if not self._waiting:
                    self._eased()
        except SamsynError as refusal:
            self._refusal = refusal
        finally:
            self._worker = None
            if self._refusal is not None or self._is_dropped:
                self._forget()

    def _write(self, piece: bytearray) -> None:
        if self._body is None:
            self._body = self._begin()
        self._body.append(piece)

    def _refuse(self, refusal: SamsynError) -> None:
        if self._refusal is None:
            self._refusal = refusal
            self._forget()

    def _forget(self) -> None:
        """Gives file and memory back, unless the thread is still writing, which does it at its end."""
        self._piece = bytearray()
        if self._worker is None:
            was_behind, body = self.is_behind, self._body
            self._waiting.clear()
            self._body = None
            if body is not None:
                body.discard()
            if was_behind:
                self._eased()
