"""DocumentReference (IHE MHD), the report as a FHIR document (HL7 Europe imaging report) and study manifests
(IHE RAD MADO, as a FHIR bundle and as a DICOM Key Object Selection)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final

from samsyn.clock import STOCKHOLM
from samsyn.dicom.manifest import KEY_OBJECT_SELECTION, manifest_uid
from samsyn.endpoints.fhir.common import (
    ACCESSION,
    DCM,
    IMAGING_STUDY_REPORT,
    LOINC,
    UID_SYSTEM,
    UNIFORM_SYSTEM,
    Resource,
    day,
    identity,
    moment,
    narrative,
    organization,
    reference,
    without_empty,
)
from samsyn.model.imaging import StoredInstance, StudySummary
from samsyn.model.texts import Referral
from samsyn.reports.examination import Examination

_FORMATS: Final = "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode"
MANIFEST_FORMAT: Final = "urn:ihe:rad:MADO:fhir-manifest:2026"
_DOC_STATUS = MappingProxyType(
    {
        "preliminary": "preliminary",
        "final": "final",
        "appended": "amended",
        "corrected": "amended",
        "entered-in-error": "entered-in-error",
    }
)
_FHIR_JSON: Final = "application/fhir+json"


def report_document_id(handle: str, report_id: str) -> str:
    """Id of a report's DocumentReference, and of the Bundle that it points to."""
    return identity(handle, "report-document", report_id)


def manifest_id(handle: str, study_uid: str, form: str) -> str:
    """Id of a manifest's DocumentReference, and of the Bundle ("fhir") or Binary ("kos") that it points to."""
    return identity(handle, f"manifest-{form}", study_uid)


def report_reference(
    base: str, handle: str, examination: Examination, report: Resource, owner: tuple[str, str]
) -> Resource:
    """Where a report's document is. `owner`: HSA-id and name of the unit that answers for it."""
    identity_text = report_document_id(handle, report["id"])
    withdrawn = report["status"] == "entered-in-error"
    return without_empty(
        {
            **_document(base, handle, examination, identity_text, owner),
            "status": "entered-in-error" if withdrawn else "current",
            "docStatus": _DOC_STATUS[report["status"]],
            "category": [
                {"coding": [{"system": LOINC, "code": "85430-7", "display": "Diagnostic imaging report"}]}
            ],
            "date": report["meta"]["lastUpdated"],
            "author": report.get("resultsInterpreter", []),
            "description": report["code"]["text"],
            "content": [
                {
                    "attachment": {
                        "contentType": _FHIR_JSON,
                        "language": "sv-SE",
                        "url": f"{base}/Bundle/{identity_text}",
                        "title": report["code"]["text"],
                        "creation": report["issued"],
                    },
                    "format": {
                        "system": _FORMATS,
                        "code": "urn:ihe:iti:xds:2017:mimeTypeSufficient",
                    },
                }
            ],
        }
    )


def manifest_references(
    base: str,
    handle: str,
    examination: Examination,
    study: StudySummary,
    instances: Sequence[StoredInstance],
    owner: tuple[str, str],
) -> list[Resource]:
    """The two forms of a study's manifest, each told to be a transformation of the other (MADO)."""
    uid = manifest_uid(study.study_uid, instances)
    forms = (
        ("fhir", _FHIR_JSON, "Bundle", {"system": _FORMATS, "code": MANIFEST_FORMAT}),
        (
            "kos",
            "application/dicom",
            "Binary",
            {"system": UNIFORM_SYSTEM, "code": f"urn:oid:{KEY_OBJECT_SELECTION}"},
        ),
    )
    found = []
    for form, content_type, kind, code in forms:
        identity_text = manifest_id(handle, study.study_uid, form)
        other = manifest_id(handle, study.study_uid, "kos" if form == "fhir" else "fhir")
        found.append(
            without_empty(
                {
                    **_document(base, handle, examination, identity_text, owner),
                    "masterIdentifier": {"system": UNIFORM_SYSTEM, "value": f"urn:oid:{uid}"},
                    "status": "current",
                    "category": [
                        {
                            "coding": [
                                {"system": LOINC, "code": "18748-4", "display": "Diagnostic imaging study"}
                            ]
                        }
                    ],
                    "date": _made(study),
                    "relatesTo": [{"code": "transforms", "target": reference("DocumentReference", other)}],
                    "description": study.description,
                    "content": [
                        {
                            "attachment": {
                                "contentType": content_type,
                                "url": f"{base}/{kind}/{identity_text}",
                                "title": study.description or "Bildmanifest",
                            },
                            "format": code,
                        }
                    ],
                }
            )
        )
    return found


