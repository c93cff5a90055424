"""Observation: measurements and dose from structured reports, under the same View as their study."""

import io
import time
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset

from tests.audit.test_completeness import Journal
from tests.dicom.test_measurements import dose_report, lesion, part
from tests.fhir.house import TOLVAN, Reader
from tests.indexes import sqlite_only
from tests.reports.documents_made import COMPREHENSIVE, report
from tests.scratch import Running
from tests.waiting import PATIENCE_S

pynetdicom = pytest.importorskip("pynetdicom")

from tests.pynetdicom_paused import AE  # noqa: E402

SCT, LOINC, UCUM = "http://snomed.info/sct", "http://loinc.org", "http://unitsofmeasure.org"
pytestmark = pytest.mark.slow


def sent(running: Running, study: str, accession: str, raw: bytes) -> None:
    """A structured report, stored by Nordsjukhuset's modality in a study that is there."""
    data: Dataset = pydicom.dcmread(io.BytesIO(raw), force=True)
    data.StudyInstanceUID, data.AccessionNumber = study, accession
    data.SOPInstanceUID = f"{study}.9.{data.SOPClassUID.rpartition('.')[2]}"
    data.SeriesInstanceUID = f"{data.SOPInstanceUID}.1"
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    ae = AE("NORDCT")
    ae.add_requested_context(data.SOPClassUID, "1.2.840.10008.1.2.1")
    association = ae.associate("127.0.0.1", running.dicom_port, ae_title="SAMSYN")
    assert association.is_established
    assert association.send_c_store(data).Status == 0
    association.release()


def report_tag(radiologist: Reader, whose: str) -> str:
    (report,) = radiologist.found("/DiagnosticReport", patient=whose, identifier="NORD1")
    return str(radiologist.http.get(f"/DiagnosticReport/{report['id']}").headers["etag"])


@pytest.fixture(scope="module")
def told(house: Running, radiologist: Reader) -> tuple[str, str, str]:
    """Tolvan's id, with a measurement report and a dose report in the study at Nordsjukhuset; and the entity tag of its
    report before and after the latter came. The former becomes one of the report's versions, soon after it has come.
    """
    found = radiologist.handle(TOLVAN)
    (study,) = [
        each["identifier"][0]["value"].removeprefix("urn:oid:")
        for each in radiologist.found("/ImagingStudy", patient=found, identifier="NORD1")
    ]
    measures = part(("126010", "DCM", "Imaging Measurements"), lesion())
    sent(house, study, "NORD1", report(measures, sop_class=COMPREHENSIVE))
    end = time.monotonic() + PATIENCE_S
    while not (before := report_tag(radiologist, found)).startswith('W/"2-'):
        assert time.monotonic() < end, before
        time.sleep(0.05)
    sent(house, study, "NORD1", dose_report())
    return found, before, report_tag(radiologist, found)


@pytest.fixture(scope="module")
def handle(told: tuple[str, str, str]) -> str:
    return told[0]


