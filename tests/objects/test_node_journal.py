"""A node's own journal: its segments go to the object store whole, others read meanwhile from the node, and what was
never acknowledged counts nowhere."""

import asyncio
import random
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from pydicom.uid import ExplicitVRLittleEndian
from starlette.applications import Starlette
from starlette.testclient import TestClient

from samsyn import limits
from samsyn.clock import SystemClock
from samsyn.endpoints.inner.door import inner_routes
from samsyn.errors import DamagedData, OutOfResources
from samsyn.ingest.receive import Arrival, Intake
from samsyn.store import peers, replay
from samsyn.store.block_sums import BlockSums
from samsyn.store.index.instance_rows import instances_of_series
from samsyn.store.index.port import IndexAway
from samsyn.store.index.postgresql.index import PostgresIndex
from samsyn.store.journal import Position
from samsyn.store.node_journal import NodeJournal
from samsyn.store.object_journal import NUMBERS_EACH, name_of, node_of
from samsyn.store.objects.folder import FolderObjects
from samsyn.store.objects.sealed import SealedObjects
from samsyn.store.objects.series_objects import SeriesObjects
from samsyn.store.peers import Peers
from samsyn.store.places import OwnJournal
from samsyn.store.records import encode_frame, encode_header
from samsyn.store.shared.memory import MemoryState
from samsyn.store.spool import Spool
from samsyn.store.store import Store
from samsyn.store.stored_frames import StoredFrames
from samsyn.wire import inner
from tests.indexes import shared_server
from tests.ingest.test_receive import HOSPITAL, data_set
from tests.store.test_store import add_message, rows
from tests.waiting import PATIENCE_S

KEY = b"k" * 32


def record(sequence: int, body: bytes = b"") -> list[bytes]:
    header = encode_header(sequence, "2026-01-01T00:00:00+00:00", "", [])
    return [encode_frame(header, len(body)), body, header]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[NodeJournal]:
    objects = FolderObjects(tmp_path / "objects")
    made = NodeJournal(objects, tmp_path / "one", 1, Peers(MemoryState(SystemClock()), KEY))
    yield made
    made.close()


def test_a_quiet_segment_is_closed_goes_to_the_object_store_and_leaves_the_disk(
    journal: NodeJournal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "NODE_SEGMENT_S", 0.0)
    first = journal.end.segment
    assert first == NUMBERS_EACH + 1
    assert node_of(first) == 1
    journal.append(record(1, b"body" * 1000))
    size = journal.end.offset
    before = journal.read(first, 0, size)
    journal.upload()
    assert journal.segments == [first]
    assert journal.prepare()
    journal.upload()
    assert FolderObjects(tmp_path / "objects").read(name_of(first), 0, size) == before
    assert journal.read(first, 0, size) == before
    assert journal.end_of(first) == size
    assert [path.name for path in (tmp_path / "one/journal").iterdir()] == [f"{first + 1:08d}.journal"]


def test_a_segment_that_can_not_go_now_stays_and_goes_later(tmp_path: Path) -> None:
    objects = FolderObjects(tmp_path / "objects")
    journal = NodeJournal(objects, tmp_path / "one", 1, Peers(MemoryState(SystemClock()), KEY))
    journal.append(record(1))
    journal._own.roll()
    (tmp_path / "objects/journal").write_bytes(b"in the way")
    journal.upload()
    assert journal.waiting == 2
    (tmp_path / "objects/journal").unlink()
    journal.upload()
    assert journal.waiting == 1
    journal.close()


def test_what_bears_numbers_that_others_have_used_is_cut_off_and_kept_aside(
    journal: NodeJournal, tmp_path: Path
) -> None:
    journal.append(record(4))
    acknowledged = journal.end
    journal.append(record(5, b"never acknowledged"))
    found = list(journal.replay(acknowledged, sequence=7))
    assert found == []
    assert journal.end == acknowledged
    assert len(list((tmp_path / "one/journal").glob("*.cut-off"))) == 1


def test_what_nobody_overtook_is_taken_up(journal: NodeJournal) -> None:
    journal.append(record(4))
    acknowledged = journal.end
    journal.append(record(5))
    assert [found.header.sequence for found in journal.replay(acknowledged, sequence=4)] == [5]


def test_records_that_the_index_lacks_of_others_stop_the_start(journal: NodeJournal) -> None:
    journal.append(record(4))
    acknowledged = journal.end
    journal.append(record(9))
    with pytest.raises(DamagedData, match="rebuild"):
        list(journal.replay(acknowledged, sequence=4))
    with pytest.raises(DamagedData, match="rebuild"):
        list(journal.replay(Position(0, 0), sequence=4))


