"""Grounds and blocks themselves, over FHIR: every reader before every state sees the rows that the law lets him."""

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from tests.doors.doors import Asker, Question, Web, register_ids
from tests.doors.instance import Instance, Planted, running
from tests.doors.oracle import registers_seen
from tests.doors.world import READERS, STATES

pytestmark = pytest.mark.slow

Stage = tuple[Instance, list[Planted]]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with running(Path(tmp_path_factory.mktemp("registers"))) as made:
        yield made, made.plant(STATES)


def rows(web: Web, path: str, asker: Asker, names: dict[str, str]) -> set[str]:
    """What the answer tells, by what it is called in the state; anything of another person stays as it is."""
    answer = web.ask(Question(path), asker)
    if answer.status != 200:
        assert answer.status in (401, 403, 404), answer.body
        return set()
    found = orjson.loads(answer.body).get("entry", ())
    ids = [each["resource"]["id"] for each in found if each["resource"]["resourceType"] == "Consent"]
    return {names.get(each, each) for each in ids}


def test_every_reader_sees_of_the_registers_what_the_law_says(planted: Stage) -> None:
    made, persons = planted
    web = Web(made.server._base)
    cells, wrong, shown = 0, [], 0
    for reader in READERS:
        for each in persons:
            asker = Asker(reader, made.token(reader, each))
            names = register_ids(each.state, each.there)
            law = registers_seen(reader, each.state)
            whose = each.there.fhir_id
            for path in (
                f"/fhir/Consent?patient={whose}",
                f"/fhir/Consent?patient={whose}&status=active",
                f"/fhir/Patient/{whose}/$everything",
            ):
                told = rows(web, path, asker, names)
                cells += 1
                shown += len(told)
                if told != law:
                    wrong.append(f"{reader.name} | {each.state.name} | {path}: {told}, law {law}")
            for identity, name in names.items():
                answer = web.ask(Question(f"/fhir/Consent/{identity}"), asker)
                cells += 1
                if (answer.status == 200) != (name in law):
                    wrong.append(f"{reader.name} | {each.state.name} | {name}: {answer.status}")
    web.close()
    print(f"cells of the registers checked {cells}, wrong {len(wrong)}; rows shown {shown}")
    assert shown
    assert wrong == [], wrong[:20]
