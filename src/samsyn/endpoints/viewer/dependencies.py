"""What the viewer is given by the wiring."""

from dataclasses import dataclass
from pathlib import Path

from samsyn.access.administration import RegisterAdministration
from samsyn.access.authentication.desk import LoginDesk
from samsyn.access.authentication.sessions import Sessions
from samsyn.access.authentication.smart.authority import SmartAuthority
from samsyn.access.followup.elsewhere import Elsewhere
from samsyn.access.followup.extract import Extracts
from samsyn.access.followup.review import LogReview
from samsyn.access.guardians import Guardians
from samsyn.access.lift_requests import LiftRequests
from samsyn.access.opened import OpenedPatients
from samsyn.access.view import Gatekeeper
from samsyn.access.waiting import WaitingRooms
from samsyn.clock import Clock
from samsyn.exchange.sending import Sending
from samsyn.patients.lookup import PatientLookup
from samsyn.providers.connections import Connections
from samsyn.render.pictures import Pictures
from samsyn.reports.examination import History
from samsyn.reports.stewardship.decisions import Decisions
from samsyn.reports.stewardship.joining import Joining
from samsyn.reports.stewardship.moving import Mover
from samsyn.reports.stewardship.worklists import WorkLists
from samsyn.retrieve.retrieve import Retriever
from samsyn.search.find import Finder
from samsyn.settings import Settings


@dataclass(frozen=True, slots=True)
class ViewerDependencies:
    """Everything that the pages need; `static_folder` holds samsyn.css, samsyn.js and vendor/."""

    settings: Settings
    sessions: Sessions
    desk: LoginDesk
    gatekeeper: Gatekeeper
    lift_requests: LiftRequests
    administration: RegisterAdministration
    opened: OpenedPatients
    lookup: PatientLookup
    finder: Finder
    retriever: Retriever
    pictures: Pictures
    history: History
    sending: Sending
    review: LogReview
    extracts: Extracts
    guardians: Guardians
    elsewhere: Elsewhere
    connections: Connections
    work_lists: WorkLists
    decisions: Decisions
    mover: Mover
    joining: Joining
    clock: Clock
    rooms: WaitingRooms
    """Where calls of record systems wait for their browser."""
    page_key: bytes
    """What tickets and marks of pages rest on, the same on all nodes; empty = a key of this process."""
    smart: SmartAuthority
    static_folder: Path
    version: str
