"""The timeline and the single examination as the templates show them."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

from samsyn.access.view import View
from samsyn.endpoints.viewer.language import Languages, Words
from samsyn.endpoints.viewer.wording import Change, changes, day, kinds, moment
from samsyn.model.subject import Assignment
from samsyn.model.texts import Referral, ReferralStatus, ReportStatus, ReportVersion, Vidimering
from samsyn.providers.connections import Connections
from samsyn.reports.examination import Examination
from samsyn.reports.order import Arrangement, Role, by_report
from samsyn.reports.textsearch import Piece, TextQuery
from samsyn.reports.vidimering import may_vidimera, state_mark, vidimerad

_PREVIEW_CHARACTERS: Final = 320
_CONCLUSION: Final = re.compile(
    r"^(bedömning|sammanfattning|konklusion|conclusion|impression)\b", re.I | re.M
)
"""A line that begins with one of these words begins what the referrer looks for."""

_FIRST: Final = (
    ReportStatus.PRELIMINARY,
    ReportStatus.ADDENDUM,
    ReportStatus.CORRECTION,
    ReportStatus.FINAL,
    ReportStatus.ANNULLED,
)
"""What a reader must know first."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One examination in the timeline."""

    mark: str
    """Names it in addresses: opaque, and different for every session's handle of the patient."""
    date: str
    time: str
    title: str
    kinds: tuple[str, ...]
    provider: str
    unit: str
    is_own_unit: bool
    status: str
    """The status that its colour tells; the words stand in `chips`."""
    chips: tuple[str, ...]
    preview: str
    """The first words of the text that stands on top."""
    conclusion: str
    """The report's own conclusion (bedömning) when it has one, else ""."""
    is_added: bool = False
    """The preview is an addendum's text: it is told as such, and whole, since it changes what the conclusion says."""
    report_count: int = 0
    """Reports that hold: the preview is of one of them."""
    absent: str = ""
    """Why no report stands here, as far as the referral tells: see `_absent`; "" when there is one."""
    booked: str = ""
    """When the patient is expected, for a booked examination."""
    found: tuple[Piece, ...] = ()
    """Where the words that were looked for stand in the texts; empty when nothing was looked for."""
    parts: tuple[str, ...] = ()
    """Parts of the body that the images name, in words; only where the list can be narrowed by them."""
    differing: tuple[str, ...] = ()
    """Fields in which the images say otherwise about the patient than the register."""

    @property
    def badges(self) -> tuple[str, ...]:
        """The kinds as they stand beside the date: that there is text alone is told by its chip already."""
        return () if "no-images" in self.chips else self.kinds


@dataclass(frozen=True, slots=True)
class Year:
    """The entries of one year, newest first."""

    year: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class VersionShown:
    """One report version on the page."""

    role: str
    status: str
    text: str
    time: str
    author: str
    signer: str
    reason: str
    form: str = "text"
    renditions: tuple[str, ...] = ()
    """Other forms of the same version: sr, cda, pdf."""


@dataclass(frozen=True, slots=True)
class VidimeringShown:
    """Who has vidimerat, and when."""

    name: str
    unit: str
    time: str


@dataclass(frozen=True, slots=True)
class ReportShown:
    """One report: what holds on top with its addenda, then the difference and the earlier versions."""

    procedure: str
    """What it is about, where several reports stand beside each other; else ""."""
    provider: str
    unit: str
    versions: tuple[VersionShown, ...]
    earlier: tuple[VersionShown, ...]
    difference: tuple[Change, ...]
    base_missing: bool
    mark: str
    """Names what stands here, for the form of the vidimering."""
    vidimerad: tuple[VidimeringShown, ...]
    vidimerad_before: tuple[VidimeringShown, ...]
    """Of an earlier text: what stands here now is not vidimerat by them."""
    may_vidimera: bool


@dataclass(frozen=True, slots=True)
class ReferralShown:
    """One referral on the page."""

    provider: str
    unit: str
    question: str
    history: str
    referrer: str
    procedure: str
    priority: str
    ordered: str
    booked: str
    status: str


def mark_of(handle: str, reference: str) -> str:
    """The examination's name in addresses under this handle."""
    return hashlib.blake2b(reference.encode(), key=handle.encode()[:64], digest_size=12).hexdigest()


