"""The journal gives back what is settled, and nothing else; every place, record and answer stays what it was."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from samsyn import limits
from samsyn.clock import SystemClock
from samsyn.errors import DamagedData
from samsyn.store.index import instance_rows
from samsyn.store.store import Store
from samsyn.store.upkeep.give_back import GivingBack
from samsyn.store.upkeep.scrub import Scrub
from samsyn.store.upkeep.settle import Settling
from tests.indexes import forget_index, make_store, rebuild_index
from tests.ingest.test_receive import House
from tests.store.test_settling import all_tables, answers, body, sent, settle_all
from tests.store.test_store import add_message, rows

PIXELS = bytes(range(256)) * 250


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Instances of 64 kB in segments of 200 kB, so that most segments are closed."""
    monkeypatch.setattr(limits, "SEGMENT_BYTES", 200_000)
    monkeypatch.setattr(limits, "RETIRED_S", 0)
    built = House(tmp_path / "data")
    yield built
    built.store.close()


async def filled(house: House) -> None:
    for number in range(12):
        data = sent(number, series=number % 2, Rows=160, Columns=200, PixelData=PIXELS)
        assert await house.send(data) == ("stored", "")
        await house.store.commit(add_message(str(number)), b"text " * 5_000)
    assert (await house.send(sent(0, StudyID="other", PixelData=PIXELS)))[0] == "held"
    for number in range(20, 25):
        assert (await house.send(sent(number, series=2, PixelData=PIXELS)))[0] == "stored"


def blocks(store: Store) -> int:
    return sum(path.stat().st_blocks * 512 for path in (store.folder / "journal").iterdir())


def places(store: Store) -> list[Any]:
    def ask(connection: sqlite3.Connection) -> list[Any]:
        found = connection.execute(
            "SELECT segment, body_offset, length, series_key FROM instance ORDER BY sop_uid"
        )
        return [tuple(row) for row in found]

    return store.peek(ask)


async def settle_first_two(house: House) -> None:
    for key in (1, 2):
        await Settling(house.store, SystemClock()).settle(key)


async def test_settled_bytes_leave_the_disk_and_every_answer_stays(house: House) -> None:
    await filled(house)
    before, texts, held = answers(house.store), rows(house.store), blocks(house.store)
    old = [place for place in places(house.store) if place[3] in (1, 2)]
    assert await GivingBack(house.store, SystemClock()).look() == 0
    await settle_first_two(house)
    layout = house.store.layout
    given = await GivingBack(house.store, SystemClock()).look()
    gone = [place for place in old if place[0] != house.store.journal.segments[-1]]
    assert len(gone) > 8
    assert given == sum(length for _, _, length, _ in gone)
    assert held - blocks(house.store) >= given * 0.85
    assert answers(house.store) == before
    assert rows(house.store) == texts
    assert house.store.layout != layout
    for segment, offset, length, _ in gone:
        with pytest.raises(DamagedData):
            house.store.body(segment, offset, length)
        with pytest.raises(DamagedData):
            house.store.body(segment, offset + 30_000, 8)
    assert await GivingBack(house.store, SystemClock()).look() == 0
    seen = await Scrub(house.store, SystemClock()).whole_pass()
    assert seen.damaged == []


async def test_what_was_given_back_is_no_damage_to_a_new_start_and_a_new_index(house: House) -> None:
    await filled(house)
    await settle_first_two(house)
    await GivingBack(house.store, SystemClock()).look()
    before, tables = answers(house.store), all_tables(house.store)
    folder = house.store.folder
    for how in ("rebuilt", "started"):
        house.store.close()
        forget_index(folder)
        if how == "rebuilt":
            assert rebuild_index(folder)[1] == 0
        house.store = make_store(folder, SystemClock())
        house.store.start()
        assert answers(house.store) == before
        assert all_tables(house.store) == tables
        assert len(house.store.damaged) == 0
    instance = house.store.peek(lambda connection: instance_rows.instances_of_series(connection, "2.25.600"))[
        0
    ]
    assert len(body(house.store, instance)) > 60_000


async def test_nothing_is_given_back_whose_object_does_not_read_back(house: House) -> None:
    await filled(house)
    await settle_first_two(house)
    path = sorted((house.store.folder / "objects").rglob("*.series"))[0]
    with path.open("r+b") as file:
        for offset in range(5_000, path.stat().st_size - 10_000, 30_000):
            file.seek(offset)
            file.write(b"\xee\xdd")
    given = await GivingBack(house.store, SystemClock()).look()
    assert 0 < given < 7 * 65_000
    [row] = house.rows("SELECT COUNT(*) FROM given_back")
    assert row[0] < len(house.store.journal.segments) - 1


async def test_bytes_stay_for_readers_that_began_before(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RETIRED_S", 3600)
    await filled(house)
    await settle_first_two(house)
    assert await GivingBack(house.store, SystemClock()).look() == 0


async def test_the_segment_that_is_written_to_gives_nothing_back(house: House) -> None:
    await filled(house)
    with pytest.raises(ValueError, match="written to"):
        house.store.journal.give_back(house.store.journal.segments[-1], [(0, 100)])


async def test_everything_settled_means_that_the_segment_is_done(house: House) -> None:
    await filled(house)
    await settle_all(house.store)
    await GivingBack(house.store, SystemClock()).look()
    closed = house.store.journal.segments[:-1]
    assert house.rows("SELECT segment FROM given_back ORDER BY segment") == [(each,) for each in closed]
