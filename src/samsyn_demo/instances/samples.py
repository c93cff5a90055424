"""Public sample images that come with pydicom and pydicom-data, given to the demo's people.

Who and where of the originals is replaced, private elements and references are dropped, every UID is new; the
picture and what describes it stay, in the transfer syntax that they came in.
"""

import io
from dataclasses import dataclass

import pydicom
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from samsyn_demo.history import Examination
from samsyn_demo.instances.objects import Instance, Series, SeriesObjects
from samsyn_demo.seed import uid


@dataclass(frozen=True, slots=True)
class Sample:
    """A file of the packages, the name of its series and the device that is to have made it."""

    file: str
    description: str
    device: str = ""


_SAMPLES = {
    "real-chest": Sample("RG1_J2KR.dcm", "Thorax PA"),
    "real-leg": Sample("RG3_J2KR.dcm", "Underben frontal"),
    "real-shoulder": Sample("MR2_J2KR.dcm", "T1 cor"),
    "real-liver": Sample("examples_overlay.dcm", "T1 tra kontrast"),
    "real-spine": Sample("CT_small.dcm", "Bröstrygg"),
    "real-perfusion": Sample("eCT_Supplemental.dcm", "Perfusion"),
    "real-echo": Sample("examples_ybr_color.dcm", "Ekokardiografi", "echo"),
}

_DROPPED = (
    "ReferencedStudySequence", "ReferencedSeriesSequence", "ReferencedImageSequence", "SourceImageSequence",
    "ReferencedPatientSequence", "ReferencedPerformedProcedureStepSequence", "ReferencedImageEvidenceSequence",
    "OtherPatientIDs", "OtherPatientIDsSequence", "OtherPatientNames", "PatientAddress", "PatientAge",
    "PatientBirthTime", "PatientComments", "AdditionalPatientHistory", "EthnicGroup", "Occupation", "PatientSize",
    "PatientWeight", "PregnancyStatus", "IssuerOfPatientID", "PhysiciansOfRecord", "PerformingPhysicianName",
    "NameOfPhysiciansReadingStudy", "InstitutionAddress", "InstitutionCodeSequence", "RequestingPhysician",
    "RequestedProcedureDescription", "ImageComments", "AdmissionID", "PerformedProcedureStepID",
    "PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime", "PerformedProcedureStepDescription",
    "PerformedProcedureStepEndDate", "PerformedProcedureStepEndTime", "PerformedProtocolCodeSequence",
    "ContentCreatorName", "InstanceCreatorUID", "DateOfLastCalibration", "TimeOfLastCalibration", "PlateID",
    "OverlayDate", "OverlayTime", "CurveDate", "CurveTime", "AcquisitionDateTime", "ConcatenationUID",
    "StorageMediaFileSetUID", "TimezoneOffsetFromUTC", "DeviceUID", "IconImageSequence", "StudyComments",
)  # fmt: skip
"""Elements that could tell who or where the original was, or that point to objects that are not here."""


def instance_of(examination: Examination) -> Instance:
    """The sample image of the examination's kind, as that person's. FileNotFoundError without the packages."""
    sample = _SAMPLES[examination.kind.key]
    path = get_testdata_file(sample.file, download=False)
    if not isinstance(path, str):
        raise FileNotFoundError(f"{sample.file}: install the package pydicom-data")
    data = pydicom.dcmread(path)
    _forget(data)
    making = SeriesObjects(Series(examination, 1, str(data.Modality), sample.description, sample.device))
    syntax = str(data.file_meta.TransferSyntaxUID)
    own = making.new(str(data.SOPClassUID), 1, syntax)
    data.update(making.shared)
    data.update(own)
    if "FrameOfReferenceUID" in data:
        data.FrameOfReferenceUID = uid("frame", examination.key)
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    for name in ("SourceApplicationEntityTitle", "PrivateInformation", "PrivateInformationCreatorUID"):
        if name in data.file_meta:
            del data.file_meta[name]
    buffer = io.BytesIO()
    data.save_as(buffer, enforce_file_format=True)
    return Instance(str(data.SOPClassUID), str(data.SOPInstanceUID), syntax, buffer.getvalue())


def _forget(data: Dataset) -> None:
    data.remove_private_tags()
    for name in _DROPPED:
        if name in data:
            del data[name]
    # Sequences of per-frame items hold UIDs of their own that nothing refers to.
    for element in data.iterall():
        if element.keyword in ("ReferencedSOPInstanceUID", "SynchronizationFrameOfReferenceUID", "IrradiationEventUID",
                               "DimensionOrganizationUID"):  # fmt: skip
            element.value = uid("sample", str(element.value))
