"""Tables of the patient identity engine: which numbers are one person, by whose word and since when."""

from typing import Final

IDENTITY_SCHEMA: Final = """
CREATE TABLE patient_link(link_key INTEGER PRIMARY KEY, kind TEXT, lower_key INTEGER, upper_key INTEGER,
  holds INTEGER, told TEXT, UNIQUE(lower_key, upper_key));
CREATE INDEX patient_link_by_upper ON patient_link(upper_key);
CREATE TABLE patient_alone(patient_key INTEGER PRIMARY KEY, since TEXT);
CREATE TABLE identity_event(event_key INTEGER PRIMARY KEY, act TEXT, one_key INTEGER, other_key INTEGER,
  told TEXT, happened TEXT, source TEXT, reason TEXT, message_key INTEGER, effective INTEGER);
CREATE INDEX identity_event_by_one ON identity_event(one_key);
CREATE INDEX identity_event_by_other ON identity_event(other_key);
CREATE TABLE patient_name_word(word TEXT, patient_key INTEGER, PRIMARY KEY(word, patient_key)) WITHOUT ROWID;
CREATE INDEX patient_protected ON patient(patient_key) WHERE protected = 1;
CREATE TABLE sent_identity(study_key INTEGER PRIMARY KEY, patient_id TEXT, issuer TEXT, name TEXT,
  birth_date TEXT, sex TEXT);
CREATE TABLE finding(finding_key INTEGER PRIMARY KEY, kind TEXT, reference TEXT, patient_key INTEGER,
  provider TEXT, unit TEXT, detail TEXT, found TEXT, settled TEXT, settled_by TEXT, note TEXT,
  UNIQUE(reference, kind));
CREATE INDEX finding_by_reference ON finding(reference);
CREATE INDEX finding_open ON finding(provider, found) WHERE settled = '';
CREATE TABLE held_identity(held_key INTEGER PRIMARY KEY, patient_id TEXT, issuer TEXT, name TEXT,
  birth_date TEXT, sex TEXT, accession TEXT, patient_key INTEGER, other_key INTEGER);
CREATE INDEX held_open ON held(provider, received) WHERE settled = '';
CREATE TABLE steward_act(act_key INTEGER PRIMARY KEY, kind TEXT, reference TEXT, patient_key INTEGER,
  other_key INTEGER, provider TEXT, actor TEXT, happened TEXT, reason TEXT, detail TEXT, undone TEXT,
  undone_by TEXT);
CREATE INDEX steward_act_by_provider ON steward_act(provider, act_key);
CREATE TABLE correction(correction_key INTEGER PRIMARY KEY, study_uid TEXT, series TEXT, split_uid TEXT,
  from_key INTEGER, to_key INTEGER, accession_issuer TEXT, accession TEXT, act_key INTEGER, made TEXT,
  ended TEXT);
CREATE INDEX correction_by_study ON correction(study_uid);
CREATE INDEX correction_by_split ON correction(split_uid) WHERE split_uid <> '';
CREATE INDEX correction_by_accession ON correction(accession);
CREATE TABLE original_body(correction_key INTEGER, sop_uid TEXT, segment INTEGER, body_offset INTEGER,
  length INTEGER, sha256 TEXT, checksum INTEGER, pixel_offset INTEGER, pixel_length INTEGER,
  PRIMARY KEY(sop_uid, correction_key)) WITHOUT ROWID;
CREATE TABLE draft_body(draft TEXT, sop_uid TEXT, segment INTEGER, body_offset INTEGER, length INTEGER,
  sha256 TEXT, checksum INTEGER, pixel_offset INTEGER, pixel_length INTEGER, PRIMARY KEY(draft, sop_uid)) WITHOUT ROWID;
CREATE TABLE moved_row(correction_key INTEGER, kind TEXT, row_key INTEGER, from_key INTEGER,
  PRIMARY KEY(correction_key, kind, row_key)) WITHOUT ROWID;
CREATE TABLE availability(study_uid TEXT PRIMARY KEY, received TEXT, visible TEXT) WITHOUT ROWID;
CREATE TABLE sent_for(sop_uid TEXT PRIMARY KEY, patient_key INTEGER, study_uid TEXT) WITHOUT ROWID;
CREATE INDEX sent_for_by_study ON sent_for(study_uid);
CREATE TABLE examination_join(join_key INTEGER PRIMARY KEY, patient_key INTEGER, study_uid TEXT, one TEXT,
  other TEXT, act_key INTEGER, made TEXT, ended TEXT);
CREATE INDEX examination_join_by_study ON examination_join(study_uid);
CREATE INDEX examination_join_by_patient ON examination_join(patient_key) WHERE ended = '';
CREATE INDEX report_by_study ON report(study_uid) WHERE study_uid <> '';
"""

IDENTITY_KEYS: Final = {
    "patient_link": "link_key",
    "identity_event": "event_key",
    "finding": "finding_key",
    "steward_act": "act_key",
    "correction": "correction_key",
    "examination_join": "join_key",
}
"""Tables whose keys the writer hands out."""
