"""Points in time as messages tell them (TS/DTM, chapter 2.A): what was said, with its precision, or a refusal.

A missing or impossible time never becomes the present moment or a neighbouring day.
"""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from enum import IntEnum
from functools import lru_cache

from samsyn.clock import STOCKHOLM, swedish_day
from samsyn.errors import BadInput
from samsyn.limits import HL7_CLOCK_AHEAD_S
from samsyn.model.value import value

FIRST_YEAR = 1850
LAST_YEAR = 2199
"""Years outside are typing errors: nobody examined then is a patient here."""

_TS = re.compile(
    r"(?P<year>[0-9]{4})(?:(?P<month>[0-9]{2})(?:(?P<day>[0-9]{2})"
    r"(?:(?P<hour>[0-9]{2})(?:(?P<minute>[0-9]{2})(?:(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]{1,6}))?)?)?)?)?)?"
    r"(?P<zone>[+-][0-9]{4})?"
)


class Precision(IntEnum):
    """How exactly a time was told."""

    YEAR = 1
    MONTH = 2
    DAY = 3
    HOUR = 4
    MINUTE = 5
    SECOND = 6
    FRACTION = 7


class Doubt(IntEnum):
    """Whether a time can have been meant: SMALL and FULL of one that was told without zone in the hour that the autumn
    change repeats."""

    NONE = 0
    SMALL = 1
    """The later hour, in which it was told too; if the same was told before, it is what was told then."""
    FULL = 2
    """Told long after both: either may be meant. The later one stands for it."""
    SKIPPED = 3
    """Told without zone in the hour that the spring change skips: of a clock that has not been put forward yet."""
    AHEAD = 4
    """Told of a moment that was still to come: the clock was wrong. The arrival stands for it."""


_PRECISIONS = (Precision.YEAR, *Precision)
"""By how many parts were told."""
_FULL_HOURS_FROM = 1900
"""Since then Swedish time has changed at full hours only (time zone database, Europe/Stockholm)."""
_NOTHING = timedelta()
REPEATED = timedelta(hours=1)
"""How long what the autumn change repeats is."""
_AHEAD_AT_MOST = timedelta(minutes=5)
"""So far a sender's clock may be ahead of the one that it is held against."""
_CLOCK_AHEAD = timedelta(seconds=HL7_CLOCK_AHEAD_S)
_PROMPT = REPEATED - _AHEAD_AT_MOST
"""What is told within this is told in the second of the two hours if it can be: it would be late for the first."""
_TO_THE_SECOND = len("YYYYMMDDHHMMSS")
_FIRST_MOMENT = (FIRST_YEAR, 1, 1, 0, 0, 0)
"""What stands for parts that were not told."""


@value
class PointInTime:
    """A told time: `begins` is the first moment that it can mean, aware, in UTC."""

    begins: datetime
    precision: Precision
    written: str
    ambiguous: bool = False
    """Told without zone in the hour that the autumn change repeats: `begins` is the earlier of the two."""
    doubt: Doubt = Doubt.NONE

    @property
    def date(self) -> str:
        """YYYYMMDD as written, or "" when no day was told."""
        return self.written[:8] if self.precision >= Precision.DAY else ""

    @property
    def day(self) -> str:
        """YYYYMMDD in Sweden, or "" when no day was told. A birthday is `date`: it is the same wherever it is told."""
        has_zone = "+" in self.written or "-" in self.written
        if self.precision < Precision.HOUR or not has_zone:
            return self.date
        return f"{swedish_day(self.begins):08d}"

    def told_by(self, limit: datetime | None, doubt: Doubt = Doubt.NONE) -> "PointInTime":
        """The point that was meant, where it is ambiguous and was told no later than `limit`; without limit as it is.

        The later of the two unless that is still to come: right whenever it was told within 55 minutes of its
        moment. `doubt`: that of the limit.
        """
        if not self.ambiguous or limit is None:
            return self
        late = self.begins + REPEATED
        if late > limit + _AHEAD_AT_MOST:
            return PointInTime(self.begins, self.precision, self.written)
        doubt = max(min(doubt, Doubt.FULL), Doubt.FULL if limit - late > _PROMPT else Doubt.SMALL)
        return PointInTime(late, self.precision, self.written, doubt=doubt)

    def is_ahead(self, arrived: datetime | None) -> bool:
        """Whether it was still to come, by more than clocks and zones differ, when it was told."""
        return is_ahead(self.begins, arrived)

    def not_ahead(self, arrived: datetime | None) -> "PointInTime":
        """The point, or the arrival of a message that tells of a moment which was still to come then."""
        if arrived is None or not self.is_ahead(arrived):
            return self
        return PointInTime(arrived, Precision.FRACTION, self.written, doubt=Doubt.AHEAD)


