"""No statement that takes something in, or that a page or list asks, reads a whole table that grows with the region.

The statements are those that really run: the writer's while texts of every family and images come in, and those of
the functions that ask. Each is explained against the schema (SQLite's planner keeps no statistics here, so that the
answer is that of any size).
"""

import random
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from samsyn.store.index import correction_rows, examination_rows, joining_rows
from samsyn.store.index.schema import SCHEMA
from samsyn.store.index.sqlite import open_reader
from tests.fuzz.messages import WHOLE
from tests.reports.house import House

GROWING = frozenset(
    (
        "patient",
        "patient_identifier",
        "patient_link",
        "patient_name_word",
        "study",
        "study_modality",
        "series",
        "instance",
        "report",
        "referral",
        "referral_event",
        "message",
        "booking",
        "booking_event",
        "visit_move",
        "measurement",
        "finding",
        "correction",
        "held",
        "held_identity",
        "examination_join",
        "audit",
        "change",
        "rejected",
        "rejected_again",
    )
)
ONE_ROW = re.compile(r"SELECT hash FROM audit ORDER BY sequence DESC LIMIT 1|SELECT 1 FROM \w+ LIMIT 1")
"""They read one row: from the end, or any."""
MAKERS = ("report", "referral_event", "booking_event")


def scans(statements: Iterator[str]) -> dict[str, list[str]]:
    """Statement -> growing tables that it reads from one end to the other."""
    plain = sqlite3.connect(":memory:")
    plain.executescript(SCHEMA)
    found: dict[str, list[str]] = {}
    for statement in statements:
        if ONE_ROW.fullmatch(statement) or not re.match(r"(SELECT|UPDATE|DELETE|INSERT)\b", statement):
            continue
        aliases = dict(re.findall(r"(\w+) AS (\w+)", statement))
        of = {alias: table for table, alias in aliases.items()}
        for _, _, _, step in plain.execute(f"EXPLAIN QUERY PLAN {statement}"):
            scanned = re.match(r"SCAN (\w+)", step)
            if scanned and of.get(scanned[1], scanned[1]) in GROWING and "SUBQUERY" not in step:
                found.setdefault(statement, []).append(step)
    return found


async def test_taking_in_texts_and_images_reads_no_whole_table(tmp_path: Path) -> None:
    house = House(tmp_path)
    seen: dict[str, None] = {}
    house.store._index.set_trace_callback(lambda sql: seen.setdefault(sql))
    dice = random.Random(3)
    for number in range(3):
        for raw in dice.sample(WHOLE, len(WHOLE)):
            await house.send(raw.replace(b"|M1|", b"|M%d%d|" % (number, len(seen))))
        await house.image(uid=f"2.25.1{number}")
        await house.image(patient_id="199001012385", accession=f"A{number}", uid=f"2.25.2{number}")
    house.close()
    for table in MAKERS:
        assert any(f"INTO {table}(" in sql for sql in seen), f"nothing made a row of {table}"
    assert scans(iter(seen)) == {}


KEYS = frozenset({1, 2})
QUESTIONS: tuple[Callable[[Any], object], ...] = (
    lambda c: joining_rows.unjoined(c, "P", 20240101, 100),
    lambda c: joining_rows.texts_near(c, KEYS, "P", 20240101, 20240131),
    lambda c: joining_rows.elsewhere(c, "I", "A", 1),
    lambda c: joining_rows.alike(c, "P", 20240101, 100),
    lambda c: correction_rows.texts_alone(c, "P", KEYS),
)


@pytest.mark.parametrize("number", range(len(QUESTIONS)))
async def test_what_stewards_lists_ask_goes_by_indexes(tmp_path: Path, number: int) -> None:
    house = House(tmp_path)
    connection = open_reader(tmp_path / "index.sqlite")
    seen: dict[str, None] = {}
    connection.set_trace_callback(lambda sql: seen.setdefault(sql))
    QUESTIONS[number](connection)
    connection.close()
    house.close()
    assert seen
    assert scans(iter(seen)) == {}


async def test_what_a_page_asks_of_a_person_goes_by_indexes(tmp_path: Path) -> None:
    house = House(tmp_path)
    connection = open_reader(tmp_path / "index.sqlite")
    seen: dict[str, None] = {}
    connection.set_trace_callback(lambda sql: seen.setdefault(sql))
    examination_rows.measurements(connection, ["2.25.1", "2.25.2"])
    connection.close()
    house.close()
    assert seen
    assert scans(iter(seen)) == {}
