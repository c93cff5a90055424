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
_LONGEST_OFFSET: Final = 16
"""SH (PS3.5 6.2); what is longer is none, and not to be kept."""


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
    return _moved(day, time, offset, to_sweden=True)


def from_sweden(day: str, time: str, offset: str) -> tuple[str, str]:
    """A DA and its TM in Swedish time as an object with this offset tells them; see `in_sweden`."""
    return _moved(day, time, offset, to_sweden=False)


def _moved(day: str, time: str, offset: str, *, to_sweden: bool) -> tuple[str, str]:
    """Seconds and their fraction stay, and the time stays as short as it was where the minutes allow that."""
    is_told = day and time and len(offset) <= _LONGEST_OFFSET
    moved = _minute(day, time[:4], offset, to_sweden) if is_told else None
    if moved is None:
        return day, time
    there, minute = moved
    return there, minute[:2] if len(time) == len("HH") and minute.endswith("00") else minute + time[4:]


@lru_cache(maxsize=_LATEST_MINUTES)
def _minute(day: str, minute: str, offset: str, to_sweden: bool) -> tuple[str, str] | None:
    """Day and minute (HHMM) on the other side; None when there is nothing to move, or no minute of these centuries."""
    zone = zone_of(offset)
    source, target = (zone, STOCKHOLM) if to_sweden else (STOCKHOLM, zone)
    if source is target:
        return None
    try:
        hours, minutes = int(minute[:2]), int(minute[2:] or "0")
        told = datetime(int(day[:4]), int(day[4:6]), int(day[6:]), hours, minutes, tzinfo=source)
    except ValueError:
        return None
    if not _FIRST_YEAR <= told.year <= _LAST_YEAR:
        return None
    text = told.astimezone(target).strftime("%Y%m%d%H%M")
    return text[:8], text[8:]
