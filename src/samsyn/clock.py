"""The one place that asks what time it is, so that tests can hold the clock; and which day a moment is in Sweden."""

import time
from datetime import UTC, date, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

STOCKHOLM = ZoneInfo("Europe/Stockholm")
"""Local times of Swedish clinical messages without zone are read in this zone."""


def day_number(day: date) -> int:
    """A day as the number YYYYMMDD, in which days are kept and compared."""
    return day.year * 10_000 + day.month * 100 + day.day


def swedish_day(moment: datetime) -> int:
    """The day (YYYYMMDD) that an aware moment is in Sweden."""
    return day_number(moment.astimezone(STOCKHOLM))


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
