"""DICOM objects with complete modules around pixels and samples (PS3.3 C.7 and the IODs' own modules)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLossless,
    JPEGLSLossless,
)

from samsyn_demo.history import Examination
from samsyn_demo.instances import file_format
from samsyn_demo.instances.equipment import machine
from samsyn_demo.seed import uid

CR_IMAGE = "1.2.840.10008.5.1.4.1.1.1"
DX_IMAGE = "1.2.840.10008.5.1.4.1.1.1.1"
MG_IMAGE = "1.2.840.10008.5.1.4.1.1.1.2"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
US_IMAGE = "1.2.840.10008.5.1.4.1.1.6.1"
US_CINE = "1.2.840.10008.5.1.4.1.1.3.1"
ECG_12_LEAD = "1.2.840.10008.5.1.4.1.1.9.1.1"
PDF = "1.2.840.10008.5.1.4.1.1.104.1"

NATIVE = str(ExplicitVRLittleEndian)
LOSSLESS_JPEG = str(JPEGLossless)
JPEG_LS = str(JPEGLSLossless)
JPEG_2000 = str(JPEG2000Lossless)
JPEG = str(JPEGBaseline8Bit)


@dataclass(frozen=True, slots=True)
class Series:
    """What the instances of one series share."""

    examination: Examination
    number: int
    modality: str
    description: str
    device: str = ""
    """Which machine, when it is not the modality's usual one."""
    minutes: float = 0.0
    """How long after the examination's start."""

    @property
    def start(self) -> datetime:
        """When its first picture was taken."""
        return self.examination.when + timedelta(minutes=self.minutes + 2 * (self.number - 1))

    @property
    def series_uid(self) -> str:
        """Its Series Instance UID."""
        return uid("series", self.examination.key, self.number, self.modality)


def study_uid(examination: Examination) -> str:
    """The Study Instance UID of an examination."""
    return uid("study", examination.key)


@dataclass(frozen=True, slots=True)
class Instance:
    """An object ready to send."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    file: bytes
    """The whole DICOM file (PS3.10)."""


class SeriesObjects:
    """Makes the objects of one series. What they share is put into `shared` and encoded only once."""

    def __init__(self, series: Series) -> None:
        self.series = series
        self.shared = Dataset()
        """Patient, study, series and equipment modules; add what else all objects of the series have."""
        self._charset = series.examination.provider.charset
        self.shared.SpecificCharacterSet = self._charset
        _patient(self.shared, series.examination)
        _study(self.shared, series.examination)
        _series(self.shared, series)
        self._encoded: file_format.Elements = {}

    def new(self, sop_class: str, number: int, syntax: str = NATIVE) -> Dataset:
        """An object's own part with its SOP common module; add what only this object has."""
        data = Dataset()
        data.SOPClassUID = sop_class
        data.SOPInstanceUID, day, clock = self._name(number)
        data.InstanceNumber = number
        data.InstanceCreationDate = data.AcquisitionDate = data.ContentDate = day
        data.InstanceCreationTime = data.AcquisitionTime = data.ContentTime = clock
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = UID(syntax)
        data.file_meta = meta
        return data

    def finish(self, data: Dataset) -> Instance:
        """The object of `shared` and its own part, encoded as explicit VR little endian."""
        elements = self._shared_elements() | file_format.encode(data, self._charset)
        names = str(data.SOPClassUID), str(data.SOPInstanceUID), str(data.file_meta.TransferSyntaxUID)
        return Instance(*names, file_format.file_of(*names, elements))

    def plane(
        self,
        sop_class: str,
        number: int,
        syntax: str,
        corner: tuple[float, float, float],
        pixels: NDArray[np.uint16],
    ) -> Instance:
        """One axial slice whose first pixel's middle lies at `corner` (mm); 16 bits allocated, 12 stored.

        A volume has hundreds of slices, so their own few elements are encoded here without a Dataset. What is
        the same in all slices (image pixel module, frame of reference) must stand in `shared`.
        """
        instance_uid, day, clock = self._name(number)
        text = file_format.element
        elements = self._shared_elements() | {
            0x00080016: text(0x00080016, "UI", sop_class),
            0x00080018: text(0x00080018, "UI", instance_uid),
            0x00200013: text(0x00200013, "IS", str(number)),
            0x00200032: text(0x00200032, "DS", "\\".join(f"{value:.3f}" for value in corner)),
            0x00201041: text(0x00201041, "DS", f"{corner[2]:.2f}"),
        }
        for tag in (0x00080012, 0x00080022, 0x00080023):
            elements[tag] = text(tag, "DA", day)
        for tag in (0x00080013, 0x00080032, 0x00080033):
            elements[tag] = text(tag, "TM", clock)
        if syntax == NATIVE:
            pixel_data = text(file_format.PIXEL_DATA, "OW", np.ascontiguousarray(pixels).tobytes())
        else:
            pixel_data = file_format.encapsulated([compressed(pixels, 12, syntax)])
        elements[file_format.PIXEL_DATA] = pixel_data
        names = sop_class, instance_uid, syntax
        return Instance(*names, file_format.file_of(*names, elements))

    def _shared_elements(self) -> file_format.Elements:
        if not self._encoded:
            self._encoded = file_format.encode(self.shared, self._charset)
        return self._encoded

    def _name(self, number: int) -> tuple[str, str, str]:
        """SOP Instance UID, date and time of the series' object `number`."""
        series = self.series
        moment = series.start + timedelta(seconds=0.4 * (number - 1))
        return (
            uid("instance", series.examination.key, series.number, series.modality, number),
            f"{moment:%Y%m%d}",
            f"{moment:%H%M%S}.{moment.microsecond // 1000:03d}",
        )


