"""How far the index has come with the journal, and which keys it has given out."""

from samsyn.store.index.port import IndexConnection
from samsyn.store.index.schema import KEYED_TABLES
from samsyn.store.journal import Position


def replayed_until(connection: IndexConnection) -> tuple[Position, int]:
    """The journal position and sequence number up to which the index is complete."""
    segment, offset, sequence = connection.execute(
        "SELECT segment, end_offset, sequence FROM journal_state"
    ).fetchone()
    return Position(segment, offset), sequence


def last_keys(connection: IndexConnection) -> dict[str, int]:
    """The highest key in use of each keyed table."""
    return {
        table: connection.execute(f"SELECT COALESCE(MAX({key}), 0) FROM {table}").fetchone()[0]
        for table, key in KEYED_TABLES.items()
    }
