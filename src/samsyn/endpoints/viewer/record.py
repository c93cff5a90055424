"""The patient's timeline and the single examination: referral, report and series side by side."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from samsyn.endpoints.viewer.dependencies import ViewerDependencies
from samsyn.endpoints.viewer.ground import UNTOLD
from samsyn.endpoints.viewer.history import (
    UNNAMED,
    Entry,
    Narrowing,
    Option,
    by_year,
    mark_of,
    matching,
    options,
    searchable,
)
from samsyn.endpoints.viewer.launch import UNSHOWN
from samsyn.endpoints.viewer.pages import go_to
from samsyn.endpoints.viewer.reveal import Reveal
from samsyn.endpoints.viewer.send_pages import SendPages
from samsyn.endpoints.viewer.series import SeriesLists, diagnostic_address
from samsyn.endpoints.viewer.visits import PatientVisit, Visits
from samsyn.endpoints.viewer.wording import moment, parts_of_body
from samsyn.errors import Conflict, NotFound
from samsyn.reports.examination import Examination

_MAX_FILTER_CHARACTERS = 100
_LONG: Final = 20
"""Examinations above which the list gets years to jump to and more to narrow it by: some screens full."""
_EVERYTHING: Final = Narrowing()


@dataclass(frozen=True, slots=True)
class Timeline:
    """All entries of the patient with the examinations behind them."""

    entries: tuple[Entry, ...]
    examinations: dict[str, Examination]


class Record:
    """The pages under /p/{handle}/ that show what the View shows."""

    def __init__(
        self,
        deps: ViewerDependencies,
        visits: Visits,
        reveal: Reveal,
        series: SeriesLists,
        sending: SendPages,
        has_ohif: bool,
    ) -> None:
        self._sending = sending
        self._has_ohif = has_ohif
        self._deps = deps
        self._visits = visits
        self._reveal = reveal
        self._series = series

    def routes(self) -> list[BaseRoute]:
        """The addresses of this part."""
        patient = self._visits.patient
        return [
            Route("/p/{handle}/", patient(self.timeline), methods=["GET"]),
            Route("/p/{handle}/filter", patient(self.filtered), methods=["POST"]),
            Route("/p/{handle}/e/{mark}", patient(self.examination), methods=["GET"]),
            Route("/p/{handle}/e/{mark}/vidimera", patient(self.vidimera), methods=["POST"]),
        ]

    async def timeline(self, there: PatientVisit) -> Response:
        """Everything that the View shows, newest first, with the steps to what more there may be."""
        return await self._page(there)

    async def filtered(self, there: PatientVisit) -> Response:
        """The same list by kind and words; the words come in a form, since they may tell about the patient."""
        form = there.visit.form
        kind, provider, part, text = (
            form.text(name)[:_MAX_FILTER_CHARACTERS] for name in ("kind", "provider", "part", "text")
        )
        return await self._page(there, Narrowing(kind, provider, part, text))

    async def examination(self, there: PatientVisit) -> Response:
        """One examination; its opening is in the audit journal before the page is made."""
        timeline = await self._timeline(there)
        examination = timeline.examinations.get(there.visit.path("mark"))
        if examination is None:
            raise NotFound
        await self._record_openings(there, examination)
        presentation = self._visits.presentation(there.visit)
        entry = presentation.entry(examination, there.handle)
        values = {
            "entry": entry,
            "years": by_year(timeline.entries),
            "current": entry.mark,
            "reports": presentation.reports(examination, there.view),
            "measurements": examination.measurements,
            "referrals": presentation.referrals(examination),
            "series": await self._series.of(there, examination),
            "moments": await self._moments(there, examination),
            "changed": there.visit.request.query_params.get("changed") == "1",
            "diagnostic": self._has_ohif and bool(diagnostic_address(examination)),
            **await self._sending.values(there, examination),
        }
        return self._visits.show_patient(there, "examination.html", "examination", values)

    async def _moments(self, there: PatientVisit, examination: Examination) -> list[dict[str, str]]:
        """When images and report were made, signed, received and visible."""
        images, report = await self._deps.history.availability(there.view, examination)
        clocks = [("images", clock) for clock in images.values()] + ([("report", report)] if report else [])
        return [
            {
                "of": there.visit.words(f"availability.{kind}"),
                "produced": moment(clock.produced),
                "signed": moment(clock.signed),
                "received": moment(clock.received),
                "visible": moment(clock.visible),
            }
            for kind, clock in clocks
        ]

    async def vidimera(self, there: PatientVisit) -> Response:
        """The referrer's word that the report is taken care of; when another text has come, it is shown first."""
        timeline = await self._timeline(there)
        mark = there.visit.path("mark")
        examination = timeline.examinations.get(mark)
        if examination is None:
            raise NotFound
        address = f"{there.base}e/{mark}"
        try:
            await self._deps.history.vidimera(
                there.view, examination.reference, there.visit.form.text("report")
            )
        except Conflict:
            return go_to(f"{address}?changed=1#report")
        return go_to(f"{address}#report")

    async def _page(self, there: PatientVisit, wanted: Narrowing = _EVERYTHING) -> Response:
        await self._deps.gatekeeper.record_search(there.view, "viewer", frozenset({there.patient_key}))
        timeline = await self._timeline(there)
        is_long = len(timeline.entries) > _LONG
        if is_long:
            timeline = await self._with_parts(there, timeline)
        texts = {
            entry.mark: searchable(entry, timeline.examinations[entry.mark]) for entry in timeline.entries
        }
        shown = matching(timeline.entries, wanted, texts)
        values = {
            "years": by_year(shown),
            "count": len(timeline.entries),
            "shown_count": len(shown),
            "kinds": options(kind for entry in timeline.entries for kind in entry.kinds),
            "providers": options(each.provider for each in timeline.entries) if is_long else (),
            "parts": _parts(timeline) if is_long else (),
            "is_long": is_long,
            "wanted": wanted,
            "unnamed": UNNAMED,
            "current": "",
            "reveal": await self._reveal.state(there),
            "unshown": there.visit.request.query_params.get(UNSHOWN) == "1",
            "untold": there.visit.request.query_params.get(UNTOLD) == "1",
        }
        return self._visits.show_patient(there, "timeline.html", "timeline", values)

    async def _timeline(self, there: PatientVisit) -> Timeline:
        examinations = await self._deps.history.examinations(there.view)
        presentation = self._visits.presentation(there.visit)
        return Timeline(
            tuple(presentation.entry(each, there.handle) for each in examinations),
            {mark_of(there.handle, each.reference): each for each in examinations},
        )

    async def _with_parts(self, there: PatientVisit, timeline: Timeline) -> Timeline:
        named = await self._deps.history.body_parts(there.view, list(timeline.examinations.values()))
        languages, words = self._visits.pages.languages, there.visit.words
        told = {
            mark: parts_of_body(named.get(each.reference, ()), languages, words)
            for mark, each in timeline.examinations.items()
        }
        entries = tuple(replace(entry, parts=told[entry.mark]) for entry in timeline.entries)
        return Timeline(entries, timeline.examinations)

    async def _record_openings(self, there: PatientVisit, examination: Examination) -> None:
        write = partial(self._deps.gatekeeper.record_opening, there.view)
        for study in examination.studies:
            await write(study.study_uid, "images")
        if examination.report_item is not None:
            await write(examination.reference, "report", examination.report_item)
        if examination.referral_item is not None:
            await write(examination.reference, "referral", examination.referral_item)


def _parts(timeline: Timeline) -> tuple[Option, ...]:
    return options(part for entry in timeline.entries for part in entry.parts or (UNNAMED,))
