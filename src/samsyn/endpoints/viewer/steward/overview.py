"""Where a steward begins: how much waits, and the way to a person's numbers."""

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from samsyn.access.duties import stewarding
from samsyn.endpoints.viewer.dependencies import ViewerDependencies
from samsyn.endpoints.viewer.pages import go_to
from samsyn.endpoints.viewer.steward.console import Console
from samsyn.endpoints.viewer.visits import Visit, Visits
from samsyn.patients.identifiers import MAX_CHARACTERS


class Overview:
    """The page /steward."""

    def __init__(self, deps: ViewerDependencies, visits: Visits, console: Console) -> None:
        self._deps = deps
        self._visits = visits
        self._console = console

    def routes(self) -> list[BaseRoute]:
        """The addresses of this part."""
        staff = self._visits.staff
        return [
            Route("/steward", staff(self.overview), methods=["GET"]),
            Route("/steward/person", staff(self.find_person), methods=["POST"]),
        ]

    async def overview(self, visit: Visit) -> Response:
        """How much waits, and the way to a person's numbers."""
        return await self._page(visit, "")

    async def find_person(self, visit: Visit) -> Response:
        """Looks a person up by number; the look-up is in the audit journal."""
        stewarding(visit.subject, self._deps.clock.now())
        found = await self._deps.lookup.by_number(visit.form.text("number")[:MAX_CHARACTERS])
        await self._console.record_search(visit, found)
        if len(found) != 1:
            return await self._page(visit, "steward.several" if found else "steward.nobody")
        return go_to(f"/steward/person/{self._deps.lookup.handle(found[0].key)}")

    async def _page(self, visit: Visit, trouble: str) -> Response:
        counts = await self._deps.work_lists.counts(visit.subject)
        counts |= await self._deps.joining.counts(visit.subject)
        return self._console.show(visit, "steward.html", {"counts": counts}, trouble)
