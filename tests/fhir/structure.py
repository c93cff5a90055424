"""What every FHIR R4 resource of this door must look like, as far as its structure goes.

A list of complaints for one parsed resource: required elements and codes from the R4 pages of the resources, and
the rules that hold for all JSON (no empty values, forms of ids, dates and references).
"""

import re
from collections.abc import Iterator
from typing import Any

ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
DATE = re.compile(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?")
INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})"
)
URI = re.compile(r"[a-z][a-z0-9+.\-]*:\S+")
REFERENCE = re.compile(r"(Patient|ImagingStudy)/[A-Za-z0-9\-.]{1,64}")

REQUIRED = {
    "Patient": {"id", "identifier"},
    "ImagingStudy": {"id", "status", "subject"},
    "DiagnosticReport": {"id", "status", "code", "subject"},
    "ServiceRequest": {"id", "status", "intent", "subject"},
    "Bundle": {"type", "link"},
    "OperationOutcome": {"issue"},
    "CapabilityStatement": {"status", "date", "kind", "fhirVersion", "format", "rest"},
}
OPTIONAL = {
    "Patient": {"name", "gender", "birthDate", "meta"},
    "ImagingStudy": {
        "identifier",
        "started",
        "numberOfSeries",
        "numberOfInstances",
        "modality",
        "series",
        "description",
    },
    "DiagnosticReport": {
        "identifier",
        "category",
        "issued",
        "performer",
        "resultsInterpreter",
        "imagingStudy",
        "conclusion",
    },
    "ServiceRequest": {"identifier", "priority", "code", "reasonCode", "note", "authoredOn", "requester"},
    "Bundle": {"total", "entry"},
    "OperationOutcome": set(),
    "CapabilityStatement": {"software", "implementation"},
}
CODES = {
    ("Patient", "gender"): {"male", "female", "other", "unknown"},
    ("ImagingStudy", "status"): {"registered", "available", "cancelled", "entered-in-error", "unknown"},
    ("DiagnosticReport", "status"): {
        "registered",
        "partial",
        "preliminary",
        "final",
        "amended",
        "corrected",
        "appended",
        "cancelled",
        "entered-in-error",
        "unknown",
    },
    ("ServiceRequest", "status"): {
        "draft",
        "active",
        "on-hold",
        "revoked",
        "completed",
        "entered-in-error",
        "unknown",
    },
    ("ServiceRequest", "intent"): {"order"},
    ("ServiceRequest", "priority"): {"routine", "urgent", "asap", "stat"},
    ("Bundle", "type"): {"searchset"},
    ("CapabilityStatement", "fhirVersion"): {"4.0.1"},
}
FORMS = {
    "birthDate": DATE,
    "started": re.compile(f"{DATE.pattern}|{INSTANT.pattern}"),
    "authoredOn": INSTANT,
    "issued": INSTANT,
    "system": URI,
    "url": URI,
    "fullUrl": URI,
    "reference": REFERENCE,
    "id": ID,
    "uid": re.compile(r"[0-9]+(\.[0-9]+)*"),
}
ISSUE_CODES = {
    "invalid",
    "too-costly",
    "not-supported",
    "login",
    "forbidden",
    "not-found",
    "throttled",
    "exception",
}


def complaints(resource: dict[str, Any]) -> list[str]:
    """What is wrong with the resource and everything in it; empty = nothing."""
    return [*_whole(resource), *_values(resource, "")]


def _whole(resource: dict[str, Any]) -> Iterator[str]:
    kind = resource.get("resourceType")
    if kind not in REQUIRED:
        yield f"resourceType is {kind}"
        return
    keys = set(resource) - {"resourceType"}
    yield from (f"{kind} lacks {key}" for key in REQUIRED[kind] - keys)
    yield from (f"{kind} has {key}" for key in keys - REQUIRED[kind] - OPTIONAL[kind])
    for key, value in resource.items():
        codes = CODES.get((kind, key))
        if codes is not None and value not in codes:
            yield f"{kind}.{key} is {value!r}"
    if kind == "ImagingStudy":
        for series in resource.get("series", []):
            if not series.get("uid") or not series.get("modality", {}).get("code"):
                yield "ImagingStudy.series lacks uid or modality"
    if kind == "OperationOutcome":
        for issue in resource["issue"]:
            if issue.get("severity") != "error" or issue.get("code") not in ISSUE_CODES:
                yield f"OperationOutcome.issue is {issue}"
    if kind == "Bundle":
        yield from _entries(resource)


def _entries(bundle: dict[str, Any]) -> Iterator[str]:
    entries = bundle.get("entry", [])
    if bundle.get("total") != len(entries):
        yield "Bundle.total is not the number of its entries"
    addresses = [entry.get("fullUrl") for entry in entries]
    if len(set(addresses)) != len(addresses):
        yield "Bundle.entry.fullUrl is not unique"
    for entry in entries:
        resource = entry["resource"]
        if not str(entry.get("fullUrl")).endswith(f"/{resource['resourceType']}/{resource['id']}"):
            yield "Bundle.entry.fullUrl does not name its resource"
        yield from _whole(resource)


def _values(value: Any, place: str) -> Iterator[str]:
    """The rules of the JSON format, at any depth."""
    if value is None or value in ("", [], {}):
        yield f"{place} is empty"
    elif isinstance(value, dict):
        for key, inner in value.items():
            form = FORMS.get(key)
            if form is not None and not (isinstance(inner, str) and form.fullmatch(inner)):
                yield f"{place}.{key} is {inner!r}"
            yield from _values(inner, f"{place}.{key}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _values(inner, f"{place}[{number}]")
    elif isinstance(value, str) and value != value.strip():
        yield f"{place} begins or ends with white space"
