"""Reads of the numbers by which a process knows whether what it keeps in memory is still true."""

from samsyn.store.index.port import IndexConnection


def views(connection: IndexConnection) -> tuple[int, int]:
    """(changes of the registers, number of the latest word about who is one person with whom)."""
    row = connection.execute(
        "SELECT registers, (SELECT COALESCE(MAX(event_key), 0) FROM identity_event) FROM kept_version"
    ).fetchone()
    return row[0], row[1]


def places(connection: IndexConnection) -> int:
    """Changes of where bytes lie, and of which are damaged."""
    return int(connection.execute("SELECT places FROM kept_version").fetchone()[0])
