"""The job table: every kind by its own worker, as many at a time as there are places, again after a failure."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from samsyn.clock import SystemClock
from samsyn.errors import OutOfResources
from samsyn.jobs import queue
from samsyn.jobs.leases import Leases
from samsyn.jobs.queue import Job, Later, Patience, Worker
from samsyn.store.index.port import IndexConnection
from samsyn.store.shared.memory import MemoryState
from samsyn.store.store import Store
from tests.indexes import make_store, own_server, postgresql_of
from tests.waiting import PATIENCE_S, paced, until


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = make_store(tmp_path, SystemClock())
    made.start()
    return made


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "_POLL_S", 0.02)


async def enqueue(store: Store, kind: str, *names: str) -> None:
    for name in names:
        await store.commit(lambda transaction, name=name: queue.enqueue(transaction, kind, name))  # type: ignore[misc]


def rows(store: Store) -> list[tuple[object, ...]]:
    return store.peek(lambda one: [tuple(row) for row in one.execute("SELECT name, state, attempt FROM job")])


async def test_a_worker_does_its_own_kinds_and_leaves_the_others(store: Store) -> None:
    done: list[str] = []

    async def work(job: Job) -> None:
        done.append(job.name)

    await enqueue(store, "theirs", "x")
    await enqueue(store, "ours", "a", "b")
    worker = Worker(store, SystemClock(), {"ours": work})
    worker.start()
    await until(lambda: worker.done == 2)
    await until(lambda: rows(store) == [("x", "ready", 0)])
    await worker.stop()
    store.close()
    assert sorted(done) == ["a", "b"]


async def test_as_many_are_done_at_once_as_there_are_places(store: Store) -> None:
    at_once, most, release = 0, 0, asyncio.Event()

    async def work(job: Job) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await release.wait()
        at_once -= 1

    await enqueue(store, "ours", *"abcdef")
    worker = Worker(store, SystemClock(), {"ours": work}, places=3)
    worker.start()
    await until(lambda: at_once == 3)
    await asyncio.sleep(0.1)
    release.set()
    await until(lambda: worker.done == 6)
    await worker.stop()
    store.close()
    assert most == 3


async def test_what_ends_while_the_index_is_read_is_not_done_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, done = store.read, []

    async def slowly(question: Callable[[IndexConnection], object]) -> object:
        rows = await read(question)
        await asyncio.sleep(0.05)
        return rows

    async def work(job: Job) -> None:
        await asyncio.sleep(0.02)
        done.append(job.name)

    await enqueue(store, "ours", "a", "b")
    monkeypatch.setattr(store, "read", slowly)
    worker = Worker(store, SystemClock(), {"ours": work})
    worker.start()
    await until(lambda: len(done) >= 2)
    await asyncio.sleep(0.3)
    await worker.stop()
    store.close()
    assert done == ["a", "b"]


async def test_failed_work_is_tried_again_and_parked_in_the_end(store: Store) -> None:
    attempts: list[int] = []

    async def work(job: Job) -> None:
        attempts.append(job.attempt)
        raise OutOfResources("nobody there")

    await enqueue(store, "ours", "a")
    worker = Worker(store, SystemClock(), {"ours": work}, patience=Patience(3, 0.01))
    worker.start()
    await until(lambda: rows(store) == [("a", "parked", 3)])
    await worker.stop()
    store.close()
    assert attempts == [0, 1, 2]
    assert worker.parked == 1


async def test_work_that_is_not_ripe_counts_no_attempt(store: Store) -> None:
    seen: list[int] = []

    async def work(job: Job) -> Later | None:
        seen.append(job.attempt)
        return Later(0.01) if len(seen) < 3 else None

    await enqueue(store, "ours", "a")
    worker = Worker(store, SystemClock(), {"ours": work})
    worker.start()
    await until(lambda: rows(store) == [])
    await worker.stop()
    store.close()
    assert seen == [0, 0, 0]


async def test_many_jobs_that_are_not_ripe_write_nothing_and_hide_no_other(store: Store) -> None:
    done: list[str] = []

    async def work(job: Job) -> Later | None:
        if job.name.startswith("later"):
            return Later(60.0)
        done.append(job.name)
        return None

    await enqueue(store, "ours", *(f"later{number}" for number in range(100)))
    worker = Worker(store, SystemClock(), {"ours": work})
    worker.start()
    await until(lambda: len(worker._unripe) == 100)
    records = store.records
    await asyncio.sleep(0.2)
    assert store.records == records
    await enqueue(store, "ours", "now")
    worker.wake()
    await until(lambda: done == ["now"])
    await worker.stop()
    store.close()


async def test_a_woken_worker_does_not_wait_for_its_next_look(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "_POLL_S", 60.0)

    async def work(job: Job) -> None:
        return None

    worker = Worker(store, SystemClock(), {"ours": work})
    worker.start()
    await asyncio.sleep(0.05)
    await enqueue(store, "ours", "a")
    worker.wake()
    await until(lambda: worker.done == 1)
    await worker.stop()
    store.close()


async def test_work_under_way_at_the_end_is_done_after_the_next_start(store: Store) -> None:
    started, done = asyncio.Event(), asyncio.Event()

    async def never(job: Job) -> None:
        started.set()
        await asyncio.sleep(60)

    async def work(job: Job) -> None:
        done.set()

    await enqueue(store, "ours", "a")
    first = Worker(store, SystemClock(), {"ours": never})
    first.start()
    await started.wait()
    await first.stop()
    second = Worker(store, SystemClock(), {"ours": work})
    second.start()
    await until(done.is_set)
    await until(lambda: rows(store) == [])
    await second.stop()
    store.close()


def test_pauses_double_up_to_the_longest() -> None:
    patience = Patience(100, 900.0)
    assert [patience.pause_s(attempt) for attempt in (1, 2, 3, 9, 10, 99)] == [2, 4, 8, 512, 900, 900]


async def test_two_workers_do_each_job_once(store: Store) -> None:
    shared, done = MemoryState(SystemClock()), []

    async def work(job: Job) -> None:
        await asyncio.sleep(0.01)
        done.append(job.name)

    await enqueue(store, "ours", *(str(number) for number in range(30)))
    workers = [
        Worker(store, SystemClock(), {"ours": work}, 2, leases=Leases(shared, name, 5))
        for name in ("one", "two")
    ]
    for worker in workers:
        worker.start()
    await until(lambda: rows(store) == [])
    assert sorted(done) == sorted(str(number) for number in range(30))
    assert all(worker.done > 5 for worker in workers)
    for worker in workers:
        await worker.stop()
    store.close()


async def test_a_job_of_a_node_that_died_is_done_by_another_after_the_lease(store: Store) -> None:
    done: list[str] = []

    async def work(job: Job) -> None:
        done.append(job.name)

    await enqueue(store, "ours", "a")
    [(key,)] = store.peek(lambda one: [tuple(row) for row in one.execute("SELECT job_key FROM job")])
    async with paced() as clock:
        shared = MemoryState(clock)
        assert shared.claim("job", {str(key)}, "dead", 0.5) == {str(key)}
        worker = Worker(store, SystemClock(), {"ours": work}, leases=Leases(shared, "alive", 5))
        worker.start()
        await clock.passes(0.2)
        assert done == []
        await until(lambda: done == ["a"])
        await worker.stop()
    store.close()


async def test_a_long_job_keeps_its_lease(store: Store) -> None:
    began: list[str] = []
    ends = asyncio.Event()

    async def work(job: Job) -> None:
        began.append(job.name)
        await ends.wait()

    await enqueue(store, "ours", "a")
    async with paced() as clock:
        shared = MemoryState(clock)
        workers = [
            Worker(store, SystemClock(), {"ours": work}, leases=Leases(shared, name, 0.5))
            for name in ("one", "two")
        ]
        for worker in workers:
            worker.start()
        await clock.passes(1.6)
        assert began == ["a"]
        ends.set()
        await until(lambda: rows(store) == [])
        for worker in workers:
            await worker.stop()
    store.close()


@pytest.mark.slow
async def test_a_worker_outlives_a_database_that_was_away(tmp_path: Path) -> None:
    done: list[str] = []

    async def work(job: Job) -> None:
        done.append(job.name)

    with own_server() as server:
        store = Store(tmp_path, SystemClock(), index=postgresql_of(tmp_path, server))
        store.start()
        worker = Worker(store, SystemClock(), {"ours": work})
        worker.start()
        await enqueue(store, "ours", "before")
        await until(lambda: done == ["before"])
        await asyncio.to_thread(server.stop)
        await asyncio.sleep(0.5)
        await asyncio.to_thread(server.start)
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    await enqueue(store, "ours", "after")
                    break
                except OutOfResources:
                    await asyncio.sleep(0.1)
            # "before" may be done again: its end may not have been noted
            await until(lambda: "after" in done)
        await worker.stop()
        store.close()
