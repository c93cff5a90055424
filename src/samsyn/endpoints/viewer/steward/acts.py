"""What the provider's stewards did, each act with its undo."""

from typing import Any, Final

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from samsyn.endpoints.viewer.dependencies import ViewerDependencies
from samsyn.endpoints.viewer.pages import go_to
from samsyn.endpoints.viewer.steward.console import Console
from samsyn.endpoints.viewer.visits import Visit, Visits
from samsyn.endpoints.viewer.wording import moment
from samsyn.errors import Conflict
from samsyn.patients.identifiers import display
from samsyn.reports.stewardship.acts import ActKind
from samsyn.reports.stewardship.worklists import DoneAct

_UNDOABLE: Final = frozenset(
    {ActKind.LEAVE_HELD, ActKind.SETTLE_FINDING, ActKind.LINK, ActKind.PART, ActKind.MOVE, ActKind.JOIN}
)


class Acts:
    """Pages under /steward/acts."""

    def __init__(self, deps: ViewerDependencies, visits: Visits, console: Console) -> None:
        self._deps = deps
        self._visits = visits
        self._console = console

    def routes(self) -> list[BaseRoute]:
        """The addresses of this part."""
        staff = self._visits.staff
        return [
            Route("/steward/acts", staff(self.acts), methods=["GET"]),
            Route("/steward/acts/{key:int}/undo", staff(self.undo), methods=["POST"]),
        ]

    async def acts(self, visit: Visit) -> Response:
        """What the provider's stewards did."""
        return await self._acts_page(visit, "")

    async def undo(self, visit: Visit) -> Response:
        """Undoes one act; it stays in the list."""
        try:
            await self._deps.decisions.undo(visit.subject, int(visit.path("key")))
        except Conflict:
            return await self._acts_page(visit, "steward.undo_refused")
        return go_to("/steward/acts")

    async def _acts_page(self, visit: Visit, trouble: str) -> Response:
        done = [self._done(visit, each) for each in await self._deps.work_lists.acts(visit.subject)]
        return self._console.show(visit, "steward_acts.html", {"acts": done}, trouble)

    def _done(self, visit: Visit, act: DoneAct) -> dict[str, Any]:
        return {
            "key": act.act_key,
            "kind": visit.words(f"steward.act_{act.kind.value.replace('-', '_')}"),
            "reference": act.reference,
            "one": self._console.person(visit, act.patient),
            "other": self._console.person(visit, act.other),
            "numbers": [" ".join(map(display, each)) for each in act.numbers]
            if act.kind in (ActKind.LINK, ActKind.PART)
            else [],
            "is_move": act.kind is ActKind.MOVE,
            "actor": act.actor,
            "happened": moment(act.happened),
            "reason": act.reason,
            "undone": moment(act.undone),
            "undone_by": act.undone_by,
            "can_undo": act.kind in _UNDOABLE and act.undone is None,
        }
