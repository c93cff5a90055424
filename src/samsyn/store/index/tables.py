"""What the schema says about its tables, asked of SQLite once: columns, keys and what must be unique."""

import re
import sqlite3
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from samsyn.store.index.schema import SCHEMA

_GENERATED: Final = re.compile(r"(\w+) INTEGER GENERATED ALWAYS AS \((.*?)\) VIRTUAL", re.DOTALL)
_NUMBERS_ITSELF: Final = "AUTOINCREMENT"
_ONE_ROW: Final = "CHECK(one = 1)"


@dataclass(frozen=True, slots=True)
class Column:
    """One column; `kind` is INTEGER, TEXT or BLOB, `default` an SQL literal, `generated` an expression or ""."""

    name: str
    kind: str
    required: bool
    default: str | None
    generated: str


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the index."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    """Columns of the primary key, in order."""
    unique: tuple[tuple[str, ...], ...]
    """What must be unique beside the key, over all rows."""
    numbers_itself: bool
    """Whether its integer key is given by the index, in order."""
    has_one_row: bool


@dataclass(frozen=True, slots=True)
class Whole:
    """All tables by name, the rows they begin with, and the SQL of indexes and triggers in the order they were made."""

    tables: MappingProxyType[str, Table]
    rows: tuple[tuple[str, tuple[Any, ...]], ...]
    """(table, values) of each row that is there from the start."""
    indexes: tuple[str, ...]
    triggers: tuple[str, ...]


@lru_cache(maxsize=1)
def whole() -> Whole:
    """The schema as facts."""
    connection = sqlite3.connect(":memory:")
    try:
        connection.executescript(SCHEMA)
        made = connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY rowid").fetchall()
        tables = {
            name: _table(connection, name, sql)
            for kind, name, sql in made
            if kind == "table" and not name.startswith("sqlite_")
        }
        rows = [
            (name, row) for name in tables for row in connection.execute(f"SELECT * FROM {name}").fetchall()
        ]
    finally:
        connection.close()
    return Whole(
        MappingProxyType(tables),
        tuple(rows),
        tuple(sql for kind, _, sql in made if kind == "index" and sql),
        tuple(sql for kind, _, sql in made if kind == "trigger"),
    )


@lru_cache(maxsize=128)
def columns_of(table: str) -> MappingProxyType[str, str]:
    """Kind of each column that can be written, by name, in order; empty for a table that there is not."""
    found = whole().tables.get(table)
    columns = found.columns if found is not None else ()
    return MappingProxyType({column.name: column.kind for column in columns if not column.generated})


def _table(connection: sqlite3.Connection, name: str, sql: str) -> Table:
    generated = dict(_GENERATED.findall(sql))
    keys: dict[int, str] = {}
    columns = []
    for _, column, kind, required, default, place, _hidden in connection.execute(
        f"PRAGMA table_xinfo({name})"
    ):
        columns.append(Column(column, kind, bool(required), default, generated.get(column, "")))
        if place:
            keys[place] = column
    unique = [
        tuple(row[2] for row in connection.execute(f"PRAGMA index_info({index})"))
        for _, index, is_unique, origin, is_partial in connection.execute(f"PRAGMA index_list({name})")
        if is_unique and origin == "u" and not is_partial
    ]
    return Table(
        name,
        tuple(columns),
        tuple(keys[place] for place in sorted(keys)),
        tuple(unique),
        _NUMBERS_ITSELF in sql,
        _ONE_ROW in sql,
    )
