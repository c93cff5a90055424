"""Turns of the writer's thread share the index's commit; who asks the index finds what was answered all the same."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from samsyn.errors import OutOfResources, StoreFailed
from samsyn.store import left_open, writer
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction
from tests.indexes import forget_index, sqlite_only
from tests.store.test_at_once import on_disk
from tests.store.test_store import add_message, opened, rows
from tests.waiting import until

pytestmark = sqlite_only


@pytest.fixture(autouse=True)
def time_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing happens only because this machine is slow."""
    for module in (left_open, writer):
        monkeypatch.setattr(module, "LEFT_OPEN_S", 60.0)
    monkeypatch.setattr(left_open, "_BRIEF_S", 60.0)
    monkeypatch.setattr(left_open, "_TIDY_EVERY_S", 60.0)
    monkeypatch.setattr(left_open, "_ASKED_LATELY_S", 0.0)


async def commits(store: Store, *names: str) -> None:
    """One turn of the thread for each."""
    for name in names:
        await store.commit(add_message(name), b"body of " + name.encode())


def traced(store: Store) -> list[str]:
    """The statements of the index's writing connection from now on."""
    statements: list[str] = []
    store._index.set_trace_callback(statements.append)
    return statements


def ends(statements: list[str]) -> list[str]:
    """What of them begins or ends a transaction."""
    return [word for word in statements if word.startswith(("BEGIN", "COMMIT", "ROLLBACK;"))]


async def test_turns_share_the_commit_and_whoever_asks_has_it_made(tmp_path: Path) -> None:
    store = opened(tmp_path)
    statements = traced(store)
    await commits(store, "a", "b", "c")
    assert ends(statements) == ["BEGIN IMMEDIATE"]
    assert on_disk(tmp_path) == []
    assert [row[1] for row in rows(store)] == ["a", "b", "c"]
    await commits(store, "d")
    found = await store.read(lambda c: c.execute("SELECT COUNT(*) FROM message").fetchone()[0])
    assert found == 4
    await commits(store, "e")
    store.close()
    assert ends(statements) == ["BEGIN IMMEDIATE", "COMMIT"] * 3
    again = opened(tmp_path)
    assert again.replayed == 0
    assert [row[1] for row in rows(again)] == ["a", "b", "c", "d", "e"]
    again.close()


async def test_the_index_has_it_soon_though_nobody_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(left_open, "LEFT_OPEN_S", 0.02)
    store = opened(tmp_path)
    await commits(store, "a")
    await until(lambda: on_disk(tmp_path) == ["a"])
    store.close()


async def test_while_somebody_asks_each_turn_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(tmp_path)
    monkeypatch.setattr(left_open, "_ASKED_LATELY_S", 60.0)
    await commits(store, "a")
    rows(store)
    for name in ("b", "c"):
        await commits(store, name)
        assert on_disk(tmp_path)[-1] == name
    store.close()


@pytest.mark.parametrize("bound", ["_BRIEF_S", "_BRIEF_BYTES", "_TIDY_EVERY_S"])
async def test_what_may_last_does_not_go_on_in_an_open_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    """Who asks meanwhile would wait for it; and the log could not begin from its start again."""
    store = opened(tmp_path)
    await commits(store, "a")
    monkeypatch.setattr(left_open, bound, 0)
    seen: list[list[str]] = []

    def decide(transaction: Transaction) -> int:
        seen.append(on_disk(tmp_path))
        key: int = add_message("b")(transaction)
        return key

    await store.commit(decide, b"body")
    assert seen == [["a"]]
    store.close()


async def test_who_asks_in_the_middle_of_a_turn_waits_for_what_was_acknowledged(tmp_path: Path) -> None:
    store = opened(tmp_path)
    await commits(store, "acknowledged")
    begun, goes_on = threading.Event(), threading.Event()

    def slow(transaction: Transaction) -> int:
        begun.set()
        assert goes_on.wait(10)
        key: int = add_message("deciding")(transaction)
        return key

    slowly = asyncio.create_task(store.commit(slow, b"body"))
    await asyncio.to_thread(begun.wait, 10)
    reading = asyncio.create_task(
        store.read(lambda c: [row[0] for row in c.execute("SELECT control_id FROM message")])
    )
    await asyncio.sleep(0.05)
    assert not reading.done(), "and the loop does not wait with him"
    goes_on.set()
    assert "acknowledged" in await reading
    await slowly
    store.close()


async def test_a_turn_that_is_undone_takes_nothing_of_those_before_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(tmp_path)
    await commits(store, "first")
    append = store.journal.append

    def full(parts: Any) -> None:
        raise OutOfResources("the journal's disk is full")

    monkeypatch.setattr(store.journal, "append", full)
    with pytest.raises(OutOfResources):
        await commits(store, "no room")
    monkeypatch.setattr(store.journal, "append", append)
    assert on_disk(tmp_path) == [], "it was undone with the one that had no room"
    await commits(store, "second")
    assert [row[1] for row in rows(store)] == ["first", "second"]
    store.close()
    forget_index(tmp_path)
    again = opened(tmp_path)
    assert [row[1] for row in rows(again)] == ["first", "second"]
    again.close()


async def test_what_nobody_foresaw_in_a_turn_leaves_no_half_of_it_in_the_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows of a record that was not written are not ended with those of the turns before."""
    store = opened(tmp_path)
    await commits(store, "first")

    def broken(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(store._writer, "_undo", broken)
    monkeypatch.setattr(store.journal, "append", broken)
    with pytest.raises(StoreFailed):
        await commits(store, "half")
    assert not store.healthy
    monkeypatch.undo()
    store.close()
    assert "half" not in on_disk(tmp_path)
    again = opened(tmp_path)
    assert [row[1] for row in rows(again)] == ["first"]
    again.close()
