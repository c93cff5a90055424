"""What lies under the wrong person: a study or texts, given to the right one after all consequences were shown."""

from typing import Any

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from samsyn.endpoints.viewer.dependencies import ViewerDependencies
from samsyn.endpoints.viewer.pages import go_to
from samsyn.endpoints.viewer.steward.console import Console
from samsyn.endpoints.viewer.visits import Visit, Visits
from samsyn.endpoints.viewer.wording import day, images_told, moment
from samsyn.errors import BadInput, Conflict, NotFound
from samsyn.patients.identifiers import MAX_CHARACTERS
from samsyn.reports.stewardship.moving import Consequences


class Moving:
    """Pages under /steward/move and /steward/texts."""

    def __init__(self, deps: ViewerDependencies, visits: Visits, console: Console) -> None:
        self._deps = deps
        self._visits = visits
        self._console = console

    def routes(self) -> list[BaseRoute]:
        """The addresses of this part."""
        staff = self._visits.staff
        return [
            Route("/steward/move/{key}", staff(self.moving), methods=["GET", "POST"]),
            Route("/steward/move/{key}/done", staff(self.move), methods=["POST"]),
            Route("/steward/texts/{key}", staff(self.moving_texts), methods=["POST"]),
            Route("/steward/texts/{key}/done", staff(self.move_texts), methods=["POST"]),
        ]

    async def moving(self, visit: Visit) -> Response:
        """The study; with a number in the form, everything that would follow from giving it to that person."""
        return await self._move_page(visit, "")

    async def move(self, visit: Visit) -> Response:
        """Gives the study, or the chosen series, to the confirmed person."""
        identifier = self._console.confirmed(visit)
        if identifier is None:
            raise NotFound
        try:
            await self._deps.mover.move(
                visit.subject,
                visit.path("key"),
                identifier,
                visit.form.text("reason"),
                series=frozenset(visit.form.every("series")),
                with_texts=visit.form.text("texts") == "yes",
            )
        except BadInput:
            return await self._move_page(visit, "steward.no_reason")
        except Conflict:
            return await self._move_page(visit, "steward.move_refused")
        return go_to("/steward/acts")

    async def _move_page(self, visit: Visit, trouble: str) -> Response:
        uid, number = visit.path("key"), visit.form.text("number")[:MAX_CHARACTERS]
        proposal = await self._console.proposal(visit, number)
        found = await self._deps.mover.consequences(visit.subject, uid, proposal.identifier)
        values = {
            "address": f"/steward/move/{uid}",
            "hidden": {},
            "number": number,
            "chosen": visit.form.every("series"),
            "texts": visit.form.text("texts") == "yes" or not number,
            "proposed": proposal.shown,
            "facts": self._facts(visit, found),
        }
        return self._console.show(visit, "steward_move.html", values, trouble or proposal.trouble)

    async def moving_texts(self, visit: Visit) -> Response:
        """Texts without images; with a number in the form, what would follow from giving them to that person."""
        return await self._texts_page(visit, "")

    async def move_texts(self, visit: Visit) -> Response:
        """Gives the texts to the confirmed person."""
        identifier = self._console.confirmed(visit)
        if identifier is None:
            raise NotFound
        key = self._deps.lookup.key_of(visit.path("key"))
        try:
            await self._deps.mover.move_texts(
                visit.subject, key, _text_number(visit), identifier, visit.form.text("reason")
            )
        except BadInput:
            return await self._texts_page(visit, "steward.no_reason")
        except Conflict:
            return await self._texts_page(visit, "steward.move_refused")
        return go_to("/steward/acts")

    async def _texts_page(self, visit: Visit, trouble: str) -> Response:
        handle, number = visit.path("key"), visit.form.text("number")[:MAX_CHARACTERS]
        proposal = await self._console.proposal(visit, number)
        found = await self._deps.mover.text_consequences(
            visit.subject, self._deps.lookup.key_of(handle), _text_number(visit), proposal.identifier
        )
        values = {
            "address": f"/steward/texts/{handle}",
            "hidden": {"text": visit.form.text("text")},
            "number": number,
            "chosen": [],
            "texts": True,
            "proposed": proposal.shown,
            "facts": self._facts(visit, found),
        }
        return self._console.show(visit, "steward_move.html", values, trouble or proposal.trouble)

    def _facts(self, visit: Visit, found: Consequences) -> dict[str, Any]:
        names = self._deps.connections
        return {
            "title": found.title or visit.words("steward.untitled"),
            "date": day(found.date),
            "accession": found.accession,
            "content": images_told(found.instances, visit.words),
            "size": max(1, round(found.size_bytes / 1_000_000)),
            "series": found.series,
            "former": self._console.person(visit, found.former),
            "reports": found.reports,
            "referrals": found.referrals,
            "seen": [
                {
                    "who": each.actor,
                    "unit": names.unit_name(each.provider, each.unit),
                    "what": visit.words(f"steward.seen_{each.event}"),
                    "receiver": each.receiver,
                    "last": moment(each.last),
                    "times": each.times,
                }
                for each in found.seen
            ],
            "to_tell": [
                f"{names.unit_name(provider, unit)}, {names.provider_name(provider)}"
                for provider, unit in found.to_tell
            ],
            "former_blocked": found.former_blocked,
            "owner_blocked": found.owner_blocked,
        }


def _text_number(visit: Visit) -> tuple[str, str]:
    issuer, _, accession = visit.form.text("text").partition(" ")
    return issuer, accession
