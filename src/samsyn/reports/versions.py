"""Versions of reports in the index. A version is only ever added; `order` decides what they are to the reader."""

from datetime import datetime
from typing import Any

from samsyn.clock import swedish_day
from samsyn.hl7v2.meaning import ReportEvent
from samsyn.hl7v2.times import REPEATED, Doubt
from samsyn.model.sender import Sender
from samsyn.reports import shared_numbers
from samsyn.reports.visits import Visit
from samsyn.store.transaction import Transaction


def add(
    transaction: Transaction,
    event: ReportEvent,
    sender: Sender,
    patient_key: int,
    visit: Visit,
    message_key: int,
) -> bool:
    """Files a version; False when the very same version of the same report is there already.

    Sources send a report again under a new control id (resends, several receivers): one version, one effect. Only
    when something else was said of the report in between is the repetition a word of its own.
    """
    issuer = event.accession_issuer or sender.accession_issuer
    result_time = event.result_time.isoformat() if event.result_time else None
    if event.doubt and event.doubt is not Doubt.SKIPPED and event.result_time is not None:
        result_time = _placed(transaction, event, event.result_time, issuer, patient_key)
    told = event.when.isoformat() if event.when else ""
    same = not transaction.is_bare(patient_key, "report") and transaction.one(
        "SELECT report_key, COALESCE(told, ''), unit, study_uid, procedure_text, begins, ends FROM report"
        " WHERE patient_key = ? AND accession = ? AND accession_issuer = ? AND filler_id = ? AND status = ?"
        " AND COALESCE(result_time, '') = ? AND text = ?"
        " AND author = ? AND signer = ? AND provider = ? ORDER BY 2 DESC LIMIT 1",
        patient_key,
        event.accession,
        issuer,
        event.filler_id,
        event.status.value,
        result_time or "",
        event.text,
        event.author,
        event.signer,
        event.owner.provider,
        of=(("report", patient_key),),
    )
    begins, ends = _days(event.examined, event.result_time)  # both hours are of one day
    if same and not _is_said_anew(transaction, event, issuer, patient_key, same[:2], told):
        if told and told >= same[1]:
            _correct(transaction, event, same, (begins, ends), told == same[1])
        return False
    transaction.insert(
        "report",
        report_key=transaction.next_key("report"),
        patient_key=patient_key,
        provider=event.owner.provider,
        unit=event.owner.unit,
        begins=begins,
        ends=ends,
        accession_issuer=issuer,
        accession=event.accession,
        filler_id=event.filler_id,
        study_uid=event.study_uids[0] if event.study_uids else "",
        status=event.status.value,
        result_time=result_time,
        author=event.author,
        signer=event.signer,
        procedure_text=event.procedure_text,
        text=event.text,
        fragment=int(event.fragment),
        reason=event.reason,
        received=transaction.time,
        form=event.form,
        sop_uid="",
        series_uid="",
        visit=visit.visit,
        account=visit.account,
        message_key=message_key,
        told=told,
    )
    owner = event.owner.provider, event.owner.unit
    shared_numbers.look(transaction, (issuer, event.accession), patient_key, owner, event.status, told)
    return True


def _placed(
    transaction: Transaction, event: ReportEvent, late: datetime, issuer: str, patient_key: int
) -> str:
    """When a version was made that may be of either of autumn's two hours: where the very same version stands, if it
    is there already; else in the later hour when it came in that. Of what came long after both, in the first hour,
    unless that were before what has come of the report from these hours: here alone arrival decides, since sources
    send in order, and what came last must not stand below what it replaced. So it does for a clock that was ahead.
    """
    early = late - REPEATED
    own = (event.status.value, event.text, event.author, event.signer)
    rows = transaction.all(
        "SELECT result_time, status, text, author, signer FROM report WHERE patient_key = ? AND accession = ?"
        " AND accession_issuer = ? AND provider = ? AND (accession <> '' OR filler_id = ?)"
        " AND result_time >= ? AND result_time <= ? ORDER BY result_time DESC",
        patient_key,
        event.accession,
        issuer,
        event.owner.provider,
        event.filler_id,
        "" if event.doubt is Doubt.AHEAD else early.isoformat(),
        (late + REPEATED).isoformat(),
    )
    for when, *said in rows:
        if tuple(said) == own and (
            event.doubt is Doubt.AHEAD or when in (early.isoformat(), late.isoformat())
        ):
            return str(when)
    is_late = event.doubt is not Doubt.FULL or any(row[0] > early.isoformat() for row in rows)
    return (late if is_late else early).isoformat()


def _is_said_anew(
    transaction: Transaction,
    event: ReportEvent,
    issuer: str,
    patient_key: int,
    same: tuple[int, str],
    told: str,
) -> bool:
    """Whether a version that is there is said again after another word about the report (annulled by mistake and sent
    again; changed back). If not, it was said last when it was said last: whichever of the two came first."""
    key, before = same
    if told <= before:
        return False
    between = transaction.one(
        "SELECT 1 FROM report WHERE patient_key = ? AND accession = ? AND accession_issuer = ? AND provider = ?"
        " AND (accession <> '' OR filler_id = ?) AND told > ? LIMIT 1",
        patient_key,
        event.accession,
        issuer,
        event.owner.provider,
        event.filler_id,
        before,
    )
    if between is None:
        transaction.update("report", {"report_key": key}, told=told)
    return between is not None


def _correct(
    transaction: Transaction,
    event: ReportEvent,
    same: tuple[int, str, str, str, str, int | None, int | None],
    days: tuple[int | None, int | None],
    is_at_once: bool,
) -> None:
    """What is told about a version beside its text follows the last word: a department mends the procedure, the day
    or the study of an examination and sends the signed text again. What it does not tell stays. Of two words of one
    moment (`is_at_once`) the greater holds, whichever came first."""
    key, _, *kept = same
    columns = ("unit", "study_uid", "procedure_text", "begins", "ends")
    told = (event.owner.unit, event.study_uids[0] if event.study_uids else "", event.procedure_text, *days)
    found: dict[str, Any] = {
        column: new
        for column, old, new in zip(columns, kept, told, strict=True)
        if new and new != old and (column not in ("begins", "ends") or event.examined)
    }
    before = dict(zip(columns, kept, strict=True))
    if is_at_once:
        found = {name: new for name, new in found.items() if not before[name] or new > before[name]}
    if found:
        transaction.update("report", {"report_key": key}, **found)


def _days(examined: str, result_time: datetime | None) -> tuple[int | None, int | None]:
    """First and last day that the version documents, YYYYMMDD in Sweden: from the examination to the result.

    A block that covers either day hides it (SVOD 2:3). Without the day of the examination the first is unknown,
    which every block before the result touches.
    """
    result = swedish_day(result_time) if result_time is not None else None
    if not examined:
        return None, result
    day = int(examined)
    return (day, day) if result is None else (min(day, result), max(day, result))
