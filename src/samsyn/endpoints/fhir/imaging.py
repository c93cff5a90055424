"""ImagingStudy."""

from typing import Any

from samsyn.endpoints.fhir.common import (
    ACCESSION,
    DCM,
    UID_SYSTEM,
    Resource,
    identity,
    moment,
    reference,
    without_empty,
)
from samsyn.endpoints.fhir.people import ENDPOINT_ID
from samsyn.endpoints.fhir.texts import service_request_id
from samsyn.model.attributes import Attributes
from samsyn.model.imaging import StudySummary
from samsyn.reports.examination import Examination


def imaging_study_id(handle: str, study_uid: str) -> str:
    """The id of a study's resource."""
    return identity(handle, "study", study_uid)


def imaging_study(
    handle: str, examination: Examination, study: StudySummary, series: list[Attributes]
) -> Resource:
    """ImagingStudy with its series; instances are read through DICOMweb, whose Endpoint it names."""
    resource: Resource = {
        "resourceType": "ImagingStudy",
        "id": imaging_study_id(handle, study.study_uid),
        "identifier": [{"system": UID_SYSTEM, "value": f"urn:oid:{study.study_uid}"}],
        "status": "available",
        "modality": [{"system": DCM, "code": code} for code in study.modalities],
        "subject": reference("Patient", handle),
        "started": moment(study.date, study.time),
        "basedOn": [
            reference("ServiceRequest", service_request_id(handle, examination.reference, each))
            for each in examination.referrals
        ],
        "endpoint": [reference("Endpoint", ENDPOINT_ID)],
        "numberOfSeries": study.series_count,
        "numberOfInstances": study.instance_count,
        "reasonCode": [{"text": each.question} for each in examination.referrals if each.question],
        "description": study.description.strip(),
        "series": [_series(each) for each in series],
    }
    if study.accession:
        resource["identifier"].append({"type": ACCESSION, "value": study.accession})
    return without_empty(resource)


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
        resource["bodySite"] = {"system": f"{DCM}#BodyPartExamined", "display": first(0x00180015)}
    return resource
