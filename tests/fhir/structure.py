"""What is wrong with a FHIR R4 resource: by a foreign validator that has R4's profiles and value sets and needs no
network, and by the rules of the JSON format that it does not look at."""

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import orjson

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "build" / "test-assets" / "fhir"
_COMMAND = ("node", str(Path(__file__).with_name("validate.js")), str(PACKAGE))
_IN_ITS_PLACE = {"resourceType": "Parameters"}

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
        self._process = subprocess.Popen(_COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def complaints(self, resource: dict[str, Any]) -> list[str]:
        """What it finds."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(orjson.dumps(resource, option=orjson.OPT_APPEND_NEWLINE))
        self._process.stdin.flush()
        told: list[str] = orjson.loads(self._process.stdout.readline())
        return told


@cache
def validator() -> Validator:
    """The one of this test run; it ends with its standard input."""
    return Validator()


def complaints_of_all(lines: list[bytes]) -> list[list[str]]:
    """What the foreign validator finds in each of many resources (JSON without line ends), by one process that is
    not waited for between them."""
    ended = subprocess.run(_COMMAND, input=b"".join(line + b"\n" for line in lines), capture_output=True)
    assert ended.returncode == 0, ended.stderr.decode()
    told = [orjson.loads(line) for line in ended.stdout.splitlines()]
    assert len(told) == len(lines), (len(told), len(lines))
    return told


def complaints(resource: dict[str, Any]) -> list[str]:
    """What is wrong with the resource and everything in it; empty = nothing."""
    found: list[str] = []
    for part in parts(resource):
        found += [*validator().complaints(part), *form_complaints(part)]
    return [*found, *entry_complaints(resource)]


def parts(resource: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The resource itself and each that stands in it as a bundle's entry, so that every one is looked at once; the
    first is the resource's own.

    The validator judges what stands in an entry by nothing around it (`validateNext` in its validator.js), so the
    bundle has something small and valid in each place.
    """
    if resource.get("resourceType") != "Bundle" or not resource.get("entry"):
        yield resource
        return
    inner = [entry["resource"] for entry in resource["entry"] if "resource" in entry]
    bare = [
        {**entry, "resource": _IN_ITS_PLACE} if "resource" in entry else entry for entry in resource["entry"]
    ]
    yield {**resource, "entry": bare}
    yield from inner


def form_complaints(part: dict[str, Any]) -> list[str]:
    """What breaks the rules of the JSON format."""
    return list(_values(part, ""))


def entry_complaints(resource: dict[str, Any]) -> list[str]:
    """What is wrong with the addresses of a bundle's entries."""
    return list(_entries(resource)) if resource.get("resourceType") == "Bundle" else []


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
