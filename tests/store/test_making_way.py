"""Work that can wait is done in order, and waits for what is asked of the server, and only for that."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from samsyn.store import making_way

_STEP_S = 0.005
_STEPS = 40
"""On a machine that is busy with something else the other thread may get no turn during some of them."""


def _step(number: int) -> int:
    """Some milliseconds in which nothing else of the process is kept from working."""
    time.sleep(_STEP_S)
    return number


async def _done(waits: list[float], monkeypatch: pytest.MonkeyPatch) -> list[int]:
    async def noted(seconds: float) -> None:
        waits.append(seconds)

    with ThreadPoolExecutor(1) as executor, monkeypatch.context() as patch:
        patch.setattr(making_way.asyncio, "sleep", noted)
        steps = (partial(_step, number) for number in range(_STEPS))
        return [made async for made in making_way.making_way(executor, steps)]


def test_nothing_is_waited_for_while_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    assert asyncio.run(_done(waits, monkeypatch)) == list(range(_STEPS))
    assert waits == []


def test_steps_make_way_for_what_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    is_over = threading.Event()

    def asked() -> None:
        while not is_over.is_set():
            sum(range(1_000))

    other = threading.Thread(target=asked)
    other.start()
    waits: list[float] = []
    try:
        assert asyncio.run(_done(waits, monkeypatch)) == list(range(_STEPS))
    finally:
        is_over.set()
        other.join()
    assert waits
    assert all(_STEP_S * 9 <= seconds <= 0.1 for seconds in waits)
