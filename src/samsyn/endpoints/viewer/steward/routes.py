"""The steward's pages, put together."""

from starlette.routing import BaseRoute

from samsyn.endpoints.viewer.dependencies import ViewerDependencies
from samsyn.endpoints.viewer.steward.acts import Acts
from samsyn.endpoints.viewer.steward.console import Console
from samsyn.endpoints.viewer.steward.differences import Differences
from samsyn.endpoints.viewer.steward.guardians import Guardians
from samsyn.endpoints.viewer.steward.joining import Joining
from samsyn.endpoints.viewer.steward.moving import Moving
from samsyn.endpoints.viewer.steward.overview import Overview
from samsyn.endpoints.viewer.steward.person import PersonNumbers
from samsyn.endpoints.viewer.steward.quarantine import Quarantine
from samsyn.endpoints.viewer.tickets import Tickets
from samsyn.endpoints.viewer.visits import Visits

_PARTS = (Overview, Quarantine, Differences, PersonNumbers, Moving, Joining, Guardians, Acts)


def steward_routes(deps: ViewerDependencies, visits: Visits, tickets: Tickets) -> list[BaseRoute]:
    """Every address under /steward."""
    console = Console(deps, visits, tickets)
    return [route for part in _PARTS for route in part(deps, visits, console).routes()]
