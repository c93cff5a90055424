"""Tables of what was asked to be sent to other systems."""

from typing import Final

EXCHANGE_SCHEMA: Final = """
CREATE TABLE transfer(transfer_id TEXT PRIMARY KEY, requester TEXT, provider TEXT, patient_key INTEGER,
  destination TEXT, study_uid TEXT, state TEXT, total INTEGER, done INTEGER, sent INTEGER, failed INTEGER, why TEXT,
  requested TEXT, changed TEXT, series_uid TEXT NOT NULL DEFAULT '');
CREATE INDEX transfer_by_requester ON transfer(requester, requested);
"""
