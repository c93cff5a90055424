"""A provider's own patient number says that the person has been there: it is told when that may be told (SVOD 2:4)."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from samsyn.model.patient import Demographics, DemographicsOrigin, PatientIdentifier
from samsyn.patients import links, registry
from samsyn.store.transaction import Transaction
from tests.doors.doors import Asker, Question, Web, opened_by
from tests.doors.instance import Instance, Planted, running
from tests.doors.words import Reader
from tests.doors.world import READERS, STATES

KLARA_ISSUER, KLARA_NUMBER = "2.25.9990000002.1", "K-4711"
_STATES = {state.name: state for state in STATES}
_READERS = {reader.name: reader for reader in READERS}
PHYSICIAN = _READERS["physician, everything chosen"]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Instance, dict[str, Planted]]]:
    states = (
        replace(_STATES["own unit"], name="nothing at Klara"),
        replace(_STATES["other provider"], name="hidden at Klara"),
        replace(_STATES["outer block, consent"], name="blocked at Klara"),
        replace(_STATES["other provider, consent"], name="shown at Klara"),
    )
    with running(Path(tmp_path_factory.mktemp("numbers"))) as made:
        persons = made.plant(states)

        def give_numbers(transaction: Transaction) -> None:
            for each in persons:
                number = PatientIdentifier(KLARA_ISSUER, f"{KLARA_NUMBER}-{each.number}")
                key = registry.find_or_make(
                    transaction, number, Demographics("Provsson^Provan"), DemographicsOrigin.IMAGE
                )
                links.merge(transaction, each.there.patient_key, key, links.Word())

        made.commit(give_numbers)
        made.server._gatekeeper.forget_views()
        yield made, {each.state.name: each for each in persons}


def _told(made: Instance, reader: Reader, person: Planted) -> dict[str, bool]:
    """At which doors the reader meets Klara's number or its issuer."""
    web = Web(made.server._base)
    token = made.token(reader, person)
    found = {}
    questions = {
        "FHIR by number": Question(f"/fhir/Patient?identifier={person.there.patient_id}"),
        "FHIR": Question(f"/fhir/Patient/{person.there.fhir_id}"),
        "QIDO": Question(f"/dicomweb/studies?PatientID={person.there.patient_id}"),
    }
    if reader.kind == "system":
        questions |= {
            "QIDO by wild card": Question(f"/dicomweb/studies?PatientID={KLARA_NUMBER}-*"),
            "QIDO by issuer": Question(f"/dicomweb/studies?IssuerOfPatientID={KLARA_ISSUER}"),
        }
    else:
        made.choose(reader, made.server._tokens.find(token).session_id, [person])
    for name, question in questions.items():
        answer = web.ask(question, Asker(reader, token))
        by_search = name in ("QIDO by wild card", "QIDO by issuer") and answer.status == 200
        found[name] = by_search or _names_klara(answer.body)
    if reader.kind == "staff":
        with opened_by(made, reader, [person]) as open_page:
            asker = open_page(person, False)
            for name, question in {
                "page: found": Question("/find", {"number": person.there.patient_id}),
                "page: history": Question(f"/p/{asker.handles[0]}/"),
                "page: start": Question("/"),
            }.items():
                answer = web.ask(question, asker)
                assert answer.status == 200
                found[name] = _names_klara(answer.body)
    web.close()
    return found


def _names_klara(body: bytes) -> bool:
    return KLARA_NUMBER.encode() in body or KLARA_ISSUER.encode() in body


@pytest.mark.parametrize("name", ["nothing at Klara", "hidden at Klara", "blocked at Klara"])
def test_it_is_told_to_nobody_who_may_not_know_whose_information_exists(
    planted: tuple[Instance, dict[str, Planted]], name: str
) -> None:
    made, persons = planted
    assert not any(_told(made, PHYSICIAN, persons[name]).values())


def test_a_system_does_not_learn_it_from_what_it_is_answered_or_may_ask_for(
    planted: tuple[Instance, dict[str, Planted]],
) -> None:
    made, persons = planted
    assert not any(_told(made, _READERS["NORDWEB"], persons["nothing at Klara"]).values())


def test_it_is_told_where_the_providers_information_is_shown(
    planted: tuple[Instance, dict[str, Planted]],
) -> None:
    made, persons = planted
    told = _told(made, PHYSICIAN, persons["shown at Klara"])
    assert told["FHIR"] and told["page: history"]


def test_the_provider_itself_is_told_its_own_number(planted: tuple[Instance, dict[str, Planted]]) -> None:
    made, persons = planted
    klara = _READERS["radiologist of the owner"]
    assert _told(made, klara, persons["hidden at Klara"])["FHIR"]


def test_who_asks_with_the_number_finds_the_person_by_it(
    planted: tuple[Instance, dict[str, Planted]],
) -> None:
    made, persons = planted
    person = persons["hidden at Klara"]
    web = Web(made.server._base)
    number = f"{KLARA_NUMBER}-{person.number}"
    token = made.token(PHYSICIAN, person)
    answer = web.ask(Question(f"/fhir/Patient?identifier={number}"), Asker(PHYSICIAN, token))
    web.close()
    assert number.encode() in answer.body
