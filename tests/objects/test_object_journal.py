"""A store whose journal and series lie in an object store: what is acknowledged is there for any node that comes."""

import asyncio
import contextlib
import os
import random
import secrets
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian

from samsyn import limits
from samsyn.clock import SystemClock
from samsyn.errors import BadInput, Conflict, DamagedData, OutOfResources, StoreFailed
from samsyn.ingest.receive import Arrival
from samsyn.settings.recompression import RecompressSettings
from samsyn.store import replay
from samsyn.store.object_journal import JOURNAL, ObjectJournal, name_of
from samsyn.store.objects.folder import FolderObjects
from samsyn.store.objects.joined import JOINED
from samsyn.store.objects.linked import BODIES, LINKS
from samsyn.store.objects.port import Objects, Piece
from samsyn.store.objects.remote_series import FOLDER
from samsyn.store.objects.s3 import S3Objects
from samsyn.store.objects.sealed import SealedObjects
from samsyn.store.objects.sparse import SPARSE
from samsyn.store.records import FRAME
from samsyn.store.spool import SpooledBody
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction
from samsyn.store.upkeep.give_back import GivingBack
from samsyn.store.upkeep.join import SegmentJoining
from samsyn.store.upkeep.recompress import Recompression
from samsyn.store.upkeep.scrub import Scrub
from samsyn.store.upkeep.settle import Settling
from samsyn.store.upkeep.sweep import Sweeping
from tests.access.house import HeldClock
from tests.ingest.test_receive import HOSPITAL, House
from tests.objects.fault_proxy import Fault, FaultProxy
from tests.store.test_recompression import slice_of
from tests.store.test_settling import all_tables, answers, sent
from tests.store.test_store import add_message, rows

SEED = int(os.environ.get("SAMSYN_SEED", "20261126"))
ATTEMPTS = int(os.environ.get("SAMSYN_OBJECT_FAULTS", "60"))
PIXELS = bytes(range(256)) * 250
Opening = Callable[[], Objects]


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.slow)])
def opening(request: pytest.FixtureRequest, tmp_path: Path) -> Opening:
    """Opens the same sealed objects again and again, as nodes do."""
    prefix = f"j{secrets.token_hex(8)}"

    def opened() -> Objects:
        if request.param == "folder":
            return SealedObjects(FolderObjects(tmp_path / "objects"), 4 * limits.MIB)
        server = request.getfixturevalue("object_store")
        return SealedObjects(
            S3Objects(server.endpoint, "samsyn-test", server.access_key, server.secret_key, prefix),
            4 * limits.MIB,
        )

    return opened


def started(folder: Path, objects: Objects) -> Store:
    store = Store(folder, SystemClock(), remote=objects)
    store.start()
    return store


async def test_what_is_committed_is_readable_at_once_after_a_restart_and_by_another_node(
    opening: Opening, tmp_path: Path
) -> None:
    store = started(tmp_path / "one", opening())
    await asyncio.gather(*(store.commit(add_message(str(n)), b"body %d" % n * 1000) for n in range(100)))
    before = rows(store)
    assert len(before) == 100
    store.close()
    again = started(tmp_path / "one", opening())
    assert again.replayed == 0
    assert rows(again) == before
    again.close()
    lost = started(tmp_path / "two", opening())
    assert lost.replayed == 100
    assert rows(lost) == before
    committed = await lost.commit(add_message("after"), b"after")
    assert committed.receipt.sequence == 101
    lost.close()


