"""From DICOM matching text to conditions (PS3.4 C.2.2.2). Pure."""

import re

from samsyn.errors import BadInput, NotSupported
from samsyn.patients.names import folded
from samsyn.search.query import Level, Query
from samsyn.store.index.find_rows import Condition

PATIENT_NAME = 0x00100010
PATIENT_ID = 0x00100020
ISSUER_OF_PATIENT_ID = 0x00100021
STUDY_DATE = 0x00080020
MODALITIES_IN_STUDY = 0x00080061
MODALITY = 0x00080060
LEVEL = 0x00080052
SPECIFIC_CHARACTER_SET = 0x00080005

_TEXT = {
    0x00080050: "study.accession",
    0x00081030: "study.description",
    0x00080090: "study.referring",
    0x00200010: "study.study_id",
    0x00100040: "patient.sex",
    0x00080060: "series.modality",
    0x0008103E: "series.description",
    0x00180015: "series.body_part",
    0x00200060: "series.laterality",
    0x00181030: "series.protocol",
    0x00081010: "series.station",
    0x00080070: "series.manufacturer",
    0x00080080: "series.institution",
}
_UIDS = {
    0x0020000D: "study.study_uid",
    0x0020000E: "series.series_uid",
    0x00080018: "instance.sop_uid",
    0x00080016: "instance.sop_class",
}
_DATES = {
    0x00080020: "study.study_date",
    0x00100030: "patient.birth_date",
    0x00400244: "series.started_date",
    0x00080021: "series.started_date",
    0x00080023: "instance.content_date",
}
_TIMES = {
    0x00080030: "study.study_time",
    0x00400245: "series.started_time",
    0x00080031: "series.started_time",
}
_NUMBERS = {0x00200011: "series.number", 0x00200013: "instance.number"}

_TABLES = {
    Level.PATIENT: ("study", "patient"),
    Level.STUDY: ("study", "patient"),
    Level.SERIES: ("study", "patient", "series"),
    Level.IMAGE: ("study", "patient", "series", "instance"),
}

_DATE = re.compile(r"^\d{8}$")
_TIME = re.compile(r"^\d{2,6}(\.\d{1,6})?$")


def is_indexed(tag: int, level: Level) -> bool:
    """Whether the tag can restrict a search at the level."""
    if tag in (PATIENT_NAME, PATIENT_ID, MODALITIES_IN_STUDY):
        return True
    columns = _TEXT | _UIDS | _DATES | _TIMES | _NUMBERS
    return tag in columns and columns[tag].split(".")[0] in _TABLES[level]


def conditions_of(query: Query) -> list[Condition]:
    """Every key as conditions, but for the patient's id, which needs the register.

    BadInput: a date or time that is none. NotSupported: a key with a value that is not indexed at the level:
    dropping it silently would answer another question than was asked.
    """
    conditions: list[Condition] = []
    for tag, text in query.keys.items():
        value = text.strip(" \0")
        if (
            not value
            or value == "*"
            or tag in (PATIENT_ID, ISSUER_OF_PATIENT_ID, LEVEL, SPECIFIC_CHARACTER_SET)
        ):
            continue
        if not is_indexed(tag, query.level):
            raise NotSupported(f"({tag >> 16:04X},{tag & 0xFFFF:04X}) is not matched at this level")
        conditions.extend(_conditions_of_key(tag, value, query))
    return conditions


def _conditions_of_key(tag: int, value: str, query: Query) -> list[Condition]:
    if tag == PATIENT_NAME:
        return _name(value, query.fuzzy)
    if tag == MODALITIES_IN_STUDY:
        first, last = date_range(query.keys.get(STUDY_DATE, ""))
        return [Condition("", "modality", (*value.split("\\"), first, last))]
    if tag in _UIDS:
        uids = tuple(part.strip(" \0") for part in re.split(r"[\\,]", value))
        return [Condition(_UIDS[tag], "one-of", uids)]
    if tag in _DATES:
        return [Condition(_DATES[tag], "range", date_range(value))]
    if tag in _TIMES:
        return [Condition(_TIMES[tag], "range", time_range(value))]
    if tag in _NUMBERS:
        return [Condition(_NUMBERS[tag], "equals", (_number(value),))]
    values = value.split("\\")
    if len(values) > 1:
        return [Condition(_TEXT[tag], "one-of", tuple(values))]
    return [text_condition(_TEXT[tag], value)]


def text_condition(column: str, value: str) -> Condition:
    """Single value matching, or wild card matching when `*` or `?` stand in the value."""
    if "*" in value or "?" in value:
        return Condition(column, "like", (like_pattern(value),))
    return Condition(column, "equals", (value,))


def like_pattern(value: str) -> str:
    """DICOM wild cards as a LIKE pattern with `\\` as escape: everything else stands for itself."""
    escaped = value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%").replace("?", "_")


def _name(value: str, fuzzy: bool) -> list[Condition]:
    """Case and accents are folded; fuzzy: each word is the beginning of some word of the name."""
    column = "patient.folded_name"
    if not fuzzy:
        return [text_condition(column, folded(value))]
    words = [word for word in re.split(r"[\^=,\s]+", folded(value).replace("*", "")) if word]
    conditions: list[Condition] = []
    for word in words:
        conditions.append(
            Condition(
                "('^' || REPLACE(patient.folded_name, ' ', '^'))", "like", (f"%^{like_pattern(word)}%",)
            )
        )
    return conditions


def date_range(value: str) -> tuple[str, str]:
    """First and last day of a DA range, each "" = open; old dots are taken out (PS3.5 6.2)."""
    return _range(value.strip().replace(".", ""), _DATE, "date")


def time_range(value: str) -> tuple[str, str]:
    """First and last moment of a TM range; the last is filled up so that 10 takes in 1059."""
    first, last = _range(value.strip().replace(":", ""), _TIME, "time")
    return first, (last + "235959.999999"[len(last) :] if last and len(last) < 6 else last and f"{last}~")


def _range(value: str, form: re.Pattern[str], what: str) -> tuple[str, str]:
    if not value:
        return "", ""
    first, dash, last = value.partition("-")
    if not dash:
        last = first
    for part in (first, last):
        if part and not form.match(part):
            raise BadInput(f"not a {what} or {what} range")
    if not first and not last:
        raise BadInput(f"an empty {what} range")
    return first, last


def _number(value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise BadInput("not a whole number") from None
