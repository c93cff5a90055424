"""Tables about settled series: one row for each series, a few bytes for each instance."""

from typing import Final

SETTLED_SCHEMA: Final = """
CREATE TABLE series_object(series_key INTEGER PRIMARY KEY, object_key INTEGER UNIQUE, instances INTEGER,
  settled TEXT);
CREATE TABLE former_object(object_key INTEGER PRIMARY KEY, instances INTEGER);
CREATE TABLE settled_uid(bucket INTEGER PRIMARY KEY, entries BLOB);
CREATE TABLE settled_size(one INTEGER PRIMARY KEY CHECK(one = 1), entries INTEGER, buckets INTEGER,
  last_object INTEGER);
INSERT INTO settled_size VALUES(1, 0, 256, 0);
CREATE TABLE given_back(segment INTEGER PRIMARY KEY, told TEXT);
"""
"""series_object: so many instances, the first of the object's manifest, are settled. settled_uid: which series
a settled SOP Instance UID may be in, see settled_uids. former_object: objects whose instances have rows
again, since somebody had to change them. given_back: segments that have no more to give back."""
