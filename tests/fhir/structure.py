"""What is wrong with a FHIR R4 resource: by a foreign validator that has R4's profiles and value sets and needs no
network, and by the rules of the JSON format that it does not look at."""

import json
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "build" / "test-assets" / "fhir"

ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
DATE = re.compile(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?")
INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})"
)
URI = re.compile(r"[a-z][a-z0-9+.\-]*:\S+")
REFERENCE = re.compile(
    r"(http:\S+/fhir/)?"
    r"(Patient|ImagingStudy|ServiceRequest|DiagnosticReport|Observation|DocumentReference|PractitionerRole|Organization|Endpoint|Subscription)"
    r"/[A-Za-z0-9\-.]{1,64}(/_history/[A-Za-z0-9\-.]{1,64})?"
)
FORMS = {
    "birthDate": DATE,
    "started": re.compile(f"{DATE.pattern}|{INSTANT.pattern}"),
    "effectiveDateTime": re.compile(f"{DATE.pattern}|{INSTANT.pattern}"),
    "authoredOn": INSTANT,
    "issued": INSTANT,
    "lastUpdated": INSTANT,
    "recorded": INSTANT,
    "system": URI,
    "fullUrl": URI,
    "reference": REFERENCE,
    "id": ID,
    "versionId": ID,
    "uid": re.compile(r"[0-9]+(\.[0-9]+)*"),
}


class Validator:
    """One process of the foreign validator, which takes some tenths of a second to start."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["node", str(Path(__file__).with_name("validate.js")), str(PACKAGE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def complaints(self, resource: dict[str, Any]) -> list[str]:
        """What it finds."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(resource) + "\n")
        self._process.stdin.flush()
        told: list[str] = json.loads(self._process.stdout.readline())
        return told


@cache
def validator() -> Validator:
    """The one of this test run; it ends with its standard input."""
    return Validator()


def complaints(resource: dict[str, Any]) -> list[str]:
    """What is wrong with the resource and everything in it; empty = nothing."""
    found = [*validator().complaints(resource), *_values(resource, "")]
    if resource.get("resourceType") == "Bundle":
        found += _entries(resource)
        for entry in resource.get("entry", ()):
            found += validator().complaints(entry["resource"])
    return found


def _entries(bundle: dict[str, Any]) -> Iterator[str]:
    entries = bundle.get("entry", [])
    if bundle["type"] == "history":
        return
    addresses = [entry.get("fullUrl") for entry in entries]
    if len(set(addresses)) != len(addresses):
        yield "Bundle.entry.fullUrl is not unique"
    for entry in entries:
        resource = entry["resource"]
        if not str(entry.get("fullUrl")).endswith(f"/{resource['resourceType']}/{resource['id']}"):
            yield "Bundle.entry.fullUrl does not name its resource"


def _values(value: Any, place: str) -> Iterator[str]:
    """The rules of the JSON format, at any depth."""
    if value is None or value in ("", [], {}):
        yield f"{place} is empty"
    elif isinstance(value, dict):
        for key, inner in value.items():
            # An actor's or a member's element "reference" is a Reference itself.
            form = None if key == "reference" and isinstance(inner, dict) else FORMS.get(key)
            if form is not None and not (isinstance(inner, str) and form.fullmatch(inner)):
                yield f"{place}.{key} is {inner!r}"
            yield from _values(inner, f"{place}.{key}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _values(inner, f"{place}[{number}]")
    elif isinstance(value, str) and value != value.strip():
        yield f"{place} begins or ends with white space"
