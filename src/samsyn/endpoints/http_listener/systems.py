"""TLS for the HTTP doors of systems: who calls is told by the client certificate and by nothing else.

The certificate is a function certificate (SITHS): the HSA-id stands in its subject's serialNumber. The listener
asks for it in the handshake, so that a caller without one gets no further.
"""

import ssl
from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from samsyn.access.authentication.identification import CERTIFICATE
from samsyn.endpoints.http_listener.protocols import ALPN, PreferredProtocol
from samsyn.exchange.security import load_files
from samsyn.settings import HttpTlsSettings

_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2: forward secrecy and authenticated encryption only (BCP 195); TLS 1.3 has no others."""
_SERVED: Final = ("/dicomweb/", "/fhir/", "/health/", "/launch/tickets", "/soap/")


def tls_context(settings: HttpTlsSettings) -> ssl.SSLContext:
    """The listener's context. ConfigurationError: a file can not be read, or is no certificate or key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(list(ALPN))
    load_files(context, settings, "http_tls")
    return context


def hsa_id_of(certificate: Mapping[str, Any] | None) -> str:
    """The HSA-id in a verified certificate as ssl's getpeercert tells it; "" without one."""
    for relative_name in (certificate or {}).get("subject", ()):
        for name, value in relative_name:
            if name == "serialNumber":
                return str(value).strip().upper()
    return ""


class CertificateProtocol(PreferredProtocol):
    """HTTP whose requests carry the HSA-id of the connection's client certificate in their scope."""

    _hsa_id = ""

    def connection_made(self, transport: Any) -> None:
        """See asyncio.Protocol: the handshake is over, the certificate verified."""
        super().connection_made(transport)
        self._hsa_id = hsa_id_of(transport.get_extra_info("peercert"))

    def told(self) -> dict[str, Any]:
        """See PreferredProtocol."""
        return {CERTIFICATE: self._hsa_id}

    def on_message_begin(self) -> None:
        """See httptools: a new request begins."""
        super().on_message_begin()
        self.scope[CERTIFICATE] = self._hsa_id  # type: ignore[typeddict-unknown-key] # ours, beside ASGI's own keys


class SystemsOnly:
    """Serves the doors that systems use, and nothing of people's pages or log-in."""

    def __init__(self, doors: ASGIApp) -> None:
        self._doors = doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or not scope["path"].startswith(_SERVED):
            await Response(status_code=404)(scope, receive, send)
            return
        await self._doors(scope, receive, send)
