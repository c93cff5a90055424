"""A session that comes alone is answered by the caller's own thread, and the index ends its transaction afterwards."""

import asyncio
import hashlib
import sqlite3
import threading
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from samsyn.errors import BadInput, OutOfResources, StoreFailed
from samsyn.store import writer
from samsyn.store.index.port import IndexFault, NoRoom
from samsyn.store.store import Store
from samsyn.store.submitted import Submitted, fulfil
from samsyn.store.transaction import Transaction
from tests.indexes import forget_index, sqlite_only
from tests.store.refusing import refusing
from tests.store.test_store import add_message, opened, rows
from tests.waiting import until

pytestmark = sqlite_only


async def alone(store: Store, session: str = "one") -> None:
    """Lets one session come until it counts as alone, on a disk that is known to be quick."""
    for number in range(writer._ALONE_AFTER + 1):
        await store.commit(add_message(f"{session}-before-{number}"), b"x", sender=session)
    store._writer._append_s = 0.0
    assert store.goes_at_once(session, 1)


def on_disk(folder: Path) -> list[str]:
    """What another process would see in the index."""
    with sqlite3.connect(f"file:{folder / 'index.sqlite'}?mode=ro", uri=True) as connection:
        found = connection.execute("SELECT control_id FROM message ORDER BY message_key").fetchall()
    connection.close()
    return [row[0] for row in found]


def made_anew(store: Store, folder: Path) -> list[str]:
    """What the journal alone says, in order."""
    store.close()
    forget_index(folder)
    again = opened(folder)
    found = [row[1] for row in rows(again)]
    again.close()
    return found


def refuse(transaction: Transaction) -> None:
    """Decides against it when it has changed something already."""
    add_message("refused")(transaction)
    transaction.update("message", {"message_key": 1}, outcome="changed")
    raise BadInput("no")


