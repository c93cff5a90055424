"""Tables of the access rules beside the registers of schema.py."""

from typing import Final

ACCESS_SCHEMA: Final = """
CREATE TABLE lift_request(request_id TEXT PRIMARY KEY, patient_key INTEGER, owner TEXT, provider TEXT, unit TEXT,
  employee TEXT, asker TEXT, for_unit INTEGER, phone TEXT, need TEXT, asked TEXT, answered TEXT, answer TEXT,
  told TEXT, until TEXT);
CREATE INDEX lift_request_by_owner ON lift_request(owner, asked);
CREATE INDEX lift_request_by_asker ON lift_request(employee, asked);
CREATE INDEX lift_request_by_patient ON lift_request(patient_key);
"""