def _patient(data: Dataset, examination: Examination) -> None:
    person, provider = examination.person, examination.provider
    number = examination.number
    hyphened = provider.hyphened_ids and len(number) == 12 and not number.startswith("99")
    data.PatientName = person.dicom_name
    data.PatientID = f"{number[:8]}-{number[8:]}" if hyphened else number
    if provider.key == "nord":
        qualifier = Dataset()
        qualifier.UniversalEntityID = examination.issuer
        qualifier.UniversalEntityIDType = "ISO"
        data.IssuerOfPatientIDQualifiersSequence = Sequence([qualifier])
    data.PatientBirthDate = person.birth_date
    data.PatientSex = person.sex


def _study(data: Dataset, examination: Examination) -> None:
    data.StudyInstanceUID = study_uid(examination)
    data.StudyDate = f"{examination.when:%Y%m%d}"
    data.StudyTime = f"{examination.when:%H%M%S}"
    data.StudyID = examination.accession[-8:]
    data.AccessionNumber = examination.accession
    issuer = Dataset()
    issuer.UniversalEntityID = examination.provider.accession_issuer
    issuer.UniversalEntityIDType = "ISO"
    data.IssuerOfAccessionNumberSequence = Sequence([issuer])
    data.ReferringPhysicianName = f"{examination.referrer.family}^{examination.referrer.given}"
    data.StudyDescription = examination.title
    data.ProcedureCodeSequence = Sequence([_local_code(examination)])


def _local_code(examination: Examination) -> Dataset:
    code = Dataset()
    code.CodeValue = examination.code
    code.CodingSchemeDesignator = f"99{examination.provider.key.upper()}"[:16]
    code.CodeMeaning = examination.kind.codes[examination.provider.key][1]
    return code


def _series(data: Dataset, series: Series) -> None:
    examination = series.examination
    device = machine(examination.provider.key, series.device or series.modality)
    data.Modality = series.modality
    data.SeriesInstanceUID = series.series_uid
    data.SeriesNumber = series.number
    data.SeriesDescription = series.description
    data.SeriesDate = f"{series.start:%Y%m%d}"
    data.SeriesTime = f"{series.start:%H%M%S}"
    data.OperatorsName = examination.radiographer
    if series.modality not in ("ECG", "DOC"):
        data.BodyPartExamined = examination.kind.body_part
        data.ProtocolName = series.description
    request = Dataset()
    request.AccessionNumber = examination.accession
    request.RequestedProcedureID = examination.accession[-12:]
    request.RequestedProcedureDescription = examination.title
    request.ScheduledProcedureStepID = f"{examination.accession[-12:]}-1"
    data.RequestAttributesSequence = Sequence([request])
    data.Manufacturer = device.maker
    data.ManufacturerModelName = device.model
    data.InstitutionName = examination.provider.name
    data.InstitutionalDepartmentName = device.department
    data.StationName = device.station
    data.DeviceSerialNumber = device.serial
    data.SoftwareVersions = device.software


def put_grey_layout(data: Dataset, rows: int, columns: int, allocated: int, stored: int) -> None:
    """The image pixel module of grey frames, without the pixels."""
    data.SamplesPerPixel = 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.Rows, data.Columns = rows, columns
    data.BitsAllocated, data.BitsStored, data.HighBit = allocated, stored, stored - 1
    data.PixelRepresentation = 0


