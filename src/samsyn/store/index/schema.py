"""Tables of the index. Items that a View decides on (study, referral, report) share the columns
patient_key, provider, unit, begins, ends and preliminary; days are YYYYMMDD as integers, NULL = unknown.
`preliminary` follows from the row itself, so that it can not say otherwise than the report's status."""

import zlib
from typing import Final

from samsyn.dicom.document_classes import DOCUMENT_PREFIXES, NO_DOCUMENTS, PREFIX_CHARACTERS
from samsyn.store.index.access_schema import ACCESS_SCHEMA
from samsyn.store.index.audit_schema import AUDIT_KEYS, AUDIT_SCHEMA
from samsyn.store.index.change_schema import CHANGE_SCHEMA
from samsyn.store.index.correction_schema import CORRECTION_SCHEMA
from samsyn.store.index.engagement_schema import ENGAGEMENT_SCHEMA
from samsyn.store.index.exchange_schema import EXCHANGE_SCHEMA
from samsyn.store.index.identity_schema import IDENTITY_KEYS, IDENTITY_SCHEMA
from samsyn.store.index.settled_schema import SETTLED_SCHEMA
from samsyn.store.index.subscription_schema import SUBSCRIPTION_SCHEMA
from samsyn.store.index.text_schema import TEXT_KEYS, TEXT_SCHEMA
from samsyn.store.index.upkeep_schema import UPKEEP_SCHEMA
from samsyn.store.index.version_schema import VERSION_SCHEMA

