"""Foreign clients take instances back and correct: pynetdicom sends a rejection note, dicomweb-client deletes."""

import io
import time
import zipfile
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from dicomweb_client import DICOMwebClient
from pydicom import Dataset, dcmread

from tests.dicomweb.house import image, image_file
from tests.dicomweb.test_rejection import note_file
from tests.scratch import Running
from tests.waiting import PATIENCE_S

pynetdicom = pytest.importorskip("pynetdicom")
from pynetdicom.sop_class import (  # noqa: E402
    KeyObjectSelectionDocumentStorage,
    StudyRootQueryRetrieveInformationModelFind,
)

from tests.pynetdicom_paused import AE  # noqa: E402

pytestmark = pytest.mark.slow

STUDY, SERIES = "2.25.10", "2.25.11"


def client_of(scratch: Running, token: str, root: str = "/dicomweb") -> DICOMwebClient:
    return DICOMwebClient(
        f"{scratch.http}{root}", headers={"Authorization": f"Bearer {scratch.system_token(token)}"}
    )


@pytest.fixture(scope="module")
def sender(scratch: Running) -> DICOMwebClient:
    made = client_of(scratch, "NORDWEB")
    made.store_instances([dcmread(io.BytesIO(image_file(number))) for number in range(1, 6)])
    return made


@pytest.fixture(scope="module")
def raw(scratch: Running) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {scratch.system_token('NORDSTEWARD')}"}
    with httpx.Client(base_url=f"{scratch.http}/dicomweb", headers=headers, timeout=30) as made:
        yield made


def seen(client: DICOMwebClient) -> set[str]:
    return {each["00080018"]["Value"][0] for each in client.search_for_instances(STUDY)}


def found_by(scratch: Running, title: str) -> set[str]:
    """What C-FIND tells a peer of the study's instances."""
    ae = AE(title)
    ae.add_requested_context(StudyRootQueryRetrieveInformationModelFind)
    association = ae.associate("127.0.0.1", scratch.dicom_port, ae_title="SAMSYN")
    assert association.is_established
    keys = Dataset()
    keys.QueryRetrieveLevel, keys.StudyInstanceUID, keys.SOPInstanceUID = "IMAGE", STUDY, ""
    answers = association.send_c_find(keys, StudyRootQueryRetrieveInformationModelFind)
    uids = {str(match.SOPInstanceUID) for status, match in answers if status.Status in (0xFF00, 0xFF01)}
    association.release()
    return uids


def test_a_rejection_note_by_c_store_hides_what_it_names(scratch: Running, sender: DICOMwebClient) -> None:
    everything = {f"2.25.100{number}" for number in range(1, 6)}
    assert seen(sender) == found_by(scratch, "NORDPACS") == everything
    ae = AE("NORDPACS")
    ae.add_requested_context(KeyObjectSelectionDocumentStorage)
    association = ae.associate("127.0.0.1", scratch.dicom_port, ae_title="SAMSYN")
    note = dcmread(io.BytesIO(note_file(["2.25.1001"], code="113037")))
    assert association.send_c_store(note).Status == 0x0000
    association.release()
    left = everything - {"2.25.1001"}
    assert seen(sender) == found_by(scratch, "NORDPACS") == left
    assert found_by(scratch, "NORDQA") == everything | {"2.25.500"}


def test_the_client_deletes_and_the_steward_still_has_it(scratch: Running, sender: DICOMwebClient) -> None:
    steward = client_of(scratch, "NORDSTEWARD")
    before = seen(sender)
    with pytest.raises(Exception, match="403"):
        sender.delete_instance(STUDY, SERIES, "2.25.1002")
    steward.delete_instance(STUDY, SERIES, "2.25.1002")
    assert seen(sender) == before - {"2.25.1002"}
    kept = client_of(scratch, "NORDSTEWARD", "/dicomweb/rejected")
    assert kept.retrieve_instance(STUDY, SERIES, "2.25.1002").PixelData == image().PixelData
    assert {"2.25.1001", "2.25.1002"} <= seen(kept)


def test_the_client_streams_what_is_left(sender: DICOMwebClient) -> None:
    assert [each.SOPInstanceUID for each in sender.iter_series(STUDY, SERIES)] == [
        *("2.25.1003", "2.25.1004", "2.25.1005"),
    ]


def test_a_correction_is_what_the_client_reads(raw: httpx.Client, sender: DICOMwebClient) -> None:
    answer = raw.post(
        f"/studies/{STUDY}/corrections",
        json={"00081030": {"vr": "LO", "Value": ["Buk"]}},
        headers={"Content-Type": "application/dicom+json"},
    )
    assert answer.status_code == 204
    assert sender.retrieve_instance(STUDY, SERIES, "2.25.1003").StudyDescription == "Buk"
    metadata = Dataset.from_json(sender.retrieve_series_metadata(STUDY, SERIES)[0], lambda tag, vr, uri: b"")
    assert metadata.StudyDescription == "Buk"
    assert metadata.OriginalAttributesSequence[0].ModifiedAttributesSequence[0].StudyDescription == "Thorax"


def test_the_feed_tells_of_all_of_it_in_order(raw: httpx.Client, sender: DICOMwebClient) -> None:
    deadline, kinds = time.monotonic() + PATIENCE_S, list[Any]()
    while time.monotonic() < deadline and "corrected" not in kinds:
        time.sleep(0.5)
        kinds = [each["kind"] for each in raw.get("/changes").json()["changes"]]
    assert [kind for kind in kinds if kind != "stored"] == ["rejected", "rejected", "corrected"]
    assert kinds[0] == "stored"


def test_unzip_reads_the_zip_file(raw: httpx.Client, sender: DICOMwebClient) -> None:
    answer = raw.get(f"/studies/{STUDY}", headers={"Accept": "application/zip"})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) == 3
        assert dcmread(io.BytesIO(archive.read(archive.namelist()[0]))).StudyDescription == "Buk"


def test_head_and_ranges_work_over_the_wire(raw: httpx.Client, sender: DICOMwebClient) -> None:
    path = f"/studies/{STUDY}/series/{SERIES}/instances/2.25.1003"
    accept = {"Accept": "application/dicom"}
    whole = raw.get(path, headers=accept)
    head = raw.head(path, headers=accept)
    assert (head.status_code, head.headers["content-length"]) == (200, whole.headers["content-length"])
    part = raw.get(path, headers={**accept, "Range": "bytes=128-131"})
    assert (part.status_code, part.content) == (206, b"DICM")
    again = raw.get(path, headers={**accept, "If-None-Match": whole.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
