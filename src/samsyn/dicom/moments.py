"""Dates and times of an object that tells its distance from UTC (0008,0201), in Swedish time and back. Pure.

The offset is that of every DA and TM of the data set (PS3.3 C.12.1.1.8); a DT may tell its own (PS3.5 6.2). A date
without time stays the day that it is: nothing can be moved.
"""

import re
from datetime import datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Final

from samsyn.clock import STOCKHOLM
from samsyn.errors import BadInput

TIMEZONE_OFFSET: Final = 0x00080201
_OFFSET: Final = re.compile(r"([+-])(\d{2})(\d{2})", re.ASCII)
_MAX_OFFSET_MINUTES: Final = 14 * 60
_FIRST_YEAR, _LAST_YEAR = 1900, 9998
"""Before, Swedish time was minutes and seconds from UTC, and nobody was examined; behind, there is no next year."""
_LATEST_MINUTES: Final = 4_096
"""The instances of a series tell few minutes."""


def offset_minutes(text: str) -> int | None:
    """Timezone Offset From UTC (0008,0201) in minutes; None when empty. BadInput when it is none."""
    if not text:
        return None
    form = _OFFSET.fullmatch(text)
    minutes = int(form[2]) * 60 + int(form[3]) if form else _MAX_OFFSET_MINUTES + 1
    if form is None or minutes > _MAX_OFFSET_MINUTES or int(form[3]) > 59:
        raise BadInput("not an offset from UTC")
    return -minutes if form[1] == "-" else minutes


def zone_of(offset: str) -> tzinfo:
    """The zone that an object's dates and times are told in: Swedish time where it tells none that can be."""
    try:
        minutes = offset_minutes(offset.strip(" \0"))
    except BadInput:
        minutes = None
    return STOCKHOLM if minutes is None else timezone(timedelta(minutes=minutes))


def in_sweden(day: str, time: str, offset: str) -> tuple[str, str]:
    """A DA and its TM, told at `offset`, in Swedish time; as they are when one is empty or no moment is told.

    In the hour that the end of summer time repeats, two moments have one name.
    """
    return _moved(day, time, zone_of(offset), STOCKHOLM)


def from_sweden(day: str, time: str, offset: str) -> tuple[str, str]:
    """A DA and its TM in Swedish time as an object with this offset tells them; see `in_sweden`."""
    return _moved(day, time, STOCKHOLM, zone_of(offset))


def _moved(day: str, time: str, source: tzinfo, target: tzinfo) -> tuple[str, str]:
    """Seconds and their fraction stay, and the time stays as short as it was where the minutes allow that."""
    if source is target or not day or not time:
        return day, time
    moved = _minute(day, time[:4].ljust(4, "0"), source, target)
    if moved is None:
        return day, time
    there, minute = moved
    return there, minute[:2] if len(time) == len("HH") and minute.endswith("00") else minute + time[4:]


@lru_cache(maxsize=_LATEST_MINUTES)
def _minute(day: str, minute: str, source: tzinfo, target: tzinfo) -> tuple[str, str] | None:
    """Day and minute (HHMM) in the other zone; None for what is no minute of these centuries."""
    try:
        told = datetime(
            int(day[:4]), int(day[4:6]), int(day[6:]), int(minute[:2]), int(minute[2:]), tzinfo=source
        )
    except ValueError:
        return None
    if not _FIRST_YEAR <= told.year <= _LAST_YEAR:
        return None
    text = told.astimezone(target).strftime("%Y%m%d%H%M")
    return text[:8], text[8:]
