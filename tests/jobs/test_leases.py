"""Leases and duties: one node does a thing at a time, and another one takes over from the dead."""

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from samsyn.clock import SystemClock
from samsyn.jobs.leases import Duties, Duty, Leases
from samsyn.store.shared.memory import MemoryState
from samsyn.store.shared.port import SharedState
from samsyn.store.shared.postgresql import PostgresState
from tests.indexes import shared_server
from tests.waiting import paced, until


class HeldClock:
    """A clock that stands until the test moves it."""

    def __init__(self) -> None:
        self.at = 1000.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.at)

    def monotonic(self) -> float:
        return self.at


@pytest.fixture(params=["memory", pytest.param("postgresql", marks=pytest.mark.slow)])
def shared(request: pytest.FixtureRequest) -> Iterator[SharedState]:
    if request.param == "memory":
        yield MemoryState(SystemClock())
        return
    state = PostgresState(shared_server().url, schema=f"s{id(request)}")
    yield state
    state.close()


def test_a_value_is_there_until_its_end(shared: SharedState) -> None:
    assert shared.get("session", "a") is None
    shared.put("session", "a", "one", 60)
    shared.put("session", "a", "two", 60)
    shared.put("session", "b", "åäö", 60)
    shared.put("session", "gone", "x", 0)
    shared.put("other", "a", "x", 60)
    assert shared.get("session", "a") == "two"
    assert shared.get("session", "gone") is None
    assert shared.find("session") == [("a", "two"), ("b", "åäö")]
    assert shared.find("session", "b") == [("b", "åäö")]
    assert shared.sweep() == 1


def test_of_many_who_take_a_value_one_gets_it(shared: SharedState) -> None:
    shared.put("login", "state", "secret", 60)
    got: list[str | None] = []
    threads = [threading.Thread(target=lambda: got.append(shared.take("login", "state"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got, key=str) == [*[None] * 7, "secret"]


def test_what_is_gone_is_not_renewed(shared: SharedState) -> None:
    assert not shared.renew("session", "gone", "a", 60)
    assert shared.get("session", "gone") is None
    shared.put("session", "short", "a", 0)
    assert not shared.renew("session", "short", "b", 60)
    shared.put("session", "there", "a", 60)
    assert shared.renew("session", "there", "b", 60)
    assert shared.get("session", "there") == "b"


def test_what_may_be_used_once_is_noted_once(shared: SharedState) -> None:
    assert shared.put_once("assertion", "id", 60)
    assert not shared.put_once("assertion", "id", 60)
    assert shared.put_once("assertion", "short", 0)
    assert shared.put_once("assertion", "short", 60)


def test_a_lease_is_one_owners_until_it_is_given_back_or_over(shared: SharedState) -> None:
    assert shared.claim("job", {"1", "2"}, "one", 60) == {"1", "2"}
    assert shared.claim("job", {"2", "3"}, "two", 60) == {"3"}
    assert shared.claim("job", {"1", "2", "3"}, "one", 60) == {"1", "2"}
    shared.release("job", {"1", "3"}, "one")
    assert shared.claim("job", {"1", "2", "3"}, "two", 0) == {"1", "3"}
    assert shared.claim("job", {"1", "2", "3"}, "one", 60) == {"1", "2", "3"}


def test_of_many_owners_at_once_each_key_has_one(shared: SharedState) -> None:
    keys = {str(number) for number in range(50)}
    claimed: dict[str, set[str]] = {}

    def claim(owner: str) -> None:
        claimed[owner] = shared.claim("job", keys, owner, 60)

    threads = [threading.Thread(target=claim, args=(f"node{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    held = [key for ours in claimed.values() for key in ours]
    assert sorted(held) == sorted(keys)


class Counted:
    """A duty that knows how often it runs at once."""

    def __init__(self) -> None:
        self.at_once = 0
        self.most = 0
        self.started = 0

    def duty(self) -> Duty:
        return Duty("scrub", self.start, self.stop)

    async def start(self) -> None:
        self.started += 1
        self.at_once += 1
        self.most = max(self.most, self.at_once)

    async def stop(self) -> None:
        self.at_once -= 1


async def test_a_duty_runs_on_one_node_and_goes_over_when_that_one_stops() -> None:
    counted = Counted()
    async with paced() as clock:
        shared = MemoryState(clock)
        nodes = [Duties(Leases(shared, name, 0.5), clock) for name in ("one", "two")]
        for node in nodes:
            await node.start([counted.duty()])
        await until(lambda: counted.started == 1)
        await clock.passes(0.8)
        assert counted.started == 1
        first = next(node for node in nodes if node.running)
        await first.stop()
        await until(lambda: counted.started == 2)
        assert counted.most == 1
        for node in nodes:
            if node is not first:
                await node.stop()


async def test_a_duty_of_a_node_that_died_is_taken_over_after_its_lease() -> None:
    clock, counted = HeldClock(), Counted()
    shared = MemoryState(clock)
    assert shared.claim("duty", {"scrub"}, "dead", 15)
    node = Duties(Leases(shared, "alive", 0.3), clock)
    await node.start([counted.duty()])
    await asyncio.sleep(0.3)
    assert counted.started == 0
    clock.at += 16
    await until(lambda: counted.started == 1)
    await node.stop()


async def test_a_node_that_can_not_renew_stops_before_another_may_begin() -> None:
    clock, counted = HeldClock(), Counted()
    shared = MemoryState(clock)
    node = Duties(Leases(shared, "one", 0.3), clock)
    await node.start([counted.duty()])
    await until(lambda: counted.at_once == 1)
    clock.at += 0.29  # as if all attempts to renew were lost meanwhile
    shared._values["duty", "scrub"] = ("two", clock.at + 100)
    await until(lambda: counted.at_once == 0)
    await node.stop()


async def test_where_there_is_no_other_node_all_duties_run_at_once() -> None:
    counted = Counted()
    node = Duties(None, SystemClock())
    await node.start([counted.duty()])
    assert counted.at_once == 1
    assert node.running == ["scrub"]
    await node.stop()
    assert counted.at_once == 0
