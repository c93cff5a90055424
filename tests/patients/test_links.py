"""Numbers that are one person: merged, parted and linked by the sources' clocks; nothing that was filed moves."""

import asyncio
import os
from collections.abc import Callable, Iterator
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any

import pytest

from samsyn.errors import Conflict
from samsyn.model.patient import Demographics, DemographicsOrigin, PatientIdentifier
from samsyn.patients import links, registry
from samsyn.patients.identifiers import ISSUERS, Kind
from samsyn.patients.links import Word
from samsyn.store.index import patient_rows
from samsyn.store.transaction import Transaction
from tests.hl7v2.messages import message, msh, pid, segment
from tests.indexes import forget_index
from tests.patients.house import ISSUER, Life
from tests.reports.house import EHR, House

COUNT = int(os.environ.get("SAMSYN_HISTORIES", "500"))
EARLY, MIDDLE, LATE = (Word(f"2024-03-0{day}T12:00:00+00:00", "test") for day in (1, 2, 3))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    opened = House(tmp_path / "data")
    yield opened
    opened.close()


async def told(house: House, decide: Callable[[Transaction], Any]) -> Any:
    return (await house.store.commit(decide)).value


async def persons(house: House, *identifiers: PatientIdentifier) -> list[int]:
    return await told(
        house,
        lambda transaction: [
            registry.find_or_make(transaction, each, Demographics(), DemographicsOrigin.ADT)
            for each in identifiers
        ],
    )


async def people(house: House, count: int) -> list[int]:
    return await persons(house, *(PatientIdentifier(ISSUER, f"N{each}") for each in range(count)))


async def together(house: House, key: int) -> frozenset[int]:
    return await house.store.read(lambda connection: patient_rows.closure_of(connection, key))


async def shown_as(house: House, key: int) -> int:
    return await house.store.read(lambda connection: patient_rows.root(connection, key))


async def test_a_merge_holds_until_it_is_undone_and_then_both_stand_as_before(house: House) -> None:
    one, other = await people(house, 2)
    assert await told(house, lambda t: links.merge(t, one, other, EARLY))
    assert await together(house, other) == {one, other}
    assert await shown_as(house, other) == one
    assert await told(house, lambda t: links.unmerge(t, one, other, LATE))
    assert await together(house, other) == {other}
    assert await together(house, one) == {one}


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_the_last_word_by_the_sources_clock_counts_whatever_the_order_of_arrival(
    house: House, order: tuple[int, ...]
) -> None:
    one, other = await people(house, 2)
    words = [
        lambda t: links.merge(t, one, other, EARLY),
        lambda t: links.unmerge(t, one, other, LATE),
        lambda t: links.merge(t, one, other, MIDDLE),
    ]
    for place in order:
        await told(house, words[place])
    assert await together(house, one) == {one}


async def test_a_chain_leads_from_reserve_number_over_coordination_number_to_personnummer(
    house: House,
) -> None:
    reserve, coordination, personal = await persons(
        house,
        PatientIdentifier(ISSUERS[Kind.SLL], "991981000010"),
        PatientIdentifier(ISSUERS[Kind.SAMORDNINGSNUMMER], "202201612393"),
        PatientIdentifier(ISSUERS[Kind.PERSONNUMMER], "199001012385"),
    )
    await told(house, lambda t: links.merge(t, personal, coordination, LATE))
    await told(house, lambda t: links.merge(t, coordination, reserve, EARLY))
    assert {await shown_as(house, key) for key in (reserve, coordination, personal)} == {personal}
    await told(house, lambda t: links.unmerge(t, personal, coordination, LATE))
    assert await together(house, reserve) == {reserve, coordination}
    assert await shown_as(house, reserve) == coordination


async def test_of_linked_equals_the_number_that_names_best_stands_for_all(house: House) -> None:
    local, reserve, personal = await persons(
        house,
        PatientIdentifier(ISSUER, "K-1"),
        PatientIdentifier(ISSUERS[Kind.VGR], "19810829M071"),
        PatientIdentifier(ISSUERS[Kind.PERSONNUMMER], "199001012385"),
    )
    await told(house, lambda t: links.link(t, local, reserve, EARLY))
    assert await shown_as(house, local) == reserve
    await told(house, lambda t: links.link(t, personal, local, EARLY))
    assert {await shown_as(house, key) for key in (local, reserve)} == {personal}
    await told(house, lambda t: links.unlink(t, local, personal, LATE))
    assert await together(house, local) == {local, reserve}


