"""One thread's connection to PostgreSQL, as the rooms know connections.

asyncpg speaks the protocol; each connection has an event loop of its own, which runs only while something is asked.
On a thread whose own loop runs (a point look-up of the serving process) another thread does the asking.
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, Final, TypeVar

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement

from samsyn import limits
from samsyn.store.index import tables
from samsyn.store.index.port import IndexAway, IndexFault, NoRoom, RuleBroken, Together
from samsyn.store.index.postgresql.dialect import Translated, translated
from samsyn.store.objects.series_objects import SeriesObjects

T = TypeVar("T")

_STATEMENTS: Final = 512
"""Prepared statements that each connection keeps."""
_LOST: Final = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.IdleInTransactionSessionTimeoutError,
)
"""What says that the server is not there, or not the one that may be written to."""
_WHOLE: Final = {"int8", "int4", "int2"}
_TEXTS: Final = {"text", "varchar"}
_ARRAYS: Final = {"TEXT": "text[]", "INTEGER": "bigint[]", "BLOB": "bytea[]"}

Opener = Callable[[], Awaitable[asyncpg.Connection]]


class PostgresCursor:
    """The whole answer to one statement."""

    def __init__(
        self, rows: list[Any], rowcount: int, names: Callable[[], tuple[tuple[str, ...], ...]]
    ) -> None:
        self._rows = iter(rows)
        self._names = names
        self.rowcount = rowcount

    @property
    def description(self) -> tuple[tuple[str, ...], ...]:
        """A tuple for each column, the name first."""
        return self._names()

    def fetchone(self) -> Any:
        """The next row, None after the last."""
        return next(self._rows, None)

    def fetchall(self) -> list[Any]:
        """The rows that are left."""
        return list(self._rows)

    def __iter__(self) -> Iterator[Any]:
        return self._rows


def faults_told(do: Callable[[], T]) -> T:
    """Does it, and raises the faults of the port instead of the driver's."""
    try:
        return do()
    except asyncpg.IntegrityConstraintViolationError as problem:
        raise RuleBroken(str(problem)) from problem
    except (asyncpg.DiskFullError, asyncpg.OutOfMemoryError) as problem:
        raise NoRoom("the index's disk is full") from problem
    except _LOST as problem:
        raise IndexAway(f"PostgreSQL can not be reached ({type(problem).__name__})") from problem
    except asyncpg.InvalidCachedStatementError:
        raise
    except (asyncpg.PostgresError, asyncpg.DataError) as problem:
        raise IndexFault(str(problem)) from problem


