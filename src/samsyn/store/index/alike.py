"""Changes of a turn that wait to be made by one call for each kind, where a statement costs no round trip.

A row that is added by itself costs its call and its record a savepoint; a batch of messages adds the same kinds of rows
again and again. Only changes wait that nothing else follows from, so that a replay, which makes them one by one, gives
the same index: rows added to the tables below, and what is said of a person who is there. Whatever asks about what
waits has it made before (`touched`). Where a statement does cost a round trip, `waiting` does more, at a price for each
row that would be too high here.
"""

from types import MappingProxyType
from typing import Any, Final

from samsyn.store.index import operations
from samsyn.store.index.operations import Operation
from samsyn.store.index.port import IndexConnection, InOneCall

FOUND_BY: Final = MappingProxyType(
    {
        "patient": "patient_key",
        "patient_identifier": "value",
        "patient_name_word": "patient_key",
        "report": "patient_key",
        "referral_event": "patient_key",
        "message": "control_id",
        "audit": "sequence",
    }
)
"""Tables whose new rows may wait, with the column by which decisions ask for them. Of those that make further rows by
a trigger, `report` alone is here: the order of what triggers make is that of the changes."""

_FOLLOWED_BY_OTHERS: Final = "merged_into"


class Alike:
    """What waits in one turn. `in_one_call` None: nothing does, each change is made at once."""

    def __init__(self, connection: IndexConnection, in_one_call: InOneCall | None) -> None:
        self._connection = connection
        self._in_one_call = in_one_call
        self._rows: dict[str, list[list[Any]]] = {}
        self._statements: dict[tuple[str, str], tuple[tuple[str, ...], str]] = {}
        """Of each table the columns that were told last, and the statement that adds them."""
        self.touched: set[tuple[str, Any]] = set()
        """(table, value) of the rows that changes wait of, the value being that of the column that they are asked for
        by; some may have been taken back."""

    def takes(self, operation: Operation, place: tuple[int, int, int]) -> str:
        """Lets the change wait, if it may; the statement it waits for then, else ""."""
        verb, table = operation[0], operation[1]
        column = FOUND_BY.get(table)
        if column is None or self._in_one_call is None:
            return ""
        if verb == "i" or verb == "b":
            added: dict[str, Any] = operation[2]
            value = added[column]
            names = tuple(added)
            before = self._statements.get((verb, table))
            if before is not None and before[0] == names:
                sql = before[1]
            else:
                sql = operations.adding(verb, table, names)
                self._statements[verb, table] = names, sql
            values = list(added.values()) if verb == "i" else [*added.values(), *place]
        elif verb == "u" and table == "patient" and tuple(operation[2]) == (column,):
            value = operation[2][column]
            if _FOLLOWED_BY_OTHERS in operation[3] or (table, value) in self.touched:
                return ""
            sql, values = operations.statement(operation, place)
        else:
            return ""
        rows = self._rows.get(sql)
        if rows is None:
            self._rows[sql] = [values]
        else:
            rows.append(values)
        self.touched.add((table, value))
        return sql

    def take_back(self, statements: list[str]) -> list[tuple[str, list[Any]]]:
        """The last changes again, which waited for these statements in this order: they wait no more."""
        found = [(sql, self._rows[sql].pop()) for sql in reversed(statements)]
        return found[::-1]

    def make(self) -> None:
        """Makes everything that waits. RuleBroken: whose change it was is not known; the turn is to be undone."""
        for sql, rows in self._rows.items():
            if len(rows) > 1 and self._in_one_call is not None:
                self._in_one_call.execute_many(sql, rows)
            elif rows:
                self._connection.execute(sql, rows[0])
        self._rows.clear()
        self.touched.clear()
