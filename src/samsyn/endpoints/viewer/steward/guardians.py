"""The steward's page of a child's guardians (vårdnadshavare): who they are, who told it, and a steward's own word."""

from datetime import datetime
from typing import Final

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from samsyn.access.duties import stewarding
from samsyn.access.guardians import between
from samsyn.endpoints.viewer.dependencies import ViewerDependencies
from samsyn.endpoints.viewer.pages import go_to
from samsyn.endpoints.viewer.steward.console import Console
from samsyn.endpoints.viewer.typed import day_typed
from samsyn.endpoints.viewer.visits import Visit, Visits
from samsyn.endpoints.viewer.wording import moment
from samsyn.errors import BadInput

_BASE: Final = "/steward/guardians"


class Guardians:
    """Pages under /steward/guardians."""

    def __init__(self, deps: ViewerDependencies, visits: Visits, console: Console) -> None:
        self._deps = deps
        self._visits = visits
        self._console = console

    def routes(self) -> list[BaseRoute]:
        """The addresses of this part."""
        staff = self._visits.staff
        return [
            Route(_BASE, staff(self.start), methods=["GET"]),
            Route(_BASE, staff(self.find), methods=["POST"]),
            Route(f"{_BASE}/{{handle}}", staff(self.show), methods=["GET"]),
            Route(f"{_BASE}/{{handle}}/register", staff(self.register), methods=["POST"]),
            Route(f"{_BASE}/{{handle}}/end", staff(self.end), methods=["POST"]),
        ]

    async def start(self, visit: Visit) -> Response:
        """The field for the child's number."""
        return self._start(visit)

    async def find(self, visit: Visit) -> Response:
        """The child of the number; the number stays in the form and never in an address."""
        stewarding(visit.subject, self._deps.clock.now())
        found = await self._deps.lookup.by_number(visit.form.text("number"))
        await self._console.record_search(visit, found)
        if len(found) != 1:
            return self._start(visit, "guardians.nobody")
        handle = self._deps.opened.open(visit.subject.session_id, found[0].key)
        return go_to(f"{_BASE}/{handle}")

    async def show(self, visit: Visit) -> Response:
        """The child's guardians."""
        return await self._page(visit)

    async def register(self, visit: Visit) -> Response:
        """A steward's word that somebody is the guardian, with what proves it."""
        stewarding(visit.subject, self._deps.clock.now())
        form = visit.form
        found = await self._deps.lookup.by_number(form.text("number"))
        await self._console.record_search(visit, found)
        if len(found) != 1:
            return await self._page(visit, "guardians.nobody")
        try:
            last = day_typed(form.text("last"))
            ends: datetime | None = between("", str(last) if last else "")[1]
            await self._deps.guardians.register(
                visit.subject, self._key(visit), found[0].key, ends, form.text("reason")
            )
        except BadInput:
            return await self._page(visit, "guardians.bad")
        return go_to(f"{_BASE}/{visit.path('handle')}")

    async def end(self, visit: Visit) -> Response:
        """Takes a guardianship of this child back."""
        known = await self._deps.guardians.of_child(visit.subject, self._key(visit))
        row = visit.form.text("row")
        if row not in {each.guardianship_id for each in known}:
            return await self._page(visit, "guardians.nobody")
        try:
            await self._deps.guardians.end(visit.subject, row, visit.form.text("reason"))
        except BadInput:
            return await self._page(visit, "steward.no_reason")
        return go_to(f"{_BASE}/{visit.path('handle')}")

    def _key(self, visit: Visit) -> int:
        stewarding(visit.subject, self._deps.clock.now())
        return self._deps.opened.patient_key(visit.subject.session_id, visit.path("handle"))

    def _start(self, visit: Visit, trouble: str = "") -> Response:
        return self._console.show(visit, "steward_guardians.html", {"child": None}, trouble)

    async def _page(self, visit: Visit, trouble: str = "") -> Response:
        key = self._key(visit)
        known = await self._deps.guardians.of_child(visit.subject, key)
        rows = [
            {
                "id": each.guardianship_id,
                "person": self._console.person(visit, await self._deps.lookup.patient(each.guardian_key)),
                "source": visit.words(f"guardians.source_{each.source.partition(':')[0]}"),
                "until": moment(each.ends),
            }
            for each in known
        ]
        values = {
            "handle_of": visit.path("handle"),
            "child": self._console.person(visit, await self._deps.lookup.patient(key)),
            "rows": rows,
        }
        return self._console.show(visit, "steward_guardians.html", values, trouble)
