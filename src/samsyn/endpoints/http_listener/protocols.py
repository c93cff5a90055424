"""HTTP/1.1 or HTTP/2, as the peer prefers: by ALPN on TLS, by what it begins with elsewhere (RFC 9113 3.2, 3.3)."""

import asyncio
from functools import partial
from typing import Any, Final, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from samsyn import limits
from samsyn.endpoints.http_listener.http2 import PREFACE, Http2Protocol
from samsyn.endpoints.http_listener.stalls import StallWatch
from samsyn.endpoints.http_listener.whole import WholeAnswer
from samsyn.exchange.gathering import PIECES, Gathering, Pieces
from samsyn.wire import whole_answer
from samsyn.wire.whole_answer import Ready
from samsyn.wire.whole_body import CONNECTION, BodyTaker

ALPN = ("h2", "http/1.1")
"""What a listener with TLS offers, the best first."""


_READ_BYTES: Final = 256 * 1024
"""Of what is not a body that somebody takes: as much as asyncio reads for a protocol without a buffer of its own."""
_HEAD_ENDS: Final = b"\r\n\r\n"
_CHUNKED: Final = b"transfer-encoding: chunked\r\n"
_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
)
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})


class ListenerConfig(Config):
    """uvicorn's settings, and what the connections of one listener share."""

    def __init__(self, *settings: Any, **more: Any) -> None:
        super().__init__(*settings, **more)
        self.read_to = bytearray(_READ_BYTES)
        """Used by one connection at a time, from the reading of some bytes to their handing on."""


class _Writing:
    """The transport as uvicorn's answer uses it, whose bodies may be Pieces."""

    def __init__(self, transport: asyncio.Transport, gathering: Gathering) -> None:
        self._transport = transport
        self._gathering = gathering

    def write(self, data: bytes | Pieces) -> None:
        self._gathering.write(data.pieces if isinstance(data, Pieces) else (data,))

    def close(self) -> None:
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()


class _WritingToTheEnd(_Writing):
    """The same for HTTP/1.0, which knows no chunks: a body whose length is not told ends with the connection (RFC 9112
    6.3). uvicorn chunks it all the same, one message in each write."""

    _is_chunked: bool | None = None

    def write(self, data: bytes | Pieces) -> None:
        """Takes the chunks' frames off."""
        told = data.joined() if isinstance(data, Pieces) else data
        if self._is_chunked is None:
            self._is_chunked = _CHUNKED in told
            told = told.replace(_CHUNKED, b"", 1)
        elif self._is_chunked:
            size, _, rest = told.partition(b"\r\n")
            told = rest[: int(size, 16)]
        if told:
            super().write(told)


