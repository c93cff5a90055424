"""Answers in one write: what samsyn.wire.whole_answer promises, over HTTP/1.1."""

from collections.abc import Sequence

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from samsyn.exchange.gathering import Gathering


class WholeAnswer:
    """Sends one answer of one request; see whole_answer.SendWhole."""

    __slots__ = ("_cycle", "_gathering")

    def __init__(self, cycle: RequestResponseCycle, gathering: Gathering) -> None:
        """`gathering`: the writing side of the connection."""
        self._cycle = cycle
        self._gathering = gathering

    async def __call__(
        self, status: int, headers: Sequence[tuple[bytes, bytes]], pieces: Sequence[bytes | memoryview]
    ) -> None:
        """As RequestResponseCycle.send for an answer's head and its body."""
        if self._cycle.flow.write_paused and not self._cycle.disconnected:
            await self._cycle.flow.drain()
        self.now(status, headers, pieces)

    def now(
        self, status: int, headers: Sequence[tuple[bytes, bytes]], pieces: Sequence[bytes | memoryview]
    ) -> None:
        """The same without waiting until the peer has taken what was written before."""
        cycle = self._cycle
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
        self._gathering.write((STATUS_LINE[status], head, b"\r\n", *pieces))
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()
