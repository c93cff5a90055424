"""Persons who became one, in searches: once, with everything of both, found by the name that is told."""

import pytest

from samsyn.patients import links
from samsyn.search.query import Level, Query
from samsyn.store.transaction import Transaction
from tests.dicomweb.house import House, image_file, store, subject_like

NAME, BIRTH, STUDIES = 0x00100010, 0x00100030, 0x00201200


def _sent_for(number: int, patient: str, name: str, birth: str) -> bytes:
    return image_file(
        number,
        StudyInstanceUID=f"2.25.50{number}",
        SeriesInstanceUID=f"2.25.60{number}",
        PatientID=patient,
        PatientName=name,
        PatientBirthDate=birth,
    )


async def _merged(house: House) -> None:
    """An unknown trauma patient who turns out to be Åsa; a third person stands between their names."""
    people = (
        ("199001012385", "Zetterberg^Åsa", "19900101"),
        ("RES1", "Okänd^Man", ""),
        ("191212121212", "Tolvansson^Tolvan", "19121212"),
    )
    async with house.client() as client:
        await store(client, [_sent_for(number, *person) for number, person in enumerate(people)])

    def merge(transaction: Transaction) -> None:
        keys = [
            transaction.one("SELECT patient_key FROM patient_identifier WHERE value = ?", number)[0]
            for number, _, _ in people[:2]
        ]
        links.merge(transaction, *keys, links.Word())

    await house.store.commit(merge)


@pytest.mark.parametrize("limit", [1, 2, 1_000])
async def test_a_person_comes_once_however_the_pages_end(house: House, limit: int) -> None:
    await _merged(house)
    view = await house.gatekeeper.open_view(subject_like(house, "NORDWEB"))
    found, after = [], ()
    while True:
        page = await house.finder.page(view, Query(Level.PATIENT, limit=limit), after)
        found += [(each[NAME][1], each[STUDIES][1]) for each in page.matches]
        if page.end is None:
            break
        after = page.end
    assert found == [(("Tolvansson^Tolvan",), (1,)), (("Zetterberg^Åsa",), (2,))]


@pytest.mark.parametrize("keys", [{NAME: "Zetterberg^*"}, {NAME: "zetterberg^åsa"}, {BIRTH: "19900101"}])
@pytest.mark.parametrize("fuzzy", [False, True])
async def test_what_is_told_of_a_person_finds_what_was_sent_under_his_former_number(
    house: House, keys: dict[int, str], fuzzy: bool
) -> None:
    await _merged(house)
    view = await house.gatekeeper.open_view(subject_like(house, "NORDWEB"))
    found = await house.finder.find(view, Query(Level.STUDY, keys, fuzzy=fuzzy))
    assert {each[0x0020000D][1][0] for each in found} == {"2.25.500", "2.25.501"}
    (person,) = await house.finder.find(view, Query(Level.PATIENT, keys, fuzzy=fuzzy))
    assert person[STUDIES][1] == (2,)


async def test_a_former_name_still_finds_what_was_sent_under_it(house: House) -> None:
    await _merged(house)
    view = await house.gatekeeper.open_view(subject_like(house, "NORDWEB"))
    (study,) = await house.finder.find(view, Query(Level.STUDY, {NAME: "Okänd^Man"}))
    assert (study[0x0020000D][1], study[NAME][1]) == (("2.25.501",), ("Zetterberg^Åsa",))
