"""Bundles of answers, and OperationOutcome."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from samsyn.endpoints.fhir.common import Resource
from samsyn.endpoints.fhir.compartment import Held


def searchset(
    base: str,
    total: int,
    links: Sequence[Resource],
    matched: Iterable[Resource],
    included: Iterable[Resource] = (),
) -> Resource:
    """A search's answer: a page of what matched, and what was to be included with it."""
    entries = [_entry(base, each, "match") for each in matched]
    entries += [_entry(base, each, "include") for each in included]
    answer: Resource = {"resourceType": "Bundle", "type": "searchset", "total": total, "link": list(links)}
    if entries:
        answer["entry"] = entries
    return answer


def _entry(base: str, resource: Resource, mode: str) -> Resource:
    return {
        "fullUrl": f"{base}/{resource['resourceType']}/{resource['id']}",
        "resource": resource,
        "search": {"mode": mode},
    }


def history(base: str, held: Held, since: datetime | None = None) -> Resource:
    """Every state of a resource, the latest first; `since`: without those of which is known that they came before."""
    kind, identity = held.resource["resourceType"], held.resource["id"]
    states = [
        {
            "fullUrl": f"{base}/{kind}/{identity}",
            "resource": state,
            "request": {
                "method": "POST" if number == 0 else "PUT",
                "url": kind if number == 0 else f"{kind}/{identity}",
            },
            "response": {"status": "201" if number == 0 else "200", "etag": etag(state)},
        }
        for number, state in enumerate(held.states)
        if since is None or _is_since(state, since)
    ]
    return {
        "resourceType": "Bundle",
        "type": "history",
        "total": len(states),
        "link": [{"relation": "self", "url": f"{base}/{kind}/{identity}/_history"}],
        **({"entry": states[::-1]} if states else {}),
    }


def _is_since(state: Resource, since: datetime) -> bool:
    updated = state["meta"].get("lastUpdated")
    return updated is None or datetime.fromisoformat(updated) >= since


def etag(resource: Resource) -> str:
    """The entity tag of a state (R4 3.1.0.1.1: weak)."""
    return f'W/"{resource["meta"]["versionId"]}"'


def outcome(code: str, sentence: str, severity: str = "error") -> Resource:
    """OperationOutcome; without `severity` for a refusal."""
    return {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": severity, "code": code, "diagnostics": sentence}],
    }
