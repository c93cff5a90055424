"""Hidden and absent take the same time: nobody can tell from a clock what he may not be told.

Requests for a hidden study and for one that does not exist alternate, so that whatever else the machine does falls on
both alike. The measure is how often a hidden one takes longer than an absent one: 0.5 is chance, and medians beside.
"""

import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.doors.doors import DOORS, Asker, Door, Web, opened_by
from tests.doors.instance import Instance, Planted, running
from tests.doors.words import Reader, State
from tests.doors.world import READERS, STATES

pytestmark = pytest.mark.slow

ROUNDS = 600
FIRST_TIMES = 240
_DISTINGUISHED = 0.62
"""With so many rounds chance stays within 0.5 +- 0.05; a difference that one could use lies far outside."""
_DISTINGUISHED_IN_FEW = 0.75
"""With FIRST_TIMES rounds chance stays within 0.5 +- 0.08."""
_UNSEEN_S = 100e-6
"""A difference of medians below this is lost in any network between."""
_BLOCKED = next(state for state in STATES if state.name == "outer block, consent")


def _reader(name: str) -> Reader:
    return next(reader for reader in READERS if reader.name == name)


def _door(name: str) -> Door:
    return next(door for door in DOORS if door.name == name)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Instance, list[Planted]]]:
    states: tuple[State, ...] = (_BLOCKED,) * FIRST_TIMES
    with running(Path(tmp_path_factory.mktemp("timing"))) as made:
        yield made, made.plant(states)


def _longer(hidden: list[float], absent: list[float]) -> float:
    """How often a hidden one took longer than an absent one, over all pairs (the area under the ROC curve)."""
    ranked = sorted([(each, 1) for each in hidden] + [(each, 0) for each in absent])
    ranks = sum(place for place, (_, is_hidden) in enumerate(ranked, 1) if is_hidden)
    count = len(hidden)
    return (ranks - count * (count + 1) / 2) / (count * len(absent))


def _judge(name: str, hidden: list[float], absent: list[float], limit: float = _DISTINGUISHED) -> None:
    share = _longer(hidden, absent)
    apart = abs(statistics.median(hidden) - statistics.median(absent))
    print(
        f"{name}: hidden {statistics.median(hidden) * 1e3:.2f} ms, absent {statistics.median(absent) * 1e3:.2f} ms,"
        f" hidden takes longer in {share:.0%}"
    )
    assert 1 - limit < share < limit or apart < _UNSEEN_S


QUESTIONS = (
    ("NORDWEB", "WADO instance"),
    ("NORDWEB", "WADO study metadata"),
    ("NORDWEB", "WADO series thumbnail"),
    ("NORDWEB", "QIDO studies by UID"),
    ("physician, everything chosen", "WADO instance"),
    ("physician, everything chosen", "QIDO series of study"),
)


@pytest.mark.parametrize(("reader_name", "door_name"), QUESTIONS)
def test_asked_again_and_again_they_take_the_same_time(
    planted: tuple[Instance, list[Planted]], reader_name: str, door_name: str
) -> None:
    made, persons = planted
    reader, door, person = _reader(reader_name), _door(door_name), persons[0]
    token = made.token(reader, person)
    asker = Asker(reader, token)
    web = Web(made.server._base)
    times: dict[bool, list[float]] = {True: [], False: []}
    for place in range(2 * ROUNDS + 40):
        is_hidden = place % 2 == 0
        question = door.ask(person.there if is_hidden else person.twin, "")
        before = time.perf_counter()
        answer = web.ask(question, asker)
        if place >= 40:
            times[is_hidden].append(time.perf_counter() - before)
        assert answer.status in (204, 404)
    web.close()
    _judge(f"{door.name} for {reader.name}", times[True], times[False])


@pytest.mark.parametrize("door_name", ["WADO instance", "QIDO studies by UID"])
def test_asked_for_the_first_time_they_take_the_same_time(
    planted: tuple[Instance, list[Planted]], door_name: str
) -> None:
    made, persons = planted
    reader, door = _reader("emergency room, no relation"), _door(door_name)
    web = Web(made.server._base)
    times: dict[bool, list[float]] = {True: [], False: []}
    asker = Asker(reader, made.server._tokens.issue(replace(made.subject(reader), session_id="")))
    for place, person in enumerate(persons):
        # The second of a pair finds warm what both touch.
        for is_hidden in (True, False) if place % 2 else (False, True):
            question = door.ask(person.there if is_hidden else person.twin, "")
            before = time.perf_counter()
            answer = web.ask(question, asker)
            times[is_hidden].append(time.perf_counter() - before)
            assert answer.status in (204, 404)
    web.close()
    _judge(f"{door.name}, first time", times[True], times[False], _DISTINGUISHED_IN_FEW)


def test_a_page_of_a_hidden_examination_takes_as_long_as_one_of_none(
    planted: tuple[Instance, list[Planted]],
) -> None:
    made, persons = planted
    reader, door = _reader("physician, everything chosen"), _door("page: examination")
    web = Web(made.server._base)
    times: dict[bool, list[float]] = {True: [], False: []}
    person = persons[1]
    with opened_by(made, reader, persons) as open_page:
        asker = open_page(person, False)
        for place in range(400):
            is_hidden = place % 2 == 0
            question = door.ask(person.there if is_hidden else person.twin, asker.handles[0])
            before = time.perf_counter()
            assert web.ask(question, asker).status == 404
            if place >= 20:
                times[is_hidden].append(time.perf_counter() - before)
    web.close()
    _judge("page of an examination", times[True], times[False])
