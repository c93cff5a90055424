"""Work that is durable is done once, however many ask for it, and a failure is nobody's success."""

import asyncio

import pytest

from samsyn.access.once import Once
from tests.access.house import HeldClock


class Work:
    """Counts its runs; waits at a gate and fails when told to."""

    def __init__(self) -> None:
        self.runs = 0
        self.fails = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self) -> None:
        self.runs += 1
        await self.gate.wait()
        if self.fails:
            raise OSError("disk")


async def test_many_who_ask_at_once_wait_for_one_run() -> None:
    work, once = Work(), Once(HeldClock(), 10, 100)
    work.gate.clear()
    waiting = [asyncio.create_task(once.do("key", work)) for _ in range(20)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    assert not once.is_done("key")
    work.gate.set()
    await asyncio.gather(*waiting)
    assert work.runs == 1
    assert once.is_done("key")


async def test_a_failure_is_told_to_everybody_who_waits_and_the_next_tries_again() -> None:
    work, once = Work(), Once(HeldClock(), 10, 100)
    work.gate.clear()
    work.fails = True
    waiting = [asyncio.create_task(once.do("key", work)) for _ in range(3)]
    await asyncio.sleep(0)
    work.gate.set()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [OSError] * 3
    assert not once.is_done("key")
    work.fails = False
    await once.do("key", work)
    assert work.runs == 2


async def test_a_caller_that_goes_away_does_not_take_the_work_with_it() -> None:
    work, once = Work(), Once(HeldClock(), 10, 100)
    work.gate.clear()
    leaving = asyncio.create_task(once.do("key", work))
    staying = asyncio.create_task(once.do("key", work))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    work.gate.set()
    await staying
    assert once.is_done("key")
    assert work.runs == 1


async def test_what_is_old_or_forgotten_is_done_again() -> None:
    clock, work = HeldClock(), Work()
    once = Once(clock, 10, 2)
    await once.do("a", work)
    clock.move(9.9)
    await once.do("a", work)
    assert work.runs == 1
    clock.move(0.2)
    await once.do("a", work)
    assert work.runs == 2
    await once.do("b", work)
    await once.do("c", work)
    assert not once.is_done("a")
