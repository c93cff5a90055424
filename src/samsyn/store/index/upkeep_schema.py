"""Tables about the state of what lies on disk: what the scrub found, and how far it has come."""

from typing import Final

UPKEEP_SCHEMA: Final = """
CREATE TABLE damage(segment INTEGER, body_offset INTEGER, length INTEGER, sha256 TEXT, owner TEXT,
  reference TEXT, found TEXT, PRIMARY KEY(segment, body_offset)) WITHOUT ROWID;
CREATE TABLE scrub(one INTEGER PRIMARY KEY CHECK(one = 1), segment INTEGER, began TEXT, finished TEXT);
"""
"""damage: bodies whose bytes have not their hash any more, until they are mended; `owner` is the table of the
row that names the body, `reference` that row's key. scrub: the segment that is next in the pass under way, and
when the last whole pass ended."""
