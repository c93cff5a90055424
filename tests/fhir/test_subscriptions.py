"""Subscription: who may, what is told, that nothing is lost and nothing is told that the View does not open."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from samsyn.endpoints.fhir.common import identity
from samsyn.endpoints.fhir.imaging import imaging_study_id
from tests.doors.instance import Instance, Planted, running
from tests.doors.oracle import permitted
from tests.doors.words import Reader, Seen
from tests.doors.world import KLARA_CITY, LINDEN_UNIT, RADIOLOGY, READERS, STATES
from tests.fhir.receiver import Receiver, listening, told
from tests.fhir.structure import complaints

pytestmark = pytest.mark.slow

SYSTEMS = {
    "NORDWEB": Reader("NORDWEB", "system", RADIOLOGY),
    "KLARAWEB": Reader("KLARAWEB", "system", KLARA_CITY),
    "LINDENWEB": Reader("LINDENWEB", "system", LINDEN_UNIT),
}
CONTENT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-payload-content"
HEARTBEAT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-heartbeat-period"
OWN = next(state for state in STATES if state.name == "own provider")


def wanted(criteria: str, endpoint: str, **more: Any) -> dict[str, Any]:
    channel = {"type": "rest-hook", "endpoint": endpoint, "payload": "application/fhir+json", **more}
    return {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "Remissen visas i journalen",
        "criteria": criteria,
        "channel": channel,
    }


class Client:
    """A system at /fhir."""

    def __init__(self, made: Instance, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.http = httpx.Client(
            base_url=f"{made.server._base}/fhir", headers=headers, timeout=30, trust_env=False
        )

    def ask(self, method: str, path: str, status: int, body: Any = None) -> Any:
        headers = {"Content-Type": "application/fhir+json"} if body is not None else {}
        answer = self.http.request(method, path, json=body, headers=headers)
        assert answer.status_code == status, answer.text
        if not answer.content:
            return None
        resource = answer.json()
        assert complaints(resource) == []
        return resource

    def subscribe(self, criteria: str, endpoint: str, **more: Any) -> str:
        return str(self.ask("POST", "/Subscription", 201, wanted(criteria, endpoint, **more))["id"])

    def state(self, identity_text: str) -> tuple[str, str]:
        found = self.ask("GET", f"/Subscription/{identity_text}", 200)
        return found["status"], found.get("error", "")


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with listening() as made:
        yield made


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Instance]:
    notify = {name: (f"{receiver.url}/{name}",) for name in SYSTEMS}
    folder = Path(tmp_path_factory.mktemp("subscriptions"))
    with running(folder, changes={"notify": notify}) as instance:
        yield instance


def ids_of(each: Planted) -> dict[str, tuple[str, str]]:
    """Reference and part of the examination by kind, of what is made of the planted person's documents."""
    target, handle = each.there, each.there.fhir_id
    provider = each.state.owner.provider
    accession = f"KANACC{target.token}"
    report = identity(handle, "report", provider, accession)
    return {
        "ImagingStudy": (f"ImagingStudy/{imaging_study_id(handle, target.study_uid)}", "images"),
        "Observation": (
            f"Observation/{identity(handle, 'observation', target.measured_uid, '1')}",
            "images",
        ),
        "DiagnosticReport": (f"DiagnosticReport/{report}", "report"),
        "ServiceRequest": (
            "ServiceRequest/"
            + identity(handle, "referral", target.reference, provider, f"KANREF{target.token}", accession),
            "referral",
        ),
    }


def test_a_system_is_told_of_what_its_view_opens_and_of_nothing_else(
    made: Instance, receiver: Receiver
) -> None:
    kinds = ("ImagingStudy", "Observation", "DiagnosticReport", "ServiceRequest")
    for name in SYSTEMS:
        client = Client(made, made.tokens[name])
        for kind in kinds:
            client.subscribe(kind, f"{receiver.url}/{name}/{kind}")
    receiver.wait(lambda: len(receiver.bundles("handshake")) == len(SYSTEMS) * len(kinds))
    persons = made.plant(STATES)
    law: dict[str, set[str]] = {}
    for name, reader in SYSTEMS.items():
        for each in persons:
            for kind, (reference, part) in ids_of(each).items():
                # That a study was taken back is told to whoever could have read it before.
                before = replace(each.state, is_rejected=False) if kind == "ImagingStudy" else each.state
                if permitted(reader, before, part) is Seen.CONTENT:
                    law.setdefault(f"/hooks/{name}/{kind}", set()).add(reference)

    def announced() -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for path in {path for path, _ in receiver.calls}:
            one = Receiver(calls=[call for call in receiver.calls if call[0] == path])
            references = set(one.references())
            if references:
                found[path] = references
        return found

    receiver.wait(lambda: announced() == law, 60)
    time.sleep(3)
    assert announced() == law
    for bundle in receiver.bundles():
        parameters = bundle["entry"][0]["resource"]
        assert complaints(parameters) == []
    text = b"".join(body for _, body in receiver.calls)
    assert b"KAN" not in text
    assert b"Provsson" not in text
    print(
        f"subscriptions {len(law)}, events announced {sum(map(len, law.values()))}, none hidden, none missing"
    )


