"""Where the pages have ended that clients ask for by offset, so that the next one begins there.

QIDO-RS counts matches from the first (PS3.18 8.3.4.4): what is stored while a client pages would move every later
page, and a match would come twice or never. Kept in this process; a page asked of another node, or later than
limits.WINDOW_SECONDS, is counted from the first as the standard has it.
"""

import hashlib
from collections import OrderedDict

from samsyn import limits
from samsyn.access.view import View
from samsyn.clock import Clock
from samsyn.search.query import Query
from samsyn.store.index.find_rows import Place


class Windows:
    """Remembers the last matches of pages, for each reader and search."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ends: OrderedDict[bytes, tuple[float, Place]] = OrderedDict()

    def behind(self, view: View, query: Query) -> Place | None:
        """Behind which place the page begins; None = no page has ended where it begins."""
        if not query.offset:
            return None
        kept = self._ends.get(_name(view, query, query.offset))
        return kept[1] if kept is not None and self._clock.monotonic() < kept[0] else None

    def ended(self, view: View, query: Query, shown: int, place: Place) -> None:
        """A page that showed so many matches ended at the place."""
        name = _name(view, query, query.offset + shown)
        self._ends[name] = self._clock.monotonic() + limits.WINDOW_SECONDS, place
        self._ends.move_to_end(name)
        while len(self._ends) > limits.MAX_KEPT_WINDOWS:
            self._ends.popitem(last=False)


def _name(view: View, query: Query, offset: int) -> bytes:
    """By the hash, since a search may be long."""
    asked = query.level, query.fuzzy, query.matching, sorted(query.keys.items()), sorted(query.items.items())
    return hashlib.sha256(
        repr((view.subject, view.purpose, view.rejected_of, asked, offset)).encode()
    ).digest()
