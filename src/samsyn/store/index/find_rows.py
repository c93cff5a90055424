"""The search over patients, studies, series and instances: conditions in, rows out."""

import sqlite3
from dataclasses import dataclass
from typing import Any, Final, Literal

from samsyn.model.predicate import Predicate
from samsyn.store.index.predicate_sql import compile_predicate

Kind = Literal["equals", "one-of", "range", "like", "modality"]

STUDY_COLUMNS: Final = (
    "study.study_key, study.study_uid, study.patient_key, study.provider, study.unit, study.study_date,"
    " study.study_time, study.study_id, study.description, study.accession, study.accession_issuer,"
    " study.referring, study.modalities, study.series_count, study.instance_count, patient.name AS patient_name,"
    " patient.birth_date, patient.sex, patient.protected, patient.merged_into"
)
SERIES_COLUMNS: Final = (
    STUDY_COLUMNS + ", series.series_key, series.series_uid, series.modality, series.number,"
    " series.description AS series_description, series.body_part, series.laterality, series.station,"
    " series.manufacturer, series.institution, series.protocol, series.started_date, series.started_time,"
    " series.instance_count AS series_instance_count"
)
INSTANCE_COLUMNS: Final = (
    SERIES_COLUMNS + ", instance.sop_uid, instance.sop_class, instance.transfer_syntax,"
    " instance.number AS instance_number, instance.content_date, instance.content_time, instance.pixel_rows,"
    " instance.pixel_columns, instance.bits_allocated, instance.frames"
)


@dataclass(frozen=True, slots=True)
class Condition:
    """One restriction of a column; what each kind holds in `values` is told in `_condition`."""

    column: str
    kind: Kind
    values: tuple[Any, ...]


def find_studies(
    connection: sqlite3.Connection,
    predicate: Predicate,
    conditions: list[Condition],
    limit: int,
    offset: int,
) -> list[sqlite3.Row]:
    """Studies, newest first."""
    return _find(
        connection,
        f"SELECT {STUDY_COLUMNS} FROM study JOIN patient USING(patient_key)",
        predicate,
        conditions,
        "study.study_date DESC, study.study_time DESC, study.study_key",
        limit,
        offset,
    )


def find_series(
    connection: sqlite3.Connection,
    predicate: Predicate,
    conditions: list[Condition],
    limit: int,
    offset: int,
) -> list[sqlite3.Row]:
    """Series, by study and number."""
    return _find(
        connection,
        f"SELECT {SERIES_COLUMNS} FROM series JOIN study USING(study_key) JOIN patient USING(patient_key)",
        predicate,
        conditions,
        "study.study_date DESC, study.study_key, series.number, series.series_key",
        limit,
        offset,
    )


def find_instances(
    connection: sqlite3.Connection,
    predicate: Predicate,
    conditions: list[Condition],
    limit: int,
    offset: int,
) -> list[sqlite3.Row]:
    """Instances, by series and number."""
    return _find(
        connection,
        f"SELECT {INSTANCE_COLUMNS} FROM instance JOIN series USING(series_key) JOIN study USING(study_key)"
        " JOIN patient USING(patient_key)",
        predicate,
        conditions,
        "study.study_key, series.number, series.series_key, instance.number, instance.sop_uid",
        limit,
        offset,
    )


def find_patients(
    connection: sqlite3.Connection,
    predicate: Predicate,
    conditions: list[Condition],
    limit: int,
    offset: int,
) -> list[sqlite3.Row]:
    """Persons who have at least one visible study, with counts of what is visible."""
    return _find(
        connection,
        "SELECT patient.patient_key, patient.name AS patient_name, patient.birth_date, patient.sex,"
        " patient.protected, patient.merged_into, COUNT(*) AS study_count, SUM(study.series_count) AS"
        " series_total, SUM(study.instance_count) AS instance_total"
        " FROM study JOIN patient USING(patient_key)",
        predicate,
        conditions,
        "patient.folded_name, patient.patient_key",
        limit,
        offset,
        group="patient.patient_key",
    )


def _find(
    connection: sqlite3.Connection,
    select: str,
    predicate: Predicate,
    conditions: list[Condition],
    order: str,
    limit: int,
    offset: int,
    group: str = "",
) -> list[sqlite3.Row]:
    sql, parameters = compile_predicate(predicate, "study")
    where = [sql]
    for condition in conditions:
        sql, values = _condition(condition)
        where.append(sql)
        parameters.extend(values)
    grouping = f" GROUP BY {group}" if group else ""
    return connection.execute(
        f"{select} WHERE {' AND '.join(where)}{grouping} ORDER BY {order} LIMIT ? OFFSET ?",
        [*parameters, limit, offset],
    ).fetchall()


def _condition(condition: Condition) -> tuple[str, list[Any]]:
    column, values = condition.column, condition.values
    match condition.kind:
        case "equals":
            return f"{column} = ?", list(values)
        case "one-of":
            if not values:
                return "0", []
            return f"{column} IN ({','.join('?' * len(values))})", list(values)
        case "range":
            first, last = values
            return _range(column, first, last)
        case "like":
            return f"{column} LIKE ? ESCAPE '\\'", list(values)
        case "modality":
            return _modality(values)


def _range(column: str, first: str, last: str) -> tuple[str, list[Any]]:
    """Text order is time order for DA and TM; an empty column never lies in a range."""
    if first and last:
        return f"{column} BETWEEN ? AND ?", [first, last]
    if first:
        return f"{column} >= ?", [first]
    return f"({column} <= ? AND {column} <> '')", [last]


def _modality(values: tuple[Any, ...]) -> tuple[str, list[Any]]:
    """Values: modalities, then first and last study date ("" = open): one index answers both."""
    *modalities, first, last = values
    marks = ",".join("?" * len(modalities))
    sql = f"SELECT study_key FROM study_modality WHERE modality IN ({marks})"
    parameters: list[Any] = list(modalities)
    if first:
        sql, parameters = sql + " AND study_date >= ?", [*parameters, first]
    if last:
        sql, parameters = sql + " AND study_date <= ?", [*parameters, last]
    return f"study.study_key IN ({sql})", parameters


def identifiers_of(connection: sqlite3.Connection, patient_keys: list[int]) -> dict[int, tuple[str, str]]:
    """One (issuer, value) per person, for answers."""
    found: dict[int, tuple[str, str]] = {}
    for first in range(0, len(patient_keys), 500):
        part = patient_keys[first : first + 500]
        rows = connection.execute(
            "SELECT patient_key, issuer, value FROM patient_identifier WHERE patient_key IN"
            f" ({','.join('?' * len(part))})",
            part,
        )
        for row in rows:
            found.setdefault(row[0], (row[1], row[2]))
    return found


def keys_like(connection: sqlite3.Connection, pattern: str, limit: int) -> list[int]:
    """Persons with an identifier that matches a LIKE pattern."""
    rows = connection.execute(
        "SELECT DISTINCT patient_key FROM patient_identifier WHERE value LIKE ? ESCAPE '\\' LIMIT ?",
        (pattern, limit),
    )
    return [int(row[0]) for row in rows]
