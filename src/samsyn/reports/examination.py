"""The examination (undersökning) as a person thinks of it: referral, report versions and studies together.

They are joined by (accession issuer, accession number) of the same person, or by Study Instance UID when a text
names one; whatever has arrived so far makes an examination, whichever half came first. Text without images and
images without text are normal.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from samsyn.access.compile import predicate_of
from samsyn.access.facts import Policy
from samsyn.access.standing import Standing
from samsyn.access.view import View
from samsyn.clock import STOCKHOLM
from samsyn.errors import NotFound
from samsyn.ingest.filing import REPORT_DOCUMENT
from samsyn.model.imaging import StudySummary
from samsyn.model.predicate import Everything, Item
from samsyn.model.subject import SubjectKind
from samsyn.model.texts import (
    MeasuredValue,
    Referral,
    ReferralStatus,
    ReportStatus,
    ReportVersion,
    Vidimering,
)
from samsyn.reports.availability import Clock, of_images, of_report
from samsyn.reports.order import arrange
from samsyn.reports.parts import with_parts
from samsyn.reports.referrals import NOT_BOOKED
from samsyn.reports.release import released_at
from samsyn.reports.vidimering import vidimera, words_about
from samsyn.store.index import examination_rows
from samsyn.store.index.port import IndexConnection, Row
from samsyn.store.store import Store


@dataclass(frozen=True, slots=True)
class Examination:
    """What the View shows of one examination."""

    reference: str
    """Names the examination within this patient's history; free of patient data, fit for an address."""
    provider: str
    unit: str
    """HSA-ids of the owner: of the images, else of the report, else of the referral."""
    date: str
    """YYYYMMDD of the images, else of the report, else of the referral; "" = unknown."""
    time: str
    title: str
    modalities: tuple[str, ...]
    accession: str
    referrals: tuple[Referral, ...]
    reports: tuple[ReportVersion, ...]
    """Every version; `reports.order` decides which is current and how they are shown."""
    vidimeringar: tuple[Vidimering, ...]
    """What referrers have said of the versions."""
    studies: tuple[StudySummary, ...]
    measurements: tuple[MeasuredValue, ...]
    """Numbers of structured reports in the studies."""
    report_item: Item | None
    referral_item: Item | None
    """What access decided on, one for each kind that is there; for Gatekeeper.record_opening."""
    withheld: bool = False
    """Of a private person's: a report belongs to it that the View shows and that is not released to him yet."""
    differing: tuple[str, ...] = ()
    """Fields ("name", "birth_date", "sex") in which the images say otherwise about the patient than the register."""

    def title_of(self, version: ReportVersion) -> str:
        """What the version's report is about: its own procedure where the examination has several reports under one
        accession number (an annulment often tells none: then the report's), else the examination's title."""
        if not any(each.part for each in self.reports):
            return self.title
        same = (each.procedure for each in self.reports if each.report_name == version.report_name)
        return version.procedure or next(filter(None, same), "") or self.title


class History:
    """A person's whole imaging history through one question."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def examinations(self, view: View) -> list[Examination]:
        """Everything that the View shows of its patient, newest first. A View without patient shows nothing."""
        keys = view.patient_keys
        if not keys:
            return []
        rows, withheld, parts = await self._store.read(lambda connection: _rows(connection, view, keys))
        found = _joined(*rows, withheld=withheld, parts=parts)
        uids = [study.study_uid for each in found for study in each.studies]
        flags = await self._store.read(lambda connection: examination_rows.differing(connection, uids))
        return [_flagged(each, flags) for each in found] if flags else found

    async def state(self, view: View) -> str:
        """A text that is another one as soon as anything that the View shows of its patient has come, was corrected or
        went; it tells nothing else. Of a private person's reports those count that he is given, so that it tells when
        one is released and nothing of what waits."""
        keys = view.patient_keys
        if not keys:
            return ""
        rows = await self._store.read(lambda one: _state(one, view, keys))
        return hashlib.blake2b(repr(rows).encode(), digest_size=16).hexdigest()

    async def vidimera(self, view: View, reference: str, mark: str) -> None:
        """The referrer's word that the report named by `mark` is read and taken care of, as `vidimering.vidimera`.

        NotFound: the examination is absent or hidden.
        """
        examination = await self.examination(view, reference)
        if examination is None or examination.report_item is None:
            raise NotFound
        person = examination.report_item.patient_key
        await vidimera(self._store, view, person, examination.referrals, examination.reports, mark)

    async def availability(
        self, view: View, examination: Examination
    ) -> tuple[dict[str, Clock], Clock | None]:
        """The clocks of the examination's studies, by UID, and of its report; of what the View shows."""
        shown = tuple(each for each in examination.studies if view.patient_keys)
        images = await self._store.read(lambda connection: of_images(connection, shown))
        return images, of_report(examination.reports)

    async def body_parts(self, view: View, examinations: Sequence[Examination]) -> dict[str, tuple[str, ...]]:
        """The body parts (0018,0015) that the images name, by the examination's reference; of what the View shows."""
        uids = [study.study_uid for each in examinations for study in each.studies]
        named = await self._store.read(
            lambda connection: examination_rows.body_parts(
                connection, view.predicate, uids, view.documents_of
            )
        )
        return {
            each.reference: tuple(
                dict.fromkeys(part for study in each.studies for part in named.get(study.study_uid, ()))
            )
            for each in examinations
        }

    async def examination(self, view: View, reference: str) -> Examination | None:
        """One of them by its reference, or None when it is absent or hidden."""
        for examination in await self.examinations(view):
            if examination.reference == reference:
                return examination
        return None


