"""Row operations: what a journal record does to the index, as data that can be replayed.

An operation is a short list: ["i", table, {column: value}] insert, ["r", ...] insert or replace,
["u", table, {where}, {values}] update, ["+", table, {where}, {column: delta}] add, ["d", table, {where}]
delete. In values the text "@segment", "@offset" and "@length" stand for the place of the record's body.
"""

import sqlite3
from functools import lru_cache
from typing import Any, TypeAlias

Operation: TypeAlias = list[Any]

BODY_SEGMENT = "@segment"
BODY_OFFSET = "@offset"
BODY_LENGTH = "@length"


def apply(
    connection: sqlite3.Connection, operation: Operation, segment: int, offset: int, length: int
) -> None:
    """Changes the index by one operation of a record whose body lies at the place given."""
    verb, table = operation[0], operation[1]
    if verb in ("i", "r"):
        values = operation[2]
        sql = _insert(verb, table, tuple(values))
        connection.execute(sql, [_placed(value, segment, offset, length) for value in values.values()])
    elif verb == "u":
        where, values = operation[2], operation[3]
        connection.execute(
            _update("=", table, tuple(where), tuple(values)), [*values.values(), *where.values()]
        )
    elif verb == "+":
        where, values = operation[2], operation[3]
        connection.execute(
            _update("+", table, tuple(where), tuple(values)), [*values.values(), *where.values()]
        )
    elif verb == "d":
        connection.execute(_delete(table, tuple(operation[2])), list(operation[2].values()))
    else:
        raise ValueError(f"unknown row operation {verb!r}")


def _placed(value: Any, segment: int, offset: int, length: int) -> Any:
    if isinstance(value, str) and value.startswith("@"):
        if value == BODY_SEGMENT:
            return segment
        if value == BODY_OFFSET:
            return offset
        if value == BODY_LENGTH:
            return length
    return value


@lru_cache(maxsize=512)
def _insert(verb: str, table: str, columns: tuple[str, ...]) -> str:
    start = "INSERT" if verb == "i" else "INSERT OR REPLACE"
    marks = ", ".join("?" * len(columns))
    return f"{start} INTO {table}({', '.join(columns)}) VALUES({marks})"


@lru_cache(maxsize=512)
def _update(verb: str, table: str, where: tuple[str, ...], columns: tuple[str, ...]) -> str:
    if verb == "+":
        changes = ", ".join(f"{column} = {column} + ?" for column in columns)
    else:
        changes = ", ".join(f"{column} = ?" for column in columns)
    return f"UPDATE {table} SET {changes} WHERE {_conditions(where)}"


@lru_cache(maxsize=128)
def _delete(table: str, where: tuple[str, ...]) -> str:
    return f"DELETE FROM {table} WHERE {_conditions(where)}"


def _conditions(where: tuple[str, ...]) -> str:
    return " AND ".join(f"{column} = ?" for column in where)
