"""A running server files what an SR says a moment after it was stored."""

import io
import time

import httpx
import pytest
from pydicom import dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from tests.reports.documents_made import report, section, text
from tests.scratch import Running
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.slow


def part10(data: bytes) -> bytes:
    dataset = dcmread(io.BytesIO(data), force=True, specific_tags=None)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def test_an_sr_that_is_stored_is_read_as_a_report_soon_after(scratch: Running) -> None:
    file = part10(report(section("Fynd", text("Lungorna är klara på båda sidor."))))
    body = b"--x\r\nContent-Type: application/dicom\r\n\r\n" + file + b"\r\n--x--\r\n"
    headers = {"Authorization": f"Bearer {scratch.system_token('NORDWEB')}"}
    stored = httpx.post(
        f"{scratch.http}/dicomweb/studies",
        content=body,
        headers={**headers, "Content-Type": 'multipart/related; type="application/dicom"; boundary=x'},
        timeout=30,
    )
    assert stored.status_code == 200, stored.text
    reader = httpx.Client(base_url=f"{scratch.http}/fhir", headers=headers, timeout=30)
    person = reader.get("/Patient", params={"identifier": "191212121212"}).json()["entry"][0]["resource"][
        "id"
    ]
    deadline = time.monotonic() + PATIENCE_S
    found: list[str] = []
    while not found and time.monotonic() < deadline:
        answer = reader.get("/DiagnosticReport", params={"patient": person}).json()
        found = [entry["resource"].get("conclusion", "") for entry in answer.get("entry", [])]
        time.sleep(0.2)
    assert found == ["Fynd\nLungorna är klara på båda sidor."]
