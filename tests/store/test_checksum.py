"""The quick check of what is read: the same from everywhere, and nothing that has changed passes it."""

import hashlib
import itertools
import random
from dataclasses import replace as changed
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from samsyn.clock import SystemClock
from samsyn.model.imaging import BodyLocation, StoredInstance
from samsyn.store.checksum import Check, Checksum, checksum_of, is_whole
from samsyn.store.index import instance_rows
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction
from tests.indexes import forget_index, make_store
from tests.ingest.test_receive import House
from tests.store.test_settling import body, sent, settle_all

UIDS = [f"2.25.{7000 + number}" for number in range(4)]


def stored(data: bytes, checksum: int | None) -> StoredInstance:
    digest = hashlib.sha256(data).digest()
    return StoredInstance("1", "2", "3", "4", "5", 1, BodyLocation(1, 0, len(data)), digest, checksum, None)


def instances(store: Store) -> list[StoredInstance]:
    found = [
        store.peek(lambda connection, uid=uid: instance_rows.instance(connection, uid))  # type: ignore[misc]
        for uid in UIDS
    ]
    assert None not in found
    return [each for each in found if each is not None]


@given(some.binary(max_size=2_000), some.lists(some.integers(0, 2_000), max_size=5))
def test_pieces_have_the_checksum_of_the_whole(data: bytes, cuts: list[int]) -> None:
    borders = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    whole = checksum_of(data)
    assert -(1 << 63) <= whole < 1 << 63
    in_pieces, checks = Checksum(), [Check(stored(data, whole)), Check(stored(data, None))]
    for begin, end in itertools.pairwise(borders):
        for each in (in_pieces, *checks):
            each.update(data[begin:end])
    assert in_pieces.value == whole
    assert all(check.fits() for check in checks)


@pytest.mark.parametrize("has_checksum", [True, False])
def test_nothing_that_has_changed_passes(has_checksum: bool) -> None:
    source = random.Random(11)
    data = source.randbytes(5_000)
    instance = stored(data, checksum_of(data) if has_checksum else None)
    assert is_whole(memoryview(data), instance)
    wrong = [data[:-1], data + b"\0", bytes(5_000), data[::-1], b"", data[2_500:] + data[:2_500]]
    for _ in range(2_000):
        rotten = bytearray(data)
        for _ in range(source.choice((1, 1, 2, 8))):
            rotten[source.randrange(5_000)] ^= 1 << source.randrange(8)
        if rotten != data:
            wrong.append(bytes(rotten))
    for each in wrong:
        check = Check(instance)
        check.update(each)
        assert not is_whole(each, instance)
        assert not check.fits()


async def test_an_instance_keeps_its_checksum_wherever_it_lies(tmp_path: Path) -> None:
    house = House(tmp_path)
    for number in range(4):
        await house.send(sent(number))
    for _ in range(2):
        found = instances(house.store)
        assert [each.checksum for each in found] == [checksum_of(body(house.store, each)) for each in found]
        house.store.close()
        forget_index(tmp_path)
        house.store = make_store(tmp_path, SystemClock())
        house.store.start()
        assert instances(house.store) == found
        await settle_all(house.store)
    house.store.close()


async def test_what_came_before_there_were_checksums_is_read_by_its_hash_and_gets_one_when_it_settles(
    tmp_path: Path,
) -> None:
    house = House(tmp_path)
    for number in range(4):
        await house.send(sent(number))

    def as_before(transaction: Transaction) -> None:
        for uid in UIDS:
            transaction.update("instance", {"sop_uid": uid}, checksum=None)

    await house.store.commit(as_before)
    before = instances(house.store)
    for each in before:
        data = body(house.store, each)
        assert each.checksum is None
        assert is_whole(data, each)
        assert not is_whole(data + b"\0", each)
    await settle_all(house.store)
    for each in instances(house.store):
        assert each.checksum == checksum_of(body(house.store, each))
        assert each.sha256 in {one.sha256 for one in before}
    house.store.close()


def test_the_checksum_decides_alone_where_there_is_one() -> None:
    instance = changed(stored(b"abc", checksum_of(b"abc")), sha256=bytes(32))
    assert is_whole(b"abc", instance)