async def test_two_nodes_and_an_index_made_anew_from_both_journals(tmp_path: Path) -> None:
    objects = FolderObjects(tmp_path / "objects")
    shared = MemoryState(SystemClock())
    schema = f"node_{tmp_path.name}".replace("-", "_")[:40]

    def opened(name: str, number: int) -> Store:
        index = PostgresIndex(shared_server().url, name, schema=schema)
        own = OwnJournal(number, Peers(shared, KEY))
        store = Store(tmp_path / name, SystemClock(), None, index, objects, own)
        store.start()
        return store

    one, two = opened("one", 1), opened("two", 2)
    for number in range(40):
        store = one if number % 3 else two
        await store.commit(add_message(str(number)), b"body %d" % number * 500)
    for store in (one, two):
        store.close()
    one = opened("one", 1)
    before = rows(one)
    assert [row[1] for row in before] == [str(number) for number in range(40)]
    committed = await one.commit(add_message("last"), b"last")
    assert committed.receipt.sequence == 41
    before = rows(one)
    one.close()

    index = PostgresIndex(shared_server().url, "one", schema=schema)
    told = replay.rebuild(
        tmp_path / "one", index=index, remote=objects, own=OwnJournal(1, Peers(shared, KEY))
    )
    index.close()
    assert told == (41, 0)
    one = opened("one", 1)
    assert rows(one) == before
    assert (await one.commit(add_message("after"), b"after")).receipt.sequence == 42
    one.close()


async def test_what_rots_on_a_node_s_own_disk_is_not_served_before_nor_after_it_has_gone_to_the_others(
    tmp_path: Path,
) -> None:
    """The object's seal is made of what the disk gives when the segment goes, so it can not tell."""
    objects = SealedObjects(FolderObjects(tmp_path / "objects"), 4 * limits.MIB)
    schema = f"rot_{tmp_path.name}".replace("-", "_")[:40]

    def opened() -> Store:
        index = PostgresIndex(shared_server().url, "one", schema=schema)
        own = OwnJournal(1, Peers(MemoryState(SystemClock()), KEY))
        store = Store(tmp_path / "one", SystemClock(), None, index, objects, own)
        store.start()
        return store

    async def read(number: int) -> bytes:
        sums = BlockSums(store)
        reading = StoredFrames(store, OrderedDict(), sums, executor)
        ranges = await reading.ranges(instance, number)
        await reading.ready(instance, ranges)
        return reading.read(instance, ranges)

    store = opened()
    frames = [random.Random(number).randbytes(20_000) for number in range(20)]
    data = data_set(Rows=100, Columns=100, NumberOfFrames=20, PixelData=b"".join(frames))
    arrival = Arrival(HOSPITAL, str(ExplicitVRLittleEndian), "association")
    assert (await Intake(store, SystemClock()).receive(arrival, data))[0].outcome == "stored"
    [instance] = store.peek(lambda connection: instances_of_series(connection, "2.25.11"))
    with ThreadPoolExecutor(1) as executor:
        assert [await read(number) for number in (1, 20)] == [frames[0], frames[19]]
        place = instance.location
        own = tmp_path / f"one/journal/{place.segment:08d}.journal"
        content = bytearray(own.read_bytes())
        content[content.index(frames[9]) + 10_000] ^= 1
        store.journal._own._writer.cut(store.journal._own._writer.size)  # it keeps the last block in memory
        own.write_bytes(content)
        for _ in range(2):
            with pytest.raises(DamagedData):
                await read(10)
            assert await read(20) == frames[19]
            store.close()
            assert not own.exists()
            store = opened()
    store.close()


class Door:
    """The inner door of a node, without a server."""

    def __init__(self, journal: NodeJournal) -> None:
        routes = inner_routes(journal.own_bytes, KEY)
        self.client = TestClient(Starlette(routes=routes), base_url="http://127.0.0.1:1")


def asking(door: Door, key: bytes = KEY) -> Peers:
    shared = MemoryState(SystemClock())
    shared.put(peers.PRESENT, "1", "http://127.0.0.1:1", 60)
    made = Peers(shared, key)
    made._http = door.client  # type: ignore[assignment]
    return made


def test_bytes_go_from_node_to_node_in_bounded_pieces(journal: NodeJournal) -> None:
    body = bytes(range(256)) * 80_000
    journal.append(record(1, body))
    segment, size = journal.end.segment, journal.end.offset
    other = asking(Door(journal))
    assert other.read(1, segment, 0, size) == journal.read(segment, 0, size)
    with pytest.raises(DamagedData):
        other.read(1, segment, size - 1, 2)
    with pytest.raises(DamagedData):
        other.read(1, segment + 1, 0, 1)
    with pytest.raises(OutOfResources, match="away"):
        other.read(2, 2 * NUMBERS_EACH + 1, 0, 1)


