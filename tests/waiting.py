"""How a test waits for what must come: until it holds, with an end that a fault reaches and a slow machine does not."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

from samsyn.clock import SystemClock

PATIENCE_S: Final = 60.0
"""An end to waits whose length is not what the test is about. What comes ends the wait at once."""

_TICK_S = 0.01


async def until(holds: Callable[[], object], seconds: float = PATIENCE_S) -> None:
    """Waits on the running loop until it holds."""
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(_TICK_S)


class AdvancedClock:
    """The machine's clock, which a test may set forward instead of waiting for what the time brings."""

    def __init__(self) -> None:
        self._machine = SystemClock()
        self._ahead = timedelta()

    def now(self) -> datetime:
        """See samsyn.clock.Clock."""
        return self._machine.now() + self._ahead

    def monotonic(self) -> float:
        """See samsyn.clock.Clock."""
        return self._machine.monotonic() + self._ahead.total_seconds()

    def advance_to(self, moment: datetime) -> None:
        """It is so late now, at the least."""
        self._ahead += max(timedelta(), moment - self.now())


class PacedClock:
    """Never ahead of the machine's clock, and standing while the event loop gets no turn.

    For leases and whatever else a standstill of the machine would rightly end: a test that is about something
    else must not be ended by one.
    """

    def __init__(self) -> None:
        self._at = 1_000.0

    def now(self) -> datetime:
        """See samsyn.clock.Clock."""
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self._at)

    def monotonic(self) -> float:
        """See samsyn.clock.Clock."""
        return self._at

    async def _go(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            self._at += _TICK_S

    async def passes(self, seconds: float) -> None:
        """Waits until so much of this clock's time has gone."""
        end = self._at + seconds
        await until(lambda: self._at >= end)


@asynccontextmanager
async def paced() -> AsyncIterator[PacedClock]:
    """A clock that goes while the block is entered."""
    clock = PacedClock()
    going = asyncio.create_task(clock._go())
    try:
        yield clock
    finally:
        going.cancel()
        await asyncio.gather(going, return_exceptions=True)
