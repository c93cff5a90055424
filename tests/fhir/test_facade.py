"""The wider facade: histories, conditional reading, pages, includes, documents, manifests."""

import io
import re
from typing import Any

import pydicom
import pytest

from samsyn.endpoints.fhir.common import LOINC
from tests.fhir.house import KINDS, PERSONNUMMER, TOLVAN, Reader, send, store
from tests.fhir.structure import complaints
from tests.hl7v2.messages import message, msh, obr, obx, pid, segment
from tests.scratch import Running

pytestmark = pytest.mark.slow

LIFE = "NORDLIFE"
LIFE_TEXTS = ("Preliminärt: oklar förtätning.", "Definitivt: ingen förtätning.", "Tillägg: jämfört 2023.")


@pytest.fixture(scope="module")
def life(house: Running) -> str:
    """One report of Tolvan that was preliminary, final and added to; the StudyInstanceUID of its pictures."""
    study = store(house, "NORDCT", TOLVAN, LIFE)
    for number, (status, day, text) in enumerate(
        zip(("P", "F", "A"), ("20240401080000", "20240402080000", "20240403080000"), LIFE_TEXTS, strict=True)
    ):
        fields = {18: LIFE, 2: f"R{LIFE}", 3: LIFE, 22: day, 25: status, 32: "7&Röntgensson&Rut"}
        send(
            house.mllp_port,
            message(msh("ORU^R01", f"LIFE{number}", f3="NORDRIS"), pid(), obr(fields), obx(text)),
        )
    return study


def report_of(reader: Reader, handle: str, accession: str) -> dict[str, Any]:
    (report,) = reader.found("/DiagnosticReport", patient=handle, identifier=accession)
    return report


def test_a_report_is_one_resource_and_its_history_tells_what_it_was(radiologist: Reader, life: str) -> None:
    handle = radiologist.handle(TOLVAN)
    report = report_of(radiologist, handle, LIFE)
    assert report["status"] == "appended"
    assert report["conclusion"].index(LIFE_TEXTS[2]) < report["conclusion"].index(LIFE_TEXTS[1])
    assert LIFE_TEXTS[0] not in report["conclusion"]
    history = radiologist.get(f"/DiagnosticReport/{report['id']}/_history")
    states = [entry["resource"] for entry in history["entry"]]
    assert [state["status"] for state in states] == ["appended", "final", "preliminary"]
    assert [state["meta"]["versionId"] for state in states] == ["3", "2", "1"]
    first = radiologist.get(f"/DiagnosticReport/{report['id']}/_history/1")
    assert (first["status"], first["conclusion"]) == ("preliminary", LIFE_TEXTS[0])
    assert radiologist.get(f"/DiagnosticReport/{report['id']}/_history/4", 404)
    made = radiologist.found("/Provenance", patient=handle, target=f"DiagnosticReport/{report['id']}")
    assert [each["target"][0]["reference"].rpartition("/")[2] for each in made] == ["1", "2", "3"]
    assert {each["agent"][0]["who"]["display"] for each in made} == {"Rut Röntgensson"}


