"""A settled series answers as it did before: searches, readings, duplicates, and an index that is made anew."""

import asyncio
import random
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from dataclasses import replace as changed
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from pydicom.encaps import encapsulate

from samsyn import limits
from samsyn.clock import SystemClock
from samsyn.errors import DamagedData, LimitExceeded
from samsyn.ingest.receive import Arrival
from samsyn.model.imaging import BodyLocation, StoredInstance
from samsyn.model.predicate import Everything, PatientIn
from samsyn.store.documents import Documents
from samsyn.store.index import find_rows, instance_rows, settled_rows, settled_uids, tables
from samsyn.store.index.find_rows import Condition
from samsyn.store.index.port import IndexConnection
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction
from samsyn.store.upkeep.scrub import Scrub
from samsyn.store.upkeep.settle import Settling
from tests.indexes import forget_index, make_store, rebuild_index, sqlite_only
from tests.ingest.test_receive import HOSPITAL, House, data_set

JPEG = "1.2.840.10008.1.2.4.50"
PERSONS = ("19121212-1212", "19900101-2385", "19680912-9908")
SEARCHES: tuple[list[Condition], ...] = (
    [],
    [Condition("instance.sop_uid", "one-of", ("2.25.7001", "2.25.7012", "2.25.1"))],
    [Condition("instance.number", "one-of", (1,))],
    [Condition("series.series_uid", "one-of", ("2.25.602",))],
    [Condition("study.study_uid", "one-of", ("2.25.501",)), Condition("instance.number", "one-of", (2, 3))],
)


def sent(number: int, series: int = 1, person: int = 0, **changes: object) -> bytes:
    """Instance `number` of one of a few series; a series belongs to the study of its person."""
    values: dict[str, object] = {
        "SOPInstanceUID": f"2.25.{7000 + number}",
        "SeriesInstanceUID": f"2.25.{600 + series * 10 + person}",
        "StudyInstanceUID": f"2.25.{500 + person}",
        "PatientID": PERSONS[person],
        "PatientName": f"Person^{person}",
        "PatientBirthDate": None,
        "InstanceNumber": number % 50,
        "SeriesNumber": series,
    }
    return data_set(**(values | changes))


def bare(instance: StoredInstance) -> StoredInstance:
    """Without its place, which is all that settling changes."""
    return changed(instance, location=BodyLocation(0, 0, instance.location.length))


def series_keys(store: Store) -> list[int]:
    return store.peek(
        lambda connection: [row[0] for row in connection.execute("SELECT series_key FROM series")]
    )


def answers(store: Store) -> list[Any]:
    """What readers get to know: rows, bytes and searches."""

    def ask(connection: sqlite3.Connection) -> list[Any]:
        found: list[Any] = []
        studies = connection.execute("SELECT study_key, study_uid FROM study ORDER BY study_key").fetchall()
        for key, uid in studies:
            instances = instance_rows.instances_of_study(connection, key)
            found.append([(bare(each), body(store, each)) for each in instances])
            found.append(instance_rows.study_facts(connection, uid))
            found += [
                instance_rows.study_of_instance(connection, each.sop_instance_uid) for each in instances
            ]
        for (uid,) in connection.execute("SELECT series_uid FROM series ORDER BY series_key"):
            found.append([bare(each) for each in instance_rows.instances_of_series(connection, uid)])
            facts = instance_rows.series_facts(connection, uid)
            assert facts is not None
            found.append(facts[:2])
        for predicate in (Everything(), PatientIn(frozenset({1}))):
            for conditions in SEARCHES:
                for limit, offset in ((1000, 0), (3, 1)):
                    rows = find_rows.find_instances(connection, predicate, conditions, limit, offset)
                    found.append([tuple(row) for row in rows])
        return found

    return store.peek(ask)


def body(store: Store, instance: StoredInstance) -> bytes:
    place = instance.location
    return store.body(place.segment, place.offset, place.length)


async def settle_all(store: Store) -> Settling:
    settling = Settling(store, SystemClock())
    for key in series_keys(store):
        await settling.settle(key)
    return settling


