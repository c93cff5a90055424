"""Quarantine: what was taken in and is shown to nobody until a steward has decided."""

from typing import Any

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from samsyn.endpoints.viewer.dependencies import ViewerDependencies
from samsyn.endpoints.viewer.pages import go_to
from samsyn.endpoints.viewer.steward.console import Console
from samsyn.endpoints.viewer.visits import Visit, Visits
from samsyn.endpoints.viewer.wording import images_told, moment
from samsyn.errors import BadInput, Conflict
from samsyn.patients.identifiers import MAX_CHARACTERS
from samsyn.reports.stewardship.worklists import HeldCase


class Quarantine:
    """Pages under /steward/held."""

    def __init__(self, deps: ViewerDependencies, visits: Visits, console: Console) -> None:
        self._deps = deps
        self._visits = visits
        self._console = console

    def routes(self) -> list[BaseRoute]:
        """The addresses of this part."""
        staff = self._visits.staff
        return [
            Route("/steward/held", staff(self.held), methods=["GET"]),
            Route("/steward/held/{key:int}", staff(self.held_case), methods=["GET", "POST"]),
            Route("/steward/held/{key:int}/release", staff(self.release), methods=["POST"]),
            Route("/steward/held/{key:int}/leave", staff(self.leave_held), methods=["POST"]),
        ]

    async def held(self, visit: Visit) -> Response:
        """Everything that is kept aside."""
        cases = await self._deps.work_lists.held(visit.subject)
        shown = [self._case(visit, case) for case in cases]
        return self._console.show(visit, "steward_held.html", {"cases": shown})

    async def held_case(self, visit: Visit) -> Response:
        """One case; with a number in the form, who it is, to be confirmed."""
        return await self._case_page(visit, trouble="", number=visit.form.text("number"))

    async def release(self, visit: Visit) -> Response:
        """Files the case: images under the confirmed number, a message by what it says."""
        try:
            identifier = self._console.confirmed(visit)
            filed, left = await self._deps.decisions.release(
                visit.subject, int(visit.path("key")), visit.form.text("reason"), identifier
            )
        except BadInput:
            return await self._case_page(visit, "steward.no_reason", visit.form.text("number"))
        except Conflict:
            return await self._case_page(visit, "steward.source_gone", "")
        if left:
            return await self._case_page(visit, "steward.still_held", "")
        return go_to("/steward/acts" if filed else "/steward/held")

    async def leave_held(self, visit: Visit) -> Response:
        """Takes the case off the list; the bytes stay."""
        try:
            await self._deps.decisions.leave_held(
                visit.subject, int(visit.path("key")), visit.form.text("reason")
            )
        except BadInput:
            return await self._case_page(visit, "steward.no_reason", "")
        return go_to("/steward/held")

    async def _case_page(self, visit: Visit, trouble: str, number: str) -> Response:
        case = await self._deps.work_lists.held_case(visit.subject, int(visit.path("key")))
        proposal = await self._console.proposal(visit, number[:MAX_CHARACTERS])
        values = {"case": self._case(visit, case), "number": number, "proposed": proposal.shown}
        return self._console.show(visit, "steward_case.html", values, trouble or proposal.trouble)

    def _case(self, visit: Visit, case: HeldCase) -> dict[str, Any]:
        numbered = self._console.person(visit, case.numbered)
        hidden = case.numbered is not None and case.numbered.demographics.protected
        return {
            "key": case.held_key,
            "is_message": case.is_message,
            "reason": visit.words(f"steward.held_{case.reason.replace('-', '_')}"),
            "advice": visit.words(f"steward.advice_{case.reason.replace('-', '_')}"),
            "may_file": case.is_message or case.reason in ("identity-conflict", "unknown-issuer"),
            "detail": case.detail,
            "content": images_told(case.count, visit.words),
            "first": moment(case.first),
            "last": moment(case.last),
            "sender": case.sender,
            "study_uid": case.study_uid,
            "accession": case.accession,
            "patient_id": case.patient_id,
            "sent": self._console.told(visit, case.sent, hidden),
            "numbered": numbered,
            "other": self._console.person(visit, case.other),
        }
