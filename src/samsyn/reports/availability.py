"""The availability clock: when an examination was made, signed, received here and visible to those who may see it.

Images and texts are visible with the record that files them, so received and visible differ only for what was held,
or given to the right patient, in between.
"""

from dataclasses import dataclass
from datetime import datetime

from samsyn.clock import STOCKHOLM
from samsyn.model.imaging import StudySummary
from samsyn.model.texts import ReportStatus, ReportVersion
from samsyn.store.index.port import IndexConnection
from samsyn.store.transaction import Transaction

_SIGNED = frozenset({ReportStatus.FINAL, ReportStatus.CORRECTION, ReportStatus.ADDENDUM})


@dataclass(frozen=True, slots=True)
class Clock:
    """Four moments; None = not known, or not yet."""

    produced: datetime | None
    """Of images: when they were taken. Of a report: when its first version was made."""
    signed: datetime | None
    """Reports only: when the first signed version was made."""
    received: datetime | None
    visible: datetime | None


def note_visible(transaction: Transaction, study_uid: str, received: str) -> None:
    """Keeps that a study which came at `received` is visible from this record on."""
    known = transaction.one("SELECT received FROM availability WHERE study_uid = ?", study_uid)
    first = min(known[0], received) if known else received
    transaction.replace("availability", study_uid=study_uid, received=first, visible=transaction.time)


def of_images(connection: IndexConnection, studies: tuple[StudySummary, ...]) -> dict[str, Clock]:
    """The clock of each study that is shown."""
    found = {}
    for study in studies:
        row = connection.execute(
            "SELECT study.received, a.received, a.visible, (SELECT MAX(made) FROM correction AS c WHERE c.ended = ''"
            " AND c.to_key = study.patient_key AND ? IN (c.study_uid, c.split_uid)) FROM study"
            " LEFT JOIN availability AS a USING(study_uid) WHERE study_uid = ?",
            (study.study_uid, study.study_uid),
        ).fetchone()
        if row is None:
            continue
        visible = max(text for text in (row[0], row[2], row[3]) if text)
        found[study.study_uid] = Clock(
            _taken(study.date, study.time), None, _moment(row[1] or row[0]), _moment(visible)
        )
    return found


def of_report(versions: tuple[ReportVersion, ...]) -> Clock | None:
    """The clock of a report from all its versions; None without any."""
    if not versions:
        return None
    made = [each.result_time for each in versions if each.result_time]
    signed = [each.result_time for each in versions if each.status in _SIGNED and each.result_time]
    received = min(each.received for each in versions)
    return Clock(min(made, default=None), min(signed, default=None), received, received)


def _taken(date: str, time: str) -> datetime | None:
    """Study date and time in Sweden; None when the time is not told."""
    digits = (date + time.partition(".")[0]).ljust(14, "0")
    try:
        return datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=STOCKHOLM) if date and time else None
    except ValueError:
        return None


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