async def filled(house: House, count: int = 12) -> None:
    for number in range(count):
        assert await house.send(sent(number, series=number % 3, person=number % 2)) == ("stored", "")


@pytest.fixture
def house(tmp_path: Path):
    built = House(tmp_path / "data")
    yield built
    built.store.close()


async def test_a_settled_series_answers_as_before_and_leaves_the_index(house: House) -> None:
    await filled(house)
    before = answers(house.store)
    settling = await settle_all(house.store)
    assert (settling.series, settling.instances) == (6, 12)
    assert house.rows("SELECT COUNT(*) FROM instance") == [(0,)]
    assert answers(house.store) == before
    assert len(list((house.store.folder / "objects").rglob("*.series"))) == 6
    assert not list((house.store.folder / "objects").rglob("*.part"))


async def test_one_instance_is_found_by_its_uid_alone(house: House) -> None:
    await filled(house)

    def ask(connection: sqlite3.Connection) -> list[StoredInstance | None]:
        uids = [f"2.25.{7000 + number}" for number in range(14)]
        return [instance_rows.instance(connection, uid) for uid in uids]

    before = house.store.peek(ask)
    assert [each is None for each in before] == [False] * 12 + [True] * 2
    await settle_all(house.store)
    assert [each and bare(each) for each in house.store.peek(ask)] == [each and bare(each) for each in before]


async def test_what_a_rejection_note_hides_stays_hidden_when_it_is_settled(house: House) -> None:
    await filled(house)

    def find(connection: sqlite3.Connection) -> set[str]:
        rows = find_rows.find_instances(connection, Everything(), [], 100, 0)
        return {row["sop_uid"] for row in rows}

    def hide(transaction: Transaction) -> None:
        place = {"study_uid": "2.25.500", "series_uid": "2.25.610", "note_uid": "2.25.1", "code": "113001"}
        place |= {"provider": HOSPITAL.provider, "actor": HOSPITAL.name}
        transaction.insert("rejected", sop_uid="2.25.7004", **place, rejected="", revoked="", arrived=1)
        transaction.update("series", {"series_uid": "2.25.610"}, hidden_count=1)
        transaction.update("study", {"study_uid": "2.25.500"}, hidden_count=1)

    every = house.store.peek(find)
    await house.store.commit(hide)
    assert house.store.peek(find) == every - {"2.25.7004"}
    await settle_all(house.store)
    assert house.store.peek(find) == every - {"2.25.7004"}


async def test_a_settled_series_is_two_files(house: House) -> None:
    for number in range(30):
        await house.send(sent(number))
    with ThreadPoolExecutor(1) as executor:
        documents = Documents(house.store, executor, SystemClock())
        await documents.prepare("2.25.610", 0.0)
        [before] = (house.store.folder / "derived" / "metadata").rglob("*.marked")
        content = before.read_bytes()
        await settle_all(house.store)
        assert await documents.series("2.25.610", 1, 30)
        before.unlink()
        await documents.prepare("2.25.610", 0.0)
    files = [path for name in ("objects", "derived") for path in (house.store.folder / name).rglob("*.*")]
    assert sorted(path.suffix for path in files) == sorted([before.suffix, ".series"])
    assert before.read_bytes() == content


async def test_the_object_holds_the_bytes_as_received_back_to_back(house: House) -> None:
    data = [sent(number) for number in range(4)]
    for each in data:
        await house.send(each)
    await settle_all(house.store)
    [path] = (house.store.folder / "objects").rglob("*.series")
    assert path.read_bytes().startswith(b"".join(data))


async def test_late_instances_make_a_new_version_and_old_places_stay_right(house: House) -> None:
    for number in (5, 1, 3):
        await house.send(sent(number))
    await settle_all(house.store)
    old = house.store.peek(lambda connection: instance_rows.instances_of_series(connection, "2.25.610"))
    bytes_before = [body(house.store, each) for each in old]
    for number in (2, 4):
        await house.send(sent(number))
    mixed = answers(house.store)
    await settle_all(house.store)
    assert answers(house.store) == mixed
    assert [body(house.store, each) for each in old] == bytes_before
    assert house.rows("SELECT instances FROM series_object") == [(5,)]
    now = house.store.peek(lambda connection: instance_rows.instances_of_series(connection, "2.25.610"))
    assert [each.number for each in now] == [1, 2, 3, 4, 5]


