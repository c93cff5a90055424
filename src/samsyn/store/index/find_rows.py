"""The search over patients, studies, series and instances: conditions in, rows out."""

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

from samsyn import limits
from samsyn.model.predicate import Predicate
from samsyn.store.index import settled_rows, settled_uids
from samsyn.store.index.port import IndexConnection, Row
from samsyn.store.index.predicate_sql import compile_predicate
from samsyn.store.index.shown_rows import Shown, shown_of

Kind = Literal[
    "one-of",
    "none-of",
    "range",
    "time-range",
    "moment",
    "any-like",
    "name",
    "word",
    "modality",
    "issuer",
    "request",
    "empty",
    "never",
]

STUDY_COLUMNS: Final = (
    "study.study_key, study.study_uid, study.patient_key, study.provider, study.unit, study.study_date,"
    " study.study_time, study.study_id, study.description, study.accession, study.accession_issuer,"
    " study.referring, {modalities}, {series_count}, {instance_count}, patient.name AS patient_name,"
    " patient.birth_date, patient.sex, patient.protected, patient.merged_into"
)
SERIES_COLUMNS: Final = (
    STUDY_COLUMNS + ", series.series_key, series.series_uid, series.modality, series.number,"
    " series.description AS series_description, series.body_part, series.laterality, series.station,"
    " series.manufacturer, series.institution, series.protocol, series.series_date, series.series_time,"
    " series.started_date, series.started_time, {series_instances} AS series_instance_count"
)
INSTANCE_COLUMNS: Final = (
    SERIES_COLUMNS + ", instance.sop_uid, instance.sop_class, instance.transfer_syntax,"
    " instance.number AS instance_number, instance.content_date, instance.content_time, instance.pixel_rows,"
    " instance.pixel_columns, instance.bits_allocated, instance.frames"
)


_EMPTY_LEFT_OUT: Final = frozenset({"study.accession"})
_COLUMN_OF_INSTANCE: Final = re.compile(r"\binstance\.(\w+)")
_ALL: Final = MappingProxyType(
    {
        "modalities": "study.modalities",
        "series_count": "study.series_count",
        "instance_count": "study.instance_count",
        "series_instances": "series.instance_count",
    }
)

PATIENT_NAME: Final = "patient.folded_name"
SHOWN_AS: Final = "COALESCE(patient.merged_into, patient.patient_key)"
"""Whom a study's patient is shown as."""
_OF_PATIENT: Final = "patient."

Place: TypeAlias = tuple[Any, ...]
"""Where a row stands in the order of its search; what comes behind it stays behind it, whatever is stored meanwhile."""


@dataclass(frozen=True, slots=True)
class _Step:
    """One column of an order. What descends is never NULL; else NULL comes first, as SQLite has it."""

    column: str
    name: str
    """As the rows of the search call it."""
    descends: bool = False


_DATE: Final = _Step("study.study_date", "study_date", descends=True)
_STUDY_KEY: Final = _Step("study.study_key", "study_key")
_SERIES: Final = (_Step("series.number", "number"), _Step("series.series_key", "series_key"))
STUDY_ORDER: Final = (_DATE, _Step("study.study_time", "study_time", descends=True), _STUDY_KEY)
SERIES_ORDER: Final = (_DATE, _STUDY_KEY, *_SERIES)
IMAGE_ORDER: Final = (
    _STUDY_KEY,
    *_SERIES,
    _Step("instance.number", "instance_number"),
    _Step("instance.sop_uid", "sop_uid"),
)
PATIENT_ORDER: Final = (
    _Step("survivor.folded_name", "folded_name"),
    _Step("survivor.patient_key", "patient_key"),
)
"""Each ends in a key, so that no two rows stand in one place."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One restriction of a column; what each kind holds in `values` is told in `_condition`."""

    column: str
    kind: Kind
    values: tuple[Any, ...]


