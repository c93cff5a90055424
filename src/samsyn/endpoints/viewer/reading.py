"""What stands beside a picture that is read: another examination to compare with, and the report."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from samsyn.endpoints.viewer.dependencies import ViewerDependencies
from samsyn.endpoints.viewer.history import Entry
from samsyn.endpoints.viewer.language import Words
from samsyn.endpoints.viewer.series import SeriesLists, SeriesShown
from samsyn.endpoints.viewer.visits import PatientVisit, Visits
from samsyn.errors import NotFound
from samsyn.reports.examination import Examination

COMPARED: Final = "with"
"""The parameter that names what is compared: an examination's mark, with a point and the mark of one of its series."""
_DAYS_A_MONTH: Final = 30.44
_DAYS_TOLD: Final = 60
"""Up to here a distance is told in days, then in months, from three years on in years."""
_MONTHS_TOLD: Final = 36


@dataclass(frozen=True, slots=True)
class Compared:
    """The other examination of the same patient, with the series that stands beside the first."""

    entry: Entry
    now: SeriesShown
    every: tuple[SeriesShown, ...]
    """All of its series that have pictures."""
    distance: str
    """How much earlier or later it was made; "" when one of the days is not known."""


class Beside:
    """Finds both through the View of the moment; each opening is written before its page leaves."""

    def __init__(self, deps: ViewerDependencies, visits: Visits, series: SeriesLists) -> None:
        self._deps = deps
        self._visits = visits
        self._series = series

    async def values(
        self, there: PatientVisit, examinations: Iterable[Examination], own: Examination, now: SeriesShown
    ) -> dict[str, Any]:
        """What the page of pictures needs: the chosen comparison, what may be chosen, and the report when asked for.

        NotFound: the address names an examination or a series that the View does not show.
        """
        visit = there.visit
        values: dict[str, Any] = {"compared": None, "comparable": (), "reports": None, "measurements": ()}
        if not visit.subject.reads_for_care:
            return values
        presentation = self._visits.presentation(visit)
        entry = presentation.entry(own, there.handle)
        others = {
            presentation.entry(each, there.handle): each
            for each in examinations
            if each.studies and each.reference != own.reference
        }
        ranked = sorted(others, key=lambda each: not set(each.kinds) & set(entry.kinds))
        values["comparable"] = ranked
        if COMPARED in visit.request.query_params:
            values["compared"] = await self._compared(there, entry, now, others)
        if visit.request.query_params.get("report") == "1":
            if own.report_item is not None:
                await self._deps.gatekeeper.record_opening(
                    there.view, own.reference, "report", own.report_item
                )
            values["reports"] = presentation.reports(own, there.view)
            values["measurements"] = own.measurements
        return values

    async def _compared(
        self, there: PatientVisit, entry: Entry, now: SeriesShown, others: dict[Entry, Examination]
    ) -> Compared:
        mark, _, series = there.visit.request.query_params[COMPARED].partition(".")
        other = next((each for each in others if each.mark == mark), None)
        if other is None:
            raise NotFound
        every = tuple(each for each in await self._series.of(there, others[other]) if each.is_viewable)
        alike = sorted(every, key=lambda each: each.modality != now.modality)
        chosen = next((each for each in alike if series in ("", each.mark)), None)
        if chosen is None:
            raise NotFound
        await self._deps.gatekeeper.record_opening(there.view, chosen.study_uid, "images")
        return Compared(other, chosen, every, distance(entry.date, other.date, there.visit.words))


def distance(own: str, other: str, words: Words) -> str:
    """How much earlier or later `other` was than `own`, both YYYY-MM-DD; "" when one is no date."""
    try:
        days = (date.fromisoformat(other) - date.fromisoformat(own)).days
    except ValueError:
        return ""
    if days == 0:
        return words("compare.same_day")
    count, unit = abs(days), "days"
    if count > _DAYS_TOLD:
        count, unit = round(count / _DAYS_A_MONTH), "months"
    if unit == "months" and count >= _MONTHS_TOLD:
        count, unit = count // 12, "years"
    when = "earlier" if days < 0 else "later"
    return words(
        f"compare.{when}", distance=words(f"compare.{unit}" if count != 1 else "compare.day", count=count)
    )
