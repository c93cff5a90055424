"""Looking somebody up by name, and what is suggested for a mistyped number."""

from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import pytest
import pytest_asyncio

from samsyn.clock import SystemClock
from samsyn.model.patient import Demographics, DemographicsOrigin, PatientIdentifier
from samsyn.patients import links, registry
from samsyn.patients.identifiers import ISSUERS, Kind, mistyped, recognise
from samsyn.patients.lookup import PatientLookup
from samsyn.patients.names import name_words, sought_words
from samsyn.store.transaction import Transaction
from tests.indexes import make_store

TODAY = date(2026, 11, 22)
PEOPLE = {
    "Wallin^Anna-Karin": "19120101",
    "von Essen^Hans": "19500505",
    "Åkerström^André": "19600606",
    "Berg-Larsson^Åsa": "19700707",
    "de Geer^Eva": "19800808",
    "O'Neill^Siân": "19900909",
    "Af Klint^Hilma": "18621026",
    "Skyddad^Signe": "19870902",
}


@pytest_asyncio.fixture
async def lookup(tmp_path: Path) -> AsyncIterator[PatientLookup]:
    store = make_store(tmp_path / "data", SystemClock())
    store.start()

    def decide(transaction: Transaction) -> None:
        for number, (name, birth) in enumerate(PEOPLE.items()):
            facts = Demographics(name, birth, "F", protected=name.startswith("Skyddad"))
            registry.find_or_make(
                transaction, PatientIdentifier("2.25.1", f"P{number}"), facts, DemographicsOrigin.ADT
            )
        for value in ("191212121212", "199001012385", "189001019802"):
            identifier = PatientIdentifier(ISSUERS[Kind.PERSONNUMMER], value)
            registry.find_or_make(
                transaction, identifier, Demographics(f"Nummer^{value}"), DemographicsOrigin.ADT
            )

    await store.commit(decide)
    yield PatientLookup(store, SystemClock())
    store.close()


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("Anna-Karin Wallin", "Wallin^Anna-Karin"),
        ("annakarin vallin", "Wallin^Anna-Karin"),
        ("WALLIN KARIN", "Wallin^Anna-Karin"),
        ("Anna Karin Wallin", "Wallin^Anna-Karin"),
        ("Hans Essen", "von Essen^Hans"),
        ("Hans von Essen", "von Essen^Hans"),
        ("Essen, Hans", "von Essen^Hans"),
        ("Andre Akerstrom", "Åkerström^André"),
        ("André Åkerström", "Åkerström^André"),
        ("Aakerström And", "Åkerström^André"),
        ("Åsa Larsson", "Berg-Larsson^Åsa"),
        ("Åsa Berglarsson", "Berg-Larsson^Åsa"),
        ("Asa Berg", "Berg-Larsson^Åsa"),
        ("Geer Eva", "de Geer^Eva"),
        ("Eva De Geer", "de Geer^Eva"),
        ("Sian ONeill", "O'Neill^Siân"),
        ("sian o’neill", "O'Neill^Siân"),
        ("Hilma Klint", "Af Klint^Hilma"),
    ],
)
async def test_a_name_is_found_however_it_is_written(lookup: PatientLookup, written: str, found: str) -> None:
    people = await lookup.by_name(written)
    assert [person.demographics.name for person in people] == [found]


async def test_a_birth_date_narrows_and_never_widens(lookup: PatientLookup) -> None:
    assert len(await lookup.by_name("Anna Wallin", "1912")) == 1
    assert len(await lookup.by_name("Anna Wallin", "19120101")) == 1
    assert await lookup.by_name("Anna Wallin", "1913") == []


@pytest.mark.parametrize(
    "written", ["", "Eva", "a b", "%", "___", "von", "%%%%", "Anna%", "Wallin", "Karin Essen"]
)
async def test_too_little_of_a_name_or_somebody_elses_words_find_nobody(
    lookup: PatientLookup, written: str
) -> None:
    assert await lookup.by_name(written) == []


async def test_nobody_with_protected_identity_is_found_by_name_also_by_a_linked_number(
    lookup: PatientLookup,
) -> None:
    assert await lookup.by_name("Signe Skyddad") == []

    def decide(transaction: Transaction) -> None:
        one, other = (registry.find(transaction, PatientIdentifier("2.25.1", name)) for name in ("P7", "P3"))
        assert one is not None and other is not None
        links.merge(transaction, other, one, links.Word())

    await lookup._store.commit(decide)
    assert await lookup.by_name("Åsa Larsson") == []


async def test_a_new_name_is_found_and_the_old_one_no_longer(lookup: PatientLookup) -> None:
    def decide(transaction: Transaction) -> None:
        registry.find_or_make(
            transaction,
            PatientIdentifier("2.25.1", "P4"),
            Demographics("Wennerholm^Eva"),
            DemographicsOrigin.ADT,
            "2024-01-01T00:00:00+00:00",
        )

    await lookup._store.commit(decide)
    assert await lookup.by_name("Eva de Geer") == []
    assert len(await lookup.by_name("Eva Vennerholm")) == 1


def test_particles_alone_are_a_name() -> None:
    assert sought_words("Von") == ("von",)
    assert "la" in name_words("La^De")


@pytest.mark.parametrize(
    "typed",
    [
        "191212121213",
        "19121212-1221",
        "191221121212",
        "191112121212",
        "121212+1221",
        "911212121212",
    ],
)
async def test_one_wrong_digit_or_two_exchanged_are_suggested_and_not_found(
    lookup: PatientLookup, typed: str
) -> None:
    assert await lookup.by_number(typed) == []
    assert "191212121212" in [each.value for each in await lookup.near(typed)]


@pytest.mark.parametrize("typed", ["191212121224", "", "Tolvan", "1912121212", "1" * 60, "19121212121212"])
async def test_more_than_one_mistake_suggests_nobody(lookup: PatientLookup, typed: str) -> None:
    assert await lookup.near(typed) == []


def test_what_may_be_meant_follows_its_rule_and_is_never_what_was_typed() -> None:
    for typed in ("191212121213", "191212121212", "991981000011", "19810829M072", "202201612933"):
        meant = mistyped(typed, TODAY)
        assert meant or typed == "191212121212"
        own = recognise(typed, TODAY)
        for each in meant:
            assert each != own
            assert recognise(each.identifier.value, TODAY) == each
