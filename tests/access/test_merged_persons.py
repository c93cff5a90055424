"""Two numbers that are one person: the strictest block of both wins, at once, and nothing opens by a merge."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest_asyncio

from samsyn.access.followup.extract import Extracts
from samsyn.model.registers import BlockKind
from samsyn.patients import links
from samsyn.patients.links import Word
from tests.access.house import House, a_house
from tests.access.people import FOREIGN, HIMSELF, NOW, UNIT
from tests.access.test_view import FOREIGN_ADMIN, GP, P1, consenting


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as made:
        yield made


async def sees(house: House) -> set[str]:
    return await house.shown(await house.gatekeeper.open_view(GP, P1))


async def test_a_block_of_the_other_number_hides_what_was_filed_under_this_one_from_the_merge_on(
    house: House,
) -> None:
    await consenting(house)
    await house.gatekeeper.registers.register_block(FOREIGN_ADMIN, 2, BlockKind.OUTER, FOREIGN)
    assert "foreign.1" in await sees(house)
    await house.store.commit(lambda transaction: links.merge(transaction, 1, 2, Word()))
    assert not {"foreign.1", "foreign.2"} & await sees(house)
    await house.store.commit(lambda transaction: links.unmerge(transaction, 1, 2, Word()))
    after = await sees(house)
    assert "foreign.1" in after
    assert not any(uid.endswith(".2") for uid in after)


async def test_a_lift_of_the_one_numbers_block_does_not_open_the_others(house: House) -> None:
    await consenting(house)
    registers = house.gatekeeper.registers
    one = await registers.register_block(FOREIGN_ADMIN, 1, BlockKind.OUTER, FOREIGN)
    await registers.register_block(FOREIGN_ADMIN, 2, BlockKind.OUTER, FOREIGN)
    await registers.lift_block(FOREIGN_ADMIN, one.block_id, unit=UNIT, reason="consent")
    assert "foreign.1" in await sees(house)
    await house.store.commit(lambda transaction: links.merge(transaction, 1, 2, Word()))
    assert not {"foreign.1", "foreign.2"} & await sees(house)


async def test_a_kept_view_does_not_outlive_the_link_that_it_rested_on(house: House) -> None:
    await house.store.commit(lambda transaction: links.link(transaction, 1, 2, Word()))
    await consenting(house)
    assert {"own.1", "own.2"} <= await sees(house)
    await house.store.commit(lambda transaction: links.unlink(transaction, 1, 2, Word()))
    assert "own.2" not in await sees(house)


async def test_after_an_unmerge_each_persons_extract_tells_who_had_the_two_open_as_one(house: House) -> None:
    await house.gatekeeper.registers.attest_relation(GP, 1, NOW + timedelta(hours=8))
    await house.store.commit(lambda transaction: links.merge(transaction, 1, 2, Word()))
    assert {"own.1", "own.2"} <= await sees(house)
    await house.store.commit(lambda transaction: links.unmerge(transaction, 1, 2, Word()))
    for key in (1, 2):
        patient = replace(HIMSELF, hsa_id=f"patient-{key}", patient_key=key)
        extract = await Extracts(house.store, house.clock).own(patient)
        readers = [line for line in extract.lines if not line.is_patient]
        assert [(line.unit, "search" in line.done) for line in readers] == [(UNIT, True)], key
    stranger = await Extracts(house.store, house.clock).own(
        replace(HIMSELF, hsa_id="patient-3", patient_key=3)
    )
    assert not [line for line in stranger.lines if not line.is_patient]
