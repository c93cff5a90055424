"""From the SQL of the rooms, which SQLite reads as it is, to that of PostgreSQL with the same meaning.

What both understand is passed on. What is told apart here: places of parameters, INSERT OR REPLACE and OR IGNORE, where
NULL stands in an order (first in SQLite), functions with other names, empty lists, and casts. A statement is translated
once and kept. Nothing else of SQLite's own is understood: the statement is refused by PostgreSQL, and a test finds it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from samsyn.store.index import tables

_TOKEN: Final = re.compile(
    r"\s+|'(?:[^']|'')*'|\"[^\"]*\"|\?\d*|[A-Za-z_]\w*|\d+(?:\.\d+)?|<>|<=|>=|\|\||==|!=|.", re.DOTALL
)
_NAMES: Final = {"instr": "strpos", "ifnull": "COALESCE", "group_concat": "string_agg"}
_OF_SEVERAL: Final = {"max": "GREATEST", "min": "LEAST"}
_ENDS_ORDER: Final = frozenset({"limit", "offset", "union", "except", "intersect", "rows", "range"})
_BEFORE_SIGN: Final = frozenset(
    {"and", "or", "not", "where", "on", "by", "when", "then", "else", "select", "case", "having", "between"}
)
_BEFORE_TABLE: Final = frozenset({"from", "join", "update", "into", ","})
_AFTER_IS: Final = frozenset({"null", "true", "false", "distinct", "unknown"})
_JSON_NAME: Final = re.compile(r"json_extract\((\w+), '\$\.(\w+)'\)")
_JSON_PLACE: Final = re.compile(r"json_extract\((\w+), '\$\[(\d+)\]'\)")


@dataclass(frozen=True, slots=True)
class Translated:
    """A statement for PostgreSQL. `first`: a deletion that has to go before, with the places of its parameters."""

    sql: str
    adds_one_row: bool = False
    """A plain INSERT of one row, told so that a clash adds nothing instead of ending the transaction."""
    first: tuple[str, tuple[int, ...]] | None = None


@lru_cache(maxsize=4_096)
def translated(sql: str) -> Translated:
    """The statement for PostgreSQL."""
    pieces = _TOKEN.findall(sql)
    words = [piece.lower() for piece in pieces if not piece.isspace()]
    if words[:2] == ["begin", "immediate"]:
        return Translated("BEGIN")
    if words[:1] == ["insert"]:
        return _insert(pieces)
    return Translated(expression(sql))


def expression(sql: str) -> str:
    """A piece of SQL without INSERT OR REPLACE or OR IGNORE in it."""
    pieces = _TOKEN.findall(sql)
    pieces = _numbered(pieces)
    pieces = _without_signs(pieces)
    pieces = _with_comparisons(pieces)
    pieces = _with_names(pieces)
    pieces = _with_casts(pieces)
    pieces = _with_json(pieces)
    pieces = _with_empty_lists(pieces)
    return "".join(_ordered(pieces, _named(pieces)))


def _numbered(pieces: Sequence[str]) -> list[str]:
    """Every `?` by its number."""
    found, count = [], 0
    for piece in pieces:
        if piece == "?":
            count += 1
            found.append(f"${count}")
        elif piece.startswith("?"):
            found.append(f"${piece[1:]}")
        else:
            found.append(piece)
    return found


def _solid(pieces: Sequence[str], place: int, step: int) -> int:
    """The next place that is no white space, -1 or the length when there is none."""
    place += step
    while 0 <= place < len(pieces) and pieces[place].isspace():
        place += step
    return place


def _closing(pieces: Sequence[str], place: int) -> int:
    """Where the bracket that opens at the place is closed."""
    depth = 0
    for end in range(place, len(pieces)):
        depth += {"(": 1, ")": -1}.get(pieces[end], 0)
        if depth == 0:
            return end
    raise ValueError("a bracket is not closed")


def _parts(pieces: Sequence[str]) -> list[list[str]]:
    """Parted at the commas that stand in no brackets."""
    parts: list[list[str]] = [[]]
    depth = 0
    for piece in pieces:
        depth += {"(": 1, ")": -1}.get(piece, 0)
        if piece == "," and depth == 0:
            parts.append([])
        else:
            parts[-1].append(piece)
    return parts


def _without_signs(pieces: list[str]) -> list[str]:
    """A plus before a column keeps SQLite from an index; PostgreSQL has none for text."""
    found = []
    for place, piece in enumerate(pieces):
        if piece == "+":
            before = _solid(pieces, place, -1)
            is_sign = before < 0 or pieces[before] in "(,=<>" or pieces[before].lower() in _BEFORE_SIGN
            if is_sign:
                continue
        found.append(piece)
    return found


def _with_comparisons(pieces: list[str]) -> list[str]:
    """SQLite's IS and IS NOT compare any two values, NULL like another."""
    found = list(pieces)
    for place, piece in enumerate(pieces):
        if piece.lower() != "is":
            continue
        after = _solid(pieces, place, 1)
        is_not = pieces[after].lower() == "not"
        value = pieces[_solid(pieces, after, 1) if is_not else after].lower()
        if value not in _AFTER_IS:
            found[place] = "IS" if is_not else "IS NOT DISTINCT FROM"
            if is_not:
                found[after] = "DISTINCT FROM"
    return found


