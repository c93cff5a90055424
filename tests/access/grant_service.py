"""National registers of consent (v2) and patient relation (v1) that speak SOAP over HTTP on loopback with mutual TLS.

They keep what they are told, answer in the contracts' own message forms with elements that nobody knows, and can be
slow, refuse, answer with faults and with nonsense. Incoming messages are judged by their order of elements.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.sax.saxutils import escape

from lxml import etree
from starlette.requests import Request
from starlette.responses import Response

from tests.access.national_service import PERSONNUMMER, SOAP
from tests.access.soap_server import Certificates, a_soap_server

CONSENT = "urn:riv:informationsecurity:authorization:consent:2"
RELATION = "urn:riv:ehr:patientrelationship:1"
ADDRESS = "{urn:riv:itintegration:registry:1}LogicalAddress"
ORDER = {
    "RegisterExtendedConsent": "assertionId assertionType scope patientId careProviderId careUnitId employeeId?"
    " startDate? endDate? representedBy? registrationAction",
    "CancelExtendedConsent": "assertionId cancellationAction",
    "DeleteExtendedConsent": "assertionId deletionAction",
    "EndConsentByPatient": "assertionId patientId representedById? endDateTime?",
    "GetConsentsForCareProvider": "careProviderId createdOnOrAfter? getCancelledFlag",
    "RegisterExtendedPatientRelationRequest": "PatientRelationId PatientId CareProviderId CareUnitId EmployeeId"
    " StartDate? EndDate RegistrationAction",
    "CancelExtendedPatientRelationRequest": "PatientRelationId CancellationAction",
    "GetPatientRelationsForCareProviderRequest": "CareProviderId CreatedOnOrAfter? GetCancelledFlag",
}
"""The order in which the schemas want the elements of each request; ? = need not be there."""


@dataclass
class Given:
    """A consent or a relation as the register has stored it; `extra` stands at its end."""

    grant_id: str
    number: str
    provider: str
    unit: str
    employee: str = ""
    kind: str = "Consent"
    starts: str = "2026-11-01T00:00:00+01:00"
    ends: str = ""
    issuer: str = PERSONNUMMER
    scope: str = "NationalLevel"
    extra: str = ""
    stored: datetime = datetime(2026, 11, 1, tzinfo=UTC)
    ended: datetime | None = None


@dataclass
class GrantService:
    """What the register knows, and how it behaves."""

    given: dict[str, Given] = field(default_factory=dict)
    now: datetime = datetime(2026, 11, 2, tzinfo=UTC)
    result: str = "OK"
    """What reading answers."""
    changing: str = "OK"
    """What registering and ending answer."""
    answer: Response | None = None
    wait_s: float = 0.0
    page_size: int = 1_000
    forgets_cancelled: bool = False
    """Tells no cancellation of what was stored before the asked moment."""
    calls: list[tuple[str, str, str]] = field(default_factory=list)
    """(operation, SOAPAction, logical address) of each call."""
    asked: list[str | None] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    address: str = ""

    def put(self, given: Given) -> None:
        self.now += timedelta(minutes=1)
        given.stored = self.now
        self.given[given.grant_id] = given
        self.now += timedelta(minutes=1)

    def end(self, grant_id: str) -> None:
        self.now += timedelta(minutes=1)
        self.given[grant_id].ended = self.now
        self.now += timedelta(minutes=1)

    def calls_of(self, operation: str) -> int:
        return sum(call[0] == operation for call in self.calls)

    async def respond(self, request: Request) -> Response:
        root = etree.fromstring(await request.body())
        body = root.find(f"{{{SOAP}}}Body")[0]
        name = etree.QName(body).localname
        operation = name.removesuffix("Request")
        self.calls.append(
            (
                operation,
                request.headers["soapaction"].strip('"'),
                root.findtext(f"{{{SOAP}}}Header/{ADDRESS}"),
            )
        )
        assert request.url.path == f"/{operation}"
        await asyncio.sleep(self.wait_s)
        if self.answer is not None:
            return self.answer
        check_order(body, ORDER[name])
        self.bodies.append(body)
        space = etree.QName(body).namespace
        content = (
            self._read(body, operation) if operation.startswith("Get") else self._change(body, operation)
        )
        text = (
            f'<s:Envelope xmlns:s="{SOAP}"><s:Header/><s:Body><g:{operation}Response xmlns:g="{space}"'
            f' xmlns:c="{CONSENT}" xmlns:p="{RELATION}">{content}<n:later xmlns:n="urn:newer"><n:x/></n:later>'
            f"</g:{operation}Response></s:Body></s:Envelope>"
        )
        return Response(text.encode(), media_type="text/xml")

    def _read(self, body: Any, operation: str) -> str:
        relation = "PatientRelation" in operation
        names = ("CareProviderId", "CreatedOnOrAfter") if relation else ("careProviderId", "createdOnOrAfter")
        space = etree.QName(body).namespace
        provider, since = (body.findtext(f"{{{space}}}{name}") for name in names)
        self.asked.append(since)
        moment = datetime.fromisoformat(since) if since else datetime(2000, 1, 1, tzinfo=UTC)
        mine = [each for each in self.given.values() if each.provider.upper() == provider]
        valid = sorted(
            (each for each in mine if each.ended is None and each.stored >= moment),
            key=lambda each: each.stored,
        )
        ended = [
            each for each in mine
            if each.ended is not None and each.ended >= moment
            and not (self.forgets_cancelled and each.stored < moment)
        ]  # fmt: skip
        part, more = valid[: self.page_size], len(valid) > self.page_size
        until = (part[-1].stored + timedelta(microseconds=1) if more else self.now).isoformat()
        write = _relations if relation else _consents
        return write(self.result, until, more, part, ended)

    def _change(self, body: Any, operation: str) -> str:
        relation = "PatientRelation" in operation
        space = etree.QName(body).namespace
        if self.changing == "OK":
            if operation.startswith("Register"):
                texts = {etree.QName(each).localname: (each.text or "").strip() for each in body}
                get = {key.lower(): value for key, value in texts.items()}.get
                number = (
                    body.findtext(f"{{{space}}}patientId/{{{CONSENT}}}extension") or get("patientid") or ""
                )
                self.put(
                    Given(
                        get("assertionid") or get("patientrelationid") or "",
                        number,
                        get("careproviderid") or "",
                        get("careunitid") or "",
                        get("employeeid") or "",
                        get("assertiontype") or "relation",
                        get("startdate") or "",
                        get("enddate") or "",
                        body.findtext(f"{{{space}}}patientId/{{{CONSENT}}}root") or "",
                    )
                )
            else:
                grant_id = body[0].text
                if grant_id not in self.given:
                    return _result("NOTFOUND", relation)
                self.end(grant_id)
        return _result(self.changing, relation)


def check_order(body: Any, order: str) -> None:
    """AssertionError unless the children stand as the schema wants them."""
    told = [etree.QName(each).localname for each in body]
    for name in order.split():
        if told and told[0] == name.removesuffix("?"):
            told.pop(0)
        else:
            assert name.endswith("?"), (name, told)
    assert not told, told


def _result(code: str, relation: bool) -> str:
    if relation:
        return (
            f"<g:ResultType><p:ResultCode>{code}</p:ResultCode><p:ResultText>x</p:ResultText></g:ResultType>"
        )
    return f"<g:result><c:resultCode>{code}</c:resultCode></g:result>"


def _consents(result: str, until: str, more: bool, part: list[Given], ended: list[Given]) -> str:
    return (
        f"<g:getAllAssertionsResult><c:result><c:resultCode>{result}</c:resultCode></c:result>"
        f"<c:moreOnOrAfter>{until}</c:moreOnOrAfter><c:hasMore>{str(more).lower()}</c:hasMore>"
        + "".join(
            f"<c:assertions><c:assertionId>{each.grant_id}</c:assertionId><c:assertionType>{each.kind}"
            f"</c:assertionType><c:scope>{each.scope}</c:scope><c:careProviderId>{each.provider}</c:careProviderId>"
            f"<c:careUnitId>{escape(each.unit)}</c:careUnitId>"
            + (f"<c:employeeId>{each.employee}</c:employeeId>" if each.employee else "")
            + f"<c:startDate>{each.starts}</c:startDate>"
            + (f"<c:endDate>{each.ends}</c:endDate>" if each.ends else "")
            + f"<c:ownerId>x</c:ownerId><c:patientId><c:root>{each.issuer}</c:root>"
            f"<c:extension>{each.number}</c:extension></c:patientId>{each.extra}</c:assertions>"
            for each in part
        )
        + "".join(
            f"<c:cancelledAssertions><c:assertionId>{each.grant_id}</c:assertionId><c:cancellationDate>"
            f"{each.ended}</c:cancellationDate></c:cancelledAssertions>"
            for each in ended
        )
        + '<n:x xmlns:n="urn:newer">y</n:x></g:getAllAssertionsResult>'
    )


def _relations(result: str, until: str, more: bool, part: list[Given], ended: list[Given]) -> str:
    return (
        f"<g:GetAllPatientRelationsResultType><p:Result><p:ResultCode>{result}</p:ResultCode>"
        f"<p:ResultText/></p:Result><p:MoreOnOrAfter>{until}</p:MoreOnOrAfter>"
        f"<p:HasMore>{str(more).lower()}</p:HasMore>"
        + "".join(
            f"<p:PatientRelations><p:PatientRelationId>{each.grant_id}</p:PatientRelationId>"
            f"<p:PatientId>{each.number}</p:PatientId><p:CareProviderId>{each.provider}</p:CareProviderId>"
            f"<p:CareUnitId>{each.unit}</p:CareUnitId><p:EmployeeId>{each.employee}</p:EmployeeId>"
            f"<p:StartDate>{each.starts}</p:StartDate><p:EndDate>{each.ends}</p:EndDate>{each.extra}"
            "</p:PatientRelations>"
            for each in part
        )
        + "".join(
            f"<p:CancelledPatientRelations><p:PatientRelationId>{each.grant_id}</p:PatientRelationId>"
            f"<p:CancellationDate>{each.ended}</p:CancellationDate></p:CancelledPatientRelations>"
            for each in ended
        )
        + "</g:GetAllPatientRelationsResultType>"
    )


@asynccontextmanager
async def a_grant_service(certificates: Certificates) -> AsyncIterator[GrantService]:
    """A register on loopback."""
    service = GrantService()
    async with a_soap_server(certificates, service.respond) as address:
        service.address = address
        yield service
