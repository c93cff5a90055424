"""What the viewer is given by the wiring."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from samsyn.access.authentication.desk import LoginDesk
from samsyn.access.authentication.sessions import Sessions
from samsyn.access.opened import OpenedPatients
from samsyn.access.view import Gatekeeper, View
from samsyn.clock import Clock
from samsyn.model.imaging import StoredInstance
from samsyn.patients.lookup import PatientLookup
from samsyn.providers.connections import Connections
from samsyn.render.words import Picture, PictureOptions
from samsyn.reports.examination import History
from samsyn.retrieve.retrieve import Retriever
from samsyn.search.find import Finder
from samsyn.settings import Settings


class Pictures(Protocol):
    """What makes pictures (render/pictures.py)."""

    async def rendered(
        self, view: View, instance: StoredInstance, number: int, options: PictureOptions
    ) -> Picture:
        """Frame `number` (from 1) as a picture."""
        ...

    async def thumbnail(self, view: View, instance: StoredInstance, number: int = 0) -> Picture:
        """A small picture of the instance, for every kind of object."""
        ...

    async def trace(self, view: View, instance: StoredInstance) -> Picture:
        """A waveform drawn as on paper."""
        ...


@dataclass(frozen=True, slots=True)
class ViewerDependencies:
    """Everything that the pages need; `static_folder` holds samsyn.css, samsyn.js and vendor/."""

    settings: Settings
    sessions: Sessions
    desk: LoginDesk
    gatekeeper: Gatekeeper
    opened: OpenedPatients
    lookup: PatientLookup
    finder: Finder
    retriever: Retriever
    pictures: Pictures
    history: History
    connections: Connections
    clock: Clock
    static_folder: Path
    version: str
