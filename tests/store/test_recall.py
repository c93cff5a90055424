"""What is remembered of the index between two turns of the writer is never older than what would be read."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from samsyn.clock import SystemClock
from samsyn.store.index.port import IndexConnection
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction
from tests.indexes import make_store, sqlite_only


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = make_store(tmp_path, SystemClock())
    opened.start()
    yield opened
    opened.close()


def lifts(connection: IndexConnection, beginning: str) -> int:
    row = connection.execute("SELECT COUNT(*) FROM lift WHERE lift_id LIKE ?", (f"{beginning}%",)).fetchone()
    return int(row[0])


asked: list[IndexConnection] = []


def absent(connection: IndexConnection) -> None:
    asked.append(connection)


async def test_whoever_has_been_told_of_a_change_sees_it(store: Store) -> None:
    for number in range(50):
        assert store.recall(lifts, "a") == store.recall(lifts, "a") == number
        await store.commit(lambda transaction, n=number: transaction.insert("lift", lift_id=f"a{n}"))
    assert store.recall(lifts, "b") == 0


async def test_nobody_sees_less_than_a_plain_look_did_before_him(store: Store) -> None:
    stop = False

    async def send(name: str) -> None:
        for number in range(40):
            await store.commit(
                lambda transaction, n=number: transaction.insert("lift", lift_id=f"{name}{n:02}")
            )

    async def look() -> int:
        looks = 0
        while not stop:
            plain = store.peek(lambda connection: lifts(connection, "a"))
            assert store.recall(lifts, "a") >= plain - 2  # the writer may be between a commit and its word
            told = store.recall(lifts, "a")
            await asyncio.sleep(0)
            assert store.recall(lifts, "a") >= told
            looks += 1
        return looks

    looking = asyncio.create_task(look())
    await asyncio.gather(*(send(name) for name in ("a1", "a2", "b")))
    assert store.recall(lifts, "a") == 80
    stop = True
    assert await looking > 40


async def test_a_refused_change_leaves_the_answer_as_it_was(store: Store) -> None:
    def refuse(transaction: Transaction) -> None:
        transaction.insert("lift", lift_id="a")
        raise ValueError

    assert store.recall(lifts, "a") == 0
    with pytest.raises(ValueError):
        await store.commit(refuse)
    assert store.recall(lifts, "a") == 0


@sqlite_only
async def test_what_is_absent_is_remembered_too_and_memory_is_bounded(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked.clear()
    for _ in range(3):
        assert store.recall(absent) is None
    assert len(asked) == 1
    await store.commit(lambda transaction: transaction.insert("lift", lift_id="a"))
    store.recall(absent)
    assert len(asked) == 2
    monkeypatch.setattr("samsyn.store.store._RECALLED", 5)
    for number in range(20):
        store.recall(lifts, str(number))
    assert len(store._recalled) == 5
