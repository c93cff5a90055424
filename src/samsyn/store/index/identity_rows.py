"""Reads of what was said about patients' numbers."""

import sqlite3


def last_event(connection: sqlite3.Connection) -> int:
    """Number of the latest word about who is one person with whom; 0 before the first."""
    return int(connection.execute("SELECT COALESCE(MAX(event_key), 0) FROM identity_event").fetchone()[0])