def test_only_known_systems_with_an_address_subscribe_and_only_there(
    made: Instance, receiver: Receiver
) -> None:
    endpoint = f"{receiver.url}/NORDWEB/x"
    for reader in READERS:
        if reader.kind == "staff":
            token = made.server._tokens.issue(made.subject(reader))
            Client(made, token).ask("POST", "/Subscription", 403, wanted("ImagingStudy", endpoint))
    Client(made, "").ask("POST", "/Subscription", 401, wanted("ImagingStudy", endpoint))
    Client(made, made.tokens["BENCH"]).ask("POST", "/Subscription", 403, wanted("ImagingStudy", endpoint))
    nord = Client(made, made.tokens["NORDWEB"])
    for elsewhere in (
        f"{receiver.url}/KLARAWEB/x",
        f"{receiver.url}/NORDWEBX",
        f"{receiver.url}/NORDWEB/../KLARAWEB",
        f"{receiver.url}/NORDWEB/%2e%2e/KLARAWEB",
        receiver.url.replace("127.0.0.1", "127.0.0.2") + "/NORDWEB/x",
        receiver.url.replace("127", "nord@127", 1) + "/NORDWEB/x",
        receiver.url.replace("http:", "ftp:") + "/NORDWEB/x",
    ):
        nord.ask("POST", "/Subscription", 400, wanted("ImagingStudy", elsewhere))


@pytest.mark.parametrize(
    "wrong",
    [
        {"criteria": "Patient?identifier=1"},
        {"criteria": "AuditEvent"},
        {"criteria": "ImagingStudy?colour=red"},
        {"criteria": "ImagingStudy?_include=ImagingStudy:basedon"},
        {"criteria": ""},
        {"criteria": "ImagingStudy?" + "x" * 600},
        {"reason": ""},
        {"end": "2020-01-01T00:00:00Z"},
        {"end": "tomorrow"},
        {"channel": {"type": "email", "endpoint": "x"}},
        {"channel": "x"},
        {"resourceType": "Patient"},
    ],
)
def test_a_subscription_that_can_not_be_kept_is_refused(
    made: Instance, receiver: Receiver, wrong: Any
) -> None:
    sent = {**wanted("ImagingStudy", f"{receiver.url}/NORDWEB/x"), **wrong}
    Client(made, made.tokens["NORDWEB"]).ask("POST", "/Subscription", 400, sent)


@pytest.mark.parametrize(
    "more",
    [
        {"header": ["Authorization: Bearer secret"]},
        {"payload": "application/fhir+xml"},
        {"_payload": {"extension": [{"url": CONTENT, "valueCode": "full-resource"}]}},
        {"extension": [{"url": HEARTBEAT, "valueUnsignedInt": 1}]},
        {"extension": [{"url": HEARTBEAT, "valueUnsignedInt": "often"}]},
    ],
)
def test_a_channel_that_is_not_supported_is_refused(made: Instance, receiver: Receiver, more: Any) -> None:
    sent = wanted("ImagingStudy", f"{receiver.url}/NORDWEB/x", **more)
    Client(made, made.tokens["NORDWEB"]).ask("POST", "/Subscription", 400, sent)


def test_a_system_knows_its_own_subscriptions_only(made: Instance, receiver: Receiver) -> None:
    nord, klara = (Client(made, made.tokens[name]) for name in ("NORDWEB", "KLARAWEB"))
    mine = nord.subscribe("DiagnosticReport?status=final", f"{receiver.url}/NORDWEB/own")
    for method, body in (("GET", None), ("PUT", {"status": "off"}), ("DELETE", None)):
        klara.ask(method, f"/Subscription/{mine}", 404, body)
    assert mine in {each["resource"]["id"] for each in nord.ask("GET", "/Subscription", 200)["entry"]}
    told_status = nord.ask("GET", f"/Subscription/{mine}/$status", 200)["entry"][0]["resource"]
    assert {"name": "type", "valueCode": "query-status"} in told_status["parameter"]
    nord.ask("DELETE", f"/Subscription/{mine}", 204)
    nord.ask("GET", f"/Subscription/{mine}", 404)


def file_report(made: Instance, each: Planted, status: str) -> None:
    """Another version of the planted person's report."""

    def decide(transaction: Any) -> None:
        row = transaction.one(
            "SELECT provider, unit, accession, accession_issuer, filler_id, study_uid FROM report"
            " WHERE patient_key = ?",
            each.there.patient_key,
        )
        names = ("provider", "unit", "accession", "accession_issuer", "filler_id", "study_uid")
        transaction.insert(
            "report",
            report_key=transaction.next_key("report"),
            patient_key=each.there.patient_key,
            status=status,
            text="Nytt",
            result_time=transaction.time,
            received=transaction.time,
            fragment=0,
            message_key=0,
            author="",
            signer="",
            procedure_text="",
            reason="",
            **dict(zip(names, row, strict=True)),
        )

    made.commit(decide)


