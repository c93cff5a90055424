"""One search for every query door: DIMSE C-FIND and QIDO-RS encode what this finds."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from functools import partial

from samsyn import limits
from samsyn.access.duties import sees_protected
from samsyn.access.view import View
from samsyn.clock import Clock, Today
from samsyn.errors import LimitExceeded
from samsyn.model.attributes import Attributes
from samsyn.patients.identifiers import recognise
from samsyn.search import answers, matching
from samsyn.search.keys import PATIENT_ID
from samsyn.search.moments import told_at
from samsyn.search.pages import Page
from samsyn.search.query import Level, Query
from samsyn.search.windows import Windows
from samsyn.store.index import find_rows, identity_rows, patient_rows
from samsyn.store.index.find_rows import Condition, Place
from samsyn.store.index.port import IndexConnection, Row
from samsyn.store.store import Store

_TELLING = (0x00100010, 0x00100030)
"""Patient's Name and Birth Date: what is withheld of a protected identity."""

_FINDERS: dict[Level, Callable[..., list[Row]]] = {
    Level.PATIENT: find_rows.find_patients,
    Level.STUDY: find_rows.find_studies,
    Level.SERIES: find_rows.find_series,
    Level.IMAGE: find_rows.find_instances,
}


class Finder:
    """Searches the index under a View."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._today = Today(clock)
        self._windows = Windows(clock)

    async def find(self, view: View, query: Query) -> list[Attributes]:
        """At most `query.limit` matches from `query.offset` on, each with every attribute of its level.

        Studies come newest first. Only what the View shows is matched, counted and named. BadInput: a value
        that its VR does not allow. NotSupported: a key that is not indexed at this level.
        """
        return (await self.page(view, query)).matches

    async def window(self, view: View, query: Query) -> list[Attributes]:
        """As `find`, for a client that pages by offset and is shown all but the last of `query.limit` matches, which
        tells that there are more: a page that begins where another of his ended goes on behind its last match."""
        behind = self._windows.behind(view, query)
        if behind is None:
            page = await self.page(view, query)
        else:
            page = await self.page(view, replace(query, offset=0), behind)
        shown = query.limit - 1
        if 0 < shown <= len(page.rows):
            self._windows.ended(view, query, shown, page.place(shown))
        return page.matches

    async def page(self, view: View, query: Query, after: Place = ()) -> Page:
        """The same behind a place of an earlier page, so that nothing that is stored between two pages makes a match
        come twice or be left out. () = from the beginning."""
        conditions = matching.conditions_of(query)
        today = self._today.date()
        return await self._store.read(
            partial(_answer, view=view, query=query, conditions=conditions, today=today, after=after)
        )


def _answer(
    connection: IndexConnection,
    view: View,
    query: Query,
    conditions: list[Condition],
    today: date,
    after: Place,
) -> Page:
    patient_id = query.keys.get(PATIENT_ID, "").strip(" \0")
    issuer = matching.issuer_of(query)
    if matching.asks(patient_id) and patient_id != '""':
        keys: set[int] = set()
        for text in {patient_id, *matching.values_of(patient_id)}:
            keys |= _patient_keys(connection, view, text, issuer, today)
        conditions = [*conditions, Condition("study.patient_key", "one-of", tuple(sorted(keys)))]
    elif issuer in view.untold_issuers:
        return Page([], query.level, [], query.limit)  # who has a number there is not told by a search either
    elif issuer:
        conditions = [*conditions, Condition("", "issuer", (issuer,))]
    protected = frozenset() if sees_protected(view.subject) else identity_rows.protected_roots(connection)
    if protected and any(matching.asks(query.keys.get(tag, "").strip(" \0")) for tag in _TELLING):
        # Whoever may not see the name learns nothing from whether it matches.
        conditions = [*conditions, Condition(find_rows.SHOWN_AS, "none-of", tuple(sorted(protected)))]
    rows = _FINDERS[query.level](
        connection,
        view.predicate,
        conditions,
        query.limit,
        query.offset,
        view.rejected_of,
        view.documents_of,
        after,
    )
    found = answers.from_rows(connection, rows, query.level, view.untold_issuers, protected)
    offset = query.matching.offset_minutes
    if offset is not None:
        found = [told_at(each, offset) for each in found]
    return Page(found, query.level, rows, query.limit)


def _patient_keys(connection: IndexConnection, view: View, text: str, issuer: str, today: date) -> set[int]:
    """Everybody whom the text may mean: the number in any written form, or literally, of this issuer ("" = of
    any); with everybody who is linked to them by merges. A wild card finds no number that may not be told.
    LimitExceeded: it finds more than MAX_KEY_PERSONS, of whom none may be left out unsaid."""
    if matching.has_wild_card(text):
        untold = view.untold_issuers
        if issuer in untold:
            return set()
        pattern, most = matching.like_pattern(text), limits.MAX_KEY_PERSONS
        found = find_rows.keys_like(connection, pattern, issuer, untold, most + 1)
        if len(found) > most:
            raise LimitExceeded("MAX_KEY_PERSONS")
    else:
        recognised = recognise(text, today)
        values = {text, recognised.identifier.value} if recognised else {text}
        found = [key for value in values for key in patient_rows.keys_of(connection, issuer, value)]
    return {linked for key in found for linked in patient_rows.closure_of(connection, key)}
