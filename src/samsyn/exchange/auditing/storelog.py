"""The national log service: StoreLog 2 of informationsecurity:auditing:log, SOAP 1.1 over mutual TLS (RIV-TA 2.1).

At most 500 log posts in a call; the service stores all of a call or none. Its owner is the reader's care provider.
"""

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

import httpx
from lxml import etree

from samsyn import limits
from samsyn.access.followup.extract import DONE
from samsyn.access.followup.review import LogEntry
from samsyn.clock import STOCKHOLM
from samsyn.exchange.auditing.outbox import Answer, Outgoing, unusable
from samsyn.model.patient import PatientIdentifier
from samsyn.model.subject import Purpose

SOAP: Final = "http://schemas.xmlsoap.org/soap/envelope/"
REGISTRY: Final = "urn:riv:itintegration:registry:1"
RESPONDER: Final = "urn:riv:informationsecurity:auditing:log:StoreLogResponder:2"
LOG: Final = "urn:riv:informationsecurity:auditing:log:2"
ACTION: Final = f"{RESPONDER}:StoreLog"
MAX_POSTS: Final = 500
"""Log posts in one call (the contract's own limit)."""

PURPOSES: Final = frozenset(
    purpose.value
    for purpose in (
        Purpose.CARE,
        Purpose.QUALITY,
        Purpose.LEGAL,
        Purpose.STATISTICS,
        Purpose.ADMINISTRATION,
    )
)
"""Our purposes that the service has a word for; the patient's own reading is no staff access and is not sent."""

_NATIONAL_FIRST: Final = ("1.2.752.129.2.1.3.1", "1.2.752.129.2.1.3.3")
"""Personnummer and samordningsnummer go before numbers that only a region knows."""
_POSTS: Final = uuid.UUID("6f1f0c3e-8a0b-5f0e-9d53-2c1f3f5b9a77")
"""Name space of our log ids: the same entry has the same id however often it is sent."""
_HSA_IDS: Final = ("SE",)
_MAX_TEXT: Final = 256
_MAX_ARGUMENTS: Final = 8_192


class Names(Protocol):
    """What organisations are called (providers.connections)."""

    def provider_name(self, provider_hsa_id: str) -> str:
        """The provider's name, or its HSA-id."""

    def unit_name(self, provider_hsa_id: str, unit_hsa_id: str) -> str:
        """The unit's name, or its HSA-id."""


@dataclass(frozen=True, slots=True)
class NationalLog:
    """Where the service is and as what we call it."""

    url: str
    logical_address: str
    system_id: str
    system_name: str
    resource_type: str


class StoreLog:
    """A Receiver (outbox). `http` brings the client certificate."""

    def __init__(self, http: httpx.AsyncClient, address: NationalLog, names: Names) -> None:
        self._http = http
        self._address = address
        self._names = names

    @property
    def name(self) -> str:
        """See Receiver."""
        return "storelog"

    @property
    def call_size(self) -> int:
        """See Receiver."""
        return MAX_POSTS

    @property
    def certain(self) -> None:
        """See Receiver: its answer is one."""
        return None

    def takes(self, entry: LogEntry) -> bool:
        """Readings and registrations about a patient by staff and systems of a provider."""
        return (
            entry.event in DONE
            and entry.patient_key > 0
            and bool(entry.provider)
            and bool(entry.unit)
            and entry.purpose in PURPOSES
        )

    async def send(self, entries: Sequence[Outgoing]) -> Answer:
        """See Receiver. A SOAP fault, ERROR and ACCESSDENIED say nothing about the posts: they are tried again."""
        request = envelope(entries, self._address, self._names)
        headers = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{ACTION}"'}
        try:
            async with (
                asyncio.timeout(2 * limits.NATIONAL_TIMEOUT_S),
                self._http.stream("POST", self._address.url, content=request, headers=headers) as response,
            ):
                body = bytearray()
                async for piece in response.aiter_bytes():
                    body += piece
                    if len(body) > limits.MAX_SOAP_ANSWER_BYTES:
                        raise unusable("MAX_SOAP_ANSWER_BYTES: the answer does not end")
        except (httpx.HTTPError, TimeoutError) as problem:
            raise unusable(f"{type(problem).__name__}: {problem}") from problem
        return _judged(bytes(body), response.status_code)

    async def close(self) -> None:
        """See Receiver."""
        await self._http.aclose()


def log_id(journal: str, sequence: int) -> str:
    """The log post's id (UUID): follows from the journal and the entry, so that a repetition is one."""
    return str(uuid.uuid5(_POSTS, f"{journal}/{sequence}"))


def envelope(entries: Sequence[Outgoing], address: NationalLog, names: Names) -> bytes:
    """The SOAP message for a call."""
    root = etree.Element(
        f"{{{SOAP}}}Envelope",
        nsmap={"soapenv": SOAP, "reg": REGISTRY, "sl": RESPONDER, "log": LOG},
    )
    header = etree.SubElement(root, f"{{{SOAP}}}Header")
    _add(header, "LogicalAddress", address.logical_address, REGISTRY)
    body = etree.SubElement(root, f"{{{SOAP}}}Body")
    call = etree.SubElement(body, f"{{{RESPONDER}}}StoreLog")
    for each in entries:
        _post(etree.SubElement(call, f"{{{RESPONDER}}}log"), each, address, names)
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8"))