def alone(folder: Path, receiver: Receiver) -> Any:
    return running(folder, changes={"notify": {"NORDWEB": (f"{receiver.url}/alone",)}})


def test_an_outage_loses_nothing_and_the_state_tells_it(tmp_path: Path) -> None:
    with listening() as receiver, alone(tmp_path / "one", receiver) as made:
        (person,) = made.plant((OWN,))
        client = Client(made, made.tokens["NORDWEB"])
        mine = client.subscribe("DiagnosticReport", f"{receiver.url}/alone")
        receiver.wait(lambda: client.state(mine)[0] == "active")
        receiver.answers = lambda number: 503
        file_report(made, person, "correction")
        receiver.wait(lambda: client.state(mine) == ("error", "the endpoint answers 503"))
        file_report(made, person, "annulled")
        receiver.calls.clear()
        receiver.answers = lambda number: 200
        receiver.wait(lambda: client.state(mine)[0] == "active")
        receiver.wait(lambda: receiver.references())
        report = ids_of(person)["DiagnosticReport"][0]
        assert set(receiver.references()) == {report}
        numbers = [
            part["valueString"]
            for bundle in receiver.bundles("event-notification")
            for event in bundle["entry"][0]["resource"]["parameter"]
            if event["name"] == "notification-event"
            for part in event["part"]
            if part["name"] == "event-number"
        ]
        assert numbers == [str(number) for number in range(1, len(numbers) + 1)]


def test_what_happened_before_a_stop_is_told_after_it(tmp_path: Path) -> None:
    with listening() as receiver:
        receiver.answers = lambda number: 200 if number == 1 else 500
        with alone(tmp_path / "one", receiver) as made:
            (person,) = made.plant((OWN,))
            client = Client(made, made.tokens["NORDWEB"])
            mine = client.subscribe("DiagnosticReport", f"{receiver.url}/alone")
            receiver.wait(lambda: client.state(mine)[0] == "active")
            file_report(made, person, "correction")
            receiver.wait(lambda: client.state(mine)[0] == "error")
        receiver.calls.clear()
        receiver.answers = lambda number: 200
        with alone(tmp_path / "one", receiver) as made:
            receiver.wait(lambda: receiver.references())
            assert receiver.references() == [ids_of(person)["DiagnosticReport"][0]]
            assert Client(made, made.tokens["NORDWEB"]).state(mine) == ("active", "")


def test_who_switches_off_is_told_later_of_what_happened_meanwhile(tmp_path: Path) -> None:
    with listening() as receiver, alone(tmp_path / "one", receiver) as made:
        (person,) = made.plant((OWN,))
        client = Client(made, made.tokens["NORDWEB"])
        mine = client.subscribe("DiagnosticReport?status=final", f"{receiver.url}/alone")
        receiver.wait(lambda: client.state(mine)[0] == "active")
        assert client.ask("PUT", f"/Subscription/{mine}", 200, {"status": "off"})["status"] == "off"
        file_report(made, person, "annulled")
        time.sleep(2)
        assert receiver.references() == []
        client.ask("PUT", f"/Subscription/{mine}", 200, {"status": "requested"})
        receiver.wait(lambda: receiver.references())
        # The report met the criteria once, so that it was annulled is told too.
        assert receiver.references() == [ids_of(person)["DiagnosticReport"][0]]


def test_without_payload_calls_are_empty_and_a_heartbeat_comes_in_silence(
    tmp_path: Path,
) -> None:
    with listening() as receiver, alone(tmp_path / "one", receiver) as made:
        (person,) = made.plant((OWN,))
        client = Client(made, made.tokens["NORDWEB"])
        sent = wanted("DiagnosticReport", f"{receiver.url}/alone/bare")
        del sent["channel"]["payload"]
        bare = client.ask("POST", "/Subscription", 201, sent)["id"]
        beating = client.subscribe(
            "ServiceRequest",
            f"{receiver.url}/alone/beat",
            _payload={"extension": [{"url": CONTENT, "valueCode": "empty"}]},
            extension=[{"url": HEARTBEAT, "valueUnsignedInt": 10}],
        )
        receiver.wait(lambda: {client.state(each)[0] for each in (bare, beating)} == {"active"})
        file_report(made, person, "correction")
        empty = ("/hooks/alone/bare", b"")
        receiver.wait(lambda: receiver.calls.count(empty) == 2)
        receiver.wait(lambda: receiver.bundles("heartbeat"))
        (beat, *_) = receiver.bundles("heartbeat")
        assert told(beat)["events-since-subscription-start"] == "0"