class PostgresConnection:
    """One connection; asked by one thread at a time. It connects when it is first asked, and again after a loss.

    A reader asks a second time when the server was lost; what is in a transaction is lost with it (IndexAway).
    """

    nests_savepoints = True
    undoes_failed_statement = False
    in_one_call = None

    def __init__(
        self,
        open_one: Opener,
        helper: ThreadPoolExecutor,
        objects: SeriesObjects,
        told: Callable[[bool], None],
    ) -> None:
        """`told` hears after each question whether the server was away."""
        self.objects = objects
        self._told = told
        self._open_one = open_one
        self._helper = helper
        self._loop = asyncio.new_event_loop()
        self._connection: asyncpg.Connection | None = None
        self._prepared: OrderedDict[str, PreparedStatement] = OrderedDict()

    @property
    def in_transaction(self) -> bool:
        """Whether a BEGIN has not had its end yet."""
        connection = self._connection
        return connection is not None and not connection.is_closed() and connection.is_in_transaction()

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> PostgresCursor:
        """As the port promises."""
        return self._where_no_loop_runs(lambda: self._execute(translated(sql), parameters))

    @property
    def together(self) -> Together:
        """Itself."""
        return self

    def ask_each(self, sql: str, parameters: Sequence[Sequence[Any]], /) -> list[Any]:
        """As the port promises."""
        return self._in_transaction(sql, lambda: self._ask_each(translated(sql).sql, parameters))

    async def _ask_each(self, sql: str, parameters: Sequence[Sequence[Any]]) -> list[Any]:
        statement = await self._statement(sql)
        return list(await statement.fetchmany([_fitting(statement, each) for each in parameters]))

    def add_rows(self, table: str, columns: tuple[str, ...], rows: Sequence[Sequence[Any]], /) -> None:
        """As the port promises."""
        kinds = tables.columns_of(table)
        values = [_column(kinds[name], [row[place] for row in rows]) for place, name in enumerate(columns)]
        sql = _adding(table, columns, is_one=len(rows) == 1)
        if len(rows) == 1:
            values = [value for (value,) in values]
        if self._in_transaction(sql, lambda: self._run(sql, values)).rowcount != len(rows):
            raise RuleBroken(f"a row with the same key is there already: {sql[:80]}")

    def begin_with(self, question: str) -> int:
        """Opens a transaction and asks in it, told in PostgreSQL's own words without parameters; how many rows there
        are. One round trip."""
        told = Translated(f"BEGIN; {question}")
        return self._where_no_loop_runs(lambda: self._execute(told, ())).rowcount

    def commit_with(self, change: str) -> None:
        """Makes a last change, told without parameters, and ends the transaction."""
        self._in_transaction(change, lambda: self._run(f"{change}; COMMIT", ()))

    def _in_transaction(self, sql: str, ask: Callable[[], Awaitable[T]]) -> T:
        """What is asked in an open transaction is not asked again on another connection."""

        def do() -> T:
            if not self.in_transaction:
                raise IndexAway("the transaction was lost")
            try:
                return self._waited_for(sql, ask)
            except asyncpg.InvalidCachedStatementError as problem:
                self._prepared.clear()
                raise IndexFault(str(problem)) from problem

        return self._where_no_loop_runs(do)

    def _where_no_loop_runs(self, do: Callable[[], T]) -> T:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return do()
        return self._helper.submit(do).result()

    def _execute(self, told: Translated, parameters: Sequence[Any]) -> PostgresCursor:
        began_in = self.in_transaction
        try:
            return self._asked(told, parameters)
        except IndexAway:
            if began_in or told.sql in ("COMMIT", "ROLLBACK"):
                raise
            return self._asked(told, parameters)
        except asyncpg.InvalidCachedStatementError as problem:
            self._prepared.clear()
            if began_in:
                raise IndexFault(str(problem)) from problem
            return self._asked(told, parameters)

    def _asked(self, told: Translated, parameters: Sequence[Any]) -> PostgresCursor:
        return self._waited_for(told.sql, lambda: self._ask(told, parameters))

    def _waited_for(self, sql: str, ask: Callable[[], Awaitable[T]]) -> T:
        try:
            found = faults_told(lambda: self._loop.run_until_complete(ask()))
        except IndexAway:
            self._let_go()
            self._told(True)
            raise
        except IndexFault as problem:
            problem.add_note(sql)
            raise
        self._told(False)
        return found

    async def _ask(self, told: Translated, parameters: Sequence[Any]) -> PostgresCursor:
        if self._connection is None or self._connection.is_closed():
            self._prepared.clear()
            self._connection = await self._open_one()
        if told.first is not None:
            deletion, places = told.first
            await self._run(deletion, [parameters[place] for place in places])
        cursor = await self._run(told.sql, parameters)
        if told.adds_one_row and cursor.rowcount == 0:
            raise RuleBroken(f"a row with the same key is there already: {told.sql[:80]}")
        return cursor

    async def _run(self, sql: str, parameters: Sequence[Any]) -> PostgresCursor:
        assert self._connection is not None
        if not parameters and not sql.lstrip().upper().startswith(("SELECT", "WITH")):
            return PostgresCursor([], _count(await self._connection.execute(sql)), tuple)
        statement = await self._statement(sql)
        if any(type(value) is str and "\0" in value for value in parameters):
            parameters = _fitting(statement, parameters)
        try:
            rows = await statement.fetch(*parameters)
        except asyncpg.DataError as problem:
            if not _was_never_sent(problem):
                raise
            rows = await _fetched(statement, _fitting(statement, parameters))
        return PostgresCursor(rows, _count(statement.get_statusmsg()), lambda: _names(statement))

    async def _statement(self, sql: str) -> PreparedStatement:
        assert self._connection is not None
        statement = self._prepared.get(sql)
        if statement is None:
            statement = self._prepared[sql] = await self._connection.prepare(sql)
            if len(self._prepared) > _STATEMENTS:
                self._prepared.popitem(last=False)
        else:
            self._prepared.move_to_end(sql)
        return statement

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        self._prepared.clear()
        if connection is not None and not connection.is_closed():
            connection.terminate()

    def close(self) -> None:
        """Lets go of it; a transaction that is open is undone."""
        self._where_no_loop_runs(self._close)

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        self._prepared.clear()
        if connection is not None and not connection.is_closed():
            with contextlib.suppress(*_LOST, asyncpg.PostgresError):
                self._loop.run_until_complete(connection.close(timeout=limits.INDEX_CLOSE_S))
        self._loop.close()


