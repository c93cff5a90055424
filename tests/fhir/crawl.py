"""Follows FHIR from its CapabilityStatement into every answer that a reader can get of one person, and has each
resource judged by the foreign validator."""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.fhir.structure import complaints

Resource = dict[str, Any]
_WORDS = {"token": "x", "date": "2024-01-01", "string": "x"}
FOR_SYSTEMS = frozenset({"Subscription"})
"""What people are refused."""
_PAGE = 3
"""Small, so that paging happens."""


@dataclass
class Judged:
    """What was validated. The same content is looked at once, however often it came."""

    by_type: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    answers: int = 0
    _seen: set[str] = field(default_factory=set)

    def take(self, resource: Resource) -> Resource:
        """Validates the resource and, in a bundle, each of its entries."""
        self.answers += 1
        inner = [entry["resource"] for entry in resource.get("entry", ()) if "resource" in entry]
        for each in (resource, *inner):
            text = json.dumps(each, sort_keys=True)
            if text in self._seen:
                continue
            self._seen.add(text)
            self.by_type[each["resourceType"]] += 1
            # A bundle's entries are looked at by themselves.
            found = complaints(each)
            self.wrong += [f"{each['resourceType']}/{each.get('id', '')} {told}" for told in found]
        return resource

    def figure(self) -> str:
        """How many distinct resources there were, of which types, and how many of them are invalid."""
        told = ", ".join(f"{kind} {count}" for kind, count in sorted(self.by_type.items()))
        return (
            f"FHIR resources validated: {sum(self.by_type.values())} distinct in {self.answers} answers"
            f" ({told}); invalid {len(self.wrong)}"
        )


class Crawl:
    """One reader's questions."""

    def __init__(self, http: httpx.Client, judged: Judged) -> None:
        self._http = http
        self._judged = judged

    def get(self, path: str, expected: int = 200, accept: str = "application/fhir+json") -> Resource:
        """One validated answer; `path` is under /fhir or a whole address."""
        place = path if path.startswith("http") else f"/fhir{path}"
        answer = self._http.get(place, headers={"accept": accept})
        assert answer.status_code == expected, (path, answer.status_code, answer.text[:400])
        assert answer.headers["content-type"].startswith("application/fhir+json"), path
        return self._judged.take(answer.json())

    def pages(self, path: str) -> list[Resource]:
        """A search to its last page."""
        found: list[Resource] = []
        address = path
        while address:
            bundle = self.get(address)
            found += [each["resource"] for each in bundle.get("entry", ())]
            address = next((each["url"] for each in bundle["link"] if each["relation"] == "next"), "")
        return found

    def person(self, number: str, statement: Resource) -> int:
        """Everything that the statement promises, of the person with the number; how many resources there were."""
        found = self.pages(f"/Patient?identifier={number}")
        for person in found:
            self._of(person["id"], statement)
        return len(found)

    def _of(self, handle: str, statement: Resource) -> None:
        self.get(f"/Patient/{handle}/$everything")
        for kind in statement["rest"][0]["resource"]:
            codes = {each["code"] for each in kind.get("interaction", ())}
            if not {"read", "search-type"} <= codes or kind["type"] in FOR_SYSTEMS:
                continue
            self._kind(kind, handle)

    def _kind(self, kind: Resource, handle: str) -> None:
        name = kind["type"]
        names = {each["name"] for each in kind.get("searchParam", ())}
        whose = f"patient={handle}" if "patient" in names else f"_id={handle}" if name == "Patient" else ""
        found = self.pages(f"/{name}?{whose}&_count={_PAGE}")
        for each in found:
            identity = f"/{name}/{each['id']}"
            self.get(identity)
            history = self.get(f"{identity}/_history")
            for state in history["entry"]:
                self.get(f"{identity}/_history/{state['resource']['meta']['versionId']}")
            for content in each.get("content", ()) if name == "DocumentReference" else ():
                self.get(content["attachment"]["url"])
        if not found or name == "Patient":
            return
        for shape in (
            "_summary=true",
            "_summary=text",
            "_summary=data",
            "_summary=count",
            "_elements=status",
        ):
            self.get(f"/{name}?{whose}&{shape}")
        for way, key in (("_include", "searchInclude"), ("_revinclude", "searchRevInclude")):
            for each in kind.get(key, ()):
                self.pages(f"/{name}?{whose}&{way}={each}")

    def refusals(self, statement: Resource) -> None:
        """What is refused, in every way that the door knows."""
        self.get("/Nothing", 404)
        self.get("/Patient", 400)
        self.get("/Patient/x", 404)
        self.get("/Bundle/x", 404)
        self.get("/Binary/x", 404)
        self.get("/Patient/x/$everything", 404)
        self.get("/Patient?identifier=1&_format=xml", 406)
        for kind in statement["rest"][0]["resource"]:
            name = kind["type"]
            if name in FOR_SYSTEMS or "read" not in {each["code"] for each in kind.get("interaction", ())}:
                continue
            self.get(f"/{name}/x", 404)
            if "searchParam" in kind:
                self.get(f"/{name}?colour=red", 400)
        for method, path in (("PUT", "/Patient/x"), ("DELETE", "/Patient/x"), ("POST", "/Patient")):
            answer = self._http.request(method, f"/fhir{path}")
            assert answer.status_code == 405
            self._judged.take(answer.json())