def put_grey(data: Dataset, pixels: NDArray[np.integer[Any]], bits: int) -> None:
    """The image pixel module for one grey frame of `bits` stored bits, in the object's transfer syntax."""
    syntax = str(data.file_meta.TransferSyntaxUID)
    wide = pixels.dtype.itemsize * 8
    rows, columns = pixels.shape
    put_grey_layout(data, rows, columns, wide, stored_bits(bits, syntax))
    if syntax == NATIVE:
        raw = np.ascontiguousarray(pixels).tobytes()
        data.PixelData = raw + b"\0" * (len(raw) % 2)
        data["PixelData"].VR = "OW" if wide == 16 else "OB"
    else:
        _encapsulate(data, [compressed(pixels, bits, syntax)])


def stored_bits(bits: int, syntax: str) -> int:
    """Bits Stored of `bits`-bit pixels in 16: the JPEG-LS encoder always writes the full width as precision."""
    return 16 if syntax == JPEG_LS else bits


def compressed(pixels: NDArray[np.integer[Any]], bits: int, syntax: str) -> bytes:
    """One grey frame, losslessly compressed."""
    if syntax == JPEG_LS:
        return bytes(imagecodecs.jpegls_encode(pixels))
    if syntax == LOSSLESS_JPEG:
        return bytes(imagecodecs.ljpeg_encode(pixels, bitspersample=bits))
    if syntax == JPEG_2000:
        return bytes(
            imagecodecs.jpeg2k_encode(pixels, codecformat="j2k", bitspersample=bits, reversible=True)
        )
    raise ValueError(f"no encoder for {syntax}")


def _encapsulate(data: Dataset, frames: list[bytes]) -> None:
    """Compressed frames as pixel data of undefined length (PS3.5 A.4)."""
    data.PixelData = encapsulate(frames)
    data["PixelData"].VR = "OB"
    data["PixelData"].is_undefined_length = True


def put_colour_cine(data: Dataset, coded: list[bytes], rows: int, columns: int) -> None:
    """Frames of JPEG baseline, YBR_FULL_422, one fragment for each frame."""
    data.SamplesPerPixel = 3
    data.PhotometricInterpretation = "YBR_FULL_422"
    data.PlanarConfiguration = 0
    data.Rows, data.Columns = rows, columns
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 8, 8, 7, 0
    data.NumberOfFrames = len(coded)
    put_lossy(data, rows * columns * 3 * len(coded) / sum(map(len, coded)))
    _encapsulate(data, coded)


def jpeg(frame: NDArray[np.uint8], quality: int = 86) -> bytes:
    """One RGB frame as JPEG baseline in YCbCr 4:2:2."""
    return bytes(imagecodecs.jpeg8_encode(frame, level=quality, subsampling="422"))


def put_grey_jpeg(data: Dataset, pixels: NDArray[np.uint8], quality: int = 90) -> None:
    """One grey 8-bit frame as JPEG baseline."""
    coded = bytes(imagecodecs.jpeg8_encode(pixels, level=quality))
    data.SamplesPerPixel = 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.Rows, data.Columns = pixels.shape
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 8, 8, 7, 0
    put_lossy(data, pixels.nbytes / len(coded))
    _encapsulate(data, [coded])


def put_lossy(data: Dataset, ratio: float) -> None:
    """Says that the pixels have been through lossy JPEG (PS3.3 C.7.6.1.1.5)."""
    data.LossyImageCompression = "01"
    data.LossyImageCompressionRatio = f"{ratio:.2f}"
    data.LossyImageCompressionMethod = "ISO_10918_1"


def put_windows(data: Dataset, windows: Iterable[tuple[float, float, str]]) -> None:
    """VOI LUT module: (centre, width, name) of each window, the usual one first."""
    chosen = list(windows)
    data.WindowCenter = [f"{window[0]:g}" for window in chosen]
    data.WindowWidth = [f"{window[1]:g}" for window in chosen]
    data.WindowCenterWidthExplanation = [window[2] for window in chosen]


def put_frame(data: Dataset, series: Series, spacing: float, thickness: float) -> None:
    """What the axial slices of one series share of frame of reference and image plane."""
    data.FrameOfReferenceUID = uid("frame", series.examination.key)
    data.PositionReferenceIndicator = ""
    data.PatientPosition = "HFS"
    data.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    data.PixelSpacing = [f"{spacing:.4f}"] * 2
    data.SliceThickness = f"{thickness:g}"


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """A code sequence item."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item