def threads_of_syncs(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Notes which thread has each record written."""
    seen: list[str] = []
    append = store.journal.append

    def noting(parts: Any) -> None:
        seen.append(threading.current_thread().name)
        append(parts)

    monkeypatch.setattr(store.journal, "append", noting)
    return seen


async def test_it_is_durable_and_then_readable_however_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(tmp_path)
    await alone(store)
    threads = threads_of_syncs(store, monkeypatch)
    before = store.syncs
    committed = store.commit_at_once(add_message("now"), b"body")
    assert committed is not None
    assert committed.receipt.outcome == "stored"
    assert (store.syncs, threads) == (before + 1, [threading.current_thread().name])
    assert "now" not in on_disk(tmp_path), "the answer does not wait for the index"
    assert rows(store)[-1] == (committed.value, "now", b"body")
    assert on_disk(tmp_path)[-1] == "now"
    again = store.commit_at_once(add_message("again"), b"other")
    assert again is not None
    last = await store.read(lambda c: c.execute("SELECT MAX(control_id) FROM message").fetchone()[0])
    assert last == "one-before-4"
    assert [row[1] for row in rows(store)][-2:] == ["now", "again"]
    store.close()


async def test_whoever_sends_on_without_waiting_does_not_keep_the_loop(tmp_path: Path) -> None:
    store = opened(tmp_path)
    await alone(store)
    store.commit_at_once(add_message("now"), b"body")
    assert not store.goes_at_once("one", 1)
    await asyncio.sleep(0)
    store._writer._append_s = 0.0  # however long this machine's disk took
    assert store.goes_at_once("one", 1)
    store.close()


async def test_the_index_has_it_soon_though_nobody_asks(tmp_path: Path) -> None:
    store = opened(tmp_path)
    await alone(store)
    store.commit_at_once(add_message("now"), b"body")
    await until(lambda: on_disk(tmp_path)[-1] == "now")
    store.close()


async def test_those_that_come_soon_share_the_commit_of_the_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_LEFT_OPEN_S", 60.0)
    store = opened(tmp_path)
    await alone(store)
    statements: list[str] = []
    store._index.set_trace_callback(statements.append)
    for number in range(5):
        assert store.commit_at_once(add_message(f"n{number}"), b"body") is not None
    assert [word for word in statements if word.startswith(("BEGIN", "COMMIT"))] == ["BEGIN IMMEDIATE"]
    assert "n0" not in on_disk(tmp_path)
    assert [row[1] for row in rows(store)][-5:] == [f"n{number}" for number in range(5)]
    assert statements.count("COMMIT") == 1
    store.close()
    again = opened(tmp_path)
    assert again.replayed == 0
    again.close()


async def test_a_refusal_takes_nothing_of_those_before_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither one that is told by the decision nor one that undoes the whole transaction of the index."""
    monkeypatch.setattr(writer, "_LEFT_OPEN_S", 60.0)
    store = opened(tmp_path)
    await alone(store)
    store.commit_at_once(add_message("first"), b"body")

    with pytest.raises(BadInput):
        store.commit_at_once(refuse, b"body")
    append = store.journal.append

    def full(parts: Any) -> None:
        raise OutOfResources("the journal's disk is full")

    monkeypatch.setattr(store.journal, "append", full)
    with pytest.raises(OutOfResources):
        store.commit_at_once(add_message("no room"), b"body")
    assert "first" not in on_disk(tmp_path), "it was undone with the one that had no room"
    monkeypatch.setattr(store.journal, "append", append)
    assert store.commit_at_once(add_message("second"), b"body") is not None
    assert [row[1] for row in rows(store)][-2:] == ["first", "second"]
    assert made_anew(store, tmp_path)[-2:] == ["first", "second"]


async def test_who_asks_on_another_thread_waits_for_what_was_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_LEFT_OPEN_S", 60.0)
    store = opened(tmp_path)
    await alone(store)
    asks, seen = threading.Event(), []
    store.commit_at_once(add_message("acknowledged"), b"body")

    def ask() -> None:
        asks.set()
        seen.extend(row[1] for row in rows(store))

    asking = threading.Thread(target=ask)

    def decide(transaction: Transaction) -> int:
        asking.start()
        assert asks.wait(10)
        time.sleep(0.05)
        assert "acknowledged" not in on_disk(tmp_path), (
            "a transaction is not ended in the middle of a decision"
        )
        return add_message("deciding")(transaction)

    assert store.commit_at_once(decide, b"body") is not None
    await asyncio.to_thread(asking.join, 10)
    assert "acknowledged" in seen
    store.close()


async def test_the_thread_goes_on_from_what_was_left_open(tmp_path: Path) -> None:
    store = opened(tmp_path)
    await alone(store)
    first = store.commit_at_once(add_message("now"), b"body")
    second = await store.commit(add_message("by the thread"), b"other")
    assert first is not None
    assert second.receipt.sequence == first.receipt.sequence + 1
    assert second.value == first.value + 1
    third = store.commit_at_once(add_message("now again"), b"third")
    assert third is not None
    assert third.receipt.sequence == second.receipt.sequence + 1
    store.close()
    again = opened(tmp_path)
    assert [row[1] for row in rows(again)][-3:] == ["now", "by the thread", "now again"]
    assert again.replayed == 0
    again.close()


async def test_a_stop_ends_what_was_left_open(tmp_path: Path) -> None:
    store = opened(tmp_path)
    await alone(store)
    store.commit_at_once(add_message("now"), b"body")
    store.close()
    assert on_disk(tmp_path)[-1] == "now"


async def test_the_journal_alone_has_it_before_the_index_does(tmp_path: Path) -> None:
    """As after kill -9 between the answer and the index's commit."""
    store = opened(tmp_path)
    await alone(store)
    store.commit_at_once(add_message("now"), b"body")
    store._index.execute("ROLLBACK")
    store.close()
    assert "now" not in on_disk(tmp_path)
    again = opened(tmp_path)
    assert again.replayed == 1
    assert rows(again)[-1][1:] == ("now", b"body")
    again.close()


@pytest.mark.parametrize("fault", [NoRoom("full"), IndexFault("disk I/O error")])
async def test_an_index_that_can_not_take_it_is_brought_up_before_the_next_decision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: IndexFault
) -> None:
    store = opened(tmp_path)
    await alone(store)
    index = refusing(store, monkeypatch, fault, "COMMIT")
    first = store.commit_at_once(add_message("now"), b"body")
    assert first is not None, "it is durable, so it is acknowledged"
    store._writer.settle()
    assert "now" not in on_disk(tmp_path)
    index.refused.clear()
    second = store.commit_at_once(add_message("next"), b"other")
    assert second is not None
    assert (second.receipt.sequence, second.value) == (first.receipt.sequence + 1, first.value + 1)
    assert [row[1:] for row in rows(store)][-2:] == [("now", b"body"), ("next", b"other")]
    assert store.healthy
    assert made_anew(store, tmp_path)[-2:] == ["now", "next"]


