"""The one place that asks what time it is, so that tests can hold the clock."""

import time
from datetime import UTC, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

STOCKHOLM = ZoneInfo("Europe/Stockholm")
"""Local times of Swedish clinical messages without zone are read in this zone."""


class Clock(Protocol):
    """What rooms need of time."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""

    def monotonic(self) -> float:
        """Seconds that never go backwards, for deadlines."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never go backwards, for deadlines."""
        return time.monotonic()
