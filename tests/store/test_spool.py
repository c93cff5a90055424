"""Large bodies become segments of their own: written once, whole after a crash at any point, or not there at all."""

import hashlib
import shutil
from pathlib import Path

import pytest

from samsyn import limits
from samsyn.clock import SystemClock
from samsyn.errors import BadInput, LimitExceeded, OutOfResources
from samsyn.store.index.port import NoRoom
from samsyn.store.records import FRAME
from samsyn.store.spool import SpooledBody
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction
from tests.indexes import forget_index, make_store, sqlite_only
from tests.store.test_store import add_message, rows

PIECES = [bytes([number]) * (300_001 + number) for number in range(20)]
LARGE = b"".join(PIECES)


def opened(folder: Path) -> Store:
    store = make_store(folder, SystemClock())
    store.start()
    return store


def spooled(store: Store) -> SpooledBody:
    body = store.spool()
    for piece in PIECES:
        body.append(piece)
    return body


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "journal").iterdir())


async def test_a_large_body_is_a_segment_that_others_follow(tmp_path: Path) -> None:
    store = opened(tmp_path)
    await store.commit(add_message("1"), b"before")
    body = spooled(store)
    assert (len(body), body.sha256) == (len(LARGE), hashlib.sha256(LARGE).hexdigest())
    assert body.read(300_000, 5) == LARGE[300_000:300_005]
    assert (await store.commit(add_message("2"), body)).receipt.sequence == 2
    body.discard()
    await store.commit(add_message("3"), b"after")
    expected = [(1, "1", b"before"), (2, "2", LARGE), (3, "3", b"after")]
    assert rows(store) == expected
    assert names(tmp_path) == ["00000001.journal", "00000002.journal"]
    place = store.peek(lambda one: one.execute("SELECT segment, body_offset FROM message").fetchall())
    assert [tuple(row) for row in place[1:]] == [(2, FRAME.size), (2, place[2][1])]
    store.close()
    forget_index(tmp_path)
    again = opened(tmp_path)
    assert rows(again) == expected
    again.close()


@sqlite_only
async def test_a_crash_before_the_index_commits_leaves_the_record_whole(tmp_path: Path) -> None:
    store = opened(tmp_path)
    await store.commit(add_message("1"), b"before")
    store.close()
    shutil.copy(tmp_path / "index.sqlite", tmp_path / "kept")
    store = opened(tmp_path)
    body = spooled(store)
    await store.commit(add_message("2"), body)
    body.discard()
    store.close()
    (tmp_path / "kept").replace(tmp_path / "index.sqlite")
    again = opened(tmp_path)
    assert again.replayed == 1
    assert rows(again) == [(1, "1", b"before"), (2, "2", LARGE)]
    again.close()


async def test_what_is_left_of_a_crash_while_it_arrives_is_taken_away(tmp_path: Path) -> None:
    store = opened(tmp_path)
    spooled(store)
    assert names(tmp_path) == ["00000001.journal", "1.arriving"]
    store.close()
    again = opened(tmp_path)
    assert names(tmp_path) == ["00000001.journal"]
    again.close()


async def test_a_decision_that_keeps_nothing_leaves_no_segment(tmp_path: Path) -> None:
    store = opened(tmp_path)
    body = spooled(store)

    def refuse(transaction: Transaction) -> None:
        add_message("1")(transaction)
        raise BadInput("no")

    def repeat(transaction: Transaction) -> str:
        return transaction.body_sha256

    with pytest.raises(BadInput):
        await store.commit(refuse, body)
    assert (await store.commit(repeat, body)).value == body.sha256
    body.discard()
    assert names(tmp_path) == ["00000001.journal"]
    await store.commit(add_message("1"), b"after")
    assert rows(store) == [(1, "1", b"after")]
    store.close()


async def test_an_index_without_room_takes_the_segment_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(tmp_path)
    await store.commit(add_message("1"), b"before")
    kind, full = store._writer._kind, [True]
    commit = kind.commit

    def refusing(index: object, reached: object) -> None:
        if full and reached is not None:
            full.clear()
            raise NoRoom("full")
        commit(index, reached)  # type: ignore[arg-type]

    monkeypatch.setattr(kind, "commit", refusing)
    body = spooled(store)
    with pytest.raises(OutOfResources):
        await store.commit(add_message("2"), body)
    body.discard()
    assert names(tmp_path) == ["00000001.journal"]
    await store.commit(add_message("3"), b"after")
    assert rows(store) == [(1, "1", b"before"), (2, "3", b"after")]
    store.close()
    forget_index(tmp_path)
    again = opened(tmp_path)
    assert rows(again) == [(1, "1", b"before"), (2, "3", b"after")]
    again.close()


async def test_limits_of_spooling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened(tmp_path)
    monkeypatch.setattr(limits, "MAX_SPOOLED", 2)
    first, second = store.spool(), store.spool()
    with pytest.raises(OutOfResources, match="MAX_SPOOLED"):
        store.spool()
    second.discard()
    second.discard()
    with pytest.raises(OutOfResources, match="went away"):
        second.append(b"more")
    third = store.spool()
    monkeypatch.setattr(limits, "DISK_RESERVE_BYTES", 1 << 60)
    with pytest.raises(OutOfResources, match="DISK_RESERVE_BYTES"):
        first.append(b"x")
    monkeypatch.undo()
    third._largest = (10, "MAX_INSTANCE_BYTES")
    third.append(b"0123456789")
    with pytest.raises(LimitExceeded, match="MAX_INSTANCE_BYTES"):
        third.append(b"0")
    with pytest.raises(LimitExceeded, match="MAX_INSTANCE_IN_MEMORY_BYTES"):
        store.body(1, 0, limits.MAX_INSTANCE_IN_MEMORY_BYTES + 1)
    first.discard()
    third.discard()
    store.close()