def test_who_does_not_know_the_secret_gets_what_nothing_gives(journal: NodeJournal) -> None:
    journal.append(record(1, b"secret"))
    segment, door = journal.end.segment, Door(journal)
    path = f"{peers.DOOR}/{segment}/0/10"
    now = str(int(time.time()))
    stale = str(int(time.time()) - 2 * int(limits.INNER_CLOCK_S))
    for headers in (
        {},
        {inner.TIME_HEADER: now, inner.CODE_HEADER: inner.code_of(b"other", path, now)},
        {inner.TIME_HEADER: now, inner.CODE_HEADER: inner.code_of(KEY, f"{path}0", now)},
        {inner.TIME_HEADER: stale, inner.CODE_HEADER: inner.code_of(KEY, path, stale)},
        {inner.TIME_HEADER: "now", inner.CODE_HEADER: "x"},
    ):
        answer = door.client.get(path, headers=headers)
        assert (answer.status_code, answer.text) == (404, "Not Found")
    assert door.client.get("/inner/journal/x/0/1").status_code == 404
    with pytest.raises(DamagedData):
        asking(door, b"other").read(1, segment, 0, 10)


def test_an_answer_of_somebody_else_is_not_believed(journal: NodeJournal) -> None:
    def forged(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=b"x" * 10, headers={inner.CODE_HEADER: "0" * 64})

    other = asking(Door(journal))
    other._http = httpx.Client(transport=httpx.MockTransport(forged))
    with pytest.raises(OutOfResources, match="none"):
        other.read(1, NUMBERS_EACH + 1, 0, 10)


async def test_reading_goes_on_while_a_segment_moves_to_the_object_store(journal: NodeJournal) -> None:
    stop, wrong = threading.Event(), []
    places: list[tuple[int, int, int]] = []

    def read() -> None:
        while not stop.is_set():
            for segment, offset, number in list(places):
                if journal.read(segment, offset, 100) != bytes((number,)) * 100:
                    wrong.append(number)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 60):
        offset = journal.end.offset + 20
        journal.append(record(number, bytes((number,)) * 100))
        places.append((journal.end.segment, offset, number))
        if number % 3 == 0:
            journal._own.roll()
            await asyncio.to_thread(journal.upload)
    stop.set()
    reader.join()
    assert wrong == []


async def test_a_node_that_stands_still_in_the_serial_section_is_thrown_out_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "INDEX_SECTION_S", 1.0)
    schema = f"still_{tmp_path.name}".replace("-", "_")[:40]
    series = SeriesObjects(tmp_path / "series")
    still = PostgresIndex(shared_server().url, "one", schema=schema)
    connection = still.open_writer(series)
    still.begin(connection, still.reached(connection))
    store = Store(
        tmp_path / "two",
        SystemClock(),
        None,
        PostgresIndex(shared_server().url, "shared", schema=schema),
        FolderObjects(tmp_path / "objects"),
    )
    store.start()
    async with asyncio.timeout(PATIENCE_S):
        assert (await store.commit(add_message("1"), b"one")).receipt.sequence == 1
    with pytest.raises(IndexAway):
        connection.execute("COMMIT")
    store.close()
    connection.close()
    still.close()


def test_a_large_body_is_a_segment_of_the_node_and_goes_to_the_object_store(
    journal: NodeJournal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "NODE_SEGMENT_S", 0.0)
    journal.append(record(1))
    first = journal.end.segment
    spool = Spool(journal.spool_folder, journal.largest_body)
    body = spool.begin()
    body.append(b"large" * 1_000_000)
    body.sync()
    header = encode_header(2, "2026-01-01T00:00:00+00:00", body.sha256, [])
    assert journal.large_begins == Position(first + 1, 0)
    journal.adopt(body, encode_frame(header, len(body)), header)
    body.discard()
    assert journal.end.segment == first + 1
    journal.append(record(3))
    assert [each.header.sequence for each in journal.replay(Position(first, 0))] == [1, 2, 3]
    while journal.prepare():
        pass
    journal.upload()
    assert not list((tmp_path / "one" / "journal").glob(f"{first + 1:08d}*"))
    found = journal.record_at(first + 1, 0, journal.end_of(first + 1))
    assert found is not None
    assert (found.body_is_whole, found.body_length) == (True, 5_000_000)
