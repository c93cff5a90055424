"""Times: what was said, with its precision, or a refusal; never the present moment."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samsyn.errors import BadInput
from samsyn.hl7v2.times import Doubt, PointInTime, Precision, read_time, write_time


def told(text: str) -> PointInTime:
    point = read_time(text)
    assert point is not None
    return point


@pytest.mark.parametrize(
    ("text", "begins", "precision"),
    [
        ("2024", "2023-12-31T23:00:00", Precision.YEAR),
        ("202403", "2024-02-29T23:00:00", Precision.MONTH),
        ("20240229", "2024-02-28T23:00:00", Precision.DAY),
        ("2024022914", "2024-02-29T13:00:00", Precision.HOUR),
        ("202407011430", "2024-07-01T12:30:00", Precision.MINUTE),
        ("20240701143015", "2024-07-01T12:30:15", Precision.SECOND),
        ("20240701143015.25", "2024-07-01T12:30:15.250000", Precision.FRACTION),
        ("20240701143015+0000", "2024-07-01T14:30:15", Precision.SECOND),
        ("20240701143015-0330", "2024-07-01T18:00:15", Precision.SECOND),
        ("202403310330", "2024-03-31T01:30:00", Precision.MINUTE),
        (" 20240101120000 ", "2024-01-01T11:00:00", Precision.SECOND),
    ],
)
def test_a_time_keeps_its_precision_and_its_zone(text: str, begins: str, precision: Precision) -> None:
    point = told(text)
    assert point.begins == datetime.fromisoformat(begins).replace(tzinfo=UTC)
    assert point.precision is precision
    assert not point.ambiguous


def test_nothing_told_is_none() -> None:
    assert read_time("") is None
    assert read_time("  ") is None


@pytest.mark.parametrize(
    "text",
    [
        "20250229", "20241301", "20240100", "2024063112", "2024010124", "202401011260", "20240101120060",
        "202", "2024-01-01", "now", "20240101T12", "00000000", "0000", "18491231", "22000101", "20240101+1500",
        "20240101+0160", "202401011200+01", "20240101120000.1234567", "２０２４", "20240101\n12",
    ],
)  # fmt: skip
def test_an_impossible_time_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        read_time(text)


def test_the_hour_that_the_spring_change_skips_is_winter_time_still() -> None:
    """Of a clock that is put forward late: between what it told before and what it tells after."""
    times = [told(text) for text in ("20240331015959", "20240331020000", "202403310230", "202403310330")]
    assert [point.begins.hour * 60 + point.begins.minute for point in times] == [59, 60, 90, 90]
    assert [point.doubt for point in times] == [Doubt.NONE, Doubt.SKIPPED, Doubt.SKIPPED, Doubt.NONE]
    assert told("202403310230+0100").begins == datetime(2024, 3, 31, 1, 30, tzinfo=UTC)


def test_the_hour_that_the_autumn_change_repeats_is_the_first_and_says_so() -> None:
    point = told("202410270230")
    assert point.begins == datetime(2024, 10, 27, 0, 30, tzinfo=UTC)
    assert point.ambiguous


@pytest.mark.parametrize(
    ("limit", "begins", "doubt"),
    [
        ("00:31", "00:30", Doubt.NONE),
        ("01:24", "00:30", Doubt.NONE),
        ("01:26", "01:30", Doubt.SMALL),  # the sender's clock may be five minutes ahead
        ("01:31", "01:30", Doubt.SMALL),
        ("02:24", "01:30", Doubt.SMALL),
        ("02:26", "01:30", Doubt.FULL),
    ],
)
def test_which_of_autumns_two_hours_is_meant_follows_from_when_it_was_told(
    limit: str, begins: str, doubt: Doubt
) -> None:
    point = told("202410270230").told_by(datetime.fromisoformat(f"2024-10-27T{limit}Z"))
    assert point.begins == datetime.fromisoformat(f"2024-10-27T{begins}Z")
    assert (point.doubt, point.ambiguous) == (doubt, False)


@pytest.mark.parametrize("text", ["202410270230+0100", "202410270130", "202410270300", "20241027", "2024"])
def test_what_is_not_ambiguous_stays_whenever_it_was_told(text: str) -> None:
    for hour in range(24):
        assert told(text).told_by(datetime(2024, 10, 27, hour, tzinfo=UTC)) == told(text)


def test_a_date_is_told_as_written() -> None:
    assert told("202402290030").date == "20240229"
    assert told("202402").date == ""


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("20240701233000+0000", "20240702"),
        ("202406302000-0500", "20240701"),
        ("20240701003000+0300", "20240630"),
        ("20240701233000", "20240701"),
        ("20240701+0000", "20240701"),
        ("202407", ""),
    ],
)
def test_the_day_of_a_moment_is_the_swedish_one(text: str, day: str) -> None:
    assert told(text).day == day


@given(st.datetimes(datetime(1900, 1, 1), datetime(2150, 1, 1), timezones=st.just(UTC)))
def test_what_is_written_is_read_back_to_the_second(moment: datetime) -> None:
    text = write_time(moment)
    # Before 1900 local mean time had seconds in its offset; TS zones have minutes only.
    assert told(text).begins == moment.replace(microsecond=0)
