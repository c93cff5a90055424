"""Which rows follow from one accepted instance. Runs inside the writer's serial section."""

import re
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from types import MappingProxyType

from samsyn.dicom.moments import TIMEZONE_OFFSET, in_sweden
from samsyn.dicom.reading import Summary
from samsyn.dicom.report_documents import REPORT_CLASSES
from samsyn.dicom.requested import read_requested
from samsyn.jobs import queue
from samsyn.model.amendment import AMENDABLE
from samsyn.model.patient import Demographics
from samsyn.model.sender import Sender
from samsyn.store.transaction import Transaction

SERIES_DOCUMENT = "series-document"
"""Kind of the job that prepares a quiet series for fast reading."""
REPORT_DOCUMENT = "report-document"
"""Kind of the job that files what a document object (SR, PDF, CDA) says as a report (reports.forms.documents does it);
named by the SOP Instance UID, with the study's UID as payload."""
SERIES_QUIET_S = 5.0
"""A series without new instances for this long is taken for complete for the time being."""
_LATEST_PEOPLE = 256
"""Whose headers come again and again, as an examination's instances do."""

_STUDY_COLUMNS = MappingProxyType({tag: column for tag, (_, column) in AMENDABLE.items() if column})
"""Tag -> column of a study's row of what its objects say about the study."""
_NUMBER = re.compile(r"^\s*([+-]?\d{1,12})")
_DATE = re.compile(r"\d{8}", re.ASCII)
_TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d(([0-5]\d|60)(\.\d{1,6})?)?)?", re.ASCII)


def demographics_of(summary: Summary) -> Demographics:
    """What the image's header says about the person."""
    values = summary.values
    return _demographics(values.get(0x00100010, ""), values.get(0x00100030, ""), values.get(0x00100040, ""))


@lru_cache(maxsize=_LATEST_PEOPLE)
def _demographics(name: str, birth_date: str, sex: str) -> Demographics:
    """One object for all instances that say the same, so that telling them alike costs nothing."""
    sex = sex.strip().upper()
    return Demographics(
        name=name.strip(), birth_date=_date(birth_date), sex=sex if sex in ("M", "F", "O") else ""
    )


def add_study(transaction: Transaction, sender: Sender, summary: Summary, patient_key: int) -> int:
    """Makes the study's row, owned by the sender's provider and unit; its key."""
    values = summary.values
    study_date, study_time = _moment(values, 0x00080020, 0x00080030)
    day = int(study_date) if study_date else None
    key = transaction.next_key("study")
    transaction.insert(
        "study",
        study_key=key,
        study_uid=summary.study_uid,
        patient_key=patient_key,
        provider=sender.provider,
        unit=sender.unit,
        begins=day,
        ends=day,
        study_date=study_date,
        study_time=study_time,
        study_id=values.get(0x00200010, "").strip(),
        description=values.get(0x00081030, "").strip(),
        accession=values.get(0x00080050, "").strip(),
        accession_issuer=sender.accession_issuer,
        referring=values.get(0x00080090, "").strip(),
        patient_id_sent=values.get(0x00100020, ""),
        patient_name_sent=values.get(0x00100010, ""),
        modalities="",
        series_count=0,
        instance_count=0,
        received=transaction.time,
    )
    return key


def complete_study(transaction: Transaction, sender: Sender, summary: Summary, study_key: int) -> None:
    """What the study's objects so far left empty and a new series tells, so that it is found by its number and day,
    whichever object came first. What a steward has corrected stays, empty too; only the owner's objects tell.
    """
    columns = ", ".join(_STUDY_COLUMNS.values())
    uid, provider, *row = transaction.one(
        f"SELECT study_uid, provider, {columns} FROM study WHERE study_key = ?",  # noqa: S608 - constants
        study_key,
    )
    kept = dict(zip(_STUDY_COLUMNS.values(), row, strict=True))
    if provider != sender.provider or all(kept.values()):
        return
    values = summary.values
    told = {column: values.get(tag, "").strip() for tag, column in _STUDY_COLUMNS.items()}
    told["study_date"], told["study_time"] = _moment(values, 0x00080020, 0x00080030)
    if kept["study_date"] not in ("", told["study_date"]):
        told["study_time"] = ""  # of another day
    found: dict[str, object] = {column: value for column, value in told.items() if value and not kept[column]}
    if found:
        amended = transaction.all("SELECT tag FROM amendment WHERE study_uid = ?", uid)
        for (tag,) in amended:
            found.pop(_STUDY_COLUMNS.get(tag, ""), None)
    if not found:
        return
    if "accession" in found:
        found["accession_issuer"] = sender.accession_issuer
    if "study_date" in found:
        found |= {"begins": int(told["study_date"]), "ends": int(told["study_date"])}
        transaction.update("study_modality", {"study_key": study_key}, study_date=told["study_date"])
    transaction.update("study", {"study_key": study_key}, **found)


