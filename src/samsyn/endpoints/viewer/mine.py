"""The private person's own examinations and answers, and those of the young children whom he is the guardian of.

What is shown is what the View shows: signed, old enough by the region's delay, with a known owner (PDL 5:5). Every
text that is opened is in the audit journal first, as the person's own reading.
"""

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from samsyn.access.authentication.identification import session_secret
from samsyn.access.view import View
from samsyn.endpoints.viewer.dependencies import ViewerDependencies
from samsyn.endpoints.viewer.history import by_year, mark_of
from samsyn.endpoints.viewer.pulse import NOT_KEPT
from samsyn.endpoints.viewer.visits import Visit, Visits
from samsyn.endpoints.viewer.wording import PatientShown, patient_shown
from samsyn.errors import NotAllowed, NotFound
from samsyn.model.patient import Patient

_PAGE: Final = "mine"


@dataclass(frozen=True, slots=True)
class ChildShown:
    """A child of the reader, with the way to its page."""

    handle: str
    shown: PatientShown


class MyRecord:
    """The addresses under /mine/record."""

    def __init__(self, deps: ViewerDependencies, visits: Visits) -> None:
        self._deps = deps
        self._visits = visits

    def routes(self) -> list[BaseRoute]:
        """The addresses of this part."""
        anybody_in = self._visits.staff
        return [
            Route("/mine/record", anybody_in(self.own), methods=["GET"]),
            Route("/mine/record/{handle}", anybody_in(self.of_person), methods=["GET"]),
            Route("/mine/record/{handle}/pulse", self.pulse, methods=["GET"]),
            Route("/mine/record/{handle}/e/{mark}", anybody_in(self.examination), methods=["GET"]),
        ]

    async def own(self, visit: Visit) -> Response:
        """The own examinations, and the children."""
        key = self._me(visit)
        return await self._page(visit, self._deps.opened.open(visit.subject.session_id, key), key)

    async def of_person(self, visit: Visit) -> Response:
        """The same of the person behind the handle; NotFound for who is neither oneself nor a young child of one's."""
        self._me(visit)
        handle = visit.path("handle")
        key = self._deps.opened.patient_key(visit.subject.session_id, handle)
        return await self._page(visit, handle, key)

    async def pulse(self, request: Request) -> Response:
        """204 while the open page may go on showing the person; 404 closes it, 401 when the session is over."""
        session = self._deps.sessions.look(session_secret(request.scope))
        if session is None:
            return Response(status_code=401, headers=NOT_KEPT)
        subject = session.subject
        try:
            key = self._deps.opened.look(subject.session_id, request.path_params["handle"])
        except NotFound:
            return Response(status_code=404, headers=NOT_KEPT)
        stands = await self._deps.guardians.stands_for(subject, key)
        return Response(status_code=204 if stands else 404, headers=NOT_KEPT)

    async def examination(self, visit: Visit) -> Response:
        """One examination with its answers."""
        self._me(visit)
        handle = visit.path("handle")
        patient, view = await self._opened(
            visit, self._deps.opened.patient_key(visit.subject.session_id, handle)
        )
        for examination in await self._deps.history.examinations(view):
            if mark_of(handle, examination.reference) != visit.path("mark"):
                continue
            gate = self._deps.gatekeeper
            for study in examination.studies:
                await gate.record_opening(view, study.study_uid, "metadata")
            if examination.report_item is not None:
                await gate.record_opening(view, examination.reference, "report", examination.report_item)
            presentation = self._visits.presentation(visit)
            values = {
                "me": self._shown(visit, patient),
                "handle_of": handle,
                "entry": presentation.entry(examination, handle),
                "reports": presentation.reports(examination, view),
                "pulse": f"/mine/record/{handle}/pulse",
                "pictures": sum(study.instance_count for study in examination.studies),
            }
            return self._visits.show(visit, "my_examination.html", _PAGE, values)
        raise NotFound

    async def _page(self, visit: Visit, handle: str, key: int) -> Response:
        patient, view = await self._opened(visit, key)
        await self._deps.gatekeeper.record_search(view, "viewer", frozenset({key}))
        presentation = self._visits.presentation(visit)
        examinations = await self._deps.history.examinations(view)
        values = {
            "me": self._shown(visit, patient),
            "handle_of": handle,
            "pulse": f"/mine/record/{handle}/pulse",
            "is_own": key == visit.subject.patient_key,
            "years": by_year(presentation.entry(each, handle) for each in examinations),
            "count": len(examinations),
            "children": await self._children(visit),
        }
        return self._visits.show(visit, "my_record.html", _PAGE, values)

    async def _children(self, visit: Visit) -> list[ChildShown]:
        """Those whom the rule still lets read: a child that is too old is not told any more."""
        found = []
        for key in await self._deps.guardians.children(visit.subject):
            patient = await self._deps.lookup.patient(key)
            told = await self._deps.gatekeeper.as_told(visit.subject, patient)
            if told is not None:
                handle = self._deps.opened.open(visit.subject.session_id, key)
                found.append(ChildShown(handle, self._shown(visit, told)))
        return found

    async def _opened(self, visit: Visit, key: int) -> tuple[Patient, View]:
        view = await self._deps.gatekeeper.open_view(visit.subject, frozenset({key}))
        patient = await self._deps.gatekeeper.as_told(visit.subject, await self._deps.lookup.patient(key))
        if patient is None:
            raise NotFound
        return patient, view

    def _me(self, visit: Visit) -> int:
        if visit.subject.patient_key is None:
            raise NotAllowed("only the patient")
        return visit.subject.patient_key

    def _shown(self, visit: Visit, patient: Patient) -> PatientShown:
        return patient_shown(patient, visit.words, may_see=True)
