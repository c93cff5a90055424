"""A foreign DICOMweb client (dicomweb-client) against a running server: store, search, retrieve."""

import io
from collections.abc import Iterator

import httpx
import pydicom
import pytest
import requests
from dicomweb_client import DICOMwebClient
from pydicom import Dataset
from pydicom.data import get_testdata_file
from pydicom.encaps import generate_frames

from samsyn.dicom.part10 import split_part10
from samsyn.wire.multipart import MultipartReader, PartData, boundary_of, parse_media_type
from tests.dicom.corpus import data_sets
from tests.dicom.test_reading import REFUSED
from tests.scratch import Running

pytestmark = pytest.mark.slow

MOST_BYTES = 700_000


def corpus() -> Iterator[Dataset]:
    """Other people's objects, one of each SOP Instance UID, whose study and series name one patient."""
    seen: set[str] = set()
    patients: dict[str, str] = {}
    studies: dict[str, str] = {}
    for path, _, data in data_sets():
        if path.name in REFUSED or len(data) > MOST_BYTES:
            continue
        try:
            made = pydicom.dcmread(path)
            patient, study = str(made.PatientID), str(made.StudyInstanceUID)
            if made.file_meta.MediaStorageSOPInstanceUID != made.SOPInstanceUID:
                continue  # a file that names another object than is in it is refused
        except AttributeError:
            continue
        known = patients.setdefault(study, patient) == patient
        known = known and studies.setdefault(str(made.SeriesInstanceUID), study) == study
        if patient.strip() and known and made.SOPInstanceUID not in seen:
            seen.add(str(made.SOPInstanceUID))
            yield made


def encoded(made: Dataset) -> bytes:
    """The file that the client makes of a data set before it sends it."""
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, made)
    return stream.getvalue()


def body_of(file: bytes) -> bytes:
    return file[split_part10(file).dataset_offset :]


@pytest.fixture(scope="module")
def client(scratch: Running) -> DICOMwebClient:
    token = scratch.system_token("NORDWEB")
    return DICOMwebClient(f"{scratch.http}/dicomweb", headers={"Authorization": f"Bearer {token}"})


@pytest.fixture(scope="module")
def raw(scratch: Running) -> Iterator[httpx.Client]:
    """Looks at the bytes themselves."""
    headers = {"Authorization": f"Bearer {scratch.system_token('NORDWEB')}"}
    with httpx.Client(base_url=f"{scratch.http}/dicomweb", headers=headers, timeout=60) as made:
        yield made


@pytest.fixture(scope="module")
def stored(client: DICOMwebClient) -> list[Dataset]:
    """What of the corpus the server took: all of it, in one request after the other."""
    sent = list(corpus())
    assert len(sent) > 80
    for start in range(0, len(sent), 20):
        answer = client.store_instances(sent[start : start + 20])
        failed = answer.get("FailedSOPSequence", [])
        assert not failed, [(item.ReferencedSOPInstanceUID, hex(item.FailureReason)) for item in failed]
        assert "OtherFailuresSequence" not in answer
    return sent


def test_every_object_comes_back_byte_for_byte(stored: list[Dataset], raw: httpx.Client) -> None:
    for made in stored:
        path = f"/studies/{made.StudyInstanceUID}/series/{made.SeriesInstanceUID}/instances/{made.SOPInstanceUID}"
        response = raw.get(path)
        assert response.status_code == 200, path
        reader = MultipartReader(boundary_of(parse_media_type(response.headers["content-type"])))
        events = reader.feed(response.content)
        reader.finish()
        content = b"".join(event.data for event in events if isinstance(event, PartData))
        assert body_of(content) == body_of(encoded(made)), path
        assert content[:128] == bytes(128)


def test_the_client_reads_instances_series_and_studies(client: DICOMwebClient, stored: list[Dataset]) -> None:
    for made in stored[::7]:
        study, series, sop = made.StudyInstanceUID, made.SeriesInstanceUID, made.SOPInstanceUID
        assert body_of(encoded(client.retrieve_instance(study, series, sop))) == body_of(encoded(made))
        found = client.retrieve_series(study, series)
        assert sop in [each.SOPInstanceUID for each in found]
        assert sop in [each.SOPInstanceUID for each in client.retrieve_study(study)]


def test_metadata_are_what_pydicom_has(client: DICOMwebClient, stored: list[Dataset]) -> None:
    for made in stored[::5]:
        found = client.retrieve_instance_metadata(
            made.StudyInstanceUID, made.SeriesInstanceUID, made.SOPInstanceUID
        )
        read = Dataset.from_json(found, bulk_data_uri_handler=lambda tag, vr, uri: b"")
        for keyword in ("SOPInstanceUID", "PatientID", "Modality", "Rows", "Columns", "StudyDate"):
            if keyword in made:
                assert str(read.get(keyword) or "") == str(made.get(keyword) or ""), keyword
        series = client.retrieve_series_metadata(made.StudyInstanceUID, made.SeriesInstanceUID)
        assert made.SOPInstanceUID in [each["00080018"]["Value"][0] for each in series]


