"""Rejection notes (IHE RAD TF-2 4.66, IOCM): Key Object Selections that take instances back. Read and written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from samsyn.dicom.encoding import encode
from samsyn.dicom.json import to_dicom_json
from samsyn.dicom.transfer_syntaxes import EXPLICIT_LITTLE
from samsyn.dicom.uids import is_uid
from samsyn.errors import BadInput, LimitExceeded
from samsyn.limits import MAX_REJECTED_INSTANCES
from samsyn.model.attributes import Attributes
from samsyn.model.rejection import REJECTION_CODES, Reference, RejectionNote

KEY_OBJECT_SELECTION: Final = "1.2.840.10008.5.1.4.1.1.88.59"

_CONCEPT_NAME: Final = "0040A043"
_EVIDENCE: Final = "0040A375"
_REFERENCED_SERIES: Final = "00081115"
_REFERENCED_SOP: Final = "00081199"


def read_rejection(data: bytes | memoryview, transfer_syntax_uid: str) -> RejectionNote | None:
    """The note in a Key Object Selection, None when its title is none of REJECTION_CODES.

    What it takes back stands in the Current Requested Procedure Evidence Sequence. BadInput: a rejection without
    references, or with something that is no UID. LimitExceeded: MAX_REJECTED_INSTANCES.
    """
    model = orjson.loads(to_dicom_json(data, transfer_syntax_uid, ""))
    titles = _items(model, _CONCEPT_NAME)
    if (
        not titles
        or _value(titles[0], "00080102") != "DCM"
        or _value(titles[0], "00080100") not in REJECTION_CODES
    ):
        return None
    references: list[Reference] = []
    for study in _items(model, _EVIDENCE):
        for series in _items(study, _REFERENCED_SERIES):
            for instance in _items(series, _REFERENCED_SOP):
                names = (_value(study, "0020000D"), _value(series, "0020000E"), _value(instance, "00081155"))
                if not all(map(is_uid, names)):
                    raise BadInput("a rejection note names something that is no UID")
                references.append(Reference(*names, _value(instance, "00081150")))
                if len(references) > MAX_REJECTED_INSTANCES:
                    raise LimitExceeded("MAX_REJECTED_INSTANCES")
    if not references:
        raise BadInput("a rejection note names no instance")
    return RejectionNote(_value(titles[0], "00080100"), tuple(references))


def _items(model: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    values = model.get(key, {}).get("Value", [])
    return [each for each in values if isinstance(each, dict)]


def _value(model: Mapping[str, Any], key: str) -> str:
    values = model.get(key, {}).get("Value", [])
    return values[0] if values and isinstance(values[0], str) else ""


@dataclass(frozen=True, slots=True)
class NoteFrame:
    """What stands around the references of a note that is written here."""

    patient: Attributes
    """Name, id, issuer, birth date and sex as the rejected instances have them, and the study's own attributes."""
    study_uid: str
    series_uid: str
    sop_instance_uid: str
    date: str
    time: str
    institution: str


def write_rejection(note: RejectionNote, frame: NoteFrame) -> bytes:
    """The note as a data set in Explicit VR Little Endian (PS3.3 A.35.4, template TID 2010)."""
    by_series: dict[str, list[Reference]] = {}
    for reference in note.references:
        by_series.setdefault(reference.series_uid, []).append(reference)
    series = tuple(_series(uid, references) for uid, references in by_series.items())
    evidence: Attributes = {0x0020000D: ("UI", (frame.study_uid,)), 0x00081115: ("SQ", series)}
    attributes: Attributes = {
        **frame.patient,
        0x00080016: ("UI", (KEY_OBJECT_SELECTION,)),
        0x00080018: ("UI", (frame.sop_instance_uid,)),
        0x00080023: ("DA", (frame.date,)),
        0x00080033: ("TM", (frame.time,)),
        0x00080060: ("CS", ("KO",)),
        0x00080070: ("LO", ("Samsyn",)),
        0x00080080: ("LO", (frame.institution,)),
        0x0020000D: ("UI", (frame.study_uid,)),
        0x0020000E: ("UI", (frame.series_uid,)),
        0x00200011: ("IS", (1,)),
        0x00200013: ("IS", (1,)),
        0x00081111: ("SQ", ()),
        0x0040A040: ("CS", ("CONTAINER",)),
        0x0040A043: ("SQ", (_code(note.code, REJECTION_CODES[note.code]),)),
        0x0040A050: ("CS", ("SEPARATE",)),
        0x0040A375: ("SQ", (evidence,)),
        0x0040A504: ("SQ", ({0x00080105: ("CS", ("DCMR",)), 0x0040DB00: ("CS", ("2010",))},)),
        0x0040A730: ("SQ", tuple(_image(reference) for reference in note.references)),
    }
    return encode(attributes, EXPLICIT_LITTLE)


def _code(value: str, meaning: str) -> Attributes:
    return {0x00080100: ("SH", (value,)), 0x00080102: ("SH", ("DCM",)), 0x00080104: ("LO", (meaning,))}


def _series(series_uid: str, references: Sequence[Reference]) -> Attributes:
    instances = tuple(_sop(reference) for reference in references)
    return {0x0020000E: ("UI", (series_uid,)), 0x00081199: ("SQ", instances)}


def _sop(reference: Reference) -> Attributes:
    return {
        0x00081150: ("UI", (reference.sop_class_uid,)),
        0x00081155: ("UI", (reference.sop_instance_uid,)),
    }


def _image(reference: Reference) -> Attributes:
    return {
        0x0040A010: ("CS", ("CONTAINS",)),
        0x0040A040: ("CS", ("COMPOSITE",)),
        0x00081199: ("SQ", (_sop(reference),)),
    }