async def test_while_the_index_stays_full_nothing_more_is_taken_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(tmp_path)
    await alone(store)
    index = refusing(store, monkeypatch, NoRoom("full"), "COMMIT")
    store.commit_at_once(add_message("now"), b"body")
    store._writer.settle()
    with pytest.raises(OutOfResources):
        store.commit_at_once(add_message("refused"), b"other")
    with pytest.raises(OutOfResources):
        await store.commit(add_message("refused too"), b"other")
    index.refused.clear()
    await store.commit(add_message("later"), b"later")
    assert [row[1] for row in rows(store)][-2:] == ["now", "later"]
    store.close()


async def test_a_refusal_leaves_nothing_behind(tmp_path: Path) -> None:
    store = opened(tmp_path)
    await alone(store)
    end = store.journal.end

    with pytest.raises(BadInput):
        store.commit_at_once(refuse, b"body")
    assert store.journal.end == end
    assert "refused" not in [row[1] for row in rows(store)]
    committed = store.commit_at_once(add_message("taken"), b"body")
    assert committed is not None
    assert committed.value == writer._ALONE_AFTER + 2
    store.close()


async def test_a_failed_sync_acknowledges_nothing_and_stops_all_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(tmp_path)
    await alone(store)

    def failing(parts: Any) -> None:
        raise StoreFailed("journal: Input/output error")

    monkeypatch.setattr(store.journal, "append", failing)
    with pytest.raises(StoreFailed):
        store.commit_at_once(add_message("lost"), b"body")
    assert not store.healthy
    with pytest.raises(StoreFailed):
        store.commit_at_once(add_message("lost too"), b"body")
    assert "lost" not in [row[1] for row in rows(store)]
    store.close()


async def test_who_is_interrupted_leaves_the_turn_and_stops_all_writing(tmp_path: Path) -> None:
    store = opened(tmp_path)
    await alone(store)

    def interrupted(transaction: Transaction) -> None:
        add_message("half")(transaction)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.commit_at_once(interrupted, b"body")
    assert not store.healthy
    with pytest.raises(StoreFailed):
        await store.commit(add_message("after"), b"body")
    store.close()
    assert "half" not in on_disk(tmp_path)


async def test_only_a_session_that_came_alone_to_a_quick_disk_goes_at_once(tmp_path: Path) -> None:
    store = opened(tmp_path)
    for number in range(writer._ALONE_AFTER):
        await store.commit(add_message(str(number)), b"x", sender="one")
        assert not store.goes_at_once("one", 1)
    await alone(store)
    assert not store.goes_at_once("two", 1)
    assert store.goes_at_once("one", writer._AT_ONCE_BYTES)
    assert not store.goes_at_once("one", writer._AT_ONCE_BYTES + 1)
    store._writer._append_s = writer._QUICK_S
    assert not store.goes_at_once("one", 1)
    store._writer._append_s = 0.0
    await store.commit(add_message("another's"), b"x", sender="two")
    assert not store.goes_at_once("one", 1)
    await alone(store, "three")
    await store.commit(add_message("nobody's"), b"x")
    assert not store.goes_at_once("three", 1)
    store.close()


