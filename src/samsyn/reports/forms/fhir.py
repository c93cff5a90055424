"""FHIR R4 DiagnosticReport, alone or in a transaction Bundle, as report versions.

What Samsyn does not know of a resource is kept with its bytes and not shown. References are followed inside the same
Bundle and `contained` only: nothing is fetched from an address that somebody sent.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from html import unescape
from types import MappingProxyType
from typing import Any, Final

import orjson

from samsyn.clock import swedish_day
from samsyn.errors import BadInput, LimitExceeded, NotSupported
from samsyn.hl7v2.meaning import Interpretation, PatientClaim, ReportEvent, SentIdentifier
from samsyn.hl7v2.times import Doubt, is_ahead
from samsyn.limits import MAX_FHIR_ITEMS, MAX_REPORT_CHARACTERS
from samsyn.model.organisation import Owner
from samsyn.model.patient import Demographics
from samsyn.model.sender import Sender
from samsyn.model.texts import ReportStatus

_STATUS: Final = MappingProxyType(
    {
        "registered": ReportStatus.PRELIMINARY,
        "partial": ReportStatus.PRELIMINARY,
        "preliminary": ReportStatus.PRELIMINARY,
        "final": ReportStatus.FINAL,
        "amended": ReportStatus.CORRECTION,
        "corrected": ReportStatus.CORRECTION,
        "appended": ReportStatus.ADDENDUM,
        "cancelled": ReportStatus.ANNULLED,
        "entered-in-error": ReportStatus.ANNULLED,
    }
)
_SEX: Final = MappingProxyType({"male": "M", "female": "F", "other": "O"})
_HSA_SYSTEM: Final = "urn:oid:1.2.752.129.2.1.4.1"
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
_DAY: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)")
_BLOCKS: Final = re.compile(r"</?(?:p|div|br|li|tr|h[1-6]|table|ul|ol|pre)\b[^<>]*>", re.IGNORECASE)
_TAG: Final = re.compile(r"<[^<>]*>")
_UID: Final = re.compile(r"urn:oid:([0-2](?:\.(?:0|[1-9][0-9]*))+)")

Json = Mapping[str, Any]


def read_reports(
    raw: bytes, sender: Sender, units: Mapping[str, Owner], arrived: datetime | None = None
) -> Interpretation:
    """Every DiagnosticReport of the bytes: one resource, or a Bundle of type transaction that is filed as a whole.

    Raises BadInput (the element is named) and NotSupported (another resource or kind of Bundle).
    """
    try:
        root = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise BadInput("the body is not JSON") from None
    if not isinstance(root, dict):
        raise BadInput("the body is not a resource")
    entries = _entries(root)
    reports = [each for each in entries.values() if each.get("resourceType") == "DiagnosticReport"]
    if not reports:
        raise NotSupported("only DiagnosticReport is taken, alone or in a transaction Bundle")
    for each in entries.values():
        _refuse_modified(each)
    notes: list[str] = []
    events = tuple(
        _not_ahead(_report(each, entries, sender, units, notes), arrived, notes) for each in reports
    )
    _refuse_hidden(events)
    return Interpretation(events, tuple(dict.fromkeys(notes)))


def _not_ahead(event: ReportEvent, arrived: datetime | None, notes: list[str]) -> ReportEvent:
    """What was issued at a moment that is still to come was made when it came, as of messages (hl7v2.times)."""
    if is_ahead(event.when, arrived):
        event = replace(event, when=arrived)
    if not is_ahead(event.result_time, arrived):
        return event
    notes.append(
        "DiagnosticReport.issued: a moment that is still to come; the report is filed as made when it came"
    )
    return replace(event, result_time=arrived, doubt=Doubt.AHEAD)


def _refuse_modified(resource: Json) -> None:
    """What changes the meaning of a resource and is not understood refuses it (R4 2.4.1, 3.1.0.1.5)."""
    for name in ("modifierExtension", "implicitRules"):
        if resource.get(name):
            raise BadInput(
                f"{str(resource.get('resourceType'))[:40]}.{name}: not understood, and may change what is said"
            )


def _refuse_hidden(events: tuple[ReportEvent, ...]) -> None:
    """BadInput: of two texts for one accession number, procedure, status and time one would hide the other."""
    told: dict[object, str] = {}
    for event in events:
        number = (event.patient.identifiers, event.accession_issuer, event.accession, event.procedure_text)
        if told.setdefault((number, event.status, event.result_time), event.text) != event.text:
            raise BadInput(
                "DiagnosticReport: another text has the same accession number, code, status and time"
            )


def _entries(root: Json) -> dict[str, Json]:
    """Resources by the name that references use: fullUrl, or type/id; the lone resource by its type."""
    if root.get("resourceType") != "Bundle":
        return {str(root.get("resourceType", "")): root}
    if root.get("type") != "transaction":
        raise NotSupported("only a Bundle of type transaction is taken")
    found: dict[str, Json] = {}
    for entry in _list(root, "entry"):
        resource = entry.get("resource")
        method = _dict(entry, "request").get("method", "POST")
        if not isinstance(resource, dict) or method not in ("POST", "PUT"):
            raise NotSupported("a transaction's entries carry a resource with POST or PUT")
        kind = str(resource.get("resourceType", ""))
        name = str(entry.get("fullUrl") or f"{kind}/{resource.get('id', len(found))}")
        if name in found:
            raise BadInput("Bundle.entry: two resources have one fullUrl (bdl-7) or one id")
        found[name] = resource
    return found


def _report(
    resource: Json, entries: Mapping[str, Json], sender: Sender, units: Mapping[str, Owner], notes: list[str]
) -> ReportEvent:
    status = _STATUS.get(str(resource.get("status", "")))
    if status is None:
        raise BadInput("DiagnosticReport.status: missing, or a word that tells nothing here")
    text = _text(resource, notes)
    if not text and status is not ReportStatus.ANNULLED:
        raise BadInput("DiagnosticReport: no text (presentedForm as text/plain, text.div or conclusion)")
    accession, issuer = _accession(resource, entries)
    if not accession:
        raise BadInput("DiagnosticReport.identifier: the accession number (type ACSN) is missing")
    issued = _instant(resource.get("issued"), "issued")
    changed = _instant(_dict(resource, "meta").get("lastUpdated"), "meta.lastUpdated")
    interpreters = _names(resource, "resultsInterpreter")
    return ReportEvent(
        patient=_patient(resource, entries),
        owner=_owner(resource, sender, units, notes),
        accession=accession,
        accession_issuer=issuer,
        placer_id=_order_number(resource, entries),
        filler_id=_filler(resource) or accession,
        study_uids=_studies(resource, entries),
        status=status,
        fragment=False,
        result_time=issued,
        examined=_examined(
            resource.get("effectiveDateTime") or _dict(resource, "effectivePeriod").get("start")
        ),
        author=_names(resource, "performer"),
        signer="" if status is ReportStatus.PRELIMINARY else interpreters,
        procedure_code=_code(resource),
        procedure_text=str(_dict(resource, "code").get("text") or _display(resource)),
        text=text,
        reason="",
        when=changed or issued,
        form="fhir",
    )


def _text(resource: Json, notes: list[str]) -> str:
    """The readable text: a plain attachment, else the narrative without its markup, else the conclusion."""
    for attachment in _list(resource, "presentedForm"):
        kind = str(attachment.get("contentType", "")).partition(";")[0].strip().lower()
        if kind == "text/plain" and attachment.get("data"):
            return _bounded(_decoded(str(attachment["data"])))
        notes.append(f"DiagnosticReport.presentedForm: {kind[:40] or 'no type'} is kept and not shown")
    narrative = str(_dict(resource, "text").get("div") or "")
    if narrative:
        plain = unescape(_TAG.sub("", _BLOCKS.sub("\n", re.sub(r"\s+", " ", narrative))))
        return _bounded("\n".join(line.strip() for line in plain.split("\n") if line.strip()))
    return _bounded(str(resource.get("conclusion") or ""))


def _bounded(text: str) -> str:
    if len(text) > MAX_REPORT_CHARACTERS:
        raise BadInput(f"DiagnosticReport: a text of more than {MAX_REPORT_CHARACTERS} characters")
    if re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", text):
        raise BadInput("DiagnosticReport: a control character stands in the text")
    return text.replace("\r\n", "\n").replace("\r", "\n").strip("\n")


def _decoded(data: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise BadInput("DiagnosticReport.presentedForm: the text is not base64 of UTF-8") from None


def _accession(resource: Json, entries: Mapping[str, Json]) -> tuple[str, str]:
    """(number, issuer) of the identifier of type ACSN, here, on the study or on the request."""
    found = [*_list(resource, "identifier")]
    for kind in ("imagingStudy", "basedOn"):
        for reference in _list(resource, kind):
            found.append(_dict(reference, "identifier"))
            found += _list(_followed(reference, resource, entries), "identifier")
    for identifier in found:
        codes = _types(identifier)
        if "ACSN" in codes and identifier.get("value"):
            return str(identifier["value"]).strip(), _issuer(str(identifier.get("system", "")))
    plain = [each for each in _list(resource, "identifier") if each.get("value") and not each.get("type")]
    return (str(plain[0]["value"]).strip(), _issuer(str(plain[0].get("system", "")))) if plain else ("", "")


def _types(identifier: Json) -> set[str]:
    return {str(each.get("code", "")) for each in _list(_dict(identifier, "type"), "coding")}


def _issuer(system: str) -> str:
    return system.removeprefix("urn:oid:") if system.startswith("urn:oid:") else ""


def _filler(resource: Json) -> str:
    for identifier in _list(resource, "identifier"):
        codes = _types(identifier)
        if "FILL" in codes and identifier.get("value"):
            return str(identifier["value"]).strip()
    return ""


def _order_number(resource: Json, entries: Mapping[str, Json]) -> str:
    for reference in _list(resource, "basedOn"):
        told = [_dict(reference, "identifier"), *_list(_followed(reference, resource, entries), "identifier")]
        for identifier in told:
            codes = _types(identifier)
            if identifier.get("value") and "ACSN" not in codes:
                return str(identifier["value"]).strip()
    return ""


def _studies(resource: Json, entries: Mapping[str, Json]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for reference in _list(resource, "imagingStudy"):
        told = [_dict(reference, "identifier"), *_list(_followed(reference, resource, entries), "identifier")]
        for identifier in told:
            match = _UID.fullmatch(str(identifier.get("value", "")))
            if match:
                found[match[1]] = None
    return tuple(found)


def _patient(resource: Json, entries: Mapping[str, Json]) -> PatientClaim:
    subject = _dict(resource, "subject")
    person = _followed(subject, resource, entries)
    identifiers = [_dict(subject, "identifier"), *_list(person, "identifier")]
    sent = tuple(
        dict.fromkeys(
            SentIdentifier(str(each["value"]).strip(), str(each.get("system", "")).strip())
            for each in identifiers
            if each.get("value")
        )
    )
    if not sent:
        raise BadInput(
            "DiagnosticReport.subject: no identifier, neither of its own nor of a Patient in the same body"
        )
    name = next(iter(_list(person, "name")), {})
    given = " ".join(str(each) for each in name.get("given", ()) if isinstance(each, str))
    return PatientClaim(
        sent,
        Demographics(
            name=f"{_one_line(name.get('family'))}^{_one_line(given)}".rstrip("^"),
            birth_date=_day(person.get("birthDate")),
            sex=_SEX.get(str(person.get("gender", "")), ""),
        ),
    )


def _one_line(value: Any) -> str:
    return " ".join(re.sub(r"[\^=\\\x00-\x1f\x7f]", " ", str(value or "")).split())[:64]


def _owner(resource: Json, sender: Sender, units: Mapping[str, Owner], notes: list[str]) -> Owner:
    """The unit that performed it, by HSA-id; without one the sender's own."""
    home = Owner(sender.provider, sender.unit)
    for performer in _list(resource, "performer"):
        identifier = _dict(performer, "identifier")
        if identifier.get("system") == _HSA_SYSTEM and identifier.get("value"):
            known = units.get(str(identifier["value"]).upper())
            if known is not None and known.provider == sender.provider:
                return known
            notes.append(
                "DiagnosticReport.performer: no unit of the sender's provider, filed as the sender's own"
            )
    return home


