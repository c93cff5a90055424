"""The tables of the index for PostgreSQL, made from the one schema that there is.

Text is compared by its bytes (collation "C"), as SQLite does: an index made in one and the same order serves both.
"""

import re
from collections.abc import Iterator
from typing import Final

from samsyn.store.index import tables
from samsyn.store.index.postgresql.dialect import expression, translated

_KINDS: Final = {"INTEGER": "BIGINT", "TEXT": 'TEXT COLLATE "C"', "BLOB": "BYTEA"}
_INDEX: Final = re.compile(r"CREATE (UNIQUE )?INDEX (\w+) ON (\w+)\((.*?)\)(?: WHERE (.*))?$", re.DOTALL)
_TRIGGER: Final = re.compile(
    r"CREATE TRIGGER (\w+) (AFTER (?:INSERT|DELETE|UPDATE(?: OF [\w, ]+)?)) ON (\w+)\s*(?:WHEN (.*?))?\s*"
    r"BEGIN\s(.*)END\s*$",
    re.DOTALL,
)
_PARTITIONED: Final = {"audit": "RANGE (sequence)"}
"""Tables that only grow, parted where that costs no uniqueness: see docs/adr/0018-index-in-postgresql.md."""
AUDIT_PARTITION_ENTRIES: Final = 10_000_000
"""Entries of the audit journal in one partition: some gigabytes, so that an old one can be moved as a whole."""


def statements() -> Iterator[str]:
    """Everything that makes the tables, in order."""
    whole = tables.whole()
    for table in whole.tables.values():
        if table.numbers_itself:
            yield from _numbering(table)
        yield _table(table)
        if table.name in _PARTITIONED:
            yield audit_partition(0)
    for name, row in whole.rows:
        yield f"INSERT INTO {name} VALUES({', '.join(map(str, row))})"
    for sql in whole.indexes:
        yield _index(sql)
    for sql in whole.triggers:
        yield from _trigger(sql)


def audit_partition(number: int) -> str:
    """Makes one partition of the audit journal, unless it is there."""
    first = number * AUDIT_PARTITION_ENTRIES
    return (
        f"CREATE TABLE IF NOT EXISTS audit_{number} PARTITION OF audit FOR VALUES FROM ({first})"
        f" TO ({first + AUDIT_PARTITION_ENTRIES})"
    )


def _table(table: tables.Table) -> str:
    lines = [_column(table, column) for column in table.columns]
    lines.append(f"PRIMARY KEY({', '.join(table.key)})")
    lines += [f"UNIQUE({', '.join(unique)})" for unique in table.unique]
    if table.has_one_row:
        lines.append("CHECK(one = 1)")
    parted = f" PARTITION BY {_PARTITIONED[table.name]}" if table.name in _PARTITIONED else ""
    return f"CREATE TABLE {table.name}({', '.join(lines)}){parted}"


def _column(table: tables.Table, column: tables.Column) -> str:
    parts = [column.name, _KINDS[column.kind]]
    if column.generated:
        parts.append(f"GENERATED ALWAYS AS ({expression(column.generated)}) STORED")
    if column.required:
        parts.append("NOT NULL")
    if column.default is not None:
        parts.append(f"DEFAULT {column.default}")
    elif table.numbers_itself and column.name in table.key:
        parts.append(f"DEFAULT next_{table.name}()")
    return " ".join(parts)


def _numbering(table: tables.Table) -> Iterator[str]:
    """The next number follows from the rows, so that a rebuild gives the same; nothing is ever taken out of these."""
    (key,) = table.key
    yield (
        f"CREATE FUNCTION next_{table.name}() RETURNS BIGINT LANGUAGE plpgsql AS $$ BEGIN"
        f" RETURN (SELECT COALESCE(MAX({key}), 0) + 1 FROM {table.name}); END $$"
    )


def _index(sql: str) -> str:
    match = _INDEX.match(sql)
    if match is None:
        raise ValueError(f"not understood: {sql}")
    unique, name, table, columns, where = match.groups()
    ordered = ", ".join(f"{column.strip()} NULLS FIRST" for column in columns.split(","))
    condition = f" WHERE {expression(where)}" if where else ""
    return f"CREATE {unique or ''}INDEX {name} ON {table}({ordered}){condition}"


def _trigger(sql: str) -> Iterator[str]:
    match = _TRIGGER.match(sql)
    if match is None:
        raise ValueError(f"not understood: {sql}")
    name, when, table, condition, body = match.groups()
    steps = " ".join(f"{translated(step.strip()).sql};" for step in body.split(";") if step.strip())
    if condition:
        steps = f"IF {expression(condition)} THEN {steps} END IF;"
    yield (
        f"CREATE FUNCTION {name}() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN {steps} RETURN NULL; END $$"
    )
    yield f"CREATE TRIGGER {name} {when} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()"