async def test_a_disk_that_turns_slow_is_waited_for_by_the_loop_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(tmp_path)
    await alone(store)
    append, slow, now = store.journal.append, [0.05], [1_000.0]

    def lasting(parts: Any) -> None:
        append(parts)
        now[0] += slow[0]

    monkeypatch.setattr(store.journal, "append", lasting)
    # What this machine's disk takes, and other work on it, is not what is tested.
    monkeypatch.setattr(writer, "time", SimpleNamespace(monotonic=lambda: now[0]))
    store.commit_at_once(add_message("slow"), b"body")
    assert not store.goes_at_once("one", 1)
    slow[0] = 0.0001
    for number in range(200):
        if store.goes_at_once("one", 1):
            break
        await store.commit(add_message(f"quick {number}"), b"body", sender="one")
    assert store.goes_at_once("one", 1)
    store.close()


async def test_while_the_thread_has_its_turn_nothing_goes_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(tmp_path)
    await alone(store)
    begun, goes_on = threading.Event(), threading.Event()

    def waiting(transaction: Transaction) -> None:
        begun.set()
        goes_on.wait(10)
        add_message("by the thread")(transaction)

    slow = asyncio.create_task(store.commit(waiting, b"body", sender="one"))
    await asyncio.to_thread(begun.wait, 10)
    assert store.commit_at_once(add_message("now"), b"body") is None
    goes_on.set()
    await slow
    assert [row[1] for row in rows(store)][-1] == "by the thread"
    store.close()


async def test_both_ways_side_by_side_lose_and_confuse_nothing(tmp_path: Path) -> None:
    store = opened(tmp_path)
    await alone(store)
    taken: dict[str, tuple[int, bytes]] = {}
    at_once = 0
    for number in range(300):
        name, body = f"n{number}", hashlib.sha256(str(number).encode()).digest() * (number % 40 + 1)
        if number % 7 == 0:
            others = [store.commit(add_message(f"{name}-{k}"), body + bytes([k])) for k in range(3)]
            for k, done in enumerate(await asyncio.gather(*others)):
                taken[f"{name}-{k}"] = (done.value, body + bytes([k]))
        store._writer._sender, store._writer._in_a_row, store._writer._append_s = "one", 9, 0.0
        committed = store.commit_at_once(add_message(name), body)
        if committed is None:
            committed = await store.commit(add_message(name), body, sender="one")
        else:
            at_once += 1
        taken[name] = (committed.value, body)
    assert at_once > 200
    assert {row[1]: (row[0], row[2]) for row in rows(store) if row[1] in taken} == taken
    assert len(taken) == 300 + 3 * 43
    store.close()
    forget_index(tmp_path)
    again = opened(tmp_path)
    assert {row[1]: (row[0], row[2]) for row in rows(again) if row[1] in taken} == taken
    again.close()


async def turn(store: Store, *decisions: Any, body: bytes = b"body") -> list[Any]:
    """Each decision comes from a session of its own that waits for its answer, all in one turn of the loop."""
    coming = (
        store.commit(decide, body, sender=f"session-{number}") for number, decide in enumerate(decisions)
    )
    return await asyncio.gather(*coming, return_exceptions=True)


async def test_a_turn_of_sessions_that_wait_is_decided_by_the_loop_and_shares_sync_and_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_LEFT_OPEN_S", 60.0)
    monkeypatch.setattr(writer, "_QUICK_S", 60.0)
    store = opened(tmp_path)
    await alone(store)
    store._writer.settle()
    seen = threads_of_syncs(store, monkeypatch)
    statements: list[str] = []
    store._index.set_trace_callback(statements.append)
    for start in (0, 3):
        told = await turn(store, *(add_message(f"n{start + number}") for number in range(3)))
        assert [each.receipt.outcome for each in told] == ["stored"] * 3
    assert seen == ["MainThread"] * 2
    assert [word for word in statements if word.startswith(("BEGIN", "COMMIT"))] == ["BEGIN IMMEDIATE"]
    assert "n0" not in on_disk(tmp_path)
    assert [row[1] for row in rows(store)][-6:] == [f"n{number}" for number in range(6)]
    store.close()