def test_who_has_the_present_state_gets_304(radiologist: Reader, life: str) -> None:
    handle = radiologist.handle(TOLVAN)
    for kind in set(KINDS) - {"Observation", "Consent"}:  # of which this patient has none
        resource = radiologist.found(f"/{kind}", patient=handle)[0]
        path = f"/{kind}/{resource['id']}"
        answer = radiologist.http.get(path)
        assert answer.json() == resource
        again = radiologist.http.get(path, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert radiologist.http.get(path, headers={"If-None-Match": 'W/"other"'}).status_code == 200
        assert radiologist.get(f"{path}/_history/{resource['meta']['versionId']}") == resource
    report = report_of(radiologist, handle, LIFE)
    path = f"/DiagnosticReport/{report['id']}"
    later = {"If-Modified-Since": radiologist.http.get(path).headers["last-modified"]}
    assert radiologist.http.get(path, headers=later).status_code == 304
    earlier = {"If-Modified-Since": "Mon, 01 Jan 2024 00:00:00 GMT"}
    assert radiologist.http.get(path, headers=earlier).status_code == 200


@pytest.mark.parametrize(
    ("kind", "asked", "count"),
    [
        ("DiagnosticReport", {"status": "final"}, 1),
        ("DiagnosticReport", {"status": "final,appended"}, 2),
        ("DiagnosticReport", {"status:not": "final"}, 1),
        ("DiagnosticReport", {"issued": "2024-04"}, 1),
        ("DiagnosticReport", {"issued": "ge2024-04-02"}, 1),
        ("DiagnosticReport", {"issued": "eb2024-01-01"}, 0),
        ("DiagnosticReport", {"code": f"{LOINC}|18748-4"}, 2),
        ("DiagnosticReport", {"code": "http://snomed.info/sct|18748-4"}, 0),
        ("DiagnosticReport", {"category": "RAD", "identifier": "NORD1"}, 1),
        ("ImagingStudy", {"modality": "MR"}, 2),
        ("ImagingStudy", {"modality": "http://dicom.nema.org/resources/ontology/DCM|CT"}, 0),
        ("ImagingStudy", {"identifier": "NORD1"}, 1),
        ("ServiceRequest", {"authored": "2024-03-14"}, 1),
        ("ServiceRequest", {"code-text:contains": "THORAX"}, 1),
        ("ServiceRequest", {"priority": "stat"}, 0),
        ("DocumentReference", {"status": "current"}, 6),
        ("DocumentReference", {"format": "urn:ihe:rad:MADO:fhir-manifest:2026"}, 2),
        ("DocumentReference", {"contenttype": "application/dicom"}, 2),
        ("DocumentReference", {"doc-status": "final"}, 1),
    ],
)
def test_searches_find_what_they_ask_for(
    radiologist: Reader, life: str, kind: str, asked: dict[str, str], count: int
) -> None:
    handle = radiologist.handle(TOLVAN)
    assert len(radiologist.found(f"/{kind}", patient=handle, **asked)) == count
    form = radiologist.http.post(f"/{kind}/_search", data={"patient": handle, **asked})
    assert (form.status_code, form.json()["total"]) == (200, count)
    told = radiologist.get(f"/{kind}", patient=handle, _summary="count", **asked)
    assert (told["total"], told.get("entry")) == (count, None)


def test_pages_hold_everything_once_in_order(radiologist: Reader, life: str) -> None:
    handle = radiologist.handle(TOLVAN)
    whole = radiologist.found("/DocumentReference", patient=handle, _sort="-date,_id")
    seen: list[dict[str, Any]] = []
    bundle = radiologist.get("/DocumentReference", patient=handle, _sort="-date,_id", _count="4")
    while True:
        assert bundle["total"] == len(whole)
        seen += [entry["resource"] for entry in bundle["entry"]]
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        if "next" not in links:
            break
        bundle = radiologist.http.get(links["next"]).json()
        assert complaints(bundle) == []
    assert seen == whole
    dates = [each["date"] for each in whole]
    assert dates == sorted(dates, reverse=True)


def test_referral_report_and_study_come_with_each_other(radiologist: Reader) -> None:
    handle = radiologist.handle(TOLVAN)
    bundle = radiologist.get(
        "/DiagnosticReport",
        patient=handle,
        identifier="NORD1",
        _include="DiagnosticReport:based-on",
    )
    modes = [(entry["resource"]["resourceType"], entry["search"]["mode"]) for entry in bundle["entry"]]
    assert modes == [("DiagnosticReport", "match"), ("ServiceRequest", "include")]
    bundle = radiologist.get(
        "/ImagingStudy",
        patient=handle,
        identifier="NORD1",
        _include="ImagingStudy:endpoint",
        _revinclude="DiagnosticReport:imaging-study",
    )
    assert [entry["resource"]["resourceType"] for entry in bundle["entry"]] == [
        "ImagingStudy",
        "DiagnosticReport",
        "Endpoint",
    ]


def test_a_part_of_a_resource_is_marked_as_one(radiologist: Reader) -> None:
    handle = radiologist.handle(TOLVAN)
    for asked in ({"_summary": "true"}, {"_elements": "issued"}):
        (report,) = radiologist.found("/DiagnosticReport", patient=handle, identifier="NORD1", **asked)
        assert "conclusion" not in report
        assert report["issued"]
        assert report["meta"]["tag"][0]["code"] == "SUBSETTED"


def test_a_report_is_fetched_as_a_document_that_holds_all_it_speaks_of(
    radiologist: Reader, life: str
) -> None:
    handle = radiologist.handle(TOLVAN)
    (found,) = radiologist.found("/DocumentReference", patient=handle, **{"doc-status": "final"})
    address = found["content"][0]["attachment"]["url"]
    answer = radiologist.http.get(address)
    document = answer.json()
    assert complaints(document) == []
    assert document["type"] == "document"
    kinds = [entry["resource"]["resourceType"] for entry in document["entry"]]
    assert kinds[:2] == ["Composition", "DiagnosticReport"]
    assert set(kinds) >= {"Patient", "ServiceRequest", "ImagingStudy", "Organization"}
    there = {f"{entry['resource']['resourceType']}/{entry['resource']['id']}" for entry in document["entry"]}
    named = set(re.findall(r'"reference":"([^"]+)"', answer.text))
    assert {name for name in named if not name.startswith("Endpoint/")} <= there
    assert "Inga tecken till pneumoni." in answer.text
    assert "dicomweb" not in answer.text


def test_a_study_has_a_manifest_in_two_forms_that_name_the_same_instances(
    radiologist: Reader, life: str, house: Running
) -> None:
    handle = radiologist.handle(TOLVAN)
    references = [
        each
        for each in radiologist.found("/DocumentReference", patient=handle)
        if "relatesTo" in each
        and {"system": "urn:dicom:uid", "value": f"urn:oid:{life}"}
        in [part.get("identifier") for part in each["context"]["related"]]
    ]
    assert len(references) == 2
    assert references[0]["masterIdentifier"] == references[1]["masterIdentifier"]
    assert references[0]["relatesTo"][0]["target"]["reference"].endswith(references[1]["id"])
    by_type = {each["content"][0]["attachment"]["contentType"]: each for each in references}
    bundle = radiologist.http.get(by_type["application/fhir+json"]["content"][0]["attachment"]["url"]).json()
    assert complaints(bundle) == []
    (study,) = [e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "ImagingStudy"]
    in_fhir = {part["uid"] for series in study["series"] for part in series["instance"]}
    url = by_type["application/dicom"]["content"][0]["attachment"]["url"]
    answer = radiologist.http.get(url, headers={"Accept": "application/dicom"})
    assert answer.headers["content-type"] == "application/dicom"
    objects = pydicom.dcmread(io.BytesIO(answer.content))
    assert objects.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.59"
    assert f"urn:oid:{objects.SOPInstanceUID}" == references[0]["masterIdentifier"]["value"]
    assert (objects.PatientID, str(objects.PatientName)) == (TOLVAN, "Tolvansson^Tolvan")
    (evidence,) = objects.CurrentRequestedProcedureEvidenceSequence
    assert evidence.StudyInstanceUID == life
    in_kos = {
        str(each.ReferencedSOPInstanceUID)
        for series in evidence.ReferencedSeriesSequence
        for each in series.ReferencedSOPSequence
    }
    assert in_fhir == in_kos
    assert len(in_kos) == 3
    assert radiologist.http.get(url, headers={"Accept": "application/dicom"}).content == answer.content
    inside = radiologist.http.get(url, headers={"Accept": "application/fhir+json"}).json()
    assert complaints(inside) == []
    assert inside["contentType"] == "application/dicom"


def test_everything_of_a_patient_is_what_the_searches_find(radiologist: Reader, life: str) -> None:
    handle = radiologist.handle(TOLVAN)
    every = radiologist.found(f"/Patient/{handle}/$everything")
    one_by_one = [each for kind in KINDS for each in radiologist.found(f"/{kind}", patient=handle)]
    plain = [each for each in every if each["resourceType"] not in ("Patient", "Organization")]
    assert sorted(plain, key=lambda each: each["id"]) == sorted(one_by_one, key=lambda each: each["id"])


def test_nothing_that_is_hidden_can_be_read_by_its_id(reader_of: Any, house: Running, life: str) -> None:
    theirs, ours = reader_of("KLARAWEB"), reader_of("NORDWEB")
    handle = ours.handle(TOLVAN)
    for kind in KINDS:
        for resource in theirs.found(f"/{kind}", patient=handle):
            hidden = ours.http.get(f"/{kind}/{resource['id']}")
            absent = ours.http.get(f"/{kind}/{handle}.{'0' * 24}")
            assert (hidden.status_code, hidden.content) == (absent.status_code, absent.content)
            assert hidden.status_code == 404
            assert ours.http.get(f"/{kind}/{resource['id']}/_history").content == absent.content
    for found in theirs.found("/DocumentReference", patient=handle):
        address = found["content"][0]["attachment"]["url"]
        assert theirs.http.get(address).status_code == 200
        assert ours.http.get(address).status_code == 404


def test_care_units_are_organizations_with_their_hsa_ids(radiologist: Reader) -> None:
    found = radiologist.found("/Organization")
    parents = {each["id"] for each in found if "partOf" not in each}
    assert parents
    assert all(each["partOf"]["reference"].partition("/")[2] in parents for each in found if "partOf" in each)
    one = radiologist.found("/Organization", identifier=found[0]["identifier"][0]["value"])
    assert one == [found[0]]
    assert radiologist.get(f"/Organization/{found[0]['id']}") == found[0]


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/fhir+json", 200),
        ("*/*", 200),
        ("application/json;q=0.9", 200),
        ("application/fhir+xml", 406),
    ],
)
def test_answers_are_json_or_refused(radiologist: Reader, accept: str, status: int) -> None:
    answer = radiologist.http.get(
        "/Patient", params={"identifier": f"{PERSONNUMMER}|{TOLVAN}"}, headers={"Accept": accept}
    )
    assert answer.status_code == status
    assert radiologist.http.get("/metadata", params={"_format": "xml"}).status_code == 406


