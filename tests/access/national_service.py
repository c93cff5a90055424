"""A blocking service that speaks SOAP over HTTP on loopback, with mutual TLS, faults, slow answers and nonsense."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from xml.sax.saxutils import escape

from lxml import etree
from starlette.requests import Request
from starlette.responses import Response

from tests.access.soap_server import Certificates, a_soap_server

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


@asynccontextmanager
async def a_service(certificates: Certificates) -> AsyncIterator[Service]:
    """The service on a free port of loopback."""
    service = Service()
    async with a_soap_server(certificates, service.respond) as address:
        service.address = address.format(operation="GetBlocks")
        yield service