def _names(resource: Json, field: str) -> str:
    names = (_one_line(each.get("display")) for each in _list(resource, field))
    return ", ".join(dict.fromkeys(name for name in names if name))


def _code(resource: Json) -> str:
    return next(
        (str(each["code"]) for each in _list(_dict(resource, "code"), "coding") if each.get("code")), ""
    )


def _display(resource: Json) -> str:
    coding = _list(_dict(resource, "code"), "coding")
    return next((str(each["display"]) for each in coding if each.get("display")), "")


def _followed(reference: Json, resource: Json, entries: Mapping[str, Json]) -> Json:
    """The resource that a reference names, when it is in the same body; an empty one otherwise."""
    name = str(reference.get("reference", ""))
    if name.startswith("#"):
        inside = (each for each in _list(resource, "contained") if each.get("id") == name[1:])
        return next(inside, {})
    return entries.get(name, {})


def _instant(value: Any, field: str) -> datetime | None:
    if value in (None, ""):
        return None
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        raise BadInput(f"DiagnosticReport.{field}: an instant with time zone is needed")
    try:
        return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", value)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadInput(f"DiagnosticReport.{field}: a time that does not exist") from None


def _examined(value: Any) -> str:
    """The Swedish day (YYYYMMDD) of a FHIR dateTime, which tells its zone where it tells a time; "" as `_day`."""
    if isinstance(value, str) and _INSTANT.fullmatch(value):
        moment = _instant(value, "effective")
        return f"{swedish_day(moment):08d}" if moment is not None else ""
    return _day(value)


def _day(value: Any) -> str:
    """YYYYMMDD of a FHIR date or dateTime; "" when it is not told to the day."""
    match = _DAY.match(str(value or ""))
    if match is None:
        return ""
    try:
        datetime(int(match[1]), int(match[2]), int(match[3]), tzinfo=UTC)
    except ValueError:
        raise BadInput("a date that does not exist") from None
    return "".join(match.groups())


def _list(parent: Json, field: str) -> list[Json]:
    value = parent.get(field)
    if not isinstance(value, list):
        return []
    if len(value) > MAX_FHIR_ITEMS:
        raise LimitExceeded(f"MAX_FHIR_ITEMS: more than {MAX_FHIR_ITEMS} items of {field}")
    return [each for each in value if isinstance(each, dict)]


def _dict(parent: Json, field: str) -> Json:
    value = parent.get(field)
    return value if isinstance(value, dict) else {}
