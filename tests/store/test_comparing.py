"""What is stored is compared both ways: real damage of every kind is told as what it is, and a sound store has none."""

import asyncio
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from samsyn import limits
from samsyn.cli import check_stored
from samsyn.clock import SystemClock
from samsyn.settings import DataSettings, Settings
from samsyn.store.comparing.objects import ObjectsLookedAt
from samsyn.store.comparing.retold import retold
from samsyn.store.comparing.untouched import UntouchedFolder
from samsyn.store.index import settled_rows
from samsyn.store.journal import Journal
from samsyn.store.objects.series_objects import SeriesObjects
from samsyn.store.upkeep.give_back import GivingBack
from samsyn.store.upkeep.settle import Settling
from tests.indexes import sqlite_only
from tests.ingest.test_receive import House
from tests.store.test_scrub import flip
from tests.store.test_settling import filled, sent, series_keys, settle_all, unsettle
from tests.store.test_store import add_message

pytestmark = sqlite_only
PIXELS = bytes(range(256)) * 250


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    """A closed data folder: two settled series (one of them has rows again), others in the journal, messages."""
    folder = tmp_path / "data"
    house = House(folder)
    await filled(house)
    for number in range(5):
        await house.store.commit(add_message(f"m{number}"), b"text " * 5_000)
    for key in (1, 2):
        await Settling(house.store, SystemClock()).settle(key)
    await unsettle(house.store, 2)
    assert await house.send(sent(40, series=0)) == ("stored", "")
    await Settling(house.store, SystemClock()).settle(1)
    house.store.close()
    return folder


def compared(folder: Path, *, hashes: bool = False) -> tuple[list[str], list[str]]:
    return check_stored.findings(Settings(data=DataSettings(folder=folder)), hashes=hashes)


def change(folder: Path, sql: str, *values: Any) -> None:
    with sqlite3.connect(folder / "index.sqlite") as connection:
        connection.execute(sql, values)
    connection.close()


async def test_a_sound_store_has_no_findings_and_nothing_of_it_is_changed(data: Path) -> None:
    before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    for hashes in (False, True):
        wrong, notes = compared(data, hashes=hashes)
        assert wrong == []
        assert len(notes) == 1
        assert "say the same: 22 records, 2 objects with 3 settled instances" in notes[0]
    assert {path: path.read_bytes() for path in before} == before
    assert not list((data / "derived").iterdir())


async def test_what_was_given_back_is_no_finding_unless_a_row_still_names_it(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RETIRED_S", 0)
    house = House(data)
    for number in range(60, 64):
        assert (await house.send(sent(number, series=5, PixelData=PIXELS)))[0] == "stored"
    await Settling(house.store, SystemClock()).settle(max(series_keys(house.store)))
    house.store.journal.roll()
    assert await GivingBack(house.store, SystemClock()).look() > 4 * 60_000
    (place,) = house.rows("SELECT segment, body_offset, length FROM message WHERE control_id = 'm3'")
    house.store.close()
    for hashes in (False, True):
        assert compared(data, hashes=hashes)[0] == []
    journal = Journal(data / "journal")
    journal.give_back(place[0], [place[1:]])
    journal.close()
    wrong, _ = compared(data)
    assert len(wrong) == 1
    assert "the bytes of 1 HL7 messages are not in the journal any more as they came (4)" in wrong[0]
    assert "samsyn scrub" in wrong[0]


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("DELETE FROM instance WHERE sop_uid = '2.25.7004'",
         "1 instances in the journal are not in the index (2.25.7004)"),
        ("DELETE FROM message", "5 HL7 messages in the journal are not in the index (1, 2, 3, …)"),
        ("DELETE FROM series_object", "1 settled series in the journal are not in the index (1)"),
        ("UPDATE instance SET length = length - 1 WHERE sop_uid = '2.25.7004'",
         "1 instances stand otherwise in the index than in the journal (2.25.7004)"),
        ("UPDATE patient_identifier SET value = '191212121213' WHERE patient_key = 1",
         "1 patient identifiers in the index are in no record of the journal\n"),
        ("INSERT INTO message(message_key, control_id) VALUES(99, 'x')",
         "1 HL7 messages in the index are in no record of the journal (99)"),
    ],
)  # fmt: skip
async def test_rows_that_are_missing_strange_or_other_are_told_by_kind(
    data: Path, sql: str, told: str
) -> None:
    change(data, sql)
    (wrong,), notes = compared(data)
    assert told in wrong + "\n"
    assert "1912" not in wrong
    assert "samsyn index rebuild" in wrong
    assert notes == []


