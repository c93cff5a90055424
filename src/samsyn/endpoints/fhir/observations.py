"""Observation (R4): measurements and radiation dose with their senders' codes and UCUM units. Pure."""

from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

from samsyn.endpoints.fhir.common import (
    DCM,
    LOINC,
    Resource,
    identity,
    moment,
    organization,
    reference,
    without_empty,
)
from samsyn.endpoints.fhir.imaging import imaging_study_id
from samsyn.endpoints.fhir.texts import service_request_id
from samsyn.model.measurements import Concept, MeasurementDocument, Observed, Quantity
from samsyn.reports.examination import Examination

UCUM: Final = "http://unitsofmeasure.org"
_SYSTEMS: Final = MappingProxyType(
    {
        "DCM": DCM,
        "SCT": "http://snomed.info/sct",
        "LN": LOINC,
        "UCUM": UCUM,
        "RADLEX": "urn:oid:2.16.840.1.113883.6.256",
        "FMA": "urn:oid:2.16.840.1.113883.6.119",
    }
)
"""Identifier systems of coding schemes (PS3.16 table 8-1 and HL7's registry). SRT is not SCT: its codes have none."""
_SCHEME: Final = "urn:samsyn:dicom-coding-scheme:"
_CATEGORY: Final = MappingProxyType(
    {
        "coding": [
            {
                "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                "code": "imaging",
                "display": "Imaging",
            }
        ]
    }
)
_ABSENT_SYSTEM: Final = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
_ABSENT: Final = MappingProxyType(
    {
        "114000": "not-a-number",
        "114001": "negative-infinity",
        "114002": "positive-infinity",
        "114003": "error",
        "114006": "error",
    }
)
"""Numeric Value Qualifiers (PS3.16 CID 42) as FHIR's reasons; the others are unknown to it and keep their words."""


def observation_id(handle: str, document: MeasurementDocument, observed: Observed) -> str:
    """The id of an observation: of its object and its place in it."""
    return identity(handle, "observation", document.sop_instance_uid, observed.place)


def observations(
    handle: str,
    examination: Examination,
    study_uid: str,
    document: MeasurementDocument,
    owner: tuple[str, str],
) -> list[Resource]:
    """What one structured report has measured. `owner`: HSA-id and name of the unit that answers for it."""
    common: Resource = {
        "status": "final" if document.is_final else "preliminary",
        "category": [_CATEGORY],
        "subject": reference("Patient", handle),
        "effectiveDateTime": moment(document.date, document.time),
        "performer": [organization(*owner)],
        "basedOn": [
            reference("ServiceRequest", service_request_id(handle, examination.reference, each))
            for each in examination.referrals
        ],
        "derivedFrom": [reference("ImagingStudy", imaging_study_id(handle, study_uid))],
    }
    return [_observation(handle, common, document, each) for each in document.observed]


def _observation(
    handle: str, common: Resource, document: MeasurementDocument, observed: Observed
) -> Resource:
    resource: Resource = {
        "resourceType": "Observation",
        "id": observation_id(handle, document, observed),
        "identifier": _identifiers(observed),
        **common,
        "code": _concept(observed.concept),
        "bodySite": _concept(observed.site),
        "method": _concept(observed.method),
    }
    components = [
        {"code": _concept(name), "valueCodeableConcept": _concept(value)}
        for name, value in observed.modifiers
    ]
    if observed.is_dose:
        components += [{"code": _concept(each.concept), **_value(each)} for each in observed.quantities]
    else:
        resource |= _value(observed.quantities[0])
    resource["component"] = components
    return without_empty(resource)


def _identifiers(observed: Observed) -> list[Resource]:
    """By what the lesion or structure is followed over time (TID 1500: Tracking Identifier and UID)."""
    known: list[Resource] = []
    if observed.tracking_uid:
        known.append({"system": "urn:dicom:uid", "value": f"urn:oid:{observed.tracking_uid}"})
    if observed.tracking:
        kind = {"coding": [{"system": DCM, "code": "112039", "display": "Tracking Identifier"}]}
        known.append({"type": kind, "value": observed.tracking})
    return known


def _value(quantity: Quantity) -> Resource:
    if quantity.value is None:
        reason = quantity.absent
        code = _ABSENT.get(reason.code, "unknown") if reason is not None else "unknown"
        told = reason.meaning if reason is not None else ""
        return {"dataAbsentReason": {"coding": [{"system": _ABSENT_SYSTEM, "code": code}], "text": told}}
    unit = quantity.unit
    if unit is None:
        return {"valueQuantity": {"value": quantity.value}}
    return {
        "valueQuantity": {
            "value": quantity.value,
            "unit": unit.meaning or unit.code,
            "system": system_of_scheme(unit),
            "code": unit.code,
        }
    }


def _concept(concept: Concept | None) -> Resource:
    if concept is None:
        return {}
    coding = {"system": system_of_scheme(concept), "code": concept.code, "display": concept.meaning}
    return {"coding": [coding], "text": concept.meaning}


def system_of_scheme(concept: Concept) -> str:
    """The FHIR code system of a coding scheme: a known one, the object's own word for it, or its designator."""
    known = _SYSTEMS.get(concept.scheme)
    if known:
        return known
    if concept.scheme_uid:
        return f"urn:oid:{concept.scheme_uid}"
    return f"{_SCHEME}{concept.scheme}" if concept.scheme else ""


def observation_ids(handle: str, documents: Sequence[MeasurementDocument]) -> list[str]:
    """The ids of all observations of these documents."""
    return [observation_id(handle, document, each) for document in documents for each in document.observed]