def test_the_patient_may_be_named_by_number_in_any_search(radiologist: Reader, reader_of: Any) -> None:
    handle = radiologist.handle(TOLVAN)
    for kind in ("ImagingStudy", "DiagnosticReport", "DocumentReference"):
        by_handle = radiologist.get(f"/{kind}", patient=handle)
        by_number = radiologist.get(f"/{kind}", **{"patient.identifier": f"{PERSONNUMMER}|{TOLVAN}"})
        assert by_number["entry"] == by_handle["entry"]
        assert TOLVAN not in str(by_number["link"])
    foreign = reader_of("LINDENWEB")
    hidden = foreign.get("/ImagingStudy", **{"patient.identifier": TOLVAN})
    unknown = foreign.get("/ImagingStudy", **{"patient.identifier": "199001012386"})
    assert hidden == unknown
    assert hidden["total"] == 0
    radiologist.get("/ImagingStudy", 400, patient=handle, **{"patient.identifier": TOLVAN})
    radiologist.get("/ImagingStudy", 400, **{"patient.identifier": TOLVAN, "colour": "red"})
    radiologist.get("/ImagingStudy", 400, **{"patient.identifier": "urn:oid:x|1"})


def test_two_questions_of_one_order_are_two_referrals_of_their_examination(
    house: Running, radiologist: Reader
) -> None:
    """One referral asks for chest and abdomen, which are two accession numbers and one study."""
    study = store(house, "NORDCT", TOLVAN, "NORDTWO1")
    told = segment("ZDS", {1: f"{study}^S^Application^DICOM"})
    for accession in ("NORDTWO1", "NORDTWO2"):
        order = segment("ORC", {1: "NW", 2: "PLACED", 3: accession, 9: "20240314080000"})
        asked = segment("OBR", {2: "PLACED", 3: accession, 4: "CT^DT^L", 31: f"^Fråga {accession}"})
        fields = {18: accession, 2: "PLACED", 3: accession}
        send(
            house.mllp_port,
            message(msh("ORM^O01", f"O{accession}", f3="NORDRIS"), pid(), order, asked),
            message(msh("ORU^R01", f"R{accession}", f3="NORDRIS"), pid(), obr(fields), obx("Svar."), told),
        )
    handle = radiologist.handle(TOLVAN)
    found = radiologist.found("/ServiceRequest", patient=handle, identifier="PLACED")
    assert {each["reasonCode"][0]["text"] for each in found} == {"Fråga NORDTWO1", "Fråga NORDTWO2"}
    (pictures,) = radiologist.found("/ImagingStudy", patient=handle, identifier=f"urn:oid:{study}")
    assert {each["reference"].partition("/")[2] for each in pictures["basedOn"]} == {
        each["id"] for each in found
    }


