"""Tables of what texts tell beside referrals and reports: bookings (SIU)."""

from typing import Final

TEXT_SCHEMA: Final = """
CREATE TABLE booking(booking_key INTEGER PRIMARY KEY, patient_key INTEGER, provider TEXT, unit TEXT,
  booking_id TEXT, status TEXT, starts TEXT, ends TEXT, placer_id TEXT, accession_issuer TEXT, accession TEXT,
  procedure_code TEXT, procedure_text TEXT, changed TEXT, message_key INTEGER);
CREATE INDEX booking_by_id ON booking(booking_id, provider);
CREATE INDEX booking_by_patient ON booking(patient_key);
CREATE INDEX booking_by_start ON booking(starts);
CREATE TABLE booking_event(event_key INTEGER PRIMARY KEY, provider TEXT, booking_id TEXT, patient_key INTEGER,
  told TEXT, content TEXT, message_key INTEGER);
CREATE INDEX booking_event_by_id ON booking_event(booking_id, provider);
"""

TEXT_KEYS: Final = {"booking": "booking_key", "booking_event": "event_key"}
