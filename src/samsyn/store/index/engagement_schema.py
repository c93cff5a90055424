"""What the engagement index has been told, and whose engagements may have changed since.

The index notes by itself whose reports or numbers change, in the record that changes them: nothing that any room
does can be forgotten, and a replay makes the same rows. `turn` grows while the change waits, so that a change that
comes while the person is being told is not taken for the one that was told.
"""

from typing import Final


def _noting(name: str, when: str, *keys: str, only: str = "") -> str:
    """A trigger that notes the persons of these keys."""
    notes = "".join(
        f"INSERT INTO engagement_change(patient_key, turn) SELECT {key}, 1 WHERE {key} IS NOT NULL"
        " ON CONFLICT(patient_key) DO UPDATE SET turn = engagement_change.turn + 1;\n"
        for key in keys
    )
    condition = f" WHEN {only}" if only else ""
    return f"CREATE TRIGGER {name} AFTER {when}{condition} BEGIN\n{notes}END;\n"


_TABLES: Final = """
CREATE TABLE engagement_change(change_key INTEGER PRIMARY KEY AUTOINCREMENT, patient_key INTEGER UNIQUE NOT NULL,
  turn INTEGER NOT NULL);
CREATE TABLE engagement_due(patient_key INTEGER PRIMARY KEY, due TEXT NOT NULL);
CREATE INDEX engagement_by_due ON engagement_due(due);
CREATE TABLE engagement(number TEXT, logical_address TEXT, controller TEXT, mark TEXT NOT NULL,
  most_recent TEXT NOT NULL, first_told TEXT NOT NULL, refusal TEXT NOT NULL,
  PRIMARY KEY(number, logical_address, controller)) WITHOUT ROWID;
CREATE INDEX engagement_refused ON engagement(refusal) WHERE refusal <> '';
"""

ENGAGEMENT_SCHEMA: Final = (
    _TABLES
    + _noting("engagement_by_report", "INSERT ON report", "NEW.patient_key")
    + _noting(
        "engagement_by_move",
        "UPDATE OF patient_key, unit, status ON report",
        "OLD.patient_key",
        "NEW.patient_key",
        only="OLD.patient_key <> NEW.patient_key OR OLD.unit <> NEW.unit OR OLD.status <> NEW.status",
    )
    + _noting(
        "engagement_by_identity",
        "UPDATE OF merged_into ON patient",
        "NEW.patient_key",
        "OLD.merged_into",
        "NEW.merged_into",
        only="COALESCE(OLD.merged_into, 0) <> COALESCE(NEW.merged_into, 0)",
    )
    + _noting("engagement_by_vidimering", "INSERT ON vidimering", "NEW.patient_key")
)
