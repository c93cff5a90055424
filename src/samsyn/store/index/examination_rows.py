"""Reads of a person's studies, referrals and reports."""

import sqlite3

from samsyn.model.predicate import Predicate
from samsyn.store.index import rejected_rows
from samsyn.store.index.predicate_sql import compile_predicate


def studies(
    connection: sqlite3.Connection, predicate: Predicate, patient_keys: frozenset[int]
) -> list[sqlite3.Row]:
    """Visible studies of these persons, without what rejection notes hide."""
    return _visible(
        connection,
        "study",
        predicate,
        patient_keys,
        "study_date DESC, study_time DESC",
        # A row gives the first of columns with one name.
        f"{rejected_rows.SHOWN_COUNT}, {rejected_rows.SHOWN_SERIES_COUNT}, {rejected_rows.SHOWN_MODALITIES},",
        rejected_rows.STUDY_SHOWN,
    )


def referrals(
    connection: sqlite3.Connection, predicate: Predicate, patient_keys: frozenset[int]
) -> list[sqlite3.Row]:
    """Visible referrals of these persons."""
    return _visible(connection, "referral", predicate, patient_keys, "ordered DESC, referral_key")


def reports(
    connection: sqlite3.Connection, predicate: Predicate, patient_keys: frozenset[int]
) -> list[sqlite3.Row]:
    """Visible report versions of these persons."""
    return _visible(connection, "report", predicate, patient_keys, "result_time DESC, report_key")


def _visible(
    connection: sqlite3.Connection,
    table: str,
    predicate: Predicate,
    patient_keys: frozenset[int],
    order: str,
    columns: str = "",
    shown: str = "1",
) -> list[sqlite3.Row]:
    condition, parameters = compile_predicate(predicate, table)
    marks = ",".join("?" * len(patient_keys))
    return connection.execute(
        f"SELECT {columns} {table}.* FROM {table} WHERE {table}.patient_key IN ({marks}) AND {condition}"
        f" AND {shown} ORDER BY {order}",
        [*sorted(patient_keys), *parameters],
    ).fetchall()


def items_of(
    connection: sqlite3.Connection, patient_keys: frozenset[int]
) -> list[tuple[int, str, str, int | None, int | None, bool]]:
    """(patient, provider, unit, begins, ends, preliminary) of everything that exists of these persons.

    For the access room alone: it tells only bits of it (more exists, blocked exists).
    """
    marks = ",".join("?" * len(patient_keys))
    keys = sorted(patient_keys)
    rows: list[tuple[int, str, str, int | None, int | None, bool]] = []
    for table in ("study", "referral", "report"):
        found = connection.execute(
            f"SELECT DISTINCT patient_key, provider, unit, begins, ends, preliminary FROM {table}"
            f" WHERE patient_key IN ({marks})"
            + (f" AND {rejected_rows.STUDY_SHOWN}" if table == "study" else ""),
            keys,
        )
        rows.extend((*row[:5], bool(row[5])) for row in found)
    return rows
