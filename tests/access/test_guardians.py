"""The register of guardians: who opens a young child's record, until when, and who may say so."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from samsyn.access.guardians import Guardians, Told, between, tell_everything, tell_of_child
from samsyn.access.view import Gatekeeper
from samsyn.clock import STOCKHOLM
from samsyn.errors import BadInput, NotAllowed
from samsyn.model.subject import Purpose, Subject, SubjectKind
from samsyn.store.transaction import Transaction
from tests.access.house import House, a_house
from tests.access.people import NOW, staff

CHILD, MOTHER = 1, 2
PARENT = Subject(SubjectKind.PATIENT, "patient-2", "Josefin", None, "session-g", patient_key=MOTHER)
STEWARD = replace(staff(purpose=Purpose.ADMINISTRATION), roles=frozenset({"steward"}))
THIRTEENTH_BIRTHDAY_TOMORROW = "20131123"
WHOLE = {"own.1", "other.1", "foreign.1", "third.1"}


class Family:
    """A house in which person 1 is a child and person 2 may be the mother."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.gate: Gatekeeper = house.gatekeeper
        self.guardians = Guardians(house.store, house.clock, house.gatekeeper.registers)

    async def shown(self, reader: Subject = PARENT, person: int = CHILD) -> set[str]:
        return await self.house.shown(await self.gate.open_view(reader, frozenset({person})))

    async def born(self, day: str, protected: int = 0) -> None:
        await self.gate.registers.change(
            lambda transaction: transaction.update(
                "patient", {"patient_key": CHILD}, birth_date=day, protected=protected
            )
        )

    async def told(self, *told: Told, at: str = "", source: str = "adt:FOLK") -> None:
        await self.gate.registers.change(
            lambda transaction: tell_of_child(transaction, source, CHILD, told, at)
        )


@pytest_asyncio.fixture
async def family(tmp_path: Path) -> AsyncIterator[Family]:
    async with a_house(tmp_path) as house:
        family = Family(house)
        await family.born(THIRTEENTH_BIRTHDAY_TOMORROW)
        yield family


async def test_a_guardian_reads_until_the_childs_thirteenth_birthday_in_sweden(family: Family) -> None:
    assert await family.shown() == set()
    await family.guardians.register(STEWARD, CHILD, MOTHER, None, "Personbevis")
    assert await family.shown() == WHOLE
    assert await family.guardians.children(PARENT) == (CHILD,)
    last_moment = datetime(2026, 11, 22, 23, 59, 50, tzinfo=STOCKHOLM)
    family.house.clock.move((last_moment - NOW).total_seconds())
    assert await family.shown() == WHOLE
    family.house.clock.move(10)
    assert await family.shown() == set()


async def test_only_the_child_is_opened_and_only_by_its_guardian(family: Family) -> None:
    await family.guardians.register(STEWARD, CHILD, MOTHER, None, "Personbevis")
    stranger = replace(PARENT, hsa_id="patient-3", patient_key=3, session_id="another")
    assert await family.shown(stranger) == set()
    assert await family.shown(PARENT, 3) == set()
    child = replace(PARENT, hsa_id="patient-1", patient_key=CHILD, session_id="child")
    assert await family.shown(child, MOTHER) == set()


async def test_what_a_guardian_opens_is_written_down_as_his_own(family: Family) -> None:
    await family.guardians.register(STEWARD, CHILD, MOTHER, None, "Personbevis")
    view = await family.gate.open_view(PARENT, frozenset({CHILD}))
    await family.gate.record_opening(view, "own.1", "images")
    rows = await family.house.store.read(
        lambda c: c.execute(
            "SELECT actor, purpose, patient_key, details FROM audit WHERE event = 'OPEN_IMAGES'"
        ).fetchall()
    )
    assert [tuple(row[:3]) for row in rows] == [("patient-2", "Direktåtkomst", CHILD)]
    assert "childs-record" in rows[0][3]


async def test_a_child_of_unknown_age_or_with_protected_identity_is_opened_by_nobody_else(
    family: Family,
) -> None:
    await family.guardians.register(STEWARD, CHILD, MOTHER, None, "Personbevis")
    await family.born("")
    assert await family.shown() == set()
    await family.born(THIRTEENTH_BIRTHDAY_TOMORROW, protected=1)
    assert await family.shown() == set()
    assert await family.guardians.children(PARENT) == ()
    await family.born(THIRTEENTH_BIRTHDAY_TOMORROW)
    assert await family.shown() == WHOLE


