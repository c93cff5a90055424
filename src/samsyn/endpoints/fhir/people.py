"""Patient, Organization, Practitioner, PractitionerRole and Endpoint."""

from types import MappingProxyType

from samsyn.endpoints.fhir.common import (
    DCM,
    HSA_SYSTEM,
    Resource,
    day,
    identity,
    organization,
    system_of,
    without_empty,
)
from samsyn.model.patient import Patient, PatientIdentifier
from samsyn.model.person_name import PersonName
from samsyn.model.subject import Subject, SubjectKind
from samsyn.providers.connections import Connections

_GENDERS = MappingProxyType({"M": "male", "F": "female", "O": "other"})
ENDPOINT_ID = "dicomweb"
PRACTITIONER = "Practitioner"


def patient(handle: str, person: Patient) -> Resource:
    """Patient. The name of a person with protected identity (skyddade personuppgifter) is withheld."""
    known = person.demographics
    resource: Resource = {
        "resourceType": "Patient",
        "id": handle,
        "identifier": [_identifier(each) for each in person.identifiers],
    }
    if known.protected:
        resource["meta"] = {
            "security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "V"}]
        }
    elif known.name:
        resource["name"] = [_human_name(known.name)]
    if known.sex in _GENDERS:
        resource["gender"] = _GENDERS[known.sex]
    resource["birthDate"] = day(known.birth_date)
    if known.deceased == "Y":
        resource["deceasedBoolean"] = True
    elif known.deceased != "N":
        resource["deceasedDateTime"] = day(known.deceased)
    return without_empty(resource)


def _human_name(dicom_name: str) -> Resource:
    name = PersonName.of(dicom_name)
    return {
        "family": name.family,
        "given": [*name.given.split(), *name.middle.split()],
        "prefix": [name.prefix],
        "suffix": [name.suffix],
    }


def _identifier(identifier: PatientIdentifier) -> Resource:
    return {"system": system_of(identifier.issuer), "value": identifier.value}


def organizations(connections: Connections) -> list[Resource]:
    """Every connected care provider (vårdgivare) and its units (vårdenheter); their ids are their HSA-ids."""
    found: list[Resource] = []
    for provider in connections.providers:
        found.append(_organization(provider.hsa_id, provider.name, "prov"))
        for unit in provider.units:
            part = _organization(unit.hsa_id, unit.name, "dept")
            part["partOf"] = organization(provider.hsa_id, provider.name)
            found.append(part)
    return found


def _organization(hsa_id: str, name: str, kind: str) -> Resource:
    return {
        "resourceType": "Organization",
        "id": hsa_id,
        "identifier": [{"system": HSA_SYSTEM, "value": hsa_id}],
        "active": True,
        "type": [
            {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/organization-type", "code": kind}]}
        ],
        "name": name or hsa_id,
    }


def practitioner_role(handle: str, name: str, unit: str, unit_name: str) -> Resource:
    """Somebody who is named in a text, at the unit that the text belongs to."""
    return without_empty(
        {
            "resourceType": "PractitionerRole",
            "id": identity(handle, "role", name, unit),
            "practitioner": {"display": name},
            "organization": organization(unit, unit_name),
        }
    )


def is_practitioner(subject: Subject, identity: str) -> bool:
    """Whether the reader himself is meant: nobody else's Practitioner is told."""
    return subject.kind is SubjectKind.STAFF and identity == subject.hsa_id


def practitioner(subject: Subject) -> Resource:
    """The reader himself; without the name where that is protected."""
    name = subject.told_name
    return without_empty(
        {
            "resourceType": PRACTITIONER,
            "id": subject.hsa_id,
            "identifier": [{"system": HSA_SYSTEM, "value": subject.hsa_id}],
            "active": True,
            "name": [{"text": name}] if name else [],
        }
    )


def endpoint(dicomweb: str) -> Resource:
    """Where images are read: DICOMweb of this installation, under the same rights."""
    return {
        "resourceType": "Endpoint",
        "id": ENDPOINT_ID,
        "status": "active",
        "connectionType": {
            "system": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type",
            "code": "dicom-wado-rs",
        },
        "name": "DICOMweb",
        "payloadType": [{"coding": [{"system": DCM, "code": "113000"}], "text": "DICOM"}],
        "payloadMimeType": ["application/dicom"],
        "address": dicomweb,
    }
