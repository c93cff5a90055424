"""The index of a cluster in one PostgreSQL schema."""

import asyncio
import contextlib
import hashlib
import logging
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import asyncpg
import orjson

from samsyn import limits
from samsyn.errors import ConfigurationError
from samsyn.store.index.port import IndexAway, IndexConnection, IndexFault, Reached
from samsyn.store.index.postgresql import ddl
from samsyn.store.index.postgresql.connection import PostgresConnection, faults_told
from samsyn.store.index.postgresql.ddl import AUDIT_PARTITION_ENTRIES
from samsyn.store.index.schema import KEYED_TABLES, SCHEMA_VERSION
from samsyn.store.journal import Position
from samsyn.store.objects.series_objects import SeriesObjects

log = logging.getLogger(__name__)

T = TypeVar("T")

_CLOCK: Final = "SELECT CAST(extract(epoch FROM clock_timestamp()) AS float8)"
OLDEST_SERVER: Final = 14
"""Oldest PostgreSQL that the tests were made for in kind (stored generated columns, partitions with keys)."""
_STATE: Final = """
CREATE TABLE cluster_state(one BIGINT PRIMARY KEY CHECK(one = 1), version BIGINT NOT NULL, sequence BIGINT NOT NULL,
  keys TEXT NOT NULL, time TEXT NOT NULL, places TEXT NOT NULL) WITH (fillfactor = 10);
"""
"""What the serial section of all nodes goes on from; the row is the section's lock. `places`: up to where each journal
counts. All in one row: who waited for the lock reads this row as it is then, but others as they were before."""


