"""Opening one patient's resources for a reader: the View, its audit entries, and what it shows."""

from collections.abc import Callable
from dataclasses import dataclass

from samsyn.access.view import Gatekeeper
from samsyn.endpoints.fhir.compartment import Compartment
from samsyn.endpoints.fhir.narrowing import Keeps
from samsyn.model.subject import Subject
from samsyn.patients.lookup import PatientLookup
from samsyn.providers.connections import Connections
from samsyn.reports.examination import History
from samsyn.reports.measured import Measured
from samsyn.retrieve.retrieve import Retriever
from samsyn.search.find import Finder


@dataclass(frozen=True, slots=True)
class Compartments:
    """Makes compartments from the rooms that they are read from."""

    base: str
    gatekeeper: Gatekeeper
    lookup: PatientLookup
    history: History
    finder: Finder
    retriever: Retriever
    connections: Connections
    measured: Measured

    async def open(
        self,
        subject: Subject,
        handle: str,
        door: str,
        narrowed: Callable[[frozenset[int]], Keeps] | None = None,
    ) -> Compartment:
        """The patient's resources under the subject's View, which is in the audit journal before it is given.

        `handle`: Patient/id or the id alone. `narrowed`: what a token leaves of the person with these keys.
        NotFound: it is nobody's.
        """
        handle = handle.rpartition("/")[2]
        key = self.lookup.key_of(handle)
        person = await self.lookup.patient(key)
        keys = await self.lookup.linked(key)
        view = await self.gatekeeper.open_view(subject, keys)
        await self.gatekeeper.record_search(view, door, keys)
        examinations = await self.history.examinations(view)
        told = await self.gatekeeper.as_told(subject, person)
        return Compartment(
            self.base,
            handle,
            told,
            view,
            examinations,
            self.finder,
            self.retriever,
            self.connections,
            self.measured,
            narrowed(keys) if narrowed is not None else None,
        )
