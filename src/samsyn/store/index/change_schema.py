"""The change feed: what happened to studies, in order.

Instances of one series that arrive within the same ten seconds are one row, which grows until its time is over; after
that no row ever changes. The index makes the rows by itself, so that a replay makes the same ones.
"""

from typing import Final

BUCKET_CHARACTERS: Final = 18
"""Of a time in ISO 8601: up to the tens of seconds."""

CHANGE_SCHEMA: Final = f"""
CREATE TABLE change(change_key INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, study_uid TEXT NOT NULL,
  series_uid TEXT NOT NULL, bucket TEXT NOT NULL, instances INTEGER NOT NULL, told TEXT NOT NULL, detail TEXT NOT NULL);
CREATE UNIQUE INDEX change_by_bucket ON change(bucket, series_uid) WHERE kind = 'stored';
CREATE TRIGGER instance_changes AFTER INSERT ON instance WHEN NEW.segment >= 0 BEGIN
  INSERT INTO change(kind, study_uid, series_uid, bucket, instances, told, detail)
    SELECT 'stored', study_uid, series_uid, substr(NEW.received, 1, {BUCKET_CHARACTERS}), 1, NEW.received, ''
    FROM series JOIN study USING(study_key) WHERE series_key = NEW.series_key
    ON CONFLICT(bucket, series_uid) WHERE kind = 'stored' DO UPDATE SET instances = change.instances + 1;
END;
"""
