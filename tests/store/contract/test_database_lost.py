"""A PostgreSQL that goes away: everything is refused clearly while it is gone, nothing acknowledged is lost, and the
store is back by itself."""

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from samsyn.clock import SystemClock
from samsyn.errors import ConfigurationError, OutOfResources
from samsyn.store.index.port import IndexAway
from samsyn.store.store import Store
from tests.indexes import Server, own_server, postgresql_of
from tests.store.test_store import add_message, rows
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.slow


@pytest.fixture
def server() -> Iterator[Server]:
    with own_server() as server:
        yield server


def opened(folder: Path, server: Server) -> Store:
    store = Store(folder, SystemClock(), index=postgresql_of(folder, server))
    store.start()
    return store


async def until(holds, seconds: float = PATIENCE_S) -> None:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + seconds
    while not await holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.1)


async def is_taken(store: Store, control_id: str) -> bool:
    try:
        await store.commit(add_message(control_id), control_id.encode())
    except OutOfResources:
        return False
    return True


async def test_while_it_is_away_everything_is_refused_and_then_goes_on_by_itself(
    tmp_path: Path, server: Server
) -> None:
    store = opened(tmp_path, server)
    await store.commit(add_message("before"), b"before")
    assert store.healthy
    server.stop()
    with pytest.raises(OutOfResources):
        await store.read(lambda connection: connection.execute("SELECT 1 FROM message").fetchall())
    with pytest.raises(OutOfResources):
        rows(store)
    with pytest.raises(OutOfResources):
        await store.commit(add_message("while away"), b"while away")
    assert not store.healthy
    assert "database can not be reached" in store.complaint
    server.start()
    await until(lambda: is_taken(store, "after"))
    assert store.healthy
    assert [row[1] for row in rows(store)] == ["before", "after"]
    assert (await store.commit(add_message("more"), b"more")).receipt.sequence == 3
    store.close()


async def test_it_is_ready_again_without_being_asked(tmp_path: Path, server: Server) -> None:
    """Nobody sends to a node that says it is not ready: it has to find out for itself."""
    store = opened(tmp_path, server)
    server.stop()
    with pytest.raises(OutOfResources):
        await store.commit(add_message("1"), b"1")
    assert not store.healthy
    server.start()

    async def is_healthy() -> bool:
        return store.healthy

    await until(is_healthy)
    store.close()


async def test_a_reader_asks_again_when_only_its_connection_was_lost(tmp_path: Path, server: Server) -> None:
    store = opened(tmp_path, server)
    await store.commit(add_message("1"), b"1")
    assert len(rows(store)) == 1
    server.stop()
    server.start()
    assert len(rows(store)) == 1
    found = await store.read(lambda connection: connection.execute("SELECT 1 FROM message").fetchall())
    assert len(found) == 1
    store.close()


async def test_what_was_acknowledged_is_there_and_what_was_refused_is_not_half_there(
    tmp_path: Path, server: Server
) -> None:
    """The server is killed again and again under load; then journal and index are compared by a rebuild."""
    store = opened(tmp_path, server)
    acknowledged: set[str] = set()
    stop = threading.Event()

    def trouble() -> None:
        while not stop.wait(0.4):
            server.stop()
            server.start()

    killer = threading.Thread(target=trouble)
    killer.start()
    refused = number = 0
    ends = time.monotonic() + 8
    while time.monotonic() < ends:
        names = [f"m{number + each}" for each in range(8)]
        number += 8
        taken = await asyncio.gather(*(is_taken(store, name) for name in names))
        acknowledged |= {name for name, is_there in zip(names, taken, strict=True) if is_there}
        refused += taken.count(False)
    stop.set()
    killer.join()
    await until(lambda: is_taken(store, f"last {time.monotonic()}"))
    there = rows(store)
    assert acknowledged <= {row[1] for row in there}
    assert all(row[1].encode() == row[2] for row in there)
    print(f"database killed under load: {len(acknowledged)} acknowledged, {refused} refused, 0 lost")
    store.close()
    index = postgresql_of(tmp_path, server)
    index.drop()
    index.close()
    again = opened(tmp_path, server)
    assert rows(again) == there
    assert again.replayed == len(there)
    again.close()


def test_what_is_wrong_with_the_database_is_told_in_words_for_the_operator(
    tmp_path: Path, server: Server
) -> None:
    index = postgresql_of(tmp_path, server)
    assert index.complaints() == []
    assert not index.is_there()
    server.stop()
    with pytest.raises(IndexAway, match="can not be reached"):
        index.complaints()
    with pytest.raises(ConfigurationError, match="the index can not be used"):
        Store(tmp_path, SystemClock(), index=index)
    server.start()
    store = opened(tmp_path, server)
    assert index.is_there()
    assert index.is_of_this_version()
    store.close()
    index.close()
