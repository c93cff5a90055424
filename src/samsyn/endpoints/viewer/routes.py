"""The viewer's addresses, wired."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.routing import BaseRoute

from samsyn.access.launches import Launches
from samsyn.access.left import LeftPages
from samsyn.endpoints.viewer.apps import AppPages
from samsyn.endpoints.viewer.assets import Assets
from samsyn.endpoints.viewer.blocks.desk import LiftDesk
from samsyn.endpoints.viewer.blocks.person import PersonRegister
from samsyn.endpoints.viewer.dependencies import ViewerDependencies
from samsyn.endpoints.viewer.failures import FailureAnswer, Failures
from samsyn.endpoints.viewer.finding import Finding
from samsyn.endpoints.viewer.ground import Grounds
from samsyn.endpoints.viewer.language import Languages
from samsyn.endpoints.viewer.launch import LaunchPages
from samsyn.endpoints.viewer.login import Login
from samsyn.endpoints.viewer.logreview import LogReviewPages
from samsyn.endpoints.viewer.mine import MyRecord
from samsyn.endpoints.viewer.ohif import DiagnosticViewer
from samsyn.endpoints.viewer.ownlog import OwnLog
from samsyn.endpoints.viewer.pages import Pages
from samsyn.endpoints.viewer.pictures import PicturePages
from samsyn.endpoints.viewer.public import PublicPages
from samsyn.endpoints.viewer.pulse import Marks, Pulse
from samsyn.endpoints.viewer.record import Record
from samsyn.endpoints.viewer.reveal import Reveal
from samsyn.endpoints.viewer.send_pages import SendPages
from samsyn.endpoints.viewer.sent import SentPages
from samsyn.endpoints.viewer.series import SeriesLists
from samsyn.endpoints.viewer.smart import SmartPages
from samsyn.endpoints.viewer.steward.routes import steward_routes
from samsyn.endpoints.viewer.tickets import Tickets
from samsyn.endpoints.viewer.visits import Visits


@dataclass(frozen=True, slots=True)
class ViewerDoor:
    """What the application takes from the viewer."""

    routes: list[BaseRoute]
    failures: Mapping[int | type[Exception], FailureAnswer]
    """For what no route answers."""


def viewer_door(deps: ViewerDependencies) -> ViewerDoor:
    """Every address of the web pages: /, /login, /p/…, /ohif/…, /static/…, /log, /mine/log, /status and /help.

    ValueError: the languages do not have the same words. Files that are missing (OHIF) leave their part out.
    """
    assets = Assets(deps.static_folder, "/static/", without=("vendor/ohif/",))
    ohif_files = Assets(deps.static_folder / "vendor" / "ohif", "/ohif/")
    languages = Languages(Path(__file__).with_name("locale"))
    login = deps.settings.login
    pages = Pages(
        languages,
        assets,
        deps.version,
        login.provider == "demo",
        deps.desk.identity_provider,
        has_apps=bool(deps.settings.app),
    )
    marks = Marks()
    visits = Visits(deps, pages, marks)
    tickets = Tickets(deps.ticket_key)
    left = LeftPages(deps.rooms)
    series = SeriesLists(deps, languages)
    sending = SendPages(deps, visits)
    reveal = Reveal(deps, visits)
    diagnostic = DiagnosticViewer(visits, ohif_files)
    routes: list[BaseRoute] = [
        *Login(deps, visits, left).routes(),
        *Finding(deps, visits, tickets, left).routes(),
        *Pulse(deps, marks).routes(),
        *Record(deps, visits, reveal, series, sending, diagnostic.is_installed).routes(),
        *sending.routes(),
        *SentPages(deps, visits).routes(),
        *reveal.routes(),
        *Grounds(deps, visits).routes(),
        *LaunchPages(deps, visits, Launches(deps.rooms), left).routes(),
        *SmartPages(deps, visits).routes(),
        *AppPages(deps, visits).routes(),
        *LiftDesk(deps, visits, tickets, marks).routes(),
        *PersonRegister(deps, visits).routes(),
        *PicturePages(deps, visits, series, diagnostic.is_installed).routes(),
        *diagnostic.routes(),
        *steward_routes(deps, visits, tickets),
        *LogReviewPages(deps, visits).routes(),
        *OwnLog(deps, visits).routes(),
        *MyRecord(deps, visits, series, marks).routes(),
        *PublicPages(deps, visits, assets).routes(),
    ]
    return ViewerDoor(routes, Failures(visits, deps.clock).answers())
