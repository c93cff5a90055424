"""Reads of what is held for a steward."""

from collections.abc import Sequence

from samsyn.store.index.port import IndexConnection

_AT_ONCE = 500


def held_from(connection: IndexConnection, sender: str, sop_uids: Sequence[str]) -> set[str]:
    """Those of the UIDs under which bytes of this sender are held and not settled."""
    found: set[str] = set()
    for first in range(0, len(sop_uids), _AT_ONCE):
        part = sop_uids[first : first + _AT_ONCE]
        rows = connection.execute(
            f"SELECT sop_uid FROM held WHERE sop_uid IN ({','.join('?' * len(part))})"
            " AND sender = ? AND COALESCE(settled, '') = ''",
            (*part, sender),
        )
        found.update(row[0] for row in rows)
    return found