def _post(post: "etree._Element", each: Outgoing, address: NationalLog, names: Names) -> None:
    """LogType; the order of elements is the schema's."""
    entry = each.entry
    _add(post, "logId", log_id(each.journal, entry.sequence))
    system = _add(post, "system")
    _add(system, "systemId", address.system_id)
    _add(system, "systemName", address.system_name[:_MAX_TEXT])
    activity = _add(post, "activity")
    _add(activity, "activityType", entry.activity)
    _add(activity, "activityLevel", entry.event)
    if "of" in entry.details:
        _add(activity, "activityArgs", entry.details["of"][:_MAX_ARGUMENTS])
    _add(activity, "startDate", entry.time.astimezone(STOCKHOLM).isoformat(timespec="milliseconds"))
    _add(activity, "purpose", entry.purpose)
    user = _add(post, "user")
    named = entry.actor.startswith(_HSA_IDS)
    # A system that has no HSA-id of its own acts as its unit; what it is called stands in the name.
    _add(user, "userId", entry.actor if named else entry.unit)
    name = entry.actor_name or ("" if named else entry.actor)
    if name:
        _add(user, "name", name[:_MAX_TEXT])
    if each.assignment:
        _add(user, "assignment", each.assignment[:_MAX_TEXT])
    _organisation(user, entry.provider, entry.unit, names)
    resource = _add(_add(post, "resources"), "resource")
    _add(resource, "resourceType", address.resource_type[:_MAX_TEXT])
    identifier = preferred(each.identifiers)
    if identifier is not None:
        patient = _add(_add(resource, "patient"), "patientId")
        _add(patient, "root", identifier.issuer)
        _add(patient, "extension", identifier.value)
    if entry.owner_provider:
        _organisation(resource, entry.owner_provider, entry.owner_unit, names)
    else:
        # What was searched or attested is no information of anybody else's.
        _organisation(resource, entry.provider, entry.unit, names)


def preferred(identifiers: Sequence[PatientIdentifier]) -> PatientIdentifier | None:
    """The identifier that others know the patient by: a national number before a local one."""
    return min(
        identifiers,
        key=lambda each: (
            _NATIONAL_FIRST.index(each.issuer) if each.issuer in _NATIONAL_FIRST else len(_NATIONAL_FIRST)
        ),
        default=None,
    )


def _organisation(parent: "etree._Element", provider: str, unit: str, names: Names) -> None:
    element = _add(parent, "careProvider")
    _add(element, "careProviderId", provider)
    _add(element, "careProviderName", names.provider_name(provider)[:_MAX_TEXT])
    if unit:
        element = _add(parent, "careUnit")
        _add(element, "careUnitId", unit)
        _add(element, "careUnitName", names.unit_name(provider, unit)[:_MAX_TEXT])


def _add(parent: "etree._Element", name: str, text: str = "", space: str = LOG) -> "etree._Element":
    element = etree.SubElement(parent, f"{{{space}}}{name}")
    if text:
        element.text = xml_text(text)
    return element


def xml_text(text: str) -> str:
    """Text without the characters that XML 1.0 can not hold (2.2), each replaced by U+FFFD."""
    return "".join(
        each
        if each in "\t\n\r" or "\x20" <= each <= "\ud7ff" or "\ue000" <= each <= "\ufffd" or each > "\uffff"
        else "\ufffd"
        for each in text
    )


_DELIVERED: Final = frozenset({"OK", "INFO"})
_REFUSED: Final = "VALIDATION_ERROR"
_PARSER: Final[Mapping[str, bool]] = MappingProxyType(
    {"resolve_entities": False, "no_network": True, "load_dtd": False, "huge_tree": False}
)


def _judged(body: bytes, status: int) -> Answer:
    """What the answer says. Elements that we do not know are passed over (the schema ends with any)."""
    try:
        root = etree.fromstring(body, etree.XMLParser(**_PARSER))
    except (etree.XMLSyntaxError, ValueError) as problem:
        raise unusable(f"HTTP {status}, and no XML") from problem
    if root.getroottree().docinfo.doctype:
        raise unusable("the answer has a document type")
    fault = root.find(f"{{{SOAP}}}Body/{{{SOAP}}}Fault")
    if fault is not None:
        raise unusable(f"SOAP fault: {(fault.findtext('faultstring') or '')[:200]}")
    result = root.find(f"{{{SOAP}}}Body/{{{RESPONDER}}}StoreLogResponse/{{{RESPONDER}}}result")
    if result is None:
        result = root.find(f"{{{SOAP}}}Body/{{{RESPONDER}}}StoreLogResponse/{{{LOG}}}result")
    code = (result.findtext(f"{{{LOG}}}resultCode") or "").strip() if result is not None else ""
    text = (result.findtext(f"{{{LOG}}}resultText") or "").strip() if result is not None else ""
    if code in _DELIVERED:
        return Answer()
    if code == _REFUSED:
        return Answer(f"{code}: {text}"[:1_000])
    raise unusable(f"HTTP {status}: {code or 'no result code'} {text}"[:300])
