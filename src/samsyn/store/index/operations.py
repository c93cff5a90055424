"""Row operations: what a journal record does to the index, as data that can be replayed.

An operation is a short list: ["i", table, {column: value}] insert, ["b", ...] insert with the place of the
record's body in the columns segment, body_offset and length, ["r", ...] insert or replace, ["u", table, {where},
{values}] update, ["+", table, {where}, {column: delta}] add, ["d", table, {where}] delete, ["s", series key,
object key, instances, time, [SOP Instance UIDs]] settled: the object has so many instances now, these are new.
"""

from functools import lru_cache
from typing import Any, Final, TypeAlias

from samsyn.dicom.names import folded
from samsyn.store.index import settled_uids
from samsyn.store.index.port import IndexConnection

Operation: TypeAlias = list[Any]

ADDING: Final = ("i", "b")
"""Operations that add one row: every kind of index undoes these by itself when they fail."""
SETTLED: Final = "s"
_PLACE = ("segment", "body_offset", "length")


def added_row(
    operation: Operation, place: tuple[int, int, int]
) -> tuple[str, tuple[str, ...], list[Any]] | None:
    """(table, columns, values) of the row that an operation of ADDING adds, None for any other."""
    verb, table = operation[0], operation[1]
    if verb not in ADDING:
        return None
    values = _with_folded(operation)[2]
    if verb == "b":
        return table, (*values, *_PLACE), [*values.values(), *place]
    return table, tuple(values), list(values.values())


def _with_folded(operation: Operation) -> Operation:
    """The operation with what follows from its values: referrers are searched by their folded names."""
    if operation[1] == "study" and "referring" in (values := operation[-1]):
        return [*operation[:-1], {**values, "folded_referring": folded(values["referring"] or "")}]
    return operation


def apply(connection: IndexConnection, operation: Operation, segment: int, offset: int, length: int) -> None:
    """Changes the index by one operation of a record whose body lies at the place given."""
    if operation[0] in ADDING:
        connection.execute(*statement(operation, (segment, offset, length)))
        return
    operation = _with_folded(operation)
    verb, table = operation[0], operation[1]
    if verb == SETTLED:
        _settle(connection, *operation[1:])
    elif verb == "r":
        values = operation[2]
        connection.execute(_insert(verb, table, tuple(values)), list(values.values()))
    elif verb == "u":
        where, values = operation[2], operation[3]
        connection.execute(
            _update("=", table, tuple(where), tuple(values)), [*values.values(), *where.values()]
        )
    elif verb == "+":
        where, values = operation[2], operation[3]
        if values == {"instance_count": 1}:
            return  # told by journals of before; the index counts instances by itself
        connection.execute(
            _update("+", table, tuple(where), tuple(values)), [*values.values(), *where.values()]
        )
    elif verb == "d":
        connection.execute(_delete(table, tuple(operation[2])), list(operation[2].values()))
    else:
        raise ValueError(f"unknown row operation {verb!r}")


def statement(operation: Operation, place: tuple[int, int, int]) -> tuple[str, list[Any]]:
    """The one statement that an operation of ADDING or an update is, with its parameters."""
    added = added_row(operation, place)
    if added is not None:
        table, columns, row = added
        return _insert("i", table, columns), row
    where, values = operation[2], operation[3]
    return _update("=", operation[1], tuple(where), tuple(values)), [*values.values(), *where.values()]


def adding(verb: str, table: str, columns: tuple[str, ...]) -> str:
    """The statement of an operation of ADDING on a table whose rows hold just what they are told; the values are
    those of the columns, and with "b" the place."""
    return _insert("i", table, (*columns, *_PLACE) if verb == "b" else columns)


def _settle(
    connection: IndexConnection,
    series_key: int,
    object_key: int,
    instances: int,
    time: str,
    uids: list[str],
) -> None:
    """Rows of what is settled leave the index, and marks of damage with them: the object was read back whole."""
    has_damage = connection.execute("SELECT 1 FROM damage LIMIT 1").fetchone() is not None
    for uid in uids:
        if has_damage:
            connection.execute(
                "DELETE FROM damage WHERE (segment, body_offset) IN"
                " (SELECT segment, body_offset FROM instance WHERE sop_uid = ?)",
                (uid,),
            )
        connection.execute("DELETE FROM instance WHERE sop_uid = ? AND series_key = ?", (uid, series_key))
    connection.execute(
        "INSERT OR REPLACE INTO series_object VALUES(?, ?, ?, ?)", (series_key, object_key, instances, time)
    )
    connection.execute(
        "UPDATE settled_size SET last_object = ? WHERE last_object < ?", (object_key, object_key)
    )
    settled_uids.add(connection, series_key, uids)


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
