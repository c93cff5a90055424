"""CapabilityStatement: what this door does, made from the tables that it works by."""

from types import MappingProxyType

from samsyn import __version__
from samsyn.endpoints.fhir.common import Resource
from samsyn.endpoints.fhir.compartment import KINDS
from samsyn.endpoints.fhir.people import PRACTITIONER
from samsyn.endpoints.fhir.search import INCLUDES_NOTHING, PARAMETERS, known_for

GLOBAL_KINDS = ("Organization", "Endpoint")
"""Kinds that are of no patient."""
_STATUS = "http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/backport-subscription-status"
_REFERRED_TO = MappingProxyType(
    {
        "based-on": ("ServiceRequest",),
        "basedon": ("ServiceRequest",),
        "imaging-study": ("ImagingStudy",),
        "derived-from": ("ImagingStudy",),
        "result": ("Observation",),
        "relatesto": ("DocumentReference",),
        "target": ("DiagnosticReport",),
        "author": ("PractitionerRole",),
        "performer": ("PractitionerRole",),
        "requester": ("PractitionerRole",),
        "results-interpreter": ("PractitionerRole",),
    }
)
"""Kinds of a patient's own that a reference parameter leads to."""
_FETCHED = ("Bundle", "Binary")


def capability(base: str, *, is_for_browsers: bool) -> Resource:
    """The statement. `is_for_browsers`: whether pages of some other origin may call."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2026-11-26",
        "kind": "instance",
        "software": {"name": "Samsyn", "version": __version__},
        "implementation": {"description": "Samsyn", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json"],
        "rest": [
            {
                "mode": "server",
                "security": {
                    "cors": is_for_browsers,
                    "service": [
                        {
                            "coding": [
                                {
                                    "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                                    "code": "SMART-on-FHIR",
                                    "display": "SMART-on-FHIR",
                                }
                            ],
                            "text": "SMART App Launch, Backend Services: see .well-known/smart-configuration",
                        }
                    ],
                    "description": "Bearer tokens, client certificates, or the session of the pages. Scopes only narrow"
                    " what the law lets the reader see.",
                },
                "resource": [
                    *(_searched(kind) for kind in (*KINDS, *GLOBAL_KINDS)),
                    {
                        "type": "AuditEvent",
                        "interaction": [{"code": "search-type"}],
                        "searchParam": [
                            {"name": "patient", "type": "reference"},
                            {"name": "patient.identifier", "type": "token"},
                            {"name": "date", "type": "date"},
                            {"name": "agent", "type": "token"},
                        ],
                    },
                    {
                        "type": "Subscription",
                        "interaction": [
                            {"code": code} for code in ("read", "search-type", "create", "update", "delete")
                        ],
                        "versioning": "no-version",
                        "updateCreate": False,
                        "searchParam": [
                            {"name": name, "type": each.type}
                            for name, each in PARAMETERS["Subscription"].items()
                        ],
                        "operation": [{"name": "status", "definition": _STATUS}],
                        "documentation": "For known systems with an address to be notified at; rest-hook only.",
                    },
                    {
                        "type": PRACTITIONER,
                        "interaction": [{"code": "read"}],
                        "versioning": "no-version",
                        "documentation": "The reader himself (fhirUser of SMART); nobody else.",
                    },
                    *(
                        {"type": kind, "interaction": [{"code": "read"}], "versioning": "no-version"}
                        for kind in _FETCHED
                    ),
                ],
                "interaction": [{"code": "transaction"}],
            }
        ],
    }


def _searched(kind: str) -> Resource:
    parameters = known_for(kind)
    comes_along = kind not in INCLUDES_NOTHING
    references = sorted(name for name, each in parameters.items() if each.type == "reference" and comes_along)
    resource: Resource = {
        "type": kind,
        "interaction": [{"code": code} for code in ("read", "vread", "history-instance", "search-type")],
        "versioning": "versioned",
        "readHistory": True,
        "updateCreate": False,
        "conditionalRead": "full-support",
        "searchInclude": [f"{kind}:{name}" for name in references],
        "searchRevInclude": sorted(
            f"{other}:{name}"
            for other, known in PARAMETERS.items()
            if other in KINDS and comes_along
            for name, each in known.items()
            if each.type == "reference" and kind in _REFERRED_TO.get(name, ())
        ),
        "searchParam": [{"name": name, "type": each.type} for name, each in parameters.items()],
        "operation": [],
    }
    if kind == "DiagnosticReport":
        resource["interaction"].append({"code": "create"})
    if kind == "Patient":
        resource["operation"].append(
            {
                "name": "everything",
                "definition": "http://hl7.org/fhir/OperationDefinition/Patient-everything",
            }
        )
    return {key: value for key, value in resource.items() if value != []}