def find_studies(
    connection: IndexConnection,
    predicate: Predicate,
    conditions: list[Condition],
    limit: int,
    offset: int,
    rejected_of: str = "",
    documents_of: frozenset[str] | None = None,
    after: Place = (),
) -> list[Row]:
    """Studies, newest first."""
    shown = shown_of(connection, documents_of)
    return _find(
        connection,
        _select(STUDY_COLUMNS, "study JOIN patient USING(patient_key)", rejected_of, shown),
        predicate,
        conditions,
        STUDY_ORDER,
        limit,
        offset,
        after=after,
        shown=_Limits(shown, rejected_of),
    )


def find_series(
    connection: IndexConnection,
    predicate: Predicate,
    conditions: list[Condition],
    limit: int,
    offset: int,
    rejected_of: str = "",
    documents_of: frozenset[str] | None = None,
    after: Place = (),
) -> list[Row]:
    """Series, by study and number."""
    shown = shown_of(connection, documents_of)
    return _find(
        connection,
        _select(SERIES_COLUMNS, f"series JOIN {_STUDY}", rejected_of, shown),
        predicate,
        conditions,
        SERIES_ORDER,
        limit,
        offset,
        after=after,
        shown=_Limits(shown, rejected_of, shown.series()),
    )


def find_instances(
    connection: IndexConnection,
    predicate: Predicate,
    conditions: list[Condition],
    limit: int,
    offset: int,
    rejected_of: str = "",
    documents_of: frozenset[str] | None = None,
    after: Place = (),
) -> list[Row]:
    """Instances, by series and number, settled or not."""
    content = shown_of(connection, documents_of)
    select = _instances_of("instance", rejected_of, content)
    shown = _Limits(content, rejected_of, content.instance)
    if not settled_rows.is_any(connection):
        return _find(
            connection, select, predicate, conditions, IMAGE_ORDER, limit, offset, after=after, shown=shown
        )
    last = offset + limit
    rows = _find(connection, select, predicate, conditions, IMAGE_ORDER, last, 0, after=after, shown=shown)
    series = _settled_series(
        connection, predicate, conditions, _Limits(content, rejected_of, content.series())
    )
    if series:
        wanted = set(_COLUMN_OF_INSTANCE.findall(f"{INSTANCE_COLUMNS} {conditions}"))
        table, rows_there = settled_rows.as_table(connection, series, wanted, _uids_wanted(conditions))
        select = _instances_of(table, rejected_of, content)
        rows += _find(
            connection,
            select,
            predicate,
            conditions,
            IMAGE_ORDER,
            last,
            0,
            first=(rows_there,),
            after=after,
            shown=shown,
        )
        rows.sort(key=_place_of_instance)
    return rows[offset:last]


def _instances_of(table: str, rejected_of: str, shown: Shown) -> str:
    tables = f"{table} JOIN series USING(series_key) JOIN {_STUDY}"
    return _select(INSTANCE_COLUMNS, tables, rejected_of, shown)


def _uids_wanted(conditions: list[Condition]) -> set[str] | None:
    """The SOP Instance UIDs that can match, None = any."""
    lists = [
        set(each.values) for each in conditions if each.column == "instance.sop_uid" and each.kind == "one-of"
    ]
    return set.intersection(*lists) if lists else None


def _settled_series(
    connection: IndexConnection, predicate: Predicate, conditions: list[Condition], shown: "_Limits"
) -> list[tuple[int, int]]:
    """(series key, settled instances) of the settled series that may hold matches."""
    outer = [each for each in conditions if not each.column.startswith("instance.")]
    for condition in conditions:
        if condition.column == "instance.sop_uid" and condition.kind == "one-of":
            keys = {key for uid in condition.values for key in settled_uids.candidates(connection, uid)}
            outer.append(Condition("series.series_key", "one-of", tuple(sorted(keys))))
    rows = _find(
        connection,
        "SELECT series.series_key, series_object.instances FROM series_object JOIN series USING(series_key)"
        " JOIN study USING(study_key) JOIN patient USING(patient_key)",
        predicate,
        outer,
        (_Step("series.series_key", "series_key"),),
        limits.MAX_SETTLED_SEARCH + 1,
        0,
        shown=shown,
    )
    return [(row[0], row[1]) for row in rows]