async def test_what_comes_again_is_known_and_other_bytes_are_held(house: House) -> None:
    await filled(house)
    await settle_all(house.store)
    assert await house.send(sent(4, series=1, person=0)) == ("already-stored", "")
    assert await house.send(sent(4, series=1, person=0, StudyID="x")) == ("held", "different-bytes")
    assert await house.send(sent(4, series=9, person=2)) == ("held", "different-bytes")
    assert house.rows("SELECT COUNT(*) FROM instance") == [(0,)]
    assert house.rows("SELECT instance_count FROM study ORDER BY study_key") == [(6,), (6,)]


async def test_what_is_held_is_not_settled(house: House) -> None:
    await house.send(sent(1))
    await house.send(sent(1, StudyID="x"))
    await house.send(sent(2, person=1, StudyInstanceUID="2.25.500"))
    await settle_all(house.store)
    held = house.rows("SELECT segment, body_offset, length, sha256 FROM held ORDER BY held_key")
    assert len(held) == 2
    assert all(segment > 0 for segment, *_ in held)


async def test_only_quiet_series_are_settled(house: House) -> None:
    await filled(house)
    assert await Settling(house.store, SystemClock(), quiet_s=60.0).look() == 0
    assert await Settling(house.store, SystemClock(), quiet_s=0.001, is_busy=lambda: True).look() == 0
    await asyncio.sleep(0.01)
    assert await Settling(house.store, SystemClock(), quiet_s=0.001).look() == 6
    assert await Settling(house.store, SystemClock(), quiet_s=0.001).look() == 0


async def test_frames_of_encapsulated_data_are_in_the_manifest(house: House) -> None:
    frames = [bytes([number]) * (100 + 2 * number) for number in range(5)]
    value = encapsulate(frames, fragments_per_frame=1)
    data = sent(1, NumberOfFrames=5, PixelData=None)
    element = b"\xe0\x7f\x10\x00OB\x00\x00\xff\xff\xff\xff" + value + b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
    arrival = Arrival(HOSPITAL, JPEG, "association-1")
    await house.intake.receive(arrival, data + element)
    await settle_all(house.store)
    [stored] = house.store.peek(lambda connection: instance_rows.instances_of_series(connection, "2.25.610"))
    table = house.store.settled_frames(stored)
    assert table is not None
    place = stored.location
    read = [
        b"".join(house.store.body(place.segment, place.offset + offset, length) for offset, length in ranges)
        for ranges in table
    ]
    assert read == frames


async def test_the_index_made_anew_gives_the_same_answers(house: House) -> None:
    await filled(house)
    await settle_all(house.store)
    await house.send(sent(40))
    before, tables = answers(house.store), all_tables(house.store)
    house.store.close()
    forget_index(house.store.folder)
    rebuild_index(house.store.folder)
    again = House(house.store.folder)
    assert answers(again.store) == before
    assert all_tables(again.store) == tables
    again.store.close()
    house.store = again.store
    house.store = make_store(again.store.folder, SystemClock())
    house.store.start()