async def test_an_index_older_than_the_journal_is_no_damage_and_one_that_is_not_there_neither(
    data: Path,
) -> None:
    shutil.copy(data / "index.sqlite", data / "older")
    house = House(data)
    await house.store.commit(add_message("later"), b"later")
    house.store.close()
    (data / "older").replace(data / "index.sqlite")
    wrong, notes = compared(data)
    assert wrong == []
    assert "1 records of the journal are not in the index yet" in notes[0]
    (data / "index.sqlite").write_bytes(b"no index")
    wrong, notes = compared(data)
    assert wrong == []
    assert "there is no index of this version" in notes[0]


async def test_a_broken_index_is_told_and_the_rest_is_compared_all_the_same(data: Path) -> None:
    file = data / "index.sqlite"
    pages = file.read_bytes()
    file.write_bytes(pages[:4096] + bytes(len(pages) - 4096))
    (data / "objects/01/1.series").unlink()
    broken, missing = compared(data)[0]
    assert "the index can not be read" in broken
    assert "samsyn index rebuild" in broken
    assert "No such file" in missing


async def test_a_journal_that_lost_its_end_is_told_with_what_only_the_index_still_knows(data: Path) -> None:
    (file,) = (data / "journal").glob("*.journal")
    short = file.read_bytes()
    house = House(data)
    await house.send(sent(80, series=1))
    await house.store.commit(add_message("lost"), b"lost")
    house.store.close()
    file.write_bytes(short)
    gone, rows = compared(data)[0]
    assert (
        "the index knows 24 records, and the journal ends with 22: 2 that were acknowledged are gone" in gone
    )
    assert "1 instances in the index are in no record of the journal (2.25.7080)" in rows
    assert "1 HL7 messages in the index are in no record of the journal (6)" in rows
    assert "run `samsyn index rebuild`" not in gone + rows


async def test_a_broken_header_in_the_journal_is_told_with_its_place(data: Path) -> None:
    house = House(data)
    house.store.journal.roll()
    house.store.close()
    with (data / "journal/00000001.journal").open("rb") as file:
        offset = file.read().index(b'{"n":7,') + 3
    flip(data, 1, offset)
    told = compared(data)[0]
    assert "the journal can not be read behind record 6: journal segment 1 is damaged at byte" in told[0]


async def test_an_object_that_is_gone_cut_off_or_another_one_is_told(data: Path) -> None:
    first, second = sorted(data.rglob("*.series"))
    whole = first.read_bytes()
    first.unlink()
    assert "1 series objects can not be read (1), No such file or directory:" in compared(data)[0][0]
    first.write_bytes(whole[:-100])
    assert (
        "1 series objects can not be read (1), a series object has no whole footer:" in compared(data)[0][0]
    )
    first.write_bytes(second.read_bytes())
    (told,) = compared(data)[0]
    assert "1 series objects can not be read (1), it has fewer instances than are settled:" in told
    first.write_bytes(whole)
    second.unlink()
    told = "\n".join(compared(data)[0])
    assert "1 series objects can not be read (2), No such file or directory:" in told
    assert "the bytes of 2 instances are not in the series objects that they should be in" in told