def _place_of_instance(row: Row) -> tuple[Any, ...]:
    """The order of `find_instances`, absent numbers first as SQLite has them."""
    number, instance_number = row["number"], row["instance_number"]
    return (
        row["study_key"],
        (number is not None, number or 0),
        row["series_key"],
        (instance_number is not None, instance_number or 0),
        row["sop_uid"],
    )


def find_patients(
    connection: IndexConnection,
    predicate: Predicate,
    conditions: list[Condition],
    limit: int,
    offset: int,
    rejected_of: str = "",
    documents_of: frozenset[str] | None = None,
    after: Place = (),
) -> list[Row]:
    """Persons who have at least one visible study, with counts of what is visible; merged ones are one person, so that
    no page ends between two of his numbers."""
    shown = shown_of(connection, documents_of)
    return _find(
        connection,
        "SELECT survivor.patient_key, survivor.folded_name, survivor.name AS patient_name, survivor.birth_date,"
        " survivor.sex, survivor.protected, MAX(patient.merged_into) AS merged_into, COUNT(*) AS study_count,"
        f" SUM({shown.series_of_study}) AS series_total,"
        f" SUM({shown.instances_of_study}) AS instance_total"
        f" FROM study JOIN patient USING(patient_key) JOIN patient AS survivor ON survivor.patient_key = {SHOWN_AS}",
        predicate,
        conditions,
        PATIENT_ORDER,
        limit,
        offset,
        after=after,
        group="survivor.patient_key",
        shown=_Limits(shown, rejected_of),
    )


_STUDY: Final = "study USING(study_key) JOIN patient USING(patient_key)"


def _select(columns: str, tables: str, rejected_of: str, shown: Shown) -> str:
    return f"SELECT {columns.format_map(_ALL if rejected_of else shown.columns)} FROM {tables}"


@dataclass(frozen=True, slots=True)
class _Limits:
    """Keeps out what is not shown; a steward searches in the studies of the own provider, with all in them."""

    content: Shown
    rejected_of: str
    also: str = ""
    """What is asked for beside the study."""

    def condition(self) -> tuple[str, list[Any]]:
        if self.rejected_of:
            return "study.provider = ?", [self.rejected_of]
        return self.content.study + (f" AND {self.also}" if self.also else ""), []


def _find(
    connection: IndexConnection,
    select: str,
    predicate: Predicate,
    conditions: list[Condition],
    order: "tuple[_Step, ...]",
    limit: int,
    offset: int,
    group: str = "",
    first: tuple[Any, ...] = (),
    *,
    after: Place = (),
    shown: _Limits,
) -> list[Row]:
    sql, parameters = compile_predicate(predicate, "study")
    is_shown, values = shown.condition()
    where = [sql, is_shown]
    parameters = [*first, *parameters, *values]
    for condition in conditions:
        sql, values = _condition(condition, shown.content)
        where.append(sql)
        parameters.extend(values)
    if after:
        sql, values = _behind(order, after)
        where.append(sql)
        parameters.extend(values)
    steps = ", ".join(f"{step.column} DESC" if step.descends else step.column for step in order)
    grouping = f" GROUP BY {group}" if group else ""
    return connection.execute(
        f"{select} WHERE {' AND '.join(where)}{grouping} ORDER BY {steps} LIMIT ? OFFSET ?",
        [*parameters, limit, offset],
    ).fetchall()


def place_of(row: Row, order: tuple[_Step, ...]) -> Place:
    """Where the row stands, for `after` of the same search."""
    return tuple(row[step.name] for step in order)


def _behind(order: tuple[_Step, ...], after: Place) -> tuple[str, list[Any]]:
    """What comes behind a place: the rows that are behind it by their first column, or by a later one where those
    before are the same. The first column's bound is told once more for the index's sake."""
    ways: list[str] = []
    parameters: list[Any] = []
    if after[0] is not None:
        ways.append(f"{order[0].column} {'<=' if order[0].descends else '>='} ?")
        parameters.append(after[0])
    same, same_values = "", list[Any]()
    alternatives: list[str] = []
    for step, value in zip(order, after, strict=True):
        is_null = value is None
        behind = (
            f"{step.column} IS NOT NULL" if is_null else f"{step.column} {'<' if step.descends else '>'} ?"
        )
        alternatives.append(same + behind)
        parameters += same_values if is_null else [*same_values, value]
        same += f"{step.column} IS NULL AND " if is_null else f"{step.column} = ? AND "
        same_values += [] if is_null else [value]
    ways.append(f"({' OR '.join(alternatives)})")
    return " AND ".join(ways), parameters


