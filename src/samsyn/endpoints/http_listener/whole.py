"""Answers in one write: what samsyn.wire.whole_answer promises, over HTTP/1.1."""

import os
from asyncio import Transport
from collections.abc import Sequence
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

_JOINED_BYTES: Final = 64 * 1024
"""Pieces that are copied to be one: cheaper than a call for each of them."""


class WholeAnswer:
    """Sends one answer of one request; see whole_answer.SendWhole."""

    __slots__ = ("_cycle", "_descriptor")

    def __init__(self, cycle: RequestResponseCycle, descriptor: int) -> None:
        """`descriptor`: of the connection's socket, or -1 where bytes must go through the transport (TLS)."""
        self._cycle = cycle
        self._descriptor = descriptor

    async def __call__(
        self, status: int, headers: Sequence[tuple[bytes, bytes]], pieces: Sequence[bytes]
    ) -> None:
        """As RequestResponseCycle.send for an answer's head and its body."""
        cycle = self._cycle
        if cycle.flow.write_paused and not cycle.disconnected:
            await cycle.flow.drain()
        if cycle.disconnected:
            return
        if cycle.response_started:
            raise RuntimeError("the answer has been begun already")
        lines = [b"%s: %s\r\n" % field for field in (*cycle.default_headers, *headers)]
        if not cycle.keep_alive:
            lines.append(b"connection: close\r\n")
        head = b"".join(lines)
        if not head.count(b"\n") == head.count(b"\r") == len(lines):
            raise RuntimeError("a header field holds the end of a line")
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        write(cycle.transport, self._descriptor, (STATUS_LINE[status], head, b"\r\n", *pieces))
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()


def write(transport: Transport, descriptor: int, pieces: Sequence[bytes]) -> None:
    """Writes the pieces one after the other, uncopied and in one call where the socket takes them.

    `descriptor` as WholeAnswer's. What the socket does not take waits in the transport, which also finds out when the
    peer has gone.
    """
    whole = sum(map(len, pieces))
    if whole <= _JOINED_BYTES:
        transport.write(b"".join(pieces))
        return
    sent = 0
    if descriptor >= 0 and not transport.is_closing() and not transport.get_write_buffer_size():
        try:
            sent = os.writev(descriptor, pieces)
        except OSError:
            sent = 0
    if sent == whole:
        return
    for piece in pieces:
        if sent < len(piece):
            transport.write(memoryview(piece)[sent:])
        sent = max(sent - len(piece), 0)


def descriptor_of(transport: Any) -> int:
    """The descriptor of a connection whose bytes go out as they are, else -1."""
    if transport.get_extra_info("sslcontext") is not None:
        return -1
    connection = transport.get_extra_info("socket")
    return -1 if connection is None else int(connection.fileno())