def read_time(text: str) -> PointInTime | None:
    """A TS value; None when it is empty. Without zone it is Swedish local time (Europe/Stockholm), and what it tells in
    the hour that the spring change skips is winter time still: a clock that was put forward late tells such times, and
    its reports must not be lost for it.

    Raises BadInput for what is no time: other signs, 29 February of a common year, a zone beyond -1200 and +1400, a
    year outside 1850 to 2199.
    """
    text = text.strip()
    if not text:
        return None
    if len(text) == _TO_THE_SECOND and (quick := _quick(text)) is not None:
        return quick
    match = _TS.fullmatch(text)
    if match is None:
        raise BadInput("not a time of the form YYYYMMDDHHMMSS with an optional zone as +0100")
    *parts, zone = match.groups()
    given = [int(part) for part in parts[:6] if part is not None]
    precision = _PRECISIONS[len(given) + (parts[6] is not None)]
    told = _calendar(given, parts[6] or "")
    if zone is not None:
        return PointInTime(told - _offset(zone), precision, text)
    if told.year >= _FULL_HOURS_FROM:
        early, late = _ahead(told.year, told.month, told.day, told.hour)
        if early == late:
            return PointInTime(told - early, precision, text)
    if precision < Precision.HOUR:
        return PointInTime(told.replace(tzinfo=STOCKHOLM).astimezone(UTC), precision, text)
    return _in_stockholm(told.replace(tzinfo=None), precision, text)


def _quick(text: str) -> PointInTime | None:
    """The usual form, YYYYMMDDHHMMSS in an hour without change of time; None for the long way."""
    if not text.isdecimal() or not text.isascii():
        return None
    try:
        told = datetime.fromisoformat(f"{text[:8]}T{text[8:]}Z")
    except ValueError:
        return None
    if not _FULL_HOURS_FROM <= told.year <= LAST_YEAR:
        return None
    early, late = _ahead(told.year, told.month, told.day, told.hour)
    return PointInTime(told - early, Precision.SECOND, text) if early == late else None


def is_ahead(moment: datetime | None, arrived: datetime | None) -> bool:
    """Whether a told moment was still to come, by more than HL7_CLOCK_AHEAD_S, when it was told."""
    return moment is not None and arrived is not None and moment > arrived + _CLOCK_AHEAD


def is_day(text: str) -> bool:
    """Whether this is a day of the calendar as YYYYMMDD, within the years that are no typing errors."""
    if not text.isdecimal() or not text.isascii() or not FIRST_YEAR <= int(text[:4]) <= LAST_YEAR:
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def write_time(moment: datetime) -> str:
    """A moment as TS to the second with zone, in Swedish local time."""
    return _written(moment.replace(microsecond=0))


@lru_cache(maxsize=256)
def _written(second: datetime) -> str:
    """Many messages are answered in one second."""
    return second.astimezone(STOCKHOLM).strftime("%Y%m%d%H%M%S%z")


def _calendar(given: Sequence[int], fraction: str) -> datetime:
    """The wall clock's time as if it were UTC. `given`: year, month, day, hour, minute, second as far as told."""
    if not FIRST_YEAR <= given[0] <= LAST_YEAR:
        raise BadInput(f"a year outside {FIRST_YEAR} to {LAST_YEAR}")
    year, month, day, hour, minute, second = (*given, *_FIRST_MOMENT[len(given) :])
    try:
        return datetime(
            year, month, day, hour, minute, second, int(fraction.ljust(6, "0")) if fraction else 0, UTC
        )
    except ValueError:
        raise BadInput("a day or time of day that does not exist") from None


def _offset(zone: str) -> timedelta:
    hours, minutes = int(zone[1:3]), int(zone[3:5])
    total = (60 * hours + minutes) * (-1 if zone[0] == "-" else 1)
    if minutes > 59 or not -12 * 60 <= total <= 14 * 60:
        raise BadInput("a time zone outside -1200 to +1400")
    return timedelta(minutes=total)


@lru_cache(maxsize=4_096)
def _ahead(year: int, month: int, day: int, hour: int) -> tuple[timedelta, timedelta]:
    """How far Swedish time is ahead of UTC in this hour of the wall clock; twice, and not the same where it changes."""
    first = datetime(year, month, day, hour, tzinfo=STOCKHOLM)
    second = first.replace(fold=1)
    return first.utcoffset() or _NOTHING, second.utcoffset() or _NOTHING


def _in_stockholm(local: datetime, precision: Precision, text: str) -> PointInTime:
    early = local.replace(tzinfo=STOCKHOLM, fold=0)
    late = early.replace(fold=1)
    begins = early.astimezone(UTC)
    if early.utcoffset() == late.utcoffset():
        return PointInTime(begins, precision, text)
    skipped = begins.astimezone(STOCKHOLM).replace(tzinfo=None) != local
    if skipped:
        return PointInTime(begins, precision, text, doubt=Doubt.SKIPPED)
    return PointInTime(begins, precision, text, ambiguous=True)