def _condition(condition: Condition, content: Shown) -> tuple[str, list[Any]]:
    """As `_plain`. A study that was sent for a number which has been merged is answered with the survivor's name,
    birth date and sex, so it is found by those too."""
    sql, values = _plain(condition, content)
    if not condition.column.startswith(_OF_PATIENT) or condition.kind in ("name", "empty"):
        return sql, values
    of_survivor = sql.replace(_OF_PATIENT, "shown_as.")
    shown = f"SELECT 1 FROM patient AS shown_as WHERE shown_as.patient_key = patient.merged_into AND {of_survivor}"
    return f"({sql} OR EXISTS ({shown}))", [*values, *values]


def _plain(condition: Condition, content: Shown) -> tuple[str, list[Any]]:
    column, values = condition.column, condition.values
    match condition.kind:
        case "one-of":
            return _one_of(column, values)
        case "none-of":
            return f"{column} NOT IN ({','.join('?' * len(values))})", list(values)
        case "range":
            first, last = values
            return _range(column, first, last)
        case "time-range":
            first, last = values
            sql, parameters = _range(_whole_time(column), first, last)
            return f"({column} <> '' AND {sql})", parameters
        case "moment":
            time_column, first, last, days = values
            sql, parameters = _range(f"{column} || {_whole_time(time_column)}", first, last)
            if days is None:
                return sql, parameters
            without, of_day = _range(column, *days)
            return f"(CASE WHEN {time_column} = '' THEN {without} ELSE {sql} END)", [*of_day, *parameters]
        case "any-like":
            return _any_like(column, values)
        case "name":
            return _name(column, values)
        case "word":
            # Every word of every component and group begins behind a caret.
            words = f"('^' || REPLACE(REPLACE({column}, ' ', '^'), '=', '^'))"
            return f"{words} LIKE ? ESCAPE '\\'", list(values)
        case "modality":
            return _modality(content, *values)
        case "issuer":
            sql = "SELECT patient_key FROM patient_identifier WHERE issuer = ?"
            return f"study.patient_key IN ({sql})", list(values)
        case "request":
            return _request(values)
        case "empty":
            # Numbers too, which PostgreSQL compares with no text.
            return f"({column} IS NULL OR CAST({column} AS TEXT) = '')", []
        case "never":
            return "FALSE", []


def _one_of(column: str, values: tuple[Any, ...]) -> tuple[str, list[Any]]:
    if not values:
        return "FALSE", []
    if len(values) == 1:
        return _indexed(column, f"{column} = ?"), list(values)
    return _indexed(column, f"{column} IN ({','.join('?' * len(values))})"), list(values)


def _range(column: str, first: str, last: str) -> tuple[str, list[Any]]:
    """Text order is time order for DA and TM; an empty column never lies in a range."""
    if first and last:
        return f"{column} BETWEEN ? AND ?", [first, last]
    if first:
        return f"{column} >= ?", [first]
    if last:
        return f"({column} <= ? AND {column} <> '')", [last]
    return f"{column} <> ''", []


def _whole_time(column: str) -> str:
    """A TM column to the second: what it leaves out is zero."""
    return f"(CASE WHEN length({column}) < 6 THEN substr({column} || '000000', 1, 6) ELSE {column} END)"


def _any_like(column: str, values: tuple[Any, ...]) -> tuple[str, list[Any]]:
    """Values: (text, whether it is a LIKE pattern)."""
    parts = [f"{column} LIKE ? ESCAPE '\\'" if pattern else f"{column} = ?" for _, pattern in values]
    return _indexed(column, f"({' OR '.join(parts)})"), [text for text, _ in values]