@pytest.mark.parametrize("length", [2, 3, 6])
async def test_a_merge_that_closes_a_circle_is_refused(house: House, length: int) -> None:
    keys = await people(house, length)
    for lower, upper in pairwise(keys):
        await told(house, lambda t, lower=lower, upper=upper: links.merge(t, upper, lower, EARLY))
    with pytest.raises(Conflict):
        await told(house, lambda t: links.merge(t, keys[0], keys[-1], LATE))
    assert await together(house, keys[0]) == set(keys)
    assert await shown_as(house, keys[0]) == keys[-1]


async def test_nobody_is_merged_into_two(house: House) -> None:
    one, other, third = await people(house, 3)
    await told(house, lambda t: links.merge(t, one, third, EARLY))
    with pytest.raises(Conflict):
        await told(house, lambda t: links.merge(t, other, third, LATE))
    assert await together(house, other) == {other}


async def test_a_link_over_others_is_not_broken_by_guess(house: House) -> None:
    one, middle, other = await people(house, 3)
    await told(house, lambda t: links.link(t, one, middle, EARLY))
    await told(house, lambda t: links.link(t, middle, other, EARLY))
    with pytest.raises(Conflict):
        await told(house, lambda t: links.unlink(t, one, other, LATE))
    assert len(await together(house, one)) == 3


async def test_a_number_that_stands_alone_loses_its_links_and_gets_no_new_ones(house: House) -> None:
    old, other, new = await people(house, 3)
    await told(house, lambda t: links.merge(t, other, old, EARLY))
    assert await told(house, lambda t: links.stand_alone(t, old, MIDDLE)) == {other}
    assert await together(house, old) == {old}
    for act in (links.merge, links.link, links.move_identifier):
        for pair in ((new, old), (old, new)):
            with pytest.raises(Conflict):
                await told(house, lambda t, act=act, pair=pair: act(t, *pair, LATE))
    rows = await house.all("SELECT one_key, other_key FROM identity_event WHERE act = 'stand-alone'")
    assert rows == [(old, 0)]


async def test_an_identifier_moves_from_the_wrong_person_to_the_right_one(house: House) -> None:
    wrong, right, identifier = await people(house, 3)
    await told(house, lambda t: links.merge(t, wrong, identifier, EARLY))
    assert await told(house, lambda t: links.move_identifier(t, identifier, right, LATE))
    assert await together(house, wrong) == {wrong}
    assert await shown_as(house, identifier) == right
    assert not await told(house, lambda t: links.move_identifier(t, identifier, right, LATE))


async def test_an_identifier_on_which_others_hang_is_not_moved(house: House) -> None:
    one, identifier, other, right = await people(house, 4)
    await told(house, lambda t: links.merge(t, one, identifier, EARLY))
    await told(house, lambda t: links.merge(t, identifier, other, EARLY))
    with pytest.raises(Conflict):
        await told(house, lambda t: links.move_identifier(t, identifier, right, LATE))
    assert await together(house, other) == {one, identifier, other}


async def test_every_word_is_kept_also_those_that_changed_nothing(house: House) -> None:
    one, other = await people(house, 2)
    await told(house, lambda t: links.merge(t, one, other, LATE))
    await told(house, lambda t: links.merge(t, one, other, EARLY))
    await told(house, lambda t: links.unmerge(t, one, other, EARLY))
    events = await house.store.read(lambda connection: links.events_of(connection, [other]))
    assert [(each.act.value, each.effective) for each in events] == [
        ("unmerge", False),
        ("merge", False),
        ("merge", True),
    ]
    assert await together(house, one) == {one, other}


async def test_one_protected_number_protects_the_whole_person_and_blank_fields_are_filled(
    house: House,
) -> None:
    (survivor,) = await persons(house, PatientIdentifier(ISSUER, "S"))

    def make(transaction: Transaction) -> int:
        facts = Demographics("Ekström^Åsa", "19900101", "F", protected=True)
        return registry.find_or_make(
            transaction, PatientIdentifier(ISSUER, "P"), facts, DemographicsOrigin.ADT
        )

    hidden = await told(house, make)
    await told(house, lambda t: links.merge(t, survivor, hidden, EARLY))
    person = await house.store.read(lambda connection: patient_rows.patient(connection, survivor))
    assert person.demographics == Demographics("Ekström^Åsa", "19900101", "F", protected=True)
    await told(house, lambda t: links.unmerge(t, survivor, hidden, LATE))
    person = await house.store.read(lambda connection: patient_rows.patient(connection, survivor))
    assert person.demographics == Demographics()


