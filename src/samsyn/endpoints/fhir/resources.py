"""Model values as FHIR R4 resources (plain dictionaries). Pure."""

import re
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, TypeAlias

from samsyn import __version__
from samsyn.clock import STOCKHOLM
from samsyn.model.attributes import Attributes
from samsyn.model.imaging import StudySummary
from samsyn.model.patient import Patient, PatientIdentifier
from samsyn.model.texts import Referral, ReferralStatus, ReportStatus, ReportVersion

Resource: TypeAlias = dict[str, Any]

_NATIONAL_SYSTEMS = MappingProxyType(
    {
        "1.2.752.129.2.1.3.1": "http://electronichealth.se/identifier/personnummer",
        "1.2.752.129.2.1.3.3": "http://electronichealth.se/identifier/samordningsnummer",
        "1.2.752.74.9.1": "http://electronichealth.se/identifier/nationelltReservnummer",
    }
)
_GENDERS = MappingProxyType({"M": "male", "F": "female", "O": "other"})
_REPORT_STATUS = MappingProxyType(
    {
        ReportStatus.PRELIMINARY: "preliminary",
        ReportStatus.FINAL: "final",
        ReportStatus.ADDENDUM: "appended",
        ReportStatus.CORRECTION: "corrected",
        ReportStatus.ANNULLED: "entered-in-error",
    }
)
_REFERRAL_STATUS = MappingProxyType(
    {
        ReferralStatus.CANCELLED: "revoked",
        ReferralStatus.REPORTED: "completed",
        ReferralStatus.PERFORMED: "completed",
    }
)
_PRIORITY = MappingProxyType({"akut": "stat", "förtur": "urgent"})

DCM = "http://dicom.nema.org/resources/ontology/DCM"
UID_SYSTEM = "urn:dicom:uid"
HSA_SYSTEM = "urn:oid:1.2.752.129.2.1.4.1"
_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")


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


def patient(identity: str, person: Patient) -> Resource:
    """Patient. The name of a person with protected identity is withheld."""
    known = person.demographics
    resource: Resource = {
        "resourceType": "Patient",
        "id": identity,
        "identifier": [_identifier(each) for each in person.identifiers],
    }
    if known.protected:
        resource["meta"] = {
            "security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "V"}]
        }
    elif known.name:
        family, _, given = known.name.partition("^")
        name: Resource = {}
        if family:
            name["family"] = family
        names = [part for part in given.replace("^", " ").split() if part]
        if names:
            name["given"] = names
        if name:
            resource["name"] = [name]
    if known.sex in _GENDERS:
        resource["gender"] = _GENDERS[known.sex]
    resource["birthDate"] = _date(known.birth_date)
    return _without_empty(resource)


def _identifier(identifier: PatientIdentifier) -> Resource:
    return {"system": system_of(identifier.issuer), "value": identifier.value}


def imaging_study(subject: str, study: StudySummary, series: list[Attributes]) -> Resource:
    """ImagingStudy with its series; instances are read through DICOMweb."""
    resource: Resource = {
        "resourceType": "ImagingStudy",
        "id": study.study_uid,
        "identifier": [{"system": UID_SYSTEM, "value": f"urn:oid:{study.study_uid}"}],
        "status": "available",
        "subject": {"reference": f"Patient/{subject}"},
        "numberOfSeries": study.series_count,
        "numberOfInstances": study.instance_count,
        "modality": [{"system": DCM, "code": code} for code in study.modalities],
        "series": [_series(each) for each in series],
    }
    if study.accession:
        accession = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}]}
        resource["identifier"].append({"type": accession, "value": study.accession})
    resource["started"] = _date(study.date)
    resource["description"] = study.description.strip()
    return _without_empty(resource)


def _series(attributes: Attributes) -> Resource:
    def first(tag: int) -> Any:
        values = attributes.get(tag, ("", ()))[1]
        return values[0] if values else None

    number = first(0x00200011)
    resource: Resource = {
        "uid": first(0x0020000E),
        "number": number if isinstance(number, int) and number >= 0 else None,
        "modality": {"system": DCM, "code": first(0x00080060) or "OT"},
        "description": first(0x0008103E),
        "numberOfInstances": first(0x00201209),
    }
    if first(0x00180015):
        resource["bodySite"] = {"display": first(0x00180015)}
    return resource