def _document(
    base: str, handle: str, examination: Examination, identity_text: str, owner: tuple[str, str]
) -> Resource:
    related: list[Resource] = [
        {"identifier": {"system": UID_SYSTEM, "value": f"urn:oid:{study.study_uid}"}}
        for study in examination.studies
    ]
    if examination.accession:
        related.append({"identifier": {"type": dict(ACCESSION), "value": examination.accession}})
    period = day(examination.date)
    return {
        "resourceType": "DocumentReference",
        "id": identity_text,
        "masterIdentifier": {"system": UNIFORM_SYSTEM, "value": f"{base}/DocumentReference/{identity_text}"},
        "type": IMAGING_STUDY_REPORT,
        "subject": reference("Patient", handle),
        "custodian": organization(*owner),
        "context": {
            "period": {"start": period, "end": period} if period else {},
            "event": [{"coding": [{"system": DCM, "code": code}]} for code in examination.modalities],
            "related": related,
        },
    }


def _made(study: StudySummary) -> str:
    when = moment(study.date, study.time)
    return when if "T" in when else f"{when or '1900-01-01'}T00:00:00+01:00"


def report_document(
    base: str,
    handle: str,
    examination: Examination,
    report: Resource,
    owner: tuple[str, str],
    parts: Sequence[Resource],
) -> Resource:
    """The report as a document: a Composition and everything that it refers to.

    `parts`: Patient, Organization, ServiceRequest, ImagingStudy … that belong to it. Where the images lie is not
    in it: that is the manifest's matter.
    """
    identity_text = report_document_id(handle, report["id"])
    text = str(report.get("conclusion", ""))
    sections = [
        *_referral_sections(examination.referrals),
        _section("18748-4", "Utlåtande", text, [reference("DiagnosticReport", report["id"])]),
    ]
    composition = without_empty(
        {
            "resourceType": "Composition",
            "id": identity(handle, "composition", report["id"]),
            "status": _DOC_STATUS[report["status"]],
            "type": IMAGING_STUDY_REPORT,
            "category": [
                {"coding": [{"system": LOINC, "code": "85430-7", "display": "Diagnostic imaging report"}]}
            ],
            "subject": reference("Patient", handle),
            "date": report["issued"],
            "author": report.get("resultsInterpreter") or [organization(*owner)],
            "title": report["code"]["text"],
            "custodian": organization(*owner),
            "section": sections,
        }
    )
    held = [composition, report, *parts]
    return {
        "resourceType": "Bundle",
        "id": identity_text,
        "meta": {"lastUpdated": report["meta"]["lastUpdated"]},
        "identifier": {
            "system": UNIFORM_SYSTEM,
            "value": f"{base}/Bundle/{identity_text}/_history/{report['meta']['versionId']}",
        },
        "type": "document",
        "timestamp": report["meta"]["lastUpdated"],
        "entry": [
            {"fullUrl": f"{base}/{each['resourceType']}/{each['id']}", "resource": each} for each in held
        ],
    }


def _referral_sections(referrals: Sequence[Referral]) -> list[Resource]:
    found = []
    questions = "\n".join(each.question for each in referrals if each.question)
    history = "\n".join(each.history for each in referrals if each.history)
    if questions:
        found.append(_section("42349-1", "Frågeställning", questions))
    if history:
        found.append(_section("11329-0", "Anamnes", history))
    return found


def _section(code: str, title: str, text: str, entries: Sequence[Resource] = ()) -> Resource:
    return {
        "title": title,
        "code": {"coding": [{"system": LOINC, "code": code}]},
        "text": narrative(text),
        "entry": list(entries),
    }


def manifest_bundle(
    base: str,
    handle: str,
    study: Resource,
    instances: Sequence[StoredInstance],
    endpoint: Resource,
    parts: Sequence[Resource],
) -> Resource:
    """The manifest as a FHIR collection: the ImagingStudy with every instance, and where to read them."""
    by_series: dict[str, list[Resource]] = {}
    for number, each in enumerate(instances, start=1):
        by_series.setdefault(each.series_uid, []).append(
            {
                "uid": each.sop_instance_uid,
                "sopClass": {"system": UNIFORM_SYSTEM, "code": f"urn:oid:{each.sop_class_uid}"},
                "number": each.number if each.number is not None and each.number >= 0 else number,
            }
        )
    series = [
        {
            **part,
            "endpoint": [reference("Endpoint", endpoint["id"])],
            "instance": by_series.get(part["uid"], []),
        }
        for part in study.get("series", [])
    ]
    whole = without_empty({**study, "series": series})
    identity_text = identity(handle, "manifest-fhir", _study_uid(study))
    return {
        "resourceType": "Bundle",
        "id": identity_text,
        "identifier": {
            "system": UNIFORM_SYSTEM,
            "value": f"urn:oid:{manifest_uid(_study_uid(study), instances)}",
        },
        "type": "collection",
        "entry": [
            {"fullUrl": f"{base}/{each['resourceType']}/{each['id']}", "resource": each}
            for each in (whole, *parts, endpoint)
        ],
    }


def _study_uid(study: Mapping[str, object]) -> str:
    identifiers = study["identifier"]
    assert isinstance(identifiers, list)
    return str(identifiers[0]["value"]).removeprefix("urn:oid:")


def manifest_time(study: StudySummary, otherwise: datetime) -> datetime:
    """When the manifest is told to be made: the study's own time, so that the same study gives the same file."""
    text = study.date + study.time.partition(".")[0].ljust(6, "0")[:6]
    try:
        return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=STOCKHOLM)
    except ValueError:
        return otherwise
