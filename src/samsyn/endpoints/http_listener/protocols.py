"""HTTP/1.1 or HTTP/2, as the peer prefers: by ALPN on TLS, by what it begins with elsewhere (RFC 9113 3.2, 3.3)."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from samsyn.endpoints.http_listener.http2 import PREFACE, Http2Protocol
from samsyn.endpoints.http_listener.whole import WholeAnswer, descriptor_of
from samsyn.wire import whole_answer

ALPN = ("h2", "http/1.1")
"""What a listener with TLS offers, the best first."""


class PreferredProtocol(HttpToolsProtocol):
    """Begins as HTTP/1.1 and hands the connection to HTTP/2 when the peer speaks that."""

    _begun = b""
    _is_decided = False
    _descriptor = -1

    def told(self) -> dict[str, Any]:
        """More keys for the scope of every request of this connection."""
        return {}

    def connection_made(self, transport: Any) -> None:
        """See asyncio.Protocol."""
        super().connection_made(transport)
        self._descriptor = descriptor_of(transport)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Where uvicorn begins a request: the door is told that it may answer in one piece, but for HEAD."""
        if cycle.scope["method"] != "HEAD":
            whole: Any = WholeAnswer(cycle, self._descriptor)
            cycle.scope["extensions"] = {whole_answer.EXTENSION: whole}
        super()._start_asgi_task(cycle, app)

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
