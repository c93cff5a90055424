"""DCMTK's programs against a running server: every stored object comes back byte for byte."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian

from tests.scratch import Running
from tests.strangers.dicom_samples import RESENT, Sample, data_set_of, samples, send_as_they_are
from tests.waiting import PATIENCE_S

pytestmark = [
    pytest.mark.slow,
    pytest.mark.peer,
    pytest.mark.skipif(shutil.which("storescu") is None, reason="DCMTK is not installed"),
]
SINK_PORT = 11199


def run(*words: str | Path, timeout_s: float = 180) -> "subprocess.CompletedProcess[str]":
    """A program of DCMTK; its output is text."""
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=timeout_s)


def peer(scratch: Running, calling: str) -> list[str]:
    return ["-aet", calling, "-aec", "SAMSYN", "127.0.0.1", str(scratch.dicom_port)]


@pytest.fixture(scope="module")
def stored(scratch: Running) -> list[Sample]:
    """Everything, sent once byte for byte."""
    everything = samples()
    assert send_as_they_are(scratch.dicom_port, everything) == [0x0000] * len(everything)
    return everything


def test_echoscu_is_answered(scratch: Running) -> None:
    assert run("echoscu", *peer(scratch, "ECHOSCU")).returncode == 0


def test_echoscu_of_a_stranger_is_rejected_with_the_reason(scratch: Running) -> None:
    answer = run("echoscu", "-v", *peer(scratch, "NOBODY"))
    assert answer.returncode != 0
    assert "Calling AE Title Not Recognized" in answer.stderr + answer.stdout


@pytest.mark.parametrize("program", ["dcmsend", "storescu"])
def test_what_is_sent_twice_is_success_twice_and_there_once(scratch: Running, program: str) -> None:
    resent = samples(RESENT)
    for _ in range(2):
        sent = run(program, "-v", *peer(scratch, "STORESCU"), *(sample.path for sample in resent))
        assert sent.returncode == 0
        assert sent.stderr.count("C-STORE Response (Success)") + sent.stderr.count("(Success)\n") >= len(
            resent
        )
    keys = ["-k", "QueryRetrieveLevel=IMAGE", "-k", f"SOPInstanceUID={resent[0].sop_instance}"]
    answer = run("findscu", "-v", "-S", *peer(scratch, "FINDSCU"), *keys)
    assert (answer.stdout + answer.stderr).count("(Pending)") == 1


def test_dcmsend_sends_compressed_objects_as_they_are(scratch: Running, stored: list[Sample]) -> None:
    compressed = next(sample for sample in stored if sample.path.name == "SC_rgb_rle_2frame.dcm")
    sent = run("dcmsend", "-v", "-dn", *peer(scratch, "STORESCU"), compressed.path)
    assert "with status SUCCESS  : 1\n" in sent.stderr, sent.stderr


def test_findscu_finds_every_study(scratch: Running, stored: list[Sample]) -> None:
    for sample in stored:
        keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={sample.study}", "-k", "PatientID"]
        answer = run("findscu", "-S", *peer(scratch, "FINDSCU"), *keys)
        assert answer.returncode == 0
        assert f"[{sample.patient_id}" in answer.stdout + answer.stderr


def test_findscu_finds_instances_at_every_level(scratch: Running, stored: list[Sample]) -> None:
    sample = stored[0]
    for model, level, key, value in (
        ("-P", "PATIENT", "PatientID", sample.patient_id),
        ("-P", "STUDY", "StudyInstanceUID", sample.study),
        ("-S", "SERIES", "SeriesInstanceUID", sample.series),
        ("-S", "IMAGE", "SOPInstanceUID", sample.sop_instance),
    ):
        answer = run(
            "findscu",
            model,
            *peer(scratch, "FINDSCU"),
            "-k",
            f"QueryRetrieveLevel={level}",
            "-k",
            f"{key}={value}",
        )
        assert answer.returncode == 0
        assert value in answer.stdout + answer.stderr, (model, level)


def test_findscu_gets_every_kind_of_matching(scratch: Running, stored: list[Sample]) -> None:
    sample = next(sample for sample in stored if sample.path.name == "CT_small.dcm")
    day = str(dcmread(sample.path).StudyDate)
    for keys in (
        (f"PatientID={sample.patient_id[:-2]}*", f"StudyInstanceUID={sample.study}"),
        ("PatientName=COMPRESSEDsamples^*", f"StudyInstanceUID={sample.study}"),
        (f"StudyInstanceUID=1.2.3\\{sample.study}",),
        (f"StudyDate={day}-{day}", f"StudyInstanceUID={sample.study}"),
        ("ModalitiesInStudy=?T", f"StudyInstanceUID={sample.study}"),
        ("IssuerOfAccessionNumberSequence[0].LocalNamespaceEntityID=*", f"StudyInstanceUID={sample.study}"),
    ):
        words = [word for key in keys for word in ("-k", key)]
        answer = run(
            "findscu", "-v", "-S", *peer(scratch, "FINDSCU"), "-k", "QueryRetrieveLevel=STUDY", *words
        )
        assert (answer.stdout + answer.stderr).count("(Pending)") == 1, (keys, answer.stderr)


def test_findscu_is_told_of_keys_that_are_not_supported(scratch: Running, stored: list[Sample]) -> None:
    keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={stored[0].study}"]
    answer = run("findscu", "-v", "-S", *peer(scratch, "FINDSCU"), *keys, "-k", "PatientComments=x")
    assert "WarningUnsupportedOptionalKeys" in answer.stdout + answer.stderr


def test_findscu_may_cancel(scratch: Running, stored: list[Sample]) -> None:
    keys = ["-k", "QueryRetrieveLevel=IMAGE", "-k", "SOPInstanceUID"]
    answer = run("findscu", "-v", "-S", "--cancel", "1", *peer(scratch, "FINDSCU"), *keys)
    assert answer.returncode == 0
    assert "Cancel" in answer.stdout + answer.stderr


def get(scratch: Running, sample: Sample, folder: Path) -> list[Path]:
    """The files that getscu writes, bit for bit."""
    keys = ["-k", "QueryRetrieveLevel=IMAGE", "-k", f"SOPInstanceUID={sample.sop_instance}"]
    answer = run("getscu", "-S", "+B", "-od", folder, *peer(scratch, "GETSCU"), *keys)
    assert answer.returncode == 0, answer.stderr
    return list(folder.iterdir())


def test_getscu_gets_a_native_object_byte_for_byte(
    scratch: Running, stored: list[Sample], tmp_path: Path
) -> None:
    sample = next(sample for sample in stored if sample.path.name == "CT_small.dcm")
    assert [data_set_of(file) for file in get(scratch, sample, tmp_path)] == [sample.data]


def test_getscu_gets_an_implicit_object_with_explicit_vr_when_it_wants_that(
    scratch: Running, stored: list[Sample], tmp_path: Path
) -> None:
    sample = next(sample for sample in stored if sample.path.name == "MR_small_implicit.dcm")
    (file,) = get(scratch, sample, tmp_path)
    got, sent = dcmread(file), dcmread(sample.path)
    assert got.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert got.PixelData == sent.PixelData
    assert [element.tag for element in got] == [element.tag for element in sent]
    assert got.PatientName == sent.PatientName


@pytest.mark.parametrize(
    "name", ["SC_rgb_rle_2frame.dcm", "examples_jpeg2k.dcm", "SC_rgb_small_odd_jpeg.dcm"]
)
def test_getscu_that_takes_nothing_compressed_gets_native_pixels(
    scratch: Running, stored: list[Sample], tmp_path: Path, name: str
) -> None:
    sample = next(sample for sample in stored if sample.path.name == name)
    (file,) = get(scratch, sample, tmp_path)
    got, sent = dcmread(file), dcmread(sample.path)
    assert got.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    frames = int(sent.get("NumberOfFrames") or 1)
    length = frames * sent.Rows * sent.Columns * sent.SamplesPerPixel * sent.BitsAllocated // 8
    assert len(got.PixelData) == length + length % 2
    changed = {"PixelData", "PhotometricInterpretation"}
    assert {e.keyword: e.value for e in got if e.keyword not in changed} == {
        e.keyword: e.value for e in sent if e.keyword not in changed
    }


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[Path]:
    """storescp as SINK, which keeps what it gets bit for bit."""
    folder = tmp_path / "sink"
    folder.mkdir()
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", SINK_PORT)) != 0:
                break
        time.sleep(0.5)
    process = subprocess.Popen(
        ["storescp", "-aet", "SINK", "+B", "+xa", "--fork", "-od", str(folder), str(SINK_PORT)]
    )
    try:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", SINK_PORT)) == 0:
                    break
            time.sleep(0.05)
        yield folder
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def test_movescu_moves_every_object_byte_for_byte(scratch: Running, stored: list[Sample], sink: Path) -> None:
    for study in {sample.study for sample in stored}:
        keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study}"]
        answer = run("movescu", "-v", "-S", "-aem", "SINK", *peer(scratch, "MOVESCU"), *keys)
        assert answer.returncode == 0, answer.stderr
    # A child of storescp may still be writing what it has acknowledged.
    deadline, lacking = time.monotonic() + PATIENCE_S, {""}
    while lacking and time.monotonic() < deadline:
        time.sleep(0.05)
        written = [file.read_bytes() for file in sink.iterdir()]
        lacking = {each.path.name for each in stored if not any(one.endswith(each.data) for one in written)}
    got = {data_set_of(file) for file in sink.iterdir()}
    assert {sample.path.name for sample in stored if sample.data not in got} == set()


def test_movescu_to_an_unknown_destination_is_refused(scratch: Running, stored: list[Sample]) -> None:
    keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={stored[0].study}"]
    answer = run("movescu", "-v", "-S", "-aem", "NOWHERE", *peer(scratch, "MOVESCU"), *keys)
    assert "MoveDestinationUnknown" in answer.stderr + answer.stdout