def test_frames_are_those_of_the_object(client: DICOMwebClient, stored: list[Dataset]) -> None:
    compared = 0
    for made in stored:
        if "PixelData" not in made or not made.get("Rows"):
            continue
        syntax = made.file_meta.TransferSyntaxUID
        count = int(made.get("NumberOfFrames", 1) or 1)
        if syntax.is_encapsulated:
            frames = list(generate_frames(made.PixelData, number_of_frames=count))
        elif syntax.is_little_endian and made.BitsAllocated % 8 == 0:
            size = len(made.PixelData) // count if count > 1 else 0
            native = made.Rows * made.Columns * made.SamplesPerPixel * made.BitsAllocated // 8
            if "422" in made.PhotometricInterpretation or len(made.PixelData) < native:
                continue
            size = native
            frames = [made.PixelData[size * n : size * (n + 1)] for n in range(count)]
        else:
            continue
        numbers = sorted({1, (count + 1) // 2, count})
        found = client.retrieve_instance_frames(
            made.StudyInstanceUID, made.SeriesInstanceUID, made.SOPInstanceUID, frame_numbers=numbers
        )
        assert found == [frames[number - 1] for number in numbers], made.SOPInstanceUID
        compared += 1
    assert compared > 50


def test_bulk_data_are_found_by_the_address_in_metadata(
    client: DICOMwebClient, stored: list[Dataset]
) -> None:
    followed = 0
    for made in stored:
        if "WaveformSequence" not in made:
            continue
        found = client.retrieve_instance_metadata(
            made.StudyInstanceUID, made.SeriesInstanceUID, made.SOPInstanceUID
        )
        for number, group in enumerate(found["54000100"]["Value"]):
            [value] = client.retrieve_bulkdata(group["54001010"]["BulkDataURI"])
            assert value == made.WaveformSequence[number].WaveformData
            followed += 1
    assert followed


def test_searches_find_what_was_stored(client: DICOMwebClient, stored: list[Dataset]) -> None:
    studies = {str(made.StudyInstanceUID) for made in stored}
    listed: list[str] = []
    while page := client.search_for_studies(limit=50, offset=len(listed)):
        listed += [each["0020000D"]["Value"][0] for each in page]
    assert set(listed) == studies
    assert len(listed) == len(studies)
    for made in stored[::9]:
        study = str(made.StudyInstanceUID)
        [found] = client.search_for_studies(search_filters={"StudyInstanceUID": study})
        expected = {str(each.SOPInstanceUID) for each in stored if each.StudyInstanceUID == study}
        assert found["00201208"]["Value"] == [len(expected)]
        rows = client.search_for_instances(study, get_remaining=True)
        assert {each["00080018"]["Value"][0] for each in rows} == expected
        series = {each["0020000E"]["Value"][0] for each in client.search_for_series(study)}
        assert series == {str(each.SeriesInstanceUID) for each in stored if each.StudyInstanceUID == study}
        by_person = client.search_for_studies(search_filters={"PatientID": str(made.PatientID)})
        assert study in [each["0020000D"]["Value"][0] for each in by_person]


def test_another_provider_sees_none_of_it(scratch: Running, stored: list[Dataset]) -> None:
    token = scratch.system_token("KLARAWEB")
    other = DICOMwebClient(f"{scratch.http}/dicomweb", headers={"Authorization": f"Bearer {token}"})
    assert other.search_for_studies() == []
    made = stored[0]
    with pytest.raises(Exception, match="404"):
        other.retrieve_instance(made.StudyInstanceUID, made.SeriesInstanceUID, made.SOPInstanceUID)


def test_pictures_are_rendered_for_the_client(client: DICOMwebClient, stored: list[Dataset]) -> None:
    for made in stored:
        if made.SOPClassUID.name == "CT Image Storage":
            uids = (made.StudyInstanceUID, made.SeriesInstanceUID, made.SOPInstanceUID)
            picture = client.retrieve_instance_rendered(*uids, media_types=("image/jpeg",))
            assert picture.startswith(b"\xff\xd8\xff")
            picture = client.retrieve_instance_rendered(
                *uids, media_types=("image/png",), params={"window": "40,400,linear", "viewport": "64,64"}
            )
            assert picture.startswith(b"\x89PNG")
            return
    pytest.fail("no CT in the corpus")


def test_reports_are_written_out_for_the_client(client: DICOMwebClient, stored: list[Dataset]) -> None:
    made = pydicom.dcmread(str(get_testdata_file("test-SR.dcm")))
    made.PatientID = "191212121212"
    assert "FailedSOPSequence" not in client.store_instances([made])
    uids = (made.StudyInstanceUID, made.SeriesInstanceUID, made.SOPInstanceUID)
    for kind in ("text/html", "text/plain"):
        told = client.retrieve_instance_rendered(*uids, media_types=(kind,))
        assert "Verifying Observer" in (told if isinstance(told, str) else told.decode())


def test_the_client_hears_which_filter_is_none(client: DICOMwebClient, stored: list[Dataset]) -> None:
    with pytest.raises(requests.HTTPError, match="400") as refused:
        client.search_for_studies(search_filters={"PatientBirthTime": "1200"})
    assert "PatientBirthTime" in refused.value.response.json()["message"]
    every = client.search_for_studies(fields=["StudyDescription", "00091001"])
    assert every