def _with_names(pieces: list[str]) -> list[str]:
    found = list(pieces)
    for place, piece in enumerate(pieces):
        after = _solid(pieces, place, 1)
        if after >= len(pieces) or pieces[after] != "(":
            continue
        name = piece.lower()
        if name in _NAMES:
            found[place] = _NAMES[name]
        elif name in _OF_SEVERAL and len(_parts(pieces[after + 1 : _closing(pieces, after)])) > 1:
            found[place] = _OF_SEVERAL[name]
    return found


def _with_casts(pieces: list[str]) -> list[str]:
    found = list(pieces)
    for place, piece in enumerate(pieces):
        if piece.lower() == "as":
            after = _solid(pieces, place, 1)
            if after < len(pieces) and pieces[after].lower() == "integer":
                found[after] = "BIGINT"
    return found


def _with_json(pieces: list[str]) -> list[str]:
    """json_each over an array bound as text, and json_extract of a place in it."""
    text = "".join(pieces)
    if "json_" not in text:
        return pieces
    text = re.sub(r"json_each\((\$\d+)\)", r"jsonb_array_elements(\1::text::jsonb) AS json_each(value)", text)
    text = _JSON_PLACE.sub(r"(\1 ->> \2)", text)
    text = _JSON_NAME.sub(r"(\1::jsonb ->> '\2')", text)
    return _TOKEN_OF_OURS.findall(text)


_TOKEN_OF_OURS: Final = re.compile(r"\$\d+|->>|::|" + _TOKEN.pattern, re.DOTALL)


def _with_empty_lists(pieces: list[str]) -> list[str]:
    """`IN ()`, which no row is in."""
    found: list[str] = []
    place = 0
    while place < len(pieces):
        if pieces[place].lower() == "in":
            opening = _solid(pieces, place, 1)
            closing = _solid(pieces, opening, 1)
            if opening < len(pieces) and pieces[opening] == "(" and pieces[closing : closing + 1] == [")"]:
                before = _solid(found, len(found), -1)
                if before >= 0 and found[before].lower() == "not":
                    del found[before:]
                    found.append("<> ALL('{}')")
                else:
                    found.append("= ANY('{}')")
                place = closing + 1
                continue
        found.append(pieces[place])
        place += 1
    return found


def _ordered(pieces: list[str], named: dict[str, tables.Table]) -> Iterator[str]:
    """Every ORDER BY with NULL where SQLite has it."""
    place = 0
    while place < len(pieces):
        yield pieces[place]
        after = _solid(pieces, place, 1)
        if pieces[place].lower() == "order" and after < len(pieces) and pieces[after].lower() == "by":
            end = _end_of_order(pieces, after + 1)
            yield from pieces[place + 1 : after + 1]
            terms = _parts(pieces[after + 1 : end])
            yield ",".join(_term("".join(_ordered(term, named)), named) for term in terms)
            place = end
        else:
            place += 1


