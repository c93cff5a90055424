"""Reads of what rejection notes hide, and the conditions that keep it out of searches."""

from typing import Final

from samsyn.store.index.port import IndexConnection

STUDY_SHOWN: Final = "study.instance_count > study.hidden_count"
SERIES_SHOWN: Final = "series.instance_count > series.hidden_count"
INSTANCE_SHOWN: Final = (
    "(series.hidden_count = 0 OR NOT EXISTS"
    " (SELECT 1 FROM rejected WHERE rejected.sop_uid = instance.sop_uid AND arrived = 1 AND revoked = ''))"
)
_SERIES_OF_STUDY: Final = "FROM series AS shown WHERE shown.study_key = study.study_key"
SHOWN_COUNT: Final = "study.instance_count - study.hidden_count AS instance_count"
SHOWN_SERIES: Final = (
    "CASE WHEN study.hidden_count = 0 THEN study.series_count ELSE"
    f" (SELECT COUNT(*) {_SERIES_OF_STUDY} AND shown.instance_count > shown.hidden_count) END"
)
SHOWN_SERIES_COUNT: Final = f"{SHOWN_SERIES} AS series_count"
SHOWN_MODALITIES: Final = (
    "CASE WHEN study.hidden_count = 0 THEN study.modalities ELSE COALESCE((SELECT group_concat(modality, '\\') FROM"
    f" (SELECT DISTINCT modality {_SERIES_OF_STUDY} AND shown.instance_count > shown.hidden_count"
    " AND modality <> '' ORDER BY modality)), '') END AS modalities"
)


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
