"""Doubt about the patient: what is held, what is flagged, and that nothing but the register describes a person."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from samsyn.ingest.receive import Arrival
from tests.hl7v2.messages import message, msh, oru, pid, segment
from tests.ingest.test_receive import data_set
from tests.reports.house import EHR, RIS, House

SLL = "991981000010^^^SLLRES"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    opened = House(tmp_path / "data")
    yield opened
    opened.close()


def adt(control: str, name: str, birth: str, sex: str = "M", number: str = "191212121212^^^PNR") -> bytes:
    return message(msh("ADT^A08", control, sent=f"202403{control:0>2}120000"), pid(number, name, birth, sex))


async def findings(house: House) -> list[tuple[str, ...]]:
    return await house.all("SELECT kind, reference, detail, settled <> '' FROM finding ORDER BY finding_key")


async def test_an_image_that_names_somebody_else_than_the_register_is_held(house: House) -> None:
    await house.send(adt("1", "Ekström^Åsa", "19680912", "F"))
    assert await house.image(uid="2.25.10") == "held"
    assert await house.all("SELECT reason FROM held") == [("identity-conflict",)]
    assert await house.all("SELECT name, birth_date, patient_id FROM held_identity") == [
        ("Bildnamn^Tolvan", "19121212", "191212121212")
    ]
    assert await house.all("SELECT COUNT(*) FROM study") == [(0,)]


async def test_an_image_with_another_spelling_is_stored_and_flagged_and_overwrites_nothing(
    house: House,
) -> None:
    await house.send(adt("1", "Tolvansson^Tolvan", "19121213"))
    assert await house.image(uid="2.25.10") == "stored"
    assert await findings(house) == [("image-header", "2.25.10", "name birth_date", 0)]
    assert await house.all("SELECT name, birth_date FROM patient") == [("Tolvansson^Tolvan", "19121213")]


async def test_the_flag_follows_the_register_whichever_came_first(house: House) -> None:
    assert await house.image(uid="2.25.10") == "stored"
    assert await findings(house) == []
    await house.send(adt("1", "Tolvansson^Tolvan", "19121213"))
    assert await findings(house) == [("image-header", "2.25.10", "name birth_date", 0)]
    await house.send(adt("2", "Tolvansson^Tolvan", "19121212"))
    assert await findings(house) == [("image-header", "2.25.10", "name", 0)]
    await house.send(adt("3", "Bildnamn^Tolvan", "19121212"))
    assert await findings(house) == [("image-header", "2.25.10", "", 1)]


async def test_two_people_with_one_reserve_number_never_share_a_record(house: House) -> None:
    man = message(msh("ORM^O01", "1"), pid(SLL, "Haddad^Yousef", "19830614", "M"), order())
    woman = message(msh("ORM^O01", "2"), pid(SLL, "Lind^Eva", "19900101", "F"), order("R2"))
    assert (await house.send(man, EHR)).verdict.code == "AA"
    refused = await house.send(woman, EHR)
    assert (refused.verdict.code, refused.receipt.reason) == ("AE", "identity-conflict")
    assert "Lind" not in refused.verdict.sentence
    assert await house.image("991981000010", uid="2.25.20") == "held"
    assert await house.all("SELECT name FROM patient") == [("Haddad^Yousef",)]


async def test_two_images_of_one_unknown_number_that_contradict_each_other_are_not_one_person(
    house: House,
) -> None:
    assert await house.image("K-77", uid="2.25.10") == "stored"
    other = data_set(
        PatientID="K-77",
        PatientName="Lind^Eva",
        PatientBirthDate="19900101",
        StudyInstanceUID="2.25.30",
        SeriesInstanceUID="2.25.31",
        SOPInstanceUID="2.25.32",
    )
    receipt, _ = await house.intake.receive(Arrival(RIS, "1.2.840.10008.1.2.1", "a"), other)
    assert (receipt.outcome, receipt.reason) == ("held", "identity-conflict")


async def test_a_text_with_another_spelling_is_filed_and_flagged_once(house: House) -> None:
    await house.send(adt("1", "Tolvansson^Tolvan", "19121213"))
    for control in ("2", "3"):
        assert (await house.send(oru(control=control, text=f"Svar {control}"))).verdict.code == "AA"
    assert await findings(house) == [("text-header", "texts:NORDRIS:1", "birth_date", 0)]


async def test_a_register_that_makes_a_number_somebody_else_is_believed_and_flagged(house: House) -> None:
    await house.send(adt("1", "Tolvansson^Tolvan", "19121212"))
    await house.send(adt("2", "Lind^Eva", "19900101", "F"))
    assert ("register-changed", "patient:1", "name birth_date sex", 0) in await findings(house)
    assert await house.all("SELECT name FROM patient") == [("Lind^Eva",)]


async def test_a_merge_compares_what_was_sent_under_the_old_number_with_the_new_ones_person(
    house: House,
) -> None:
    assert await house.image("K-77", uid="2.25.10") == "stored"
    await house.send(adt("1", "Tolvansson^Tolvan", "19121213"))
    assert await findings(house) == []
    mrg = segment("MRG", {1: f"K-77^^^&{RIS.default_issuer}&ISO"})
    head = pid("191212121212^^^PNR", "Tolvansson^Tolvan", "19121213")
    merge = message(msh("ADT^A40", "2", sent="20240302120000"), head, mrg)
    assert (await house.send(merge)).verdict.code == "AA"
    assert await findings(house) == [("image-header", "2.25.10", "name birth_date", 0)]


def order(placer: str = "R1") -> str:
    return "\r".join(
        (
            segment("ORC", {1: "NW", 2: placer, 9: "20240314120000"}),
            segment("OBR", {2: placer, 4: "C^DT thorax^L"}),
        )
    )
