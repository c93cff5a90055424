"""Debian's Orthanc as a local PACS beside a running server: it sends, asks and fetches, over DIMSE and DICOMweb.

DICOMweb carries files, so every data set is compared byte for byte. DIMSE makes Orthanc (DCMTK) write a data set
anew when it sends and when it receives: there, what Orthanc itself sent comes back to it byte for byte, and what
came to Samsyn another way has every element with its value.
"""

import hashlib
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO

from samsyn.wire.multipart import MultipartReader, PartData, PartEnd, boundary_of, parse_media_type
from tests.ports import free_ports
from tests.scratch import Running, start_with_config
from tests.strangers.dicom_samples import Sample, data_set_of, samples
from tests.waiting import PATIENCE_S

ORTHANC = shutil.which("Orthanc", path="/usr/sbin:/usr/bin:/usr/local/bin")
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.peer,
    pytest.mark.skipif(ORTHANC is None or not PLUGIN.exists(), reason="Orthanc is not installed"),
]

TOKEN = "orthanc-test-token-of-no-worth"
STRANGERS_TOKEN = "strangers-test-token-of-no-worth"
BY_DIMSE = (
    "CT_small.dcm",
    "JPEG-lossy.dcm",
    "examples_ybr_color.dcm",
    "waveform_ecg.dcm",
    "SC_rgb_rle_2frame.dcm",
    "examples_overlay.dcm",
)
BY_WEB = (
    "MR_small_implicit.dcm",
    "JPEG2000.dcm",
    "examples_jpeg2k.dcm",
    "liver_1frame.dcm",
    "693_J2KI.dcm",
    "SC_rgb_small_odd_jpeg.dcm",
)

CONFIG = """
[data]
folder = "{folder}"
[dicom]
port = {dicom}
[http]
port = {http}
[mllp]
port = {mllp}

[[provider]]
hsa_id = "SE9990000001-0001"
name = "Nordsjukhuset"
local_issuer = "2.25.9990000001.1"
[[provider.unit]]
hsa_id = "SE9990000001-1001"
name = "Röntgen"
[[provider.dicom_peer]]
ae_title = "ORTHANC"
host = "127.0.0.1"
port = {orthanc}
[[provider.token]]
name = "orthanc"
sha256 = "{digest}"

[[provider]]
hsa_id = "SE9990000002-0001"
name = "Klara Röntgen AB"
local_issuer = "2.25.9990000002.1"
[[provider.unit]]
hsa_id = "SE9990000002-1001"
name = "Klara Röntgen City"
[[provider.token]]
name = "stranger"
sha256 = "{strangers_digest}"
"""


@dataclass(frozen=True)
class Pair:
    """Samsyn and an Orthanc that knows it, each through its own HTTP interface."""

    samsyn: httpx.Client
    orthanc: httpx.Client

    def upload(self, sample: Sample) -> str:
        """Puts a file into Orthanc as it is; Orthanc's name for it."""
        answer = self.orthanc.post("/instances", content=sample.path.read_bytes())
        answer.raise_for_status()
        return str(answer.json()["ID"])

    def held_by_orthanc(self, sample: Sample) -> list[bytes]:
        """The data sets that Orthanc has under the sample's SOP Instance UID."""
        found = self.orthanc.post("/tools/lookup", content=sample.sop_instance).json()
        ids = [each["ID"] for each in found if each["Type"] == "Instance"]
        return [data_set_of(self.orthanc.get(f"/instances/{name}/file").content) for name in ids]

    def held_by_samsyn(self, sample: Sample) -> bytes:
        """The data set that Samsyn gives by WADO-RS."""
        path = f"/dicomweb/studies/{sample.study}/series/{sample.series}/instances/{sample.sop_instance}"
        answer = self.samsyn.get(path, headers={"Accept": 'multipart/related; type="application/dicom"'})
        assert answer.status_code == 200, answer.text
        (file,) = parts_of(answer)
        return data_set_of(file)

    def forget(self) -> None:
        """Empties Orthanc."""
        for patient in self.orthanc.get("/patients").json():
            self.orthanc.delete(f"/patients/{patient}").raise_for_status()

    def ask(self, level: str, keys: dict[str, str]) -> tuple[str, list[dict[str, str]]]:
        """C-FIND by Orthanc: the query's address and the answers with plain names."""
        asked = self.orthanc.post("/modalities/samsyn/query", json={"Level": level, "Query": keys})
        assert asked.status_code == 200, asked.text
        address = str(asked.json()["Path"])
        answers = self.orthanc.get(f"{address}/answers", params={"expand": "", "simplify": ""}).json()
        return address, answers


