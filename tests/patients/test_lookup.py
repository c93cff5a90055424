"""Whom a number means: to somebody who types it, and to an identity provider that vouches for it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from samsyn.access.authentication.claims import PersonLoggedIn, patient
from samsyn.patients import links
from samsyn.patients.links import Word
from samsyn.patients.lookup import PatientLookup
from tests.access.house import House, a_house

PERSONNUMMER, SAMORDNINGSNUMMER = "1.2.752.129.2.1.3.1", "1.2.752.129.2.1.3.3"
LOCAL, RESERVE = "2.25.9990000001.1", "1.2.752.97.3.1.3"
NUMBER = "191212121212"


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as made:
        yield made


async def has(house: House, key: int, issuer: str, value: str = NUMBER) -> None:
    await house.store.commit(
        lambda transaction: transaction.insert(
            "patient_identifier", issuer=issuer, value=value, patient_key=key
        )
    )


async def test_who_logs_in_is_nobody_who_has_the_same_digits_from_another_issuer(house: House) -> None:
    lookup = PatientLookup(house.store, house.clock)
    await has(house, 2, LOCAL)
    assert [each.key for each in await lookup.by_number(NUMBER)] == [2], "whoever types it may mean him"
    assert await lookup.by_own_log_in(NUMBER) is None
    await has(house, 1, PERSONNUMMER)
    assert await lookup.by_own_log_in(NUMBER) == 1
    assert await lookup.by_own_log_in("19121212-1212") == 1


@pytest.mark.parametrize(
    ("issuer", "value", "is_found"),
    [
        (SAMORDNINGSNUMMER, "202601612381", True),
        (RESERVE, "991981000010", False),
        (LOCAL, "4711", False),
    ],
)
async def test_an_own_log_in_is_by_a_number_of_the_population_register(
    house: House, issuer: str, value: str, is_found: bool
) -> None:
    await has(house, 1, issuer, value)
    assert await PatientLookup(house.store, house.clock).by_own_log_in(value) == (1 if is_found else None)


async def test_who_has_logged_in_stays_himself_when_a_wrong_merge_is_taken_back(house: House) -> None:
    await has(house, 2, PERSONNUMMER)
    await house.store.commit(lambda transaction: links.merge(transaction, 1, 2, Word()))
    key = await PatientLookup(house.store, house.clock).by_own_log_in(NUMBER)
    assert key is not None
    subject = patient(PersonLoggedIn(NUMBER, "Tolvan"), key)

    async def shown() -> set[str]:
        opened = replace(subject, session_id="one-and-the-same")
        return await house.shown(await house.gatekeeper.open_view(opened, frozenset({key})))

    assert {"own.1", "own.2"} <= await shown()
    await house.store.commit(lambda transaction: links.unmerge(transaction, 1, 2, Word()))
    assert {uid.rpartition(".")[2] for uid in await shown()} == {"2"}
