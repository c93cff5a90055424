"""What happened behind a subscription's places in the two feeds, as far as its system's View shows it."""

from dataclasses import dataclass
from functools import partial

from samsyn.access.view import Gatekeeper, View
from samsyn.limits import MAX_CHANGES_SCANNED, NOTIFIED_AT_ONCE
from samsyn.model.changes import Change
from samsyn.model.subject import Subject
from samsyn.model.subscriptions import TextChange
from samsyn.patients.lookup import PatientLookup
from samsyn.search.changes import Changes
from samsyn.store.index import subscription_rows
from samsyn.store.store import Store


@dataclass(frozen=True, slots=True)
class StudyEvent:
    """A change of a study, with the person whom the study is of now."""

    change: Change
    patient_key: int


@dataclass(frozen=True, slots=True)
class Events:
    """Some events in the order of their time, and the places behind them."""

    found: tuple[StudyEvent | TextChange, ...]
    study_cursor: int
    text_cursor: int


class EventFeed:
    """Reads both feeds under a View."""

    def __init__(self, store: Store, changes: Changes, gatekeeper: Gatekeeper, lookup: PatientLookup) -> None:
        self._store = store
        self._changes = changes
        self._gatekeeper = gatekeeper
        self._lookup = lookup

    async def after(self, subject: Subject, study_cursor: int, text_cursor: int) -> Events:
        """The next events that the system may know of; those of hidden things are passed over without a trace."""
        view = await self._gatekeeper.open_view(subject)
        page = await self._changes.since(view, study_cursor, NOTIFIED_AT_ONCE)
        texts, reached = await self._store.read(
            partial(
                subscription_rows.texts,
                predicate=view.predicate,
                after=text_cursor,
                scanned=MAX_CHANGES_SCANNED,
                limit=NOTIFIED_AT_ONCE,
            )
        )
        studies = [each for change in page.changes if (each := await self._study(change)) is not None]
        found: list[StudyEvent | TextChange] = [*studies, *texts]
        found.sort(key=_time)
        return Events(tuple(found), page.cursor, reached)

    async def record(self, view: View, patient_keys: frozenset[int]) -> None:
        """In the audit journal: of whom the system is told something, before it is told."""
        for key in sorted(patient_keys):
            await self._gatekeeper.record_search(view, "subscription", frozenset({key}))

    async def view(self, subject: Subject) -> View:
        """The system's View as it is now."""
        return await self._gatekeeper.open_view(subject)

    async def _study(self, change: Change) -> StudyEvent | None:
        key = await self._lookup.person_of_study(change.study_uid)
        return StudyEvent(change, key) if key is not None else None


def _time(event: StudyEvent | TextChange) -> str:
    moment = event.change.time if isinstance(event, StudyEvent) else event.time
    return moment.isoformat()
