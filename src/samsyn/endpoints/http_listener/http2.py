"""HTTP/2 (RFC 9113) for the same doors: one connection, many requests at once, each an ASGI call.

The `h2` library is the protocol machine; this module moves bytes between it and the transport, and bodies between
it and the doors. Memory is bounded by flow control both ways: what a peer sends is acknowledged when a door has
taken it, what a door sends waits for the peer's window, and not longer than HTTP_STALL_S for one that stays shut.
"""

import asyncio
import contextlib
import logging
import urllib.parse
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import H2Error, ProtocolError
from h2.settings import SettingCodes
from starlette.types import ASGIApp, Message, Scope
from uvicorn.config import Config
from uvicorn.server import ServerState

from samsyn import limits
from samsyn.endpoints.http_listener.stalls import Patience, StallWatch

log = logging.getLogger(__name__)

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a client begins with (RFC 9113 3.4)."""
_OF_THE_CONNECTION: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
)
"""Header fields that have no meaning in HTTP/2 (RFC 9113 8.2.2)."""
_WITHOUT_BODY: Final = frozenset({204, 304})
_INVITES: Final = (b":status", b"100")


class Http2Protocol(asyncio.Protocol):
    """One connection. Made by PreferredProtocol when the peer has shown that it speaks HTTP/2."""

    def __init__(
        self, config: Config, state: ServerState, app_state: Mapping[str, Any], told: Mapping[str, Any]
    ) -> None:
        """`told`: more keys for the scope of every request of this connection."""
        self._app: ASGIApp = config.loaded_app
        self._root_path = config.root_path
        self._version = config.asgi_version
        self._state = state
        self._app_state = app_state
        self._told = told
        self._loop = asyncio.get_running_loop()
        self._machine = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        self._requests: dict[int, _Request] = {}
        self._room = asyncio.Event()
        """Set when a window was opened, a request was ended or the transport took what it had."""
        self._is_writable = True
        self._is_closing = False
        self._resets, self._resets_until = 0, 0.0
        self._idle: asyncio.TimerHandle | None = None
        self._written = 0
        """Bytes handed to the transport."""
        self._sent = 0
        """Bytes of bodies among them."""
        self._patience = Patience(self._loop.time(), 0)
        self._come = 0
        """Bytes of bodies that have come."""
        self._sending = Patience(self._loop.time(), 0)

    # -- asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.BaseProtocol."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._state.connections.add(self)  # type: ignore[arg-type] # it has the `shutdown` that uvicorn calls
        self._machine.initiate_connection()
        self._machine.update_settings(
            {
                SettingCodes.MAX_CONCURRENT_STREAMS: limits.MAX_HTTP2_STREAMS,
                SettingCodes.INITIAL_WINDOW_SIZE: limits.HTTP2_WINDOW_BYTES,
                SettingCodes.MAX_HEADER_LIST_SIZE: limits.MAX_HTTP_HEADER_BYTES,
            }
        )
        self._machine.increment_flow_control_window(limits.HTTP2_WINDOW_BYTES)
        self._watch = StallWatch(transport, lambda: self._written, checked=self.look)
        self._flush()
        self._wait_idle()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        try:
            events = self._machine.receive_data(data)
        except ProtocolError as broken:
            log.warning("http2-broken", extra={"error": type(broken).__name__})
            self._flush()
            self._transport.close()
            return
        for event in events:
            self._happened(event)
        self._flush()
        if self._transport.get_write_buffer_size() > limits.HTTP2_WINDOW_BYTES:
            # A peer that makes us answer (PING, SETTINGS) and does not read is not read from either.
            self._transport.pause_reading()

    def eof_received(self) -> None:
        """See asyncio.Protocol."""

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.BaseProtocol."""
        self._state.connections.discard(self)
        self._is_closing = True
        self._watch.stop()
        if self._idle is not None:
            self._idle.cancel()
        for request in self._requests.values():
            request.disconnect()
        self._room.set()

    def pause_writing(self) -> None:
        """See asyncio.BaseProtocol."""
        self._is_writable = False

    def resume_writing(self) -> None:
        """See asyncio.BaseProtocol."""
        self._is_writable = True
        self._transport.resume_reading()
        self._room.set()

    def shutdown(self) -> None:
        """The server ends: requests that run may end, no new ones are taken."""
        self._is_closing = True
        if self._requests:
            self._machine.close_connection(last_stream_id=max(self._requests))
            self._flush()
        else:
            self._close()

    # -- what the peer says

    def _happened(self, event: Event) -> None:
        match event:
            case RequestReceived():
                self._begin(event)
            case DataReceived():
                request = self._requests.get(event.stream_id or 0)
                self._come += event.flow_controlled_length or 0
                if request is None:
                    # Answered already, so nobody takes the rest; the connection's window must open all the same.
                    self._machine.acknowledge_received_data(
                        event.flow_controlled_length or 0, event.stream_id or 0
                    )
                else:
                    request.take(event.data or b"", event.flow_controlled_length or 0)
            case StreamEnded():
                request = self._requests.get(event.stream_id or 0)
                if request is not None:
                    request.whole()
            case StreamReset():
                self._count_reset()
                request = self._requests.get(event.stream_id or 0)
                if request is not None:
                    request.disconnect()
                self._room.set()
            case WindowUpdated():
                self._room.set()
            case ConnectionTerminated():
                self._transport.close()

    def _count_reset(self) -> None:
        """Requests that are begun and dropped cost us and not the peer ("rapid reset", CVE-2023-44487)."""
        if self._loop.time() > self._resets_until:
            self._resets, self._resets_until = 0, self._loop.time() + limits.HTTP2_RESETS_WITHIN_S
        self._resets += 1
        if self._resets > limits.MAX_HTTP2_RESETS:
            log.warning("http2-broken", extra={"limit": "MAX_HTTP2_RESETS"})
            self._machine.close_connection(ErrorCodes.ENHANCE_YOUR_CALM)
            self._flush()
            self._transport.close()

    def _begin(self, event: RequestReceived) -> None:
        stream_id = event.stream_id or 0
        if self._is_closing:
            self._machine.reset_stream(stream_id, ErrorCodes.REFUSED_STREAM)
            return
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        request = _Request(self, stream_id, self._scope(event.headers or []))
        self._requests[stream_id] = request
        task = self._loop.create_task(request.run(self._app))
        self._state.tasks.add(task)
        task.add_done_callback(self._state.tasks.discard)

    def _scope(self, headers: Any) -> Scope:
        pseudo: dict[bytes, bytes] = {}
        fields: list[tuple[bytes, bytes]] = []
        cookies: list[bytes] = []
        for name, value in headers:
            if name.startswith(b":"):
                pseudo[name] = value
            elif name == b"cookie":
                cookies.append(value)
            else:
                fields.append((name, value))
        if b":authority" in pseudo:
            fields = [field for field in fields if field[0] != b"host"]
            fields.insert(0, (b"host", pseudo[b":authority"]))
        if cookies:
            # RFC 9113 8.2.3: cookies may come in pieces and are one field for whoever reads them.
            fields.append((b"cookie", b"; ".join(cookies)))
        raw_path, _, query = pseudo.get(b":path", b"/").partition(b"?")
        path = urllib.parse.unquote(raw_path.decode("ascii", "replace"))
        transport = self._transport
        peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        return {
            "type": "http",
            "asgi": {"version": self._version, "spec_version": "2.3"},
            "http_version": "2",
            "server": tuple(own[:2]) if own else None,
            "client": tuple(peer[:2]) if peer else None,
            "scheme": "https" if transport.get_extra_info("sslcontext") else "http",
            "method": pseudo.get(b":method", b"GET").decode("ascii", "replace"),
            "root_path": self._root_path,
            "path": self._root_path + path,
            "raw_path": self._root_path.encode() + raw_path,
            "query_string": query,
            "headers": fields,
            "state": dict(self._app_state),
            **self._told,
        }

    # -- what requests use

    def taken(self, stream_id: int, length: int) -> None:
        """A door has taken so much of a body: the peer may send as much more."""
        if length and not self._transport.is_closing():
            try:
                self._machine.acknowledge_received_data(length, stream_id)
            except H2Error:
                return  # the stream or the connection is over
            self._flush()

    def head(self, stream_id: int, headers: list[tuple[bytes, bytes]], ends: bool) -> None:
        """Sends a head, also an interim one. H2Error: the stream is over."""
        if headers[0] != _INVITES:
            headers = [headers[0], *self._state.default_headers, *headers[1:]]  # Date, which uvicorn keeps
        self._machine.send_headers(stream_id, headers, end_stream=ends)
        self._flush()

    async def body(self, request: "_Request", data: bytes | memoryview, ends: bool) -> None:
        """Sends a piece of body as the peer's windows let it. H2Error: the stream is over."""
        view = memoryview(data)
        while view:
            if request.is_gone:
                return
            window = self._machine.local_flow_control_window(request.stream_id)
            size = min(len(view), window, self._machine.max_outbound_frame_size)
            if size <= 0 or not self._is_writable:
                self._room.clear()
                request.is_waiting = True
                await self._room.wait()
                continue
            request.is_waiting = False
            piece, view = view[:size], view[size:]
            self._machine.send_data(request.stream_id, bytes(piece), end_stream=ends and not view)
            self._flush()
            self._sent += size
            request.sent += size
            request.arrives_with = self._written
        if ends and not data:
            self._machine.end_stream(request.stream_id)
            self._flush()

    def look(self, now: float, arrived: int) -> None:
        """Ends the requests whose peer keeps his window shut, or does not send the body that he owes. Not those whose
        last bytes are still on their way, as on a slow net, nor those that wait while the connection lets others of
        his through."""
        for request in tuple(self._requests.values()):
            if not self._owes(request):
                request.sending.renew(now, request.come)
            elif request.sending.is_spent(now, request.come) and self._sending.is_spent(now, self._come):
                self._leave(request)
                continue
            if not request.is_waiting or request.awaited is None or request.patience.is_earned(request.sent):
                request.awaited = request.arrives_with if request.is_waiting else None
                request.patience.renew(now, request.sent)
            elif arrived < request.awaited:
                request.patience.renew(now, request.sent)
            elif request.patience.is_spent(now, request.sent) and not self._serves_others(now):
                self._leave(request)
        self._flush()

    def _leave(self, request: "_Request") -> None:
        log.warning("http-stalled", extra={"limit": "HTTP_STALL_S"})
        with contextlib.suppress(H2Error):
            self._machine.reset_stream(request.stream_id, ErrorCodes.CANCEL)
        request.disconnect()
        self._room.set()

    def _owes(self, request: "_Request") -> bool:
        """Whether the peer could send more of the request's body."""
        if not request.lacks_body:
            return False
        with contextlib.suppress(H2Error):
            return self._machine.remote_flow_control_window(request.stream_id) > 0
        return False

    def _serves_others(self, now: float) -> bool:
        """Whether the connection's window alone is what a request waits for, and it opens often enough."""
        return self._machine.outbound_flow_control_window <= 0 and not self._patience.is_spent(
            now, self._sent
        )

    def ended(self, stream_id: int, is_whole: bool) -> None:
        """The door is done with the request; what is not whole is told as broken."""
        request = self._requests.pop(stream_id)
        if not self._transport.is_closing():
            self.taken(stream_id, request.untaken)
            if not is_whole and not request.is_gone:
                with contextlib.suppress(H2Error):
                    self._machine.reset_stream(stream_id, ErrorCodes.INTERNAL_ERROR)
            self._flush()
        self._state.total_requests += 1
        if not self._requests:
            if self._is_closing:
                self._close()
            else:
                self._wait_idle()

    def _wait_idle(self) -> None:
        self._idle = self._loop.call_later(limits.HTTP2_IDLE_S, self._close)

    def _close(self) -> None:
        if not self._transport.is_closing():
            with contextlib.suppress(ProtocolError):
                self._machine.close_connection()
            self._flush()
            self._transport.close()

    def _flush(self) -> None:
        data = self._machine.data_to_send()
        if data and not self._transport.is_closing():
            self._written += len(data)
            self._transport.write(data)


