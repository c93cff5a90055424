"""The steward's lists of images that miss their text, and of studies that seem to be one examination."""

from typing import Any

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from samsyn.endpoints.viewer.dependencies import ViewerDependencies
from samsyn.endpoints.viewer.pages import go_to
from samsyn.endpoints.viewer.steward.console import Console
from samsyn.endpoints.viewer.visits import Visit, Visits
from samsyn.endpoints.viewer.wording import day, images_told, kinds
from samsyn.errors import BadInput, Conflict
from samsyn.reports.stewardship.joining import Alike, Unjoined


class Joining:
    """Pages under /steward/unjoined and /steward/alike."""

    def __init__(self, deps: ViewerDependencies, visits: Visits, console: Console) -> None:
        self._deps = deps
        self._visits = visits
        self._console = console

    def routes(self) -> list[BaseRoute]:
        """The addresses of this part."""
        staff = self._visits.staff
        return [
            Route("/steward/unjoined", staff(self.unjoined), methods=["GET"]),
            Route("/steward/unjoined/{uid}/join", staff(self.join), methods=["POST"]),
            Route("/steward/alike", staff(self.alike), methods=["GET"]),
            Route("/steward/alike/{uid}/settle", staff(self.settle), methods=["POST"]),
        ]

    async def unjoined(self, visit: Visit) -> Response:
        """Studies without text, with suggestions."""
        return await self._unjoined_page(visit, "")

    async def join(self, visit: Visit) -> Response:
        """The study and the chosen text are one examination."""
        issuer, _, accession = visit.form.text("text").partition(" ")
        try:
            await self._deps.joining.join(
                visit.subject, visit.path("uid"), issuer, accession, visit.form.text("reason")
            )
        except BadInput:
            return await self._unjoined_page(visit, "steward.no_reason")
        except Conflict:
            return await self._unjoined_page(visit, "steward.joined_already")
        return go_to("/steward/acts")

    async def alike(self, visit: Visit) -> Response:
        """Studies that seem to be one examination."""
        return await self._alike_page(visit, "")

    async def settle(self, visit: Visit) -> Response:
        """The pair has been looked at."""
        try:
            await self._deps.joining.not_alike(
                visit.subject, visit.path("uid"), visit.form.text("other"), visit.form.text("reason")
            )
        except BadInput:
            return await self._alike_page(visit, "steward.no_reason")
        return go_to("/steward/alike")

    async def _unjoined_page(self, visit: Visit, trouble: str) -> Response:
        found = await self._deps.joining.unjoined(visit.subject)
        cases = [self._unjoined(visit, each) for each in found]
        return self._console.show(visit, "steward_unjoined.html", {"cases": cases}, trouble)

    async def _alike_page(self, visit: Visit, trouble: str) -> Response:
        found = await self._deps.joining.alike(visit.subject)
        cases = [self._alike(visit, each) for each in found]
        return self._console.show(visit, "steward_alike.html", {"cases": cases}, trouble)

    def _unjoined(self, visit: Visit, case: Unjoined) -> dict[str, Any]:
        return {
            "uid": case.study_uid,
            "person": self._console.person(visit, case.patient),
            "title": case.title or visit.words("steward.untitled"),
            "date": day(case.date),
            "time": f"{case.time[:2]}:{case.time[2:4]}" if len(case.time) >= 4 else "",
            "content": f"{self._kinds(visit, case.modalities)}, {images_told(case.instances, visit.words)}",
            "accession": case.accession,
            "elsewhere": self._console.person(visit, case.elsewhere),
            "suggestions": [
                {
                    "value": f"{each.issuer} {each.accession}",
                    "text": visit.words(
                        f"steward.suggested_{each.kind}",
                        title=each.title or visit.words("steward.untitled"),
                        accession=each.accession,
                        day=day(each.day),
                    ),
                }
                for each in case.suggestions
            ],
        }

    def _alike(self, visit: Visit, case: Alike) -> dict[str, Any]:
        return {
            "one_uid": case.one_uid,
            "other_uid": case.other_uid,
            "person": self._console.person(visit, case.patient),
            "date": day(case.date),
            "kinds": self._kinds(visit, case.modalities),
            "one": case.one or visit.words("steward.untitled"),
            "other": visit.words("steward.foreign_copy")
            if case.is_foreign
            else case.other or visit.words("steward.untitled"),
            "counts": [images_told(each, visit.words) for each in case.counts],
            "is_foreign": case.is_foreign,
        }

    def _kinds(self, visit: Visit, modalities: tuple[str, ...]) -> str:
        return ", ".join(kinds(modalities, self._visits.pages.languages, visit.words))