def all_tables(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table that tells something; kept_version only counts how it came about."""

    def ask(connection: sqlite3.Connection) -> dict[str, list[tuple[Any, ...]]]:
        return {
            name: sorted((tuple(row) for row in connection.execute(f"SELECT * FROM {name}")), key=repr)
            for name in tables.whole().tables
            if name != "kept_version"
        }

    return store.peek(ask)


async def unsettle(store: Store, series_key: int) -> None:
    await store.commit(lambda transaction: transaction.unsettle(series_key))


async def test_rows_come_back_for_who_must_change_them_and_settle_into_another_object(house: House) -> None:
    await filled(house)
    before = answers(house.store)
    await settle_all(house.store)
    old = house.store.peek(lambda connection: instance_rows.instances_of_series(connection, "2.25.600"))
    for key in series_keys(house.store):
        await unsettle(house.store, key)
        await unsettle(house.store, key)
    assert answers(house.store) == before
    assert house.rows("SELECT COUNT(*), MAX(segment) < 0 FROM instance") == [(12, 1)]
    assert house.rows("SELECT COUNT(*) FROM former_object") == [(6,)]
    await settle_all(house.store)
    assert answers(house.store) == before
    assert house.rows("SELECT MIN(object_key) FROM series_object") == [(7,)]
    assert len(list((house.store.folder / "objects").rglob("*.series"))) == 12
    assert all(len(body(house.store, each)) == each.location.length for each in old)
    seen = await Scrub(house.store, SystemClock()).whole_pass()
    assert (seen.damaged, seen.bodies) == ([], 12 + 24)


STEPS = some.lists(
    some.one_of(
        some.tuples(some.just("send"), some.integers(0, 15), some.integers(0, 2), some.integers(0, 1)),
        some.tuples(some.just("other"), some.integers(0, 15), some.integers(0, 2), some.integers(0, 1)),
        some.tuples(some.just("settle"), some.integers(0, 5), some.just(0), some.just(0)),
        some.tuples(some.just("unsettle"), some.integers(0, 5), some.just(0), some.just(0)),
        some.tuples(some.just("rebuild"), some.just(0), some.just(0), some.just(0)),
    ),
    min_size=4,
    max_size=24,
)


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_any_history_settled_at_any_points_equals_the_one_that_never_settles(
    steps: list[tuple[str, int, int, int]], tmp_path: Path
) -> None:
    folder = tmp_path / str(random.getrandbits(64))
    asyncio.run(both(folder, steps))
    shutil.rmtree(folder)


async def both(folder: Path, steps: list[tuple[str, int, int, int]]) -> None:
    settled, plain = House(folder / "settled"), House(folder / "plain")
    try:
        for verb, number, series, person in steps:
            if verb in ("send", "other"):
                data = sent(number, series, person, StudyID="other" if verb == "other" else "same")
                assert await settled.send(data) == await plain.send(data)
            elif verb in ("settle", "unsettle"):
                keys = series_keys(settled.store)
                if keys and verb == "settle":
                    await Settling(settled.store, SystemClock()).settle(keys[number % len(keys)])
                elif keys:
                    await unsettle(settled.store, keys[number % len(keys)])
            else:
                settled.store.close()
                rebuild_index(settled.store.folder)
                settled = House(settled.store.folder)
        assert answers(settled.store) == answers(plain.store)
        tables = all_tables(settled.store)
        settled.store.close()
        rebuild_index(settled.store.folder)
        settled = House(settled.store.folder)
        assert all_tables(settled.store) == tables
        assert answers(settled.store) == answers(plain.store)
    finally:
        for each in (settled, plain):
            each.store.close()
            forget_index(each.store.folder)


async def test_a_search_over_too_many_settled_instances_asks_to_be_narrowed(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(house)
    await settle_all(house.store)
    monkeypatch.setattr(limits, "MAX_SETTLED_SEARCH", 5)

    def find(conditions: list[Condition]) -> list[Any]:
        return house.store.peek(
            lambda connection: find_rows.find_instances(connection, Everything(), conditions, 10, 0)
        )

    with pytest.raises(LimitExceeded):
        find([])
    assert len(find([Condition("instance.sop_uid", "one-of", ("2.25.7004",))])) == 1


async def test_a_damaged_object_is_found_marked_refused_and_mended(house: House, tmp_path: Path) -> None:
    await filled(house)
    await settle_all(house.store)
    before = answers(house.store)
    copy = tmp_path / "copy"
    shutil.copytree(house.store.folder, copy)
    path = sorted((house.store.folder / "objects").rglob("*.series"))[0]
    with path.open("r+b") as file:
        file.seek(20)
        file.write(b"\xee\xdd")
    seen = await Scrub(house.store, SystemClock()).whole_pass()
    assert [(each.owner, each.length > 0) for each in seen.damaged] == [("series_object", True)]
    with pytest.raises(DamagedData):
        answers(house.store)
    house.store.second_copy = copy
    seen = await Scrub(house.store, SystemClock()).whole_pass()
    assert (seen.damaged, seen.mended) == ([], 1)
    assert answers(house.store) == before


async def test_a_damaged_manifest_is_found_and_mended(house: House, tmp_path: Path) -> None:
    await filled(house)
    await settle_all(house.store)
    before = answers(house.store)
    copy = tmp_path / "copy"
    shutil.copytree(house.store.folder, copy)
    path = sorted((house.store.folder / "objects").rglob("*.series"))[0]
    with path.open("r+b") as file:
        file.seek(-60, 2)
        file.write(b"\xee\xdd")
    seen = await Scrub(house.store, SystemClock()).whole_pass()
    assert [(each.owner, each.length) for each in seen.damaged] == [("series_object", 0)]
    house.store.second_copy = copy
    seen = await Scrub(house.store, SystemClock()).whole_pass()
    assert (seen.damaged, seen.mended) == ([], 1)
    assert answers(house.store) == before


@sqlite_only
async def test_a_settled_instance_costs_the_index_a_few_bytes(tmp_path: Path) -> None:
    """Series of 200 instances, as the index keeps them when they are settled."""
    store = make_store(tmp_path, SystemClock())
    store.start()
    count, size = 250, 200
    source = random.Random(5)
    for key in range(1, count + 1):
        uids = [f"2.25.{source.getrandbits(122)}" for _ in range(size)]
        await store.commit(lambda transaction, key=key, uids=uids: transaction.settle(key, key, size, uids))
    store._writer.settle()  # the connection is the writer's, and a turn may be left open in it
    store._index.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    used = store._index.execute(
        "SELECT SUM(pgsize) FROM dbstat WHERE name IN ('settled_uid', 'series_object', 'settled_size')"
    ).fetchone()[0]
    store.close()
    print(f"index bytes per settled instance, {count} series of {size}: {used / count / size:.2f}")
    assert used / count / size <= 10


class Remembering:
    """A reader of an index that nobody changes meanwhile: what a statement found once is not asked for again."""

    def __init__(self, connection: IndexConnection) -> None:
        self._connection = connection
        self._found: dict[tuple[str, tuple[Any, ...]], Any] = {}

    def execute(self, sql: str, parameters: tuple[Any, ...] = ()) -> "Found":
        """The first row of what it finds."""
        key = sql, parameters
        if key not in self._found:
            self._found[key] = self._connection.execute(sql, parameters).fetchone()
        return Found(self._found[key])


@dataclass(frozen=True)
class Found:
    """A row or None."""

    row: Any

    def fetchone(self) -> Any:
        return self.row


def test_every_settled_uid_is_found_and_few_others_are(tmp_path: Path) -> None:
    store = make_store(tmp_path, SystemClock())
    store.start()
    known: dict[str, int] = {}
    for key in range(1, 400):
        uids = [f"1.2.3.{key}.{number}" for number in range(1 + key % 150)]
        known |= dict.fromkeys(uids, key)
        settled_uids.add(store._index, key, uids)
    index = cast(IndexConnection, Remembering(store._index))  # 50,000 questions for some hundred buckets
    for uid, key in known.items():
        assert key in settled_uids.candidates(index, uid)
    others = sum(len(settled_uids.candidates(index, f"9.9.{number}")) for number in range(20_000))
    assert others <= 5
    store.close()


async def test_a_manifest_kept_in_memory_is_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_KEPT_SETTLED", 3)
    await filled(house)
    before = answers(house.store)
    await settle_all(house.store)
    assert answers(house.store) == before
    assert sum(len(each.instances) for each in house.store.objects._kept.values()) <= 3
    assert settled_rows.is_any(house.store._index)
