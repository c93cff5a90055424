"""The steward's lists of images that miss their text, and of studies that seem to be one examination."""

from typing import Any

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from samsyn.access.duties import sees_protected, stewarding
from samsyn.endpoints.viewer.dependencies import ViewerDependencies
from samsyn.endpoints.viewer.pages import go_to
from samsyn.endpoints.viewer.visits import Visit, Visits
from samsyn.endpoints.viewer.wording import day, kinds, patient_shown
from samsyn.errors import BadInput, Conflict
from samsyn.model.patient import Patient
from samsyn.reports.stewardship.joining import Alike, Unjoined


class StewardJoining:
    """Pages under /steward/unjoined and /steward/alike."""

    def __init__(self, deps: ViewerDependencies, visits: Visits) -> None:
        self._deps = deps
        self._visits = visits

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
        return self._show(visit, "steward_unjoined.html", cases, trouble)

    async def _alike_page(self, visit: Visit, trouble: str) -> Response:
        found = await self._deps.joining.alike(visit.subject)
        return self._show(visit, "steward_alike.html", [self._alike(visit, each) for each in found], trouble)

    def _unjoined(self, visit: Visit, case: Unjoined) -> dict[str, Any]:
        return {
            "uid": case.study_uid,
            "person": self._person(visit, case.patient),
            "title": case.title or visit.words("steward.untitled"),
            "date": day(case.date),
            "time": f"{case.time[:2]}:{case.time[2:4]}" if len(case.time) >= 4 else "",
            "content": f"{self._kinds(visit, case.modalities)}, {images_told(visit, case.instances)}",
            "accession": case.accession,
            "elsewhere": self._person(visit, case.elsewhere) if case.elsewhere else None,
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
            "person": self._person(visit, case.patient),
            "date": day(case.date),
            "kinds": self._kinds(visit, case.modalities),
            "one": case.one or visit.words("steward.untitled"),
            "other": visit.words("steward.foreign_copy")
            if case.is_foreign
            else case.other or visit.words("steward.untitled"),
            "counts": [images_told(visit, each) for each in case.counts],
            "is_foreign": case.is_foreign,
        }

    def _kinds(self, visit: Visit, modalities: tuple[str, ...]) -> str:
        return ", ".join(kinds(modalities, self._visits.pages.languages, visit.words))

    def _person(self, visit: Visit, patient: Patient) -> Any:
        return patient_shown(
            patient, visit.words, self._deps.clock.now(), may_see=sees_protected(visit.subject)
        )

    def _show(self, visit: Visit, template: str, cases: list[dict[str, Any]], trouble: str) -> Response:
        stewarding(visit.subject, self._deps.clock.now())
        values = {
            "tab": template.removesuffix(".html"),
            "here": "/steward",
            "cases": cases,
            "trouble": visit.words(trouble) if trouble else "",
        }
        return self._visits.show(visit, template, "steward", values, 400 if trouble else 200)


def images_told(visit: Visit, count: int) -> str:
    """So many images, in words."""
    return visit.words("steward.image" if count == 1 else "steward.images", count=count)
