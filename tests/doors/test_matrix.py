"""Every reader at every door before every state of a record: nobody learns more than the law lets him, or less."""

import ast
import io
import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from samsyn import operations_log
from tests.doors import oracle, words
from tests.doors.doors import (
    DOORS,
    Answer,
    Asker,
    Door,
    OpenPage,
    Question,
    Web,
    leaked,
    observed,
    opened_by,
    tokens_in,
    without_names,
)
from tests.doors.instance import Instance, Planted, running
from tests.doors.oracle import by_contract, for_stewardship, has_duty, may_learn_who, permitted
from tests.doors.results import Result
from tests.doors.words import Reader, Seen, State
from tests.doors.world import CHILDREN, READERS, STATES

QUICK_READERS = frozenset(
    {"physician, everything chosen", "physician, nothing chosen", "within the provider", "NORDWEB"}
)
QUICK_DOORS = frozenset(
    {
        "QIDO studies by patient",
        "WADO instance",
        "FHIR DiagnosticReport",
        "SOAP GetImagingOutcome",
        "page: history",
        "quick viewer: picture",
    }
)


Stage = tuple[Instance, list[Planted], io.StringIO]
"""The instance, what is planted in it, and its operations log."""


def expected_at(door: Door, reader: Reader, state: State) -> Seen:
    """What the oracle permits, at a door that may know fewer steps than the law."""
    if door.duty == "steward":
        law = for_stewardship(reader, state)
        if "taken back" in door.name and not state.is_rejected:
            law = Seen.NOTHING
    elif door.is_contract:
        law = by_contract(reader, state)
    elif door.part == "all":
        law = max(permitted(reader, state, part) for part in ("images", "report", "referral"))
    else:
        law = permitted(reader, state, door.part)
    if _is_for_staff_alone(door, reader):
        return Seen.NOTHING
    if door.names_no_person and reader.kind == "staff":
        return Seen.NOTHING
    if reader.is_guardian and not door.name.startswith(("FHIR", "SOAP")):
        return Seen.NOTHING  # these doors ask nobody who is private for whom he reads: it is himself
    if door.tells_bits:
        return law
    return law if law is Seen.CONTENT else Seen.NOTHING


def _tells_name(door: Door, answer: Answer) -> bool:
    """Objects leave byte for byte as they came; everything else masks the name."""
    is_object = b"DICM" in answer.body or answer.header("content-type").startswith(
        ("image/", "application/octet")
    )
    return not is_object and b"Provsson" in answer.body


def _is_for_staff_alone(door: Door, reader: Reader) -> bool:
    return reader.kind == "patient" and door.name.split(":")[0] in ("page", "quick viewer")


def is_shut_out(reader: Reader, planted: list[Planted]) -> bool:
    """Whether the law lets him learn nothing of anybody here; then a third of the persons is looked at."""
    return not reader.duties and not any(
        permitted(reader, each.state, part) for each in planted for part in ("images", "report", "referral")
    )


def check(
    instance: Instance, web: Web, planted: list[Planted], readers: list[Reader], doors: list[Door]
) -> Result:
    result = Result()
    for reader in readers:
        absent: dict[str, Answer] = {}
        with opened_by(instance, reader, planted) as open_page:
            for place, each in enumerate(planted):
                if is_shut_out(reader, planted) and place % 3 != len(reader.name) % 3:
                    continue
                _check_person(instance, web, each, reader, doors, open_page, absent, result)
    return result


