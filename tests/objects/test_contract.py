"""What every place for objects promises: the same tests on a folder, on S3, and on both with seals."""

import secrets
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from samsyn import limits
from samsyn.errors import Conflict, DamagedData
from samsyn.store.objects.folder import FolderObjects
from samsyn.store.objects.port import Objects
from samsyn.store.objects.s3 import S3Objects
from samsyn.store.objects.sealed import SealedObjects

KINDS = ["folder", "sealed folder"]
SLOW_KINDS = ["s3", "sealed s3"]


@pytest.fixture(params=[*KINDS, *(pytest.param(kind, marks=pytest.mark.slow) for kind in SLOW_KINDS)])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Objects]:
    kind: str = request.param
    made: Objects
    if kind.endswith("folder"):
        made = FolderObjects(tmp_path / "objects")
    else:
        server = request.getfixturevalue("object_store")
        prefix = f"c{secrets.token_hex(8)}"
        made = S3Objects(server.endpoint, "samsyn-test", server.access_key, server.secret_key, prefix)
    if kind.startswith("sealed"):
        made = SealedObjects(made, 4 * limits.MIB)
    yield made
    made.close()


def test_what_was_put_is_read_whole_and_in_ranges(objects: Objects) -> None:
    data = secrets.token_bytes(1_000_003)
    objects.put_new("journal/000000000001", [data[:10], b"", memoryview(data)[10:]])

    assert objects.size("journal/000000000001") == len(data)
    assert objects.read("journal/000000000001", 0, len(data)) == data
    for offset, length in ((0, 1), (262_143, 2), (999_999, 4), (5, 700_000), (1_000_003, 0)):
        assert objects.read("journal/000000000001", offset, length) == data[offset : offset + length]


def test_an_object_longer_than_one_piece_comes_back_whole(objects: Objects) -> None:
    data = secrets.token_bytes(2 * limits.OBJECT_PIECE_BYTES + 17)
    objects.put_new("objects/1", [data])

    assert objects.read("objects/1", 0, len(data)) == data
    middle = limits.OBJECT_PIECE_BYTES - 5
    assert objects.read("objects/1", middle, 10) == data[middle : middle + 10]


def test_an_empty_object_is_an_object(objects: Objects) -> None:
    objects.put_new("objects/empty", [])
    assert objects.size("objects/empty") == 0
    assert objects.read("objects/empty", 0, 0) == b""


@pytest.mark.parametrize(("offset", "length"), [(0, 6), (5, 1), (4, 2), (10, 1)])
def test_more_than_there_is_is_damage(objects: Objects, offset: int, length: int) -> None:
    objects.put_new("objects/2", [b"hello"])
    with pytest.raises(DamagedData):
        objects.read("objects/2", offset, length)


def test_what_is_not_there_has_no_size_and_reading_it_is_damage(objects: Objects) -> None:
    assert objects.size("objects/none") is None
    with pytest.raises(DamagedData):
        objects.read("objects/none", 0, 1)


def test_the_same_bytes_may_be_put_again_and_others_may_not(objects: Objects) -> None:
    objects.put_new("objects/3", [b"first"])
    objects.put_new("objects/3", [b"fi", b"rst"])
    for other in (b"other", b"first and more", b""):
        with pytest.raises(Conflict):
            objects.put_new("objects/3", [other])
    assert objects.read("objects/3", 0, 5) == b"first"


def test_of_many_who_put_one_name_at_once_one_wins_and_the_others_hear_it(objects: Objects) -> None:
    outcomes: list[bytes] = []
    refused: list[Conflict] = []

    def put(data: bytes) -> None:
        try:
            objects.put_new("journal/000000000009", [data])
            outcomes.append(data)
        except Conflict as conflict:
            refused.append(conflict)

    threads = [threading.Thread(target=put, args=(bytes((number,)) * 5000,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 1
    assert len(refused) == 7
    assert objects.read("journal/000000000009", 0, 5000) == outcomes[0]


def test_names_come_in_order_from_a_place_on(objects: Objects) -> None:
    numbers = [3, 1, 20, 100, 7]
    for number in numbers:
        objects.put_new(f"journal/{number:012d}", [b"x" * number])
    objects.put_new("objects/1", [b"elsewhere"])

    listed = list(objects.names("journal/"))
    assert [each.name for each in listed] == [f"journal/{number:012d}" for number in sorted(numbers)]
    assert [each.size for each in listed] == sorted(numbers)
    behind = [each.size for each in objects.names("journal/", after=f"journal/{7:012d}")]
    assert behind == [20, 100]
    assert list(objects.names("nothing/")) == []


def test_what_is_deleted_is_gone_and_may_be_deleted_again(objects: Objects) -> None:
    objects.put_new("objects/4", [b"x" * 1000])
    assert objects.read("objects/4", 0, 4) == b"xxxx"
    objects.delete("objects/4")
    objects.delete("objects/4")
    assert objects.size("objects/4") is None
    with pytest.raises(DamagedData):
        objects.read("objects/4", 0, 4)


@pytest.mark.parametrize(
    "name", ["", "../x", "a/../b", "/etc/passwd", "a//b", "A", "a/" * 7 + "a", "a" * 201, "å"]
)
def test_a_name_that_the_store_did_not_make_is_refused(objects: Objects, name: str) -> None:
    with pytest.raises(ValueError):
        objects.put_new(name, [b"x"])
    with pytest.raises(ValueError):
        objects.read(name, 0, 1)
