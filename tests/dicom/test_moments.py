"""Dates and times of objects that tell their distance from UTC, in Swedish time and back."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samsyn.clock import STOCKHOLM
from samsyn.dicom.moments import from_sweden, in_sweden, zone_of


@pytest.mark.parametrize(
    ("day", "time", "offset", "expected"),
    [
        ("20240301", "233000", "+0000", ("20240302", "003000")),  # the next day in Sweden
        ("20240701", "233000.25", "+0000", ("20240702", "013000.25")),
        ("20231231", "2330", "+0000", ("20240101", "0030")),
        ("20240301", "22", "-0500", ("20240302", "04")),
        ("20240301", "10", "+0530", ("20240301", "0530")),  # an hour alone can not say it
        ("20240301", "013000", "+0300", ("20240229", "233000")),
        ("20240301", "101500", "+0100", ("20240301", "101500")),
        ("20240701", "101500", "+0100", ("20240701", "111500")),  # summer time was not heeded by the sender
        ("20241231", "235960", "+0000", ("20250101", "005960")),  # a leap second stays one
        ("20240331", "013000", "+0000", ("20240331", "033000")),  # never in the hour that spring skips
        ("20241027", "003000", "+0000", ("20241027", "023000")),  # both of the autumn's hour have one name
        ("20241027", "013000", "+0000", ("20241027", "023000")),
    ],
)
def test_a_moment_with_offset_is_told_in_swedish_time(
    day: str, time: str, offset: str, expected: tuple[str, str]
) -> None:
    assert in_sweden(day, time, offset) == expected


@pytest.mark.parametrize(
    ("day", "time", "offset"),
    [
        ("20240301", "", "+0000"),
        ("", "101500", "+0000"),
        ("20240301", "101500", ""),
        ("20240301", "101500", "Z"),
        ("20240301", "101500", "+2500"),
        ("20240301", "101500", "+0000\\+0100"),
        ("18781231", "101500", "+0000"),
        ("99991231", "235959", "-1200"),
        ("00010101", "000000", "+1400"),
        ("20240301", "10:15", "+0000"),
    ],
)
def test_what_is_no_moment_or_no_offset_stays_as_it_is(day: str, time: str, offset: str) -> None:
    assert in_sweden(day, time, offset) == (day, time)
    assert from_sweden(day, time, offset) == (day, time)


def test_an_offset_may_be_padded() -> None:
    assert zone_of("+0000 ") != STOCKHOLM


@given(
    st.datetimes(datetime(1950, 1, 1), datetime(2150, 1, 1)),
    st.sampled_from(["+0000", "-0500", "+0200", "+0530", "-1200", "+1400"]),
)
def test_what_is_moved_to_sweden_is_moved_back(moment: datetime, offset: str) -> None:
    day, time = moment.strftime("%Y%m%d"), moment.strftime("%H%M%S")
    there = in_sweden(day, time, offset)
    repeated = datetime.strptime("".join(there), "%Y%m%d%H%M%S").replace(tzinfo=STOCKHOLM)
    if repeated.utcoffset() == repeated.replace(fold=1).utcoffset():
        assert from_sweden(*there, offset) == (day, time)