def parts_of(answer: httpx.Response) -> list[bytes]:
    """The parts of a multipart answer."""
    reader = MultipartReader(boundary_of(parse_media_type(answer.headers["content-type"])))
    parts: list[bytes] = []
    content = b""
    for event in reader.feed(answer.content):
        if isinstance(event, PartData):
            content += event.data
        elif isinstance(event, PartEnd):
            parts.append(content)
            content = b""
    reader.finish()
    return parts


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def start_samsyn(folder: Path, orthanc_port: int) -> tuple[Running, int, int]:
    """The server with Orthanc as a known peer and destination; its DICOM and HTTP ports."""
    dicom, http, mllp = free_ports(3)
    config = folder / "samsyn.toml"
    config.write_text(
        CONFIG.format(
            folder=folder / "data",
            dicom=dicom,
            http=http,
            mllp=mllp,
            orthanc=orthanc_port,
            digest=hashlib.sha256(TOKEN.encode()).hexdigest(),
            strangers_digest=hashlib.sha256(STRANGERS_TOKEN.encode()).hexdigest(),
        )
    )
    return start_with_config(config, folder / "samsyn.log", http), dicom, http


def start_orthanc(folder: Path, ports: tuple[int, int], samsyn_dicom: int, samsyn_http: int) -> Any:
    """Orthanc's process, ready to answer."""
    address = f"http://127.0.0.1:{samsyn_http}/dicomweb"
    config = {
        "Name": "Local PACS",
        "StorageDirectory": str(folder / "orthanc"),
        "IndexDirectory": str(folder / "orthanc"),
        "HttpPort": ports[0],
        "DicomPort": ports[1],
        "DicomAet": "ORTHANC",
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomServerEnabled": True,
        "DicomAlwaysAllowStore": True,
        "DicomModalities": {"samsyn": ["SAMSYN", "127.0.0.1", samsyn_dicom]},
        "OverwriteInstances": False,
        "Plugins": [str(PLUGIN)],
        "DicomWeb": {
            "Enable": True,
            "Servers": {
                "samsyn": {"Url": address, "HttpHeaders": bearer(TOKEN)},
                "stranger": {"Url": address, "HttpHeaders": bearer(STRANGERS_TOKEN)},
                "nobody": {"Url": address},
            },
        },
    }
    (folder / "orthanc.json").write_text(json.dumps(config))
    with (folder / "orthanc.log").open("ab") as log:
        process = subprocess.Popen([str(ORTHANC), str(folder / "orthanc.json")], stdout=log, stderr=log)
    deadline = time.monotonic() + 2 * PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"http://127.0.0.1:{ports[0]}/system", timeout=2).status_code == 200:
                return process
        except httpx.TransportError:
            time.sleep(0.1)
    process.kill()
    process.wait(10)
    raise RuntimeError(f"Orthanc did not start: {(folder / 'orthanc.log').read_text()[-2000:]}")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Both servers for the whole module; each is ended by its own process."""
    folder = Path(tmp_path_factory.mktemp("orthanc"))
    web_port, dicom_port = free_ports(2)
    running, samsyn_dicom, samsyn_http = start_samsyn(folder, dicom_port)
    try:
        process = start_orthanc(folder, (web_port, dicom_port), samsyn_dicom, samsyn_http)
        try:
            with (
                httpx.Client(base_url=f"http://127.0.0.1:{web_port}", timeout=60) as orthanc,
                httpx.Client(
                    base_url=f"http://127.0.0.1:{samsyn_http}", timeout=60, headers=bearer(TOKEN)
                ) as samsyn,
            ):
                yield Pair(samsyn, orthanc)
        finally:
            process.terminate()
            process.wait(30)
        assert running.stop() == 0
    finally:
        running.kill()


@pytest.fixture(scope="module")
def sent_by_dimse(pair: Pair) -> list[Sample]:
    """Objects that Orthanc sent by C-STORE, and then forgot."""
    everything = samples(BY_DIMSE)
    names = [pair.upload(sample) for sample in everything]
    answer = pair.orthanc.post("/modalities/samsyn/store", json={"Resources": names, "Synchronous": True})
    assert answer.status_code == 200, answer.text
    assert int(answer.json()["FailedInstancesCount"]) == 0
    pair.forget()
    return everything


@pytest.fixture(scope="module")
def sent_by_web(pair: Pair) -> list[Sample]:
    """Objects that Orthanc sent by STOW-RS, and then forgot."""
    everything = samples(BY_WEB)
    names = [pair.upload(sample) for sample in everything]
    answer = pair.orthanc.post("/dicom-web/servers/samsyn/stow", json={"Resources": names})
    assert answer.status_code == 200, answer.text
    pair.forget()
    return everything


def test_an_echo_is_answered(pair: Pair) -> None:
    assert pair.orthanc.post("/modalities/samsyn/echo", json={}).status_code == 200


def test_what_orthanc_sends_by_stow_is_kept_byte_for_byte(pair: Pair, sent_by_web: list[Sample]) -> None:
    for sample in sent_by_web:
        assert pair.held_by_samsyn(sample) == sample.data, sample.path.name


def test_what_orthanc_sends_by_c_store_is_the_same_object(pair: Pair, sent_by_dimse: list[Sample]) -> None:
    unchanged = 0
    for sample in sent_by_dimse:
        got, sent = pair.held_by_samsyn(sample), sample.data
        unchanged += got == sent
        assert elements(got, sample) == elements(sent, sample), sample.path.name
    assert unchanged >= 1


def elements(data: bytes, sample: Sample) -> dict[int, Any]:
    """Every element by its value; group lengths and padding to the end are the writer's own affair."""
    head = sample.path.read_bytes()
    meta = head[: len(head) - len(sample.data)]
    read = dcmread(DicomBytesIO(meta + data), force=True)
    return {int(each.tag): each.value for each in read if each.tag.element != 0 and each.tag != 0xFFFCFFFC}


