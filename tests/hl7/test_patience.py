"""One timer ends a connection whose wait is over, and no other."""

import asyncio

import pytest

from samsyn.endpoints.hl7.patience import Patience


async def waiting(seconds: list[float], rest_after: float | None = None) -> float:
    """How long somebody lives who waits so long, and then so long, and who may get what he waits for."""
    begun = asyncio.get_running_loop().time()
    task = asyncio.create_task(asyncio.sleep(0.6))
    patience = Patience(task)
    for each in seconds:
        patience.lasts_until(patience.in_s(each))
    if rest_after is not None:
        asyncio.get_running_loop().call_later(rest_after, patience.rests)
    await asyncio.wait([task])
    patience.close()
    return asyncio.get_running_loop().time() - begun if task.cancelled() else 0.6


@pytest.mark.parametrize(
    ("seconds", "least", "most"),
    [([0.1], 0.1, 0.5), ([0.1, 0.3], 0.3, 0.55), ([0.5, 0.1], 0.1, 0.45), ([-1.0], 0.0, 0.4)],
)
async def test_the_last_word_says_when_a_wait_is_over(
    seconds: list[float], least: float, most: float
) -> None:
    assert least - 0.02 <= await waiting(seconds) <= most


async def test_what_has_come_is_not_waited_for_any_more() -> None:
    assert await waiting([0.2], rest_after=0.05) == 0.6
