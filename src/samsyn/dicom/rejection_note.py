"""A rejection note as a key object selection: which objects are not to be used any more, and why (IHE RAD IOCM).

It names the patient and study as the objects were sent, since that is what their receivers have.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from samsyn.model.attributes import Attributes
from samsyn.model.patient import Demographics

KEY_OBJECT_SELECTION: Final = "1.2.840.10008.5.1.4.1.1.88.59"
WRONG_WORKLIST_ENTRY: Final = ("113038", "DCM", "Incorrect Modality Worklist Entry")
"""The code for objects of the wrong patient (PS3.16 CID 7011)."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """One object."""

    series_uid: str
    sop_class_uid: str
    sop_instance_uid: str


def rejection_note(
    note_uid: str,
    study_uid: str,
    patient_id: str,
    issuer: str,
    said: Demographics,
    objects: Sequence[Rejected],
    now: datetime,
) -> Attributes:
    """The note's attributes; its series UID follows from its own UID, so that a repetition is the same object."""
    series: dict[str, list[Attributes]] = {}
    for each in objects:
        series.setdefault(each.series_uid, []).append(_reference(each))
    evidence: tuple[Attributes, ...] = tuple(
        {0x0020000E: ("UI", (uid,)), 0x00081199: ("SQ", tuple(references))}
        for uid, references in series.items()
    )
    value, scheme, meaning = WRONG_WORKLIST_ENTRY
    title: Attributes = {
        0x00080100: ("SH", (value,)),
        0x00080102: ("SH", (scheme,)),
        0x00080104: ("LO", (meaning,)),
    }
    content: tuple[Attributes, ...] = tuple(
        {
            0x0040A010: ("CS", ("CONTAINS",)),
            0x0040A040: ("CS", ("IMAGE",)),
            0x00081199: ("SQ", (_reference(each),)),
        }
        for each in objects
    )
    template: Attributes = {0x00080105: ("CS", ("DCMR",)), 0x0040DB00: ("CS", ("2010",))}
    of_study: Attributes = {0x0020000D: ("UI", (study_uid,)), 0x00081115: ("SQ", evidence)}
    return {
        0x00080016: ("UI", (KEY_OBJECT_SELECTION,)),
        0x00080018: ("UI", (note_uid,)),
        0x00080020: ("DA", ()),
        0x00080023: ("DA", (now.strftime("%Y%m%d"),)),
        0x00080030: ("TM", ()),
        0x00080033: ("TM", (now.strftime("%H%M%S"),)),
        0x00080050: ("SH", ()),
        0x00080060: ("CS", ("KO",)),
        0x00080070: ("LO", ("Samsyn",)),
        0x00080090: ("PN", ()),
        0x00081111: ("SQ", ()),
        0x00100010: ("PN", _some(said.name)),
        0x00100020: ("LO", _some(patient_id)),
        0x00100021: ("LO", _some(issuer)),
        0x00100030: ("DA", _some(said.birth_date)),
        0x00100040: ("CS", _some(said.sex)),
        0x0020000D: ("UI", (study_uid,)),
        0x0020000E: ("UI", (f"{note_uid}.1",)),
        0x00200010: ("SH", ()),
        0x00200011: ("IS", (1,)),
        0x00200013: ("IS", (1,)),
        0x0040A040: ("CS", ("CONTAINER",)),
        0x0040A043: ("SQ", (title,)),
        0x0040A050: ("CS", ("SEPARATE",)),
        0x0040A375: ("SQ", (of_study,)),
        0x0040A504: ("SQ", (template,)),
        0x0040A730: ("SQ", content),
    }


def _reference(each: Rejected) -> Attributes:
    return {0x00081150: ("UI", (each.sop_class_uid,)), 0x00081155: ("UI", (each.sop_instance_uid,))}


def _some(value: str) -> tuple[str, ...]:
    return (value,) if value else ()
