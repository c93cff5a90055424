"""Two persons with a report under one accession number: a steward is told, until one of the two is taken back."""

import asyncio
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest

from samsyn.clock import SystemClock
from samsyn.reports.stewardship.worklists import WorkLists
from tests.hl7v2.messages import message, msh, obr, obx, pid, segment
from tests.reports.house import OTHER_RIS, House
from tests.reports.test_moving import steward

TOLVAN = pid()
AGDA = pid("199001012385^^^PNR", "Testperson^Agda", "19900101", "F")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    opened = House(tmp_path / "data")
    yield opened
    opened.close()


def report(control: str, who: str, sent: str = "20240315101530", status: str = "F") -> bytes:
    said = (obr({25: status}), obx("Fraktur.", status)) if status != "X" else (obr({25: "X"}),)
    return message(msh("ORU^R01", control, sent=sent), who, *said)


async def numbers(house: House) -> list[tuple[str, str, str]]:
    """Number of the person, accession number and what is told of each case that waits for the provider's steward."""
    cases = await WorkLists(house.store, SystemClock()).findings(steward())
    return sorted(
        (case.patient.identifiers[0].value, case.accession, " ".join(case.fields))
        for case in cases
        if case.patient is not None and case.kind == "text-number"
    )


BOTH = [("191212121212", "ACC300", "accession"), ("199001012385", "ACC300", "accession")]


async def test_a_report_that_was_sent_anew_for_somebody_else_is_told_of_both(house: House) -> None:
    await house.send(report("M1", TOLVAN))
    await house.send(report("M2", TOLVAN, "20240315110000", "C"))
    assert await numbers(house) == []
    assert (await house.send(report("M3", AGDA, "20240316080000"))).verdict.code == "AA"
    assert await numbers(house) == BOTH


async def test_where_one_was_taken_back_nothing_waits_whatever_came_first(tmp_path: Path) -> None:
    words = [
        report("M1", TOLVAN),
        report("M2", TOLVAN, "20240316080000", "X"),
        report("M3", AGDA, "20240316080001"),
    ]
    for number, order in enumerate(permutations(words)):
        house = House(tmp_path / str(number))
        for raw in order:
            assert (await house.send(raw)).verdict.code == "AA"
        assert await numbers(house) == []
        await house.send(report("M4", TOLVAN, "20240317080000", "C"))
        assert await numbers(house) == BOTH
        house.close()


async def test_two_that_are_filed_in_one_turn_are_seen(house: House) -> None:
    others = [
        message(msh("ORU^R01", f"X{each}"), TOLVAN, obr({18: f"A{each}"}), obx("Svar.")) for each in range(30)
    ]
    await asyncio.gather(*map(house.send, (*others, report("M1", TOLVAN), report("M2", AGDA))))
    assert await numbers(house) == BOTH


async def test_one_person_under_two_numbers_and_another_department_s_numbers_are_no_case(
    house: House,
) -> None:
    await house.send(report("M1", TOLVAN))
    await house.send(report("M2", AGDA), OTHER_RIS)
    linked = message(
        msh("ADT^A40", "A1"), TOLVAN, segment("MRG", {1: "991981000010^^^&1.2.752.97.3.1.3&ISO"})
    )
    assert (await house.send(linked)).verdict.code == "AA"
    await house.send(report("M3", pid("991981000010^^^&1.2.752.97.3.1.3&ISO")))
    assert await numbers(house) == []
