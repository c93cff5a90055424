"""Real objects of many kinds that come with pydicom, and their data sets as bytes."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.filereader import _read_file_meta_info as read_meta
from pydicom.filereader import read_preamble
from pynetdicom import _config

from tests.pynetdicom_paused import AE

NAMES = (
    "CT_small.dcm",
    "MR_small_implicit.dcm",
    "JPEG-lossy.dcm",
    "ExplVR_BigEnd.dcm",
    "SC_rgb_rle_2frame.dcm",
    "SC_rgb_small_odd_jpeg.dcm",
    "JPEG2000.dcm",
    "examples_jpeg2k.dcm",
    "waveform_ecg.dcm",
    "liver_1frame.dcm",
    "693_J2KI.dcm",
    "examples_ybr_color.dcm",
)


@dataclass(frozen=True)
class Sample:
    """One object of a file."""

    path: Path
    sop_class: str
    sop_instance: str
    study: str
    series: str
    patient_id: str
    transfer_syntax: str
    data: bytes


def data_set_of(file: Path | bytes) -> bytes:
    """The bytes after the file meta information."""
    stream = BytesIO(file if isinstance(file, bytes) else file.read_bytes())
    read_preamble(stream, False)
    read_meta(stream)
    return stream.read()


RESENT = ("examples_palette.dcm", "examples_overlay.dcm", "SC_rgb_small_odd.dcm")
"""Native ones for programs that write data sets anew when they send."""


def samples(names: tuple[str, ...] = NAMES) -> list[Sample]:
    """Those of the files that this installation has, with a patient and an envelope that fits."""
    found = []
    for name in names:
        path = get_testdata_file(name, download=False)
        if path is None:
            continue
        header = dcmread(str(path), stop_before_pixels=True)
        envelope = header.file_meta.MediaStorageSOPInstanceUID
        if not header.get("PatientID") or header.SOPInstanceUID != envelope:
            continue
        found.append(
            Sample(
                Path(str(path)),
                str(header.SOPClassUID),
                str(header.SOPInstanceUID),
                str(header.StudyInstanceUID),
                str(header.SeriesInstanceUID),
                str(header.PatientID),
                str(header.file_meta.TransferSyntaxUID),
                data_set_of(Path(str(path))),
            )
        )
    if len(found) < len(names) // 2:
        pytest.skip("pydicom's own files are not installed")
    return found


def send_as_they_are(port: int, everything: list[Sample]) -> list[int]:
    """C-STORE of the files' own bytes by pynetdicom; the statuses."""
    ae = AE("PYNETDICOM")
    for kind in dict.fromkeys((sample.sop_class, sample.transfer_syntax) for sample in everything):
        ae.add_requested_context(*kind)
    _config.STORE_SEND_CHUNKED_DATASET = True
    try:
        association = ae.associate("127.0.0.1", port, ae_title="SAMSYN")
        statuses = [int(association.send_c_store(sample.path).Status) for sample in everything]
        association.release()
    finally:
        _config.STORE_SEND_CHUNKED_DATASET = False
    return statuses