@pytest.mark.parametrize("level", ["Patient", "Study", "Series", "Instance"])
def test_orthanc_finds_each_object_at_each_level(pair: Pair, sent_by_dimse: list[Sample], level: str) -> None:
    for sample in sent_by_dimse:
        keys = {
            "Patient": {"PatientID": sample.patient_id},
            "Study": {"StudyInstanceUID": sample.study, "PatientID": "", "ModalitiesInStudy": ""},
            "Series": {"StudyInstanceUID": sample.study, "SeriesInstanceUID": sample.series},
            "Instance": {
                "StudyInstanceUID": sample.study,
                "SeriesInstanceUID": sample.series,
                "SOPInstanceUID": sample.sop_instance,
            },
        }[level]
        _, answers = pair.ask(level, keys)
        assert len(answers) == 1
        wanted = {key: value for key, value in keys.items() if value}
        assert {key: answers[0][key] for key in wanted} == wanted
        if level == "Study":
            assert answers[0]["PatientID"] == sample.patient_id


def test_a_search_by_orthanc_that_matches_nobody_is_empty(pair: Pair, sent_by_dimse: list[Sample]) -> None:
    assert pair.ask("Study", {"PatientID": "FINNS-INTE"})[1] == []


def test_orthanc_moves_every_study_to_itself(
    pair: Pair, sent_by_dimse: list[Sample], sent_by_web: list[Sample]
) -> None:
    pair.forget()
    everything = [*sent_by_dimse, *sent_by_web]
    for study in dict.fromkeys(sample.study for sample in everything):
        address, answers = pair.ask("Study", {"StudyInstanceUID": study})
        assert len(answers) == 1
        fetched = pair.orthanc.post(
            f"{address}/retrieve", json={"TargetAet": "ORTHANC", "Synchronous": True, "Timeout": 60}
        )
        assert fetched.status_code == 200, fetched.text
    for sample in sent_by_dimse:
        assert pair.held_by_orthanc(sample) == [pair.held_by_samsyn(sample)], sample.path.name
    for sample in sent_by_web:
        (got,) = pair.held_by_orthanc(sample)
        assert elements(got, sample) == elements(sample.data, sample), sample.path.name


def test_orthanc_finds_and_fetches_through_dicomweb_byte_for_byte(
    pair: Pair, sent_by_dimse: list[Sample], sent_by_web: list[Sample]
) -> None:
    pair.forget()
    everything = [*sent_by_dimse, *sent_by_web]
    for sample in everything:
        found = pair.orthanc.post(
            "/dicom-web/servers/samsyn/qido",
            json={"Uri": "/studies", "Arguments": {"StudyInstanceUID": sample.study}},
        )
        assert found.status_code == 200, found.text
        assert [row["0020000d"]["Value"] for row in lower(found.json())] == [sample.study]
    studies = list(dict.fromkeys(sample.study for sample in everything))
    fetched = pair.orthanc.post(
        "/dicom-web/servers/samsyn/retrieve",
        json={"Resources": [{"Study": study} for study in studies], "Synchronous": True},
    )
    assert fetched.status_code == 200, fetched.text
    for sample in everything:
        assert pair.held_by_orthanc(sample) == [pair.held_by_samsyn(sample)], sample.path.name


def lower(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Orthanc writes tags as gggg,eeee: names without comma, small letters."""
    return [{key.replace(",", "").lower(): value for key, value in row.items()} for row in rows]


@pytest.mark.parametrize(("server", "status"), [("samsyn", 200), ("stranger", 200), ("nobody", 401)])
def test_what_a_search_shows_depends_on_the_token(
    pair: Pair, sent_by_web: list[Sample], server: str, status: int
) -> None:
    asked = {"Uri": "/studies", "Arguments": {"StudyInstanceUID": sent_by_web[0].study}}
    answer = pair.orthanc.post(f"/dicom-web/servers/{server}/get", json=asked)
    assert answer.status_code == status
    assert (sent_by_web[0].patient_id in answer.text) == (server == "samsyn")
