"""Reads for moving a study from one person to another: what it holds, its texts, and who has already seen it."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from samsyn.store.index import patient_rows, settled_rows
from samsyn.store.index.port import IndexConnection, Row

_OPENINGS = (
    "OPEN_LIST",
    "OPEN_METADATA",
    "OPEN_IMAGES",
    "OPEN_REFERRAL",
    "OPEN_REPORT",
    "EXPORT",
    "SEND",
)


@dataclass(frozen=True, slots=True)
class MovedTexts:
    """Whose the reports of a correction are now, and who of the two persons it was about is somebody else."""

    accession: str
    owner: int
    others: tuple[int, ...]


def moved_texts(connection: IndexConnection, correction_key: int) -> MovedTexts | None:
    """None when the correction gave no reports over."""
    rows = connection.execute(
        "SELECT report.patient_key, report.accession, moved_row.from_key, correction.to_key FROM moved_row"
        " JOIN report ON report.report_key = moved_row.row_key JOIN correction USING(correction_key)"
        " WHERE correction_key = ? AND moved_row.kind = 'report' ORDER BY report.report_key DESC",
        (correction_key,),
    ).fetchall()
    if not rows:
        return None
    owner, accession, former, given = rows[0]
    same = patient_rows.closure_of(connection, owner)
    return MovedTexts(accession, owner, tuple(key for key in (former, given) if key not in same))


def was_moved_before(connection: IndexConnection, correction_key: int, accession: str) -> bool:
    """Whether an earlier correction was about the same number."""
    row = connection.execute(
        "SELECT 1 FROM correction WHERE accession = ? AND correction_key < ?", (accession, correction_key)
    ).fetchone()
    return row is not None


def study(connection: IndexConnection, study_uid: str) -> Row | None:
    """The study's row."""
    row: Row | None = connection.execute("SELECT * FROM study WHERE study_uid = ?", (study_uid,)).fetchone()
    return row


def series_of(connection: IndexConnection, study_key: int) -> list[Row]:
    """Its series."""
    return connection.execute(
        "SELECT * FROM series WHERE study_key = ? ORDER BY number, series_key", (study_key,)
    ).fetchall()


def objects_of(connection: IndexConnection, study_key: int) -> list[Row]:
    """Its instances, settled or not, with the UID of their series."""
    select = (
        "SELECT instance.*, series.series_uid FROM {} JOIN series USING(series_key) WHERE study_key = ?"
        " ORDER BY sop_uid"
    )
    rows = connection.execute(select.format("instance"), (study_key,)).fetchall()
    settled = settled_rows.table_of_study(connection, study_key)
    if settled is not None:
        table, content = settled
        rows += connection.execute(select.format(table), (content, study_key)).fetchall()
        rows.sort(key=lambda row: str(row["sop_uid"]))
    return rows


def studies_of(connection: IndexConnection, provider: str, keys: Collection[int]) -> list[Row]:
    """One provider's studies of these persons, the latest first."""
    return connection.execute(
        f"SELECT * FROM study WHERE provider = ? AND patient_key IN ({_marks(keys)})"
        " ORDER BY study_date DESC, study_time DESC",
        (provider, *sorted(keys)),
    ).fetchall()


def texts_of(
    connection: IndexConnection, issuer: str, accession: str, keys: Collection[int]
) -> tuple[list[Row], list[Row]]:
    """Report versions and referrals of the accession number, without their texts."""
    if not accession:
        return [], []
    values = (accession, issuer, *sorted(keys))
    where = f"accession = ? AND accession_issuer = ? AND patient_key IN ({_marks(keys)})"
    reports = connection.execute(
        f"SELECT report_key, status, result_time, provider, unit FROM report WHERE {where} ORDER BY result_time",
        values,
    ).fetchall()
    referrals = connection.execute(
        f"SELECT referral_key, status, ordered, provider, unit, performer_unit FROM referral WHERE {where}",
        values,
    ).fetchall()
    return reports, referrals


def texts_alone(connection: IndexConnection, provider: str, keys: Collection[int]) -> list[Row]:
    """Examinations of these persons of which one provider has written reports and there are no images.

    Columns: accession_issuer, accession, day, title, unit, versions.
    """
    return connection.execute(
        "SELECT accession_issuer, accession, MAX(begins) AS day, MAX(procedure_text) AS title, MAX(unit) AS unit,"
        f" COUNT(*) AS versions FROM report WHERE provider = ? AND patient_key IN ({_marks(keys)})"
        " AND accession <> '' AND NOT EXISTS (SELECT 1 FROM study AS s WHERE s.accession = report.accession"
        f" AND s.accession <> '' AND s.accession_issuer = report.accession_issuer"
        f" AND s.patient_key IN ({_marks(keys)}))"
        " GROUP BY accession_issuer, accession ORDER BY day DESC",
        (provider, *sorted(keys), *sorted(keys)),
    ).fetchall()


def seen_by(connection: IndexConnection, keys: Collection[int], references: Iterable[str]) -> list[Row]:
    """Who has opened, fetched or been sent one of these objects, from the audit journal; the latest first."""
    wanted = sorted(set(references))
    values: list[Any] = [*sorted(keys), *_OPENINGS, *wanted]
    return connection.execute(
        "SELECT actor, actor_provider, actor_unit, event, json_extract(details, '$.to') AS receiver,"
        " MIN(time) AS first, MAX(time) AS last, COUNT(*) AS times FROM audit"
        f" WHERE patient_key IN ({_marks(keys)}) AND event IN ({_marks(_OPENINGS)}) AND allowed = 1"
        f" AND json_extract(details, '$.of') IN ({_marks(wanted)})"
        " GROUP BY actor, actor_provider, actor_unit, event, receiver ORDER BY last DESC",
        values,
    ).fetchall()


def has_blocks(connection: IndexConnection, keys: Collection[int], provider: str, now: str) -> bool:
    """Whether one of these persons has a block at the provider that is in force."""
    row = connection.execute(
        f"SELECT 1 FROM block WHERE patient_key IN ({_marks(keys)}) AND provider = ?"
        " AND (ended IS NULL OR ended > ?)",
        (*sorted(keys), provider, now),
    ).fetchone()
    return row is not None


def _marks(values: Collection[Any]) -> str:
    return ",".join("?" * len(values))
