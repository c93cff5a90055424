"""Guardians by ADT: NK1 of a source that speaks for the population register, and of no other."""

from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest

from tests.hl7v2.messages import message, msh, pid, segment
from tests.reports.house import EHR, House

CHILD, MOTHER, FATHER = "201603092394^^^PNR", "199409112381^^^PNR", "196809129908^^^PNR"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    opened = House(tmp_path / "data")
    yield opened
    opened.close()


@pytest.fixture
def profile(tmp_path: Path) -> str:
    path = tmp_path / "folk.toml"
    standard = resources.files("samsyn.hl7v2.profiles") / "standard.toml"
    path.write_text(standard.read_text(encoding="utf-8") + '\n[patient.guardians]\nGRD = "guardian"\n')
    return str(path)


def adt(control: str, *next_of_kin: str) -> bytes:
    head = msh("ADT^A31", control, sent=f"202411{control:0>2}120000")
    return message(head, pid(CHILD, "Ytterberg^Viggo", "20160309", "M"), *next_of_kin)


def nk1(number: str, relation: str = "GRD", starts: str = "", ends: str = "") -> str:
    return segment("NK1", {1: "1", 3: relation, 8: starts, 9: ends, 33: number})


async def known(house: House) -> list[tuple[str, ...]]:
    return await house.all(
        "SELECT guardian.value, g.source FROM guardianship AS g JOIN patient_identifier AS guardian"
        " ON guardian.patient_key = g.guardian_key WHERE g.ended IS NULL ORDER BY 1"
    )


async def test_the_register_tells_who_is_guardian_and_who_is_no_more(house: House, profile: str) -> None:
    filed = await house.send(adt("1", nk1(MOTHER), nk1(FATHER)), EHR, profile)
    assert filed.receipt.outcome == "stored"
    assert [row[0] for row in await known(house)] == ["196809129908", "199409112381"]
    await house.send(adt("3", nk1(MOTHER)), EHR, profile)
    assert [row[0] for row in await known(house)] == ["199409112381"]
    await house.send(adt("2", nk1(MOTHER), nk1(FATHER)), EHR, profile)
    assert [row[0] for row in await known(house)] == ["199409112381"], "an older message arrives late"
    await house.send(adt("4", nk1(FATHER, "FTH")), EHR, profile)
    assert await known(house) == [], "a father is no guardian by that"


async def test_a_message_without_next_of_kin_and_one_without_number_change_nothing_and_open_nothing(
    house: House, profile: str
) -> None:
    await house.send(adt("1", nk1(MOTHER)), EHR, profile)
    await house.send(adt("2"), EHR, profile)
    assert len(await known(house)) == 1
    filed = await house.send(adt("3", nk1("")), EHR, profile)
    assert filed.receipt.outcome == "stored"
    assert await known(house) == []


async def test_another_system_tells_no_guardian(house: House) -> None:
    await house.send(adt("1", nk1(MOTHER)), EHR)
    assert await known(house) == []


@pytest.mark.parametrize("numbers", [(MOTHER, MOTHER), (CHILD,)])
async def test_a_guardian_who_is_named_twice_or_is_the_child_holds_the_message(
    house: House, profile: str, numbers: tuple[str, ...]
) -> None:
    filed = await house.send(adt("1", *(nk1(number) for number in numbers)), EHR, profile)
    assert filed.receipt.outcome == "held"
    assert await known(house) == []
