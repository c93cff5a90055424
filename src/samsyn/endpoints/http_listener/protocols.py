"""HTTP/1.1 or HTTP/2, as the peer prefers: by ALPN on TLS, by what it begins with elsewhere (RFC 9113 3.2, 3.3)."""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from samsyn.endpoints.http_listener.http2 import PREFACE, Http2Protocol
from samsyn.endpoints.http_listener.whole import WholeAnswer
from samsyn.exchange.gathering import PIECES, Gathering, Pieces
from samsyn.wire import whole_answer

ALPN = ("h2", "http/1.1")
"""What a listener with TLS offers, the best first."""


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


class PreferredProtocol(HttpToolsProtocol):
    """Begins as HTTP/1.1 and hands the connection to HTTP/2 when the peer speaks that."""

    _begun = b""
    _is_decided = False

    def told(self) -> dict[str, Any]:
        """More keys for the scope of every request of this connection."""
        return {}

    def connection_made(self, transport: Any) -> None:
        """See asyncio.Protocol."""
        super().connection_made(transport)
        self._gathering = Gathering(transport)
        self._app_at_once = getattr(self.config.app, "at_once", None)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Where uvicorn begins a request: the door is told that it may answer in one piece, but for HEAD, and in
        pieces."""
        extensions: Any = {PIECES: {}}
        if cycle.scope["method"] != "HEAD":
            whole = WholeAnswer(cycle, self._gathering)
            if cycle.scope["method"] == "GET" and self._answered_at_once(cycle, whole):
                return
            extensions[whole_answer.EXTENSION] = whole
        cycle.scope["extensions"] = extensions
        cycle.transport = cast(asyncio.Transport, _Writing(self.transport, self._gathering))
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

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self._is_decided:
            super().data_received(data)
            return
        self._begun += data
        if PREFACE.startswith(self._begun[: len(PREFACE)]):
            if len(self._begun) >= len(PREFACE):
                self._hand_over()
            return
        self._is_decided = True
        begun, self._begun = self._begun, b""
        super().data_received(begun)

    def _hand_over(self) -> None:
        transport: asyncio.Transport = self.transport
        self.connections.discard(self)
        self._unset_keepalive_if_required()
        successor = Http2Protocol(self.config, self.server_state, self.app_state, self.told())
        transport.set_protocol(successor)
        successor.connection_made(transport)
        successor.data_received(self._begun)