@pytest.mark.parametrize("survivor", [CHILD, 3])
async def test_a_child_one_of_whose_linked_records_is_protected_is_opened_by_nobody_else(
    family: Family, survivor: int
) -> None:
    await family.guardians.register(STEWARD, CHILD, MOTHER, None, "Personbevis")
    subsumed = 3 if survivor == CHILD else CHILD

    def merge(transaction: Transaction) -> None:
        transaction.update("patient", {"patient_key": 3}, protected=1)
        transaction.update("patient", {"patient_key": subsumed}, merged_into=survivor)

    assert await family.shown() == WHOLE
    await family.gate.registers.change(merge)
    assert await family.shown() == set()
    assert await family.guardians.children(PARENT) == ()


async def test_an_end_and_a_taking_back_close_at_once(family: Family) -> None:
    row = await family.guardians.register(STEWARD, CHILD, MOTHER, NOW + timedelta(hours=1), "Dom")
    assert await family.shown() == WHOLE
    family.house.clock.move(3600)
    assert await family.shown() == set()
    row = await family.guardians.register(STEWARD, CHILD, MOTHER, None, "Dom")
    assert await family.shown() == WHOLE
    await family.guardians.end(STEWARD, row.guardianship_id, "Ny dom")
    await family.guardians.end(STEWARD, row.guardianship_id, "Ny dom")
    assert await family.shown() == set()
    events = await family.house.events()
    assert (events.count("REGISTER_GUARDIAN"), events.count("END_GUARDIAN")) == (2, 1)


@pytest.mark.parametrize(
    ("guardian", "ends", "reason"),
    [
        (MOTHER, None, " "),
        (MOTHER, None, "x" * 501),
        (CHILD, None, "Personbevis"),
        (MOTHER, NOW - timedelta(days=1), "Personbevis"),
    ],
)
async def test_a_word_without_reason_an_end_that_is_past_and_a_child_for_itself_are_refused(
    family: Family, guardian: int, ends: datetime | None, reason: str
) -> None:
    with pytest.raises(BadInput):
        await family.guardians.register(STEWARD, CHILD, guardian, ends, reason)
    assert await family.shown() == set()


@pytest.mark.parametrize("somebody", [staff(), PARENT, replace(STEWARD, assignment=None)])
async def test_nobody_but_a_steward_says_who_is_guardian(family: Family, somebody: Subject) -> None:
    with pytest.raises(NotAllowed):
        await family.guardians.register(somebody, CHILD, MOTHER, None, "Personbevis")
    with pytest.raises(NotAllowed):
        await family.guardians.of_child(somebody, CHILD)
    with pytest.raises(NotAllowed):
        await family.guardians.end(somebody, "any", "Dom")


async def test_a_sources_new_word_takes_the_place_of_its_old_one_and_of_nobody_elses(family: Family) -> None:
    await family.guardians.register(STEWARD, CHILD, 3, None, "Personbevis")
    await family.told(Told(MOTHER, *between("", "")), at="2026-11-01T00:00:00+00:00")
    assert await family.shown() == WHOLE
    await family.told(at="2026-11-03T00:00:00+00:00")
    assert await family.shown() == set()
    known = await family.guardians.of_child(STEWARD, CHILD)
    assert [each.source for each in known] == ["steward"]


async def test_an_old_word_that_arrives_late_opens_nothing_again(family: Family) -> None:
    await family.told(at="2026-11-03T00:00:00+00:00")
    await family.told(Told(MOTHER, *between("", "")), at="2026-11-01T00:00:00+00:00")
    assert await family.shown() == set()
    await family.told(Told(MOTHER, *between("", "")), at="2026-11-04T00:00:00+00:00")
    assert await family.shown() == WHOLE


async def test_days_bound_a_guardianship_from_midnight_to_midnight(family: Family) -> None:
    await family.told(Told(MOTHER, *between("20261123", "20261124")))
    assert await family.shown() == set()
    await family.born("20200101")
    family.house.clock.move((datetime(2026, 11, 23, tzinfo=STOCKHOLM) - NOW).total_seconds())
    assert await family.shown() == WHOLE
    family.house.clock.move(48 * 3600)
    assert await family.shown() == set()


@pytest.mark.parametrize("last", ["20260328", "20260329", "20261024", "20261025", "20261231"])
def test_a_day_ends_at_midnight_on_days_of_23_and_25_hours_too(last: str) -> None:
    begins, ends = between(last, last)
    assert ends is not None
    local = [each.astimezone(STOCKHOLM) for each in (begins, ends)]
    assert [each.strftime("%H:%M") for each in local] == ["00:00", "00:00"]
    assert (local[1].date() - local[0].date()).days == 1


async def test_a_whole_extract_ends_what_it_does_not_name(family: Family) -> None:
    told = {CHILD: (Told(MOTHER, *between("", "")),)}
    for wanted, changed in ((told, 1), (told, 0), ({}, 1)):
        found = await family.gate.registers.change(
            lambda transaction, wanted=wanted: tell_everything(transaction, "file", wanted)  # type: ignore[misc] # mypy infers no lambda with defaults
        )
        assert found == changed
    assert await family.shown() == set()
