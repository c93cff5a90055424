"""What happens to a series between the steps of its settling: a steward takes it up, more comes, another node settles
it too. Whatever the order, readers find each instance once, as if nothing were ever settled."""

import asyncio
import random
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from samsyn import limits
from samsyn.clock import SystemClock
from samsyn.errors import Conflict, DamagedData, OutOfResources
from samsyn.store.index import instance_rows
from samsyn.store.objects.folder import FolderObjects
from samsyn.store.objects.sealed import SealedObjects
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction
from samsyn.store.upkeep.scrub import Scrub
from samsyn.store.upkeep.settle import Settling
from samsyn.store.upkeep.sweep import Sweeping
from tests.access.house import HeldClock
from tests.indexes import forget_index, rebuild_index
from tests.ingest.test_receive import House
from tests.store.test_settling import all_tables, answers, sent, unsettle

Act = Callable[[], Awaitable[object]]


class Between:
    """A store that does something before each commit of who has it."""

    def __init__(self, store: Store, acts: list[Act]) -> None:
        self._store = store
        self._acts = acts

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def commit(self, *values: Any, **more: Any) -> Any:
        if self._acts:
            await self._acts.pop(0)()
        return await self._store.commit(*values, **more)


def settling_while(store: Store, *acts: Act) -> Settling:
    return Settling(Between(store, list(acts)), SystemClock())  # type: ignore[arg-type] # it stands for a store


@pytest.fixture
def house(tmp_path: Path):
    built = House(tmp_path / "data")
    yield built
    built.store.close()


async def sent_and_settled(house: House, numbers: range) -> None:
    for number in numbers:
        assert await house.send(sent(number)) == ("stored", "")
    await Settling(house.store, SystemClock()).settle(1)


async def test_a_series_that_a_steward_takes_up_while_late_instances_settle_stays_whole_and_is_there_once(
    house: House,
) -> None:
    await sent_and_settled(house, range(3))
    assert await house.send(sent(3)) == ("stored", "")
    before = answers(house.store)
    with pytest.raises(Conflict):
        await settling_while(house.store, lambda: unsettle(house.store, 1)).settle(1)
    assert answers(house.store) == before
    assert house.rows("SELECT COUNT(*) FROM instance") == [(4,)]
    await Settling(house.store, SystemClock()).settle(1)
    assert answers(house.store) == before
    assert (await Scrub(house.store, SystemClock()).whole_pass()).damaged == []


