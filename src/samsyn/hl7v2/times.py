"""Points in time as messages tell them (TS/DTM, chapter 2.A): what was said, with its precision, or a refusal.

A missing or impossible time never becomes the present moment or a neighbouring day.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum

from samsyn.clock import STOCKHOLM
from samsyn.errors import BadInput

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


@dataclass(frozen=True, slots=True)
class PointInTime:
    """A told time: `begins` is the first moment that it can mean, aware, in UTC."""

    begins: datetime
    precision: Precision
    written: str
    ambiguous: bool = False
    """Told without zone in the hour that the autumn change repeats: `begins` is the earlier of the two."""

    @property
    def date(self) -> str:
        """YYYYMMDD as written, or "" when no day was told."""
        return self.written[:8] if self.precision >= Precision.DAY else ""


def read_time(text: str) -> PointInTime | None:
    """A TS value; None when it is empty. Without zone it is Swedish local time (Europe/Stockholm).

    Raises BadInput for what is no time: other signs, 29 February of a common year, the hour that the spring
    change skips, a zone beyond -1200 and +1400, a year outside 1850 to 2199.
    """
    text = text.strip()
    if not text:
        return None
    match = _TS.fullmatch(text)
    if match is None:
        raise BadInput("not a time of the form YYYYMMDDHHMMSS with an optional zone as +0100")
    names = ("year", "month", "day", "hour", "minute", "second", "fraction")
    given = [name for name in names if match[name] is not None]
    precision = Precision(len(given))
    local = _calendar(match)
    if match["zone"] is not None:
        return PointInTime((local - _offset(match["zone"])).replace(tzinfo=UTC), precision, text)
    if precision < Precision.HOUR:
        return PointInTime(local.replace(tzinfo=STOCKHOLM).astimezone(UTC), precision, text)
    return _in_stockholm(local, precision, text)


def write_time(moment: datetime) -> str:
    """A moment as TS to the second with zone, in Swedish local time."""
    return moment.astimezone(STOCKHOLM).strftime("%Y%m%d%H%M%S%z")


def _calendar(match: re.Match[str]) -> datetime:
    year = int(match["year"])
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise BadInput(f"a year outside {FIRST_YEAR} to {LAST_YEAR}")
    fraction = (match["fraction"] or "").ljust(6, "0")
    try:
        return datetime(  # noqa: DTZ001 - a wall-clock time; the caller gives it its zone
            year,
            int(match["month"] or 1),
            int(match["day"] or 1),
            int(match["hour"] or 0),
            int(match["minute"] or 0),
            int(match["second"] or 0),
            int(fraction),
        )
    except ValueError:
        raise BadInput("a day or time of day that does not exist") from None


def _offset(zone: str) -> timedelta:
    hours, minutes = int(zone[1:3]), int(zone[3:5])
    total = (60 * hours + minutes) * (-1 if zone[0] == "-" else 1)
    if minutes > 59 or not -12 * 60 <= total <= 14 * 60:
        raise BadInput("a time zone outside -1200 to +1400")
    return timedelta(minutes=total)


def _in_stockholm(local: datetime, precision: Precision, text: str) -> PointInTime:
    early = local.replace(tzinfo=STOCKHOLM, fold=0)
    late = local.replace(tzinfo=STOCKHOLM, fold=1)
    begins = early.astimezone(UTC)
    if early.utcoffset() == late.utcoffset():
        return PointInTime(begins, precision, text)
    skipped = begins.astimezone(STOCKHOLM).replace(tzinfo=None) != local
    if skipped:
        raise BadInput("a local time in the hour that the change to summer time skips; send a time zone")
    return PointInTime(begins, precision, text, ambiguous=True)
