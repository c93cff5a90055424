"""A blocking service that speaks SOAP over HTTP on loopback, with mutual TLS, faults, slow answers and nonsense."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from lxml import etree
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

GET = "urn:riv:informationsecurity:authorization:blocking:GetBlocksResponder:4"
CORE = "urn:riv:informationsecurity:authorization:blocking:4"
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
PERSONNUMMER = "1.2.752.129.2.1.3.1"


@dataclass
class Kept:
    """A block as the service has stored it; `extra` is put at the end of it, as another version would."""

    block_id: str
    number: str
    provider: str
    kind: str = "Outer"
    unit: str = ""
    starts: str = ""
    ends: str = ""
    issuer: str = PERSONNUMMER
    stored: datetime = datetime(2026, 11, 1, tzinfo=UTC)
    revokes: list[tuple[str, str, str, str]] = field(default_factory=list)
    """(id, end, unit, employee)."""
    extra: str = ""

    def xml(self) -> str:
        parts = [f"<b:blockId>{self.block_id}</b:blockId><b:blockType>{self.kind}</b:blockType>"]
        for name, text in (
            ("informationStartDate", self.starts),
            ("informationEndDate", self.ends),
            ("informationCareUnitId", self.unit),
            ("informationCareProviderId", self.provider),
        ):
            if text:
                parts.append(f"<b:{name}>{escape(text)}</b:{name}>")
        parts.append(
            f"<b:patientId><b:root>{self.issuer}</b:root><b:extension>{self.number}</b:extension></b:patientId>"
        )
        for revoke_id, end, unit, employee in self.revokes:
            who = f"<b:revokedForEmployeeId>{employee}</b:revokedForEmployeeId>" if employee else ""
            parts.append(
                f"<b:temporaryRevokes><b:temporaryRevokeId>{revoke_id}</b:temporaryRevokeId>"
                f"<b:endDate>{end}</b:endDate><b:revokedForCareUnitId>{unit}</b:revokedForCareUnitId>{who}"
                "</b:temporaryRevokes>"
            )
        return f"<b:blocks>{''.join(parts)}{self.extra}</b:blocks>"


@dataclass
class Service:
    """What the service knows, and how it behaves."""

    blocks: dict[str, Kept] = field(default_factory=dict)
    cancelled: str = "2026-11-01T00:00:00+01:00"
    told_until: datetime = datetime(2026, 11, 2, tzinfo=UTC)
    result: str = "OK"
    answer: Response | None = None
    wait_s: float = 0.0
    asked: list[str | None] = field(default_factory=list)
    """createdOnOrAfter of each call."""
    actions: list[tuple[str, str]] = field(default_factory=list)
    """(SOAPAction, LogicalAddress) of each call."""
    address: str = ""

    def put(self, block: Kept) -> None:
        self.told_until += timedelta(minutes=1)
        block.stored = self.told_until
        self.blocks[block.block_id] = block
        self.told_until += timedelta(minutes=1)

    def cancel(self, block_id: str) -> None:
        del self.blocks[block_id]
        self.told_until += timedelta(minutes=1)
        self.cancelled = self.told_until.isoformat()

    async def respond(self, request: Request) -> Response:
        root = etree.fromstring(await request.body())
        address = root.findtext(f"{{{SOAP}}}Header/{{urn:riv:itintegration:registry:1}}LogicalAddress")
        self.actions.append((request.headers["soapaction"].strip('"'), address))
        body = root.find(f"{{{SOAP}}}Body/{{{GET}}}GetBlocks")
        since = body.findtext(f"{{{GET}}}createdOnOrAfter")
        self.asked.append(since)
        await asyncio.sleep(self.wait_s)
        if self.answer is not None:
            return self.answer
        wanted = [
            block
            for block in self.blocks.values()
            if not since or block.stored >= datetime.fromisoformat(since)
        ]
        text = (
            f'<s:Envelope xmlns:s="{SOAP}"><s:Body><g:GetBlocksResponse xmlns:g="{GET}" xmlns:b="{CORE}">'
            f"<g:blockHeader><b:result><b:resultCode>{self.result}</b:resultCode></b:result>"
            f"{''.join(block.xml() for block in wanted)}"
            f"<b:nextCreatedOnOrAfter>{self.told_until.isoformat()}</b:nextCreatedOnOrAfter>"
            f"<b:latestCancellation>{self.cancelled}</b:latestCancellation>"
            '<n:newer xmlns:n="urn:newer">unknown</n:newer></g:blockHeader>'
            '<n:trailing xmlns:n="urn:newer"/></g:GetBlocksResponse></s:Body></s:Envelope>'
        )
        return Response(text.encode(), media_type="text/xml")


def fault() -> Response:
    text = (
        f'<s:Envelope xmlns:s="{SOAP}"><s:Body><s:Fault><faultcode>s:Server</faultcode>'
        "<faultstring>VP009</faultstring></s:Fault></s:Body></s:Envelope>"
    )
    return Response(text.encode(), 500, media_type="text/xml")


class Certificates:
    """A certificate authority with one certificate each for service and client, as files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test CA")])
        self.ca = self._write("ca", self._made(self._key, self._name, is_ca=True))
        self.service, self.service_key = self._issue("service")
        self.client, self.client_key = self._issue("client")

    def _issue(self, name: str) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return self._write(name, self._made(key, subject)), self._write(f"{name}-key", private)

    def _made(self, key: Any, subject: x509.Name, is_ca: bool = False) -> bytes:
        public = key.public_key()
        usage = x509.KeyUsage(True, False, False, False, False, is_ca, is_ca, False, False)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.now(UTC) - timedelta(days=1))
            .not_valid_after(datetime.now(UTC) + timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
            )
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
        )
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def _write(self, name: str, data: bytes) -> Path:
        path = self._folder / f"{name}.pem"
        path.write_bytes(data)
        return path


@asynccontextmanager
async def a_service(certificates: Certificates) -> AsyncIterator[Service]:
    """The service on a free port of loopback; it talks to nobody without a client certificate of its authority."""
    service = Service()
    config = uvicorn.Config(
        Starlette(routes=[Route("/GetBlocks", service.respond, methods=["POST"])]),
        host="127.0.0.1",
        port=0,
        log_config=None,
        lifespan="off",
        ssl_certfile=certificates.service,
        ssl_keyfile=str(certificates.service_key),
        ssl_ca_certs=str(certificates.ca),
        ssl_cert_reqs=ssl.CERT_REQUIRED,
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    service.address = f"https://127.0.0.1:{port}/GetBlocks"
    try:
        yield service
    finally:
        server.should_exit = True
        await task
