"""The demo region's objects are complete DICOM, the same every time, and show what they say."""

from collections.abc import Iterator
from datetime import date
from io import BytesIO

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames

from samsyn_demo.history import Examination, history
from samsyn_demo.images import knee
from samsyn_demo.instances import studies
from samsyn_demo.instances.objects import Instance
from samsyn_demo.people import STORY

CHEAP = ("ecg", "knee", "us-abdomen", "us-aorta", "real-chest", "real-leg", "real-shoulder", "real-liver")
EVERYTHING = history(date(2026, 7, 12))


def first(kind: str, case: str = "", provider: str = "") -> Examination:
    return next(
        each
        for each in EVERYTHING
        if each.images
        and each.kind.key == kind
        and case in ("", each.case.name)
        and provider in ("", each.provider.key)
    )


def read(instance: Instance) -> Dataset:
    return pydicom.dcmread(BytesIO(instance.file))


def made(examination: Examination) -> Iterator[tuple[Instance, Dataset]]:
    for instance in studies.study(examination):
        yield instance, read(instance)


def test_each_study_has_as_many_objects_as_it_said() -> None:
    for kind in CHEAP:
        examination = first(kind)
        assert len(list(studies.study(examination))) == studies.count(examination)


def test_an_examination_without_pictures_makes_no_objects() -> None:
    silent = next(each for each in EVERYTHING if not each.images)
    assert list(studies.study(silent)) == []
    assert studies.count(silent) == 0


@pytest.mark.parametrize("kind", CHEAP)
def test_an_object_names_patient_study_and_maker(kind: str) -> None:
    examination = first(kind)
    for instance, data in made(examination):
        assert data.file_meta.MediaStorageSOPInstanceUID == data.SOPInstanceUID == instance.sop_instance_uid
        assert data.file_meta.TransferSyntaxUID == instance.transfer_syntax_uid
        assert data.SOPClassUID == data.file_meta.MediaStorageSOPClassUID == instance.sop_class_uid
        assert str(data.PatientID).replace("-", "") == examination.number
        assert data.PatientName == examination.person.dicom_name
        assert data.AccessionNumber == examination.accession
        assert (
            data.IssuerOfAccessionNumberSequence[0].UniversalEntityID == examination.provider.accession_issuer
        )
        assert data.StudyDate == f"{examination.when:%Y%m%d}"
        assert data.InstitutionName == examination.provider.name
        tags = [element.tag for element in data]
        assert tags == sorted(tags)


def test_the_same_examination_gives_the_same_bytes() -> None:
    for kind in ("knee", "us-abdomen", "ecg", "real-liver"):
        examination = first(kind)
        assert [each.file for each in studies.study(examination)] == [
            each.file for each in studies.study(examination)
        ]


def test_swedish_letters_survive_in_both_character_sets() -> None:
    latin = next(
        each
        for each in EVERYTHING
        if each.images and each.provider.key == "nord" and "ö" in each.person.family
    )
    unicode = next(
        each
        for each in EVERYTHING
        if each.kind.key == "us-abdomen" and each.provider.key == "klara" and each.images
    )
    for examination, charset in ((latin, "ISO_IR 100"), (unicode, "ISO_IR 192")):
        _, data = next(made(examination))
        assert data.SpecificCharacterSet == charset
        assert str(data.PatientName) == examination.person.dicom_name


def test_sample_images_tell_nothing_of_their_originals() -> None:
    for kind in CHEAP[4:]:
        for _, data in made(first(kind)):
            assert not [element for element in data.iterall() if element.tag.is_private]
            assert "CompressedSamples" not in str(data.to_json())
            assert "OtherPatientIDs" not in data


def test_lossless_pictures_come_back_as_they_were_drawn() -> None:
    examination = first("knee", provider="nord")
    _, data = next(made(examination))
    decoded = imagecodecs.ljpeg_decode(next(generate_frames(data.PixelData, number_of_frames=1)))
    side = "R" if examination.side == "höger" else "L"
    base = knee.base(0.85 if examination.case.name == "arthrosis" else 0.0)
    assert np.array_equal(decoded, knee.picture(base, examination.key, side))
    assert (data.BitsStored, data.ImageLaterality) == (12, side)


@pytest.mark.parametrize("kind", ["knee", "us-aorta", "real-leg"])
def test_compressed_pixels_have_undefined_length(kind: str) -> None:
    """PS3.5 A.4: an explicit length would make native pixels of them."""
    for instance, data in made(first(kind)):
        if data.file_meta.TransferSyntaxUID.is_compressed:
            assert b"\xe0\x7f\x10\x00OB\x00\x00\xff\xff\xff\xff" in instance.file