def by_code(observations: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {each["code"]["coding"][0]["code"]: each for each in observations}


def test_measurements_keep_their_codes_and_ucum_units(radiologist: Reader, handle: str) -> None:
    found = by_code(radiologist.found("/Observation", patient=handle))
    length = found["410668003"]
    assert length["code"]["coding"][0]["system"] == SCT
    assert length["valueQuantity"] == {
        "value": 12.5, "unit": "mm", "system": UCUM, "code": "mm",
    }  # fmt: skip
    assert length["bodySite"]["coding"][0]["code"] == "10200004"
    assert length["status"] == "final"
    assert {"system": "urn:dicom:uid", "value": "urn:oid:2.25.99"} in length["identifier"]
    dose = found["113819"]
    values = {
        each["code"]["coding"][0]["code"]: each["valueQuantity"]
        for each in dose["component"]
        if "valueQuantity" in each
    }
    assert values["113830"]["value"] == 6.1
    assert values["113838"]["code"] == "mGy.cm"


def test_a_report_has_another_tag_when_results_have_come(told: tuple[str, str, str]) -> None:
    _, before, after = told
    assert before != after
    assert before.partition("-")[0] == after.partition("-")[0]


def test_the_report_tells_its_results_and_they_come_along(radiologist: Reader, handle: str) -> None:
    bundle = radiologist.get(
        "/DiagnosticReport", patient=handle, identifier="NORD1", _include="DiagnosticReport:result"
    )
    reports = [each["resource"] for each in bundle["entry"] if each["search"]["mode"] == "match"]
    included = {
        f"Observation/{each['resource']['id']}"
        for each in bundle["entry"]
        if each["search"]["mode"] == "include"
    }
    assert {each["reference"] for each in reports[0]["result"]} == included
    assert len(included) == 4
    study = radiologist.get(
        "/ImagingStudy", patient=handle, identifier="NORD1", _revinclude="Observation:derived-from"
    )
    assert len(study["entry"]) == 1 + 4


@pytest.mark.parametrize(
    ("asked", "codes"),
    [
        ({"code": f"{SCT}|410668003"}, {"410668003"}),
        ({"code": f"{LOINC}|410668003"}, set()),
        ({"value-quantity": "gt12"}, {"410668003"}),
        ({"value-quantity": f"12.5|{UCUM}|mm"}, {"410668003"}),
        ({"value-quantity": f"12|{UCUM}|mm"}, set()),
        ({"value-quantity": f"13|{UCUM}|mm"}, {"410668003"}),
        ({"value-quantity": "12.5||cm"}, set()),
        ({"combo-value-quantity": "412.5||mGy.cm"}, {"113811", "113819"}),
        ({"component-code": "113830"}, {"113819"}),
        ({"date": "2024-03-15"}, {"410668003", "112031", "113811", "113819"}),
        ({"status": "preliminary"}, set()),
        ({"category": "imaging"}, {"410668003", "112031", "113811", "113819"}),
    ],
)  # fmt: skip
def test_observations_are_searched(
    radiologist: Reader, handle: str, asked: dict[str, str], codes: set[str]
) -> None:
    assert set(by_code(radiologist.found("/Observation", patient=handle, **asked))) == codes


@pytest.mark.parametrize("value", ["much", "12|mm", "gt", "1e999999", "NaN", "1|a|b|c"])
def test_a_quantity_that_is_none_is_refused(radiologist: Reader, handle: str, value: str) -> None:
    if value == "1|a|b|c":
        assert radiologist.found("/Observation", patient=handle, **{"value-quantity": value}) == []
    else:
        assert radiologist.get("/Observation", 400, patient=handle, **{"value-quantity": value})


def test_the_document_holds_what_its_report_refers_to(radiologist: Reader, handle: str) -> None:
    reports = radiologist.found("/DocumentReference", patient=handle, category="85430-7")
    documents = [radiologist.get(f"/Bundle/{each['id']}") for each in reports]
    kinds = [{each["resource"]["resourceType"] for each in one["entry"]} for one in documents]
    assert any("Observation" in each for each in kinds)


def test_another_provider_s_system_sees_none(reader_of: Any, handle: str) -> None:
    assert reader_of("KLARAWEB").found("/Observation", patient=handle) == []
    assert len(reader_of("NORDWEB").found("/Observation", patient=handle)) == 4


@sqlite_only
def test_reading_a_measurement_is_written_down(house: Running, reader_of: Any, handle: str) -> None:
    reader: Reader = reader_of("BENCH")
    rows = Journal(house).came(
        "FHIR Observation", "SEARCH_PATIENT", "SEARCH", "OPEN_METADATA",
        act_by=lambda: reader.found("/Observation", patient=handle),
    )  # fmt: skip
    assert {row["actor"] for row in rows} == {"BENCH"}
