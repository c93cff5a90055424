"""In what order report versions are shown and which one holds: the one function that every door uses.

The order in which messages happened to arrive decides nothing (a sister system showed reports by arrival, and
an addendum was missed). What decides is the status and the result time that the source gave:

- A signed text (final, correction, or an addendum that repeats the whole) replaces a preliminary one, whatever
  their times; among signed texts the latest holds, and at the same time the correction, then what its source said
  last (a RIS that sends a changed text again often keeps the time at which it was signed).
- An addendum that is only a fragment never replaces anything: it is shown above the text that it adds to.
  It stays even when a later text has come, because nobody can tell whether that took it up. One that nobody has
  signed yet is shown as preliminary and gives way to any signed text of the same or a later time.
- An annulment takes back everything up to its time and leaves a tombstone. Only what is newer lives again, or what
  its source has said once more since (annulled by mistake).
- A document (DICOM SR, CDA, PDF) that says what a version says is a rendition of it (`renditions`).
- Every other version stays retrievable as an earlier one.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeAlias

from samsyn.model.texts import ReportStatus, ReportVersion
from samsyn.reports.renditions import folded

_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_RANK = {
    ReportStatus.PRELIMINARY: 0,
    ReportStatus.FINAL: 1,
    ReportStatus.ADDENDUM: 2,
    ReportStatus.CORRECTION: 3,
    ReportStatus.ANNULLED: 4,
}


class Role(StrEnum):
    """What a shown version is to the reader."""

    ADDENDUM = "addendum"
    """Stands above the report that it adds to (tilläggssvar)."""
    REPORT = "report"
    """The text that holds."""
    TOMBSTONE = "tombstone"
    """Says that, when and why the report was annulled; its own text, if any, is not to be shown as a report."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One text on the page."""

    version: ReportVersion
    role: Role


@dataclass(frozen=True, slots=True)
class Arrangement:
    """One report as it is to be shown."""

    shown: tuple[Shown, ...]
    """From top to bottom; empty only when there was no version at all."""
    earlier: tuple[ReportVersion, ...]
    """Replaced and annulled versions, the latest first."""
    standing: ReportStatus | None
    """What the reader must be told that this is; PRELIMINARY when the text that holds or an addendum to it is."""
    base_missing: bool = False
    """An addendum has come and the report that it adds to has not: the page must say so."""

    @property
    def current(self) -> ReportVersion | None:
        """The version that holds (the topmost report, else the topmost of what there is)."""
        for each in self.shown:
            if each.role is Role.REPORT:
                return each.version
        return self.shown[0].version if self.shown else None

    @property
    def replaced(self) -> ReportVersion | None:
        """What a correction, or an addendum that repeats the whole, replaced: for showing the difference."""
        current = self.current
        if current is None or current.status not in (ReportStatus.CORRECTION, ReportStatus.ADDENDUM):
            return None
        if _is_fragment(current):
            return None
        return next((version for version in self.earlier if _is_text(version)), None)


def arrange(versions: Iterable[ReportVersion]) -> Arrangement:
    """Orders the versions of one report; the same set gives the same answer in whatever order it comes."""
    latest_first = sorted(folded(_distinct(versions)), key=_key, reverse=True)
    annulment = next((each for each in latest_first if each.status is ReportStatus.ANNULLED), None)
    annulled = [each for each in latest_first if annulment is not None and _falls_to(each, annulment)]
    living = [each for each in latest_first if each not in annulled]
    if not living:
        return _tombstone(annulled)
    fragments = [each for each in living if _is_fragment(each) and not _is_overtaken(each, living)]
    bases = [each for each in living if not _is_fragment(each)]
    base = max(bases, key=_holding_key, default=None)
    shown = [Shown(each, Role.ADDENDUM) for each in fragments]
    if base is not None:
        shown.append(Shown(base, Role.REPORT))
    earlier = [each for each in latest_first if each is not base and each not in fragments]
    return Arrangement(tuple(shown), tuple(earlier), _standing(base, fragments), base is None)


def by_report(versions: Iterable[ReportVersion]) -> tuple[Arrangement, ...]:
    """Arranges the versions of several reports, the report with the latest version first.

    A report is one examination of one provider: (provider, accession number), or the filler number when the
    source gave no accession number; of several under one accession number (`parts`), each is a report.
    """
    groups: dict[tuple[str, str, str], list[ReportVersion]] = {}
    for version in versions:
        groups.setdefault(version.report_name, []).append(version)
    newest = sorted(groups.items(), key=lambda group: (max(map(_key, group[1])), group[0]), reverse=True)
    return tuple(arrange(group) for _, group in newest)


_Key: TypeAlias = tuple[datetime, int, str, bool, str, str, str, str]


def _key(version: ReportVersion) -> _Key:
    """Total order by what the source said; arrival (version_key, received) has no say."""
    return (
        version.result_time or _LONG_AGO,
        _RANK[version.status],
        version.told,
        version.fragment,
        version.text,
        version.signer,
        version.author,
        version.reason,
    )


def _holding_key(version: ReportVersion) -> tuple[bool, _Key]:
    return version.status is not ReportStatus.PRELIMINARY, _key(version)


def _distinct(versions: Iterable[ReportVersion]) -> list[ReportVersion]:
    """The same version sent twice is one; the one that was filed first stays, said when it was said last."""
    found: dict[object, ReportVersion] = {}
    for version in sorted(versions, key=lambda each: each.version_key):
        name = (version.provider, version.accession, version.filler_id, version.form)
        key = (name, _key(replace(version, told="")))
        first = found.setdefault(key, version)
        if version.told > first.told:
            found[key] = replace(first, told=version.told)
    return list(found.values())


def _is_fragment(version: ReportVersion) -> bool:
    return version.fragment and version.status in (ReportStatus.ADDENDUM, ReportStatus.PRELIMINARY)


def _is_overtaken(fragment: ReportVersion, living: list[ReportVersion]) -> bool:
    """Whether an addendum that was preliminary has been followed by something signed."""
    if fragment.status is not ReportStatus.PRELIMINARY:
        return False
    signed = (each for each in living if each.status is not ReportStatus.PRELIMINARY)
    return any((each.result_time or _LONG_AGO) >= (fragment.result_time or _LONG_AGO) for each in signed)


def _is_text(version: ReportVersion) -> bool:
    return version.status is not ReportStatus.ANNULLED and not _is_fragment(version)


def _falls_to(version: ReportVersion, annulment: ReportVersion) -> bool:
    if version.status is not ReportStatus.ANNULLED and version.told > annulment.told != "":
        return False
    return (version.result_time or _LONG_AGO) <= (annulment.result_time or _LONG_AGO)


def _tombstone(annulled: list[ReportVersion]) -> Arrangement:
    if not annulled:
        return Arrangement((), (), None)
    stone = next(each for each in annulled if each.status is ReportStatus.ANNULLED)
    earlier = tuple(each for each in annulled if each is not stone)
    return Arrangement((Shown(stone, Role.TOMBSTONE),), earlier, ReportStatus.ANNULLED)


def _standing(base: ReportVersion | None, fragments: list[ReportVersion]) -> ReportStatus:
    if any(each is not None and each.status is ReportStatus.PRELIMINARY for each in (base, *fragments)):
        return ReportStatus.PRELIMINARY
    if fragments or base is None:
        return ReportStatus.ADDENDUM
    return base.status
