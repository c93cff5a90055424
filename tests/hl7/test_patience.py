"""One timer ends a connection whose wait is over, and no other."""

import asyncio
import selectors

import pytest

from samsyn.endpoints.hl7.patience import Patience


class _Leaping(selectors.DefaultSelector):
    """Waits for nothing: what it was to wait for is added to the time of its loop."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 1_000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if not found:
            self.at += timeout or 0.0
        return found


class _LeapingLoop(asyncio.SelectorEventLoop):
    """A loop whose time is exact: it leaps from one timer to the next, however slow the machine is."""

    def __init__(self) -> None:
        self._leaping = _Leaping()
        super().__init__(self._leaping)

    def time(self) -> float:
        return self._leaping.at


async def _lives(seconds: list[float], rest_after: float | None) -> float:
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


def waiting(seconds: list[float], rest_after: float | None = None) -> float:
    """How long somebody lives who waits so long, and then so long, and who may get what he waits for."""
    with asyncio.Runner(loop_factory=_LeapingLoop) as runner:
        return runner.run(_lives(seconds, rest_after))


@pytest.mark.parametrize(
    ("seconds", "least", "most"),
    [([0.1], 0.1, 0.5), ([0.1, 0.3], 0.3, 0.55), ([0.5, 0.1], 0.1, 0.45), ([-1.0], 0.0, 0.4)],
)
def test_the_last_word_says_when_a_wait_is_over(seconds: list[float], least: float, most: float) -> None:
    assert least - 0.02 <= waiting(seconds) <= most


def test_what_has_come_is_not_waited_for_any_more() -> None:
    assert waiting([0.2], rest_after=0.05) == 0.6
