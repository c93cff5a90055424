"""Tables of what texts tell beside referrals and reports: bookings (SIU), and visits that were moved (A44, A45), and
the referrers' word that a result was taken care of (vidimering)."""

from typing import Final

_TABLES: Final = """
CREATE TABLE booking(booking_key INTEGER PRIMARY KEY, patient_key INTEGER, provider TEXT, unit TEXT,
  booking_id TEXT, status TEXT, starts TEXT, ends TEXT, placer_id TEXT, accession_issuer TEXT, accession TEXT,
  procedure_code TEXT, procedure_text TEXT, changed TEXT, message_key INTEGER);
CREATE INDEX booking_by_id ON booking(booking_id, provider);
CREATE INDEX booking_by_patient ON booking(patient_key);
CREATE INDEX booking_by_start ON booking(starts);
CREATE TABLE booking_event(event_key INTEGER PRIMARY KEY, provider TEXT, booking_id TEXT, patient_key INTEGER,
  told TEXT, content TEXT, visit TEXT, account TEXT, message_key INTEGER);
CREATE INDEX booking_event_by_id ON booking_event(booking_id, provider);
CREATE INDEX booking_event_by_patient ON booking_event(patient_key);
CREATE TABLE visit_move(move_key INTEGER PRIMARY KEY, kind TEXT, number TEXT, former_key INTEGER,
  owner_key INTEGER, told TEXT, message_key INTEGER);
CREATE INDEX visit_move_by_number ON visit_move(number, kind);
CREATE TABLE measurement(measurement_key INTEGER PRIMARY KEY, patient_key INTEGER, provider TEXT, unit TEXT,
  begins INTEGER, ends INTEGER, study_uid TEXT, sop_uid TEXT, place INTEGER, name TEXT, value TEXT,
  unit_code TEXT, context TEXT, received TEXT);
CREATE INDEX measurement_by_patient ON measurement(patient_key);
CREATE INDEX measurement_by_object ON measurement(sop_uid);
CREATE INDEX measurement_by_study ON measurement(study_uid);
CREATE INDEX report_by_object ON report(sop_uid) WHERE sop_uid <> '';
CREATE TABLE vidimering(vidimering_key INTEGER PRIMARY KEY, patient_key INTEGER, version_key INTEGER, mark TEXT,
  actor TEXT, actor_name TEXT, provider TEXT, unit TEXT, unit_name TEXT, noted TEXT);
CREATE INDEX vidimering_by_version ON vidimering(version_key);
"""
_BY_VISIT: Final = "".join(
    f"CREATE INDEX {table}_by_{column} ON {table}({column}) WHERE {column} <> '';\n"
    for table in ("report", "referral_event", "booking_event")
    for column in ("visit", "account")
)
TEXT_SCHEMA: Final = _TABLES + _BY_VISIT


TEXT_KEYS: Final = {
    "booking": "booking_key",
    "booking_event": "event_key",
    "visit_move": "move_key",
    "vidimering": "vidimering_key",
    "measurement": "measurement_key",
}
