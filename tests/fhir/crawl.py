"""Follows FHIR from its CapabilityStatement into every answer that a reader can get of one person, and has each
resource judged by the foreign validator."""

from collections import Counter
from dataclasses import dataclass, field
from http.client import HTTPConnection, RemoteDisconnected
from typing import Any

import httpx
import orjson

from tests.fhir.structure import complaints_of_all, entry_complaints, form_complaints, parts

Resource = dict[str, Any]
_WORDS = {"token": "x", "date": "2024-01-01", "string": "x"}
FOR_SYSTEMS = frozenset({"Subscription"})
"""What people are refused."""
_PAGE = 3
"""Small, so that paging happens."""


@dataclass
class Judged:
    """What is validated. The same content is looked at once, however often it came."""

    by_type: Counter[str] = field(default_factory=Counter)
    answers: int = 0
    _seen: set[bytes] = field(default_factory=set)
    _waiting: list[tuple[str, bytes]] = field(default_factory=list)
    """Names and texts of what the foreign validator has not looked at yet."""
    _wrong: list[str] = field(default_factory=list)

    def take(self, resource: Resource) -> Resource:
        """Keeps the resource and, of a bundle, each of its entries, to be validated."""
        self.answers += 1
        self._take(resource)
        return resource

    def _take(self, resource: Resource) -> None:
        whole = orjson.dumps(resource, option=orjson.OPT_SORT_KEYS)
        if whole in self._seen:
            return
        self._seen.add(whole)
        self.by_type[resource["resourceType"]] += 1
        name = f"{resource['resourceType']}/{resource.get('id', '')}"
        own, *inner = parts(resource)
        found = [*form_complaints(own), *entry_complaints(resource)]
        self._wrong += [f"{name} {told}" for told in found]
        self._waiting.append((name, whole if own is resource else orjson.dumps(own)))
        for each in inner:
            self._take(each)

    def wrong(self) -> list[str]:
        """Everything that is invalid, of whatever was taken until now."""
        waiting, self._waiting = self._waiting, []
        found = complaints_of_all([text for _, text in waiting])
        for (name, _), told in zip(waiting, found, strict=True):
            self._wrong += [f"{name} {each}" for each in told]
        return self._wrong

    def figure(self) -> str:
        """How many distinct resources there were, of which types, and how many complaints about them."""
        told = ", ".join(f"{kind} {count}" for kind, count in sorted(self.by_type.items()))
        return (
            f"FHIR resources validated: {sum(self.by_type.values())} distinct in {self.answers} answers"
            f" ({told}); invalid {len(self.wrong())}"
        )


class Crawl:
    """One reader's questions, on a kept connection with the cookies of his browser."""

    def __init__(self, http: httpx.Client, judged: Judged) -> None:
        self._http = http
        self._judged = judged
        self._base = str(http.base_url)
        self._kept = HTTPConnection(self._base.removeprefix("http://").rstrip("/"), timeout=60)
        self._has_asked_at_large = False
        """Whether what concerns no patient (organizations, endpoints) has been asked for."""

    def close(self) -> None:
        """Ends the connection."""
        self._kept.close()

    def get(self, path: str, expected: int = 200, accept: str = "application/fhir+json") -> Resource:
        """One answer, to be validated; `path` is under /fhir or a whole address."""
        place = path.removeprefix(self._base.rstrip("/")) if path.startswith("http") else f"/fhir{path}"
        status, kind, body = self._ask(place, accept)
        assert status == expected, (path, status, body[:400])
        assert kind.startswith("application/fhir+json"), path
        return self._judged.take(orjson.loads(body))

    def _ask(self, place: str, accept: str) -> tuple[int, str, bytes]:
        """Status, media type and body."""
        cookies = "; ".join(f"{each.name}={each.value}" for each in self._http.cookies.jar)
        headers = {"Accept": accept} | ({"Cookie": cookies} if cookies else {})
        try:
            self._kept.request("GET", place, headers=headers)
            answer = self._kept.getresponse()
        except (RemoteDisconnected, ConnectionError):
            # The server ends what has been idle for some seconds; a second time it is a fault.
            self._kept.close()
            self._kept.request("GET", place, headers=headers)
            answer = self._kept.getresponse()
        return answer.status, answer.getheader("content-type", ""), answer.read()

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
            names = {each["name"] for each in kind.get("searchParam", ())}
            if "patient" in names:
                self._kind(kind, f"patient={handle}")
            elif kind["type"] == "Patient":
                self._kind(kind, f"_id={handle}")
            elif not self._has_asked_at_large:
                self._kind(kind, "")
        self._has_asked_at_large = True

    def _kind(self, kind: Resource, whose: str) -> None:
        name = kind["type"]
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
