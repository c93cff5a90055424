"""A person's numbers: every word about them, and linking, parting and letting alone."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, TypeAlias

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from samsyn.endpoints.viewer.dependencies import ViewerDependencies
from samsyn.endpoints.viewer.pages import go_to
from samsyn.endpoints.viewer.steward.console import Console
from samsyn.endpoints.viewer.visits import Visit, Visits
from samsyn.endpoints.viewer.wording import day, moment
from samsyn.errors import BadInput, Conflict
from samsyn.model.patient import PatientIdentifier
from samsyn.model.subject import Subject
from samsyn.patients.identifiers import MAX_CHARACTERS, display
from samsyn.patients.links import LinkEvent

Numbers: TypeAlias = dict[int, tuple[PatientIdentifier, ...]]
"""Numbers of persons, by their keys."""
Relating: TypeAlias = Callable[[Subject, int, int, str], Awaitable[object]]
"""An act on two persons' numbers, with its reason."""


class PersonNumbers:
    """Pages under /steward/person."""

    def __init__(self, deps: ViewerDependencies, visits: Visits, console: Console) -> None:
        self._deps = deps
        self._visits = visits
        self._console = console

    def routes(self) -> list[BaseRoute]:
        """The addresses of this part."""
        staff = self._visits.staff
        return [
            Route("/steward/person/{handle}", staff(self.person), methods=["GET", "POST"]),
            Route("/steward/person/{handle}/link", staff(self.link), methods=["POST"]),
            Route("/steward/person/{handle}/part", staff(self.part), methods=["POST"]),
            Route("/steward/person/{handle}/alone", staff(self.stand_alone), methods=["POST"]),
        ]

    async def person(self, visit: Visit) -> Response:
        """The person's numbers, every word about them, and a second number to link with, to be confirmed."""
        return await self._page(visit, "")

    async def link(self, visit: Visit) -> Response:
        """Links the person with another one who was shown first."""
        return await self._relate(visit, self._deps.decisions.link)

    async def part(self, visit: Visit) -> Response:
        """Parts two of the person's numbers."""
        return await self._relate(visit, self._deps.decisions.part)

    async def _relate(self, visit: Visit, act: Relating) -> Response:
        one, other = (self._key_of(visit, name) for name in ("one", "other"))
        try:
            await act(visit.subject, one, other, visit.form.text("reason"))
        except BadInput:
            return await self._page(visit, "steward.no_reason")
        except Conflict:
            return await self._page(visit, "steward.link_refused")
        return go_to("/steward/acts")

    async def stand_alone(self, visit: Visit) -> Response:
        """The number is linked with no other from now on."""
        try:
            await self._deps.decisions.stand_alone(
                visit.subject, self._key_of(visit, "one"), visit.form.text("reason")
            )
        except BadInput:
            return await self._page(visit, "steward.no_reason")
        return go_to("/steward/acts")

    def _key_of(self, visit: Visit, field: str) -> int:
        return self._deps.lookup.key_of(visit.form.text(field))

    async def _page(self, visit: Visit, trouble: str) -> Response:
        key = self._deps.lookup.key_of(visit.path("handle"))
        history = await self._deps.work_lists.history(visit.subject, key)
        patient = await self._deps.lookup.patient(key)
        keys = sorted(await self._deps.lookup.linked(key))
        numbers = await self._deps.lookup.numbers(keys)
        other = None
        if second := visit.form.text("number")[:MAX_CHARACTERS]:
            other, refused = await self._second(visit, second, keys)
            trouble = trouble or refused
        named = await self._deps.lookup.numbers(
            [each for event in history for each in (event.one_key, event.other_key) if each]
        )
        values = {
            "person": self._console.person(visit, patient),
            "this": self._deps.lookup.handle(key),
            "survivor": patient.key,
            "numbers": [
                {"text": _texts(numbers, each), "key": each, "handle": self._deps.lookup.handle(each)}
                for each in keys
            ],
            "events": [self._event(visit, event, named) for event in history],
            "other": other,
            "studies": await self._studies(visit, key),
            "texts": await self._texts_alone(visit, key),
        }
        return self._console.show(visit, "steward_person.html", values, trouble)

    async def _second(self, visit: Visit, number: str, keys: list[int]) -> tuple[dict[str, Any] | None, str]:
        """Who has the second number, to be linked or parted; or the text that tells why nobody is shown."""
        found = [each for each in await self._deps.lookup.by_number(number) if each.key not in keys]
        await self._console.record_search(visit, found)
        if len(found) != 1:
            return None, "steward.several" if found else "steward.nobody"
        shown = self._console.person(visit, found[0])
        return {"shown": shown, "handle": self._deps.lookup.handle(found[0].key)}, ""

    def _event(self, visit: Visit, event: LinkEvent, named: Numbers) -> dict[str, Any]:
        return {
            "what": visit.words(f"steward.word_{event.act.value.replace('-', '_')}"),
            "one": _texts(named, event.one_key),
            "other": _texts(named, event.other_key),
            "told": moment(datetime.fromisoformat(event.told)),
            "source": event.source,
            "reason": event.reason,
            "effective": event.effective,
        }

    async def _studies(self, visit: Visit, key: int) -> list[dict[str, Any]]:
        return [
            {
                "uid": row["study_uid"],
                "title": row["description"] or visit.words("steward.untitled"),
                "date": day(row["study_date"]),
                "accession": row["accession"],
                "count": row["instance_count"],
            }
            for row in await self._deps.mover.studies(visit.subject, key)
        ]

    async def _texts_alone(self, visit: Visit, key: int) -> list[dict[str, Any]]:
        return [
            {
                "number": f"{row['accession_issuer']} {row['accession']}",
                "title": row["title"] or visit.words("steward.untitled"),
                "date": day(str(row["day"] or "")),
                "accession": row["accession"],
            }
            for row in await self._deps.mover.texts(visit.subject, key)
        ]


def _texts(numbers: Numbers, key: int) -> str:
    return " ".join(display(each) for each in numbers.get(key, ()))
