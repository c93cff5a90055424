"""The patient's own page: who has looked at my images and answers, as page, PDF and data (PDL 5:5; SVOD 4:2)."""

from typing import Any, Final

import orjson
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from samsyn.access.followup.elsewhere import ToldElsewhere
from samsyn.access.followup.extract import TOO_YOUNG, Extract, ExtractLine
from samsyn.endpoints.viewer.dependencies import ViewerDependencies
from samsyn.endpoints.viewer.extract_file import in_pdf
from samsyn.endpoints.viewer.extract_words import elsewhere_in_words, lines_in_words
from samsyn.endpoints.viewer.pages import go_to
from samsyn.endpoints.viewer.secure import PAGE_HEADERS
from samsyn.endpoints.viewer.visits import OWN_RECORD, Visit, Visits
from samsyn.endpoints.viewer.wording import PatientShown, patient_shown
from samsyn.errors import NotAllowed

_SHOWN: Final = 200
"""Lines on the page; the downloads have all."""


class OwnLog:
    """The addresses under /mine/log."""

    def __init__(self, deps: ViewerDependencies, visits: Visits) -> None:
        self._deps = deps
        self._visits = visits

    def routes(self) -> list[BaseRoute]:
        """The addresses of this part."""
        anybody_in = self._visits.staff
        return [
            Route("/mine/log", anybody_in(self.page), methods=["GET"]),
            Route("/mine/log.pdf", anybody_in(self.pdf), methods=["GET"]),
            Route("/mine/log.json", anybody_in(self.data), methods=["GET"]),
        ]

    async def page(self, visit: Visit) -> Response:
        """The lines, newest first, by day. Who is too young is sent to the own record, which says from when."""
        try:
            extract, patient = await self._own(visit)
        except NotAllowed as refusal:
            if refusal.detail != TOO_YOUNG:
                raise
            await self._deps.gatekeeper.refusals.record("viewer", refusal, subject=visit.subject)
            return go_to(OWN_RECORD)
        lines = lines_in_words(extract, visit.words, self._deps.connections)
        told = await self._elsewhere(visit)
        names = self._deps.connections
        values = {
            "may_ask_elsewhere": self._deps.elsewhere.is_connected,
            "elsewhere": told,
            "elsewhere_lines": elsewhere_in_words(told, visit.words, names)[:_SHOWN] if told else [],
            "me": patient,
            "lines": lines[:_SHOWN],
            "count": len(lines),
            "more": len(lines) > _SHOWN or not extract.is_complete,
            "line_count": min(len(lines), _SHOWN),
        }
        return self._visits.show(visit, "ownlog.html", "ownlog", values)

    async def pdf(self, visit: Visit) -> Response:
        """The whole extract, to print or keep."""
        extract, patient = await self._own(visit)
        told = await self._elsewhere(visit)
        content = await in_pdf(extract, patient, visit.words, self._deps.connections, "", told)
        return _download(content, "application/pdf", "loggutdrag.pdf")

    async def data(self, visit: Visit) -> Response:
        """The whole extract as JSON, for programs."""
        extract, patient = await self._own(visit)
        return _download(
            orjson.dumps(
                self._json(extract, patient) | _elsewhere_json(await self._elsewhere(visit)),
                option=orjson.OPT_INDENT_2,
            ),
            "application/json",
            "loggutdrag.json",
        )

    async def _own(self, visit: Visit) -> tuple[Extract, PatientShown]:
        subject = visit.subject
        if subject.patient_key is None:
            raise NotAllowed("only the patient")
        extract = await self._deps.extracts.own(subject)
        return extract, patient_shown(
            await self._deps.lookup.patient(subject.patient_key), visit.words, self._deps.clock.now()
        )

    async def _elsewhere(self, visit: Visit) -> ToldElsewhere | None:
        """What the national log service tells, when it is asked for: that can take some seconds."""
        if visit.request.query_params.get("elsewhere") != "1" or not self._deps.elsewhere.is_connected:
            return None
        return await self._deps.elsewhere.own(visit.subject)

    def _json(self, extract: Extract, patient: PatientShown) -> dict[str, Any]:
        names = self._deps.connections
        return {
            "kind": "samsyn-log-extract",
            "version": 1,
            "patient": patient.number.text,
            "made": extract.made.isoformat(timespec="seconds"),
            "complete": extract.is_complete,
            "lines": [
                {
                    "day": line.day.isoformat(),
                    "from": line.first.isoformat(timespec="seconds"),
                    "to": line.last.isoformat(timespec="seconds"),
                    "careProvider": {"hsaId": line.provider, "name": names.provider_name(line.provider)},
                    "careUnit": {"hsaId": line.unit, "name": names.unit_name(line.provider, line.unit)},
                    "done": list(line.done),
                    "purpose": line.purpose,
                    "emergency": line.is_emergency,
                    "by": _by(line),
                    **({"staff": line.staff} if line.staff else {}),
                    **({"consumer": line.consumer} if line.consumer else {}),
                }
                for line in extract.lines
            ],
        }


def _elsewhere_json(told: ToldElsewhere | None) -> dict[str, Any]:
    if told is None:
        return {}
    lines = [
        {
            "time": each.at.isoformat(timespec="seconds"),
            "careProvider": {"hsaId": each.provider, "name": each.provider_name},
            "careUnit": {"hsaId": each.unit, "name": each.unit_name},
            "purpose": each.purpose,
            "resourceType": each.resource,
            **({"staff": each.user_name} if each.user_name else {}),
        }
        for each in told.accesses
    ]
    source = {"source": "national-log-service", "state": told.found.value, "complete": told.is_complete}
    return {"elsewhere": {**source, "lines": lines}}


def _by(line: ExtractLine) -> str:
    if line.is_patient or line.is_guardian:
        return "patient" if line.is_patient else "guardian"
    return "system" if line.is_system else "staff"


def _download(content: bytes, kind: str, name: str) -> Response:
    headers = {**PAGE_HEADERS, "Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=kind, headers=headers)
