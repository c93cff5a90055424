"""The private person's own examinations and answers, and those of the young children whom he is the guardian of.

What is shown is what the View shows: signed, with a known owner, old enough by the region's delay and the
provider's, of a provider that gives it (PDL 5:5); of reports those that are released (reports.release). Every text that
is opened is in the audit journal first, as the person's own reading. The pictures are pictures.py's.
"""

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from samsyn.access.ages import is_too_young_alone
from samsyn.endpoints.viewer.dependencies import ViewerDependencies
from samsyn.endpoints.viewer.history import by_year, mark_of
from samsyn.endpoints.viewer.pulse import NOT_KEPT, Marks, alive
from samsyn.endpoints.viewer.series import SeriesLists
from samsyn.endpoints.viewer.visits import OWN_RECORD, PatientVisit, Visit, Visits
from samsyn.endpoints.viewer.wording import PatientShown, patient_shown
from samsyn.errors import NotAllowed, NotFound
from samsyn.model.subject import Purpose

_PAGE: Final = "mine"


@dataclass(frozen=True, slots=True)
class ChildShown:
    """A child of the reader, with the way to its page."""

    handle: str
    shown: PatientShown


class MyRecord:
    """The addresses under /mine/record."""

    def __init__(self, deps: ViewerDependencies, visits: Visits, series: SeriesLists, marks: Marks) -> None:
        self._deps = deps
        self._visits = visits
        self._series = series
        self._marks = marks

    def routes(self) -> list[BaseRoute]:
        """The addresses of this part."""
        own, person = self._visits.own, f"{OWN_RECORD}/{{handle}}"
        return [
            Route(OWN_RECORD, self._visits.staff(self.own), methods=["GET"]),
            Route(person, own(self.of_person), methods=["GET"]),
            Route(f"{person}/", own(self.of_person), methods=["GET"]),
            Route(f"{person}/pulse", self.pulse, methods=["GET"]),
            Route(f"{person}/e/{{mark}}", own(self.examination), methods=["GET"]),
        ]

    async def own(self, visit: Visit) -> Response:
        """The own examinations, and the children."""
        key = visit.subject.patient_key
        if key is None:
            raise NotAllowed("only the patient")
        handle = self._deps.opened.open(visit.subject.session_id, key)
        return await self.of_person(await self._visits.opened_own(visit, handle))

    async def pulse(self, request: Request) -> Response:
        """The mark of the state of what the open page may go on showing; 404 closes it, 401: the session is over."""
        session, headers = alive(self._deps.sessions, request)
        if session is None:
            return Response(status_code=401, headers=NOT_KEPT)
        subject = session.subject
        try:
            key = self._deps.opened.look(subject.session_id, request.path_params["handle"])
        except NotFound:
            return Response(status_code=404, headers=NOT_KEPT)
        if not await self._deps.guardians.stands_for(subject, key):
            return Response(status_code=404, headers=NOT_KEPT)
        view = await self._deps.gatekeeper.watching(subject, frozenset({key}), Purpose.OWN_RECORD)
        state = self._marks.of_state(subject.session_id, await self._deps.history.state(view))
        return JSONResponse({"shown": [], "state": state}, headers=headers)

    async def examination(self, there: PatientVisit) -> Response:
        """One examination with its answers and its pictures."""
        for examination in await self._deps.history.examinations(there.view):
            if mark_of(there.handle, examination.reference) != there.visit.path("mark"):
                continue
            gate = self._deps.gatekeeper
            for study in examination.studies:
                await gate.record_opening(there.view, study.study_uid, "metadata")
            if examination.report_item is not None:
                await gate.record_opening(
                    there.view, examination.reference, "report", examination.report_item
                )
            presentation = self._visits.presentation(there.visit)
            values = {
                **self._told(there),
                "entry": presentation.entry(examination, there.handle),
                "reports": presentation.reports(examination, there.view),
                "series": await self._series.of(there, examination),
                "diagnostic": False,
                "withheld": examination.withheld,
                "pictures": sum(study.instance_count for study in examination.studies),
            }
            return self._visits.show(there.visit, "my_examination.html", _PAGE, values)
        raise NotFound

    async def of_person(self, there: PatientVisit) -> Response:
        """All examinations of the person behind the handle."""
        await self._deps.gatekeeper.record_search(there.view, "viewer", frozenset({there.patient_key}))
        presentation = self._visits.presentation(there.visit)
        examinations = await self._deps.history.examinations(there.view)
        values = {
            **self._told(there),
            "is_own": there.patient_key == there.visit.subject.patient_key,
            "years": by_year(presentation.entry(each, there.handle) for each in examinations),
            "count": len(examinations),
            "too_young": any(is_too_young_alone(reader.facts) for reader in there.view.standings),
            "children": await self._children(there.visit),
        }
        return self._visits.show(there.visit, "my_record.html", _PAGE, values)

    async def _children(self, visit: Visit) -> list[ChildShown]:
        """Those whom the rule still lets read: a child that is too old is not told any more."""
        found = []
        for key in await self._deps.guardians.children(visit.subject):
            patient = await self._deps.lookup.patient(key)
            told = await self._deps.gatekeeper.as_told(visit.subject, patient)
            if told is not None:
                handle = self._deps.opened.open(visit.subject.session_id, key)
                found.append(
                    ChildShown(handle, patient_shown(told, visit.words, self._deps.clock.now(), may_see=True))
                )
        return found

    def _told(self, there: PatientVisit) -> dict[str, object]:
        """What every page of a person has."""
        return {"me": there.shown, "base": there.base, **self._visits.watched(there)}