async def test_a_death_is_of_the_whole_person_stays_at_later_words_and_is_there_after_a_rebuild(
    tmp_path: Path,
) -> None:
    house = House(tmp_path / "data")
    number = PatientIdentifier(ISSUER, "D")
    (survivor,) = await persons(house, PatientIdentifier(ISSUER, "S"))
    dead = Demographics("Ekström^Åsa", "19900101", "F", deceased="20240301")
    silent = Demographics("Ekström^Åsa", "19900101", "F")

    def say(facts: Demographics, origin: DemographicsOrigin) -> Callable[[Transaction], int]:
        return lambda t: registry.find_or_make(t, number, facts, origin, "2024-03-02T12:00:00+00:00")

    key = await told(house, say(dead, DemographicsOrigin.ADT))
    await told(house, say(silent, DemographicsOrigin.IMAGE))
    await told(house, say(silent, DemographicsOrigin.ADT))
    await told(house, lambda t: links.merge(t, survivor, key, EARLY))
    house.store.close()
    forget_index(tmp_path / "data")
    again = House(tmp_path / "data")
    try:
        person = await again.store.read(lambda connection: patient_rows.patient(connection, survivor))
        assert person.demographics == dead
    finally:
        again.close()


async def histories(house: House, numbers: range, steps: int) -> int:
    """Lives that many histories, some at once as many sources do; how much is misplaced."""
    misplaced = 0
    for start in range(numbers.start, numbers.stop, 25):
        lives = [Life(house, number) for number in range(start, min(start + 25, numbers.stop))]
        await asyncio.gather(*(life.begin() for life in lives))
        await asyncio.gather(*(life.live(steps) for life in lives))
        misplaced += sum(life.misplaced for life in lives)
    return misplaced


async def test_after_random_histories_everything_is_with_the_person_it_was_sent_for(house: House) -> None:
    assert await histories(house, range(10_000, 10_015), 16) == 0


@pytest.mark.slow
async def test_after_500_random_histories_nothing_is_misplaced_also_after_a_rebuild(
    tmp_path: Path,
) -> None:
    house = House(tmp_path / "data")
    misplaced = await histories(house, range(COUNT), 24)
    print(f"{COUNT} histories, {misplaced} misplaced")
    assert misplaced == 0
    before = await house.all("SELECT patient_key, merged_into FROM patient ORDER BY patient_key")
    house.store.close()
    forget_index(tmp_path / "data")
    again = House(tmp_path / "data")
    try:
        rows = await again.all("SELECT patient_key, merged_into FROM patient ORDER BY patient_key")
        assert rows == before
    finally:
        again.close()


@pytest.mark.slow
async def test_a_merge_that_a_crash_cuts_off_at_any_byte_is_whole_or_not_there(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    house = House(folder)
    keys = await people(house, 2)
    order = message(
        msh("ORM^O01", "o1"),
        pid(f"N1^^^&{ISSUER}&ISO", "Person^N1"),
        segment("ORC", {1: "NW", 2: "R1", 9: "20240314120000"}),
        segment("OBR", {4: "C^DT^L"}),
    )
    await house.send(order, EHR)
    (file,) = (folder / "journal").iterdir()
    before = await _end(house)
    merge = message(
        msh("ADT^A40", "m1", sent="20240316120000"),
        pid(f"N0^^^&{ISSUER}&ISO", "Person^N0"),
        segment("MRG", {1: f"N1^^^&{ISSUER}&ISO"}),
    )
    await house.send(merge)
    after = await _end(house)
    house.close()
    whole = file.read_bytes()
    places = sorted({before, after - 1, after, *range(before, after, max(1, (after - before) // 47))})
    assert len(places) >= 48
    for place in places:
        copy = tmp_path / f"cut-{place}"
        (copy / "journal").mkdir(parents=True)
        (copy / "journal" / file.name).write_bytes(whole[:place])
        again = House(copy)
        merged = await again.all("SELECT merged_into FROM patient WHERE patient_key = ?", keys[1])
        events = await again.all("SELECT COUNT(*) FROM identity_event")
        audited = await again.all("SELECT COUNT(*) FROM audit WHERE event = 'MERGE_PATIENT'")
        found = (merged[0][0], events[0][0], audited[0][0])
        again.close()
        assert found == ((keys[0], 1, 1) if place >= after else (None, 0, 0)), place


async def _end(house: House) -> int:
    ((offset,),) = await house.all("SELECT end_offset FROM journal_state")
    return offset
