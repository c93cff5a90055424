"""Odd but legal objects go in by one protocol and come back by another, byte for byte (PS3.2: what is stored is kept).

`SAMSYN_ODD_OBJECTS` sets how many are generated beside those of pydicom and pydicom-data, `SAMSYN_SEED` where the
dice start. The clients are pynetdicom's, which hands out the bytes that came, and plain HTTP.
"""

import hashlib
import os
import random
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from samsyn.dicom.part10 import split_part10
from samsyn.wire.multipart import MultipartReader, PartData, boundary_of, parse_media_type
from tests.dicomweb.house import STOW_TYPE, body_of
from tests.ports import free_ports
from tests.scratch import Running, start_with_config
from tests.strangers.odd_objects import PRIVATE_CLASS, Form, Odd, generated, of_packages

pynetdicom = pytest.importorskip("pynetdicom")
from pynetdicom import _config, build_role, evt  # noqa: E402
from pynetdicom.sop_class import (  # noqa: E402
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from tests.pynetdicom_paused import AE  # noqa: E402

pytestmark = [pytest.mark.slow]
GENERATED = int(os.environ.get("SAMSYN_ODD_OBJECTS", "240"))
SEED = int(os.environ.get("SAMSYN_SEED", "2024"))
AT_LEAST = 300
MOST_CONTEXTS = 100
"""Of one association: 128 are possible."""
TOKEN = "odd-objects-token-of-no-worth"
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
ae_title = "ODD"
private_classes = true
[[provider.dicom_peer]]
ae_title = "SINK"
host = "127.0.0.1"
port = {sink}
[[provider.token]]
name = "odd"
sha256 = "{digest}"
"""


class Place:
    """A running server, its ports and where its moves go."""

    def __init__(self, folder: Path) -> None:
        self.dicom_port, self.http_port, mllp, self.sink_port = free_ports(4)
        digest = hashlib.sha256(TOKEN.encode()).hexdigest()
        ports = {"dicom": self.dicom_port, "http": self.http_port, "mllp": mllp, "sink": self.sink_port}
        config = folder / "samsyn.toml"
        config.write_text(CONFIG.format(folder=folder / "data", digest=digest, **ports))
        self.running: Running = start_with_config(config, folder / "server.log", self.http_port)

    def web(self) -> httpx.Client:
        base = f"http://127.0.0.1:{self.http_port}/dicomweb"
        return httpx.Client(base_url=base, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60)


@pytest.fixture(scope="module")
def everything() -> list[Odd]:
    made = [*of_packages(), *generated(GENERATED, SEED)]
    assert len({odd.sop_instance for odd in made}) == len(made)
    assert len(made) >= AT_LEAST or GENERATED < 240
    return made


@pytest.fixture(scope="module")
def by_dimse(tmp_path_factory: pytest.TempPathFactory, everything: list[Odd]) -> Iterator[Place]:
    """A server that was sent everything by C-STORE."""
    folder = tmp_path_factory.mktemp("dimse")
    place = Place(folder)
    try:
        statuses = sent_by_dimse(place.dicom_port, everything, folder)
        assert [(odd.name, status) for odd, status in statuses if status != 0] == []
        yield place
        assert place.running.stop() == 0
    finally:
        place.running.kill()


def kinds(objects: list[Odd]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((odd.sop_class, odd.syntax) for odd in objects))


def sent_by_dimse(port: int, objects: list[Odd], folder: Path) -> list[tuple[Odd, int]]:
    """C-STORE of each as it is, by pynetdicom, which streams the bytes of a file; the statuses."""
    _config.STORE_SEND_CHUNKED_DATASET = True
    found: list[tuple[Odd, int]] = []
    every_kind = kinds(objects)
    try:
        for start in range(0, len(every_kind), MOST_CONTEXTS):
            some = every_kind[start : start + MOST_CONTEXTS]
            ae = AE("ODD")
            for kind in some:
                ae.add_requested_context(*kind)
            association = ae.associate("127.0.0.1", port, ae_title="SAMSYN")
            assert association.is_established
            assert association.rejected_contexts == []
            for odd in objects:
                if (odd.sop_class, odd.syntax) in some:
                    path = folder / "sent.dcm"
                    path.write_bytes(file_of(odd))
                    found.append((odd, int(association.send_c_store(path).get("Status", -1))))
            association.release()
    finally:
        _config.STORE_SEND_CHUNKED_DATASET = False
    return found


def file_of(odd: Odd, dice: random.Random | None = None) -> bytes:
    """A Part 10 file of the object; with dice its preamble and meta information are odd too (PS3.10 7.1)."""
    form = Form(ExplicitVRLittleEndian)

    def uid(text: str) -> bytes:
        return text.encode() + b"\0" * (len(text) % 2)

    meta = form.element(0x00020001, b"OB", b"\0\1")
    meta += form.element(0x00020002, b"UI", uid(odd.sop_class)) + form.element(
        0x00020003, b"UI", uid(odd.sop_instance)
    )
    meta += form.element(0x00020010, b"UI", uid(odd.syntax)) + form.element(0x00020012, b"UI", uid("2.25.9"))
    preamble = bytes(128)
    if dice is not None:
        preamble = dice.choice((bytes(128), dice.randbytes(128), b"II*\0" + dice.randbytes(124)))
        if dice.random() < 0.5:
            meta += form.element(0x00020013, b"SH", b"") + form.element(0x00020016, b"AE", b"  ODD ")
        if dice.random() < 0.5:
            meta += form.element(0x00020100, b"UI", uid("2.25.99"))
            meta += form.element(0x00020102, b"OB", dice.randbytes(2 * dice.randrange(400)))
    length = form.element(0x00020000, b"UL", form.numbers("I", len(meta)))
    return preamble + b"DICM" + length + meta + odd.data


def differing(objects: list[Odd], got: dict[str, bytes]) -> list[str]:
    """Names of those that are not what they were."""
    return [odd.name for odd in objects if got.get(odd.sop_instance) != odd.data]


def told(way: str, objects: list[Odd]) -> str:
    syntaxes = Counter(odd.syntax for odd in objects)
    size = sum(len(odd.data) for odd in objects) / 1e6
    return f"{way}: {len(objects)} odd objects ({len(syntaxes)} transfer syntaxes, {size:.0f} MB), 0 differ"


def test_what_was_sent_by_c_store_comes_back_by_c_get(by_dimse: Place, everything: list[Odd]) -> None:
    got: dict[str, bytes] = {}

    def keep(event: "evt.Event") -> int:
        got[str(event.request.AffectedSOPInstanceUID)] = event.encoded_dataset(include_meta=False)
        return 0x0000

    studies: dict[str, list[Odd]] = {}
    for odd in everything:
        studies.setdefault(odd.study, []).append(odd)
    for study, objects in studies.items():
        ae = AE("ODD")
        ae.add_requested_context(StudyRootQueryRetrieveInformationModelGet, ExplicitVRLittleEndian)
        for kind in kinds(objects):
            ae.add_requested_context(*kind)
        roles = [build_role(uid, scp_role=True) for uid in {odd.sop_class for odd in objects}]
        association = ae.associate(
            "127.0.0.1",
            by_dimse.dicom_port,
            ae_title="SAMSYN",
            ext_neg=roles,
            evt_handlers=[(evt.EVT_C_STORE, keep)],
        )
        keys = Dataset()
        keys.QueryRetrieveLevel = "STUDY"
        keys.StudyInstanceUID = study
        answers = list(association.send_c_get(keys, StudyRootQueryRetrieveInformationModelGet))
        assert answers[-1][0].Status == 0x0000, (study, answers[-1])
        association.release()
    assert differing(everything, got) == []
    print(told("C-STORE to C-GET", everything))


def test_what_was_sent_by_c_store_comes_back_by_wado(by_dimse: Place, everything: list[Odd]) -> None:
    got: dict[str, bytes] = {}
    accept = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
    with by_dimse.web() as web:
        for odd in everything:
            path = f"/studies/{odd.study}/series/{odd.series}/instances/{odd.sop_instance}"
            response = web.get(path, headers=accept)
            assert response.status_code == 200, (odd.name, response.text)
            reader = MultipartReader(boundary_of(parse_media_type(response.headers["content-type"])))
            events = reader.feed(response.content)
            file = b"".join(event.data for event in events if isinstance(event, PartData))
            got[odd.sop_instance] = file[split_part10(file).dataset_offset :]
    assert differing(everything, got) == []
    print(told("C-STORE to WADO-RS", everything))


def test_metadata_can_be_told_of_every_one(by_dimse: Place, everything: list[Odd]) -> None:
    found: set[str] = set()
    with by_dimse.web() as web:
        for study in dict.fromkeys(odd.study for odd in everything):
            answer = web.get(f"/studies/{study}/metadata", headers={"Accept": "application/dicom+json"})
            assert answer.status_code == 200, (study, answer.text)
            found.update(each["00080018"]["Value"][0] for each in answer.json())
    assert found == {odd.sop_instance for odd in everything}


def test_what_was_sent_by_stow_comes_back_by_c_move(tmp_path: Path, everything: list[Odd]) -> None:
    # Private SOP classes are taken from DICOM systems that are allowed to send them, not over the web.
    everything = [odd for odd in everything if odd.sop_class != PRIVATE_CLASS]
    place, dice = Place(tmp_path), random.Random(SEED)
    got: dict[str, bytes] = {}
    lock = threading.Lock()

    def keep(event: "evt.Event") -> int:
        with lock:
            got[str(event.request.AffectedSOPInstanceUID)] = event.encoded_dataset(include_meta=False)
        return 0x0000

    sink = AE("SINK")
    sink.maximum_associations = 20
    for sop_class, syntax in kinds(everything):
        sink.add_supported_context(sop_class, syntax)
    listener = sink.start_server(
        ("127.0.0.1", place.sink_port), block=False, evt_handlers=[(evt.EVT_C_STORE, keep)]
    )
    try:
        with place.web() as web:
            for start in range(0, len(everything), 30):
                files = [file_of(odd, dice) for odd in everything[start : start + 30]]
                answer = web.post("/studies", content=body_of(files), headers={"Content-Type": STOW_TYPE})
                assert answer.status_code == 200, answer.text
        ae = AE("ODD")
        ae.add_requested_context(StudyRootQueryRetrieveInformationModelMove)
        association = ae.associate("127.0.0.1", place.dicom_port, ae_title="SAMSYN")
        for study in dict.fromkeys(odd.study for odd in everything):
            keys = Dataset()
            keys.QueryRetrieveLevel = "STUDY"
            keys.StudyInstanceUID = study
            answers = list(association.send_c_move(keys, "SINK", StudyRootQueryRetrieveInformationModelMove))
            assert answers[-1][0].Status == 0x0000, (study, answers[-1])
        association.release()
        assert place.running.stop() == 0
    finally:
        listener.shutdown()
        place.running.kill()
    assert differing(everything, got) == []
    print(told("STOW-RS to C-MOVE", everything))