def _indexed(column: str, condition: str) -> str:
    """The condition, told so that an index that leaves empty values out can be used for it.

    Wanted values are never empty; the planner can not know that of what is bound later.
    """
    return f"({condition} AND {column} <> '')" if column in _EMPTY_LEFT_OUT else condition


def _name(column: str, values: tuple[Any, ...]) -> tuple[str, list[Any]]:
    """Values as in `_any_like`; the whole name or one of its groups has to match.

    The patients' names have an index, and one more for the few that have several groups.
    """
    whole, parameters = _any_like(column, values)
    grouped = f"'=' || {column} || '='"
    groups, more = _any_like(grouped, tuple((f"%={_escaped(*value)}=%", True) for value in values))
    several = f"instr({column}, '=') > 0"
    if column != PATIENT_NAME:
        return f"({whole} OR ({several} AND {groups}))", [*parameters, *more]
    named = (
        f"SELECT patient_key FROM patient WHERE {whole}"
        f" UNION SELECT patient_key FROM patient WHERE {several} AND {groups}"
    )
    sql = (
        f"study.patient_key IN (WITH named AS ({named}) SELECT patient_key FROM named"
        " UNION SELECT patient_key FROM patient WHERE merged_into IN (SELECT patient_key FROM named))"
    )
    return sql, [*parameters, *more]


def _request(values: tuple[Any, ...]) -> tuple[str, list[Any]]:
    """Values: (column of series_request, patterns as in `_any_like`); one request has to match all of them."""
    parts = [_any_like(f"series_request.{column}", patterns) for column, patterns in values]
    sql = " AND ".join(part for part, _ in parts)
    parameters = [value for _, found in parts for value in found]
    return f"series.series_key IN (SELECT series_key FROM series_request WHERE {sql})", parameters


def _escaped(text: str, is_pattern: bool) -> str:
    if is_pattern:
        return text
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _modality(content: Shown, patterns: tuple[Any, ...], first: str, last: str) -> tuple[str, list[Any]]:
    """Modalities as in `_any_like`, first and last study date ("" = open): one index answers all."""
    if any(is_pattern for _, is_pattern in patterns):
        sql, parameters = _any_like("modality", patterns)
    else:
        sql, parameters = _one_of("modality", tuple(text for text, _ in patterns))
    is_one, modalities = sql, list(parameters)
    sql = f"SELECT study_key FROM study_modality WHERE {sql}"
    if first:
        sql, parameters = sql + " AND study_date >= ?", [*parameters, first]
    if last:
        sql, parameters = sql + " AND study_date <= ?", [*parameters, last]
    return f"(study.study_key IN ({sql}) AND {content.with_modality(is_one)})", [*parameters, *modalities]


def identifiers_of(
    connection: IndexConnection, patient_keys: list[int], untold: frozenset[str]
) -> dict[int, tuple[str, str]]:
    """One (issuer, value) per person, for answers; of an untold issuer only where there is no other."""
    found: dict[int, tuple[str, str]] = {}
    for first in range(0, len(patient_keys), 500):
        part = patient_keys[first : first + 500]
        rows = connection.execute(
            "SELECT patient_key, issuer, value FROM patient_identifier WHERE patient_key IN"
            f" ({','.join('?' * len(part))})",
            part,
        )
        for row in rows:
            known = found.get(row[0])
            if known is None or (known[0] in untold and row[1] not in untold):
                found[row[0]] = (row[1], row[2])
    return found


def keys_like(
    connection: IndexConnection, pattern: str, issuer: str, untold: frozenset[str], limit: int
) -> list[int]:
    """Persons with an identifier of the issuer ("" = any but the untold) that matches a LIKE pattern."""
    rows = connection.execute(
        "SELECT DISTINCT patient_key FROM patient_identifier WHERE value LIKE ? ESCAPE '\\'"
        f" AND ? IN ('', issuer) AND issuer NOT IN ({','.join('?' * len(untold))}) LIMIT ?",
        (pattern, issuer, *untold, limit),
    )
    return [int(row[0]) for row in rows]