def test_a_kind_is_asked_when_it_changed_only_if_it_tells(radiologist: Reader, life: str) -> None:
    """Whoever gathers what is new would never hear of what tells no time: refused, and not answered with none."""
    handle = radiologist.handle(TOLVAN)
    statement = radiologist.get("/metadata")["rest"][0]["resource"]
    for each in statement:
        kind, named = each["type"], {one["name"] for one in each.get("searchParam", ())}
        if kind not in KINDS:
            continue
        if "_lastUpdated" not in named:
            radiologist.get(f"/{kind}", 400, patient=handle, _lastUpdated="ge2024-01-01")
            continue
        whole = radiologist.found(f"/{kind}", patient=handle)
        assert whole
        assert radiologist.found(f"/{kind}", patient=handle, _lastUpdated="ge2024-01-01") == whole
        assert radiologist.found(f"/{kind}", patient=handle, _lastUpdated="lt2024-01-01") == []


@pytest.mark.parametrize(
    ("kind", "name", "system", "code"),
    [
        ("DiagnosticReport", "status", "http://hl7.org/fhir/diagnostic-report-status", "appended"),
        ("ServiceRequest", "intent", "http://hl7.org/fhir/request-intent", "order"),
        ("DocumentReference", "contenttype", "urn:ietf:bcp:13", "application/dicom"),
    ],
)
def test_the_system_of_a_plain_code_counts(
    radiologist: Reader, life: str, kind: str, name: str, system: str, code: str
) -> None:
    handle = radiologist.handle(TOLVAN)
    found = radiologist.found(f"/{kind}", patient=handle, **{name: code})
    assert found
    assert radiologist.found(f"/{kind}", patient=handle, **{name: f"{system}|{code}"}) == found
    for other in (f"http://example.org/other|{code}", "http://example.org/other|"):
        assert radiologist.found(f"/{kind}", patient=handle, **{name: other}) == []


