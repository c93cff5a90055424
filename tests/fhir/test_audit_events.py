"""FHIR AuditEvent: who may search, what comes back, and that its shape is that of R4 and the audit patterns."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from samsyn.access.events import Event
from samsyn.endpoints.fhir.audit_events import (
    BALP,
    AuditEventDependencies,
    audit_event,
    audit_event_search,
)
from samsyn.errors import BadInput
from samsyn.model.subject import Subject, SubjectKind
from tests.fhir.structure import INSTANT
from tests.fhir.test_fhir import PERSONNUMMER, TOLVAN, store
from tests.followup.test_review import reader as staff_member
from tests.scratch import Running

pytestmark = pytest.mark.slow


def complaints(event: dict[str, Any]) -> Iterator[str]:
    """What R4 and the patterns' common part demand of an AuditEvent."""
    for name in ("type", "recorded", "outcome", "agent", "source"):
        if not event.get(name):
            yield f"{name} is missing"
    if not INSTANT.fullmatch(event["recorded"]):
        yield "recorded is no instant"
    if event["outcome"] not in {"0", "4", "8", "12"} or event.get("action") not in set("CRUDE"):
        yield "outcome or action"
    if [each["requestor"] for each in event["agent"]].count(True) != 1:
        yield "one agent is the requestor"
    codes = {each["type"]["coding"][0]["code"] for each in event["agent"]}
    if codes != {"110153", "110152", "IRCP"}:
        yield "client, server and user"
    if "observer" not in event["source"]:
        yield "source.observer"
    if f"{BALP}.PatientRead" in event.get("meta", {}).get("profile", []):
        roles = [each["role"]["code"] for each in event.get("entity", [])]
        if "1" not in roles or event["type"]["code"] != "rest" or event["action"] != "R":
            yield "PatientRead has its patient, is a read by REST"
    if f"{BALP}.PatientQuery" in event.get("meta", {}).get("profile", []):
        roles = [each["role"]["code"] for each in event.get("entity", [])]
        if not {"1", "24"} <= set(roles) or event["action"] != "E":
            yield "PatientQuery has its patient and its query"
    for value in _leaves(event):
        if value in ("", [], {}):
            yield "an empty value"


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from [value] if not value else ()
        for each in value.values():
            yield from _leaves(each)
    elif isinstance(value, list):
        yield from [value] if not value else ()
        for each in value:
            yield from _leaves(each)
    else:
        yield value


def client(scratch: Running, persona: str) -> httpx.Client:
    headers = {"Authorization": f"Bearer {scratch.persona_token(persona)}"}
    return httpx.Client(base_url=f"{scratch.http}/fhir", headers=headers, timeout=30)


@pytest.fixture(scope="module")
def handle(scratch: Running) -> str:
    """Tolvan's handle, after the health centre's doctor has searched and the hospital's radiologist read."""
    store(scratch, "NORDCT", TOLVAN, "NORD1")
    with client(scratch, "gp") as gp:
        found = gp.get("/Patient", params={"identifier": f"{PERSONNUMMER}|{TOLVAN}"}).json()
        identity = found["entry"][0]["resource"]["id"]
        assert identity
        gp.get("/ImagingStudy", params={"patient": identity}).raise_for_status()
    with client(scratch, "radiologist") as radiologist:
        radiologist.get("/ImagingStudy", params={"patient": identity}).raise_for_status()
    return str(identity)


def events(answer: httpx.Response) -> list[dict[str, Any]]:
    return [each["resource"] for each in answer.raise_for_status().json()["entry"]]


def test_a_log_reviewer_finds_the_own_providers_events_of_a_patient(scratch: Running, handle: str) -> None:
    with client(scratch, "log-reviewer") as reviewer:
        found = events(reviewer.get("/AuditEvent", params={"patient": handle}))
    assert found
    for event in found:
        assert list(complaints(event)) == [], event
        user = event["agent"][2]["who"]["identifier"]["value"]
        assert user.startswith("SE9990000004-"), user
    assert any(f"{BALP}.PatientQuery" in event.get("meta", {}).get("profile", []) for event in found)


