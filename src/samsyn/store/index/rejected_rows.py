"""Reads of what rejection notes hide."""

from samsyn.store.index.port import IndexConnection


def is_hidden(connection: IndexConnection, sop_uid: str) -> bool:
    """Whether a rejection note in force names the instance."""
    row = connection.execute(
        "SELECT 1 FROM rejected WHERE sop_uid = ? AND arrived = 1 AND revoked = ''", (sop_uid,)
    ).fetchone()
    return row is not None


def hidden_of_study(connection: IndexConnection, study_uid: str) -> frozenset[str]:
    """SOP Instance UIDs of a study that a rejection note in force hides."""
    rows = connection.execute(
        "SELECT sop_uid FROM rejected WHERE study_uid = ? AND arrived = 1 AND revoked = ''", (study_uid,)
    )
    return frozenset(row[0] for row in rows)