class PostgresIndex:
    """Where the index is: a database and the schema (name space) in it that belongs to this cluster alone.

    `journal` names the journal that this process appends to: its own, or one that all nodes share.
    """

    follows_journal = False

    def __init__(
        self, url: str, journal: str = "1", password: str | None = None, schema: str = "samsyn"
    ) -> None:
        self._url = url
        self._journal = journal
        self._places: dict[str, Any] = {}
        self._password = password
        self._schema = schema
        self._helper = ThreadPoolExecutor(1, thread_name_prefix="index-helper")
        self._is_away = False
        self._complaint = ""
        self._audit_partition = 0
        self._noted: tuple[Reached, str] | None = None
        """What this process noted last, and how the row says it; it is true until another node notes something."""

    async def _connect(self, schema: str, *, reads_only: bool, holds: bool = False) -> asyncpg.Connection:
        settings = {
            "search_path": f'"{schema}"',
            "application_name": f"samsyn {self._journal}",
            "default_transaction_read_only": "on" if reads_only else "off",
        }
        if holds:  # a node that stands still must not keep the serial section from the others
            settings["idle_in_transaction_session_timeout"] = f"{int(limits.INDEX_SECTION_S * 1000)}"
        connection = await asyncpg.connect(
            self._url,
            password=self._password,
            timeout=limits.INDEX_CONNECT_S,
            command_timeout=limits.INDEX_ANSWER_S,
            server_settings=settings,
            statement_cache_size=0,
            target_session_attrs="any" if reads_only else "primary",
        )
        await connection.set_type_codec(
            "numeric", schema="pg_catalog", encoder=str, decoder=_number, format="text"
        )
        if holds:
            await connection.execute(f"SELECT pg_advisory_lock_shared({_lock_of(self._schema)})")
        return connection

    def _opened(self, objects: SeriesObjects, *, reads_only: bool) -> PostgresConnection:
        """A connection that keeps others from putting a fresh index in the place of this one."""
        return PostgresConnection(
            lambda: self._connect(self._schema, reads_only=reads_only, holds=True),
            self._helper,
            objects,
            self._told,
        )

    def _told(self, is_away: bool) -> None:
        self._is_away = is_away

    def _do(self, schema: str, act: Callable[[asyncpg.Connection], Coroutine[Any, Any, T]]) -> T:
        """One act on a connection of its own, from any thread. IndexFault."""

        async def do() -> T:
            connection = await self._connect(schema, reads_only=False)
            try:
                return await act(connection)
            finally:
                await connection.close(timeout=limits.INDEX_CLOSE_S)

        return self._helper.submit(faults_told, lambda: asyncio.run(do())).result()

    @property
    def is_shared(self) -> bool:
        """Yes: every node changes it."""
        return True

    def is_there(self) -> bool:
        """Whether the tables were ever made."""

        async def ask(connection: asyncpg.Connection) -> bool:
            return await connection.fetchval("SELECT to_regclass('cluster_state')") is not None

        return self._do(self._schema, ask)

    def complaints(self) -> list[str]:
        """What keeps the database from being used, in sentences for the operator. IndexFault: it can not be asked."""

        async def ask(connection: asyncpg.Connection) -> list[str]:
            found = []
            encoding = await connection.fetchval("SHOW server_encoding")
            if encoding != "UTF8":
                found.append(f"the index's database has the encoding {encoding}: make one with UTF8")
            if connection.get_server_version().major < OLDEST_SERVER:
                found.append(f"PostgreSQL is older than {OLDEST_SERVER}: use a newer one")
            may = await connection.fetchval(
                "SELECT to_regclass('cluster_state') IS NOT NULL"
                " OR has_database_privilege(current_database(), 'CREATE')"
            )
            if not may:
                found.append(
                    f"the user of [index] address may not make the schema {self._schema}: grant CREATE on the database"
                )
            if await connection.fetchval("SHOW synchronous_commit") == "off":
                found.append("synchronous_commit is off: what was acknowledged may be lost; switch it on")
            return found

        return self._do(self._schema, ask)

    def is_of_this_version(self) -> bool:
        """Whether the schema is new or has the tables that this program needs."""

        async def ask(connection: asyncpg.Connection) -> bool:
            if await connection.fetchval("SELECT to_regclass('cluster_state')") is None:
                return True
            return bool(await connection.fetchval("SELECT version FROM cluster_state") == SCHEMA_VERSION)

        return self._do(self._schema, ask)

    def open_writer(self, objects: SeriesObjects) -> PostgresConnection:
        """A connection that changes the index; makes the tables when there are none."""
        self._make_tables(self._schema)
        return self._opened(objects, reads_only=False)

    def open_reader(self, objects: SeriesObjects) -> PostgresConnection:
        """A connection that can only read."""
        return self._opened(objects, reads_only=True)

    def reached(self, connection: IndexConnection) -> Reached:
        """How far all nodes together have come, and this node's journal."""
        return self._reached(connection, "")

    def hold_still(self, connection: IndexConnection) -> None:
        """Opens a transaction that reads one state of the database."""
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")

    def begin(self, connection: IndexConnection, known: Reached) -> Reached:
        """Opens a transaction; until its end every other node waits at this place. IndexAway also when this node's
        clock is not to be believed (limits.CLOCK_AHEAD_S).

        As long as no other node has written, whether the row is as this one left it is asked in the same message.
        """
        noted, now = self._noted, _now()
        if noted is not None and isinstance(connection, PostgresConnection):
            is_right = f"clock_timestamp() >= to_timestamp({now - limits.CLOCK_AHEAD_S:.3f})"
            asked = f"SELECT 1 FROM cluster_state WHERE {noted[1]} AND {is_right} FOR UPDATE"
            is_known = connection.begin_with(asked) == 1
            found = noted[0] if is_known else self._reached(connection, " FOR UPDATE")
        else:
            connection.execute("BEGIN")
            is_known, found = False, self._reached(connection, " FOR UPDATE")
        if not is_known:
            self._check_clock(connection, now)
        wanted = found.keys.get("audit", 0) // AUDIT_PARTITION_ENTRIES + 1
        while self._audit_partition < wanted:
            connection.execute(ddl.audit_partition(self._audit_partition + 1))
            self._audit_partition += 1
        return found

    def _look_at_clock(self) -> None:
        async def ask(connection: asyncpg.Connection) -> float:
            return float(await connection.fetchval(_CLOCK))

        with contextlib.suppress(IndexFault):
            if _now() - self._do(self._schema, ask) <= limits.CLOCK_AHEAD_S:
                self._complaint = ""

    def _check_clock(self, connection: IndexConnection, now: float) -> None:
        ahead = now - connection.execute(_CLOCK).fetchone()[0]
        self._complaint = ""
        if ahead > limits.CLOCK_AHEAD_S:
            self._complaint = (
                f"this node's clock is {ahead:.0f} s ahead of the database's: nothing is written with a time that is"
                " not; set both right"
            )
            connection.execute("ROLLBACK")
            log.warning("clock-ahead", extra={"seconds": round(ahead), "limit": "CLOCK_AHEAD_S"})
            raise IndexAway(self._complaint)

    @property
    def complaint(self) -> str:
        """See Index."""
        away = "the index's database can not be reached: this goes on by itself when it is back"
        return away if self._is_away else self._complaint

    def _reached(self, connection: IndexConnection, way: str) -> Reached:
        row = connection.execute(f"SELECT sequence, keys, time, places FROM cluster_state{way}").fetchone()
        keys = dict.fromkeys(KEYED_TABLES, 0) | orjson.loads(row[1])
        self._places = orjson.loads(row[3])
        return Reached(Position(*self._places.get(self._journal, (0, 0))), row[0], keys, row[2])

    def tidy_as_writer(self, connection: IndexConnection) -> None:
        """Nothing: the database does it by itself."""

    def commit(self, connection: IndexConnection, reached: Reached | None) -> None:
        """Ends the transaction, and notes in it how far the index has come with it: one round trip for both."""
        if reached is None or not isinstance(connection, PostgresConnection):
            connection.execute("COMMIT")
            return
        places = self._places | {self._journal: (reached.place.segment, reached.place.offset)}
        keys, time, told = map(
            _literal, (orjson.dumps(reached.keys).decode(), reached.time, orjson.dumps(places).decode())
        )
        row = (f"sequence = {reached.sequence:d}", f"keys = {keys}", f"time = {time}", f"places = {told}")
        self._noted = None  # an answer that is lost may mean either
        connection.commit_with(f"UPDATE cluster_state SET {', '.join(row)}")
        self._noted, self._places = (reached, " AND ".join(row)), places

    def tidy(self) -> None:
        """Looks whether the database is back, or our clock is right again; the rest it does by itself."""
        if self._complaint:
            self._look_at_clock()
        if not self._is_away:
            return

        async def ask(connection: asyncpg.Connection) -> bool:
            return bool(await connection.fetchval("SELECT NOT pg_is_in_recovery()"))

        with contextlib.suppress(IndexFault):
            self._is_away = not self._do(self._schema, ask)

    def make_anew(self, objects: SeriesObjects, fill: Callable[[IndexConnection], T]) -> T:
        """A fresh schema, filled by the function and put in the old one's place in one step.

        ConfigurationError: other nodes have the index open.
        """
        fresh = f"{self._schema}_new"
        connection = PostgresConnection(
            lambda: self._connect(fresh, reads_only=False), self._helper, objects, self._told
        )
        self._audit_partition, self._noted = 0, None
        try:
            if not connection.execute(f"SELECT pg_try_advisory_lock({_lock_of(self._schema)})").fetchone()[0]:
                raise ConfigurationError(
                    "the index has to be made anew, and other nodes have it open: stop them first"
                )
            connection.execute(f'DROP SCHEMA IF EXISTS "{fresh}" CASCADE')
            self._make_tables(fresh)
            found = fill(connection)
            connection.execute("BEGIN")
            connection.execute(f'DROP SCHEMA IF EXISTS "{self._schema}" CASCADE')
            connection.execute(f'ALTER SCHEMA "{fresh}" RENAME TO "{self._schema}"')
            connection.execute("COMMIT")
        finally:
            connection.close()
        return found

    def _make_tables(self, schema: str) -> None:
        async def make(connection: asyncpg.Connection) -> None:
            async with connection.transaction():
                await connection.fetchval("SELECT pg_advisory_xact_lock(hashtext($1))", f"samsyn {schema}")
                if await connection.fetchval("SELECT to_regclass('cluster_state')") is not None:
                    return
                await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
                await connection.execute("; ".join((*ddl.statements(), _STATE)))
                await connection.execute(
                    "INSERT INTO cluster_state VALUES(1, $1, 0, '{}', '', '{}')", SCHEMA_VERSION
                )

        self._do(schema, make)

    def drop(self) -> None:
        """Takes the whole index away; it is made anew from the journal."""

        async def drop(connection: asyncpg.Connection) -> None:
            await connection.execute(f'DROP SCHEMA IF EXISTS "{self._schema}" CASCADE')

        self._do(self._schema, drop)

    def close(self) -> None:
        """Ends the helper thread."""
        self._helper.shutdown(wait=True)


def _now() -> float:
    return time.time()


def _literal(text: str) -> str:
    """The text as PostgreSQL's SQL writes it, whatever `standard_conforming_strings` says."""
    return "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def _lock_of(schema: str) -> int:
    """Number of the advisory lock that every connection of a node shares, and that a rebuild has alone."""
    return int.from_bytes(hashlib.sha256(f"samsyn index {schema}".encode()).digest()[:7], "big")


def _number(text: str) -> int | float:
    """A sum of whole numbers as one."""
    return int(text) if text.lstrip("-").isdigit() else float(text)
