"""Tables of FHIR subscriptions, and of what happened to texts.

`text_change` is to referrals and reports what `change` is to studies; the index makes its rows by itself, so that a
replay makes the same ones.
"""

from typing import Final

SUBSCRIPTION_SCHEMA: Final = """
CREATE TABLE subscription(subscription_id TEXT PRIMARY KEY, provider TEXT, system TEXT, criteria TEXT,
  endpoint TEXT, payload TEXT, heartbeat_s INTEGER, reason TEXT, ends TEXT, created TEXT, status TEXT, error TEXT,
  study_cursor INTEGER, text_cursor INTEGER, events INTEGER, failing_since TEXT, changed TEXT);
CREATE TABLE text_change(text_change_key INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL,
  row_key INTEGER NOT NULL, told TEXT NOT NULL);
CREATE TRIGGER report_filed AFTER INSERT ON report BEGIN
  INSERT INTO text_change(kind, row_key, told) VALUES('report', NEW.report_key, NEW.received);
END;
CREATE TRIGGER report_moved AFTER UPDATE OF patient_key, accession, study_uid ON report BEGIN
  INSERT INTO text_change(kind, row_key, told) VALUES('report', NEW.report_key, NEW.received);
END;
CREATE TRIGGER referral_filed AFTER INSERT ON referral BEGIN
  INSERT INTO text_change(kind, row_key, told) VALUES('referral', NEW.referral_key, NEW.changed);
END;
CREATE TRIGGER referral_changed AFTER UPDATE OF patient_key, status, accession, changed ON referral BEGIN
  INSERT INTO text_change(kind, row_key, told) VALUES('referral', NEW.referral_key, NEW.changed);
END;
"""