_IS_DOCUMENT: Final = (
    f"substr(NEW.sop_class, 1, {PREFIX_CHARACTERS}) IN {DOCUMENT_PREFIXES}"
    f" AND NEW.sop_class NOT IN {NO_DOCUMENTS}"
)
"""The same as dicom.document_classes.is_document; a series' `documents` is 1 as soon as one of its objects is one."""
_CORE: Final = f"""
CREATE TABLE journal_state(one INTEGER PRIMARY KEY CHECK(one = 1), segment INTEGER, end_offset INTEGER,
  sequence INTEGER);
INSERT INTO journal_state VALUES(1, 0, 0, 0);

CREATE TABLE patient(patient_key INTEGER PRIMARY KEY, name TEXT, folded_name TEXT, birth_date TEXT, sex TEXT,
  protected INTEGER, origin TEXT, told TEXT, merged_into INTEGER, deceased TEXT);
CREATE INDEX patient_by_name ON patient(folded_name);
CREATE INDEX patient_with_groups ON patient(folded_name) WHERE instr(folded_name, '=') > 0;
CREATE INDEX patient_by_merge ON patient(merged_into) WHERE merged_into IS NOT NULL;
CREATE TABLE patient_identifier(issuer TEXT, value TEXT, patient_key INTEGER, PRIMARY KEY(value, issuer))
  WITHOUT ROWID;
CREATE INDEX identifier_by_patient ON patient_identifier(patient_key);

CREATE TABLE study(study_key INTEGER PRIMARY KEY, study_uid TEXT UNIQUE, patient_key INTEGER, provider TEXT,
  unit TEXT, begins INTEGER, ends INTEGER, study_date TEXT, study_time TEXT, study_id TEXT, description TEXT,
  accession TEXT, accession_issuer TEXT, referring TEXT, folded_referring TEXT, patient_id_sent TEXT,
  patient_name_sent TEXT, modalities TEXT, series_count INTEGER, instance_count INTEGER, received TEXT,
  preliminary INTEGER GENERATED ALWAYS AS (0) VIRTUAL);
CREATE INDEX study_by_patient ON study(patient_key, study_date);
CREATE INDEX study_by_accession ON study(accession) WHERE accession <> '';
CREATE INDEX study_by_date ON study(study_date);
CREATE TABLE study_modality(modality TEXT, study_date TEXT, study_key INTEGER,
  PRIMARY KEY(modality, study_date, study_key)) WITHOUT ROWID;

CREATE TABLE series(series_key INTEGER PRIMARY KEY, series_uid TEXT UNIQUE, study_key INTEGER, modality TEXT,
  number INTEGER, description TEXT, body_part TEXT, laterality TEXT, station TEXT, manufacturer TEXT,
  institution TEXT, protocol TEXT, series_date TEXT, series_time TEXT, started_date TEXT, started_time TEXT,
  instance_count INTEGER,
  documents INTEGER NOT NULL DEFAULT 0);
CREATE INDEX series_by_study ON series(study_key);
CREATE TABLE series_request(series_key INTEGER, place INTEGER, step_id TEXT, procedure_id TEXT, accession TEXT,
  PRIMARY KEY(series_key, place)) WITHOUT ROWID;
CREATE INDEX request_by_step ON series_request(step_id);
CREATE INDEX request_by_procedure ON series_request(procedure_id);
CREATE INDEX request_by_accession ON series_request(accession);

CREATE TABLE instance(sop_uid TEXT PRIMARY KEY, series_key INTEGER, sop_class TEXT, transfer_syntax TEXT,
  number INTEGER, content_date TEXT, content_time TEXT, segment INTEGER, body_offset INTEGER, length INTEGER,
  sha256 TEXT, checksum INTEGER, pixel_offset INTEGER, pixel_length INTEGER, pixel_rows INTEGER, pixel_columns INTEGER,
  samples INTEGER, bits_allocated INTEGER, bits_stored INTEGER, signed INTEGER, photometric TEXT,
  planar INTEGER, frames INTEGER, sender TEXT, received TEXT);
CREATE INDEX instance_by_series ON instance(series_key);
CREATE TRIGGER instance_counted AFTER INSERT ON instance BEGIN
  UPDATE series SET instance_count = instance_count + 1,
    documents = CASE WHEN {_IS_DOCUMENT} THEN 1 ELSE documents END WHERE series_key = NEW.series_key;
  UPDATE study SET instance_count = instance_count + 1
    WHERE study_key = (SELECT study_key FROM series WHERE series_key = NEW.series_key);
END;

CREATE TABLE referral(referral_key INTEGER PRIMARY KEY, patient_key INTEGER, provider TEXT, unit TEXT,
  begins INTEGER, ends INTEGER, accession_issuer TEXT, accession TEXT, placer_id TEXT, status TEXT,
  priority TEXT, ordered TEXT, procedure_code TEXT, procedure_text TEXT, question TEXT, history TEXT,
  referrer TEXT, performer_provider TEXT, performer_unit TEXT, booked TEXT, changed TEXT, message_key INTEGER,
  preliminary INTEGER GENERATED ALWAYS AS (0) VIRTUAL);
CREATE INDEX referral_by_patient ON referral(patient_key, placer_id, accession, provider, unit, begins, ends);
CREATE INDEX referral_by_accession ON referral(accession);
CREATE INDEX referral_by_placer ON referral(placer_id);
CREATE TABLE referral_event(event_key INTEGER PRIMARY KEY, patient_key INTEGER, placer_id TEXT,
  accession_issuer TEXT, accession TEXT, told TEXT, content TEXT, visit TEXT, account TEXT,
  message_key INTEGER);
CREATE INDEX referral_event_by_placer ON referral_event(patient_key, placer_id, accession);
CREATE INDEX referral_event_by_accession ON referral_event(patient_key, accession);

CREATE TABLE report(report_key INTEGER PRIMARY KEY, patient_key INTEGER, provider TEXT, unit TEXT,
  begins INTEGER, ends INTEGER, accession_issuer TEXT, accession TEXT, filler_id TEXT, study_uid TEXT,
  status TEXT, result_time TEXT, author TEXT, signer TEXT, procedure_text TEXT, text TEXT, fragment INTEGER,
  reason TEXT, received TEXT, visit TEXT, account TEXT, form TEXT, sop_uid TEXT, series_uid TEXT,
  message_key INTEGER, told TEXT,
  preliminary INTEGER GENERATED ALWAYS AS (CASE WHEN status = 'preliminary' THEN 1 ELSE 0 END) VIRTUAL);
CREATE INDEX report_by_patient ON report(patient_key, provider, unit, begins, ends);
CREATE INDEX report_by_accession ON report(accession);

CREATE TABLE message(message_key INTEGER PRIMARY KEY, source TEXT, control_id TEXT, kind TEXT, digest TEXT,
  received TEXT, segment INTEGER, body_offset INTEGER, length INTEGER, sha256 TEXT, outcome TEXT, answer TEXT,
  UNIQUE(source, control_id));

CREATE TABLE held(held_key INTEGER PRIMARY KEY, kind TEXT, reason TEXT, sop_uid TEXT, study_uid TEXT,
  transfer_syntax TEXT, sender TEXT, provider TEXT, detail TEXT, received TEXT, segment INTEGER,
  body_offset INTEGER, length INTEGER, sha256 TEXT, settled TEXT);
CREATE INDEX held_by_object ON held(sop_uid, sha256);

CREATE TABLE care_relation(relation_id TEXT PRIMARY KEY, patient_key INTEGER, provider TEXT, unit TEXT,
  employee TEXT, starts TEXT, ends TEXT, source TEXT);
CREATE INDEX relation_by_patient ON care_relation(patient_key);
CREATE TABLE consent(consent_id TEXT PRIMARY KEY, patient_key INTEGER, ground TEXT, provider TEXT, unit TEXT,
  employee TEXT, starts TEXT, ends TEXT, channel TEXT, ended TEXT);
CREATE INDEX consent_by_patient ON consent(patient_key);
CREATE INDEX consent_by_unit ON consent(unit, patient_key);
CREATE TABLE block(block_id TEXT PRIMARY KEY, patient_key INTEGER, kind TEXT, provider TEXT, unit TEXT,
  first_day INTEGER, last_day INTEGER, ended TEXT);
CREATE INDEX block_by_patient ON block(patient_key);
CREATE TABLE lift(lift_id TEXT PRIMARY KEY, block_id TEXT, patient_key INTEGER, unit TEXT, employee TEXT,
  starts TEXT, ends TEXT, reason TEXT, ended TEXT);
CREATE INDEX lift_by_patient ON lift(patient_key);

CREATE TABLE audit(sequence INTEGER PRIMARY KEY, time TEXT, event TEXT, activity TEXT, actor TEXT,
  actor_provider TEXT, actor_unit TEXT, assignment TEXT, purpose TEXT, session_id TEXT, patient_key INTEGER,
  owner_provider TEXT, owner_unit TEXT, allowed INTEGER, details TEXT, hash TEXT);
CREATE INDEX audit_by_patient ON audit(patient_key, sequence);
CREATE INDEX audit_by_actor ON audit(actor, sequence);

CREATE TABLE job(job_key INTEGER PRIMARY KEY, kind TEXT, name TEXT, payload TEXT, priority INTEGER,
  run_at TEXT, attempt INTEGER, state TEXT, error TEXT, UNIQUE(kind, name));
CREATE INDEX job_ready ON job(state, priority, run_at);
"""

SCHEMA: Final = (
    _CORE
    + ACCESS_SCHEMA
    + AUDIT_SCHEMA
    + IDENTITY_SCHEMA
    + TEXT_SCHEMA
    + EXCHANGE_SCHEMA
    + UPKEEP_SCHEMA
    + SETTLED_SCHEMA
    + CORRECTION_SCHEMA
    + CHANGE_SCHEMA
    + ENGAGEMENT_SCHEMA
    + SUBSCRIPTION_SCHEMA
    + VERSION_SCHEMA
)
SCHEMA_VERSION: Final = zlib.crc32(SCHEMA.encode()) & 0x7FFFFFFF
"""Follows from the tables: an index that was made with others is made anew from the journal."""

KEYED_TABLES: Final = {
    "patient": "patient_key",
    "study": "study_key",
    "series": "series_key",
    "referral": "referral_key",
    "referral_event": "event_key",
    "report": "report_key",
    "message": "message_key",
    "held": "held_key",
    "audit": "sequence",
    "job": "job_key",
    **IDENTITY_KEYS,
    **AUDIT_KEYS,
    **TEXT_KEYS,
}
"""Tables whose integer keys the writer hands out, so that a replay gives the same keys."""
