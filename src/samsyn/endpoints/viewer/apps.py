"""Which apps are let in for the reader (SMART), since when and for what; and an end of each (decision 0036)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from samsyn.access.authentication.smart.scopes import OFFLINE, OPENID, Scope
from samsyn.access.authentication.smart.words import Granted, LetIn
from samsyn.access.duties import sees_protected
from samsyn.access.events import Event, entry
from samsyn.endpoints.viewer.dependencies import ViewerDependencies
from samsyn.endpoints.viewer.language import Words
from samsyn.endpoints.viewer.pages import go_to
from samsyn.endpoints.viewer.visits import Visit, Visits
from samsyn.endpoints.viewer.wording import moment, patient_shown
from samsyn.errors import NotFound
from samsyn.model.subject import SubjectKind

_PAGE: Final = "apps"


@dataclass(frozen=True, slots=True)
class AppShown:
    """One app on the page."""

    name: str
    """Names the letting in, for its form."""
    app: str
    since: str
    until: str
    """In words: when it ends if nobody ends it."""
    about: str
    """Whom it reads about."""
    number: str
    """His number, when it reads about one patient of the reader's."""
    scopes: tuple[str, ...]
    """What it may, in words."""
    asked: str
    """The same as the app knows it."""


class AppPages:
    """The addresses under /apps."""

    def __init__(self, deps: ViewerDependencies, visits: Visits) -> None:
        self._deps = deps
        self._visits = visits

    def routes(self) -> list[BaseRoute]:
        """The addresses of this part."""
        anybody_in = self._visits.staff
        return [
            Route("/apps", anybody_in(self.page), methods=["GET"]),
            Route("/apps/end", anybody_in(self.end), methods=["POST"]),
        ]

    async def page(self, visit: Visit) -> Response:
        """Everything that may read for the reader now, in any of his sessions."""
        shown = [await self._shown(visit, each) for each in self._deps.smart.let_in(visit.subject)]
        ended = visit.request.query_params.get("ended") == "1"
        return self._visits.show(visit, "apps.html", _PAGE, {"apps": shown, "ended": ended})

    async def end(self, visit: Visit) -> Response:
        """None of the app's tokens counts any more; NotFound for what is not the reader's or has ended."""
        grant = self._deps.smart.put_out(visit.subject, visit.form.text("app"))
        if grant is None:
            raise NotFound
        details = {"client": grant.client_id, "scope": grant.scope[:300]}
        await self._deps.gatekeeper.record(
            entry(visit.subject, Event.END_APP, grant.patient_key or 0, details=details)
        )
        return go_to("/apps?ended=1")

    async def _shown(self, visit: Visit, let_in: LetIn) -> AppShown:
        family, words = let_in.family, visit.words
        grant = family.grant
        about, number = await self._about(visit, grant)
        if OFFLINE in grant.words:
            until = words("apps.until", time=moment(datetime.fromtimestamp(family.ends, UTC)))
        elif family.refreshes:
            until = words("apps.until_logout")
        else:
            until = words("apps.until_at_most", time=moment(datetime.fromtimestamp(family.ends, UTC)))
        scopes = (words("apps.who"),) if OPENID in grant.words else ()
        return AppShown(
            let_in.name,
            let_in.app,
            moment(datetime.fromtimestamp(family.began, UTC)),
            until,
            about,
            number,
            (*self._in_words(grant.scopes, words), *scopes),
            grant.scope,
        )

    async def _about(self, visit: Visit, grant: Granted) -> tuple[str, str]:
        """Whom it reads about, with the number of a patient whom the reader may be told of."""
        words, key = visit.words, grant.patient_key
        if visit.subject.kind is SubjectKind.PATIENT:
            return words("apps.about_you"), ""
        if key is None:
            return words("apps.about_opened"), ""
        patient = await self._deps.gatekeeper.as_told(visit.subject, await self._deps.lookup.patient(key))
        if patient is None:
            return words("apps.about_patient"), ""
        may_see = sees_protected(visit.subject)
        shown = patient_shown(patient, words, self._deps.clock.now(), may_see=may_see)
        return shown.name, shown.number.text

    def _in_words(self, scopes: Iterable[Scope], words: Words) -> tuple[str, ...]:
        has = self._visits.pages.languages.has
        found: dict[str, None] = {}
        for scope in scopes:
            key = "apps.kind_all" if scope.kind == "*" else f"apps.kind_{scope.kind}"
            kind = words(key) if has(key) else scope.kind
            found[words("apps.read_some" if scope.query else "apps.read", kind=kind)] = None
        return tuple(found)
