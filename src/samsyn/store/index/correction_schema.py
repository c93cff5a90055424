"""Tables of what is taken back (instances that a rejection note hides, IHE RAD IOCM) and of what is corrected.

A row of `rejected` hides when it is not revoked and its instance has arrived in the study that the note names;
`hidden_count` says how many instances of a series or study are hidden, settled ones too. `rejected_again` keeps the
later notes that name what is hidden already: when the earlier one is taken back, one of them takes its place. `ended` =
"" is one that waits so.
"""

from typing import Final

_RECOUNT: Final = """
  UPDATE series SET hidden_count = (SELECT COUNT(*) FROM rejected WHERE rejected.series_uid = series.series_uid
    AND arrived = 1 AND revoked = '') WHERE series_key = NEW.series_key;
  UPDATE study SET hidden_count = (SELECT SUM(hidden_count) FROM series WHERE series.study_key = study.study_key)
    WHERE study_key = (SELECT study_key FROM series WHERE series_key = NEW.series_key);
"""

CORRECTION_SCHEMA: Final = f"""
ALTER TABLE study ADD COLUMN hidden_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE series ADD COLUMN hidden_count INTEGER NOT NULL DEFAULT 0;
CREATE TABLE rejected(sop_uid TEXT PRIMARY KEY, study_uid TEXT NOT NULL, series_uid TEXT NOT NULL,
  note_uid TEXT NOT NULL, code TEXT NOT NULL, provider TEXT NOT NULL, actor TEXT NOT NULL, rejected TEXT NOT NULL,
  revoked TEXT NOT NULL, arrived INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX rejected_by_study ON rejected(study_uid);
CREATE INDEX rejected_by_series ON rejected(series_uid);
CREATE INDEX rejected_by_note ON rejected(note_uid);
CREATE TABLE rejected_again(sop_uid TEXT, note_uid TEXT, code TEXT NOT NULL, provider TEXT NOT NULL,
  actor TEXT NOT NULL, rejected TEXT NOT NULL, ended TEXT NOT NULL, PRIMARY KEY(sop_uid, note_uid)) WITHOUT ROWID;
CREATE INDEX rejected_again_by_note ON rejected_again(note_uid);
CREATE TABLE amendment(amendment_key INTEGER PRIMARY KEY AUTOINCREMENT, study_uid TEXT NOT NULL, tag INTEGER NOT NULL,
  vr TEXT NOT NULL, value TEXT NOT NULL, told TEXT NOT NULL, actor TEXT NOT NULL, provider TEXT NOT NULL);
CREATE INDEX amendment_by_study ON amendment(study_uid);
CREATE TRIGGER instance_rejected_before AFTER INSERT ON instance
WHEN EXISTS (SELECT 1 FROM rejected JOIN study USING(study_uid) JOIN series USING(study_key)
  WHERE sop_uid = NEW.sop_uid AND arrived = 0 AND series_key = NEW.series_key)
BEGIN
  UPDATE rejected SET arrived = 1, series_uid = (SELECT series_uid FROM series WHERE series_key = NEW.series_key)
    WHERE sop_uid = NEW.sop_uid;
  {_RECOUNT}
END;
CREATE TRIGGER series_moved AFTER UPDATE OF study_key ON series WHEN NEW.study_key <> OLD.study_key BEGIN
  UPDATE rejected SET study_uid = (SELECT study_uid FROM study WHERE study_key = NEW.study_key)
    WHERE series_uid = NEW.series_uid AND arrived = 1;
  UPDATE study SET hidden_count = hidden_count - NEW.hidden_count WHERE study_key = OLD.study_key;
  UPDATE study SET hidden_count = hidden_count + NEW.hidden_count WHERE study_key = NEW.study_key;
END;
"""
