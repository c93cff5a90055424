"""Rows that wait to be added together: where a statement costs a round trip, a turn of the writer has one for each
table instead of one for each row.

Nobody can tell the order in which they are added from the one in which they were told: a row joins those that wait for
the same table unless rows wait behind them that the same triggers read or change.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from samsyn.store.index import tables
from samsyn.store.index.port import Together

_WORD = re.compile(r"[A-Za-z_]\w*")
_ON = re.compile(r"CREATE TRIGGER \w+ AFTER .*? ON (\w+)\s(.*)", re.DOTALL)


@dataclass(slots=True)
class _Run:
    """Rows of one table with the same columns."""

    table: str
    columns: tuple[str, ...]
    rows: list[list[Any]] = field(default_factory=list)


class WaitingRows:
    """For one transaction."""

    def __init__(self) -> None:
        self._runs: list[_Run] = []

    def add(self, table: str, columns: tuple[str, ...], values: list[Any]) -> None:
        """Puts a row behind those that wait."""
        touched = touched_by(table)
        for run in reversed(self._runs):
            if run.table == table and run.columns == columns:
                run.rows.append(values)
                return
            if not touched.isdisjoint(touched_by(run.table)):
                break
        self._runs.append(_Run(table, columns, [values]))

    def flush(self, together: Together, what: frozenset[str] | None = None) -> None:
        """Adds those that have to do with tables that are going to be read or changed, and what has to be there before
        them; None = all. RuleBroken: one could not be added; the transaction has to be undone."""
        if not self._runs:
            return
        chosen, left = self._runs, list[_Run]()
        if what is not None:
            chosen = []
            for run in reversed(self._runs):
                touched = touched_by(run.table)
                if what.isdisjoint(touched):
                    left.append(run)
                else:
                    chosen.append(run)
                    what |= touched
            chosen.reverse()
            left.reverse()
        self._runs = left
        for run in chosen:
            together.add_rows(run.table, run.columns, run.rows)


@lru_cache(maxsize=1_024)
def tables_named_in(sql: str) -> frozenset[str]:
    """The index's tables that a statement names."""
    return frozenset(_WORD.findall(sql)) & tables.whole().tables.keys()


@lru_cache(maxsize=256)
def touched_by(table: str) -> frozenset[str]:
    """The table, and those that the triggers on it read or change, and theirs."""
    on: dict[str, set[str]] = {}
    for sql in tables.whole().triggers:
        match = _ON.match(sql)
        if match is None:
            raise ValueError(f"not understood: {sql}")
        on.setdefault(match[1], set()).update(tables_named_in(match[2]))
    found, new = {table}, {table}
    while new:
        new = set().union(*(on.get(each, set()) for each in new)) - found
        found |= new
    return frozenset(found)