def diagnostic_report(subject: str, report: ReportVersion, studies: tuple[StudySummary, ...]) -> Resource:
    """One version of a report."""
    resource: Resource = {
        "resourceType": "DiagnosticReport",
        "id": f"report-{report.version_key}",
        "status": _REPORT_STATUS[report.status],
        "category": [
            {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "RAD"}]}
        ],
        "code": {"coding": [{"system": "http://loinc.org", "code": "18748-4"}], "text": "Radiologiutlåtande"},
        "subject": {"reference": f"Patient/{subject}"},
        "issued": _instant(report.result_time or report.received),
        "performer": [{"identifier": {"system": HSA_SYSTEM, "value": report.unit or report.provider}}],
        "imagingStudy": [{"reference": f"ImagingStudy/{study.study_uid}"} for study in studies],
        "conclusion": report.text,
    }
    if report.accession:
        resource["identifier"] = [{"value": report.accession}]
    if report.signer or report.author:
        resource["resultsInterpreter"] = [{"display": report.signer or report.author}]
    return _without_empty(resource)


def service_request(subject: str, reference: str, referral: Referral) -> Resource:
    """A referral."""
    resource: Resource = {
        "resourceType": "ServiceRequest",
        "id": reference,
        "status": _REFERRAL_STATUS.get(referral.status, "active"),
        "intent": "order",
        "priority": _PRIORITY.get(referral.priority, "routine"),
        "code": {"text": referral.procedure_text or referral.procedure_code or "Radiologisk undersökning"},
        "subject": {"reference": f"Patient/{subject}"},
        "reasonCode": [{"text": referral.question}] if referral.question else [],
        "note": [{"text": referral.history}] if referral.history else [],
        "identifier": [{"value": value} for value in (referral.placer_id, referral.accession) if value],
    }
    if referral.ordered:
        resource["authoredOn"] = _instant(referral.ordered)
    if referral.referrer:
        resource["requester"] = {"display": referral.referrer}
    return _without_empty(resource)


def bundle(base: str, kind: str, resources: list[Resource]) -> Resource:
    """A search's answer. Its own address is given without what was asked, which may be a person's number."""
    return _without_empty(
        {
            "resourceType": "Bundle",
            "type": "searchset",
            "total": len(resources),
            "link": [{"relation": "self", "url": f"{base}/{kind}"}],
            "entry": [
                {
                    "fullUrl": f"{base}/{kind}/{resource['id']}",
                    "resource": resource,
                    "search": {"mode": "match"},
                }
                for resource in resources
            ],
        }
    )


def outcome(code: str, sentence: str) -> Resource:
    """OperationOutcome for a refusal."""
    return {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": code, "diagnostics": sentence}],
    }


def capability(base: str) -> Resource:
    """CapabilityStatement: what this door does."""
    searches = {
        "Patient": ("identifier",),
        "ImagingStudy": ("patient",),
        "DiagnosticReport": ("patient",),
        "ServiceRequest": ("patient",),
    }
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2026-11-22",
        "kind": "instance",
        "software": {"name": "Samsyn", "version": __version__},
        "implementation": {"description": "Samsyn", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [
            {
                "mode": "server",
                "resource": [
                    {
                        "type": kind,
                        "interaction": [{"code": "search-type"}]
                        + ([{"code": "read"}] if kind == "Patient" else []),
                        "searchParam": [
                            {"name": name, "type": "token" if name == "identifier" else "reference"}
                            for name in names
                        ],
                    }
                    for kind, names in searches.items()
                ],
            }
        ],
    }


def _without_empty(resource: Resource) -> Resource:
    """FHIR knows no empty lists, objects or strings, at any depth."""
    kept = {key: _kept(value) for key, value in resource.items()}
    return {key: value for key, value in kept.items() if not _is_empty(value)}


def _kept(value: Any) -> Any:
    if isinstance(value, dict):
        return _without_empty(value)
    if isinstance(value, list):
        return [part for part in map(_kept, value) if not _is_empty(part)]
    return value


def _is_empty(value: Any) -> bool:
    return value is None or value in ([], {}) or (isinstance(value, str) and not value.strip())


def _date(day: str) -> str:
    """A FHIR date of YYYY, YYYYMM or YYYYMMDD; "" for what names no day, month or year."""
    if re.fullmatch(r"[0-9]{4}|[0-9]{6}|[0-9]{8}", day) is None:
        return ""
    try:
        date(int(day[:4]), int(day[4:6] or "1"), int(day[6:] or "1"))
    except ValueError:
        return ""
    return "-".join(part for part in (day[:4], day[4:6], day[6:]) if part)


def _instant(moment: datetime) -> str:
    return (moment if moment.tzinfo else moment.replace(tzinfo=STOCKHOLM)).isoformat(timespec="seconds")
