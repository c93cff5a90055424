"""Sending an examination's pictures to an archive of the own provider (självrekvirera), and following it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from samsyn.endpoints.viewer.dependencies import ViewerDependencies
from samsyn.endpoints.viewer.history import mark_of
from samsyn.endpoints.viewer.language import Words
from samsyn.endpoints.viewer.pages import go_to
from samsyn.endpoints.viewer.visits import PatientVisit, Visits
from samsyn.endpoints.viewer.wording import short_moment
from samsyn.errors import NotFound
from samsyn.exchange.sending import Transfer, TransferState
from samsyn.reports.examination import Examination

UNDER_WAY: Final = (TransferState.WAITING, TransferState.SENDING)
TROUBLED: Final = (TransferState.INCOMPLETE, TransferState.GIVEN_UP, TransferState.CANCELLED)
"""Ended before everything had arrived."""


@dataclass(frozen=True, slots=True)
class TransferShown:
    """A transfer as its requester reads it."""

    transfer_id: str
    destination: str
    told: str
    """How far it is, in a sentence."""
    requested: str
    changed: str
    why: str
    """What went wrong last or first, in the technician's English; "" when nothing did."""
    is_under_way: bool
    needs_care: bool
    """It has not brought everything, and nobody stopped it: somebody has to do something."""


def transfer_shown(transfer: Transfer, words: Words, now: datetime) -> TransferShown:
    """The transfer in words, with its times as they are read today."""
    state = transfer.state.value.replace("-", "_")
    requested, changed = (datetime.fromisoformat(each) for each in (transfer.requested, transfer.changed))
    return TransferShown(
        transfer.transfer_id,
        transfer.destination,
        words(f"send.state_{state}", sent=transfer.sent, total=transfer.total, failed=transfer.failed),
        short_moment(requested, now),
        short_moment(changed, now) if changed > requested else "",
        transfer.why,
        transfer.state in UNDER_WAY,
        transfer.state in (TransferState.INCOMPLETE, TransferState.GIVEN_UP),
    )


class SendPages:
    """The part of an examination's page that sends, and its addresses."""

    def __init__(self, deps: ViewerDependencies, visits: Visits) -> None:
        self._deps = deps
        self._visits = visits

    def routes(self) -> list[BaseRoute]:
        """The addresses of this part."""
        patient = self._visits.patient
        start = "/p/{handle}/e/{mark}/transfers"
        return [
            Route(start, patient(self.transfers, by_itself=True), methods=["GET"]),
            Route(start, patient(self.send), methods=["POST"]),
            Route(start + "/{transfer}/cancel", patient(self.cancel), methods=["POST"]),
        ]

    async def values(self, there: PatientVisit, examination: Examination) -> dict[str, Any]:
        """What the part shows: where the reader may send, and his own transfers of these studies."""
        subject = there.visit.subject
        destinations = self._deps.sending.destinations(subject) if examination.studies else []
        if not destinations:
            return {"destinations": [], "transfers": []}
        studies = {study.study_uid for study in examination.studies}
        mine = [each for each in await self._deps.sending.mine(subject) if each.study_uid in studies]
        words, now = there.visit.words, self._deps.clock.now()
        return {
            "destinations": [each.ae_title for each in destinations],
            "transfers": [transfer_shown(each, words, now) for each in mine],
            "transfers_under_way": any(each.state in UNDER_WAY for each in mine),
            "mark": mark_of(there.handle, examination.reference),
        }

    async def transfers(self, there: PatientVisit) -> Response:
        """The part alone, for a page that follows a transfer."""
        values = await self.values(there, await self._examination(there))
        return self._visits.show_patient(there, "_transfers.html", "examination", values)

    async def send(self, there: PatientVisit) -> Response:
        """Has every study of the examination sent; what can be seen is audited and judged again when it leaves."""
        examination = await self._examination(there)
        destination = there.visit.form.text("destination")
        for study in examination.studies:
            await self._deps.sending.request(there.view, study.study_uid, destination)
        return self._back(there)

    async def cancel(self, there: PatientVisit) -> Response:
        """Ends one of the reader's own transfers."""
        await self._deps.sending.cancel(there.visit.subject, there.visit.path("transfer"))
        return self._back(there)

    @staticmethod
    def _back(there: PatientVisit) -> Response:
        return go_to(f"{there.base}e/{there.visit.path('mark')}#transfers")

    async def _examination(self, there: PatientVisit) -> Examination:
        mark = there.visit.path("mark")
        for examination in await self._deps.history.examinations(there.view):
            if mark_of(there.handle, examination.reference) == mark:
                return examination
        raise NotFound
