"""Dates and times of a search: ranges, both as one moment, and time zones (PS3.4 C.2.2.2.5). Pure.

The index holds DA and TM in Swedish time: filing moves those of an object that tells its offset from UTC
(`dicom.moments`). A TM column may tell less than seconds; comparisons fill it up with zeros.
"""

import re
from datetime import datetime, timedelta, timezone, tzinfo

from samsyn.clock import STOCKHOLM
from samsyn.errors import BadInput
from samsyn.model.attributes import Attributes
from samsyn.search.keys import DATE_AND_TIME

_DATE = re.compile(r"\d{8}", re.ASCII)
_TIME = re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?", re.ASCII)
_FIRST, _LAST = "000000", "235959.999999"


def date_range(value: str) -> tuple[str, str]:
    """First and last day of a DA range, each "" = open; old dots are taken out (PS3.5 6.2)."""
    return _range(value.strip().replace(".", ""), _DATE, "date")


def time_range(value: str) -> tuple[str, str]:
    """First and last moment of a TM range; both filled up so that 10 takes in 100000 and 105959."""
    first, last = _range(value.strip().replace(":", ""), _TIME, "time")
    return first and _shortest(first + _FIRST[len(first) :]), last and last + _LAST[len(last) :]


def moment_range(dates: str, times: str, offset: int | None) -> tuple[str, str]:
    """First and last moment (YYYYMMDDHHMMSS.FFFFFF, "" = open) of a date range that its times complete.

    `offset`: minutes from UTC in which both are told; None = as the index has them.
    """
    first_day, last_day = date_range(dates)
    first_time, last_time = time_range(times) if times else ("", "")
    first = first_day and first_day + (first_time or _FIRST)
    last = last_day and last_day + (last_time or _LAST)
    if offset is None:
        return first, last
    zone = timezone(timedelta(minutes=offset))
    return first and _moved(first, zone), last and _moved(last, zone)


def _moved(moment: str, zone: timezone) -> str:
    """A moment of that zone in Swedish time."""
    return _shortest(_parsed(moment, zone).astimezone(STOCKHOLM).strftime("%Y%m%d%H%M%S.%f"))


def _shortest(moment: str) -> str:
    """Without zeros behind a fraction, which in text order would come after what leaves them out."""
    return moment.rstrip("0").rstrip(".") if "." in moment else moment


def _parsed(moment: str, zone: tzinfo) -> datetime:
    whole, _, fraction = moment.partition(".")
    try:
        # Years at the edge of the calendar have no neighbour in another zone.
        made = datetime.strptime(whole, "%Y%m%d%H%M%S").replace(
            microsecond=int((fraction + "000000")[:6]), tzinfo=zone
        )
        if not 2 <= made.year <= 9998:
            raise ValueError
    except ValueError:
        raise BadInput("not a date and time") from None
    return made


def told_at(found: Attributes, offset: int) -> Attributes:
    """The answer with its dates and times at this distance from UTC; dates without time stay as they are."""
    told = dict(found)
    zone = timezone(timedelta(minutes=offset))
    for date_tag, time_tag in DATE_AND_TIME:
        day, time = _one(found, date_tag), _one(found, time_tag)
        if not day or not time:
            continue
        try:
            moment = _parsed(day + time + _FIRST[len(time) :], STOCKHOLM)
        except BadInput:
            continue
        moved = moment.astimezone(zone)
        told[date_tag] = ("DA", (moved.strftime("%Y%m%d"),))
        told[time_tag] = ("TM", (moved.strftime("%H%M%S") + time[6:],))
    return told


def _one(found: Attributes, tag: int) -> str:
    values = found.get(tag, ("", ()))[1]
    return str(values[0]) if values else ""


def _range(value: str, form: re.Pattern[str], what: str) -> tuple[str, str]:
    if not value:
        return "", ""
    first, dash, last = (part.strip() for part in value.partition("-"))
    if not dash:
        last = first
    for part in (first, last):
        if part and not form.fullmatch(part):
            raise BadInput(f"not a {what} or {what} range")
    if not first and not last:
        raise BadInput(f"an empty {what} range")
    return first, last
