"""DICOM audit messages (PS3.15 A.5) for an audit record repository (IHE ATNA, ITI-20).

Pure: one journal entry becomes one AuditMessage. Patients are named by number, staff by HSA-id.
"""

import base64
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from lxml import etree

from samsyn.access.events import Activity, Event
from samsyn.access.followup.review import LogEntry
from samsyn.exchange.auditing.outbox import Outgoing
from samsyn.exchange.auditing.storelog import preferred, xml_text


@dataclass(frozen=True, slots=True)
class _Kind:
    """EventID (CID 400), EventActionCode and, where there is one, EventTypeCode (CID 401)."""

    code: str
    meaning: str
    action: str
    type_code: str = ""
    type_meaning: str = ""


_AUTHENTICATION: Final = ("110114", "User Authentication")
_QUERY: Final = ("110112", "Query")
_RECORD: Final = ("110110", "Patient Record")
_ACCESSED: Final = ("110103", "DICOM Instances Accessed")
_TRANSFERRED: Final = ("110104", "DICOM Instances Transferred")
_EXPORT: Final = ("110106", "Export")
_LOG_USED: Final = ("110101", "Audit Log Used")
_ALERT: Final = ("110113", "Security Alert")

_KINDS: Final = MappingProxyType(
    {
        Event.LOGIN.value: _Kind(*_AUTHENTICATION, "E", "110122", "Login"),
        Event.LOGIN_REFUSED.value: _Kind(*_AUTHENTICATION, "E", "110122", "Login"),
        Event.LOGOUT.value: _Kind(*_AUTHENTICATION, "E", "110123", "Logout"),
        Event.SEARCH.value: _Kind(*_QUERY, "E"),
        Event.SEARCH_PATIENT.value: _Kind(*_QUERY, "E"),
        Event.SYSTEM_VIEW.value: _Kind(*_QUERY, "E"),
        Event.OWN_RECORD.value: _Kind(*_RECORD, "R"),
        Event.OPEN_LIST.value: _Kind(*_ACCESSED, "R"),
        Event.OPEN_METADATA.value: _Kind(*_ACCESSED, "R"),
        Event.OPEN_IMAGES.value: _Kind(*_ACCESSED, "R"),
        Event.SEND.value: _Kind(*_TRANSFERRED, "R"),
        Event.STORE_STUDY.value: _Kind(*_TRANSFERRED, "C"),
        Event.EXPORT.value: _Kind(*_EXPORT, "R"),
        Event.READ_AUDIT.value: _Kind(*_LOG_USED, "R"),
        Event.MAKE_LOG_CHECK.value: _Kind(*_LOG_USED, "R"),
        Event.SIGN_LOG_CHECK.value: _Kind(*_LOG_USED, "R"),
        Event.REFUSED.value: _Kind(*_ALERT, "E", "110128", "Network Configuration"),
        Event.EMERGENCY_CONSENT.value: _Kind(*_ALERT, "E", "110127", "Emergency Override Started"),
        Event.EMERGENCY_PASS_BLOCKED.value: _Kind(*_ALERT, "E", "110127", "Emergency Override Started"),
    }
)
_STUDY_EVENTS: Final = frozenset(
    {
        Event.OPEN_LIST.value,
        Event.OPEN_METADATA.value,
        Event.OPEN_IMAGES.value,
        Event.SEND.value,
        Event.EXPORT.value,
        Event.STORE_STUDY.value,
    }
)
_WRITES: Final = frozenset({Activity.WRITE.value, Activity.SIGN.value, Activity.ACKNOWLEDGE.value})


def audit_message(each: Outgoing, source_id: str) -> bytes:
    """The AuditMessage as XML in UTF-8. Schema order: event, participants, source, objects (PS3.15 A.5.1)."""
    entry = each.entry
    root = etree.Element("AuditMessage")
    _event(root, entry)
    _participants(root, each, source_id)
    source = etree.SubElement(root, "AuditSourceIdentification", AuditSourceID=xml_text(source_id))
    etree.SubElement(source, "AuditSourceTypeCode", {"csd-code": "4"})
    _objects(root, each)
    return bytes(etree.tostring(root, encoding="UTF-8", xml_declaration=True))


