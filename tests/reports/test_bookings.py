"""Bookings converge by the senders' clocks, and give the examining unit its care relation."""

from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest

from tests.hl7v2.messages import message, msh, pid, segment
from tests.hl7v2.test_bookings import siu
from tests.reports.house import OTHER_RIS, House

COLUMNS = "status, starts, ends, unit, placer_id, accession, procedure_text"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    opened = House(tmp_path / "data")
    yield opened
    opened.close()


def told(event: str, hour: int, number: int, **more: str) -> bytes:
    """News of booking `number`, told at that hour of the day."""
    return siu(
        event,
        control=f"{event}-{number}",
        sent=f"20240315{hour:02d}0000",
        f2=f"BOK{number}",
        f26=f"R{number}",
        f27="",
        **more,
    )


async def rows(house: House, number: int) -> list[tuple[object, ...]]:
    booked = await house.all(f"SELECT {COLUMNS} FROM booking WHERE booking_id = ?", f"BOK{number}")
    relations = await house.all(
        "SELECT care_relation.starts, care_relation.ends, source FROM care_relation JOIN booking"
        " ON relation_id = 'booking-' || booking_key WHERE booking_id = ?",
        f"BOK{number}",
    )
    return [tuple(str(value).replace(f"R{number}", "R#") for value in row) for row in booked + relations]


async def test_every_order_of_new_moved_changed_and_cancelled_ends_alike(house: House) -> None:
    story = [("S12", 8, "20240320080000"), ("S13", 9, "20240321080000"), ("S14", 10, ""), ("S15", 11, "")]
    seen = []
    for number, order in enumerate(permutations(story)):
        for event, hour, start in order:
            filed = await house.send(told(event, hour, number, start=start or "20240321080000"))
            assert filed.verdict.code == "AA", filed
        seen.append(await rows(house, number))
    assert len(seen) == 24
    assert all(each == seen[0] for each in seen)
    assert seen[0][0][:2] == ("cancelled", "2024-03-21T07:00:00+00:00")


async def test_a_booking_gives_a_care_relation_until_two_weeks_after_its_time(house: House) -> None:
    await house.send(told("S12", 8, 1))
    assert (await rows(house, 1))[1] == (
        "2024-03-15T07:00:00+00:00", "2024-04-03T07:30:00+00:00", "booking",
    )  # fmt: skip


async def test_a_cancelled_booking_gives_no_relation_from_then_on(house: House) -> None:
    await house.send(told("S12", 8, 1))
    await house.send(told("S15", 11, 1))
    assert (await rows(house, 1))[1][:2] == ("2024-03-15T07:00:00+00:00", "2024-03-15T10:00:00+00:00")


async def test_a_booking_tells_its_referral_that_it_is_scheduled(house: House) -> None:
    order = message(
        msh("ORM^O01", "O1", sent="20240314120000"), pid(), segment("ORC", {1: "NW", 2: "R1"}),
        segment("OBR", {4: "C^DT thorax"}),
    )  # fmt: skip
    for messages in ([order, told("S12", 8, 1)], [told("S12", 8, 1), order]):
        for raw in messages:
            await house.send(raw)
        assert await house.all("SELECT status, booked FROM referral") == [
            ("scheduled", "2024-03-20T07:00:00+00:00")
        ]


async def test_a_moved_time_is_told_and_a_cancelled_one_is_taken_back_in_every_order(house: House) -> None:
    seen = []
    for number, order in enumerate(permutations(range(4))):
        raw = message(
            msh("ORM^O01", f"O{number}", sent="20240314120000"), pid(),
            segment("ORC", {1: "NW", 2: f"R{number}"}), segment("OBR", {4: "C^DT"}),
        )  # fmt: skip
        told_of = [
            raw,
            told("S12", 8, number),
            told("S13", 9, number, start="20240322080000"),
            told("S15", 10, number),
        ]
        for place in order:
            await house.send(told_of[place])
        seen.append(await house.all("SELECT status, booked FROM referral WHERE placer_id = ?", f"R{number}"))
    assert len(seen) == 24
    assert all(each == [("ordered", "-")] for each in seen)


async def test_the_same_booking_number_of_two_providers_is_two_bookings(house: House) -> None:
    await house.send(told("S12", 8, 1))
    await house.send(told("S15", 9, 1), OTHER_RIS)
    assert sorted(await house.all("SELECT status FROM booking")) == [("booked",), ("cancelled",)]