class Presentation:
    """Turns what a View shows into what the pages tell, in one language, for one assignment."""

    def __init__(
        self, connections: Connections, languages: Languages, words: Words, reader: Assignment | None
    ) -> None:
        self._connections = connections
        self._languages = languages
        self._words = words
        self._reader = reader

    def entry(self, examination: Examination, handle: str) -> Entry:
        """One examination in the timeline."""
        arrangements = by_report(examination.reports)
        status = report_status(arrangements)
        own = self._reader
        preview, conclusion, is_added = _preview(arrangements)
        absent = "" if arrangements else _absent(examination)
        return Entry(
            mark=mark_of(handle, examination.reference),
            date=day(examination.date) or self._words("timeline.undated"),
            time=f"{examination.time[:2]}:{examination.time[2:4]}" if len(examination.time) >= 4 else "",
            title=examination.title or self._words("timeline.untitled"),
            kinds=kinds(examination.modalities, self._languages, self._words)
            or (self._words("modality.text" if examination.reports else "modality.referral"),),
            provider=self._connections.provider_name(examination.provider),
            unit=self._connections.unit_name(examination.provider, examination.unit),
            is_own_unit=own is not None
            and (own.provider_hsa_id, own.unit_hsa_id) == (examination.provider, examination.unit),
            status=status,
            chips=_chips(examination, arrangements, absent),
            preview=preview,
            conclusion=conclusion,
            is_added=is_added,
            report_count=sum(each.standing is not ReportStatus.ANNULLED for each in arrangements),
            absent=absent,
            booked=next((moment(each.booked) for each in examination.referrals if _is_booked(each)), ""),
            differing=examination.differing,
        )

    def reports(self, examination: Examination, view: View) -> tuple[ReportShown, ...]:
        """Every report of the examination, the latest first."""
        return tuple(
            self._report(each, examination, view) for each in by_report(examination.reports) if each.shown
        )

    def referrals(self, examination: Examination) -> tuple[ReferralShown, ...]:
        """Every referral of the examination."""
        return tuple(self._referral(each) for each in examination.referrals)

    def _report(self, arrangement: Arrangement, examination: Examination, view: View) -> ReportShown:
        current = arrangement.shown[0].version
        holding, before = arrangement.current, arrangement.replaced
        said = vidimerad(arrangement, examination.vidimeringar)
        about = examination.title_of(current) if any(each.part for each in examination.reports) else ""
        return ReportShown(
            procedure=about,
            provider=self._connections.provider_name(current.provider),
            unit=self._connections.unit_name(current.provider, current.unit),
            versions=tuple(_version(each.version, each.role) for each in arrangement.shown),
            earlier=tuple(_version(each, Role.REPORT) for each in arrangement.earlier),
            difference=changes(before.text, holding.text) if before and holding else (),
            base_missing=arrangement.base_missing,
            mark=state_mark(arrangement),
            vidimerad=tuple(map(_vidimering, said.current)),
            vidimerad_before=tuple(map(_vidimering, said.former)),
            may_vidimera=may_vidimera(view, examination.referrals, arrangement),
        )

    def _referral(self, referral: Referral) -> ReferralShown:
        return ReferralShown(
            provider=self._connections.provider_name(referral.provider),
            unit=self._connections.unit_name(referral.provider, referral.unit),
            question=referral.question,
            history=referral.history,
            referrer=referral.referrer,
            procedure=referral.procedure_text or referral.procedure_code,
            priority=self._priority(referral.priority),
            ordered=moment(referral.ordered),
            booked=moment(referral.booked) if _is_booked(referral) else "",
            status=self._words(f"referral.state_{referral.status.value}"),
        )

    def _priority(self, sent: str) -> str:
        """In the page's language where the word is known, otherwise as sent."""
        key = f"priority.{sent.lower()}"
        return self._words(key) if self._languages.has(key) else sent.capitalize()


def by_year(entries: Iterable[Entry]) -> tuple[Year, ...]:
    """The entries, already newest first, under their years; those without date last."""
    return tuple(
        Year(year, tuple(group)) for year, group in groupby(entries, lambda entry: _year(entry.date))
    )


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What of the list the reader wants to see; "" = everything."""

    kind: str = ""
    provider: str = ""
    part: str = ""
    text: str = ""

    @property
    def leaves_out(self) -> bool:
        """Whether the reader asks for less than everything."""
        return bool(self.kind or self.provider or self.part or self.text)

    def takes(self, entry: Entry) -> bool:
        """Whether the entry is wanted, its texts aside."""
        return (
            (not self.kind or self.kind in entry.kinds)
            and (not self.provider or self.provider == entry.provider)
            and (not self.part or self.part in (entry.parts or (UNNAMED,)))
        )


UNNAMED: Final = "-"
"""Stands for the part of the body of an examination that names none: it can be chosen, and is never lost."""


@dataclass(frozen=True, slots=True)
class Option:
    """Something by which the list can be narrowed, with how many of all entries it leaves."""

    value: str
    count: int


def options(values: Iterable[str]) -> tuple[Option, ...]:
    """Every value with how often it stands there, by the alphabet; what is unnamed last."""
    counts = Counter(values)
    return tuple(Option(value, counts[value]) for value in sorted(counts, key=lambda v: (v == UNNAMED, v)))


def matching(entries: Iterable[Entry], wanted: Narrowing, texts: dict[str, list[str]]) -> list[Entry]:
    """The entries that are wanted and in whose title, place or texts every word occurs, with the place found."""
    query = TextQuery(wanted.text)
    found = [entry for entry in entries if wanted.takes(entry) and query.matches(texts[entry.mark])]
    return [replace(entry, found=_first_snippet(query, texts[entry.mark][1:])) for entry in found]


def _first_snippet(query: TextQuery, texts: Iterable[str]) -> tuple[Piece, ...]:
    return next((snippet for text in texts if (snippet := query.snippet(text))), ())


def searchable(entry: Entry, examination: Examination) -> list[str]:
    """What a reader's words are looked for in: first what the list shows anyway, then the texts that hold."""
    texts = ["\n".join([entry.title, entry.provider, entry.unit, entry.date, *entry.kinds])]
    for arrangement in by_report(examination.reports):
        texts += [each.version.text for each in arrangement.shown if each.role is not Role.TOMBSTONE]
    texts += [part for each in examination.referrals for part in (each.question, each.history)]
    return texts


