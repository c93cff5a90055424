"""Corrected data sets: new values outside, former ones inside, everything else byte for byte."""

import zlib
from io import BytesIO
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from samsyn.dicom.correcting import Modification, corrected
from samsyn.dicom.part10 import file_preamble_and_meta
from samsyn.dicom.reading import summarize
from samsyn.errors import BadInput

WHEN = Modification("20260131101500+0100", "Samsyn", "NORDRTG")
NEW = {
    0x00100010: ("PN", ("Ekström^Åsa",)),
    0x00100020: ("LO", ("199001012385",)),
    0x00100030: ("DA", ("19900101",)),
    0x00100040: ("CS", ()),
    0x00101000: None,
}


def image(charset: str | None = "ISO_IR 100", **more: Any) -> Dataset:
    made = Dataset()
    if charset is not None:
        made.SpecificCharacterSet = charset
    made.SOPClassUID, made.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "2.25.1"
    made.StudyInstanceUID, made.SeriesInstanceUID = "2.25.2", "2.25.3"
    made.PatientName, made.PatientID = "Tolvansson^Tolvan", "191212121212"
    made.PatientBirthDate, made.OtherPatientIDs = "19121212", "K-1"
    code = Dataset()
    code.CodeValue = "x"
    made.ProcedureCodeSequence = Sequence([code])
    made.Rows, made.Columns, made.BitsAllocated, made.BitsStored, made.HighBit = 2, 2, 16, 12, 11
    made.PixelRepresentation, made.SamplesPerPixel, made.PhotometricInterpretation = 0, 1, "MONOCHROME2"
    made.PixelData = bytes(range(8))
    for name, value in more.items():
        setattr(made, name, value)
    return made


def written(made: Dataset, syntax: str) -> bytes:
    stream = DicomBytesIO()
    stream.is_little_endian = syntax != ExplicitVRBigEndian
    stream.is_implicit_VR = syntax == ImplicitVRLittleEndian
    write_dataset(stream, made)
    if syntax == DeflatedExplicitVRLittleEndian:
        machine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        return machine.compress(stream.getvalue()) + machine.flush()
    return bytes(stream.getvalue())


def read(data: bytes, syntax: str) -> Dataset:
    return pydicom.dcmread(
        BytesIO(file_preamble_and_meta("1.2.840.10008.5.1.4.1.1.2", "2.25.1", syntax) + data)
    )


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
    ],
)
def test_new_values_stand_outside_and_former_ones_inside(syntax: str) -> None:
    found = read(corrected(written(image(), syntax), syntax, NEW, WHEN), syntax)
    assert (found.PatientName, found.PatientID) == ("Ekström^Åsa", "199001012385")
    assert found.PatientBirthDate == "19900101"
    assert found.PatientSex == ""
    assert "OtherPatientIDs" not in found
    (item,) = found.OriginalAttributesSequence
    (before,) = item.ModifiedAttributesSequence
    assert (before.PatientName, before.PatientID) == ("Tolvansson^Tolvan", "191212121212")
    assert (before.OtherPatientIDs, before.PatientSex) == ("K-1", "")
    assert (item.ModifyingSystem, item.ReasonForTheAttributeModification) == ("Samsyn", "CORRECT")
    assert (item.SourceOfPreviousValues, item.AttributeModificationDateTime) == (
        "NORDRTG",
        "20260131101500+0100",
    )
    assert found.PixelData == image().PixelData
    assert found.ProcedureCodeSequence[0].CodeValue == "x"


def test_a_second_correction_keeps_the_first() -> None:
    syntax = ExplicitVRLittleEndian
    once = corrected(written(image(), syntax), syntax, NEW, WHEN)
    again = {0x00100020: ("LO", ("200002292399",))}
    found = read(corrected(once, syntax, again, WHEN), syntax)
    ids = [item.ModifiedAttributesSequence[0].PatientID for item in found.OriginalAttributesSequence]
    assert ids == ["191212121212", "199001012385"]
    assert found.PatientID == "200002292399"


@pytest.mark.parametrize(
    ("charset", "name", "declared"),
    [
        ("ISO_IR 100", "Ekström^Åsa", "ISO_IR 100"),
        ("ISO_IR 192", "Ekström^Åsa", "ISO_IR 192"),
        (None, "Ekström^Åsa", "ISO_IR 192"),
        ("ISO_IR 144", "Ekström^Åsa", "ISO_IR 192"),
    ],
)
def test_the_name_fits_the_character_set_that_is_declared(
    charset: str | None, name: str, declared: str
) -> None:
    syntax = ExplicitVRLittleEndian
    found = read(corrected(written(image(charset), syntax), syntax, NEW, WHEN), syntax)
    assert (found.SpecificCharacterSet, found.PatientName) == (declared, name)


def test_other_texts_stay_readable_where_the_name_must_lose_its_accents() -> None:
    syntax = ExplicitVRLittleEndian
    data = written(image("ISO_IR 144", StudyDescription="Грудь"), syntax)
    found = read(corrected(data, syntax, NEW, WHEN), syntax)
    assert (found.StudyDescription, found.PatientName) == ("Грудь", "Ekstrom^Asa")


def test_what_is_read_for_the_index_follows_the_correction() -> None:
    syntax = str(ExplicitVRLittleEndian)
    data = corrected(written(image(), syntax), syntax, NEW, WHEN)
    summary = summarize(memoryview(data), syntax)
    assert summary.values[0x00100020] == "199001012385"
    assert summary.pixels is not None
    assert data[summary.pixels.offset : summary.pixels.offset + 8] == bytes(range(8))


def test_a_torn_data_set_is_refused() -> None:
    syntax = str(ExplicitVRLittleEndian)
    with pytest.raises(BadInput):
        corrected(written(image(), syntax)[:-3], syntax, NEW, WHEN)