def test_an_addendum_of_another_person_names_both_and_is_issued_when_it_was_added(
    house: Running, radiologist: Reader
) -> None:
    for control, status, at, who in (
        ("T1", "F", "20240402080000", "7&Rut&Eva"),
        ("T2", "A", "20240405003000", "8&Tor&Bo"),
    ):
        fields = {18: "NORDBOTH", 2: "B1", 3: "NORDBOTH", 22: at, 25: status, 32: who}
        raw = message(msh("ORU^R01", control, f3="NORDRIS", sent=at), pid(), obr(fields), obx(control))
        send(house.mllp_port, raw)
    report = report_of(radiologist, radiologist.handle(TOLVAN), "NORDBOTH")
    assert [each["display"] for each in report["resultsInterpreter"]] == ["Eva Rut", "Bo Tor"]
    assert report["issued"] == "2024-04-04T22:30:00+00:00"
    assert report["conclusion"] == "Tilläggssvar 2024-04-05:\nT2\n\nT1"
    for each in report["resultsInterpreter"]:
        assert radiologist.get(f"/{each['reference']}")["practitioner"]["display"] == each["display"]


def test_everything_and_a_history_are_no_wider_than_what_was_asked_for(
    radiologist: Reader, life: str
) -> None:
    handle = radiologist.handle(TOLVAN)
    path = f"/Patient/{handle}/$everything"
    some = radiologist.found(path, _type="ImagingStudy,Patient")
    whole = radiologist.found(path)
    assert some == [each for each in whole if each["resourceType"] in ("ImagingStudy", "Patient")]
    assert {each["resourceType"] for each in some} == {"ImagingStudy", "Patient"}
    for asked in ({"start": "2024-01-01"}, {"_since": "2024-01-01"}, {"_type": "Medication"}):
        radiologist.get(path, 400, **asked)
    report = report_of(radiologist, handle, LIFE)
    states = f"/DiagnosticReport/{report['id']}/_history"
    assert radiologist.get(states, _since="2024-01-01")["total"] == 3
    assert radiologist.get(states, _since="2124-01-01T00:00:00Z")["total"] == 0
    radiologist.get(states, 400, _at="2024-01-01")