Rows = list[Row]

_RESULT: Final = "ORU"
"""Kind of the messages that name an order; the filler's number of a document (MDM) is the document's."""


_Joinable = tuple[Rows, Rows, Rows, tuple[Vidimering, ...], Rows, list[tuple[str, str]]]


def _rows(
    connection: IndexConnection, view: View, keys: frozenset[int]
) -> tuple[_Joinable, Rows, Mapping[int, str]]:
    """What is joined, the reports' rows that a private person is not given yet, and the versions' parts (an accession
    number's reports are named alike whether he is given some or all of them)."""
    reports = examination_rows.reports(connection, view.predicate, keys)
    words = words_about(connection, (row["report_key"] for row in reports))
    withheld, every = Rows(), reports
    if view.subject.kind is SubjectKind.PATIENT:
        every = examination_rows.reports(connection, Everything(), keys)
        released = _released(view.standings[0].facts.policy, view.opened, reports, every, words)
        withheld = [row for row in reports if row["report_key"] not in released]
        reports = [row for row in reports if row["report_key"] in released]
    studies = examination_rows.studies(connection, view.predicate, keys, view.documents_of)
    measured = [row["study_uid"] for row in studies if not view.withholds_documents(row["study_uid"])]
    joinable = (
        studies,
        examination_rows.referrals(connection, view.predicate, keys),
        reports,
        words,
        examination_rows.measurements(connection, measured),
        examination_rows.joins(connection, keys),
    )
    return joinable, withheld, {each.version_key: each.part for each in versions_of(every)}


def _state(connection: IndexConnection, view: View, keys: frozenset[int]) -> list[tuple[object, ...]]:
    rows = examination_rows.state(connection, view.predicate, keys)
    if view.subject.kind is not SubjectKind.PATIENT:
        return rows
    _, withheld, _ = _rows(connection, view, keys)
    waiting = {row["report_key"] for row in withheld}
    return [row for row in rows if row[0] != "report" or row[1] not in waiting]


def documents_given(connection: IndexConnection, reader: Standing, moment: datetime) -> frozenset[str]:
    """UIDs of the studies of which a patient may read the documents (SR, PDF, CDA) among the pictures.

    Those of an examination that has a report which he is given, as it stands now, and none that he is not: what is
    still waiting, not signed, not shown to him, annulled, or come as a document that nobody has read yet.
    """
    predicate, keys = predicate_of(reader), reader.facts.patient_keys
    every = examination_rows.reports(connection, Everything(), keys)
    if not every:
        return frozenset()
    reports = examination_rows.reports(connection, predicate, keys)
    words = words_about(connection, (row["report_key"] for row in reports))
    released = _released(reader.facts.policy, moment, reports, every, words, with_annulled=False)
    given = [row for row in reports if row["report_key"] in released]
    kept_back = [row for row in every if row["report_key"] not in released]
    studies, joins = (
        examination_rows.studies(connection, predicate, keys),
        examination_rows.joins(connection, keys),
    )
    found = _joined(studies, [], given, joins=joins, withheld=kept_back)
    uids = [study.study_uid for each in found if each.reports and not each.withheld for study in each.studies]
    return frozenset(uids) - examination_rows.with_unread_documents(connection, REPORT_DOCUMENT, uids)


