"""Work that can wait is done in order, and waits for what is asked of the server, and only for that."""

import asyncio
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from samsyn.store import making_way

_STEP_S = 0.005
_STEPS = 40
"""On a machine that is busy with something else the other thread may get no turn during some of them."""


def _step(number: int) -> int:
    """Some milliseconds in which nothing else of the process is kept from working."""
    time.sleep(_STEP_S)
    return number


def _computed(number: int) -> int:
    """Some milliseconds in which this thread hardly gives the interpreter up."""
    until = time.thread_time() + _STEP_S
    while time.thread_time() < until:
        sum(range(1_000))
    return number


async def _done(
    waits: list[float], monkeypatch: pytest.MonkeyPatch, step: Callable[[int], int] = _step
) -> list[int]:
    async def noted(seconds: float) -> None:
        waits.append(seconds)

    with ThreadPoolExecutor(1) as executor, monkeypatch.context() as patch:
        patch.setattr(making_way.asyncio, "sleep", noted)
        steps = (partial(step, number) for number in range(_STEPS))
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


def test_steps_make_way_for_who_gives_the_interpreter_up_in_each_call(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As a study that leaves object by object: beside a step next to nothing of it gets on."""
    is_over = threading.Event()
    objects = tmp_path / "objects"
    objects.write_bytes(bytes(500_000))
    descriptor = os.open(objects, os.O_RDONLY)

    def asked() -> None:
        while not is_over.is_set():
            os.pread(descriptor, 500_000, 0)
            time.sleep(0.00005)  # the peer's answer

    other = threading.Thread(target=asked)
    other.start()
    waits: list[float] = []
    try:
        assert asyncio.run(_done(waits, monkeypatch, _computed)) == list(range(_STEPS))
    finally:
        is_over.set()
        other.join()
        os.close(descriptor)
    assert len(waits) > _STEPS // 2