def test_an_ecg_has_ten_seconds_of_twelve_leads_that_agree() -> None:
    _, data = next(made(first("ecg")))
    group = data.WaveformSequence[0]
    samples = np.frombuffer(group.WaveformData, "<i2").reshape(-1, 12).astype(int)
    assert samples.shape == (5000, 12)
    assert float(group.SamplingFrequency) == 500
    one, two, three = (samples[:, place] for place in range(3))
    # Einthoven: lead II is the sum of I and III, but for rounding, drift and noise of each lead.
    assert np.abs(two - one - three).mean() < 40
    assert np.ptp(one) > 200


def test_a_measured_length_in_an_ultrasound_picture_is_calibrated() -> None:
    _, data = next(made(first("us-aorta")))
    region = data.SequenceOfUltrasoundRegions[0]
    assert region.PhysicalUnitsXDirection == 3
    assert 0.02 < region.PhysicalDeltaX < 0.05


def test_a_scanned_referral_is_a_pdf() -> None:
    examination = next(each for each in EVERYTHING if each.person is STORY and each.paper)
    instances = list(made(examination))
    data = instances[-1][1]
    assert data.MIMETypeOfEncapsulatedDocument == "application/pdf"
    document = bytes(data.EncapsulatedDocument)[: data.EncapsulatedDocumentLength]
    assert document.startswith(b"%PDF") and document.rstrip().endswith(b"%%EOF")
    assert data.Modality == "DOC"


@pytest.mark.slow
def test_an_echo_is_a_loop_at_true_frame_rate() -> None:
    (_, chambers), (_, short_axis) = made(first("echo"))
    for data in (chambers, short_axis):
        frames = [
            imagecodecs.jpeg_decode(each) for each in generate_frames(data.PixelData, number_of_frames=45)
        ]
        assert len(frames) == data.NumberOfFrames == 45
        assert frames[0].shape == (data.Rows, data.Columns, 3)
        assert float(data.FrameTime) * data.CineRate == 1000
        moved = [np.abs(frames[place].astype(int) - frames[0]).mean() for place in (1, 15)]
        assert moved[1] > moved[0]
    assert chambers.LossyImageCompression == "01"


@pytest.mark.slow
def test_a_chest_ct_has_air_in_the_lungs_bone_in_the_spine_and_a_tumour_where_the_report_says() -> None:
    examination = next(each for each in EVERYTHING if each.case.name == "tumour")
    slices = [data for _, data in made(examination) if "PixelData" in data]
    assert len(slices) == 80
    heights = [float(data.ImagePositionPatient[2]) for data in slices]
    assert np.allclose(np.diff(heights), -5.0)
    assert len({data.FrameOfReferenceUID for data in slices}) == 1

    def hounsfield(x: float, y: float, z: float) -> float:
        data = min(slices, key=lambda each: abs(float(each.ImagePositionPatient[2]) - z))
        left, top = (float(value) for value in data.ImagePositionPatient[:2])
        pixels = np.frombuffer(data.PixelData, "<u2").reshape(data.Rows, data.Columns)
        pitch = float(data.PixelSpacing[0])
        row, column = round((y - 6 - top) / pitch), round((x - left) / pitch)
        return float(pixels[row - 2 : row + 3, column - 2 : column + 3].mean()) + float(data.RescaleIntercept)

    size = float(slices[0].PixelSpacing[0]) / 0.76
    assert hounsfield(-75 * size, -20 * size, 40) < -700
    assert hounsfield(0, 56 * size, 20) > 60
    assert -60 < hounsfield(62 * size, -18 * size, 62) < 120


@pytest.mark.slow
def test_a_mammography_has_both_sides_in_both_projections_with_the_chest_wall_inwards() -> None:
    seen = {}
    for _, data in made(first("mammography")):
        pixels = imagecodecs.jpegls_decode(next(generate_frames(data.PixelData, number_of_frames=1)))
        seen[data.ImageLaterality, data.ViewPosition] = pixels
        assert pixels.min() == 0
    assert set(seen) == {("L", "CC"), ("R", "CC"), ("L", "MLO"), ("R", "MLO")}
    for (side, _), pixels in seen.items():
        half = pixels.shape[1] // 2
        wall, air = pixels[:, :half].mean(), pixels[:, half:].mean()
        assert (wall > air) == (side == "L")


@pytest.mark.slow
def test_an_mr_has_bright_fluid_on_t2_and_dark_fluid_on_t1() -> None:
    brightness: dict[str, float] = {}
    for _, data in made(first("mr-brain", "aged")):
        if abs(float(data.ImagePositionPatient[2]) - 16) < 2:
            pixels = np.frombuffer(data.PixelData, "<u2").reshape(256, 256)
            # A ventricle's frontal horn beside the midline.
            brightness[data.SequenceName] = float(
                np.percentile(pixels[108:132, 118:140], 80 if data.SequenceName == "T2" else 10)
            )
    assert brightness["T2"] > 700 > 250 > brightness["T1"]
