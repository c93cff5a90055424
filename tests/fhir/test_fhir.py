"""The FHIR door of a running server: what it tells, to whom, and in which form."""

from typing import Any

import httpx
import pytest

from samsyn.endpoints.fhir import common
from tests.fhir.house import BO, KINDS, PERSONNUMMER, TOLVAN, Reader, store
from tests.fhir.structure import complaints
from tests.scratch import Running


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
def test_who_has_no_care_assignment_sees_nothing(reader_of: Any, radiologist: Reader, persona: str) -> None:
    reader, handle = reader_of(persona), radiologist.handle(TOLVAN)
    assert reader.found("/Patient", identifier=TOLVAN) == []
    assert [reader.found(f"/{kind}", patient=handle) for kind in KINDS] == [[] for _ in KINDS]


@pytest.mark.slow
def test_who_has_no_relation_sees_nothing(house: Running, reader_of: Any) -> None:
    number = "200002292399"
    study = store(house, "NORDCT", number, "NORD2")
    radiologist, pacs = reader_of("radiologist"), reader_of("NORDWEB")
    handle = radiologist.handle(number)
    assert [radiologist.found(f"/{kind}", patient=handle) for kind in KINDS] == [[] for _ in KINDS]
    found = pacs.found("/ImagingStudy", patient=handle)
    assert [each["identifier"][0]["value"] for each in found] == [f"urn:oid:{study}"]


@pytest.mark.slow
def test_a_system_sees_its_own_provider_s_only(reader_of: Any, radiologist: Reader) -> None:
    seen, handle = {}, radiologist.handle(TOLVAN)
    for name in ("NORDWEB", "KLARAWEB", "LINDENWEB"):
        reader = reader_of(name)
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
        ("/ImagingStudy", {"subject": "x"}, 404),
        ("/ImagingStudy", {"patient": "x", "subject": "y"}, 400),
        ("/ImagingStudy", {"patient": "x", "colour": "red"}, 400),
        ("/ImagingStudy", {"patient": "x", "started": "yesterday"}, 404),
        ("/ImagingStudy", {"patient": "x", "_count": "-1"}, 400),
        ("/ImagingStudy", {"patient": "x", "_sort": "height"}, 400),
        ("/ImagingStudy", {"patient": "x", "_include": "Patient:link"}, 400),
        ("/ImagingStudy", {"patient": "x", "_summary": "some"}, 400),
        ("/ImagingStudy/x", {}, 404),
        ("/ImagingStudy/x/_history/1", {}, 404),
        ("/Bundle/x", {}, 404),
        ("/Binary/x", {}, 404),
        ("/Patient/x/$everything", {}, 404),
        ("/DiagnosticReport", {"patient": "0" * 32}, 404),
        ("/ServiceRequest", {"patient": "'; DROP TABLE patient; --"}, 404),
        ("/Medication", {}, 404),
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
@pytest.mark.parametrize("path", ["/Patient", "/Patient/x", "/ImagingStudy/x/_history", ""])
def test_writing_is_refused_in_fhir_s_own_words(radiologist: Reader, method: str, path: str) -> None:
    answer = radiologist.http.request(method, path or "/")
    assert complaints(answer.json()) == []
    if (method, path) == ("POST", ""):
        # Known systems file reports there; nobody else may.
        assert answer.status_code == 403
    else:
        assert answer.status_code == 405
        assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.slow
def test_no_number_stands_in_an_address(radiologist: Reader) -> None:
    bundle = radiologist.get("/Patient", identifier=TOLVAN)
    handle = bundle["entry"][0]["resource"]["id"]
    addresses = [link["url"] for link in bundle["link"]] + [bundle["entry"][0]["fullUrl"], handle]
    for kind in KINDS:
        answer = radiologist.get(f"/{kind}", patient=handle)
        addresses += [link["url"] for link in answer["link"]] + [
            each["fullUrl"] for each in answer.get("entry", ())
        ]
    assert not [address for address in addresses if TOLVAN in address or "121212" in address]


@pytest.mark.slow
def test_a_person_is_read_again_by_the_same_opaque_name(radiologist: Reader, reader_of: Any) -> None:
    handle = radiologist.handle(TOLVAN)
    assert reader_of("NORDWEB").handle(TOLVAN) == handle
    assert radiologist.get(f"/Patient/{handle}") == radiologist.found("/Patient", identifier=TOLVAN)[0]


@pytest.mark.slow
def test_the_capability_statement_is_open_and_true(house: Running, radiologist: Reader) -> None:
    statement = Reader(house, "").get("/metadata")
    handle = radiologist.handle(TOLVAN)
    values = {"token": "x", "date": "2024-01-01", "string": "x", "reference": "Patient/x", "quantity": "1"}
    for resource in statement["rest"][0]["resource"]:
        kind = resource["type"]
        if kind in ("AuditEvent", "Subscription"):
            continue  # for others only: test_audit_events, test_subscriptions
        for parameter in resource.get("searchParam", ()):
            asked = {} if kind in ("Patient", "Organization", "Endpoint") else {"patient": handle}
            if parameter["name"] not in ("patient", "subject"):
                asked[parameter["name"]] = values[parameter["type"]]
            radiologist.get(f"/{kind}", **asked)
        for included in resource.get("searchInclude", ()):
            radiologist.get(f"/{kind}", patient=handle, _include=included)
        for included in resource.get("searchRevInclude", ()):
            radiologist.get(f"/{kind}", patient=handle, _revinclude=included)


@pytest.mark.slow
def test_what_brings_nothing_along_says_so(radiologist: Reader) -> None:
    """A client that asks for a person with his reports would take silence for "no reports"."""
    radiologist.get("/Patient", 400, identifier=TOLVAN, _revinclude="DiagnosticReport:patient")
    radiologist.get("/Organization", 400, _include="Organization:partof")


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
    assert common.day(day) == date


def test_empty_values_are_left_out_at_every_depth() -> None:
    assert common.without_empty({"a": "", "b": [{"c": None}, {"d": " "}], "e": {"f": []}, "g": 0}) == {"g": 0}