def _end_of_order(pieces: Sequence[str], start: int) -> int:
    depth = 0
    for place in range(start, len(pieces)):
        depth += {"(": 1, ")": -1}.get(pieces[place], 0)
        if depth < 0 or (depth == 0 and pieces[place].lower() in _ENDS_ORDER):
            return place
    return len(pieces)


def _term(term: str, named: dict[str, tables.Table]) -> str:
    told = term.rstrip()
    rest = term[len(told) :]
    column, _, direction = told.strip().rpartition(" ")
    if direction.upper() not in ("ASC", "DESC"):
        column, direction = told.strip(), "ASC"
    if _is_never_null(column, named):
        return term
    return f"{told} NULLS {'LAST' if direction.upper() == 'DESC' else 'FIRST'}{rest}"


def _named(pieces: Sequence[str]) -> dict[str, tables.Table]:
    """The tables that a statement reads, by the names that it gives them; none when one is joined loosely, since its
    columns may be NULL whatever the schema says."""
    known, found = tables.whole().tables, {}
    for place, piece in enumerate(pieces):
        if piece.lower() == "left":
            return {}
        before = _solid(pieces, place, -1)
        if piece not in known or before < 0 or pieces[before].lower() not in _BEFORE_TABLE:
            continue
        after = _solid(pieces, place, 1)
        if after < len(pieces) and pieces[after].lower() == "as":
            found[pieces[_solid(pieces, after, 1)]] = known[piece]
        else:
            found[piece] = known[piece]
    return found


def _is_never_null(column: str, named: dict[str, tables.Table]) -> bool:
    table, _, name = column.rpartition(".")
    of = [named[table]] if table in named else [] if table else list(named.values())
    having = [each for each in of if any(one.name == name for one in each.columns)]
    return bool(having) and all(
        name in each.key or any(one.name == name and one.required for one in each.columns) for each in having
    )


def _insert(pieces: list[str]) -> Translated:
    """INSERT, INSERT OR REPLACE and INSERT OR IGNORE."""
    solid = [place for place, piece in enumerate(pieces) if not piece.isspace()]
    way = ""
    if pieces[solid[1]].lower() == "or":
        way = pieces[solid[2]].lower()
        del pieces[solid[1] : solid[3]]
        solid = [place for place, piece in enumerate(pieces) if not piece.isspace()]
    table = tables.whole().tables[pieces[solid[2]]]
    words = {piece.lower() for piece in pieces}
    plain = expression("".join(pieces)).rstrip().rstrip(";")
    if way == "ignore":
        return Translated(f"{plain} ON CONFLICT DO NOTHING")
    if way == "replace":
        return _replacing(plain, table, pieces, solid)
    if "conflict" in words or "select" in words:
        return Translated(plain)
    return Translated(f"{plain} ON CONFLICT DO NOTHING", adds_one_row=True)


def _replacing(plain: str, table: tables.Table, pieces: list[str], solid: list[int]) -> Translated:
    """What the new row does not tell gets its default, as a row has that was deleted and added."""
    columns = [column.name for column in table.columns if not column.generated]
    changes = ", ".join(f"{name} = EXCLUDED.{name}" for name in columns if name not in table.key)
    does = f"UPDATE SET {changes}" if changes else "NOTHING"
    sql = f"{plain} ON CONFLICT ({', '.join(table.key)}) DO {does}"
    if not table.unique:
        return Translated(sql)
    if pieces[solid[3]] == "(":
        columns = "".join(pieces[solid[3] + 1 : _closing(pieces, solid[3])]).replace(" ", "").split(",")
    conditions, places = [], []
    for unique in table.unique:
        parts = []
        for name in unique:
            places.append(columns.index(name))
            parts.append(f"{name} = ${len(places)}")
        conditions.append(f"({' AND '.join(parts)})")
    others = []
    for name in table.key:
        places.append(columns.index(name))
        others.append(f"{name} = ${len(places)}")
    deletion = f"DELETE FROM {table.name} WHERE ({' OR '.join(conditions)}) AND NOT ({' AND '.join(others)})"
    return Translated(sql, first=(deletion, tuple(places)))
