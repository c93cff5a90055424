"""Reads for joining images and texts that miss each other, and for studies that seem to be the same."""

from samsyn.store.index.port import IndexConnection, Row

_ROOT = "COALESCE(merged_into, patient_key)"


def unjoined(connection: IndexConnection, provider: str, first_day: int, limit: int) -> list[Row]:
    """One provider's studies from a day on to which no text belongs, by number, by name or by a steward's word."""
    return connection.execute(
        "SELECT study.* FROM study WHERE study.provider = ? AND study.study_date >= ?"
        " AND NOT EXISTS (SELECT 1 FROM report AS r WHERE r.study_uid = study.study_uid AND r.study_uid <> '')"
        " AND NOT EXISTS (SELECT 1 FROM examination_join AS j WHERE j.study_uid = study.study_uid"
        " AND j.ended = '' AND j.patient_key = study.patient_key)"
        " AND (study.accession = '' OR NOT EXISTS (SELECT 1 FROM report AS r WHERE r.accession = study.accession"
        " AND r.accession_issuer = study.accession_issuer AND r.patient_key IN ("
        + _same_person("study.patient_key")
        + ")))"
        " AND (study.accession = '' OR NOT EXISTS (SELECT 1 FROM referral AS o WHERE o.accession ="
        " study.accession AND o.accession_issuer = study.accession_issuer AND o.patient_key IN ("
        + _same_person("study.patient_key")
        + "))) ORDER BY study.study_date, study.study_key LIMIT ?",
        (provider, str(first_day), limit),
    ).fetchall()


def _same_person(key: str) -> str:
    """Keys of the person whose key `key` is (SQL, or ? twice) and of everybody linked to him, each by its index."""
    root = f"(SELECT COALESCE(own.merged_into, own.patient_key) FROM patient AS own WHERE own.patient_key = {key})"
    return (
        f"SELECT p.patient_key FROM patient AS p WHERE p.patient_key = {root}"
        f" UNION ALL SELECT p.patient_key FROM patient AS p WHERE p.merged_into = {root}"
    )


def texts_near(
    connection: IndexConnection, keys: frozenset[int], provider: str, first_day: int, last_day: int
) -> list[Row]:
    """Examinations that texts of these persons speak of, at the provider, around a day, and that have no images.

    Columns: accession_issuer, accession, day, title, status, kind.
    """
    marks = ",".join("?" * len(keys))
    values = [*sorted(keys), provider, first_day, last_day]
    return connection.execute(
        "SELECT accession_issuer, accession, begins AS day, procedure_text AS title, status, 'report' AS kind"
        f" FROM report WHERE patient_key IN ({marks}) AND provider = ? AND begins BETWEEN ? AND ? AND accession <> ''"
        " AND NOT EXISTS (SELECT 1 FROM study AS s WHERE s.accession = report.accession AND s.accession <> ''"
        " AND s.accession_issuer = report.accession_issuer)"
        " UNION SELECT accession_issuer, accession, begins AS day, procedure_text AS title, status, 'referral' AS"
        f" kind FROM referral WHERE patient_key IN ({marks}) AND performer_provider = ? AND begins BETWEEN ? AND ?"
        " AND accession <> '' AND NOT EXISTS (SELECT 1 FROM study AS s WHERE s.accession = referral.accession"
        " AND s.accession <> '' AND s.accession_issuer = referral.accession_issuer)",
        [*values, *values],
    ).fetchall()


def elsewhere(connection: IndexConnection, issuer: str, accession: str, key: int) -> int | None:
    """Another person who has texts under the same accession number; None when there is none."""
    if not accession:
        return None
    row = connection.execute(
        "SELECT r.patient_key FROM report AS r WHERE r.accession = ? AND r.accession_issuer = ?"
        f" AND r.patient_key NOT IN ({_same_person('?')}) LIMIT 1",
        (accession, issuer, key, key),
    ).fetchone()
    return int(row[0]) if row else None


def alike(connection: IndexConnection, provider: str, first_day: int, limit: int) -> list[Row]:
    """Pairs of studies of one person, one day and the same modalities that seem to be one examination.

    The same accession number, or times at most ten minutes apart; at least one is the provider's.
    """
    near = f"abs({_minutes('a.study_time')} - {_minutes('b.study_time')}) <= 10"
    return connection.execute(
        "SELECT a.study_uid AS one_uid, b.study_uid AS other_uid, a.provider AS one_provider, b.provider AS"
        " other_provider, a.patient_key, a.study_date, a.modalities, a.description AS one_title, b.description AS"
        " other_title, a.instance_count AS one_count, b.instance_count AS other_count, a.accession AS"
        " one_accession, b.accession AS other_accession"
        " FROM study AS a JOIN patient AS pa ON pa.patient_key = a.patient_key"
        " JOIN study AS b ON b.study_date = a.study_date AND b.study_key > a.study_key AND b.modalities = a.modalities"
        " JOIN patient AS pb ON pb.patient_key = b.patient_key"
        " WHERE a.study_date >= ? AND a.modalities <> '' AND (a.provider = ? OR b.provider = ?)"
        " AND COALESCE(pa.merged_into, pa.patient_key) = COALESCE(pb.merged_into, pb.patient_key)"
        " AND ((a.accession <> '' AND a.accession = b.accession AND a.accession_issuer <> b.accession_issuer)"
        f" OR {near})"
        " AND NOT EXISTS (SELECT 1 FROM finding AS f WHERE f.kind = 'duplicate' AND f.settled <> ''"
        " AND f.reference = a.study_uid || ' ' || b.study_uid)"
        " ORDER BY a.study_date, a.study_key LIMIT ?",
        (str(first_day), provider, provider, limit),
    ).fetchall()


def _minutes(column: str) -> str:
    """Minutes of the day that a TM column tells, NULL when it does not begin with four digits."""
    digits = " AND ".join(f"substr({column}, {place}, 1) BETWEEN '0' AND '9'" for place in range(1, 5))
    hours, minutes = (f"CAST(substr({column}, {place}, 2) AS INTEGER)" for place in (1, 3))
    return f"(CASE WHEN {digits} THEN {hours} * 60 + {minutes} END)"
