"""What an index offers to those who ask it, whichever database keeps it: the embedded SQLite or PostgreSQL.

Questions are written once, in the SQL that both understand; what SQLite alone would understand is told in another
way or translated (`postgresql/dialect.py`). Rows are read by number or by name.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol, TypeVar

from samsyn.model.value import value
from samsyn.store.journal import Position
from samsyn.store.objects.series_objects import SeriesObjects

T = TypeVar("T")


class IndexFault(Exception):
    """A question was not answered, or a change not made."""


class RuleBroken(IndexFault):
    """A change breaks a rule of the tables, as when a row with the same key is there already. Nothing was changed."""


class NoRoom(IndexFault):
    """The index's disk is full; the transaction is lost."""


class IndexAway(IndexFault):
    """The database can not be reached or went away; a COMMIT that was under way may have been made or not."""


FAULTS: Final = (IndexFault, sqlite3.Error)
"""What may be raised where rows are asked for: the embedded index raises its own errors while rows are fetched."""


class Row(Protocol):
    """One row of an answer."""

    def __getitem__(self, key: int | str, /) -> Any: ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Any]: ...

    def keys(self) -> Any:
        """Names of the columns, in order."""


class Cursor(Protocol):
    """The answer to one statement."""

    @property
    def rowcount(self) -> int:
        """Rows that a change changed."""

    @property
    def description(self) -> Any:
        """A tuple for each column, the name first."""

    def fetchone(self) -> Any:
        """The next row, None after the last."""

    def fetchall(self) -> list[Any]:
        """The rows that are left."""

    def __iter__(self) -> Iterator[Any]: ...


class Together(Protocol):
    """What a connection offers whose every statement costs a round trip; both are for an open transaction."""

    def ask_each(self, sql: str, parameters: Sequence[Sequence[Any]], /) -> list[Any]:
        """The rows of one question for each of the parameters in turn, in one round trip."""

    def add_rows(self, table: str, columns: tuple[str, ...], rows: Sequence[Sequence[Any]], /) -> None:
        """Adds rows in their order, in one round trip. RuleBroken: not all of them could be added, and what was has
        to be undone with the transaction."""


class InOneCall(Protocol):
    """What a connection offers whose statements cost no round trip, but a call each."""

    def execute_many(self, sql: str, rows: Sequence[Sequence[Any]], /) -> None:
        """The same change for each of the rows of parameters, in order. IndexFault: some may have been made."""


class IndexConnection(Protocol):
    """One thread's connection to the index."""

    objects: SeriesObjects
    """The series objects beside the index."""

    nests_savepoints: bool
    """Whether a savepoint that is not needed any more is left to the end of the transaction: a question less."""
    undoes_failed_statement: bool
    """Whether a statement that fails leaves the transaction as it was before it; otherwise a savepoint has to."""

    @property
    def together(self) -> Together | None:
        """How several are asked or added at once; None where a statement costs no more than a call."""

    @property
    def in_one_call(self) -> InOneCall | None:
        """How changes of a kind are made by one call; None where `together` does more."""

    @property
    def in_transaction(self) -> bool:
        """Whether a BEGIN has not had its end yet."""

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Cursor:
        """Asks or changes. IndexFault, or another of FAULTS while the rows are fetched."""

    def close(self) -> None:
        """Lets go of it; a transaction that is open is undone."""


@value
class Reached:
    """How far the index has come, as a transaction finds it when it begins."""

    place: Position
    """Up to where the own journal counts."""
    sequence: int
    """Number of the last record."""
    keys: dict[str, int]
    """The highest key given out of each keyed table."""
    time: str
    """Time of the last record, "" before the first: no later record has an earlier one."""


class Index(Protocol):
    """A kind of index: where it is, and how it is opened."""

    follows_journal: bool
    """Whether the journal alone says what counts, and this index only repeats it; otherwise a record counts when the
    index has committed it."""

    @property
    def complaint(self) -> str:
        """Why it can not be written just now, and what to do; "" when it can."""

    @property
    def is_shared(self) -> bool:
        """Whether anybody beside this process's writer changes it."""

    def is_there(self) -> bool:
        """Whether there is an index, of whatever version."""

    def is_of_this_version(self) -> bool:
        """Whether it is new or has the tables that this program needs; False also for what is no index."""

    def open_writer(self, objects: SeriesObjects) -> IndexConnection:
        """The connection that changes it; makes the tables when there are none."""

    def open_reader(self, objects: SeriesObjects) -> IndexConnection:
        """A connection for questions."""

    def reached(self, connection: IndexConnection) -> Reached:
        """How far it has come."""

    def hold_still(self, connection: IndexConnection) -> None:
        """From now on, until a ROLLBACK, a reader sees what there is at this moment, whatever others change."""

    def begin(self, connection: IndexConnection, known: Reached) -> Reached:
        """Opens a transaction beside which no other changes anything, on any node; `known` is what this process noted
        last, the answer what is true now. IndexAway: not now."""

    def tidy_as_writer(self, connection: IndexConnection) -> None:
        """What has to be done now and then by the writer itself between two transactions; may take a while."""

    def commit(self, connection: IndexConnection, reached: Reached | None) -> None:
        """Ends the transaction, and notes in it how far the index has come with it; None = nothing was added."""

    def tidy(self) -> None:
        """What has to be done now and then beside the writer."""

    def make_anew(self, objects: SeriesObjects, fill: Callable[[IndexConnection], T]) -> T:
        """A fresh index, filled by the function; the old one stays until the new one is whole and durable."""

    def close(self) -> None:
        """Lets go of what is held beside the connections."""
