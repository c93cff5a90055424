"""The one place that asks what time it is, so that tests can hold the clock; and which day a moment is in Sweden."""

import time
from datetime import UTC, date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

STOCKHOLM = ZoneInfo("Europe/Stockholm")
"""Local times of Swedish clinical messages without zone are read in this zone."""
_HOUR = timedelta(hours=1)


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


class Today:
    """Which day it is in Sweden, for who asks for every object: it changes at full hours only. For any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known = datetime.min.replace(tzinfo=UTC), date.min
        """An hour and its day."""

    def date(self) -> date:
        """Today."""
        now = self._clock.now()
        hour, day = self._known
        if not hour <= now < hour + _HOUR:
            hour, day = now.replace(minute=0, second=0, microsecond=0), now.astimezone(STOCKHOLM).date()
            self._known = hour, day
        return day
