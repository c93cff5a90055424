"""Differences: who was described otherwise than the register has it."""

from typing import Any

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from samsyn.endpoints.viewer.dependencies import ViewerDependencies
from samsyn.endpoints.viewer.pages import go_to
from samsyn.endpoints.viewer.steward.console import Console
from samsyn.endpoints.viewer.visits import Visit, Visits
from samsyn.endpoints.viewer.wording import day, moment
from samsyn.errors import BadInput
from samsyn.reports.stewardship.worklists import FindingCase


class Differences:
    """Pages under /steward/findings."""

    def __init__(self, deps: ViewerDependencies, visits: Visits, console: Console) -> None:
        self._deps = deps
        self._visits = visits
        self._console = console

    def routes(self) -> list[BaseRoute]:
        """The addresses of this part."""
        staff = self._visits.staff
        return [
            Route("/steward/findings", staff(self.findings), methods=["GET"]),
            Route("/steward/findings/{key:int}/settle", staff(self.settle_finding), methods=["POST"]),
        ]

    async def findings(self, visit: Visit) -> Response:
        """What was sent with other words about the patient than the register's."""
        return await self._findings_page(visit, "")

    async def settle_finding(self, visit: Visit) -> Response:
        """The difference is explained."""
        try:
            await self._deps.decisions.settle_finding(
                visit.subject, int(visit.path("key")), visit.form.text("reason")
            )
        except BadInput:
            return await self._findings_page(visit, "steward.no_reason")
        return go_to("/steward/findings")

    async def _findings_page(self, visit: Visit, trouble: str) -> Response:
        found = await self._deps.work_lists.findings(visit.subject)
        cases = [self._finding(visit, each) for each in found]
        return self._console.show(visit, "steward_findings.html", {"cases": cases}, trouble)

    def _finding(self, visit: Visit, case: FindingCase) -> dict[str, Any]:
        hidden = case.patient is not None and case.patient.demographics.protected
        return {
            "key": case.finding_key,
            "kind": visit.words(f"steward.finding_{case.kind.replace('-', '_')}"),
            "fields": [visit.words(f"steward.field_{field}") for field in case.fields],
            "found": moment(case.found),
            "person": self._console.person(visit, case.patient),
            "handle": self._deps.lookup.handle(case.patient.key) if case.patient else "",
            "title": case.title,
            "date": day(case.study_date),
            "accession": case.accession,
            "sent": self._console.told(visit, case.sent, hidden) if case.kind == "image-header" else None,
        }