def kind_of(entry: LogEntry) -> _Kind:
    """How the entry is called there; what has no kind of its own is access to a patient's record, or its change."""
    found = _KINDS.get(entry.event)
    if found is not None:
        return found
    return _Kind(*_RECORD, "U" if entry.activity in _WRITES else "R")


def _event(root: "etree._Element", entry: LogEntry) -> None:
    kind = kind_of(entry)
    event = etree.SubElement(
        root,
        "EventIdentification",
        EventActionCode=kind.action,
        EventDateTime=entry.time.isoformat(timespec="milliseconds"),
        # 0 success, 8 serious failure: it was refused (A.5.1).
        EventOutcomeIndicator="0" if entry.allowed else "8",
    )
    _code(event, "EventID", kind.code, kind.meaning)
    if kind.type_code:
        _code(event, "EventTypeCode", kind.type_code, kind.type_meaning)
    _code(event, "EventTypeCode", entry.event, entry.activity, "SAMSYN")
    if entry.purpose:
        _code(event, "PurposeOfUse", entry.purpose, entry.purpose, "SAMSYN")


def _participants(root: "etree._Element", each: Outgoing, source_id: str) -> None:
    entry = each.entry
    address = entry.details.get("address", "")
    user = etree.SubElement(
        root,
        "ActiveParticipant",
        UserID=xml_text(entry.actor or entry.details.get("claimed", "") or "unknown"),
        AlternativeUserID=xml_text(each.session_id),
        UserName=xml_text(entry.actor_name),
        UserIsRequestor="true",
        **({"NetworkAccessPointID": xml_text(address), "NetworkAccessPointTypeCode": "2"} if address else {}),
    )
    if entry.unit:
        _code(user, "RoleIDCode", xml_text(entry.unit), xml_text(entry.provider), "HSA-id")
    here = etree.SubElement(
        root, "ActiveParticipant", UserID=xml_text(source_id), UserName="", UserIsRequestor="false"
    )
    if entry.event in (Event.SEND.value, Event.EXPORT.value):
        _code(here, "RoleIDCode", "110153", "Source Role ID")
        receiver = etree.SubElement(
            root,
            "ActiveParticipant",
            UserID=xml_text(entry.details.get("to", "") or entry.actor),
            UserName="",
            UserIsRequestor="false",
        )
        _code(receiver, "RoleIDCode", "110152", "Destination Role ID")


def _objects(root: "etree._Element", each: Outgoing) -> None:
    entry = each.entry
    reference = entry.details.get("of", "")
    if entry.event in _STUDY_EVENTS and reference:
        study = _object(root, xml_text(reference), "2", "3")
        _code(study, "ParticipantObjectIDTypeCode", "110180", "Study Instance UID")
        _detail(study, "owner", f"{entry.owner_provider} {entry.owner_unit}".strip())
    identifier = preferred(each.identifiers)
    if entry.patient_key and identifier is not None:
        # Patient Number with its issuer, in HL7's form (ITI TF-2 3.20.7).
        patient = _object(root, xml_text(f"{identifier.value}^^^&{identifier.issuer}&ISO"), "1", "1")
        _code(patient, "ParticipantObjectIDTypeCode", "2", "Patient Number", "RFC-3881")
    # Names the journal entry, so that a message that came twice is seen to be one.
    here = _object(root, f"urn:samsyn:audit:{each.journal}:{entry.sequence}", "2", "13")
    _code(here, "ParticipantObjectIDTypeCode", "12", "URI", "RFC-3881")
    for name in ("rule", "door", "wording"):
        if entry.details.get(name):
            _detail(here, name, entry.details[name])


def _object(root: "etree._Element", identifier: str, kind: str, role: str) -> "etree._Element":
    return etree.SubElement(
        root,
        "ParticipantObjectIdentification",
        ParticipantObjectID=identifier,
        ParticipantObjectTypeCode=kind,
        ParticipantObjectTypeCodeRole=role,
    )


def _detail(parent: "etree._Element", name: str, value: str) -> None:
    encoded = base64.b64encode(value.encode("utf-8", "surrogatepass")).decode("ascii")
    etree.SubElement(parent, "ParticipantObjectDetail", type=name, value=encoded)


def _code(parent: "etree._Element", name: str, code: str, meaning: str, system: str = "DCM") -> None:
    attributes = {"csd-code": code, "codeSystemName": system, "originalText": meaning}
    etree.SubElement(parent, name, attributes)