def _released(
    policy: Policy,
    now: datetime,
    shown: Rows,
    every: Rows,
    words: Sequence[Vidimering],
    *,
    with_annulled: bool = True,
) -> set[int]:
    """Keys of the versions that a patient is given: of reports that the provider's rule has released, by their present
    text.

    A report whose present text the View does not show is not among them: what was corrected or annulled a week ago is
    not to be read as if it held. Versions that others have replaced anyway hold nothing back. Where a report has been
    annulled long enough its tombstone is given, so that nobody misses what he has read.
    """
    seen = {row["report_key"] for row in shown}
    found: set[int] = set()
    days = {row["report_key"]: row["ends"] for row in every if row["ends"]}
    groups: dict[tuple[str, str, str], list[ReportVersion]] = {}
    for version in versions_of(every):
        groups.setdefault(version.report_name, []).append(version)
    for versions in groups.values():
        arrangement = arrange(versions)
        if any(each.version.version_key not in seen for each in arrangement.shown):
            continue
        keys = {version.version_key for version in versions}
        last_day = max((day for key, day in days.items() if key in keys), default=None)
        moment = released_at(policy, arrangement, words, last_day)
        is_annulled = with_annulled and arrangement.standing is ReportStatus.ANNULLED
        if is_annulled or (moment is not None and moment <= now):
            found |= keys
    return found


def _joined(
    studies: Rows,
    referrals: Rows,
    reports: Rows,
    vidimeringar: tuple[Vidimering, ...] = (),
    measurements: Sequence[Row] = (),
    joins: Sequence[tuple[str, str]] = (),
    withheld: Rows | None = None,
    parts: Mapping[int, str] | None = None,
) -> list[Examination]:
    """Groups rows by accession, by the study that a report names, and by what a steward has joined.

    A report that names a study brings its own accession number along: several referrals to one study are one
    examination, as are several studies of one referral.
    """
    accession_of = {row["study_uid"]: _group(row, row["study_uid"]) for row in studies}
    same = [*joins]
    for row in (*reports, *(withheld or ())):
        named = accession_of.get(row["study_uid"] or "", "")
        if named and row["accession"]:
            same.append((_group(row, ""), named))
    one = _united(same)
    groups: dict[str, dict[str, list[Any]]] = {}

    def add(group: str, kind: str, value: Any) -> None:
        groups.setdefault(one.get(group, group), {"studies": [], "referrals": [], "reports": []})[
            kind
        ].append(value)

    for row in studies:
        add(accession_of[row["study_uid"]], "studies", row)
    for row in referrals:
        add(_group(row, f"referral-{row['referral_key']}"), "referrals", row)

    def of_report(row: Row) -> str:
        named = accession_of.get(row["study_uid"] or "", "")
        return named or _group(row, f"report-{row['filler_id'] or row['report_key']}")

    for row in reports:
        add(of_report(row), "reports", row)
    found = [
        _examination(group, **rows, vidimeringar=vidimeringar, measurements=measurements, parts=parts)
        for group, rows in groups.items()
    ]
    if withheld:
        waiting = {one.get(group, group) for group in map(of_report, withheld)}
        found = [replace(each, withheld=each.reference in waiting) for each in found]
    return sorted(found, key=lambda each: (each.date, each.time, each.reference), reverse=True)


def _flagged(examination: Examination, flags: Mapping[str, tuple[str, ...]]) -> Examination:
    fields = {field: None for study in examination.studies for field in flags.get(study.study_uid, ())}
    return replace(examination, differing=tuple(fields)) if fields else examination


