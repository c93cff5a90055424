"""The change feed: everything that happens to studies, in order, for systems that follow the record."""

from datetime import datetime, timedelta
from functools import partial
from typing import Final

from samsyn.access.view import View
from samsyn.clock import Clock
from samsyn.errors import Conflict
from samsyn.limits import MAX_CHANGES, MAX_CHANGES_SCANNED
from samsyn.model.changes import Change, ChangeKind, ChangePage
from samsyn.store.index import change_rows
from samsyn.store.index.change_schema import BUCKET_CHARACTERS
from samsyn.store.index.port import IndexConnection, Row
from samsyn.store.store import Store

_SETTLES: Final = timedelta(seconds=5)
"""From the end of a row's time to its being told: no record is longer on its way into the index."""


class Changes:
    """Reads the feed under a View."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def since(self, view: View, cursor: int, limit: int = MAX_CHANGES) -> ChangePage:
        """What happened behind the cursor (0 = from the beginning) to studies that the View shows, oldest first.

        Instances are told some ten to fifteen seconds after they came, so that what was told never changes. What
        was hidden when the reader passed it is not told again when it is shown later: who gets new rights reads
        from the beginning. Conflict: the cursor was never told, as when the record has been restored from an older
        copy; what is told again under such numbers would be passed over.
        """
        bucket = (self._clock.now() - _SETTLES).isoformat()[:BUCKET_CHARACTERS]
        limit = min(limit, MAX_CHANGES)
        return await self._store.read(partial(_page, view=view, cursor=cursor, limit=limit, bucket=bucket))


def _page(connection: IndexConnection, view: View, cursor: int, limit: int, bucket: str) -> ChangePage:
    if cursor > change_rows.newest(connection):
        raise Conflict("no change has come so far")
    end = change_rows.closed_until(connection, bucket)
    until = min(end, cursor + MAX_CHANGES_SCANNED)
    rows = change_rows.changes(connection, view.predicate, cursor, until, limit + 1, view.rejected_of)
    reached = rows[limit - 1]["change_key"] if len(rows) > limit else max(until, cursor)
    return ChangePage(tuple(_change(row) for row in rows[:limit]), reached, reached >= end)


def _change(row: Row) -> Change:
    code, _, named = row["detail"].partition(" ")
    names = tuple(named.split())
    kind = ChangeKind(row["kind"])
    return Change(
        row["change_key"],
        kind,
        datetime.fromisoformat(row["told"]),
        row["study_uid"],
        row["series_uid"],
        row["instances"],
        code,
        names if kind in (ChangeKind.REJECTED, ChangeKind.RESTORED) else (),
        names if kind is ChangeKind.CORRECTED else (),
        "".join(names) if kind is ChangeKind.MOVED else "",
    )
