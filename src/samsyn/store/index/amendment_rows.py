"""Reads of corrections."""

import sqlite3

from samsyn.model.amendment import Amendment


def amendments_of(connection: sqlite3.Connection, study_uid: str) -> tuple[Amendment, ...]:
    """What was corrected in a study, oldest first."""
    rows = connection.execute(
        "SELECT tag, vr, value, told, provider FROM amendment WHERE study_uid = ? ORDER BY amendment_key",
        (study_uid,),
    )
    return tuple(Amendment(*row) for row in rows)
