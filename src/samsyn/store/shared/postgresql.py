"""Shared state in PostgreSQL: one small table beside the index, with the database's clock for every end.

Commits here do not wait for the disk (synchronous_commit = off): what a crash of the database takes is a few tenths of
a second of log-ins and leases, which are made again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TookTooLong
from threading import Thread
from typing import Any, Final, TypeVar

import asyncpg

from samsyn import limits
from samsyn.errors import OutOfResources

T = TypeVar("T")

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS shared_state(kind TEXT COLLATE "C" NOT NULL, key TEXT COLLATE "C" NOT NULL,
  value TEXT NOT NULL, until TIMESTAMPTZ NOT NULL, PRIMARY KEY(kind, key)) WITH (fillfactor = 50)
"""
_SOON: Final = "clock_timestamp() + $%d * interval '1 second'"
_GET: Final = "SELECT value FROM shared_state WHERE kind = $1 AND key = $2 AND until > clock_timestamp()"
_PUT: Final = (
    f"INSERT INTO shared_state VALUES($1, $2, $3, {_SOON % 4}) ON CONFLICT (kind, key)"
    " DO UPDATE SET value = EXCLUDED.value, until = EXCLUDED.until"
)
_RENEW: Final = (
    "UPDATE shared_state SET value = $3, until = clock_timestamp() + $4 * interval '1 second'"
    " WHERE kind = $1 AND key = $2 AND until > clock_timestamp() RETURNING 1"
)
_TAKE: Final = (
    "DELETE FROM shared_state WHERE kind = $1 AND key = $2 RETURNING value, until > clock_timestamp()"
)
_ONCE: Final = (
    f"INSERT INTO shared_state VALUES($1, $2, '', {_SOON % 3}) ON CONFLICT (kind, key)"
    " DO UPDATE SET until = EXCLUDED.until WHERE shared_state.until <= clock_timestamp() RETURNING 1"
)
_FIND: Final = (
    "SELECT key, value FROM shared_state WHERE kind = $1 AND starts_with(key, $2) AND until > clock_timestamp()"
    " ORDER BY key"
)
_CLAIM: Final = (
    "INSERT INTO shared_state SELECT $1, key, $3, clock_timestamp() + $4 * interval '1 second'"
    " FROM unnest($2::text[]) AS key ORDER BY key"
    " ON CONFLICT (kind, key) DO UPDATE SET value = EXCLUDED.value, until = EXCLUDED.until"
    " WHERE shared_state.value = EXCLUDED.value OR shared_state.until <= clock_timestamp() RETURNING key"
)
_RELEASE: Final = "DELETE FROM shared_state WHERE kind = $1 AND key = ANY($2::text[]) AND value = $3"
_SWEEP: Final = "DELETE FROM shared_state WHERE until <= clock_timestamp()"


class PostgresState:
    """The port. Calls may come from an event loop's thread: the asking happens on a thread of its own."""

    def __init__(self, url: str, password: str | None = None, schema: str = "samsyn") -> None:
        """`schema`: that of the index. Nothing is asked yet."""
        self._url = url
        self._password = password
        self._schema = schema
        self._pool: asyncpg.Pool | None = None
        self._loop = asyncio.new_event_loop()
        self._opening = asyncio.Lock()
        self._thread = Thread(target=self._loop.run_forever, name="shared-state", daemon=True)
        self._thread.start()

    def get(self, kind: str, key: str) -> str | None:
        """See the port."""
        found: str | None = self._ask(lambda connection: connection.fetchval(_GET, kind, key))
        return found

    def put(self, kind: str, key: str, value: str, seconds: float) -> None:
        """See the port."""
        self._ask(lambda connection: connection.execute(_PUT, kind, key, value, seconds))

    def renew(self, kind: str, key: str, value: str, seconds: float) -> bool:
        """See the port."""
        return (
            self._ask(lambda connection: connection.fetchval(_RENEW, kind, key, value, seconds)) is not None
        )

    def take(self, kind: str, key: str) -> str | None:
        """See the port."""
        row = self._ask(lambda connection: connection.fetchrow(_TAKE, kind, key))
        return str(row[0]) if row is not None and row[1] else None

    def put_once(self, kind: str, key: str, seconds: float) -> bool:
        """See the port."""
        return self._ask(lambda connection: connection.fetchval(_ONCE, kind, key, seconds)) is not None

    def find(self, kind: str, prefix: str = "") -> list[tuple[str, str]]:
        """See the port."""
        rows = self._ask(lambda connection: connection.fetch(_FIND, kind, prefix))
        return [(row[0], row[1]) for row in rows]

    def claim(self, kind: str, keys: Collection[str], owner: str, seconds: float) -> set[str]:
        """See the port."""
        rows = self._ask(lambda connection: connection.fetch(_CLAIM, kind, sorted(keys), owner, seconds))
        return {row[0] for row in rows}

    def release(self, kind: str, keys: Collection[str], owner: str) -> None:
        """See the port."""
        self._ask(lambda connection: connection.execute(_RELEASE, kind, sorted(keys), owner))

    def sweep(self) -> int:
        """See the port."""
        status = self._ask(lambda connection: connection.execute(_SWEEP))
        return int(str(status).rpartition(" ")[2])

    def close(self) -> None:
        """Ends the connections and the thread."""

        async def end() -> None:
            if self._pool is not None:
                self._pool.terminate()

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(limits.SHARED_ANSWER_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _ask(self, question: Callable[[Any], Awaitable[T]]) -> T:
        asked: Future[T] = asyncio.run_coroutine_threadsafe(self._asked(question), self._loop)
        try:
            return asked.result(limits.SHARED_ANSWER_S)
        except (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError, TookTooLong) as problem:
            asked.cancel()
            raise OutOfResources(
                f"what nodes share can not be reached ({type(problem).__name__})"
            ) from problem
        except asyncpg.PostgresError as problem:
            raise OutOfResources(f"what nodes share: {problem}") from problem

    async def _asked(self, question: Callable[[Any], Awaitable[T]]) -> T:
        pool = self._pool or await self._opened()
        try:
            return await question(pool)
        except (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, ConnectionError):
            return await question(
                pool
            )  # a connection that was lost since the last question; every question bears it

    async def _opened(self) -> asyncpg.Pool:
        async with self._opening:
            if self._pool is None:
                pool = await asyncpg.create_pool(
                    self._url,
                    password=self._password,
                    min_size=1,
                    max_size=4,
                    timeout=limits.SHARED_ANSWER_S,
                    command_timeout=limits.SHARED_ANSWER_S,
                    server_settings={
                        "search_path": f'"{self._schema}_shared"',
                        "application_name": "samsyn shared state",
                        "synchronous_commit": "off",
                    },
                )
                async with pool.acquire() as connection, connection.transaction():
                    await connection.fetchval(
                        "SELECT pg_advisory_xact_lock(hashtext($1))", f"samsyn shared {self._schema}"
                    )
                    await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{self._schema}_shared"')
                    await connection.execute(_TABLE)
                self._pool = pool
            return self._pool