async def test_the_same_between_two_records_of_one_settling(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SETTLE_ROWS", 2)
    for number in range(5):
        assert await house.send(sent(number)) == ("stored", "")
    before = answers(house.store)

    async def nothing() -> None:
        pass

    with pytest.raises(Conflict):
        await settling_while(house.store, nothing, lambda: unsettle(house.store, 1)).settle(1)
    assert answers(house.store) == before
    await Settling(house.store, SystemClock()).settle(1)
    assert answers(house.store) == before


async def test_a_series_that_a_steward_gives_another_key_meanwhile_is_put_off_and_settling_goes_on(
    house: House,
) -> None:
    assert await house.send(sent(0)) == ("stored", "")
    before = answers(house.store)

    def rename(transaction: Transaction) -> None:
        fresh = transaction.next_key("series")
        transaction.update("series", {"series_key": 1}, series_key=fresh)
        transaction.update("instance", {"series_key": 1}, series_key=fresh)

    with pytest.raises(Conflict):
        await settling_while(house.store, lambda: house.store.commit(rename)).settle(1)
    with pytest.raises(Conflict):
        await Settling(house.store, SystemClock()).settle(1)
    await Settling(house.store, SystemClock()).settle(2)
    assert house.rows("SELECT COUNT(*) FROM instance") == [(0,)]
    assert len(answers(house.store)) == len(before)


@pytest.mark.parametrize("is_other", [True, False])
@pytest.mark.parametrize("place", [20, -60])
async def test_a_damaged_object_is_not_mended_with_another_series_from_a_copy_made_in_between(
    house: House, tmp_path: Path, place: int, is_other: bool
) -> None:
    """The copy has an attempt that was not recorded under the key that this series got afterwards."""
    for number in (0, 1):
        assert await house.send(sent(number, series=number, person=number)) == ("stored", "")

    async def copied() -> None:
        shutil.copytree(house.store.folder, tmp_path / "copy")
        raise OutOfResources("it goes no further")

    with pytest.raises(OutOfResources):
        await settling_while(house.store, copied).settle(2 if is_other else 1)
    await Settling(house.store, SystemClock()).settle(1)
    before = answers(house.store)
    (path,) = (house.store.folder / "objects").rglob("*.series")
    with path.open("r+b") as file:
        file.seek(place, 2 if place < 0 else 0)
        file.write(b"\xee\xdd")
    house.store.objects.forget(1)
    house.store.second_copy = tmp_path / "copy"
    seen = await Scrub(house.store, SystemClock()).whole_pass()
    assert (len(seen.damaged), seen.mended) == ((1, 0) if is_other else (0, 1))
    if is_other:
        with pytest.raises(DamagedData):
            answers(house.store)
    else:
        assert answers(house.store) == before


def swept(store: Store) -> Act:
    """A sweeper that finds what nothing names an hour later."""

    async def sweep() -> None:
        clock = HeldClock()
        sweeping = Sweeping(store, clock)
        await sweeping.look()
        clock.move(limits.RETIRED_S + 1)
        await sweeping.look()

    return sweep


def remote_house(folder: Path) -> House:
    return House(folder / "node", SealedObjects(FolderObjects(folder / "objects"), 0))


async def test_a_settling_that_stood_still_until_its_object_was_swept_away_is_given_up(
    tmp_path: Path,
) -> None:
    house = remote_house(tmp_path)
    for number in range(3):
        assert await house.send(sent(number)) == ("stored", "")
    before = answers(house.store)
    with pytest.raises(Conflict):
        await settling_while(house.store, swept(house.store))._settle(1)
    assert answers(house.store) == before
    await Settling(house.store, SystemClock()).settle(1)
    assert answers(house.store) == before
    assert (await Scrub(house.store, SystemClock()).whole_pass()).damaged == []
    house.store.close()


async def test_a_key_that_another_series_has_had_meanwhile_never_becomes_this_one_s(tmp_path: Path) -> None:
    house = remote_house(tmp_path)
    for number in (0, 1):
        assert await house.send(sent(number, series=number, person=number)) == ("stored", "")
    other = Settling(house.store, SystemClock())  # of the node that has the duty now

    async def later() -> None:
        await swept(house.store)()
        house.store.objects.delete(1)  # as a sweeper of an earlier version did
        await other.settle(2)
        assert await house.send(sent(2, series=1, person=1)) == ("stored", "")
        await other.settle(2)

    with pytest.raises(Conflict):
        await settling_while(house.store, later)._settle(1)
    found = house.store.peek(lambda connection: instance_rows.instances_of_series(connection, "2.25.600"))
    assert [each.sop_instance_uid for each in found] == ["2.25.7000"]
    await other.settle(1)
    found = house.store.peek(lambda connection: instance_rows.instances_of_series(connection, "2.25.600"))
    assert [each.sop_instance_uid for each in found] == ["2.25.7000"]
    house.store.close()


async def test_a_settling_under_an_earlier_key_than_another_node_s_is_done_again(tmp_path: Path) -> None:
    house = remote_house(tmp_path)
    for number in (0, 1):
        assert await house.send(sent(number, series=number, person=number)) == ("stored", "")
    before = answers(house.store)
    other = Settling(house.store, SystemClock())
    with pytest.raises(Conflict):
        await settling_while(house.store, lambda: other.settle(2))._settle(1)
    assert answers(house.store) == before
    await other.settle(1)
    assert answers(house.store) == before
    house.store.close()


STEPS = some.lists(
    some.tuples(
        some.sampled_from(("send", "settle", "unsettle", "rebuild", "scrub")),
        some.integers(0, 9),
        some.lists(
            some.tuples(some.sampled_from(("send", "unsettle", "settle", "nothing")), some.integers(0, 9)),
            max_size=4,
        ),
    ),
    min_size=3,
    max_size=14,
)


@pytest.mark.parametrize("is_remote", [False, True])
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_any_history_with_anything_between_the_steps_of_settling_equals_the_one_that_never_settles(
    steps: list[tuple[str, int, list[tuple[str, int]]]],
    is_remote: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "SETTLE_ROWS", 2)
    folder = tmp_path / str(random.getrandbits(64))
    asyncio.run(both(folder, steps, is_remote))
    shutil.rmtree(folder)


async def both(folder: Path, steps: list[tuple[str, int, list[tuple[str, int]]]], is_remote: bool) -> None:
    """One series; `send` with the same number again is a repetition."""
    house, plain = remote_house(folder) if is_remote else House(folder / "node"), House(folder / "plain")

    async def act(verb: str, number: int, acts: list[Act]) -> None:
        if verb == "send":
            assert await house.send(sent(number)) == await plain.send(sent(number))
        elif verb == "settle" and house.rows("SELECT 1 FROM series"):
            try:
                # Without the lock of one process: another node, which may have keys of its own only.
                settling = settling_while(house.store, *acts)
                await (settling._settle(1) if is_remote else settling.settle(1))
            except Conflict:
                pass
        elif verb == "unsettle" and house.rows("SELECT 1 FROM series"):
            await unsettle(house.store, 1)
        elif verb == "scrub":
            assert (await Scrub(house.store, SystemClock()).whole_pass()).damaged == []

    def inner(verb: str, number: int) -> Act:
        if verb == "settle" and not is_remote:
            verb = "nothing"
        return lambda: act(verb, number, [])

    try:
        for verb, number, between in steps:
            if verb != "rebuild":
                await act(verb, number, [inner(*each) for each in between])
            elif not is_remote:
                house.store.close()
                rebuild_index(house.store.folder)
                house = House(house.store.folder)
        assert answers(house.store) == answers(plain.store)
        tables = all_tables(house.store)
        house.store.close()
        forget_index(house.store.folder)
        house = remote_house(folder) if is_remote else House(folder / "node")
        assert all_tables(house.store) == tables
        assert answers(house.store) == answers(plain.store)
    finally:
        for each in (house, plain):
            each.store.close()
            forget_index(each.store.folder)