class PreferredProtocol(HttpToolsProtocol, asyncio.BufferedProtocol):
    """Begins as HTTP/1.1 and hands the connection to HTTP/2 when the peer speaks that."""

    _begun = b""
    _is_decided = False
    _behind_head: int | None = None
    """While the head of a request is parsed that ends with what is parsed: how many bytes have come behind it."""
    _taker: BodyTaker | None = None
    """Who takes the body that is coming; the parser does not see it."""
    _left = 0
    """How much of it has not come."""
    _same: tuple[bytes, Any] | None = None
    """The head whose body was taken, and its scope, as long as the parser has seen nothing else: it stands between two
    requests then."""
    _held = 0
    """Bytes that have come since a head, a piece of a body or a request was whole: the parser keeps them."""
    _come = 0
    """Bytes that have come on the connection."""
    _is_in_head = False
    _is_framing = False
    """While the parser is told again how long the body is; see `_decline`."""
    _deadline: asyncio.TimerHandle | None = None
    """When the connection is closed unless the head of a request has come whole."""

    def told(self) -> dict[str, Any]:
        """More keys for the scope of every request of this connection."""
        return {}

    def connection_made(self, transport: Any) -> None:
        """See asyncio.Protocol."""
        super().connection_made(transport)
        self._gathering = gathering = Gathering(transport)
        self._watch = StallWatch(transport, lambda: gathering.written, owed=self._owed)
        self._app_at_once = getattr(self.config.app, "at_once", None)
        self._app_take_body = getattr(self.config.app, "take_body", None)
        self._kept: dict[str, Any] = {}
        """What the application keeps of the connection."""
        self._wait_for_head()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Where uvicorn begins a request: the door is told that it may answer in one piece, but for HEAD, and in
        pieces."""
        extensions: Any = {PIECES: {}}
        if cycle.scope["method"] != "HEAD":
            whole = WholeAnswer(cycle, self._gathering)
            if cycle.scope["method"] == "GET" and self._answered_at_once(cycle, whole):
                return
            if self._behind_head is not None and self._is_taken(cycle, whole, self._behind_head):
                return
            extensions[whole_answer.EXTENSION] = whole
        cycle.scope["extensions"] = extensions
        writing = _WritingToTheEnd if cycle.scope["http_version"] == "1.0" else _Writing
        cycle.transport = cast(asyncio.Transport, writing(self.transport, self._gathering))
        super()._start_asgi_task(cycle, app)

    def _answered_at_once(self, cycle: RequestResponseCycle, whole: WholeAnswer) -> bool:
        """Answers without a task where the application can; not behind answers that wait for the peer, and not to who
        has sent more requests ahead, which would be answered one inside the other."""
        if self._app_at_once is None or self.flow.write_paused or self.pipeline:
            return False
        ready = self._app_at_once(cycle.scope)
        if ready is not None:
            whole.now(*ready)
        return ready is not None

    def _is_taken(self, cycle: RequestResponseCycle, whole: WholeAnswer, behind: int) -> bool:
        """Whether the application takes the body itself. Not where the peer waits to be asked for it or has sent more
        requests behind it, nor where another address than the peer's may count (uvicorn's middleware)."""
        if self._app_take_body is None or cycle.waiting_for_100_continue:
            return False
        scope = cast(dict[str, Any], cycle.scope)
        scope[CONNECTION] = self._kept
        length = 0
        for name, value in scope["headers"]:
            if name == b"content-length":
                length = int(value)  # the parser has seen that it is one number, and stands there once
            elif name in (b"transfer-encoding", b"upgrade") or name.startswith(b"x-forwarded-"):
                return False
        if not length or behind > length:
            return False
        self._taker = self._app_take_body(scope, length, partial(self._answered, whole))
        self._left = length
        return self._taker is not None

    def _answered(self, whole: WholeAnswer, ready: Ready) -> None:
        whole.now(*ready)

    def get_buffer(self, sizehint: int) -> memoryview:
        """See asyncio.BufferedProtocol."""
        if self._taker is not None:
            return self._taker.room()[: self._left]
        return memoryview(cast(ListenerConfig, self.config).read_to)

    def _owed(self) -> int | None:
        """See StallWatch. Nothing is owed while we do not read, the peer waits to be asked for the body, or the answer
        has begun without it."""
        cycle = self.cycle
        is_owed = self._taker is not None or (
            cycle is not None
            and cycle.more_body
            and not (cycle.response_started or cycle.waiting_for_100_continue or self.flow.read_paused)
        )
        return self._come if is_owed else None

    def buffer_updated(self, nbytes: int) -> None:
        """See asyncio.BufferedProtocol."""
        self._come += nbytes
        if self._taker is not None:
            self._filled(self._taker, nbytes)
            return
        come = cast(ListenerConfig, self.config).read_to
        if self._is_decided:
            self._parse(come, nbytes)
        else:
            self.data_received(bytes(memoryview(come)[:nbytes]))

    def _filled(self, taker: BodyTaker, count: int) -> None:
        self._left -= count
        if not self._left:
            # The parser still waits for this body: the next request is for another one.
            self._taker = None
            self.cycle.more_body = False
            self._renew_parser()
        taker.filled(count)

    def _renew_parser(self) -> None:
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._stop_waiting()
        self._watch.stop()
        super().connection_lost(exc)
        taker, self._taker = self._taker, None
        if taker is not None:
            taker.gone()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._begun += data
        if PREFACE.startswith(self._begun[: len(PREFACE)]):
            if len(self._begun) >= len(PREFACE):
                self._hand_over()
            return
        self._is_decided = True
        begun, self._begun = self._begun, b""
        self._parse(begun, len(begun))

    def _parse(self, come: bytes | bytearray, count: int) -> None:
        """Has so many bytes parsed; those behind the head of a request may be for who takes its body."""
        ends = come.find(_HEAD_ENDS, 0, count) if come.startswith(b"POST ") else -1
        if ends < 0:
            self._same = None
            self._feed(bytes(memoryview(come)[:count]))
            return
        rest = memoryview(come)[ends + len(_HEAD_ENDS) : count]
        head = bytes(memoryview(come)[: ends + len(_HEAD_ENDS)])
        if not self._is_again(head, len(rest)):
            self._same = None
            self._behind_head = len(rest)
            try:
                self._feed(head)
            finally:
                self._behind_head = None
            if self._taker is not None and self.cycle.keep_alive:
                self._same = head, self.cycle.scope
        while rest and self._taker is not None:
            room = self._taker.room()[: len(rest)]
            room[:] = rest[: len(room)]
            rest = rest[len(room) :]
            self._filled(self._taker, len(room))
        if rest and not self.transport.is_closing():
            self._same = None
            self._feed(bytes(rest))

    def _feed(self, data: bytes) -> None:
        """Has the parser take bytes. It keeps heads and trailers of any length, and waits for them for ever: both are
        bounded here, since a peer who has not said who he is can send them."""
        self._held += len(data)
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._decline(data[offer.args[0] :])
        except httptools.HttpParserError:
            self._refuse()
        if self.transport.is_closing():
            return
        if self._held > limits.MAX_HTTP_HEAD_BYTES:
            if self.cycle is None or self.cycle.response_complete:
                self.transport.write(_TOO_LARGE)
            self.transport.close()
        elif self._is_in_head and self._deadline is None:
            self._wait_for_head()

    def _decline(self, rest: bytes) -> None:
        """Goes on in HTTP/1.1 with who offers another protocol (Java's client and curl do, with any request; RFC 9110
        7.8). The parser takes what comes behind the head for that protocol's: another one is told how long the body
        is, which then comes as every other."""
        lines = [b"%s: %s\r\n" % field for field in self.headers if field[0] in _FRAMING]
        self._renew_parser()
        self._is_framing = True
        try:
            self.parser.feed_data(b"".join((b"POST / HTTP/1.1\r\n", *lines, b"\r\n")))
        except httptools.HttpParserError:
            self._refuse()
            return
        finally:
            self._is_framing = False
        if rest:
            self._feed(rest)

    def _refuse(self) -> None:
        words = "Invalid HTTP request received."
        self.logger.warning(words)
        self.send_400_response(words)

    def _wait_for_head(self) -> None:
        self._deadline = self.loop.call_later(limits.HTTP_HEAD_S, self._is_late)

    def _is_late(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
        else:
            self._wait_for_head()  # not before the answer to the request ahead of it has gone

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def on_message_begin(self) -> None:
        """See httptools."""
        if not self._is_framing:
            self._is_in_head = True
            super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """See httptools."""
        if not self._is_framing:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """See httptools. What stands behind a body is heeded by nobody (RFC 9110 6.5.1)."""
        if self._is_in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """See httptools."""
        self._held = 0
        if self._is_framing:
            return
        self._is_in_head = False
        self._stop_waiting()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """See httptools."""
        self._held = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """See httptools."""
        self._held = 0
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def _is_again(self, head: bytes, behind: int) -> bool:
        """Whether the head is that of the last body that was taken, and this one is taken too: then the parser need not
        see it, which would cost a tenth of what an object does."""
        if self._same is None or self._same[0] != head or not self.cycle.response_complete:
            return False
        self._unset_keepalive_if_required()
        cycle = RequestResponseCycle(
            scope=self._same[1],
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=True,
            on_response=self.on_response_complete,
        )
        if not self._is_taken(cycle, WholeAnswer(cycle, self._gathering), behind):
            return False
        self.cycle = cycle
        return True

    def _hand_over(self) -> None:
        transport: asyncio.Transport = self.transport
        self._stop_waiting()
        self._watch.stop()
        self.connections.discard(self)
        self._unset_keepalive_if_required()
        successor = Http2Protocol(self.config, self.server_state, self.app_state, self.told())
        transport.set_protocol(successor)
        successor.connection_made(transport)
        successor.data_received(self._begun)
