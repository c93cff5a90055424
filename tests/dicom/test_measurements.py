"""Numbers of structured reports: with their codes, units, sites and what else stands about them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from samsyn import limits
from samsyn.dicom.measurements import DOSE_CLASSES, read_measurements
from samsyn.dicom.part10 import split_part10
from samsyn.errors import LimitExceeded, SamsynError
from samsyn.model.measurements import Concept
from tests.reports.documents_made import COMPREHENSIVE, code, content, header, report, written

EXPLICIT = "1.2.840.10008.1.2.1"
DOSE = "1.2.840.10008.5.1.4.1.1.88.67"


def coded(
    name: tuple[str, str, str],
    value: tuple[str, str, str],
    *below: Dataset,
    relation: str = "HAS CONCEPT MOD",
) -> Dataset:
    item = content("CODE", code(*name), relation, ConceptCodeSequence=Sequence([code(*value)]))
    if below:
        item.ContentSequence = Sequence(below)
    return item


def measured(name: tuple[str, str, str], value: str, unit: str, *below: Dataset) -> Dataset:
    inner = Dataset()
    inner.NumericValue = value
    inner.MeasurementUnitsCodeSequence = Sequence([code(unit, "UCUM", unit)])
    item = content("NUM", code(*name), MeasuredValueSequence=Sequence([inner]))
    if below:
        item.ContentSequence = Sequence(below)
    return item


def part(name: tuple[str, str, str], *below: Dataset) -> Dataset:
    return content("CONTAINER", code(*name), ContinuityOfContent="SEPARATE", ContentSequence=Sequence(below))


LENGTH = ("410668003", "SCT", "Length")
LIVER = ("10200004", "SCT", "Liver")
SITE = ("363698007", "SCT", "Finding Site")


def lesion() -> Dataset:
    """A measurement group (TID 1411): what it is about stands beside its numbers."""
    followed = content(
        "UIDREF", code("112040", "DCM", "Tracking Unique Identifier"), "HAS OBS CONTEXT", UID="2.25.99"
    )
    named = content(
        "TEXT", code("112039", "DCM", "Tracking Identifier"), "HAS OBS CONTEXT", TextValue="Lesion 1"
    )
    left = coded(("272741003", "SCT", "Laterality"), ("7771000", "SCT", "Left"))
    mean = coded(("121401", "DCM", "Derivation"), ("373098007", "SCT", "Mean"))
    return part(
        ("125007", "DCM", "Measurement Group"),
        named,
        followed,
        coded(("121071", "DCM", "Finding"), ("4147007", "SCT", "Mass"), relation="CONTAINS"),
        coded(SITE, LIVER, left),
        coded(
            ("370129005", "SCT", "Measurement Method"),
            ("126020", "DCM", "Multiparametric MRI"),
        ),
        measured(LENGTH, "12.50", "mm"),
        measured(("112031", "DCM", "Attenuation Coefficient"), "-3e1", "[hnsf'U]", mean),
    )


def read(data: bytes, sop_class: str = COMPREHENSIVE) -> Any:
    return read_measurements(data, EXPLICIT, sop_class)


def test_a_measurement_keeps_its_codes_unit_site_method_and_what_it_is_followed_by() -> None:
    document = read(
        report(part(("126010", "DCM", "Imaging Measurements"), lesion()), sop_class=COMPREHENSIVE)
    )
    length, attenuation = document.observed
    assert length.concept == Concept(*LENGTH)
    (number,) = length.quantities
    assert (number.value, number.unit) == (12.5, Concept("mm", "UCUM", "mm"))
    assert (length.site, length.method) == (Concept(*LIVER), Concept("126020", "DCM", "Multiparametric MRI"))
    assert (length.tracking, length.tracking_uid) == ("Lesion 1", "2.25.99")
    about = {name.meaning: value.meaning for name, value in length.modifiers}
    assert about == {"Finding": "Mass", "Laterality": "Left"}
    assert attenuation.quantities[0].value == -30
    assert {name.meaning for name, _ in attenuation.modifiers} == {"Finding", "Laterality", "Derivation"}
    assert document.is_final


def test_what_one_group_says_is_not_said_of_the_next() -> None:
    alone = part(("125007", "DCM", "Measurement Group"), measured(LENGTH, "3", "mm"))
    document = read(
        report(part(("126010", "DCM", "Imaging Measurements"), lesion(), alone), sop_class=COMPREHENSIVE)
    )
    last = document.observed[-1]
    assert (last.site, last.method, last.modifiers, last.tracking) == (None, None, (), "")


def test_what_nobody_has_verified_is_not_final() -> None:
    assert not read(report(lesion(), sop_class=COMPREHENSIVE, verified="")).is_final


def test_a_number_that_is_missing_keeps_its_reason() -> None:
    item = content(
        "NUM",
        code(*LENGTH),
        NumericValueQualifierCodeSequence=Sequence([code("114006", "DCM", "Measurement failure")]),
    )
    (observed,) = read(report(item, sop_class=COMPREHENSIVE)).observed
    assert observed.quantities[0].value is None
    assert observed.quantities[0].absent == Concept("114006", "DCM", "Measurement failure")


def test_a_local_coding_scheme_keeps_the_uid_that_the_object_tells() -> None:
    data = header(COMPREHENSIVE, "2.25.5", "A1", CompletionFlag="COMPLETE", VerificationFlag="VERIFIED")
    scheme = Dataset()
    scheme.CodingSchemeDesignator, scheme.CodingSchemeUID = "99NORD", "1.2.3.4"
    data.CodingSchemeIdentificationSequence = Sequence([scheme])
    data.ContentSequence = Sequence([measured(("K7", "99NORD", "Knävinkel"), "4", "deg")])
    (observed,) = read(written(data)).observed
    assert observed.concept == Concept("K7", "99NORD", "Knävinkel", "1.2.3.4")


@pytest.mark.parametrize(
    ("offset", "moment"),
    [("+0100", ("20240315", "101500")), ("-1100", ("20240315", "221500")), ("+1400", ("20240314", "211500"))],
)
def test_a_document_is_of_its_swedish_moment(offset: str, moment: tuple[str, str]) -> None:
    data = header(COMPREHENSIVE, "2.25.5", "A1", TimezoneOffsetFromUTC=offset)
    data.ContentSequence = Sequence([measured(("K7", "99NORD", "Knävinkel"), "4", "deg")])
    document = read(written(data))
    assert (document.date, document.time) == moment


def dose_report() -> bytes:
    data = header(DOSE, "2.25.6", "A1", CompletionFlag="COMPLETE", VerificationFlag="UNVERIFIED")
    data.ContentSequence = Sequence(
        [
            part(
                ("113811", "DCM", "CT Accumulated Dose Data"),
                measured(("113813", "DCM", "CT DLP Total"), "412.5", "mGy.cm"),
            ),
            part(
                ("113819", "DCM", "CT Acquisition"),
                coded(("123014", "DCM", "Target Region"), ("51185008", "SCT", "Chest"), relation="CONTAINS"),
                part(
                    ("113829", "DCM", "CT Dose"),
                    measured(("113830", "DCM", "Mean CTDIvol"), "6.1", "mGy"),
                    measured(("113838", "DCM", "DLP"), "412.5", "mGy.cm"),
                ),
            ),
            part(("121406", "DCM", "Reference Authority")),
        ]
    )
    return written(data)


def test_a_dose_report_is_read_by_its_parts_and_needs_nobody_to_verify_it() -> None:
    document = read(dose_report(), DOSE)
    assert DOSE in DOSE_CLASSES
    assert document.is_final
    total, acquisition = document.observed
    assert (total.concept.code, [each.value for each in total.quantities]) == ("113811", [412.5])
    assert [(each.concept.code, each.value) for each in acquisition.quantities] == [
        ("113830", 6.1),
        ("113838", 412.5),
    ]
    assert acquisition.site == Concept("51185008", "SCT", "Chest")
    assert total.site is None


def test_a_report_of_another_maker_is_read() -> None:
    path = get_testdata_file("test-SR.dcm")
    assert path is not None
    with open(str(path), "rb") as file:
        raw = file.read()
    whole = split_part10(raw)
    document = read_measurements(raw[whole.dataset_offset :], whole.transfer_syntax_uid, COMPREHENSIVE)
    diameters = [
        (each.concept.meaning, each.quantities[0].value, each.quantities[0].unit)
        for each in document.observed
    ]
    assert diameters == [("Diameter", 3.0, Concept("cm", "99_OFFIS_DCMTK", "Length Unit"))] * 2


def test_more_numbers_than_the_limit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("samsyn.dicom.measurements.MAX_OBSERVATIONS", 2)
    with pytest.raises(LimitExceeded, match="MAX_OBSERVATIONS"):
        read(report(*(measured(LENGTH, "1", "mm") for _ in range(3)), sop_class=COMPREHENSIVE))
    assert limits.MAX_OBSERVATIONS > 1_000


@given(st.data())
def test_mutated_reports_are_read_or_refused(data: st.DataObject) -> None:
    raw = bytearray(report(lesion(), sop_class=COMPREHENSIVE))
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    for sop_class in (COMPREHENSIVE, DOSE):
        try:
            read(bytes(raw), sop_class)
        except SamsynError:
            continue