def _united(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """For every name in the pairs, the one under which all that hang together are shown."""
    shown: dict[str, str] = {}

    def last(name: str) -> str:
        while (next_name := shown.get(name, name)) != name:
            name = next_name
        return name

    for one, other in pairs:
        shown[last(one)] = last(other)
    return {name: last(name) for pair in pairs for name in pair}


def _group(row: Row, otherwise: str) -> str:
    if row["accession"]:
        return f"{row['accession_issuer']}.{row['accession']}"
    return otherwise


def _examination(
    group: str,
    studies: Rows,
    referrals: Rows,
    reports: Rows,
    vidimeringar: tuple[Vidimering, ...],
    measurements: Sequence[Row],
    parts: Mapping[int, str] | None,
) -> Examination:
    versions = tuple(versions_of(reports))
    if parts is not None:
        versions = tuple(replace(each, part=parts.get(each.version_key, "")) for each in versions)
    keys = {version.version_key for version in versions}
    uids = {row["study_uid"] for row in studies}
    orders = tuple(_referral(row) for row in referrals)
    images = tuple(_study(row) for row in studies)
    owner = (studies or reports or referrals)[0]
    date, time = _when(images, versions, orders)
    titles = [study.description for study in images] + [order.procedure_text for order in orders]
    titles += [row["procedure_text"] for row in reports]
    return Examination(
        reference=group,
        provider=owner["provider"],
        unit=owner["unit"],
        date=date,
        time=time,
        title=next((title for title in titles if title), ""),
        modalities=tuple(sorted({modality for study in images for modality in study.modalities})),
        accession=owner["accession"],
        referrals=orders,
        reports=versions,
        vidimeringar=tuple(each for each in vidimeringar if each.version_key in keys),
        studies=images,
        measurements=tuple(_measured(row) for row in measurements if row["study_uid"] in uids),
        report_item=_item(reports),
        referral_item=_item(referrals),
    )


def _item(rows: Rows) -> Item | None:
    if not rows:
        return None
    row = rows[0]
    return Item(
        row["patient_key"],
        row["provider"],
        row["unit"],
        row["begins"],
        row["ends"],
        bool(row["preliminary"]),
    )


def _when(
    images: tuple[StudySummary, ...], versions: tuple[ReportVersion, ...], orders: tuple[Referral, ...]
) -> tuple[str, str]:
    dated = [study for study in images if study.date]
    if dated:
        return dated[0].date, dated[0].time
    moments = [version.result_time for version in versions if version.result_time]
    moments += [order.ordered for order in orders if order.ordered]
    if not moments:
        return "", ""
    local = moments[0].astimezone(STOCKHOLM)
    return local.strftime("%Y%m%d"), local.strftime("%H%M%S")


def _study(row: Row) -> StudySummary:
    return StudySummary(
        study_uid=row["study_uid"],
        date=row["study_date"],
        time=row["study_time"],
        description=row["description"],
        modalities=tuple(part for part in row["modalities"].split("\\") if part),
        accession=row["accession"],
        series_count=row["series_count"],
        instance_count=row["instance_count"],
        provider=row["provider"],
        unit=row["unit"],
    )


def _referral(row: Row) -> Referral:
    return Referral(
        provider=row["provider"],
        unit=row["unit"],
        placer_id=row["placer_id"],
        accession=row["accession"],
        priority=row["priority"],
        status=ReferralStatus(row["status"]),
        ordered=_moment(row["ordered"]),
        procedure_code=row["procedure_code"],
        procedure_text=row["procedure_text"],
        question=row["question"],
        history=row["history"],
        referrer=row["referrer"],
        booked=_moment(row["booked"]) if row["booked"] != NOT_BOOKED else None,
    )


def versions_of(rows: Iterable[Row]) -> list[ReportVersion]:
    """The versions that rows of the index are, with the report that each is of; the caller has read the rows through a
    View, or tells no text of them."""
    return with_parts(_version(row) for row in rows)


def _version(row: Row) -> ReportVersion:
    return ReportVersion(
        version_key=row["report_key"],
        provider=row["provider"],
        unit=row["unit"],
        accession=row["accession"],
        filler_id=row["filler_id"],
        status=ReportStatus(row["status"]),
        result_time=_moment(row["result_time"]),
        author=row["author"],
        signer=row["signer"],
        text=row["text"],
        received=datetime.fromisoformat(row["received"]),
        fragment=bool(row["fragment"]),
        reason=row["reason"] or "",
        form=row["form"] or "text",
        series_uid=row["series_uid"] or "",
        visit=row["visit"] or "",
        told=row["told"] or "",
        order_number=row["filler_id"] if (row["message_kind"] or "").startswith(_RESULT) else "",
        procedure=row["procedure_text"] or "",
        message_key=row["message_key"] or 0,
    )


def _measured(row: Row) -> MeasuredValue:
    return MeasuredValue(row["study_uid"], row["name"], row["value"], row["unit_code"], row["context"])


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
