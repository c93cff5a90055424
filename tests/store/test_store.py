"""The store keeps its promise: a receipt is durable, and the index follows from the journal."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from samsyn import limits
from samsyn.clock import SystemClock
from samsyn.errors import BadInput, ConfigurationError, Conflict, DamagedData, OutOfResources, StoreFailed
from samsyn.store import journal as journal_module
from samsyn.store import replay as replay_module
from samsyn.store.index.port import IndexFault
from samsyn.store.replay import rebuild
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction
from tests.indexes import forget_index, make_store, sqlite_only
from tests.store.refusing import refusing


def opened(folder: Path) -> Store:
    store = make_store(folder, SystemClock())
    store.start()
    return store


def add_message(control_id: str):
    def decide(transaction: Transaction) -> int:
        key = transaction.next_key("message")
        transaction.insert_with_body(
            "message",
            message_key=key,
            source="TEST",
            control_id=control_id,
            kind="ORU",
            digest=transaction.body_sha256,
            received=transaction.time,
            sha256=transaction.body_sha256,
            outcome="",
            answer="",
        )
        return key

    return decide


def rows(store: Store) -> list[tuple[int, str, bytes]]:
    found = store.peek(
        lambda connection: connection.execute(
            "SELECT message_key, control_id, segment, body_offset, length FROM message ORDER BY message_key"
        ).fetchall()
    )
    return [(row[0], row[1], store.body(row[2], row[3], row[4])) for row in found]


async def test_what_is_committed_is_readable_at_once_and_after_a_restart(tmp_path: Path) -> None:
    store = opened(tmp_path)
    committed = await store.commit(add_message("1"), b"first body")
    assert committed.receipt.outcome == "stored"
    assert committed.receipt.sequence == 1
    assert rows(store) == [(1, "1", b"first body")]
    store.close()
    again = opened(tmp_path)
    assert again.replayed == 0
    assert rows(again) == [(1, "1", b"first body")]
    again.close()


async def test_many_records_share_few_syncs(tmp_path: Path) -> None:
    store = opened(tmp_path)
    await asyncio.gather(*(store.commit(add_message(str(n)), b"x" * 100) for n in range(300)))
    assert store.records == 300
    assert store.syncs < 150
    assert [row[2] for row in rows(store)] == [b"x" * 100] * 300
    store.close()


async def test_the_index_is_rebuilt_from_the_journal_when_it_is_lost(tmp_path: Path) -> None:
    store = opened(tmp_path)
    for number in range(5):
        await store.commit(add_message(str(number)), f"body {number}".encode())
    await store.commit(lambda transaction: transaction.update("message", {"message_key": 2}, outcome="AA"))
    before = rows(store)
    store.close()
    forget_index(tmp_path)
    again = opened(tmp_path)
    assert again.replayed == 6
    assert rows(again) == before
    committed = await again.commit(add_message("new"), b"new")
    assert (committed.receipt.sequence, committed.value) == (7, 6)
    again.close()


@sqlite_only
async def test_a_start_that_makes_the_index_anew_says_so_and_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No door is open meanwhile, and of a large journal it takes hours."""
    store = opened(tmp_path)
    for number in range(7):
        await store.commit(add_message(str(number)), b"body")
    store.close()
    (tmp_path / "index.sqlite").write_bytes(b"that of another version")
    monkeypatch.setattr(replay_module, "_COMMIT_EVERY", 3)
    with caplog.at_level("INFO", "samsyn"):
        opened(tmp_path).close()
    told = [(record.getMessage(), getattr(record, "count", 0)) for record in caplog.records]
    assert told == [("index-is-made-anew", 0), ("journal-is-replayed", 3), ("journal-is-replayed", 6)]


@sqlite_only
async def test_an_index_that_lost_its_last_transactions_catches_up(tmp_path: Path) -> None:
    """As after a power cut: the journal was synced, the index was not."""
    store = opened(tmp_path)
    await store.commit(add_message("early"), b"early")
    store.close()
    saved = tmp_path / "saved"
    shutil.copy(tmp_path / "index.sqlite", saved)
    store = opened(tmp_path)
    await store.commit(add_message("late"), b"late")
    expected = rows(store)
    store.close()
    forget_index(tmp_path)
    shutil.copy(saved, tmp_path / "index.sqlite")
    again = opened(tmp_path)
    assert again.replayed == 1
    assert rows(again) == expected
    again.close()


