"""Which attributes a search matches and answers, as one table for C-FIND, QIDO-RS and the conformance statement."""

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from samsyn.dicom.requested import ACCESSION, PROCEDURE_ID, REQUEST_ATTRIBUTES, STEP_ID
from samsyn.search.query import Level


class Kind(StrEnum):
    """How a key is compared (PS3.4 C.2.2.2)."""

    TEXT = "single value, wild card, list"
    NAME = "person name: single value and wild card in each component group, case and accents folded"
    UID = "list of UIDs"
    DATE = "date range"
    TIME = "time range"
    NUMBER = "number"
    PATIENT_ID = "any written form of the identifier, wild card"
    ISSUER = "single value"
    MODALITIES = "any of the study's modalities: single value, wild card, list"
    SEQUENCE = "sequence"
    NONE = "returned only"


@dataclass(frozen=True, slots=True)
class Key:
    """One attribute. `column` is where the index has it; its table tells from which level on it is matched."""

    tag: int
    level: Level
    kind: Kind
    column: str = ""
    only_at_level: bool = False
    """Returned by searches at `level` alone, not below."""


ISSUER_OF_PATIENT_ID: Final = 0x00100021
ISSUER_QUALIFIERS: Final = 0x00100024
PATIENT_ID: Final = 0x00100020
ISSUER_OF_ACCESSION: Final = 0x00080051
LOCAL_NAMESPACE: Final = 0x00400031
UNIVERSAL_ID: Final = 0x00400032
UNIVERSAL_ID_TYPE: Final = 0x00400033

KEYS: Final[tuple[Key, ...]] = (
    Key(0x00100010, Level.PATIENT, Kind.NAME, "patient.folded_name"),
    Key(PATIENT_ID, Level.PATIENT, Kind.PATIENT_ID, "patient."),
    Key(ISSUER_OF_PATIENT_ID, Level.PATIENT, Kind.ISSUER, "patient."),
    Key(ISSUER_QUALIFIERS, Level.PATIENT, Kind.SEQUENCE),
    Key(0x00100030, Level.PATIENT, Kind.DATE, "patient.birth_date"),
    Key(0x00100040, Level.PATIENT, Kind.TEXT, "patient.sex"),
    Key(0x00201200, Level.PATIENT, Kind.NONE, only_at_level=True),
    Key(0x00201202, Level.PATIENT, Kind.NONE, only_at_level=True),
    Key(0x00201204, Level.PATIENT, Kind.NONE, only_at_level=True),
    Key(0x00080020, Level.STUDY, Kind.DATE, "study.study_date"),
    Key(0x00080030, Level.STUDY, Kind.TIME, "study.study_time"),
    Key(0x00080050, Level.STUDY, Kind.TEXT, "study.accession"),
    Key(ISSUER_OF_ACCESSION, Level.STUDY, Kind.SEQUENCE),
    Key(0x00080056, Level.STUDY, Kind.NONE),
    Key(0x00080061, Level.STUDY, Kind.MODALITIES, "study."),
    Key(0x00080090, Level.STUDY, Kind.NAME, "study.folded_referring"),
    Key(0x00081030, Level.STUDY, Kind.TEXT, "study.description"),
    Key(0x0020000D, Level.STUDY, Kind.UID, "study.study_uid"),
    Key(0x00200010, Level.STUDY, Kind.TEXT, "study.study_id"),
    Key(0x00201206, Level.STUDY, Kind.NONE),
    Key(0x00201208, Level.STUDY, Kind.NONE),
    Key(0x00080021, Level.SERIES, Kind.DATE, "series.series_date"),
    Key(0x00080031, Level.SERIES, Kind.TIME, "series.series_time"),
    Key(0x00080060, Level.SERIES, Kind.TEXT, "series.modality"),
    Key(0x00080070, Level.SERIES, Kind.TEXT, "series.manufacturer"),
    Key(0x00080080, Level.SERIES, Kind.TEXT, "series.institution"),
    Key(0x00081010, Level.SERIES, Kind.TEXT, "series.station"),
    Key(0x0008103E, Level.SERIES, Kind.TEXT, "series.description"),
    Key(0x00180015, Level.SERIES, Kind.TEXT, "series.body_part"),
    Key(0x00181030, Level.SERIES, Kind.TEXT, "series.protocol"),
    Key(0x0020000E, Level.SERIES, Kind.UID, "series.series_uid"),
    Key(0x00200011, Level.SERIES, Kind.NUMBER, "series.number"),
    Key(0x00200060, Level.SERIES, Kind.TEXT, "series.laterality"),
    Key(0x00201209, Level.SERIES, Kind.NONE),
    Key(0x00400244, Level.SERIES, Kind.DATE, "series.started_date"),
    Key(0x00400245, Level.SERIES, Kind.TIME, "series.started_time"),
    Key(REQUEST_ATTRIBUTES, Level.SERIES, Kind.SEQUENCE),
    Key(0x00080016, Level.IMAGE, Kind.UID, "instance.sop_class"),
    Key(0x00080018, Level.IMAGE, Kind.UID, "instance.sop_uid"),
    Key(0x00080023, Level.IMAGE, Kind.DATE, "instance.content_date"),
    Key(0x00080033, Level.IMAGE, Kind.TIME, "instance.content_time"),
    Key(0x00083002, Level.IMAGE, Kind.UID, "instance.transfer_syntax"),
    Key(0x00200013, Level.IMAGE, Kind.NUMBER, "instance.number"),
    Key(0x00280008, Level.IMAGE, Kind.NUMBER, "instance.frames"),
    Key(0x00280010, Level.IMAGE, Kind.NUMBER, "instance.pixel_rows"),
    Key(0x00280011, Level.IMAGE, Kind.NUMBER, "instance.pixel_columns"),
    Key(0x00280100, Level.IMAGE, Kind.NUMBER, "instance.bits_allocated"),
)
"""Every attribute that search knows, by the level that it belongs to (PS3.4 C.6.1.1, C.6.2.1)."""

