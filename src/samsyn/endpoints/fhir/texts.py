"""ServiceRequest (remiss), DiagnosticReport (utlåtande) with its history, and Provenance."""

import base64
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import MappingProxyType

from samsyn.clock import STOCKHOLM
from samsyn.endpoints.fhir.common import (
    ACCESSION,
    IMAGING_STUDY_REPORT,
    Resource,
    day,
    identity,
    instant,
    organization,
    reference,
    without_empty,
)
from samsyn.model.texts import Referral, ReferralStatus, ReportStatus, ReportVersion
from samsyn.reports.examination import Examination
from samsyn.reports.order import Arrangement, Role, arrange

UnitName = Callable[[str, str], str]
"""Name of (provider, unit)."""

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
_RADIOLOGY = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "RAD"}]}
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def service_request_id(handle: str, examination: str, referral: Referral) -> str:
    """The id of a referral's resource. One order of the EHR (placer) often asks for several examinations, each with an
    accession number and a question of its own: both numbers name it."""
    return identity(
        handle, "referral", examination, referral.provider, referral.placer_id, referral.accession
    )


def service_request(handle: str, examination: str, referral: Referral, name: UnitName) -> Resource:
    """A referral."""
    numbers: list[Resource] = [{"value": referral.placer_id}] if referral.placer_id else []
    if referral.accession:
        numbers.append({"type": ACCESSION, "value": referral.accession})
    resource: Resource = {
        "resourceType": "ServiceRequest",
        "id": service_request_id(handle, examination, referral),
        "identifier": numbers,
        "status": _REFERRAL_STATUS.get(referral.status, "active"),
        "intent": "order",
        "category": [_RADIOLOGY],
        "priority": _PRIORITY.get(referral.priority, "routine"),
        "code": {"text": referral.procedure_text or referral.procedure_code or "Radiologisk undersökning"},
        "subject": reference("Patient", handle),
        "reasonCode": [{"text": referral.question}],
        "note": [{"text": referral.history}],
    }
    if referral.ordered:
        resource["authoredOn"] = instant(referral.ordered)
    unit = name(referral.provider, referral.unit)
    if referral.referrer:
        role = identity(handle, "role", referral.referrer, referral.unit)
        resource["requester"] = {**reference("PractitionerRole", role), "display": referral.referrer}
    else:
        resource["requester"] = organization(referral.unit or referral.provider, unit)
    return without_empty(resource)


def diagnostic_report_id(handle: str, version: ReportVersion) -> str:
    """The id of a report's resource, the same for all its versions."""
    provider, number, part = version.report_name
    return identity(handle, "report", provider, number, *([part] if part else []))


def diagnostic_report_states(
    handle: str,
    examination: Examination,
    versions: Sequence[ReportVersion],
    studies: Sequence[str],
    results: Sequence[str],
    name: UnitName,
) -> list[Resource]:
    """What the report's resource was after each version that arrived, the latest state last.

    `studies`, `results`: ids of the examination's ImagingStudy and Observation resources.
    """
    arrived = sorted(versions, key=lambda each: (each.received, each.version_key))
    return [
        _diagnostic_report(
            handle, examination, arrange(arrived[:count]), arrived[:count], studies, results, name
        )
        for count in range(1, len(arrived) + 1)
    ]


def _diagnostic_report(
    handle: str,
    examination: Examination,
    arrangement: Arrangement,
    arrived: Sequence[ReportVersion],
    studies: Sequence[str],
    results: Sequence[str],
    name: UnitName,
) -> Resource:
    current = arrangement.current
    assert current is not None
    text = whole_text(arrangement)
    unit = current.unit or current.provider
    standing = [each.version for each in arrangement.shown if each.role is not Role.TOMBSTONE] or [current]
    resource: Resource = {
        "resourceType": "DiagnosticReport",
        "id": diagnostic_report_id(handle, current),
        "meta": {"versionId": str(len(arrived)), "lastUpdated": instant(arrived[-1].received)},
        "identifier": [{"type": ACCESSION, "value": current.accession}] if current.accession else [],
        "basedOn": [
            reference("ServiceRequest", service_request_id(handle, examination.reference, each))
            for each in examination.referrals
        ],
        "status": _REPORT_STATUS[arrangement.standing or ReportStatus.PRELIMINARY],
        "category": [_RADIOLOGY],
        "code": {**IMAGING_STUDY_REPORT, "text": examination.title_of(current) or "Radiologiutlåtande"},
        "subject": reference("Patient", handle),
        "effectiveDateTime": day(examination.date),
        "issued": instant(max(each.result_time or each.received for each in standing)),
        "performer": [organization(unit, name(current.provider, unit))],
        "result": [reference("Observation", each) for each in results],
        "imagingStudy": [reference("ImagingStudy", each) for each in studies],
        "conclusion": text,
    }
    if current.filler_id and current.filler_id != current.accession:
        resource["identifier"].append({"value": current.filler_id})
    # An addendum is often another person's: base first, then who added to it.
    named = {
        (each.signer or each.author, each.unit or each.provider): None
        for each in (current, *standing)
        if each.signer or each.author
    }
    resource["resultsInterpreter"] = [
        {**reference("PractitionerRole", identity(handle, "role", signer, at)), "display": signer}
        for signer, at in named
    ]
    if text:
        resource["presentedForm"] = [
            {
                "contentType": "text/plain; charset=utf-8",
                "language": "sv-SE",
                "data": base64.b64encode(text.encode()).decode(),
            }
        ]
    return without_empty(resource)


def whole_text(arrangement: Arrangement) -> str:
    """The report as one text: addenda above what they add to, each with its day in Sweden; "" for an annulled one."""
    parts: list[str] = []
    for each in arrangement.shown:
        if each.role is Role.TOMBSTONE:
            continue
        text = each.version.text
        if each.role is Role.ADDENDUM:
            when = each.version.result_time or each.version.received
            text = f"Tilläggssvar {when.astimezone(STOCKHOLM):%Y-%m-%d}:\n{text}"
        parts.append(text)
    return "\n\n".join(parts)


def provenances(handle: str, versions: Sequence[ReportVersion], name: UnitName) -> list[Resource]:
    """Who made each version of a report, when, and when it came in."""
    arrived = sorted(versions, key=lambda each: (each.received, each.version_key))
    return [_provenance(handle, number, version, name) for number, version in enumerate(arrived, start=1)]


def _provenance(handle: str, number: int, version: ReportVersion, name: UnitName) -> Resource:
    unit = version.unit or version.provider
    report = diagnostic_report_id(handle, version)
    signer = version.signer or version.author
    resource: Resource = {
        "resourceType": "Provenance",
        "id": identity(handle, "provenance", report, str(number)),
        "meta": {"lastUpdated": instant(version.received)},
        "target": [reference("DiagnosticReport", f"{report}/_history/{number}")],
        "recorded": instant(version.received),
        "reason": [{"text": version.reason}],
        "activity": {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/v3-DataOperation",
                    "code": "CREATE" if number == 1 else "UPDATE",
                }
            ]
        },
        "agent": [
            {
                "type": {
                    "coding": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type",
                            "code": "author",
                        }
                    ]
                },
                "who": {"display": signer} if signer else organization(unit, name(version.provider, unit)),
                "onBehalfOf": organization(unit, name(version.provider, unit)) if signer else {},
            }
        ],
    }
    if version.result_time:
        resource["occurredDateTime"] = instant(version.result_time)
    return without_empty(resource)
