"""The FHIR door of a running server: what it tells, to whom, and in which form."""

import random
import socket
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from bench import objects
from bench.dimse_load import Association
from bench.dimse_load import message as store_message
from samsyn.endpoints.fhir import resources
from tests.fhir.structure import complaints
from tests.hl7v2.messages import message, msh, obr, obx, pid, segment
from tests.scratch import Running

TOLVAN = "191212121212"
BO = "196809129908"
PERSONNUMMER = "http://electronichealth.se/identifier/personnummer"
KINDS = ("ImagingStudy", "DiagnosticReport", "ServiceRequest")
NORD, KLARA = "1.2.752.1", "1.2.752.2"
SHAPE = objects.Shape(objects.MR_IMAGE, "MR", 8, 8, 0)


def send(port: int, *messages: bytes) -> None:
    """Messages over MLLP, each accepted."""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        for raw in messages:
            connection.sendall(b"\x0b" + raw + b"\x1c\r")
            answer = b""
            while not answer.endswith(b"\x1c\r"):
                answer += connection.recv(4096)
            assert b"MSA|AA|" in answer, answer


def store(running: Running, calling: str, number: str, accession: str) -> str:
    """Three images of one study from a known modality; the StudyInstanceUID."""
    source = random.Random(accession)
    study = replace(objects.study(source, 0, 0), patient_id=number, accession=accession)
    where = {"host": "127.0.0.1", "port": running.dicom_port, "called": "SAMSYN", "calling": calling}
    made = list(objects.instances(source, SHAPE, study, 3))
    peer = Association(where, [SHAPE.sop_class], made[0].transfer_syntax)
    for place, instance in enumerate(made, start=1):
        peer.store(store_message(instance, place, 1, peer.pdu_bytes))
    peer.release()
    return study.study_uid


def texts(sender: str, accession: str, answer: str) -> tuple[bytes, bytes]:
    """A referral and its final report."""
    control = f"{sender}{accession}"
    order = segment("ORC", {1: "NW", 2: f"R{accession}", 3: accession, 9: "20240314080000"})
    asked = segment("OBR", {4: "CTTHX^DT thorax^L", 13: "Hosta sedan två veckor", 31: "^Pneumoni?"})
    fields = {18: accession, 2: f"R{accession}", 3: accession}
    return (
        message(msh("ORM^O01", f"{control}1", f3=sender), pid(), order, asked),
        message(msh("ORU^R01", f"{control}2", f3=sender), pid(), obr(fields), obx(answer)),
    )


@pytest.fixture(scope="module")
def house(scratch: Running) -> Running:
    """Tolvan has an examination with everything at two providers; Bo's identity is protected."""
    store(scratch, "NORDCT", TOLVAN, "NORD1")
    store(scratch, "KLARAPACS", TOLVAN, "KLARA1")
    send(scratch.mllp_port, *texts("NORDRIS", "NORD1", "Inga tecken till pneumoni."))
    send(scratch.mllp_port, *texts("KLARARIS", "KLARA1", "Handleden utan fraktur."))
    protected = pid(f"{BO}^^^PNR", "Testpatient^Bo", "19680912"), segment("PD1", {12: "Y"})
    send(scratch.mllp_port, message(msh("ADT^A08", "PROT1"), *protected))
    return scratch