@pytest.mark.parametrize("cut", [1, 10, 19, 20, 25, 60])
async def test_a_torn_last_record_is_cut_off_and_the_rest_stands(tmp_path: Path, cut: int) -> None:
    store = opened(tmp_path)
    await store.commit(add_message("whole"), b"whole")
    whole = store.journal.end.offset
    await store.commit(add_message("torn"), b"torn body")
    store.close()
    forget_index(tmp_path)
    os.truncate(tmp_path / "journal" / "00000001.journal", whole + cut)
    again = opened(tmp_path)
    assert [row[1] for row in rows(again)] == ["whole"]
    assert (tmp_path / "journal" / "00000001.journal").stat().st_size == whole
    await again.commit(add_message("torn"), b"sent again")
    assert [row[2] for row in rows(again)] == [b"whole", b"sent again"]
    again.close()


@sqlite_only
@pytest.mark.parametrize(
    "left",
    ["nothing", "yesterday's", "all but the last byte", "yesterday's with what was prepared", "another's"],
)
async def test_a_journal_that_has_lost_its_end_stops_the_start_and_a_rebuild(
    tmp_path: Path, left: str
) -> None:
    store = opened(tmp_path)
    await store.commit(add_message("early"), b"early")
    whole = store.journal.end.offset
    await store.commit(add_message("late"), b"late")
    end = store.journal.end.offset
    store.close()
    segment = tmp_path / "journal" / "00000001.journal"
    if left == "nothing":
        segment.unlink()
    elif left == "another's":  # which has a record that ends at the very same byte
        segment.write_bytes(segment.read_bytes().replace(b'{"n":2,', b'{"n":3,'))
    else:
        os.truncate(segment, end - 1 if left == "all but the last byte" else whole)
    if "prepared" in left:  # as in a copy that was made while the service ran
        os.truncate(segment, end + 4 * limits.MIB)
    with pytest.raises(DamagedData, match="but 2 records"):
        make_store(tmp_path, SystemClock())
    with pytest.raises(DamagedData, match=r"move index\.sqlite away"):
        rebuild(tmp_path)
    if left == "another's":
        return
    forget_index(tmp_path)
    again = opened(tmp_path)
    assert [row[1] for row in rows(again)] == ([] if left == "nothing" else ["early"])
    again.close()


async def test_what_is_cut_off_and_may_have_been_acknowledged_is_kept_and_told(tmp_path: Path) -> None:
    """The records of one batch, the first of which begins with rubbish: torn by a crash, or rotted since."""
    store = opened(tmp_path)
    await store.commit(add_message("whole"), b"whole")
    whole = store.journal.end.offset
    await asyncio.gather(*(store.commit(add_message(name), name.encode() * 9) for name in ("a", "b", "c")))
    store.close()
    assert store.cut_off == ()
    forget_index(tmp_path)
    segment = tmp_path / "journal" / "00000001.journal"
    lost = segment.read_bytes()[whole:]
    with segment.open("r+b") as file:
        file.seek(whole)
        file.write(b"rot!")
    again = opened(tmp_path)
    (kept,) = again.cut_off
    assert kept.read_bytes()[4:].startswith(lost[4:])
    assert [row[1] for row in rows(again)] == ["whole"]
    again.close()
    once_more = opened(tmp_path)
    assert once_more.cut_off == (kept,), "a later start tells of it too"
    once_more.close()


async def test_rot_before_the_last_segment_stops_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module.limits, "SEGMENT_BYTES", 500)
    store = opened(tmp_path)
    for number in range(8):
        await store.commit(add_message(str(number)), b"z" * 200)
    store.close()
    first = tmp_path / "journal" / "00000001.journal"
    assert len(list((tmp_path / "journal").iterdir())) > 2
    data = bytearray(first.read_bytes())
    data[60] ^= 1
    first.write_bytes(data)
    forget_index(tmp_path)
    with pytest.raises(DamagedData):
        make_store(tmp_path, SystemClock())


async def test_a_refusal_leaves_nothing_behind_and_harms_nobody_else(tmp_path: Path) -> None:
    store = opened(tmp_path)

    def refuse(transaction: Transaction) -> None:
        transaction.next_key("message")
        transaction.insert("message", message_key=99, source="x", control_id="x")
        raise BadInput("no")

    results = await asyncio.gather(
        store.commit(add_message("a"), b"a"),
        store.commit(refuse, b"never"),
        store.commit(add_message("b"), b"b"),
        return_exceptions=True,
    )
    assert isinstance(results[1], BadInput)
    assert [row[:2] for row in rows(store)] == [(1, "a"), (2, "b")]
    store.close()


