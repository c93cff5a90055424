"""Readers who do not read, and senders who do not send: an answer that nobody takes, or a body that does not come, must
not hold memory, a place or a View's work for ever.

Speed is judged by what has arrived at the peer, so that a slow net, whose bytes wait in the system's own buffers, is
told from a peer that takes nothing.
"""

import asyncio
import contextlib
import fcntl
import logging
import struct
import termios
from collections.abc import Callable
from typing import Final

from samsyn import limits

log = logging.getLogger(__name__)

_COUNT: Final = struct.Struct("i")


class Patience:
    """How long somebody has taken too little. Pure: the time in seconds and the bytes he has taken are told."""

    def __init__(self, now: float, taken: int) -> None:
        self.renew(now, taken)

    def renew(self, now: float, taken: int) -> None:
        """Nothing waits for him, or not by his fault: his time begins now."""
        self._since, self._taken = now, taken

    def is_earned(self, taken: int) -> bool:
        """Whether he has taken HTTP_LEAST_TAKEN_BYTES in his time."""
        return taken - self._taken >= limits.HTTP_LEAST_TAKEN_BYTES

    def is_spent(self, now: float, taken: int) -> bool:
        """Whether he has had HTTP_STALL_S and took less; who took enough begins anew."""
        if self.is_earned(taken):
            self.renew(now, taken)
        return now - self._since >= limits.HTTP_STALL_S


class Arrivals:
    """How much of what was written to a connection its peer's system has acknowledged."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._socket = transport.get_extra_info("socket")
        self._is_secured = transport.get_extra_info("ssl_object") is not None

    def waiting(self) -> int:
        """Bytes that have not arrived: in the transport and in the system's own buffer (SIOCOUTQ)."""
        if self._is_secured and self._transport.is_closing():
            return 0  # asyncio ends TLS within 30 s by itself, and such a transport can not be asked
        waiting = self._transport.get_write_buffer_size()
        if self._socket is not None and self._socket.fileno() >= 0:
            with contextlib.suppress(OSError):
                told = fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, bytes(_COUNT.size))
                waiting += int(_COUNT.unpack(told)[0])
        return waiting


class StallWatch:
    """Ends a connection whose peer does not take what was written to it, also while it is closing, or does not send the
    body that he owes."""

    def __init__(
        self,
        transport: asyncio.Transport,
        written: Callable[[], int],
        *,
        owed: Callable[[], int | None] = lambda: None,
        checked: Callable[[float, int], None] = lambda _now, _arrived: None,
    ) -> None:
        """`written`: bytes handed to the transport so far. `owed`: bytes that have come so far while a body is waited
        for, None while none is. `checked`: called at every look with the loop's time and the bytes that have arrived,
        for what else is judged by them."""
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._written = written
        self._owed = owed
        self._checked = checked
        self._arrivals = Arrivals(transport)
        self._patience = Patience(self._loop.time(), 0)
        self._sending = Patience(self._loop.time(), 0)
        self._waited = 0
        """What was written when his time began."""
        self._next = self._again()

    def stop(self) -> None:
        """The connection is gone, or watched by another."""
        self._next.cancel()

    def _again(self) -> asyncio.TimerHandle:
        return self._loop.call_later(limits.HTTP_STALL_S / limits.HTTP_STALL_CHECKS, self._look)

    def _look(self) -> None:
        now, written = self._loop.time(), self._written()
        waiting = self._arrivals.waiting()
        arrived = written - waiting
        if not waiting or arrived >= self._waited:
            # Also a peer who is sent little, and never all has arrived when it is looked, takes what waits for him.
            self._patience.renew(now, arrived)
            self._waited = written
        come = self._owed()
        if come is None:
            self._sending.renew(now, 0)
        if self._patience.is_spent(now, arrived) or (come is not None and self._sending.is_spent(now, come)):
            log.warning("http-stalled", extra={"limit": "HTTP_STALL_S"})
            self._transport.abort()
            return
        self._checked(now, arrived)
        self._next = self._again()
