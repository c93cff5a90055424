"""Tables of the log review (which checks were made, of which accesses, with which finding), and how far each
receiver of the audit journal has got it."""

from typing import Final

AUDIT_SCHEMA: Final = """
CREATE INDEX audit_by_provider ON audit(actor_provider, sequence);
CREATE INDEX audit_emergency ON audit(actor_provider, sequence) WHERE activity = 'Nödöppning';
CREATE INDEX audit_login ON audit(actor_provider, actor, sequence) WHERE event = 'LOGIN';

CREATE TABLE log_check(check_key INTEGER PRIMARY KEY, provider TEXT, kind TEXT, made_by TEXT, made TEXT,
  first_day TEXT, last_day TEXT, population INTEGER, seed TEXT, finding TEXT, remark TEXT, signed_by TEXT,
  signed TEXT);
CREATE INDEX log_check_by_provider ON log_check(provider, check_key);
CREATE TABLE log_check_access(check_key INTEGER, sequence INTEGER, last_sequence INTEGER, actor TEXT,
  patient_key INTEGER, verdict TEXT, remark TEXT, PRIMARY KEY(check_key, sequence)) WITHOUT ROWID;
CREATE INDEX log_check_access_by_patient ON log_check_access(patient_key, actor);

CREATE TABLE audit_delivery(receiver TEXT PRIMARY KEY, delivered INTEGER, attempted INTEGER, changed TEXT)
  WITHOUT ROWID;
CREATE TABLE audit_exception(receiver TEXT, sequence INTEGER, state TEXT, reason TEXT, time TEXT,
  PRIMARY KEY(receiver, sequence)) WITHOUT ROWID;
"""

AUDIT_KEYS: Final = {"log_check": "check_key"}
"""See schema.KEYED_TABLES."""