KEY_OF: Final = MappingProxyType({key.tag: key for key in KEYS})

ITEM_KEYS: Final = MappingProxyType(
    {
        (ISSUER_QUALIFIERS, UNIVERSAL_ID): Key(UNIVERSAL_ID, Level.PATIENT, Kind.ISSUER, "patient."),
        (ISSUER_OF_ACCESSION, LOCAL_NAMESPACE): Key(
            LOCAL_NAMESPACE, Level.STUDY, Kind.TEXT, "study.accession_issuer"
        ),
        (ISSUER_OF_ACCESSION, UNIVERSAL_ID): Key(
            UNIVERSAL_ID, Level.STUDY, Kind.TEXT, "study.accession_issuer"
        ),
        (REQUEST_ATTRIBUTES, STEP_ID): Key(STEP_ID, Level.SERIES, Kind.TEXT, "series.step_id"),
        (REQUEST_ATTRIBUTES, PROCEDURE_ID): Key(PROCEDURE_ID, Level.SERIES, Kind.TEXT, "series.procedure_id"),
        (REQUEST_ATTRIBUTES, ACCESSION): Key(ACCESSION, Level.SERIES, Kind.TEXT, "series.accession"),
    }
)
"""(sequence, attribute of its item) -> what it is compared with (PS3.4 C.2.2.2.6)."""

DATE_AND_TIME: Final = (
    (0x00080020, 0x00080030),
    (0x00080021, 0x00080031),
    (0x00400244, 0x00400245),
    (0x00080023, 0x00080033),
)
"""Dates with the times that complete them: matched together when that was asked for (PS3.4 C.2.2.2.5)."""

_RANK: Final = {Level.PATIENT: 0, Level.STUDY: 1, Level.SERIES: 2, Level.IMAGE: 3}
_TABLES: Final = {
    Level.PATIENT: ("study", "patient"),
    Level.STUDY: ("study", "patient"),
    Level.SERIES: ("study", "patient", "series"),
    Level.IMAGE: ("study", "patient", "series", "instance"),
}


def is_matched(key: Key, level: Level) -> bool:
    """Whether the key can restrict a search at the level. Patients may be searched by what their studies have."""
    return bool(key.column) and key.column.partition(".")[0] in _TABLES[level]


def is_indexed(tag: int, level: Level) -> bool:
    """Whether the tag can restrict a search at the level."""
    key = KEY_OF.get(tag)
    return key is not None and is_matched(key, level)


def is_returned(tag: int, level: Level) -> bool:
    """Whether matches at the level carry the attribute (perhaps empty)."""
    key = KEY_OF.get(tag)
    if key is None:
        return False
    return key.level is level if key.only_at_level else _RANK[key.level] <= _RANK[level]