class _Request:
    """One request: the ASGI `receive` and `send` of its stream."""

    def __init__(self, connection: Http2Protocol, stream_id: int, scope: Scope) -> None:
        self._connection = connection
        self._scope = scope
        self.stream_id = stream_id
        self.is_gone = False
        """Whether nobody waits for the answer any more."""
        self.is_waiting = False
        """Whether a piece of body waits for the peer."""
        self.sent = 0
        """Bytes of body that went out."""
        self.arrives_with = 0
        """How much of the connection's bytes will have arrived when all of them have."""
        self.awaited: int | None = None
        """The same of those that were sent when it was first seen to wait."""
        self.come = 0
        """Bytes of the request's own body that have come."""
        now = asyncio.get_running_loop().time()
        self.patience, self.sending = Patience(now, 0), Patience(now, 0)
        self._pieces: deque[tuple[bytes, int]] = deque()
        self._is_whole = self._is_told = False
        self._news = asyncio.Event()
        self._start: Message | None = None
        self._started = self._finished = False
        self._has_body = scope["method"] != "HEAD"
        self._must_invite = any(name == b"expect" for name, _ in scope["headers"])

    @property
    def untaken(self) -> int:
        """Bytes of body, as the windows count them, that no door took."""
        return sum(length for _, length in self._pieces)

    @property
    def lacks_body(self) -> bool:
        """Whether more of the body is to come, the peer does not wait to be invited and the answer waits for it."""
        return not (self._is_whole or self._started or self.is_gone or self._must_invite)

    def take(self, data: bytes, length: int) -> None:
        """A piece of body came."""
        self.come += length
        self._pieces.append((data, length))
        self._news.set()

    def whole(self) -> None:
        """The body is complete."""
        self._is_whole = True
        self._news.set()

    def disconnect(self) -> None:
        """The peer gave the request up, or is gone."""
        self.is_gone = True
        self._news.set()

    async def run(self, app: ASGIApp) -> None:
        """Has the doors answer; a fault of theirs is a 500, or a broken stream when the answer had begun."""
        try:
            await app(self._scope, self._receive, self._send)
        except Exception as fault:
            log.error("request-failed", extra={"error": type(fault).__name__})
            if not self._started and not self.is_gone:
                self._head(500, [], True)
                self._finished = True
        finally:
            self._connection.ended(self.stream_id, self._finished)

    async def _receive(self) -> Message:
        if self._must_invite and not self._pieces and not self._is_whole and not self._started:
            self._must_invite = False
            self._connection.head(self.stream_id, [_INVITES], False)
        while not self.is_gone and not self._finished:
            if self._pieces or (self._is_whole and not self._is_told):
                return self._next_piece()
            self._news.clear()
            await self._news.wait()
        return {"type": "http.disconnect"}

    def _next_piece(self) -> Message:
        body = b""
        if self._pieces:
            body, length = self._pieces.popleft()
            self._connection.taken(self.stream_id, length)
        self._is_told = self._is_whole and not self._pieces
        return {"type": "http.request", "body": body, "more_body": not self._is_told}

    async def _send(self, message: Message) -> None:
        if self.is_gone or self._finished:
            return
        try:
            if message["type"] == "http.response.start":
                self._start = message
                self._started = True
                return
            await self._send_body(message.get("body", b""), not message.get("more_body", False))
        except H2Error:
            # The peer ended the stream between two events of ours.
            self.disconnect()

    async def _send_body(self, body: bytes, ends: bool) -> None:
        if self._start is not None:
            start, self._start = self._start, None
            status = int(start["status"])
            self._has_body = self._has_body and status not in _WITHOUT_BODY
            alone = ends and (not body or not self._has_body)
            self._head(status, list(start.get("headers", [])), alone or not self._has_body)
            if alone or not self._has_body:
                self._finish()
                return
        await self._connection.body(self, body, ends)
        if ends and not self.is_gone:
            self._finish()

    def _finish(self) -> None:
        self._finished = True
        self._news.set()

    def _head(self, status: int, headers: list[tuple[bytes, bytes]], ends: bool) -> None:
        fields = [(b":status", str(status).encode())]
        fields += [(name.lower(), value) for name, value in headers if name.lower() not in _OF_THE_CONNECTION]
        self._connection.head(self.stream_id, fields, ends)
