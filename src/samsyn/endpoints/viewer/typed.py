"""Times and days as people type them into our forms: local, written out, the same in every browser."""

from datetime import datetime
from typing import Final

from samsyn.clock import STOCKHOLM, day_number
from samsyn.errors import BadInput

_LOCAL: Final = "%Y-%m-%d %H:%M"


def typed_moment(moment: datetime) -> str:
    """How a moment stands in a form: a browser's own field for times would follow the browser's language."""
    return moment.astimezone(STOCKHOLM).strftime(_LOCAL)


def moment_typed(text: str) -> datetime | None:
    """The moment that was typed, aware; None when the field was left empty. BadInput: anything else."""
    if not text.strip():
        return None
    try:
        return datetime.strptime(" ".join(text.replace("T", " ").split()), _LOCAL).replace(tzinfo=STOCKHOLM)
    except ValueError:
        raise BadInput("time") from None


def day_typed(text: str) -> int | None:
    """A day (YYYYMMDD) that was typed as YYYY-MM-DD; None when the field was left empty. BadInput: anything else."""
    if not text.strip():
        return None
    try:
        return day_number(datetime.strptime(text.strip(), "%Y-%m-%d"))  # noqa: DTZ007 - a day, no moment
    except ValueError:
        raise BadInput("day") from None


def typed_day(day: int | None) -> str:
    """How a day (YYYYMMDD) reads; "" for none."""
    return f"{day // 10_000:04d}-{day // 100 % 100:02d}-{day % 100:02d}" if day else ""
