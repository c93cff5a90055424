"""Everything that the reader has had sent to archives of the own provider, of all patients: an exchange desk's day.

A transfer is its requester's own act; whom it is about is told as the search page tells it, of those whom the session
has open.
"""

from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from samsyn.access.duties import sees_protected
from samsyn.endpoints.viewer.dependencies import ViewerDependencies
from samsyn.endpoints.viewer.pages import go_to
from samsyn.endpoints.viewer.send_pages import TROUBLED, UNDER_WAY, TransferShown, transfer_shown
from samsyn.endpoints.viewer.visits import Visit, Visits
from samsyn.endpoints.viewer.wording import PatientShown, patient_shown
from samsyn.exchange.sending import TransferState

_CHOICES: Final = {
    "all": tuple(TransferState),
    "under_way": UNDER_WAY,
    "troubled": TROUBLED,
    "done": (TransferState.DONE,),
}
"""What the list can be narrowed to."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One line: the transfer, and the person while the session has him open."""

    transfer: TransferShown
    person: PatientShown | None
    handle: str


class SentPages:
    """The addresses under /sent."""

    def __init__(self, deps: ViewerDependencies, visits: Visits) -> None:
        self._deps = deps
        self._visits = visits

    def routes(self) -> list[BaseRoute]:
        """The addresses of this part."""
        staff = self._visits.staff
        return [
            Route("/sent", staff(self.page), methods=["GET"]),
            Route("/sent/list", staff(self.followed, by_itself=True), methods=["GET"]),
            Route("/sent/{transfer}/cancel", staff(self.cancel), methods=["POST"]),
        ]

    async def page(self, visit: Visit) -> Response:
        """The reader's newest transfers, the latest first."""
        return self._visits.show(visit, "sent.html", "sent", await self._values(visit))

    async def followed(self, visit: Visit) -> Response:
        """The list alone, for a page that follows what is under way."""
        return self._visits.show(visit, "_sent.html", "sent", await self._values(visit))

    async def cancel(self, visit: Visit) -> Response:
        """Ends one of the reader's own transfers."""
        _ = visit.assignment
        await self._deps.sending.cancel(visit.subject, visit.path("transfer"))
        return go_to("/sent")

    async def _values(self, visit: Visit) -> dict[str, Any]:
        _ = visit.assignment
        wanted = visit.request.query_params.get("show", "")
        choice = wanted if wanted in _CHOICES else "all"
        every = await self._deps.sending.mine(visit.subject)
        persons = await self._persons(visit)
        now = self._deps.clock.now()
        return {
            "here": "/sent",
            "choice": choice,
            "choices": [
                (each, sum(transfer.state in states for transfer in every))
                for each, states in _CHOICES.items()
            ],
            "is_under_way": any(each.state in UNDER_WAY for each in every),
            "sent": [
                Sent(transfer_shown(each, visit.words, now), *persons.get(each.patient_key, (None, "")))
                for each in every
                if each.state in _CHOICES[choice]
            ],
        }

    async def _persons(self, visit: Visit) -> dict[int, tuple[PatientShown, str]]:
        """Whom the session has open, as the search page names them, with their handles; by every key of theirs."""
        found: dict[int, tuple[PatientShown, str]] = {}
        for handle, key in self._deps.opened.latest(visit.subject.session_id):
            told = await self._deps.gatekeeper.as_told(visit.subject, await self._deps.lookup.patient(key))
            if told is None:
                continue
            may_see = sees_protected(visit.subject)
            shown = patient_shown(told, visit.words, self._deps.clock.now(), may_see=may_see)
            for each in await self._deps.lookup.linked(key):
                found.setdefault(each, (shown, handle))
        return found
