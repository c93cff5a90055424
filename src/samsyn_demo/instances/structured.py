"""Structured reports of the machines: what an ultrasound has measured and the dose of a CT (PS3.16 TID 1500, 10011)."""

from collections.abc import Iterator
from typing import Final

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from samsyn_demo.history import Examination
from samsyn_demo.instances import objects
from samsyn_demo.instances.objects import Instance, Series, SeriesObjects
from samsyn_demo.seed import stream, uid

COMPREHENSIVE_SR = "1.2.840.10008.5.1.4.1.1.88.33"
DOSE_SR = "1.2.840.10008.5.1.4.1.1.88.67"
AORTA_MM: Final = {"aorta": 18, "aneurysm": 46}
"""The aorta's largest diameter by case, as the report's text tells it."""
_REGIONS: Final = {
    "ct-chest": ("51185008", "Chest", "Thorax", 6.0),
    "ct-abdomen": ("818981001", "Abdomen", "Buk", 8.5),
    "ct-head": ("69536005", "Head", "Hjärna", 48.0),
}
"""Target region (SNOMED CT), protocol and usual CTDIvol in mGy."""
_SCAN_CM: Final = {"ct-chest": 34.0, "ct-abdomen": 42.0, "ct-head": 17.0}
_BODY, _HEAD = ("113691", "IEC Body Dosimetry Phantom"), ("113690", "IEC Head Dosimetry Phantom")


def reports(examination: Examination) -> Iterator[Instance]:
    """The structured reports beside the examination's pictures, if its machine makes any."""
    if examination.kind.key in _REGIONS:
        yield _dose(examination)
    elif examination.kind.key == "us-aorta":
        yield _aorta(examination)


def count(examination: Examination) -> int:
    """How many `reports` makes."""
    return int(examination.kind.key in _REGIONS or examination.kind.key == "us-aorta")


def _dose(examination: Examination) -> Instance:
    """CT Radiation Dose: accumulated, and the one acquisition."""
    code, meaning, protocol, usual = _REGIONS[examination.kind.key]
    index = usual * float(stream("dose", examination.key).uniform(0.7, 1.3))
    product = index * _SCAN_CM[examination.kind.key]
    phantom = _HEAD if examination.kind.key == "ct-head" else _BODY
    making = SeriesObjects(Series(examination, 99, "SR", "Dosrapport", device="CT"))
    data = making.new(DOSE_SR, 1)
    _document(data, ("113701", "DCM", "X-Ray Radiation Dose Report"), "UNVERIFIED")
    data.ContentSequence = Sequence(
        [
            _code("121058", "DCM", "Procedure reported", ("77477000", "SCT", "CT"), "HAS CONCEPT MOD"),
            _part(
                "113811", "CT Accumulated Dose Data",
                _number("113812", "Total Number of Irradiation Events", 1, "{events}", "events"),
                _number("113813", "CT Dose Length Product Total", product, "mGy.cm", "mGy.cm"),
            ),
            _part(
                "113819", "CT Acquisition",
                _text("125203", "Acquisition Protocol", protocol),
                _code("123014", "DCM", "Target Region", (code, "SCT", meaning)),
                _code("113820", "DCM", "CT Acquisition Type", ("116152004", "SCT", "Spiral Acquisition")),
                _part(
                    "113829", "CT Dose",
                    _number("113830", "Mean CTDIvol", index, "mGy", "mGy"),
                    _code("113835", "DCM", "CTDIw Phantom Type", (phantom[0], "DCM", phantom[1])),
                    _number("113838", "DLP", product, "mGy.cm", "mGy.cm"),
                ),
            ),
        ]
    )  # fmt: skip
    return making.finish(data)


def _aorta(examination: Examination) -> Instance:
    """The largest diameter of the abdominal aorta."""
    making = SeriesObjects(Series(examination, 98, "SR", "Mätvärden", device="US"))
    data = making.new(COMPREHENSIVE_SR, 1)
    _document(data, ("126000", "DCM", "Imaging Measurement Report"), "UNVERIFIED")
    largest = _code("121401", "DCM", "Derivation", ("56851009", "SCT", "Maximum"), "HAS CONCEPT MOD")
    diameter = _number(
        "81827009", "Diameter", AORTA_MM[examination.case.name], "mm", "mm", scheme="SCT", about=(largest,)
    )
    tracked = _item("HAS OBS CONTEXT", "UIDREF", ("112040", "DCM", "Tracking Unique Identifier"))
    tracked.UID = uid("aorta", examination.person.key)
    group = _part(
        "125007", "Measurement Group",
        _text("112039", "Tracking Identifier", "Bukaorta", "HAS OBS CONTEXT"),
        tracked,
        _code(
            "363698007", "SCT", "Finding Site", ("7832008", "SCT", "Abdominal aorta"), "HAS CONCEPT MOD"
        ),
        diameter,
    )  # fmt: skip
    data.ContentSequence = Sequence([_part("126010", "Imaging Measurements", group)])
    return making.finish(data)


def _document(data: Dataset, title: tuple[str, str, str], verified: str) -> None:
    """The SR document general and content modules without the tree (PS3.3 C.17.2, C.17.3)."""
    data.ValueType, data.ContinuityOfContent = "CONTAINER", "SEPARATE"
    data.ConceptNameCodeSequence = Sequence([objects.code(*title)])
    data.CompletionFlag, data.VerificationFlag = "COMPLETE", verified
    data.PerformedProcedureCodeSequence = Sequence([])
    data.ReferencedPerformedProcedureStepSequence = Sequence([])


def _item(relation: str, kind: str, name: tuple[str, str, str]) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = relation, kind
    item.ConceptNameCodeSequence = Sequence([objects.code(*name)])
    return item


def _part(code: str, meaning: str, *children: Dataset) -> Dataset:
    item = _item("CONTAINS", "CONTAINER", (code, "DCM", meaning))
    item.ContinuityOfContent = "SEPARATE"
    item.ContentSequence = Sequence(children)
    return item


def _code(
    code: str, scheme: str, meaning: str, value: tuple[str, str, str], relation: str = "CONTAINS"
) -> Dataset:
    item = _item(relation, "CODE", (code, scheme, meaning))
    item.ConceptCodeSequence = Sequence([objects.code(*value)])
    return item


def _text(code: str, meaning: str, value: str, relation: str = "CONTAINS") -> Dataset:
    item = _item(relation, "TEXT", (code, "DCM", meaning))
    item.TextValue = value
    return item


def _number(
    code: str,
    meaning: str,
    value: float,
    unit: str,
    unit_meaning: str,
    scheme: str = "DCM",
    about: tuple[Dataset, ...] = (),
) -> Dataset:
    item = _item("CONTAINS", "NUM", (code, scheme, meaning))
    measured = Dataset()
    measured.NumericValue = f"{value:.4g}"
    measured.MeasurementUnitsCodeSequence = Sequence([objects.code(unit, "UCUM", unit_meaning)])
    item.MeasuredValueSequence = Sequence([measured])
    if about:
        item.ContentSequence = Sequence(about)
    return item
