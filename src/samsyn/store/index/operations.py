"""Row operations: what a journal record does to the index, as data that can be replayed.

An operation is a short list: ["i", table, {column: value}] insert, ["b", ...] insert with the place of the
record's body in the columns segment, body_offset and length, ["r", ...] insert or replace, ["u", table, {where},
{values}] update, ["+", table, {where}, {column: delta}] add, ["d", table, {where}] delete, ["s", series key,
object key, instances, time, [SOP Instance UIDs]] settled: the object has so many instances now, these are new.
"""

from functools import lru_cache
from typing import Any, TypeAlias

from samsyn.dicom.names import folded
from samsyn.store.index import settled_uids
from samsyn.store.index.port import IndexConnection

Operation: TypeAlias = list[Any]

_PLACE = ("segment", "body_offset", "length")


def apply(connection: IndexConnection, operation: Operation, segment: int, offset: int, length: int) -> None:
    """Changes the index by one operation of a record whose body lies at the place given."""
    verb, table = operation[0], operation[1]
    if verb == "s":
        _settle(connection, *operation[1:])
        return
    if verb == "+" and operation[3] == {"instance_count": 1}:
        return  # told by journals of before; the index counts instances by itself
    if table == "study" and "referring" in (values := operation[-1]):
        operation = [*operation[:-1], {**values, "folded_referring": folded(values["referring"] or "")}]
    connection.execute(*statement(operation, segment, offset, length))


def statement(operation: Operation, segment: int, offset: int, length: int) -> tuple[str, list[Any]]:
    """The one statement that an operation is, with its parameters; not for "s", and as it stands for a study."""
    verb, table, values = operation[0], operation[1], operation[2]
    if verb == "b":
        sql = _insert("i", table, (*values, *_PLACE))
        return sql, [*values.values(), segment, offset, length]
    if verb in ("i", "r"):
        return _insert(verb, table, tuple(values)), list(values.values())
    if verb in ("u", "+"):
        where, values = values, operation[3]
        kind = "=" if verb == "u" else "+"
        return _update(kind, table, tuple(where), tuple(values)), [*values.values(), *where.values()]
    if verb == "d":
        return _delete(table, tuple(values)), list(values.values())
    raise ValueError(f"unknown row operation {verb!r}")


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
