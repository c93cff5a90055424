"""Tables of the access rules beside the registers of schema.py."""

from typing import Final

ACCESS_SCHEMA: Final = """
CREATE TABLE lift_request(request_id TEXT PRIMARY KEY, patient_key INTEGER, owner TEXT, provider TEXT, unit TEXT,
  employee TEXT, asker TEXT, for_unit INTEGER, phone TEXT, need TEXT, asked TEXT, answered TEXT, answer TEXT,
  told TEXT, until TEXT);
CREATE INDEX lift_request_by_owner ON lift_request(owner, asked);
CREATE INDEX lift_request_by_asker ON lift_request(employee, asked);
CREATE INDEX lift_request_by_patient ON lift_request(patient_key);
CREATE TABLE guardianship(guardianship_id TEXT PRIMARY KEY, child_key INTEGER, guardian_key INTEGER, starts TEXT,
  ends TEXT, source TEXT, ended TEXT);
CREATE TABLE guardians_told(source TEXT, child_key INTEGER, told TEXT, PRIMARY KEY(source, child_key))
  WITHOUT ROWID;
CREATE INDEX guardianship_by_guardian ON guardianship(guardian_key);
CREATE INDEX guardianship_by_child ON guardianship(child_key);
CREATE TABLE national_block(block_id TEXT PRIMARY KEY, issuer TEXT, number TEXT, kind TEXT, provider TEXT,
  unit TEXT, first_day INTEGER, last_day INTEGER);
CREATE INDEX national_block_by_number ON national_block(number, issuer);
CREATE TABLE national_lift(lift_id TEXT PRIMARY KEY, block_id TEXT, unit TEXT, employee TEXT, ends TEXT);
CREATE INDEX national_lift_by_block ON national_lift(block_id);
CREATE TABLE national_grant(register TEXT, grant_id TEXT, issuer TEXT, number TEXT, kind TEXT, provider TEXT,
  unit TEXT, employee TEXT, starts TEXT, ends TEXT, ended TEXT, PRIMARY KEY(register, grant_id)) WITHOUT ROWID;
CREATE INDEX national_grant_by_number ON national_grant(number, register);
CREATE INDEX national_grant_by_unit ON national_grant(unit, register);
CREATE TABLE national_reading(register TEXT, provider TEXT, more_on TEXT, read_at TEXT, whole_at TEXT,
  PRIMARY KEY(register, provider)) WITHOUT ROWID;
CREATE TABLE national_state(one INTEGER PRIMARY KEY CHECK(one = 1), created_next TEXT, cancelled TEXT,
  read_at TEXT);
"""
