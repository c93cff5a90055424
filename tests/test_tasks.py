"""Work that runs beside ends when it is told to, also when a library has lost the first cancellation."""

import asyncio
import logging

import pytest

from samsyn import tasks
from samsyn.tasks import ended


async def for_ever(deaf: int, heard: list[int]) -> None:
    """Loses so many cancellations, as a library does whose answer comes at the same moment."""
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            heard.append(len(heard))
            if len(heard) > deaf:
                raise


@pytest.mark.parametrize("deaf", [0, 1, 3])
async def test_a_loop_ends_however_often_a_cancellation_was_lost(
    monkeypatch: pytest.MonkeyPatch, deaf: int
) -> None:
    monkeypatch.setattr(tasks, "_AGAIN_S", 0.01)
    heard: list[int] = []
    one = asyncio.create_task(for_ever(deaf, heard))
    other = asyncio.create_task(for_ever(0, []))
    await asyncio.sleep(0)
    async with asyncio.timeout(20):
        await ended(one, None, other)
    assert one.cancelled()
    assert other.cancelled()
    assert len(heard) == deaf + 1


async def test_nothing_and_what_has_ended_are_no_matter() -> None:
    done = asyncio.create_task(asyncio.sleep(0))
    await done
    await ended()
    await ended(None, done)


async def test_one_that_had_failed_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async def failing() -> None:
        raise ValueError("odd")

    failed = asyncio.create_task(failing(), name="reading")
    await asyncio.sleep(0)
    with caplog.at_level(logging.WARNING):
        await ended(failed)
    [record] = caplog.records
    assert (record.message, record.__dict__["kind"]) == ("task-failed", "reading")


async def test_who_cleans_up_for_a_moment_is_not_cut_off() -> None:
    tidied: list[bool] = []

    async def tidying() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            tidied.append(True)

    task = asyncio.create_task(tidying())
    await asyncio.sleep(0)
    await ended(task)
    assert tidied == [True]