async def test_settled_series_and_what_was_given_back_answer_as_before_for_every_node(
    opening: Opening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RETIRED_S", 0)
    house = House(tmp_path / "one", opening())
    for number in range(12):
        data = sent(number, series=number % 2, Rows=160, Columns=200, PixelData=PIXELS)
        assert await house.send(data) == ("stored", "")
        await house.store.commit(add_message(str(number)), b"text " * 5_000)
    for number in range(20, 25):
        assert (await house.send(sent(number, series=2, PixelData=PIXELS)))[0] == "stored"
    before, texts = answers(house.store), rows(house.store)
    objects = opening()
    held = sum(each.size for each in objects.names(JOURNAL))
    for key in (1, 2):
        await Settling(house.store, SystemClock()).settle(key)
    assert len(list(objects.names(FOLDER))) == 2
    given = await GivingBack(house.store, SystemClock()).look()
    assert given > 12 * 60_000
    left = sum(each.size for folder in (JOURNAL, SPARSE) for each in objects.names(folder))
    assert left < held - 0.95 * given
    assert answers(house.store) == before
    assert rows(house.store) == texts
    assert (await Scrub(house.store, SystemClock()).whole_pass()).damaged == []

    late = sent(40, series=0, Rows=160, Columns=200, PixelData=PIXELS)
    assert (await house.send(late))[0] == "stored"
    await Settling(house.store, SystemClock()).settle(1)
    assert len(list(objects.names(FOLDER))) == 3
    assert (await Scrub(house.store, SystemClock()).whole_pass()).damaged == []
    assert await GivingBack(house.store, SystemClock()).look() > 60_000
    before, tables = answers(house.store), all_tables(house.store)
    house.store.close()

    assert replay.rebuild(tmp_path / "one", remote=opening())[1] == 0
    other = started(tmp_path / "two", opening())
    assert answers(other) == before
    assert all_tables(other) == tables
    other.close()


async def test_objects_that_nothing_names_are_taken_away_after_a_while_and_no_others(tmp_path: Path) -> None:
    clock = HeldClock()
    objects = SealedObjects(FolderObjects(tmp_path / "objects"), 0)
    house = House(tmp_path / "one", objects)
    for number in range(4):
        assert await house.send(sent(number, PixelData=PIXELS)) == ("stored", "")
    await Settling(house.store, SystemClock()).settle(1)
    assert (await house.send(sent(40, PixelData=PIXELS)))[0] == "stored"
    await Settling(house.store, SystemClock()).settle(1)
    objects.put_new(f"{FOLDER}{9:012d}", [b"an attempt that was not recorded"])
    before = answers(house.store)
    sweeping = Sweeping(house.store, clock)
    assert await sweeping.look() == 0
    assert house.rows("SELECT COUNT(*) FROM former_object") == [(0,)]
    clock.move(limits.RETIRED_S - 1)
    assert await sweeping.look() == 0
    clock.move(2)
    assert await sweeping.look() == 2
    assert [each.name for each in objects.names(FOLDER)] == [f"{FOLDER}{2:012d}"]
    assert answers(house.store) == before

    await house.store.commit(lambda transaction: transaction.unsettle(1))
    assert await sweeping.look() == 0
    clock.move(2 * limits.RETIRED_S)
    assert await sweeping.look() == 0
    assert answers(house.store) == before
    house.store.close()


async def test_a_batch_that_the_object_store_refused_is_refused_and_the_next_one_is_taken(
    tmp_path: Path, behind_proxy: S3Objects, proxy: FaultProxy
) -> None:
    store = started(tmp_path, SealedObjects(behind_proxy, 0))
    await store.commit(add_message("1"), b"one")
    proxy.tell(*[Fault("status", 503)] * 20)
    with pytest.raises(OutOfResources):
        await store.commit(add_message("2"), b"two")
    proxy.forget()
    assert store.healthy
    committed = await store.commit(add_message("2"), b"two, again")
    assert committed.receipt.sequence == 2
    assert [row[1:] for row in rows(store)] == [("1", b"one"), ("2", b"two, again")]
    store.close()


@pytest.mark.slow
async def test_a_batch_whose_outcome_nobody_heard_is_passed_over_once_another_came(
    tmp_path: Path, behind_proxy: S3Objects, proxy: FaultProxy
) -> None:
    objects = SealedObjects(behind_proxy, 0)
    store = started(tmp_path / "one", objects)
    await store.commit(add_message("1"), b"one")
    for attempt in range(3):
        proxy.tell(Fault("lost-answer", 0, "PUT"), *[Fault("hang-up")] * 20)
        with pytest.raises(OutOfResources):
            await store.commit(add_message(f"lost {attempt}"), b"lost")
        proxy.forget()
    assert (
        len(list(objects.names(JOURNAL))) == 2
    )  # each attempt goes for the first number that nobody has seen taken
    await store.commit(add_message("2"), b"two")
    await store.commit(add_message("3"), b"three")
    before = rows(store)
    assert [row[1] for row in before] == ["1", "2", "3"]
    store.close()
    other = started(tmp_path / "two", SealedObjects(behind_proxy, 0))
    assert rows(other) == before
    other.close()


async def test_a_number_that_is_taken_by_what_is_left_over_costs_nobody_anything(tmp_path: Path) -> None:
    objects = FolderObjects(tmp_path / "objects")
    store = started(tmp_path / "one", objects)
    await store.commit(add_message("1"), b"one")
    for number in (2, 3):
        objects.put_new(name_of(number), [b"left over"])
    committed = await store.commit(add_message("2"), b"two")
    assert committed.receipt.sequence == 2
    assert [row[1:] for row in rows(store)] == [("1", b"one"), ("2", b"two")]
    assert store.journal.read(2, 0, 9) == b"left over"
    store.close()


async def test_a_number_that_is_said_to_be_taken_and_is_free_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An object store may refuse one of two requests that meet (409), and the other one may come to nothing."""
    objects = FolderObjects(tmp_path / "objects")
    store = started(tmp_path / "one", objects)
    await store.commit(add_message("1"), b"one")

    def met(name: str, pieces: Sequence[Piece]) -> None:
        raise Conflict(name)

    with monkeypatch.context() as patched:
        patched.setattr(objects, "put_new", met)
        with pytest.raises(OutOfResources):
            await store.commit(add_message("2"), b"two")
    await store.commit(add_message("2"), b"two, again")
    assert [each.name for each in objects.names(JOURNAL)] == [name_of(1), name_of(2)]
    store.close()


async def test_a_batch_that_is_missing_between_others_stops_the_start(tmp_path: Path) -> None:
    objects = FolderObjects(tmp_path / "objects")
    store = started(tmp_path / "one", objects)
    for number in range(3):
        await store.commit(add_message(str(number)), b"x")
    store.close()
    objects.delete(name_of(2))
    with pytest.raises(DamagedData):
        Store(tmp_path / "two", SystemClock(), remote=objects)


async def test_credentials_that_were_withdrawn_stop_the_store(
    tmp_path: Path, behind_proxy: S3Objects, proxy: FaultProxy
) -> None:
    store = started(tmp_path, behind_proxy)
    proxy.tell(*[Fault("status", 403)] * 10)
    with pytest.raises(StoreFailed):
        await store.commit(add_message("1"), b"one")
    assert not store.healthy
    proxy.forget()
    store.close()


async def test_bytes_that_can_not_be_had_just_now_are_no_damage(
    tmp_path: Path, behind_proxy: S3Objects, proxy: FaultProxy
) -> None:
    store = started(tmp_path, SealedObjects(behind_proxy, 0))
    await store.commit(add_message("1"), b"one" * 1000)

    def place(connection: sqlite3.Connection) -> tuple[int, int, int]:
        return tuple(connection.execute("SELECT segment, body_offset, length FROM message").fetchone())

    where = store.peek(place)
    proxy.tell(*[Fault("hang-up")] * 20)
    with pytest.raises(OutOfResources):
        store.body(*where)
    proxy.forget()
    assert store.body(*where) == b"one" * 1000
    store.close()


@pytest.mark.slow
async def test_under_faults_of_every_kind_what_was_acknowledged_is_there_and_nothing_else_is_wrong(
    tmp_path: Path, behind_proxy: S3Objects, proxy: FaultProxy
) -> None:
    source = random.Random(SEED)
    store = started(tmp_path / "one", SealedObjects(behind_proxy, 0))
    acknowledged: dict[str, bytes] = {}
    refused = 0
    kinds = [
        Fault("status", 500),
        Fault("status", 503),
        Fault("hang-up"),
        Fault("lost-answer"),
        Fault("cut", 40),
        Fault("shorter", 10),
        Fault("flip-request", 7_000),
        Fault("flip-answer", 100),
    ]
    for number in range(ATTEMPTS):
        body = source.randbytes(source.randint(1, 60_000))
        proxy.tell(*source.choices(kinds, k=source.choice((0, 0, 1, 2, 9))))
        try:
            await store.commit(add_message(str(number)), body)
        except OutOfResources:
            refused += 1
        else:
            acknowledged[str(number)] = body
        proxy.forget()
    assert store.healthy
    store.close()
    other = started(tmp_path / "two", SealedObjects(behind_proxy, 0))
    found = {row[1]: row[2] for row in rows(other)}
    lost = sum(found.get(name) != body for name, body in acknowledged.items())
    other.close()
    print(
        f"\n{ATTEMPTS} batches under faults of the object store (seed {SEED}): {len(acknowledged)} acknowledged,"
        f" {refused} refused, {lost} lost, {len(found) - len(acknowledged)} there whose sender was refused"
    )
    assert lost == 0
    assert len(acknowledged) > ATTEMPTS // 3
    assert refused > 0


async def test_old_small_segments_are_joined_and_every_answer_stays(
    opening: Opening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RETIRED_S", 0)
    monkeypatch.setattr(limits, "SMALLEST_JOIN", 5)
    monkeypatch.setattr(limits, "JOINED_SEGMENTS", 12)
    house = House(tmp_path / "one", opening())
    for number in range(12):
        assert await house.send(sent(number, series=number % 2, PixelData=PIXELS)) == ("stored", "")
        await house.store.commit(add_message(str(number)), b"text %d " % number * 500)
    for key in (1, 2):
        await Settling(house.store, SystemClock()).settle(key)
    assert await GivingBack(house.store, SystemClock()).look() > 12 * 60_000
    before, texts, tables = answers(house.store), rows(house.store), all_tables(house.store)
    objects, segments = opening(), house.store.journal.segments

    def small() -> int:
        return sum(1 for folder in (JOURNAL, SPARSE) for _ in objects.names(folder))

    reader = started(tmp_path / "reader", opening())
    assert (answers(reader), rows(reader)) == (before, texts)
    separate = small()
    joining = SegmentJoining(house.store, SystemClock())
    assert await joining.look() >= 24
    assert await joining.look() == 0
    print(f"{separate} small objects became {small()} and {len(list(objects.names(JOINED)))} joined ones")
    assert small() <= separate - 24
    for store in (house.store, reader):
        assert (answers(store), rows(store)) == (before, texts)
    assert set(segments) <= set(house.store.journal.segments)
    assert (await Scrub(house.store, SystemClock()).whole_pass()).damaged == []
    await house.store.commit(add_message("after"), b"after")
    texts = rows(house.store)
    house.store.close()
    reader.close()
    assert replay.rebuild(tmp_path / "one", remote=opening())[1] == 0
    other = started(tmp_path / "two", opening())
    assert (answers(other), rows(other)) == (before, texts)
    assert all_tables(other)["audit"] == tables["audit"]
    other.close()


async def test_a_crash_between_joining_and_taking_away_leaves_both_which_say_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RETIRED_S", 0)
    monkeypatch.setattr(limits, "SMALLEST_JOIN", 5)
    objects = SealedObjects(FolderObjects(tmp_path / "objects"), 0)
    house = House(tmp_path / "one", objects)
    for number in range(12):
        assert await house.send(sent(number, PixelData=PIXELS)) == ("stored", "")
    await Settling(house.store, SystemClock()).settle(1)
    await GivingBack(house.store, SystemClock()).look()
    before = answers(house.store)
    left = [3]
    real = objects.delete

    def lost(name: str) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OutOfResources("the node is lost")
        real(name)

    with monkeypatch.context() as crash:
        crash.setattr(objects, "delete", lost)
        with pytest.raises(OutOfResources):
            await SegmentJoining(house.store, SystemClock()).look()
    assert answers(house.store) == before
    assert len(list(objects.names(JOINED))) == 1
    assert await SegmentJoining(house.store, SystemClock()).look() == 0
    assert len(list(objects.names(SPARSE))) == 0
    house.store.close()
    other = started(tmp_path / "two", SealedObjects(FolderObjects(tmp_path / "objects"), 0))
    assert answers(other) == before
    other.close()


async def test_coded_series_answer_as_before_for_every_node(opening: Opening, tmp_path: Path) -> None:
    house = House(tmp_path / "one", remote=opening())
    for number in range(5):
        assert await house.send(slice_of(number)) == ("stored", "")
    before = answers(house.store)
    rule = Recompression((RecompressSettings(codec="htj2k"),), SystemClock())
    await Settling(house.store, SystemClock(), recompression=rule).settle(1)
    assert rule.stored_bytes < 0.7 * rule.original_bytes
    assert house.store.objects.is_coded(1)
    assert answers(house.store) == before
    house.store.close()
    other = started(tmp_path / "two", opening())
    assert answers(other) == before
    assert (await Scrub(other, SystemClock(), 1, 1_000).whole_pass()).damaged == []
    other.close()


LARGE = b"".join(bytes([number]) * 300_001 for number in range(20))


def spooled(store: Store, content: bytes = LARGE) -> SpooledBody:
    body = store.spool()
    for start in range(0, len(content), 1_000_000):
        body.append(content[start : start + 1_000_000])
    return body


def ahead(objects: Objects, body: SpooledBody) -> str:
    """What a node leaves that is lost between a body and its record."""
    ObjectJournal(objects, Path()).lay(body)
    body.discard()
    return body.laid


async def test_a_large_body_lies_in_an_object_of_its_own_and_any_node_reads_it(
    opening: Opening, tmp_path: Path
) -> None:
    store = started(tmp_path / "one", opening())
    await store.commit(add_message("1"), b"before")
    left_over = opening()
    left_over.put_new(name_of(2), [b"of a node that was lost"])
    body = spooled(store)
    assert (await store.commit(add_message("2"), body)).receipt.sequence == 2
    body.discard()
    await store.commit(add_message("3"), b"after")
    before = rows(store)
    assert before[1][2] == LARGE
    assert not list((tmp_path / "one").rglob("*.arriving"))
    assert [each.size for each in left_over.names(BODIES)] == [len(LARGE)]
    store.close()
    for folder in ("two", "one"):
        other = started(tmp_path / folder, opening())
        assert rows(other) == before
        other.close()
    assert replay.rebuild(tmp_path / "two", remote=opening())[1] == 0
    again = started(tmp_path / "two", opening())
    assert rows(again) == before
    again.close()


async def test_a_large_body_that_the_disk_gives_back_otherwise_is_not_acknowledged(
    opening: Opening, tmp_path: Path
) -> None:
    """Its seal would vouch for what the disk gave."""
    store = started(tmp_path / "one", opening())
    body = spooled(store)
    [file] = (tmp_path / "one").rglob("*.arriving")
    with file.open("r+b") as stream:
        stream.seek(3_000_000)
        stream.write(b"x")
    with pytest.raises(StoreFailed):
        await store.commit(add_message("1"), body)
    body.discard()
    assert rows(store) == []
    assert not list(opening().names(BODIES))
    assert (await store.commit(add_message("2"), b"goes on")).receipt.sequence == 1
    store.close()


async def test_nobody_waits_while_a_large_body_is_put(opening: Opening, tmp_path: Path) -> None:
    objects = opening()
    store = started(tmp_path / "one", objects)
    put, may_go, is_putting = objects.put_new, threading.Event(), threading.Event()

    def slow(name: str, pieces: Sequence[Piece]) -> None:
        if name.startswith(BODIES):
            is_putting.set()
            assert may_go.wait(60)
        put(name, pieces)

    objects.put_new = slow  # type: ignore[method-assign]  # the real one, held up
    body = spooled(store)
    large = asyncio.ensure_future(store.commit(add_message("large"), body))
    await asyncio.to_thread(is_putting.wait, 60)
    for number in range(3):
        await store.commit(add_message(str(number)), b"small")
    assert not large.done()
    may_go.set()
    assert (await large).receipt.sequence == 4
    body.discard()
    store.close()


async def test_a_large_body_that_is_refused_or_given_up_leaves_nothing(
    opening: Opening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = opening()
    store = started(tmp_path / "one", objects)

    def refuses(transaction: Transaction) -> None:
        raise BadInput("no")

    body = spooled(store)
    with pytest.raises(BadInput):
        await store.commit(refuses, body)
    body.discard()
    assert list(objects.names(BODIES)) == []
    # A node that was lost between the body and its record, and one that was lost between the link and its segment.
    kept = spooled(store)
    assert (await store.commit(add_message("kept"), kept)).receipt.sequence == 1
    kept.discard()
    (named,) = objects.names(BODIES)
    lost, half = (ahead(objects, spooled(store)) for _ in range(2))
    objects.put_new(f"{LINKS}{9:012d}", [half.encode()])
    clock = HeldClock()
    sweeping = Sweeping(store, clock)
    assert await sweeping.look() == 0
    assert {each.name for each in objects.names(BODIES)} == {named.name, lost, half}
    clock.move(limits.RETIRED_S + 1)
    assert await sweeping.look() == 3
    assert [each.name for each in objects.names(BODIES)] == [named.name]
    assert rows(store)[0][2] == LARGE
    store.close()


async def test_a_large_body_that_was_swept_away_before_its_turn_is_not_acknowledged(
    opening: Opening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that stood still in between; its sender would hear at the repetition that it is stored already."""
    objects = opening()
    store = started(tmp_path / "one", objects)
    lay = store.journal.lay

    def stands_still(body: SpooledBody) -> None:
        lay(body)
        opening().delete(body.laid)

    monkeypatch.setattr(store.journal, "lay", stands_still)
    body = spooled(store)
    with pytest.raises(OutOfResources):
        await store.commit(add_message("1"), body)
    body.discard()
    assert rows(store) == []
    monkeypatch.undo()
    again = spooled(store)
    assert (await store.commit(add_message("1"), again)).receipt.sequence == 1
    again.discard()
    assert rows(store)[0][2] == LARGE
    store.close()


async def test_a_number_whose_link_is_taken_is_passed_over_and_left_to_nobody(
    opening: Opening, tmp_path: Path
) -> None:
    """Of a node that was lost between the two puts of a large record: the number itself was free."""
    objects = opening()
    store = started(tmp_path / "one", objects)
    await store.commit(add_message("1"), b"before")
    objects.put_new(f"{LINKS}{2:012d}", [b"of a lost node"])
    body = spooled(store)
    assert (await store.commit(add_message("2"), body)).receipt.sequence == 2
    body.discard()
    assert [each.name for each in objects.names(JOURNAL)] == [name_of(number) for number in (1, 2, 3)]
    assert objects.size(name_of(2)) == 0
    before = rows(store)
    store.close()
    other = started(tmp_path / "two", opening())
    assert rows(other) == before
    assert (await other.commit(add_message("3"), b"after")).receipt.sequence == 3
    assert (await Scrub(other, SystemClock()).whole_pass()).damaged == []
    other.close()


async def test_what_a_large_body_was_given_back_of_is_gone_for_every_node(
    opening: Opening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RETIRED_S", 0)
    house = House(tmp_path / "one", opening())
    content = sent(0, PixelData=PIXELS * 40)
    arriving = spooled(house.store, content)
    arrival = Arrival(HOSPITAL, str(ExplicitVRLittleEndian), "association-1")
    assert (await house.intake.receive(arrival, arriving))[0].outcome == "stored"
    arriving.discard()
    await house.store.commit(add_message("later"), b"small")
    before = answers(house.store)
    elsewhere = ObjectJournal(opening(), tmp_path)
    assert elsewhere.read(1, FRAME.size, len(content)) == content
    assert elsewhere.read(1, FRAME.size + 5, 10) == content[5:15]
    await Settling(house.store, SystemClock()).settle(1)
    assert await GivingBack(house.store, SystemClock()).look() > 0
    objects = opening()
    assert (list(objects.names(BODIES)), list(objects.names(LINKS))) == ([], [])
    assert answers(house.store) == before
    with contextlib.suppress(
        DamagedData
    ):  # unless a file that is still open has them, they are gone; never others
        assert elsewhere.read(1, FRAME.size, len(content)) == content
    with pytest.raises(DamagedData, match="given back"):
        ObjectJournal(opening(), tmp_path).read(1, FRAME.size, len(content))
    other = started(tmp_path / "two", opening())
    assert answers(other) == before
    house.store.close()
    other.close()
    assert replay.rebuild(tmp_path / "one", remote=opening())[1] == 0
