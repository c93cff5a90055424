"""What all resources of this door share: ids, identifier systems, dates, codes, empty values. Pure."""

import hashlib
import re
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from samsyn.clock import STOCKHOLM

Resource: TypeAlias = dict[str, Any]

_NATIONAL_SYSTEMS = MappingProxyType(
    {
        "1.2.752.129.2.1.3.1": "http://electronichealth.se/identifier/personnummer",
        "1.2.752.129.2.1.3.3": "http://electronichealth.se/identifier/samordningsnummer",
        "1.2.752.74.9.1": "http://electronichealth.se/identifier/nationelltReservnummer",
    }
)
DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"
LOINC: Final = "http://loinc.org"
UID_SYSTEM: Final = "urn:dicom:uid"
HSA_SYSTEM: Final = "urn:oid:1.2.752.129.2.1.4.1"
UNIFORM_SYSTEM: Final = "urn:ietf:rfc:3986"
"""The identifier is itself a URI (an OID as urn:oid:…)."""
ACCESSION: Final = MappingProxyType(
    {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}]}
)
IMAGING_STUDY_REPORT: Final = MappingProxyType(
    {"coding": [{"system": LOINC, "code": "18748-4", "display": "Diagnostic imaging study"}]}
)
_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
_HANDLE_CHARACTERS: Final = 32


def mark(*parts: str) -> str:
    """The part of an id that tells things of one patient apart: stable, opaque, 24 hex digits."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def identity(handle: str, kind: str, *parts: str) -> str:
    """The id of something of one patient. It begins with the patient's own id, so that reading by id opens that
    patient's View and nothing else; FHIR ids take 64 characters of A-Z, a-z, 0-9, - and . only."""
    return f"{handle}.{mark(kind, *parts)}"


def handle_in(identity_text: str) -> str:
    """The patient's id in an id that `identity` made, or the text itself."""
    return identity_text.partition(".")[0] if len(identity_text) > _HANDLE_CHARACTERS else identity_text


def reference(kind: str, identity_text: str) -> Resource:
    """A relative reference."""
    return {"reference": f"{kind}/{identity_text}"}


def organization(hsa_id: str, name: str) -> Resource:
    """A reference to a care provider or unit, whose HSA-id is its id."""
    return {"reference": f"Organization/{hsa_id}", "display": name} if hsa_id else {}


def system_of(issuer: str) -> str:
    """The identifier system (URI) of an issuer OID."""
    return _NATIONAL_SYSTEMS.get(issuer, f"urn:oid:{issuer}")


def issuer_of(system: str) -> str:
    """The issuer OID of an identifier system; "" when it is none that can be an issuer."""
    for issuer, known in _NATIONAL_SYSTEMS.items():
        if system == known:
            return issuer
    oid = system.removeprefix("urn:oid:")
    return oid if oid != system and _OID.fullmatch(oid) else ""


def narrative(text: str) -> Resource:
    """A Narrative of plain text; lines stay lines, and nothing in it is ever markup."""
    escaped = "".join(_ESCAPED.get(each, each) for each in text if each >= " " or each in "\n\t")
    lines = "<br/>".join(escaped.split("\n"))
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{lines or "-"}</div>'}


_ESCAPED: Final = MappingProxyType({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"})


def without_empty(resource: Resource) -> Resource:
    """FHIR knows no empty lists, objects or strings, at any depth."""
    # It is asked for every part of everything that is told: a third of an answer's time, with one look at each value.
    kept = {}
    for key, value in resource.items():
        part = _kept(value)
        if part is not None:
            kept[key] = part
    return kept


def _kept(value: Any) -> Any:
    """The value without what is empty in it; None = it is empty itself."""
    kind = type(value)
    if kind is str:
        return value if value and not value.isspace() else None
    if kind is dict or kind is MappingProxyType:
        return without_empty(value) or None
    if kind is list:
        return [part for part in map(_kept, value) if part is not None] or None
    return value


def day(text: str) -> str:
    """A FHIR date of YYYY, YYYYMM or YYYYMMDD; "" for what names no day, month or year."""
    if re.fullmatch(r"[0-9]{4}|[0-9]{6}|[0-9]{8}", text) is None:
        return ""
    try:
        date(int(text[:4]), int(text[4:6] or "1"), int(text[6:] or "1"))
    except ValueError:
        return ""
    return "-".join(part for part in (text[:4], text[4:6], text[6:]) if part)


def moment(date_text: str, time_text: str) -> str:
    """A FHIR dateTime of DICOM's local date and time; only the day when the time is unknown or impossible."""
    known = day(date_text)
    digits = time_text.partition(".")[0]
    if len(known) != 10 or re.fullmatch(r"[0-9]{4}([0-9]{2})?", digits) is None:
        return known
    try:
        when = datetime.strptime(date_text + digits.ljust(6, "0"), "%Y%m%d%H%M%S").replace(tzinfo=STOCKHOLM)
    except ValueError:
        return known
    return instant(when)


def instant(when: datetime) -> str:
    """A FHIR instant; a time without zone is Swedish local time."""
    return (when if when.tzinfo else when.replace(tzinfo=STOCKHOLM)).isoformat(timespec="seconds")
