"""In a burst the writer's thread leaves the index's transaction open as well: whoever asks ends it first."""

import asyncio
import random
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from samsyn.errors import BadInput, OutOfResources
from samsyn.store import writer
from samsyn.store.index.port import IndexConnection, IndexFault, NoRoom
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction
from tests.indexes import sqlite_only
from tests.store.refusing import refusing
from tests.store.test_at_once import made_anew, on_disk, refuse
from tests.store.test_store import add_message, opened, rows
from tests.waiting import PATIENCE_S, until

pytestmark = sqlite_only


@pytest.fixture
def burst(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing ends by time, on a disk that counts as quick whatever this machine's does."""
    monkeypatch.setattr(writer, "_LEFT_OPEN_S", 60.0)
    monkeypatch.setattr(writer, "_QUICK_S", 60.0)


async def several(store: Store, *decisions: Any) -> list[Any]:
    """A turn of the thread: nobody of these is a session that waits."""
    coming = (store.commit(decide, b"body") for decide in decisions)
    return await asyncio.gather(*coming, return_exceptions=True)


def ids(store: Store) -> list[str]:
    return [row[1] for row in rows(store)]


@pytest.mark.usefixtures("burst")
async def test_turns_of_the_thread_share_the_commit_and_who_asks_finds_them(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store._writer.settle()
    statements: list[str] = []
    store._index.set_trace_callback(statements.append)
    for start in (0, 3, 6):
        told = await several(store, *(add_message(f"n{start + number}") for number in range(3)))
        assert [each.receipt.outcome for each in told] == ["stored"] * 3
    words = [word for word in statements if word.startswith(("BEGIN", "COMMIT"))]
    assert words == ["BEGIN IMMEDIATE"]
    assert on_disk(tmp_path) == [], "the answers do not wait for the index"
    assert ids(store) == [f"n{number}" for number in range(9)]
    assert statements.count("COMMIT") == 1
    assert on_disk(tmp_path) == ids(store)
    store.close()
    again = opened(tmp_path)
    assert again.replayed == 0
    again.close()


@pytest.mark.usefixtures("burst")
@pytest.mark.parametrize("way", ["peek", "read", "recall"])
async def test_it_is_found_however_it_is_asked_for(tmp_path: Path, way: str) -> None:
    store = opened(tmp_path)

    def newest(connection: Any) -> Any:
        return connection.execute("SELECT control_id FROM message ORDER BY message_key DESC").fetchone()

    for name in ("first", "second"):
        await several(store, add_message(name))
        assert store._writer._is_open
        found = await store.read(newest) if way == "read" else getattr(store, way)(newest)
        assert found[0] == name
        store._writer._asked = -60.0
    store.close()


@pytest.mark.usefixtures("burst")
async def test_while_somebody_asks_each_turn_ends_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_ASKED_S", 60.0)
    store = opened(tmp_path)
    store._writer._asked = -60.0
    await several(store, add_message("first"))
    assert on_disk(tmp_path) == []
    assert ids(store) == ["first"]
    await several(store, add_message("second"))
    assert on_disk(tmp_path) == ["first", "second"]
    store.close()


async def test_a_slow_disk_is_waited_for_by_nobody_who_asks(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store._writer._append_s = 60.0
    await several(store, add_message("first"))
    assert on_disk(tmp_path) == ["first"]
    store.close()


async def test_the_index_has_it_soon_though_nobody_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_QUICK_S", 60.0)
    store = opened(tmp_path)
    await several(store, add_message("first"))
    await until(lambda: on_disk(tmp_path) == ["first"])
    assert not store._writer._is_open
    store.close()


async def test_a_long_burst_does_not_keep_it_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_QUICK_S", 60.0)
    monkeypatch.setattr(writer, "_LEFT_OPEN_S", 0.005)
    store = opened(tmp_path)
    statements: list[str] = []
    store._index.set_trace_callback(statements.append)
    begun, sent = time.monotonic(), 0
    while time.monotonic() - begun < 0.3:
        await several(store, add_message(f"n{sent}"))
        sent += 1
    assert 1 < statements.count("COMMIT") <= sent
    store.close()


async def test_the_thread_does_not_wait_for_what_only_it_will_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loop goes on in what the thread has left open just when the thread looks whether there is something to end:
    had it waited for the turn then, nobody would have been answered any more until somebody asked the index."""
    monkeypatch.setattr(writer, "_QUICK_S", 60.0)
    store = opened(tmp_path)
    owned = store._writer
    real, goes_on, looks = owned.settle, threading.Event(), threading.Semaphore(0)

    def settle(is_asked: bool = False) -> None:
        if threading.current_thread() is owned._thread:
            goes_on.wait()
            owned._appended = -60.0  # the disk has been left alone for long: pages would be prepared now
            real(is_asked)
            looks.release()

    def going_on() -> None:
        with owned._ending:
            goes_on.set()
            assert looks.acquire(timeout=PATIENCE_S)
            # The thread, which looks only while something is open, is there again, or waits for the turn.
            looks.acquire(timeout=10 * writer._LEFT_OPEN_S)

    monkeypatch.setattr(owned, "settle", settle)
    await several(store, add_message("left open"))
    assert owned._is_open
    loop = threading.Thread(target=going_on)
    loop.start()
    await asyncio.to_thread(loop.join)
    told = await asyncio.wait_for(several(store, add_message("next")), PATIENCE_S)
    assert [each.receipt.outcome for each in told] == ["stored"]
    monkeypatch.undo()
    assert ids(store) == ["left open", "next"]
    store.close()


@pytest.mark.usefixtures("burst")
async def test_a_stop_ends_what_the_thread_left_open(tmp_path: Path) -> None:
    store = opened(tmp_path)
    await several(store, add_message("first"), add_message("second"))
    assert store._writer._is_open
    store.close()
    assert on_disk(tmp_path) == ["first", "second"]


@pytest.mark.usefixtures("burst")
async def test_who_asks_waits_for_the_turn_that_goes_on_and_whoever_does_not_ask_does_not(
    tmp_path: Path,
) -> None:
    store = opened(tmp_path)
    await several(store, add_message("acknowledged"))
    deciding, goes_on, asks = threading.Event(), threading.Event(), threading.Event()
    seen: list[str] = []

    def waiting(transaction: Transaction) -> int:
        deciding.set()
        assert goes_on.wait(20)
        return add_message("deciding")(transaction)

    def ask() -> None:
        asks.set()
        seen.extend(ids(store))

    asking = threading.Thread(target=ask)
    turn = asyncio.create_task(store.commit(waiting, b"body"))
    assert await asyncio.to_thread(deciding.wait, 20)
    store._writer.settle()
    assert on_disk(tmp_path) == [], "a transaction is not ended in the middle of a decision"
    assert store.commit_at_once(add_message("on the loop"), b"body") is None, (
        "the loop does not wait for the thread"
    )
    asking.start()
    assert await asyncio.to_thread(asks.wait, 20)
    goes_on.set()
    await turn
    await asyncio.to_thread(asking.join, 20)
    assert seen[0] == "acknowledged"
    assert ids(store) == ["acknowledged", "deciding"]
    store.close()


@pytest.mark.usefixtures("burst")
async def test_loop_and_thread_go_on_in_one_transaction(tmp_path: Path) -> None:
    store = opened(tmp_path)
    await several(store, add_message("by the thread"))
    assert store._writer._is_open
    now = store.commit_at_once(add_message("on the loop"), b"body")
    assert now is not None
    [last] = await several(store, add_message("by the thread again"))
    assert last.receipt.sequence == now.receipt.sequence + 1
    assert on_disk(tmp_path) == []
    assert ids(store) == ["by the thread", "on the loop", "by the thread again"]
    assert made_anew(store, tmp_path) == ["by the thread", "on the loop", "by the thread again"]


@pytest.mark.usefixtures("burst")
async def test_a_refusal_takes_nothing_with_it_of_its_turn_or_those_before(tmp_path: Path) -> None:
    store = opened(tmp_path)
    await several(store, add_message("first"), add_message("second"))
    told = await several(store, add_message("third"), refuse, add_message("first"), add_message("fourth"))
    assert [type(each).__name__ for each in told] == ["Committed", "BadInput", "Conflict", "Committed"]
    assert ids(store) == ["first", "second", "third", "fourth"]
    assert made_anew(store, tmp_path) == ["first", "second", "third", "fourth"]


@pytest.mark.usefixtures("burst")
async def test_a_full_disk_refuses_the_turn_and_those_before_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(tmp_path)
    await several(store, add_message("acknowledged"))
    append = store.journal.append

    def full(parts: Any) -> None:
        raise OutOfResources("disk")

    monkeypatch.setattr(store.journal, "append", full)
    told = await several(store, add_message("refused"))
    assert isinstance(told[0], OutOfResources)
    monkeypatch.setattr(store.journal, "append", append)
    assert not isinstance((await several(store, add_message("next")))[0], BaseException)
    assert ids(store) == ["acknowledged", "next"]
    assert store.healthy
    assert made_anew(store, tmp_path) == ["acknowledged", "next"]


@pytest.mark.usefixtures("burst")
@pytest.mark.parametrize("fault", [NoRoom("full"), IndexFault("disk I/O error")])
@pytest.mark.parametrize("by", ["asking", "the next turn"])
async def test_an_index_that_can_not_take_it_is_brought_up_before_the_next_decision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: IndexFault, by: str
) -> None:
    store = opened(tmp_path)
    index = refusing(store, monkeypatch, fault, "COMMIT")
    first = (await several(store, add_message("acknowledged")))[0]
    assert first.receipt.outcome == "stored", "it is durable, so it is acknowledged"
    if by == "asking":
        assert ids(store) == []
    else:
        store._writer._opened = -60.0
        told = await several(store, add_message("refused"))
        assert isinstance(told[0], OutOfResources if isinstance(fault, NoRoom) else Exception)
        if not isinstance(fault, NoRoom):
            assert not store.healthy, "what the index has is not known any more: a restart makes it anew"
    index.refused.clear()
    if store.healthy:
        second = (await several(store, add_message("next")))[0]
        assert second.receipt.sequence == first.receipt.sequence + 1
        assert ids(store) == ["acknowledged", "next"]
    store.close()
    again = opened(tmp_path)
    assert "acknowledged" in ids(again)
    again.close()


async def test_whoever_was_answered_is_found_by_everybody_from_then_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Senders that wait and that do not, askers on the loop and on threads, all at once."""
    monkeypatch.setattr(writer, "_QUICK_S", 60.0)
    monkeypatch.setattr(writer, "_ASKED_S", 0.0005)
    store = opened(tmp_path)
    chance = random.Random(20261127)
    answered: list[str] = []
    missed: list[str] = []
    opens = 0
    is_over = threading.Event()

    def look_for(names: list[str], found: set[str]) -> None:
        missed.extend(name for name in names if name not in found)

    def reader() -> None:
        """On a connection of its own, as each thread that asks."""
        while not is_over.is_set():
            names = answered[-20:]
            store._writer.settle(is_asked=True)
            look_for(names, set(on_disk(tmp_path)))
            time.sleep(0.002)

    async def sender(place: int) -> None:
        nonlocal opens
        for number in range(60):
            name = f"{place}-{number}"
            decide = add_message(name) if chance.random() < 0.9 else partial(_refused, name)
            session = f"session-{place}" if place % 2 else ""
            try:
                await store.commit(decide, b"x" * chance.randrange(1, 3000), sender=session)
            except BadInput:
                continue
            answered.append(name)
            opens += store._writer._is_open
            if chance.random() < 0.2:
                look_for([name], set(await store.read(_control_ids)))
            await asyncio.sleep(chance.random() * 0.003)

    threads = [threading.Thread(target=reader) for _ in range(2)]
    for thread in threads:
        thread.start()
    await asyncio.gather(*(sender(place) for place in range(8)))
    is_over.set()
    for thread in threads:
        await asyncio.to_thread(thread.join, 20)
    assert missed == []
    assert opens > 10, "nothing was left open, so nothing was tried"
    assert sorted(ids(store)) == sorted(answered)
    store.close()
    assert sorted(on_disk(tmp_path)) == sorted(answered)
    assert sorted(made_anew(opened(tmp_path), tmp_path)) == sorted(answered)


def _control_ids(connection: IndexConnection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT control_id FROM message").fetchall()]


def _refused(name: str, transaction: Transaction) -> None:
    add_message(name)(transaction)
    raise BadInput("no")
