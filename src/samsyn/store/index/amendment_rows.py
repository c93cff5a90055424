"""Reads of corrections."""

from samsyn.model.amendment import Amendment
from samsyn.store.index.port import IndexConnection


def amendments_of(connection: IndexConnection, study_uid: str) -> tuple[Amendment, ...]:
    """What was corrected in a study, oldest first."""
    rows = connection.execute(
        "SELECT tag, vr, value, told, provider FROM amendment WHERE study_uid = ? ORDER BY amendment_key",
        (study_uid,),
    )
    return tuple(Amendment(*row) for row in rows)