async def test_what_can_not_be_written_down_costs_only_itself(tmp_path: Path) -> None:
    store = opened(tmp_path)

    def odd(transaction: Transaction) -> None:
        transaction.insert("lift", lift_id="lone surrogate \ud800")

    results = await asyncio.gather(
        store.commit(add_message("a"), b"a"),
        store.commit(odd),
        store.commit(add_message("b"), b"b"),
        return_exceptions=True,
    )
    assert [isinstance(result, BaseException) for result in results] == [False, True, False]
    assert [row[:2] for row in rows(store)] == [(1, "a"), (2, "b")]
    assert store.healthy
    store.close()


async def test_the_same_key_twice_is_a_conflict_not_a_broken_store(tmp_path: Path) -> None:
    store = opened(tmp_path)
    await store.commit(add_message("same"), b"1")
    with pytest.raises(Conflict):
        await store.commit(add_message("same"), b"2")
    assert store.healthy
    await store.commit(add_message("other"), b"3")
    store.close()


async def test_a_disk_that_tells_nothing_any_more_is_a_failure_and_no_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(tmp_path)
    await store.commit(add_message("1"), b"1" * 3_000_000)

    def gone() -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(store.journal, "free_bytes", gone)
    async with asyncio.timeout(20):
        while store.healthy:  # seen while pages are prepared
            await asyncio.sleep(0.02)
        with pytest.raises(StoreFailed):
            await store.commit(add_message("2"), b"2")
    monkeypatch.undo()
    store.close()


@sqlite_only
async def test_an_index_that_can_not_even_undo_answers_everybody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(tmp_path)
    refusing(store, monkeypatch, IndexFault("disk I/O error"), "COMMIT", "ROLLBACK")
    async with asyncio.timeout(20):
        for control_id in ("1", "2"):
            with pytest.raises(StoreFailed):
                await store.commit(add_message(control_id), b"x")
    assert not store.healthy
    assert "look at the disk" in store.complaint
    monkeypatch.undo()
    store.close()


async def test_pages_are_prepared_while_nothing_is_sent_and_a_crash_leaves_them_harmless(
    tmp_path: Path,
) -> None:
    store = opened(tmp_path)
    file = tmp_path / "journal" / "00000001.journal"
    await store.commit(add_message("first"), b"a" * 3_000_000)
    used = file.stat().st_size
    for _ in range(1_200):
        await asyncio.sleep(0.05)
        if file.stat().st_size > used:
            break
    assert file.stat().st_size > used
    await store.commit(add_message("second"), b"b" * 3_000_000)
    crashed = tmp_path / "crashed"
    (crashed / "journal").mkdir(parents=True)
    shutil.copy(file, crashed / "journal" / file.name)
    before = rows(store)
    store.close()
    again = opened(crashed)
    assert rows(again) == before
    await again.commit(add_message("third"), b"c")
    assert [row[2][:1] for row in rows(again)] == [b"a", b"b", b"c"]
    again.close()


async def test_a_failed_sync_is_final(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened(tmp_path)
    await store.commit(add_message("before"), b"before")

    def broken(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(journal_module.os, "fdatasync", broken)
    with pytest.raises(StoreFailed):
        await store.commit(add_message("lost"), b"lost")
    monkeypatch.undo()
    assert not store.healthy
    with pytest.raises(StoreFailed):
        await store.commit(add_message("later"), b"later")
    assert [row[1] for row in rows(store)] == ["before"]
    store.close()


async def test_a_full_disk_refuses_bodies_before_the_reserve_and_audit_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(tmp_path)
    monkeypatch.setattr(journal_module.Journal, "free_bytes", lambda self: 1_000)
    with pytest.raises(OutOfResources):
        await store.commit(add_message("big"), b"big")
    await store.commit(lambda transaction: transaction.insert("lift", lift_id="small"))
    monkeypatch.undo()
    await store.commit(add_message("big"), b"big")
    assert store.healthy
    store.close()


async def test_two_processes_never_share_a_data_folder(tmp_path: Path) -> None:
    store = opened(tmp_path)
    with pytest.raises(ConfigurationError):
        make_store(tmp_path, SystemClock())
    store.close()


async def test_readers_can_not_write(tmp_path: Path) -> None:
    store = opened(tmp_path)
    with pytest.raises(IndexFault):
        store.peek(lambda connection: connection.execute("DELETE FROM audit"))
    store.close()
