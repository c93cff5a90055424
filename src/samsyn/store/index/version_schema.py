"""A row that counts changes of what is asked for on every page and therefore kept in memory: the registers that a View
rests on, and where bytes lie. Every process, on whatever node, compares its number before it believes what it kept."""

from typing import Final

_REGISTERS: Final = (
    "care_relation",
    "consent",
    "block",
    "lift",
    "lift_request",
    "national_block",
    "national_lift",
    "national_grant",
    "guardianship",
)
_PLACES: Final = (
    ("UPDATE OF segment, body_offset, series_key", "instance"),
    ("UPDATE OF study_key", "series"),
    ("INSERT", "series_object"),
    ("UPDATE", "series_object"),
    ("DELETE", "series_object"),
    ("INSERT", "damage"),
    ("DELETE", "damage"),
)
_EACH: Final = (
    *(("registers", when, table) for table in _REGISTERS for when in ("INSERT", "UPDATE", "DELETE")),
    *(("places", when, table) for when, table in _PLACES),
)


def _trigger(column: str, when: str, table: str) -> str:
    name = f"version_of_{table}_{when.partition(' ')[0].lower()}"
    step = f"UPDATE kept_version SET {column} = {column} + 1"
    return f"CREATE TRIGGER {name} AFTER {when} ON {table} BEGIN {step}; END;\n"


VERSION_SCHEMA: Final = (
    "CREATE TABLE kept_version(one INTEGER PRIMARY KEY CHECK(one = 1), registers INTEGER NOT NULL,"
    " places INTEGER NOT NULL);\n"
    "INSERT INTO kept_version VALUES(1, 0, 0);\n" + "".join(_trigger(*each) for each in _EACH)
)