def test_the_patient_may_be_named_by_number(scratch: Running, handle: str) -> None:
    named = {"patient.identifier": f"{PERSONNUMMER}|{TOLVAN}"}
    with client(scratch, "log-reviewer") as reviewer:
        assert {f"Patient/{handle}"} == {
            event["entity"][0]["what"]["reference"]
            for event in events(reviewer.get("/AuditEvent", params=named))
        }


def test_nobody_else_finds_any(scratch: Running, handle: str) -> None:
    for persona in ("gp", "radiologist", "steward"):
        with client(scratch, persona) as other:
            assert other.get("/AuditEvent", params={"patient": handle}).status_code == 403


def test_a_question_that_is_not_understood_is_refused_and_never_widened(
    scratch: Running, handle: str
) -> None:
    with client(scratch, "log-reviewer") as reviewer:
        for wrong in ({"entity": "x"}, {"date": "gt2020-01-01"}, {"date": "in May"}, {"_before": "-1"}):
            assert reviewer.get("/AuditEvent", params=wrong).status_code == 400, wrong
        assert reviewer.get("/AuditEvent", params={"patient": "0" * 32}).status_code == 404
        assert reviewer.get("/AuditEvent", params={"patient.identifier": "x|"}).status_code == 400
        unknown = {"patient.identifier": "nobody's number"}
        assert reviewer.get("/AuditEvent", params=unknown).status_code == 404


def test_long_answers_have_a_link_to_the_next_page(scratch: Running, handle: str) -> None:
    with client(scratch, "log-reviewer") as reviewer:
        for _ in range(120):
            reviewer.get("/AuditEvent", params={"agent": "SE9990000004-1"}).raise_for_status()
        first = reviewer.get("/AuditEvent").json()
        links = {link["relation"]: link["url"] for link in first["link"]}
        second = reviewer.get(links["next"]).json()
    numbers = [int(each["resource"]["id"]) for page in (first, second) for each in page["entry"]]
    assert numbers == sorted(set(numbers), reverse=True)
    assert re.search(r"_before=[0-9]+", links["next"])


def test_a_page_is_no_larger_than_was_asked_for_and_the_next_one_names_no_number(
    scratch: Running, handle: str
) -> None:
    """A number belongs in a form: addresses stand in the logs of whatever is between."""
    with client(scratch, "log-reviewer") as reviewer:
        whole = events(reviewer.get("/AuditEvent", params={"patient": handle}))
        assert len(whole) > 2
        answer = reviewer.post("/AuditEvent/_search", data={"patient.identifier": TOLVAN, "_count": "2"})
        bundle = answer.raise_for_status().json()
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        assert TOLVAN not in answer.text
        rest = events(reviewer.get(links["next"]))
        numbers = [int(each["id"]) for each in (*events(answer), *rest)]
        assert numbers == sorted(set(numbers), reverse=True)
        assert (len(bundle["entry"]), len(rest)) == (2, 2)
        assert reviewer.get("/AuditEvent", params={"_count": "0"}).status_code == 400


async def test_a_person_s_own_search_is_not_answered_wider_than_it_was_asked() -> None:
    person = Subject(SubjectKind.PATIENT, "patient-1", "Tolvan", None, patient_key=1)
    unused: Any = None  # nothing is looked for before the question is judged
    search = audit_event_search(
        AuditEventDependencies(lambda _: person, unused, unused, unused, unused, "http://localhost/fhir")
    )
    asked = {"type": "http", "method": "GET", "headers": [], "query_string": b"date=ge2024-01-01"}
    with pytest.raises(BadInput, match="own search"):
        await search(Request(asked))


def test_every_event_has_a_sound_shape() -> None:
    from datetime import UTC, datetime

    from samsyn.access.followup.review import LogEntry

    subject = staff_member("SE9990000004-77")
    for event in Event:
        for patient in ("", "a" * 32):
            made = LogEntry(
                7, datetime(2026, 11, 22, 10, tzinfo=UTC), event.value, "Läsa", subject.hsa_id, "Åsa",
                "SE9990000004-0001", "SE9990000004-1001", "Vård och behandling", 1 if patient else 0,
                "SE9990000001-0001", "SE9990000001-1001", True, {"of": "2.25.1", "rule": "consent"},
            )  # fmt: skip
            assert list(complaints(audit_event(made, patient))) == [], event
