"""Reads of a person's studies, referrals and reports."""

from collections.abc import Sequence
from typing import Final

from samsyn.model.predicate import Predicate
from samsyn.store.index import tables
from samsyn.store.index.port import IndexConnection, Row
from samsyn.store.index.predicate_sql import compile_predicate
from samsyn.store.index.shown_rows import WITH_DOCUMENTS, shown_of

_STUDY_COLUMNS: Final = tuple(column.name for column in tables.whole().tables["study"].columns)


def studies(
    connection: IndexConnection,
    predicate: Predicate,
    patient_keys: frozenset[int],
    documents_of: frozenset[str] | None = None,
) -> list[Row]:
    """Visible studies of these persons, without what rejection notes hide, and without documents but those of the
    studies `documents_of` (None = of all). One that has nothing but documents is there, and empty."""
    shown = shown_of(connection, documents_of)
    as_shown = shown.columns
    # Each column by its name once: of two with one name SQLite gives the first and PostgreSQL the last.
    columns = ", ".join(as_shown.get(name, f"study.{name}") for name in _STUDY_COLUMNS)
    return _visible(
        connection,
        "study",
        predicate,
        patient_keys,
        "study_date DESC, study_time DESC",
        columns,
        WITH_DOCUMENTS.study,
    )


def referrals(connection: IndexConnection, predicate: Predicate, patient_keys: frozenset[int]) -> list[Row]:
    """Visible referrals of these persons."""
    return _visible(connection, "referral", predicate, patient_keys, "ordered DESC, referral_key")


def reports(connection: IndexConnection, predicate: Predicate, patient_keys: frozenset[int]) -> list[Row]:
    """Visible report versions of these persons, each with the kind of the message that it came in."""
    return _visible(
        connection,
        "report",
        predicate,
        patient_keys,
        "result_time DESC, report_key",
        "report.*, (SELECT kind FROM message WHERE message.message_key = report.message_key) AS message_kind",
    )


def _visible(
    connection: IndexConnection,
    table: str,
    predicate: Predicate,
    patient_keys: frozenset[int],
    order: str,
    columns: str = "*",
    shown: str = "TRUE",
) -> list[Row]:
    condition, parameters = compile_predicate(predicate, table)
    marks = ",".join("?" * len(patient_keys))
    return connection.execute(
        f"SELECT {columns} FROM {table} WHERE {table}.patient_key IN ({marks}) AND {condition}"
        f" AND {shown} ORDER BY {order}",
        [*sorted(patient_keys), *parameters],
    ).fetchall()


def state(
    connection: IndexConnection, predicate: Predicate, patient_keys: frozenset[int]
) -> list[tuple[object, ...]]:
    """What changes as soon as something comes to the visible examinations of these persons, is corrected or goes."""
    of = (
        (
            "study",
            "study_key, study_date, study_time, description, instance_count, hidden_count",
            WITH_DOCUMENTS.study,
        ),
        ("referral", "referral_key, status, priority, booked, message_key", "TRUE"),
        ("report", "report_key, status, message_key", "TRUE"),
    )
    return [
        (table, *row)
        for table, columns, shown in of
        for row in _visible(connection, table, predicate, patient_keys, f"{table}_key", columns, shown)
    ]


def measurements(connection: IndexConnection, study_uids: list[str]) -> list[Row]:
    """Measured values of these studies, which the caller has read as visible; in their documents' own order."""
    marks = ",".join("?" * len(study_uids))
    return connection.execute(
        f"SELECT * FROM measurement WHERE study_uid IN ({marks}) ORDER BY measurement_key", study_uids
    ).fetchall()


def items_of(
    connection: IndexConnection, patient_keys: frozenset[int]
) -> list[tuple[int, str, str, int | None, int | None]]:
    """(patient, provider, unit, begins, ends) of everything that exists of these persons, each only once.

    For the access room alone: it tells only bits of it (more exists, blocked exists).
    """
    marks = ",".join("?" * len(patient_keys))
    columns = "patient_key, provider, unit, begins, ends"
    parts = [
        f"SELECT {columns} FROM {table} WHERE patient_key IN ({marks})"
        + (f" AND {WITH_DOCUMENTS.study}" if table == "study" else "")
        for table in ("study", "referral", "report")
    ]
    return connection.execute(" UNION ".join(parts), [*sorted(patient_keys)] * 3).fetchall()


def joins(connection: IndexConnection, patient_keys: frozenset[int]) -> list[tuple[str, str]]:
    """Pairs of examinations of these persons that a steward has said are one."""
    marks = ",".join("?" * len(patient_keys))
    rows = connection.execute(
        f"SELECT one, other FROM examination_join WHERE ended = '' AND patient_key IN ({marks})"
        " ORDER BY join_key",
        sorted(patient_keys),
    )
    return [(row[0], row[1]) for row in rows]


def differing(connection: IndexConnection, study_uids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The studies among these whose images describe the patient otherwise than the register, with the fields."""
    marks = ",".join("?" * len(study_uids))
    rows = connection.execute(
        "SELECT reference, detail FROM finding WHERE kind = 'image-header' AND settled = ''"
        f" AND reference IN ({marks})",
        list(study_uids),
    )
    return {row[0]: tuple(row[1].split()) for row in rows}


def with_unread_documents(
    connection: IndexConnection, kind: str, study_uids: Sequence[str]
) -> frozenset[str]:
    """The studies among these to which a document has come that the jobs of this kind have not read, or could not."""
    marks = ",".join("?" * len(study_uids))
    rows = connection.execute(
        f"SELECT DISTINCT payload FROM job WHERE kind = ? AND payload IN ({marks})", [kind, *study_uids]
    )
    return frozenset(row[0] for row in rows)


def body_parts(
    connection: IndexConnection,
    predicate: Predicate,
    study_uids: Sequence[str],
    documents_of: frozenset[str] | None = None,
) -> dict[str, tuple[str, ...]]:
    """The body parts (0018,0015) that the visible series of each of these studies name, in order of the alphabet;
    `documents_of` as for `studies`."""
    condition, parameters = compile_predicate(predicate, "study")
    marks = ",".join("?" * len(study_uids))
    rows = connection.execute(
        "SELECT DISTINCT study_uid, body_part FROM study JOIN series USING(study_key)"
        f" WHERE study_uid IN ({marks}) AND body_part <> '' AND {condition}"
        f" AND {shown_of(connection, documents_of).series()} ORDER BY body_part",
        [*study_uids, *parameters],
    )
    found: dict[str, tuple[str, ...]] = {}
    for uid, part in rows:
        found[uid] = (*found.get(uid, ()), part)
    return found