class Reader:
    """Asks as one subject and checks the form of every answer."""

    def __init__(self, running: Running, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.http = httpx.Client(base_url=f"{running.http}/fhir", headers=headers, timeout=30)

    def get(self, path: str, status: int = 200, **parameters: str) -> dict[str, Any]:
        answer = self.http.get(path, params=parameters)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/fhir+json"
        assert "no-store" in answer.headers["cache-control"]
        resource = answer.json()
        assert complaints(resource) == []
        return resource

    def found(self, path: str, **parameters: str) -> list[dict[str, Any]]:
        bundle = self.get(path, **parameters)
        assert bundle["resourceType"] == "Bundle"
        return [entry["resource"] for entry in bundle.get("entry", [])]

    def handle(self, number: str) -> str:
        (person,) = self.found("/Patient", identifier=number)
        return str(person["id"])


@pytest.fixture(scope="module")
def reader_of(house: Running) -> Iterator[Any]:
    made: list[Reader] = []

    def make(name: str) -> Reader:
        system = name in house.about["tokens"]["systems"]
        made.append(Reader(house, house.system_token(name) if system else house.persona_token(name)))
        return made[-1]

    yield make
    for each in made:
        each.http.close()


@pytest.fixture(scope="module")
def radiologist(reader_of: Any) -> Reader:
    return reader_of("radiologist")


@pytest.mark.slow
def test_a_reader_with_a_relation_gets_the_own_unit_s_examination(radiologist: Reader) -> None:
    handle = radiologist.handle(TOLVAN)
    (study,) = radiologist.found("/ImagingStudy", patient=handle)
    assert (study["numberOfSeries"], study["numberOfInstances"]) == (1, 3)
    assert study["subject"] == {"reference": f"Patient/{handle}"}
    assert [series["modality"]["code"] for series in study["series"]] == ["MR"]
    (report,) = radiologist.found("/DiagnosticReport", patient=f"Patient/{handle}")
    assert (report["status"], report["conclusion"]) == ("final", "Inga tecken till pneumoni.")
    assert report["imagingStudy"] == [{"reference": f"ImagingStudy/{study['id']}"}]
    (referral,) = radiologist.found("/ServiceRequest", patient=handle)
    assert (referral["intent"], referral["reasonCode"]) == ("order", [{"text": "Pneumoni?"}])


@pytest.mark.slow
@pytest.mark.parametrize(
    "written",
    [
        "191212121212",
        "19121212-1212",
        " 19121212 1212 ",
        "121212+1212",
        "121212-1212",
        f"{PERSONNUMMER}|191212121212",
        f"{PERSONNUMMER}|19121212-1212",
        "urn:oid:1.2.752.129.2.1.3.1|121212+1212",
    ],
)
def test_a_person_is_found_by_every_written_form(radiologist: Reader, written: str) -> None:
    found = radiologist.found("/Patient", identifier=written)
    names = [person.get("name") for person in found]
    # Ten digits with a hyphen mean somebody below a hundred years: another person, who is not here.
    assert names == ([] if written == "121212-1212" else [[{"family": "Tolvansson", "given": ["Tolvan"]}]])
    for person in found:
        assert {"system": PERSONNUMMER, "value": TOLVAN} in person["identifier"]
        assert (person["birthDate"], person["gender"]) == ("1912-12-12", "male")


@pytest.mark.slow
@pytest.mark.parametrize(
    "identifier",
    ["http://example.org/id|191212121212", "|191212121212", f"{PERSONNUMMER}|", "urn:oid:x|1", "urn:oid:|1"],
)
def test_an_unknown_system_is_refused(radiologist: Reader, identifier: str) -> None:
    outcome = radiologist.get("/Patient", 400, identifier=identifier)
    assert TOLVAN not in str(outcome)


@pytest.mark.slow
def test_the_right_number_under_another_system_is_nobody_s(radiologist: Reader) -> None:
    assert radiologist.found("/Patient", identifier=f"urn:oid:1.2.752.97.3.1.3|{TOLVAN}") == []
    assert radiologist.found("/Patient", identifier="199001012386") == []


@pytest.mark.slow
def test_a_protected_person_is_marked_and_has_no_name(radiologist: Reader) -> None:
    (person,) = radiologist.found("/Patient", identifier=BO)
    assert "name" not in person
    assert person["meta"]["security"][0]["code"] == "V"
    assert "Testpatient" not in str(radiologist.get(f"/Patient/{person['id']}"))


@pytest.mark.slow
@pytest.mark.parametrize("persona", ["secretary", "log-reviewer", "block-administrator", "steward"])
def test_who_has_no_care_assignment_sees_nothing(reader_of: Any, persona: str) -> None:
    reader = reader_of(persona)
    handle = reader.handle(TOLVAN)
    assert [reader.found(f"/{kind}", patient=handle) for kind in KINDS] == [[], [], []]


@pytest.mark.slow
def test_who_has_no_relation_sees_nothing(house: Running, reader_of: Any) -> None:
    number = "200002292399"
    study = store(house, "NORDCT", number, "NORD2")
    radiologist, pacs = reader_of("radiologist"), reader_of("NORDWEB")
    handle = radiologist.handle(number)
    assert [radiologist.found(f"/{kind}", patient=handle) for kind in KINDS] == [[], [], []]
    assert [each["id"] for each in pacs.found("/ImagingStudy", patient=handle)] == [study]


@pytest.mark.slow
def test_a_system_sees_its_own_provider_s_only(reader_of: Any, house: Running) -> None:
    seen = {}
    for name in ("NORDWEB", "KLARAWEB", "LINDENWEB"):
        reader = reader_of(name)
        handle = reader.handle(TOLVAN)
        studies = [each["identifier"][-1]["value"] for each in reader.found("/ImagingStudy", patient=handle)]
        reports = [each["conclusion"] for each in reader.found("/DiagnosticReport", patient=handle)]
        orders = [each["identifier"][-1]["value"] for each in reader.found("/ServiceRequest", patient=handle)]
        seen[name] = (studies, reports, orders)
    assert seen == {
        "NORDWEB": (["NORD1"], ["Inga tecken till pneumoni."], ["NORD1"]),
        "KLARAWEB": (["KLARA1"], ["Handleden utan fraktur."], ["KLARA1"]),
        "LINDENWEB": ([], [], []),
    }


@pytest.mark.slow
@pytest.mark.parametrize("token", ["", "wrong", "å" * 5, "x" * 10_000])
@pytest.mark.parametrize("path", ["/Patient", "/Patient/1", *(f"/{kind}" for kind in KINDS), "/Nothing"])
def test_nobody_without_a_valid_token_is_told_anything(house: Running, token: str, path: str) -> None:
    headers = {b"Authorization": f"Bearer {token}".encode()} if token else {}
    asked = {"identifier": TOLVAN} if path == "/Patient" else {"patient": "x"}
    answer = httpx.get(f"{house.http}/fhir{path}", headers=headers, params=asked)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert complaints(answer.json()) == []
    assert answer.json()["issue"][0]["code"] == "login"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "parameters", "status"),
    [
        ("/Patient", {}, 400),
        ("/Patient", {"identifier": ""}, 400),
        ("/Patient", {"name": "Tolvansson"}, 400),
        ("/Patient", {"identifier": TOLVAN, "_id": "1"}, 400),
        ("/Patient", {"identifier": TOLVAN, "gender": "male"}, 400),
        ("/Patient/unknown", {}, 404),
        (f"/Patient/{'0' * 64}", {}, 404),
        ("/Patient/../../health/ready/x", {}, 404),
        ("/ImagingStudy", {}, 400),
        ("/ImagingStudy", {"patient": TOLVAN}, 404),
        ("/ImagingStudy", {"patient": "Patient/å"}, 404),
        ("/ImagingStudy", {"subject": "x"}, 400),
        ("/DiagnosticReport", {"patient": "0" * 32}, 404),
        ("/ServiceRequest", {"patient": "'; DROP TABLE patient; --"}, 404),
        ("/Observation", {}, 404),
        ("/", {}, 404),
    ],
)
def test_every_fault_is_an_operation_outcome(
    radiologist: Reader, path: str, parameters: dict[str, str], status: int
) -> None:
    if path.startswith("/Patient/.."):
        path = path.replace("..", "%2e%2e")
    outcome = radiologist.get(path, status, **parameters)
    assert outcome["resourceType"] == "OperationOutcome"
    assert TOLVAN not in str(outcome)


