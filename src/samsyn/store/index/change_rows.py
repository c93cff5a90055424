"""Reads of the change feed."""

from samsyn.model.predicate import Predicate
from samsyn.store.index.port import IndexConnection, Row
from samsyn.store.index.predicate_sql import compile_predicate
from samsyn.store.index.shown_rows import WITH_DOCUMENTS


def closed_until(connection: IndexConnection, bucket: str) -> int:
    """The last row that can not grow any more and has none before it that can; `bucket` is the first open time."""
    first_open = connection.execute(
        "SELECT MIN(change_key) FROM change WHERE kind = 'stored' AND bucket >= ?", (bucket,)
    ).fetchone()[0]
    if first_open is not None:
        return int(first_open) - 1
    return newest(connection)


def newest(connection: IndexConnection) -> int:
    """The last row, open ones too; 0 = there is none."""
    return int(connection.execute("SELECT COALESCE(MAX(change_key), 0) FROM change").fetchone()[0])


def changes(
    connection: IndexConnection, predicate: Predicate, after: int, until: int, limit: int, rejected_of: str
) -> list[Row]:
    """Rows behind `after` up to `until`, of studies that the predicate shows. Instances that are hidden now are not
    told as stored, but to stewards of their provider; a series that was moved is not told of its former study. For
    systems alone, from whom no documents are withheld."""
    sql, parameters = compile_predicate(predicate, "study")
    return connection.execute(
        "SELECT change.* FROM change JOIN study USING(study_uid) LEFT JOIN series USING(series_uid)"
        f" WHERE change_key > ? AND change_key <= ? AND {sql}"
        " AND (kind <> 'stored' OR (series.study_key = study.study_key"
        f" AND (study.provider = ? OR {WITH_DOCUMENTS.series()})))"
        " ORDER BY change_key LIMIT ?",
        [after, until, *parameters, rejected_of or "\0", limit],
    ).fetchall()