def add_series(transaction: Transaction, summary: Summary, study_key: int) -> int:
    """Makes the series' row, brings the study's modalities and counts along; the series' key."""
    values = summary.values
    key = transaction.next_key("series")
    modality = values.get(0x00080060, "").strip()
    series_date, series_time = _moment(values, 0x00080021, 0x00080031)
    started_date, started_time = _moment(values, 0x00400244, 0x00400245)
    transaction.insert(
        "series",
        series_key=key,
        series_uid=summary.series_uid,
        study_key=study_key,
        modality=modality,
        number=_number(values.get(0x00200011, "")),
        description=values.get(0x0008103E, "").strip(),
        body_part=values.get(0x00180015, "").strip(),
        laterality=(values.get(0x00200060, "") or values.get(0x00200062, "")).strip(),
        station=values.get(0x00081010, "").strip(),
        manufacturer=values.get(0x00080070, "").strip(),
        institution=values.get(0x00080080, "").strip(),
        protocol=values.get(0x00181030, "").strip(),
        series_date=series_date,
        series_time=series_time,
        started_date=started_date,
        started_time=started_time,
        instance_count=0,
    )
    for place, requested in enumerate(read_requested(summary.request)):
        transaction.insert(
            "series_request",
            series_key=key,
            place=place,
            step_id=requested.step_id,
            procedure_id=requested.procedure_id,
            accession=requested.accession,
        )
    modalities, study_date = transaction.one(
        "SELECT modalities, study_date FROM study WHERE study_key = ?", study_key
    )
    known = set(modalities.split("\\")) - {""}
    if modality and modality not in known:
        transaction.update(
            "study", {"study_key": study_key}, modalities="\\".join(sorted(known | {modality}))
        )
        transaction.insert("study_modality", modality=modality, study_date=study_date, study_key=study_key)
    transaction.add("study", {"study_key": study_key}, series_count=1)
    queue.enqueue(transaction, SERIES_DOCUMENT, summary.series_uid, delay_s=SERIES_QUIET_S)
    return key


def add_instance(
    transaction: Transaction,
    sender: Sender,
    summary: Summary,
    transfer_syntax_uid: str,
    series_key: int,
) -> None:
    """Makes the instance's row beside its bytes; the index counts it in series and study by itself."""
    values, pixels = summary.values, summary.pixels
    content_date, content_time = _moment(values, 0x00080023, 0x00080033)
    transaction.insert_with_body(
        "instance",
        sop_uid=summary.sop_instance_uid,
        series_key=series_key,
        sop_class=summary.sop_class_uid,
        transfer_syntax=transfer_syntax_uid,
        number=_number(values.get(0x00200013, "")),
        content_date=content_date,
        content_time=content_time,
        sha256=transaction.body_sha256,
        checksum=transaction.body_checksum,
        pixel_offset=pixels.offset if pixels else -1,
        pixel_length=pixels.length if pixels else 0,
        pixel_rows=pixels.rows if pixels else 0,
        pixel_columns=pixels.columns if pixels else 0,
        samples=pixels.samples if pixels else 0,
        bits_allocated=pixels.bits_allocated if pixels else 0,
        bits_stored=pixels.bits_stored if pixels else 0,
        signed=int(pixels.signed) if pixels else 0,
        photometric=pixels.photometric if pixels else "",
        planar=pixels.planar if pixels else 0,
        frames=pixels.frames if pixels else 0,
        sender=sender.name,
        received=transaction.time,
    )
    if summary.sop_class_uid in REPORT_CLASSES:
        queue.enqueue(transaction, REPORT_DOCUMENT, summary.sop_instance_uid, summary.study_uid)


def _number(text: str) -> int | None:
    found = _NUMBER.match(text)
    return int(found.group(1)) if found else None


def _moment(values: Mapping[int, str], date_tag: int, time_tag: int) -> tuple[str, str]:
    """A date and its time as the index has them, in Swedish time: moved when the object tells its offset from UTC."""
    day, time = _date(values.get(date_tag, "")), _time(values.get(time_tag, ""))
    offset = values.get(TIMEZONE_OFFSET)
    return in_sweden(day, time, offset) if offset else (day, time)


def _date(text: str) -> str:
    """A real date as YYYYMMDD, or empty: impossible ones stay in the object and out of the index."""
    plain = text.strip().replace(".", "")
    if not _DATE.fullmatch(plain):
        return ""
    try:
        date(int(plain[:4]), int(plain[4:6]), int(plain[6:]))
    except ValueError:
        return ""
    return plain


def _time(text: str) -> str:
    """A time of day (PS3.5 6.2: TM) without colons, or empty, as for dates."""
    plain = text.strip().replace(":", "")
    return plain if _TIME.fullmatch(plain) else ""
