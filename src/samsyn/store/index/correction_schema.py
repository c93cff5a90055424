"""Tables of what is taken back (instances that a rejection note hides, IHE RAD IOCM) and of what is corrected."""

from typing import Final

CORRECTION_SCHEMA: Final = """
ALTER TABLE study ADD COLUMN hidden_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE series ADD COLUMN hidden_count INTEGER NOT NULL DEFAULT 0;
CREATE TABLE rejected(sop_uid TEXT PRIMARY KEY, study_uid TEXT, note_uid TEXT, code TEXT, provider TEXT, actor TEXT,
  rejected TEXT, revoked TEXT) WITHOUT ROWID;
CREATE INDEX rejected_by_study ON rejected(study_uid);
CREATE INDEX rejected_by_note ON rejected(note_uid);
CREATE TABLE amendment(amendment_key INTEGER PRIMARY KEY AUTOINCREMENT, study_uid TEXT NOT NULL, tag INTEGER NOT NULL,
  vr TEXT NOT NULL, value TEXT NOT NULL, told TEXT NOT NULL, actor TEXT NOT NULL, provider TEXT NOT NULL);
CREATE INDEX amendment_by_study ON amendment(study_uid);
CREATE TRIGGER instance_rejected_before AFTER INSERT ON instance
WHEN EXISTS (SELECT 1 FROM rejected JOIN study USING(study_uid) JOIN series USING(study_key)
  WHERE sop_uid = NEW.sop_uid AND revoked = '' AND series_key = NEW.series_key)
BEGIN
  UPDATE series SET hidden_count = hidden_count + 1 WHERE series_key = NEW.series_key;
  UPDATE study SET hidden_count = hidden_count + 1
    WHERE study_key = (SELECT study_key FROM series WHERE series_key = NEW.series_key);
END;
CREATE TRIGGER series_moved AFTER UPDATE OF study_key ON series WHEN NEW.study_key <> OLD.study_key BEGIN
  UPDATE rejected SET study_uid = (SELECT study_uid FROM study WHERE study_key = NEW.study_key)
    WHERE sop_uid IN (SELECT sop_uid FROM instance WHERE series_key = NEW.series_key);
  UPDATE study SET hidden_count = hidden_count - NEW.hidden_count WHERE study_key = OLD.study_key;
  UPDATE study SET hidden_count = hidden_count + NEW.hidden_count WHERE study_key = NEW.study_key;
END;
"""
