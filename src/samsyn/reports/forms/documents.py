"""Reports that come as DICOM objects, filed as versions beside the messages' ones.

The object itself is stored by `ingest`; a job that waits in the same record reads it once more and files what it says.
Reading it again changes nothing: a version is known by the object's UID.
"""

import asyncio
import re
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from samsyn.access.events import Event, filed
from samsyn.audit import journal as audit
from samsyn.clock import swedish_day
from samsyn.dicom.report_documents import Measurement, ReportDocument, read_report_document
from samsyn.errors import BadInput
from samsyn.hl7v2.times import read_time
from samsyn.jobs.queue import Job
from samsyn.model.sender import Sender
from samsyn.model.texts import ReportStatus
from samsyn.reports.forms.cda import read_cda
from samsyn.store.index import settled_rows
from samsyn.store.index.port import IndexConnection
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction

_PLACE: Final = (
    "SELECT sop_class, transfer_syntax, segment, body_offset, length, sha256, sender, study_uid, series_uid,"
    " patient_key, provider, unit, accession, accession_issuer, study_date, study.description"
    " FROM {} JOIN series USING(series_key) JOIN study USING(study_key) WHERE sop_uid = ?"
)
_FRACTION: Final = re.compile(r"\.[0-9]*")


@dataclass(frozen=True, slots=True)
class _Said:
    """What a document says, in the words of a report version."""

    form: str
    status: ReportStatus
    text: str
    told: datetime | None
    author: str
    signer: str
    title: str
    fragment: bool
    measurements: tuple[Measurement, ...]
    measures_only: bool


class DocumentFiling:
    """Does the jobs of REPORT_DOCUMENT."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def work(self, job: Job) -> None:
        """Files one object. BadInput, LimitExceeded: its content can not be read; the job is parked in the end, and
        the object itself is there to see."""
        row = await self._store.read(partial(_facts, sop_uid=job.name))
        if row is None:
            return
        data = await self._store.proved(row["segment"], row["body_offset"], row["length"], row["sha256"])
        document = await asyncio.to_thread(
            read_report_document, data, row["transfer_syntax"], row["sop_class"]
        )
        if document is None:
            return
        said = await asyncio.to_thread(_said, document)
        facts = row

        def decide(transaction: Transaction) -> None:
            if said.measures_only or said.measurements:
                _add_measurements(transaction, facts, job.name, said)
            if not said.measures_only:
                _add_version(transaction, facts, job.name, said)

        await self._store.commit(decide)


def _facts(connection: IndexConnection, sop_uid: str) -> dict[str, Any] | None:
    """Where the object lies and what its study tells, settled or not; None = it is not there any more."""
    row = connection.execute(_PLACE.format("instance"), (sop_uid,)).fetchone()
    settled = settled_rows.table_of_instance(connection, sop_uid) if row is None else None
    if settled is not None:
        table, content = settled
        row = connection.execute(_PLACE.format(table), (content, sop_uid)).fetchone()
    return dict(row) if row is not None else None


def _said(document: ReportDocument) -> _Said:
    if document.form == "cda":
        return _said_by_cda(document)
    signed = document.verified and document.complete
    status = ReportStatus.PRELIMINARY
    if document.form == "pdf" or signed:
        status = ReportStatus.CORRECTION if document.replaces else ReportStatus.FINAL
    return _Said(
        form=document.form,
        status=status,
        text=document.text,
        told=_moment(document.verified_at) or _moment(document.content_at),
        author=document.author,
        signer=document.signer,
        title=document.title,
        fragment=False,
        measurements=document.measurements,
        measures_only=document.measures_only,
    )


def _said_by_cda(document: ReportDocument) -> _Said:
    told = read_cda(document.content)
    status = ReportStatus.PRELIMINARY
    if told.signer or told.signed_at:
        status = (
            ReportStatus.CORRECTION
            if told.replaces
            else ReportStatus.ADDENDUM
            if told.adds_to
            else ReportStatus.FINAL
        )
    return _Said(
        form="cda",
        status=status,
        text=told.text,
        told=_moment(told.signed_at) or _moment(told.effective) or _moment(document.content_at),
        author=told.author,
        signer=told.signer if status is not ReportStatus.PRELIMINARY else "",
        title=told.title or document.title,
        fragment=told.adds_to,
        measurements=(),
        measures_only=False,
    )


def _moment(text: str) -> datetime | None:
    """A time as documents write it, to the second; one that is none is not told, for the object is there already."""
    try:
        point = read_time(_FRACTION.sub("", text))
    except BadInput:
        return None
    return point.begins if point is not None else None


def _add_version(transaction: Transaction, facts: dict[str, object], sop_uid: str, said: _Said) -> None:
    if transaction.one("SELECT 1 FROM report WHERE sop_uid = ? AND sop_uid <> ''", sop_uid) is not None:
        return
    day = _day(str(facts["study_date"] or ""), said.told)
    transaction.insert(
        "report",
        report_key=transaction.next_key("report"),
        patient_key=facts["patient_key"],
        provider=facts["provider"],
        unit=facts["unit"],
        begins=day,
        ends=day,
        accession_issuer=facts["accession_issuer"],
        accession=facts["accession"],
        filler_id="" if facts["accession"] else facts["study_uid"],
        study_uid=facts["study_uid"],
        status=said.status.value,
        result_time=said.told.isoformat() if said.told else None,
        author=said.author,
        signer=said.signer,
        procedure_text=facts["description"] or "",
        text=said.text,
        fragment=int(said.fragment),
        reason="",
        received=transaction.time,
        form=said.form,
        sop_uid=sop_uid,
        series_uid=facts["series_uid"],
        visit="",
        account="",
        message_key=0,
        told="",
    )
    sender = Sender(str(facts["sender"]), str(facts["provider"]), str(facts["unit"]), "", "")
    details = {"instance": sop_uid, "status": said.status.value, "form": said.form}
    audit.append(transaction, filed(sender, Event.FILE_REPORT, int(str(facts["patient_key"])), details))


def _add_measurements(transaction: Transaction, facts: dict[str, object], sop_uid: str, said: _Said) -> None:
    if transaction.one("SELECT 1 FROM measurement WHERE sop_uid = ?", sop_uid) is not None:
        return
    day = _day(str(facts["study_date"] or ""), said.told)
    for place, measured in enumerate(said.measurements, start=1):
        transaction.insert(
            "measurement",
            measurement_key=transaction.next_key("measurement"),
            patient_key=facts["patient_key"],
            provider=facts["provider"],
            unit=facts["unit"],
            begins=day,
            ends=day,
            study_uid=facts["study_uid"],
            sop_uid=sop_uid,
            place=place,
            name=measured.name,
            value=measured.value,
            unit_code=measured.unit,
            context=" / ".join(measured.context),
            received=transaction.time,
        )


def _day(study_date: str, told: datetime | None) -> int | None:
    if study_date:
        return int(study_date)
    return swedish_day(told) if told else None