@pytest.mark.slow
def test_a_parameter_given_twice_is_refused(radiologist: Reader) -> None:
    answer = radiologist.http.get(f"/Patient?identifier={TOLVAN}&identifier={BO}")
    assert answer.status_code == 400


@pytest.mark.slow
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/Patient", "/Patient/x", "/ImagingStudy/_search", ""])
def test_writing_is_refused_in_fhir_s_own_words(radiologist: Reader, method: str, path: str) -> None:
    answer = radiologist.http.request(method, path or "/")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"
    assert complaints(answer.json()) == []


@pytest.mark.slow
def test_no_number_stands_in_an_address(radiologist: Reader) -> None:
    bundle = radiologist.get("/Patient", identifier=TOLVAN)
    handle = bundle["entry"][0]["resource"]["id"]
    addresses = [link["url"] for link in bundle["link"]] + [bundle["entry"][0]["fullUrl"], handle]
    for kind in KINDS:
        answer = radiologist.get(f"/{kind}", patient=handle)
        addresses += [link["url"] for link in answer["link"]] + [each["fullUrl"] for each in answer["entry"]]
    assert not [address for address in addresses if TOLVAN in address or "121212" in address]


@pytest.mark.slow
def test_a_person_is_read_again_by_the_same_opaque_name(radiologist: Reader, reader_of: Any) -> None:
    handle = radiologist.handle(TOLVAN)
    assert reader_of("NORDWEB").handle(TOLVAN) == handle
    assert radiologist.get(f"/Patient/{handle}") == radiologist.found("/Patient", identifier=TOLVAN)[0]


@pytest.mark.slow
def test_the_capability_statement_is_open_and_true(house: Running, radiologist: Reader) -> None:
    statement = Reader(house, "").get("/metadata")
    for resource in statement["rest"][0]["resource"]:
        for parameter in resource["searchParam"]:
            value = TOLVAN if parameter["name"] == "identifier" else radiologist.handle(TOLVAN)
            radiologist.get(f"/{resource['type']}", **{parameter["name"]: value})


@pytest.mark.parametrize(
    ("day", "date"),
    [
        ("19121212", "1912-12-12"),
        ("191212", "1912-12"),
        ("1912", "1912"),
        ("", ""),
        ("19121301", ""),
        ("191212121", ""),
        ("1912-12-12", ""),
        ("١٩١٢", ""),
    ],
)
def test_a_day_is_a_date_or_nothing(day: str, date: str) -> None:
    assert resources._date(day) == date


def test_empty_values_are_left_out_at_every_depth() -> None:
    assert resources._without_empty({"a": "", "b": [{"c": None}, {"d": " "}], "e": {"f": []}, "g": 0}) == {
        "g": 0
    }