async def test_a_refusal_in_a_turn_takes_nothing_with_it_of_that_turn_or_those_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_LEFT_OPEN_S", 60.0)
    monkeypatch.setattr(writer, "_QUICK_S", 60.0)
    store = opened(tmp_path)
    await alone(store)
    await turn(store, add_message("first"), add_message("second"))
    assert "first" not in on_disk(tmp_path)
    told = await turn(store, add_message("third"), refuse, add_message("first"), add_message("fourth"))
    assert [type(each).__name__ for each in told] == ["Committed", "BadInput", "Conflict", "Committed"]
    expected = ["first", "second", "third", "fourth"]
    assert [row[1] for row in rows(store)][-4:] == expected
    assert made_anew(store, tmp_path)[-4:] == expected


async def test_what_the_thread_has_or_the_loop_should_not_wait_for_is_not_decided_by_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_QUICK_S", 60.0)
    store = opened(tmp_path)
    await alone(store)
    seen = threads_of_syncs(store, monkeypatch)

    async def by(what: Any, *decisions: Any, body: bytes = b"body") -> set[str]:
        seen.clear()
        await what(store, *decisions, body=body)
        return set(seen)

    async def unwaited(store: Store, *decisions: Any, body: bytes) -> None:
        await asyncio.gather(*(store.commit(decide, body) for decide in decisions))

    def pair(name: str) -> list[Any]:
        return [add_message(f"{name}-{number}") for number in range(2)]

    assert await by(turn, *pair("quick")) == {"MainThread"}
    assert await by(turn, *pair("large"), body=bytes(writer._TURN_AT_ONCE_BYTES)) == {"journal-writer"}
    assert await by(unwaited, *pair("unwaited")) == {"journal-writer"}
    store._writer._append_s = 61.0
    assert await by(turn, *pair("slow")) == {"journal-writer"}
    store._writer._append_s = 0.0
    store._writer._turns_in_a_row = writer._TURN_BY_THREAD_EVERY
    assert await by(turn, *pair("tidied")) == {"journal-writer"}
    assert await by(turn, *pair("again")) == {"MainThread"}

    spooled = store.spool()
    spooled.append(b"in a file of its own")
    await asyncio.to_thread(store.journal.lay, spooled)
    loop = asyncio.get_running_loop()
    futures = [loop.create_future() for _ in range(2)]
    seen.clear()
    for decide, body, future in zip(pair("spooled"), (spooled, b"body"), futures, strict=True):
        told = partial(fulfil, future)
        digest = hashlib.sha256(body.read(0, 100) if body is spooled else body).hexdigest()
        store._writer._hand_on(Submitted(decide, body, digest, None, None, loop, told, waits=True))
    await asyncio.gather(*futures)
    assert "MainThread" not in seen
    assert [row[2] for row in rows(store)[-2:]] == [b"in a file of its own", b"body"]
    spooled.discard()

    begun, held = threading.Event(), threading.Event()

    def hold(transaction: Transaction) -> None:
        begun.set()
        assert held.wait(60)

    first = asyncio.ensure_future(store.commit(hold))
    await until(begun.is_set)
    asyncio.get_running_loop().call_later(0.05, held.set)
    assert await by(turn, *pair("behind")) == {"journal-writer"}
    await first
    store.close()


async def test_a_table_is_empty_until_a_decision_of_the_same_turn_fills_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_QUICK_S", 60.0)
    store = opened(tmp_path)
    await alone(store)

    def ask(transaction: Transaction) -> bool:
        add_message(f"asked-{transaction.next_key('held')}")(transaction)
        return transaction.is_empty("correction")

    def correct(transaction: Transaction) -> bool:
        transaction.insert("correction", correction_key=transaction.next_key("correction"), accession="A1")
        return transaction.is_empty("correction")

    def correct_and_refuse(transaction: Transaction) -> None:
        correct(transaction)
        raise BadInput("no")

    told = await turn(store, ask, correct_and_refuse, ask, correct, ask, ask)
    answers = [each.value if not isinstance(each, BaseException) else None for each in told]
    assert answers == [True, None, True, False, False, False]
    store.close()