async def test_an_object_with_as_many_but_other_instances_is_told(data: Path, tmp_path: Path) -> None:
    other = House(tmp_path / "other")
    for number in (0, 6, 40):
        person = 0
        changed = {"Rows": 1, "Columns": 4} if number == 40 else {}
        assert (await other.send(sent(number, series=0, person=person, **changed)))[0] == "stored"
    await settle_all(other.store)
    other.store.close()
    (foreign,) = (tmp_path / "other").rglob("*.series")
    shutil.copy(foreign, data / "objects/01/1.series")
    (told,) = compared(data)[0]
    assert "1 series objects hold other instances than the journal says (1)" in told


async def test_objects_that_no_record_names_are_left_over_or_show_that_the_journal_is_too_old(
    data: Path, tmp_path: Path
) -> None:
    shutil.copy(data / "objects/01/1.series", data / "objects/01/257.series")
    wrong, notes = compared(data)
    assert wrong == []
    assert "1 series objects are left over from attempts that were not recorded (257)" in notes[0]
    other = House(tmp_path / "other")
    await other.send(sent(90))
    await settle_all(other.store)
    other.store.close()
    shutil.copy(next((tmp_path / "other").rglob("*.series")), data / "objects/01/257.series")
    (told,) = compared(data)[0]
    assert "1 series objects hold instances that no record of the journal tells of (257)" in told


async def test_rot_is_found_when_bytes_are_read(data: Path) -> None:
    with sqlite3.connect(data / "index.sqlite") as connection:
        (place,) = connection.execute(
            "SELECT segment, body_offset FROM message WHERE message_key = 2"
        ).fetchall()
    connection.close()
    flip(data, place[0], place[1] + 7)
    with (data / "objects/01/1.series").open("r+b") as file:
        file.seek(200)
        byte = file.read(1)[0]
        file.seek(200)
        file.write(bytes([byte ^ 1]))
    assert compared(data)[0] == []
    bodies, objects = compared(data, hashes=True)[0]
    assert "the bytes of 1 HL7 messages are not in the journal any more as they came (2)" in bodies
    assert "1 settled instances have not their SHA-256 any more" in objects


async def test_a_service_at_work_is_no_finding(data: Path) -> None:
    house = House(data)
    ended = asyncio.Event()

    async def work() -> int:
        number = 100
        while not ended.is_set():
            await house.send(sent(number, series=number % 4, person=number % 3))
            await house.store.commit(add_message(f"w{number}"), b"w" * 30_000)
            if number % 10 == 0:
                await settle_all(house.store)
            number += 1
        return number

    working = asyncio.create_task(work())
    try:
        for _ in range(3):
            wrong, _ = await asyncio.to_thread(compared, data)
            assert wrong == []
    finally:
        ended.set()
        assert await working > 103
        house.store.close()


async def test_what_a_service_has_settled_since_is_no_finding(data: Path) -> None:
    objects, journal = SeriesObjects(data / "objects"), UntouchedFolder(data / "journal")
    with retold(journal, objects, data, print, is_shared=False) as truth:
        truth.go_on()
        house = House(data)
        await house.send(sent(90, series=7))
        await Settling(house.store, SystemClock()).settle(max(series_keys(house.store)))

        def is_named(key: int) -> bool:
            return house.store.peek(lambda connection: settled_rows.names_object(connection, key))

        for ask, untold in ((is_named, 0), (lambda key: None, 1)):
            seen = ObjectsLookedAt(truth, objects, ask, print, hashes=False).look()
            assert (seen.objects, seen.untold.count) == (2, untold)
        house.store.close()
    journal.close()
    objects.close()


async def test_a_disk_without_room_for_a_second_index_is_told_and_nothing_is_left_on_it(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "DISK_RESERVE_BYTES", shutil.disk_usage(data).free)
    (told,), notes = compared(data)
    assert "could not be compared: no room: a second index is made in" in told
    assert notes == []
    assert not list((data / "derived").iterdir())
