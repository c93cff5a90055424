"""The index's write-ahead log begins anew when it has grown long, however long a burst lasts."""

import asyncio
from pathlib import Path

import pytest

from samsyn import limits
from samsyn.clock import SystemClock
from samsyn.store import writer
from samsyn.store.store import Store
from tests.indexes import sqlite_only
from tests.store.test_store import add_message

pytestmark = sqlite_only
MOST_BYTES = 1 * limits.MIB


def log_bytes(folder: Path) -> int:
    return (folder / "index.sqlite-wal").stat().st_size


async def burst(store: Store, folder: Path) -> int:
    """Some thousand records one behind the other; the longest that the log was."""
    longest = 0
    for start in range(0, 3_000, 100):
        await asyncio.gather(*(store.commit(add_message(f"{start + n}"), b"x" * 50) for n in range(100)))
        longest = max(longest, log_bytes(folder))
    return longest


async def test_the_log_stays_short_in_a_burst(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "INDEX_LOG_BYTES", MOST_BYTES)
    store = Store(tmp_path, SystemClock())
    store.start()
    assert await burst(store, tmp_path) < 2 * MOST_BYTES
    store.close()


async def test_the_log_stays_short_when_one_sender_comes_alone_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "INDEX_LOG_BYTES", MOST_BYTES)
    monkeypatch.setattr(writer, "_QUICK_S", 60.0)
    store = Store(tmp_path, SystemClock())
    store.start()
    longest = at_once = 0
    for number in range(3_000):
        committed = None
        if store.goes_at_once("one", 1):
            committed = store.commit_at_once(add_message(str(number)), b"x")
        if committed is None:
            await store.commit(add_message(str(number)), b"x", sender="one")
        else:
            at_once += 1
            await asyncio.sleep(0)
        longest = max(longest, log_bytes(tmp_path))
    assert at_once > 2_900
    assert MOST_BYTES < longest < 10 * MOST_BYTES
    store.close()


async def test_who_reads_an_older_state_only_puts_it_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "INDEX_LOG_BYTES", MOST_BYTES)
    # On a quick disk turns share a commit, and the log grows less.
    monkeypatch.setattr(writer, "_QUICK_S", 0.0)
    store = Store(tmp_path, SystemClock())
    store.start()
    await store.commit(add_message("first"), b"x")

    def count(connection) -> int:
        return connection.execute("SELECT COUNT(*) FROM message").fetchone()[0]

    def hold(connection) -> None:
        connection.execute("BEGIN")
        assert count(connection) == 1

    store.peek(hold)
    assert await burst(store, tmp_path) > 2 * MOST_BYTES
    assert store.peek(count) == 1
    store.peek(lambda connection: connection.execute("COMMIT"))
    for number in range(20):
        await store.commit(add_message(f"late {number}"), b"x")
    assert store.peek(count) == 3_021
    assert log_bytes(tmp_path) < 2 * MOST_BYTES
    store.close()
