"""The log extract: the own record only, complete, by unit and time, staff named only where that is public."""

from dataclasses import replace
from pathlib import Path

import pytest

from samsyn import limits
from samsyn.access.authentication.desk import names_told
from samsyn.access.events import Event, entry
from samsyn.access.followup.extract import Extracts
from samsyn.audit import journal
from samsyn.errors import NotAllowed
from tests.access.house import House, a_house
from tests.access.people import FOREIGN, FOREIGN_UNIT, HIMSELF, OWN, SYSTEM, UNIT, staff
from tests.followup.test_review import did, logged_in, reader, reviewer

PATIENT = replace(HIMSELF, patient_key=1, hsa_id="patient-1")


async def some_readings(house: House) -> None:
    asa = reader("SE9990000001-1", "Åsa Öberg")
    await logged_in(house, asa)
    await did(house, asa, (Event.SEARCH_PATIENT, 1), (Event.OPEN_IMAGES, 1), (Event.OPEN_REPORT, 1))
    await did(house, asa, (Event.OPEN_IMAGES, 2))
    house.clock.move(3_600)
    await did(house, asa, (Event.OPEN_IMAGES, 1))
    foreign = reader("SE9990000002-1", "Bo Berg", FOREIGN, FOREIGN_UNIT)
    await logged_in(house, foreign)
    await did(house, foreign, (Event.EMERGENCY_CONSENT, 1))
    await did(house, SYSTEM, (Event.SEND, 1), (Event.STORE_STUDY, 1))


async def test_one_line_is_what_one_reader_at_one_unit_did_in_one_day(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        await some_readings(house)
        extract = await Extracts(house.store, house.clock, frozenset({OWN})).own(PATIENT)
        lines = [
            (line.provider, line.unit, line.done, line.staff, line.is_emergency, line.is_system)
            for line in extract.lines
            if not line.is_patient
        ]
        assert sorted(lines) == sorted(
            [
                (
                    SYSTEM.assignment.provider_hsa_id,
                    SYSTEM.assignment.unit_hsa_id,
                    ("send",),
                    "",
                    False,
                    True,
                ),  # type: ignore[union-attr]
                (FOREIGN, FOREIGN_UNIT, ("emergency",), "", True, False),
                (OWN, UNIT, ("search", "images", "report"), "Åsa Öberg", False, False),
            ]
        )
        mine = next(line for line in extract.lines if line.staff)
        assert (mine.last - mine.first).total_seconds() == 3_600
        assert extract.is_complete


async def test_the_patients_own_reading_stands_in_it_as_his_own(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        extract = await Extracts(house.store, house.clock).own(PATIENT)
        assert [(line.is_patient, line.done) for line in extract.lines] == [(True, ("log",))]


async def test_nobody_but_the_patient_reads_it_and_it_is_about_nobody_else(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        await some_readings(house)
        extracts = Extracts(house.store, house.clock)
        for subject in (staff(), reviewer(), SYSTEM):
            with pytest.raises(NotAllowed):
                await extracts.own(subject)
        other = await extracts.own(replace(PATIENT, patient_key=3, hsa_id="patient-3"))
        assert [line.is_patient for line in other.lines] == [True]


async def test_what_a_provider_hands_out_is_about_its_own_staff_and_the_handing_out_is_logged(
    tmp_path: Path,
) -> None:
    async with a_house(tmp_path) as house:
        await some_readings(house)
        extract = await Extracts(house.store, house.clock).on_request(reviewer(), 1)
        assert FOREIGN not in {line.provider for line in extract.lines}
        assert (await house.audited())[-1][:3] == ("EXPORT", "Utskrift", 1)
        with pytest.raises(NotAllowed):
            await Extracts(house.store, house.clock).on_request(staff(), 1)


async def test_linked_numbers_are_one_person_and_a_cut_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_house(tmp_path) as house:
        await did(house, reader("SE9990000001-1"), *[(Event.OPEN_IMAGES, 2)] * 3)

        def merge(transaction: object) -> None:
            transaction.update("patient", {"patient_key": 2}, merged_into=1)  # type: ignore[attr-defined]

        await house.store.commit(merge)
        extract = await Extracts(house.store, house.clock).own(PATIENT)
        assert "images" in {code for line in extract.lines for code in line.done}
        monkeypatch.setattr(limits, "MAX_EXTRACT_ROWS", 2)
        assert not (await Extracts(house.store, house.clock).own(PATIENT)).is_complete


async def test_staff_with_protected_identity_are_named_to_nobody(tmp_path: Path) -> None:
    """Not even the journal has the name: what it does not hold, no extract, review or log receiver can tell."""
    hidden = replace(staff(), name="Hemlig Person", protected=True)
    assert names_told(hidden)["name"] == ""
    async with a_house(tmp_path) as house:
        await journal.write(house.store, entry(hidden, Event.LOGIN, details=names_told(hidden)))
        await did(house, hidden, (Event.OPEN_IMAGES, 1))
        extract = await Extracts(house.store, house.clock, frozenset({OWN})).own(PATIENT)
        assert [line.staff for line in extract.lines] == ["", ""]
