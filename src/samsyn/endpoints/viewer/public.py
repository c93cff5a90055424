"""Pages without patients: what is connected, the help, and the static files."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from samsyn.endpoints.viewer.assets import Assets
from samsyn.endpoints.viewer.dependencies import ViewerDependencies
from samsyn.endpoints.viewer.keys import choose_keys
from samsyn.endpoints.viewer.pages import go_to
from samsyn.endpoints.viewer.secure import check_origin, read_form
from samsyn.endpoints.viewer.visits import Visits


@dataclass(frozen=True, slots=True)
class ConnectedProvider:
    """One line of the status page."""

    name: str
    images_in: bool
    texts_in: bool
    reading: bool


class PublicPages:
    """The addresses /status, /help, /keys and /static."""

    def __init__(self, deps: ViewerDependencies, visits: Visits, assets: Assets) -> None:
        self._deps = deps
        self._visits = visits
        self._assets = assets

    def routes(self) -> list[BaseRoute]:
        """The addresses of this part."""
        anybody = self._visits.anybody
        return [
            Route("/status", anybody(self.status), methods=["GET"]),
            Route("/help", anybody(self.help), methods=["GET"]),
            Route("/keys", anybody(self.keys), methods=["POST"]),
            Route("/static/{name:path}", anybody(self.static), methods=["GET", "HEAD"]),
        ]

    async def status(self, request: Request) -> Response:
        """Which providers are connected, and in which directions."""
        providers = [
            ConnectedProvider(each.name, each.images_in, each.texts_in, each.reading)
            for each in self._deps.settings.provider
        ]
        return self._show(request, "status.html", {"page": "status", "providers": providers})

    async def help(self, request: Request) -> Response:
        """Keyboard shortcuts and what the marks mean."""
        return self._show(request, "help.html", {"page": "help"})

    async def keys(self, request: Request) -> Response:
        """Switches the shortcuts of one letter off or on in this browser."""
        check_origin(request)
        form = await read_form(request)
        answer = go_to("/help")
        choose_keys(answer, form.text("keys"))
        return answer

    async def static(self, request: Request) -> Response:
        """A file that came with the program."""
        headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}
        return self._assets.response(request, request.path_params["name"], headers)

    def _show(self, request: Request, template: str, values: dict[str, object]) -> Response:
        session = self._visits.session(request)
        reader = {
            "subject": session.subject if session else None,
            "token": session.csrf if session else "",
        }
        return self._visits.pages.show(request, template, {**reader, **values})