@lru_cache(maxsize=512)
def _adding(table: str, columns: tuple[str, ...], *, is_one: bool) -> str:
    """Adds one row, or any number of rows told by an array for each column, which costs the server more for one."""
    kinds = tables.columns_of(table)
    told = ", ".join(
        f"${place}" if is_one else f"${place}::{_ARRAYS[kinds[name]]}"
        for place, name in enumerate(columns, 1)
    )
    source = f"VALUES({told})" if is_one else f"SELECT * FROM unnest({told})"
    return f"INSERT INTO {table}({', '.join(columns)}) {source} ON CONFLICT DO NOTHING"


def _column(kind: str, values: list[Any]) -> list[Any]:
    """The values of one column as they fit."""
    if kind == "TEXT":
        return [value if value is None else _text(value) for value in values]
    if kind == "INTEGER":
        return [_whole(value) if isinstance(value, str) else value for value in values]
    return values


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else str(int(value) if isinstance(value, bool) else value)
    return text.replace("\0", "\ufffd")


def _whole(text: str) -> int | None:
    return int(text) if text.lstrip("-").isdigit() else None


def _was_never_sent(problem: asyncpg.DataError) -> bool:
    """Whether the driver could not put a parameter into the kind that the server wants; the transaction stands."""
    return type(problem) is asyncpg.DataError and getattr(problem, "severity", None) is None


async def _fetched(statement: PreparedStatement, parameters: Sequence[Any]) -> list[Any]:
    try:
        return list(await statement.fetch(*parameters))
    except asyncpg.DataError as problem:
        if _was_never_sent(problem):
            raise ValueError(str(problem)) from problem
        raise


def _count(status: str) -> int:
    """Rows that a statement changed, by what the server says of it; -1 when it says none."""
    last = status.rpartition(" ")[2] if status else ""
    return int(last) if last.isdigit() else -1


def _names(statement: PreparedStatement) -> tuple[tuple[str, ...], ...]:
    return tuple((attribute.name,) for attribute in statement.get_attributes())


def _fitting(statement: PreparedStatement, parameters: Sequence[Any]) -> list[Any]:
    """The parameters with the kind of the columns they are put beside: SQLite does that by itself (type affinity).

    NUL, which PostgreSQL keeps in no text, becomes U+FFFD: the bytes as received are in the journal.
    """
    found: list[Any] = []
    for value, kind in zip(parameters, statement.get_parameters(), strict=True):
        if kind.name in _TEXTS and value is not None:
            found.append(_text(value))
        elif kind.name in _WHOLE and isinstance(value, str):
            found.append(_whole(value))
        else:
            found.append(value)
    return found