def report_status(arrangements: Iterable[Arrangement]) -> str:
    """The status that a reader must know first: a preliminary text anywhere outranks all else."""
    standings = [each.standing for each in arrangements if each.standing is not None]
    return next((status.value for status in _FIRST if status in standings), "none")


_SOON: Final = (
    ReferralStatus.ORDERED,
    ReferralStatus.SCHEDULED,
    ReferralStatus.ARRIVED,
    ReferralStatus.STARTED,
)
"""A referral that has come no further has nothing to answer yet."""


def _is_booked(referral: Referral) -> bool:
    return referral.status is ReferralStatus.SCHEDULED


def _absent(examination: Examination) -> str:
    """Why there is no report: "not-shown" (answered, but not for this reader), "cancelled", "awaited" (not examined
    yet), "unreported" (examined, no answer here) or "none" (only pictures have come)."""
    states = {each.status for each in examination.referrals}
    if ReferralStatus.REPORTED in states:
        return "not-shown"
    if examination.studies or not states:
        return "none"
    if states == {ReferralStatus.CANCELLED}:
        return "cancelled"
    return "awaited" if states.issubset({*_SOON, ReferralStatus.CANCELLED}) else "unreported"


def _chips(examination: Examination, arrangements: Iterable[Arrangement], absent: str) -> tuple[str, ...]:
    """The words of an entry: every status that stands there, since an addendum does not tell whether its report is
    final; without report, how far the referral has come; what is missing, and what a patient is not given yet."""
    waits = ("withheld",) if examination.withheld else ()
    if not absent:
        there = {each for arrangement in arrangements for each in _statuses(arrangement)}
        told = tuple(status.value for status in _FIRST if status in there)
        return (*told, *waits) if examination.studies else (*told, *waits, "no-images")
    if waits:
        return waits
    if absent == "not-shown":
        return ("not-shown",)
    if examination.studies:
        return ("none",)
    states = tuple(dict.fromkeys(f"referral-{each.status.value}" for each in examination.referrals))
    return (*states, "none") if absent in ("none", "unreported") else states


def _statuses(arrangement: Arrangement) -> set[ReportStatus]:
    found = {each.version.status for each in arrangement.shown}
    return found | {arrangement.standing} if arrangement.standing else found


def _preview(arrangements: Iterable[Arrangement]) -> tuple[str, str, bool]:
    """First words of the topmost text, the conclusion of it or of what it adds to, and whether it adds; an annulled one
    tells nothing."""
    for arrangement in arrangements:
        texts = [each for each in arrangement.shown if each.role is not Role.TOMBSTONE]
        if texts:
            said = [each.version.text for each in texts]
            found = next((match for text in said if (match := _CONCLUSION.search(text))), None)
            conclusion = " ".join(found.string[found.start() :].split()) if found else ""
            is_added = texts[0].role is Role.ADDENDUM
            return " ".join(said[0].split())[:_PREVIEW_CHARACTERS], conclusion[:_PREVIEW_CHARACTERS], is_added
    return "", "", False


def _version(version: ReportVersion, role: Role) -> VersionShown:
    return VersionShown(
        role=role.value,
        status=version.status.value,
        text="" if role is Role.TOMBSTONE else version.text,
        time=moment(version.result_time),
        author=version.author,
        signer=version.signer,
        reason=version.reason,
        form=version.form,
        renditions=tuple(dict.fromkeys(each.form for each in version.renditions)),
    )


def _vidimering(said: Vidimering) -> VidimeringShown:
    return VidimeringShown(said.name, said.unit, moment(said.noted))


def _year(date: str) -> str:
    return date[:4] if date[:4].isdigit() else date