def _check_person(
    instance: Instance,
    web: Web,
    each: Planted,
    reader: Reader,
    doors: list[Door],
    open_page: OpenPage,
    kept_absent: dict[str, Answer],
    result: Result,
) -> None:
    token = instance.token(reader, each)
    if token and reader.kind in ("staff", "patient"):
        session_id = instance.server._tokens.find(token).session_id
        instance.choose(reader, session_id, [each])
    for place, door in enumerate(doors):
        if len(doors) > len(QUICK_DOORS) and door.names_uids and (place + each.number + len(reader.name)) % 2:
            continue  # of the many forms of one object each person is asked for every other one, in turn
        if door.by == "cookie" and reader.kind in ("system", "consumer", "nobody"):
            continue
        answers: list[Answer] = []
        for is_twin in (False, True):
            target = each.twin if is_twin else each.there
            if is_twin and door.tells_person:
                answers.append(answers[0])
                continue
            if is_twin and door.names_uids and door.name in kept_absent:
                answers.append(kept_absent[door.name])
                continue
            if door.by == "cookie":
                asker = open_page(each, is_twin)
            else:
                asker = Asker(reader, token)
            answers.append(web.ask(door.ask(target, asker.handles[is_twin]), asker))
        answer, absent = answers
        if door.names_uids:
            kept_absent[door.name] = absent
        if door.name in ("OHIF: studies", "FHIR everything") and reader.is_himself:
            # His twin is somebody else to him: only what is documented counts, by its tokens.
            bare = without_names(answer, each, asker)
            absent = Answer(204, (), b"") if tokens_in(bare) else answer
        strangers = leaked(answer, each)
        if strangers or answer.status >= 500 or absent.status >= 500:
            result.strange.append(
                f"{reader.name} | {each.state.name} | {door.name}: {answer.status} {strangers or ''}"
            )
        if door.tells_person:
            told = b"Provsson" in answer.body or b"1950-01-01" in answer.body
            seen = Seen.CONTENT if told else Seen.NOTHING
            if each.state.is_protected and b"Provsson" in answer.body:
                result.strange.append(f"{reader.name} | {each.state.name} | {door.name}: a protected name")
            may = has_duty(reader, door.duty) if door.duty else may_learn_who(reader, each.state)
            # A protected person's name is masked; a patient has no use for the pages of staff.
            may_be_less = door.is_sparing or each.state.is_protected or _is_for_staff_alone(door, reader)
            may = may and (seen is Seen.CONTENT or not may_be_less)
            result.note(reader, each.state, door.name, seen, Seen.CONTENT if may else Seen.NOTHING)
            continue
        if each.state.is_protected and reader.kind == "staff" and _tells_name(door, answer):
            result.strange.append(f"{reader.name} | {each.state.name} | {door.name}: a protected name")
        seen = observed(answer, absent, each, asker)
        expected = expected_at(door, reader, each.state)
        if door.is_sparing:
            expected = min(expected, seen)
        result.note(reader, each.state, door.name, seen, expected)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    log = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    with running(Path(tmp_path_factory.mktemp("doors"))) as made:
        operations_log.start(log, logging.DEBUG)
        try:
            yield made, made.plant(STATES), log
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)


def _nothing_leaks_beside(made: Instance, web: Web, log: io.StringIO) -> None:
    """What is open to anybody and what operators read names nobody; the audit journal tells no name, number or text."""
    for path in ("/metrics", "/health/ready", "/health/live", "/status", "/login", "/help"):
        answer = web.ask(Question(path), Asker(READERS[0]))
        assert tokens_in(answer.body) == set(), path
    told = log.getvalue().encode()
    assert tokens_in(told) == set()
    assert b"Provsson" not in told
    entries = made.server._store.peek(
        lambda connection: "\n".join(
            " ".join(map(str, row)) for row in connection.execute("SELECT * FROM audit")
        )
    )
    assert len(entries) > 1_000
    assert re.findall(r"KAN(?:IMG|REP|REF|PIX)\d+|ZQ\d+|Provsson|utlåtande", entries) == []


def test_a_sample_of_readers_states_and_doors_is_as_the_law_says(planted: Stage) -> None:
    made, persons, log = planted
    web = Web(made.server._base)
    doors = [door for door in DOORS if door.name in QUICK_DOORS]
    result = Result()
    for place, reader in enumerate(reader for reader in READERS if reader.name in QUICK_READERS):
        result.add(check(made, web, persons[place % 2 :: 2], [reader], doors))
    result.judge()
    _nothing_leaks_beside(made, web, log)
    web.close()


def test_a_guardian_at_every_door_is_as_the_law_says(planted: Stage) -> None:
    made, persons, _ = planted
    web = Web(made.server._base)
    readers = [reader for reader in READERS if reader.is_guardian or reader.name == "another patient"]
    about = [each for each in persons if each.state in CHILDREN]
    result = check(made, web, about, readers, list(DOORS))
    result.judge()
    assert any(permitted(reader, each.state) for reader in readers for each in about)
    web.close()


@pytest.mark.slow
def test_every_reader_state_and_door_is_as_the_law_says(planted: Stage) -> None:
    made, persons, log = planted
    web = Web(made.server._base)
    check(made, web, persons, list(READERS), list(DOORS)).judge()
    _nothing_leaks_beside(made, web, log)
    web.close()


def test_the_matrix_finds_a_cell_that_is_too_open_and_one_that_is_too_closed(planted: Stage) -> None:
    made, persons, _ = planted
    web = Web(made.server._base)
    readers = [reader for reader in READERS if reader.name == "physician, everything chosen"]
    doors = [door for door in DOORS if door.name in QUICK_DOORS]
    there = {each.state.name: each for each in persons}
    block = there["own provider, inner block"]
    plain = there["own provider"]
    claimed = [replace(plain, state=block.state), replace(block, state=plain.state)]
    result = check(made, web, claimed, readers, doors)
    assert len(result.too_open) == len(result.too_closed) == len(doors), result.complaints()
    web.close()


def test_the_oracle_knows_nothing_of_the_program() -> None:
    for module in (oracle, words):
        assert module.__file__ is not None
        tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
        named = {
            name
            for node in ast.walk(tree)
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        }
        assert named <= {"dataclasses", "enum", "tests.doors.words"}, module.__name__
