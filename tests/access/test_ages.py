"""What a birthday changes: a child's own log-in, and the ground of a child that can not consent."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
import pytest_asyncio

from samsyn.access.facts import ALL
from samsyn.access.followup.elsewhere import Elsewhere
from samsyn.access.followup.extract import Extracts
from samsyn.access.registers_shown import registers_shown
from samsyn.access.reveal import Step
from samsyn.clock import STOCKHOLM
from samsyn.errors import Conflict, NotAllowed
from samsyn.model.registers import BlockKind, Ground
from samsyn.model.subject import Role, Serves, Subject, SubjectKind
from tests.access.house import House, a_house
from tests.access.people import NOW, OWN, staff

PERSON = 1
HIMSELF = Subject(SubjectKind.PATIENT, "patient-1", "Viggo", None, "session-v", patient_key=PERSON)
GP = staff()
PERSONNUMMER, SAMORDNINGSNUMMER = "1.2.752.129.2.1.3.1", "1.2.752.129.2.1.3.3"
WHOLE = {"own.1", "other.1", "foreign.1", "third.1"}
LAST_MOMENT = datetime(2026, 11, 22, 23, 59, 50, tzinfo=STOCKHOLM)


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as opened:
        yield opened


async def born(house: House, day: str, person: int = PERSON) -> None:
    await house.gatekeeper.registers.change(
        lambda transaction: transaction.update("patient", {"patient_key": person}, birth_date=day)
    )


async def numbered(house: House, issuer: str, value: str) -> None:
    await house.gatekeeper.registers.change(
        lambda transaction: transaction.insert(
            "patient_identifier", issuer=issuer, value=value, patient_key=PERSON
        )
    )


async def linked(house: House, other: int) -> None:
    await house.gatekeeper.registers.change(
        lambda transaction: transaction.update("patient", {"patient_key": other}, merged_into=PERSON)
    )


async def shown(house: House, reader: Subject = HIMSELF) -> set[str]:
    return await house.shown(await house.gatekeeper.open_view(reader, frozenset({PERSON})))


async def child_ground(house: House) -> None:
    registers = house.gatekeeper.registers
    await registers.attest_relation(GP, PERSON, datetime(2026, 11, 24, tzinfo=STOCKHOLM))
    await registers.register_ground(GP, PERSON, Ground.CHILD, personal=False, ends=None)


async def chosen(house: House) -> set[str]:
    await house.gatekeeper.reveal(GP, PERSON, Step.OTHER_PROVIDERS)
    await house.gatekeeper.reveal(GP, PERSON, Step.PROVIDERS, frozenset({ALL}))
    return await shown(house, GP)


async def test_a_childs_own_log_in_reads_from_the_sixteenth_birthday(house: House) -> None:
    await born(house, "20101123")
    assert await shown(house) == set()
    house.clock.move((LAST_MOMENT - NOW).total_seconds())
    assert await shown(house) == set()
    house.clock.move(10)
    assert await shown(house) == WHOLE


async def test_without_a_recorded_birth_the_number_tells_it_and_without_either_nobody_is_shut_out(
    house: House,
) -> None:
    assert await shown(house) == WHOLE
    await numbered(house, PERSONNUMMER, "201603092394")
    assert await shown(house) == set()
    await born(house, "19500101")
    assert await shown(house) == WHOLE


async def test_the_day_of_a_coordination_number_has_sixty_added(house: House) -> None:
    await numbered(house, SAMORDNINGSNUMMER, "202601612381")
    assert await shown(house) == set()


async def test_of_births_that_linked_records_tell_differently_the_youngest_counts(house: House) -> None:
    await born(house, "19500101")
    await born(house, "20150101", person=3)
    assert await shown(house) == WHOLE
    await linked(house, 3)
    assert await shown(house) == set()


async def test_a_childs_own_log_in_reads_no_log_either(house: House) -> None:
    await born(house, "20101123")
    extracts = Extracts(house.store, house.clock)
    elsewhere = Elsewhere(house.store, house.clock, None)
    for ask in (extracts.own, extracts.own_entries, elsewhere.own):
        with pytest.raises(NotAllowed, match="too-young"):
            await ask(HIMSELF)
    assert "READ_AUDIT" not in await house.events()
    house.clock.move(86_400)
    assert (await extracts.own(HIMSELF)).lines


async def test_a_childs_own_log_in_is_not_told_what_the_child_has_blocked(house: House) -> None:
    await born(house, "20101123")
    administrator = replace(staff(), roles=frozenset({Role.BLOCK_ADMINISTRATOR}))
    await house.gatekeeper.registers.register_block(administrator, PERSON, BlockKind.OUTER, OWN)
    view = await house.gatekeeper.open_view(HIMSELF, frozenset({PERSON}))
    assert not registers_shown(view.standings)
    house.clock.move(86_400)
    view = await house.gatekeeper.open_view(HIMSELF, frozenset({PERSON}))
    assert len(registers_shown(view.standings).blocks) == 1


async def test_a_consumer_that_serves_patients_keeps_the_ages_itself(house: House) -> None:
    await born(house, "20200101")
    portal = replace(HIMSELF, roles=frozenset({Serves.PATIENTS.value}))
    assert await shown(house, portal) == WHOLE


@pytest.mark.parametrize("way", ["record", "number", "linked record"])
async def test_an_adult_is_not_registered_as_a_child(house: House, way: str) -> None:
    if way == "record":
        await born(house, "20081122")
    if way == "number":
        await numbered(house, PERSONNUMMER, "199409112381")
    if way == "linked record":
        await born(house, "20200101")
        await born(house, "20081122", person=3)
        await linked(house, 3)
    with pytest.raises(Conflict):
        await child_ground(house)
    assert "ATTEST_CONSENT" not in await house.events()
    assert not await shown(house, GP) & {"foreign.1", "third.1"}


async def test_a_child_ground_ends_with_the_eighteenth_birthday(house: House) -> None:
    await born(house, "20081123")
    await child_ground(house)
    assert await chosen(house) >= {"foreign.1", "third.1"}
    house.clock.move((LAST_MOMENT - NOW).total_seconds())
    assert await shown(house, GP) >= {"foreign.1", "third.1"}
    house.clock.move(10)
    view = await house.gatekeeper.open_view(GP, frozenset({PERSON}))
    assert await house.shown(view) == {"own.1"}
    assert view.indicators.unblocked_elsewhere and not view.names.providers


async def test_of_a_child_of_unknown_birth_the_word_of_the_staff_holds(house: House) -> None:
    await child_ground(house)
    assert await chosen(house) >= {"foreign.1", "third.1"}
