"""What the records of one turn of the writer have in common, where the index answers each statement after a round trip:
questions that are asked for all of them ahead, and rows that are added for all of them at once.

A burst's records are alike: each asks the same question about its own instance and adds a row. What is asked ahead is
believed until a record of the same turn changes what it rests on; then it is asked again, in its place.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from samsyn.model.value import value
from samsyn.store.index import operations
from samsyn.store.index.alike import Alike
from samsyn.store.index.operations import Operation
from samsyn.store.index.port import Cursor, IndexConnection, IndexFault, RuleBroken, Together
from samsyn.store.index.waiting import WaitingRows, tables_named_in, touched_by

Place = tuple[int, int, int]
"""Segment, offset and length of a record's body."""


class DecideAnew(Exception):
    """Something can not be undone alone: the turn is undone, and decided again one record after the other."""


@value
class Ahead:
    """A question that a decision is going to ask. It has exactly one row, whatever the tables hold."""

    sql: str
    parameters: tuple[Any, ...]
    rests_on: Mapping[str, tuple[str, Any] | None]
    """The tables that it reads, each with the column and value that its rows of this table have, None = any row. A row
    that is added with another value does not change the answer, nor does what triggers count."""


class Batch:
    """The one transaction of a turn. `together` = None: every statement is made when it is told, but for what waits in
    `alike`; `waits` False: nothing does."""

    def __init__(self, connection: IndexConnection, together: Together | None, waits: bool = True) -> None:
        self.connection = connection
        self.is_swift = together is not None
        """Whether a record can not be undone without the others."""
        self.carried: dict[str, str] = {}
        self.alike = Alike(connection, connection.in_one_call if waits else None)
        self._together = together
        self._waiting = WaitingRows()
        self._foreseen: dict[tuple[str, tuple[Any, ...]], Any] = {}
        self._of_table: dict[str, list[Ahead]] = {}
        self._of_rows: dict[tuple[str, str, Any], list[Ahead]] = {}
        self._named_by: dict[str, set[str]] = {}

    def foresee(self, questions: Iterable[Ahead]) -> None:
        """Asks them now, those of a kind in one round trip."""
        if self._together is None:
            return
        kinds: dict[str, list[Ahead]] = {}
        for each in questions:
            kinds.setdefault(each.sql, []).append(each)
        for sql, alike in kinds.items():
            rows = self._together.ask_each(sql, [each.parameters for each in alike])
            if len(rows) != len(alike):
                raise IndexFault(f"a question that is asked ahead has not one row: {sql[:80]}")
            for each, row in zip(alike, rows, strict=True):
                self._foreseen[each.sql, each.parameters] = row
                self._note(each)

    def _note(self, each: Ahead) -> None:
        for table, rows in each.rests_on.items():
            self._of_table.setdefault(table, []).append(each)
            column, value = rows or ("", None)
            self._of_rows.setdefault((table, column, value), []).append(each)
            self._named_by.setdefault(table, set()).add(column)

    def one(self, sql: str, parameters: tuple[Any, ...]) -> Any:
        """The first row, None when there is none."""
        found = self._foreseen.get((sql, parameters))
        return found if found is not None else self._asked(sql, parameters).fetchone()

    def all(self, sql: str, parameters: tuple[Any, ...]) -> list[Any]:
        """Every row."""
        return self._asked(sql, parameters).fetchall()

    def flush(self, what: frozenset[str] | None = None) -> None:
        """Adds what waits and has to do with these tables, None = all that waits. RuleBroken, DecideAnew."""
        if self._together is not None:
            self._waiting.flush(self._together, what)
        elif what is None:
            self.make_alike()

    def _asked(self, sql: str, parameters: tuple[Any, ...]) -> Cursor:
        if self._together is not None:
            self._waiting.flush(self._together, tables_named_in(sql))
        return self.connection.execute(sql, parameters)

    def change(self, operation: Operation, place: Place) -> None:
        """Makes the change, or lets it wait for others."""
        self._forget(operation)
        if self._together is not None:
            row = operations.added_row(operation, place)
            if row is not None:
                self._waiting.add(*row)
                return
            self.flush(None if operation[0] == operations.SETTLED else touched_by(operation[1]))
        operations.apply(self.connection, operation, *place)

    def make_alike(self) -> None:
        """Makes what waits for others of its kind. DecideAnew: one broke a rule."""
        if not self.alike.touched:
            return
        try:
            self.alike.make()
        except RuleBroken as problem:
            raise DecideAnew from problem

    def _forget(self, operation: Operation) -> None:
        """What was foreseen and rests on what changes is not believed any more."""
        verb, table = operation[0], operation[1]
        if verb == operations.SETTLED:
            self._foreseen.clear()
        elif verb in operations.ADDING:
            values = operation[2]
            for column in self._named_by.get(table, ()):
                for each in self._of_rows.get((table, column, values.get(column)), ()):
                    self._foreseen.pop((each.sql, each.parameters), None)
        else:
            for each in self._of_table.get(table, ()):
                self._foreseen.pop((each.sql, each.parameters), None)
