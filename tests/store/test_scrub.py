"""Rot is found, mended where a second copy is, and never served; the index is made anew past it."""

import asyncio
import random
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from samsyn.cli import check
from samsyn.clock import SystemClock
from samsyn.errors import DamagedData
from samsyn.store import journal as journal_module
from samsyn.store import records, replay
from samsyn.store.records import FRAME
from samsyn.store.store import Store
from samsyn.store.upkeep.scrub import Scrub
from tests.cli.commands import samsyn
from tests.indexes import forget_index, make_store, rebuild_index, sqlite_only
from tests.store.test_store import add_message, opened

BODIES = 40


class Held:
    """A clock that the test holds."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 26, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()


async def filled(folder: Path, monkeypatch: pytest.MonkeyPatch | None = None) -> list[tuple[int, int, int]]:
    """A closed data folder with some bodies over several segments; their places."""
    if monkeypatch is not None:
        monkeypatch.setattr(journal_module.limits, "SEGMENT_BYTES", 20_000)
    source = random.Random(7)
    store = opened(folder)
    for number in range(BODIES):
        await store.commit(add_message(str(number)), source.randbytes(2_000))
    found = places(store)
    store.close()
    return found


def places(store: Store) -> list[tuple[int, int, int]]:
    return store.peek(
        lambda connection: [
            tuple(row)
            for row in connection.execute(
                "SELECT segment, body_offset, length FROM message ORDER BY message_key"
            )
        ]
    )


def flip(folder: Path, segment: int, offset: int) -> None:
    """One bit of one byte on disk."""
    with (folder / "journal" / f"{segment:08d}.journal").open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 0x10]))


def rows(store: Store, table: str) -> list[tuple[object, ...]]:
    return store.peek(lambda connection: [tuple(row) for row in connection.execute(f"SELECT * FROM {table}")])


async def test_every_flipped_byte_is_found_and_none_is_served_as_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = await filled(tmp_path, monkeypatch)
    source = random.Random(3)
    hurt = source.sample(range(BODIES), 12)
    for number in hurt:
        segment, offset, length = where[number]
        flip(tmp_path, segment, offset + source.randrange(length))
    store = opened(tmp_path)
    seen = await Scrub(store, SystemClock()).whole_pass()
    assert sorted(int(body.reference) - 1 for body in seen.damaged) == sorted(hurt)
    assert (seen.bodies, seen.mended) == (BODIES, 0)
    assert len(store.damaged) == len(hurt)
    for number, place in enumerate(where):
        if number in hurt:
            with pytest.raises(DamagedData):
                store.body(*place)
            with pytest.raises(DamagedData):
                store.body(place[0], place[1] + 5, 1)
            with pytest.raises(DamagedData):
                await store.proved(*place, "")
        else:
            assert len(store.body(*place)) == place[2]
    store.close()
    again = opened(tmp_path)
    assert len(again.damaged) == len(hurt)
    with pytest.raises(DamagedData):
        again.body(*where[hurt[0]])
    again.close()


async def test_damage_is_mended_from_the_second_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, copy = tmp_path / "data", tmp_path / "copy"
    where = await filled(folder, monkeypatch)
    shutil.copytree(folder, copy)
    good = {path.name: path.read_bytes() for path in (folder / "journal").iterdir()}
    for number in (0, 7, 39):
        flip(folder, where[number][0], where[number][1] + 100)
    flip(folder, where[20][0], where[20][1] - 3)
    flip(folder, where[0][0], 2)
    store = make_store(folder, SystemClock(), copy)
    store.start()
    seen = await Scrub(store, SystemClock()).whole_pass()
    assert (seen.damaged, seen.mended) == ([], 4)
    assert len(store.damaged) == 0
    store.close()
    for name, data in good.items():
        assert (folder / "journal" / name).read_bytes().startswith(data)


async def test_what_was_marked_and_is_good_again_is_served_again(tmp_path: Path) -> None:
    where = await filled(tmp_path)
    segment, offset, _ = where[5]
    flip(tmp_path, segment, offset)
    store = opened(tmp_path)
    await Scrub(store, SystemClock()).whole_pass()
    flip(tmp_path, segment, offset)
    seen = await Scrub(store, SystemClock()).whole_pass()
    assert (seen.damaged, seen.mended) == ([], 1)
    assert len(store.body(*where[5])) == where[5][2]
    assert rows(store, "damage") == []
    store.close()


async def test_a_broken_header_is_told_and_the_records_behind_it_are_still_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = await filled(tmp_path, monkeypatch)
    segment, offset, length = where[3]
    flip(tmp_path, segment, offset + length + 30)
    flip(tmp_path, *where[4][:2])
    store = opened(tmp_path)
    seen = await Scrub(store, SystemClock()).whole_pass()
    assert [(body.owner, body.offset) for body in seen.damaged] == [
        ("record", offset - FRAME.size),
        ("message", where[4][1]),
    ]
    assert seen.bodies == BODIES - 1
    assert len(store.body(*where[3])) == length
    store.close()


async def test_a_copy_that_is_damaged_too_mends_nothing(tmp_path: Path) -> None:
    folder, copy = tmp_path / "data", tmp_path / "copy"
    where = await filled(folder)
    flip(folder, *where[2][:2])
    shutil.copytree(folder, copy)
    store = make_store(folder, SystemClock(), copy)
    store.start()
    seen = await Scrub(store, SystemClock()).whole_pass()
    assert ([body.reference for body in seen.damaged], seen.mended) == (["3"], 0)
    store.close()


async def test_a_pass_is_gone_on_with_after_a_restart_and_begun_when_it_is_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(tmp_path, monkeypatch)
    clock = Held()
    store = opened(tmp_path)
    scrub = Scrub(store, clock, every_days=2.0)
    assert not await scrub._is_due()
    clock.time += timedelta(days=2)
    assert await scrub._is_due()
    await store.commit(
        lambda transaction: transaction.replace("scrub", one=1, segment=4, began="2026-11-25", finished="")
    )
    store.close()
    store = opened(tmp_path)
    scrub = Scrub(store, clock, every_days=2.0)
    assert await scrub._is_due()
    seen = await scrub.whole_pass()
    assert 0 < seen.bodies < BODIES
    assert not await scrub._is_due()
    clock.time += timedelta(days=2)
    assert await scrub._is_due()
    assert (await scrub.whole_pass()).bodies == BODIES
    store.close()


async def test_the_scrub_reads_no_faster_than_it_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await filled(tmp_path)
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    store = opened(tmp_path)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    seen = await Scrub(store, Held(), mib_per_s=0.1).whole_pass()
    monkeypatch.undo()
    assert sum(slept) == pytest.approx(seen.read_bytes / (0.1 * 1024 * 1024))
    store.close()


@pytest.mark.parametrize("lost", [True, False])
async def test_the_index_made_anew_equals_the_one_before(
    lost: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(tmp_path, monkeypatch)
    store = opened(tmp_path)
    before = rows(store, "message")
    store.close()
    if lost:
        forget_index(tmp_path)
    told: list[replay.Progress] = []
    monkeypatch.setattr(replay, "_COMMIT_EVERY", 10)
    assert rebuild_index(tmp_path, told.append) == (BODIES, 0)
    assert [each.records for each in told] == [10, 20, 30, 40]
    again = opened(tmp_path)
    assert again.replayed == 0
    assert rows(again, "message") == before
    again.close()


async def test_the_index_is_made_anew_past_damaged_bodies_which_are_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = await filled(tmp_path, monkeypatch)
    for number in (4, 38):
        flip(tmp_path, *where[number][:2])
    forget_index(tmp_path)
    with pytest.raises(DamagedData):
        opened(tmp_path)
    forget_index(tmp_path)
    assert rebuild_index(tmp_path) == (BODIES, 2)
    store = opened(tmp_path)
    assert places(store) == where
    assert len(store.damaged) == 2
    with pytest.raises(DamagedData):
        store.body(*where[4])
    store.close()


async def test_a_segment_that_is_gone_is_no_shorter_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was acknowledged must not be left out because its file is not there."""
    await filled(tmp_path, monkeypatch)
    segments = sorted((tmp_path / "journal").glob("*.journal"))
    assert len(segments) > 2
    aside = tmp_path / "aside"
    segments[1].rename(aside)
    forget_index(tmp_path)
    with pytest.raises(DamagedData, match="are missing in the journal before segment 3"):
        rebuild_index(tmp_path)
    with pytest.raises(DamagedData, match="are missing"):
        opened(tmp_path)
    aside.rename(segments[1])
    forget_index(tmp_path)
    assert rebuild_index(tmp_path) == (BODIES, 0)


async def test_rot_in_the_last_segment_is_not_taken_for_a_torn_tail(tmp_path: Path) -> None:
    """A body or a header that rots behind a lost index must not cost the acknowledged records behind it."""
    where = await filled(tmp_path)
    flip(tmp_path, *where[10][:2])
    forget_index(tmp_path)
    assert rebuild_index(tmp_path) == (BODIES, 1)
    flip(tmp_path, where[20][0], where[20][1] + where[20][2] + 40)
    size = (tmp_path / "journal" / "00000001.journal").stat().st_size
    forget_index(tmp_path)
    with pytest.raises(DamagedData):
        rebuild_index(tmp_path)
    assert (tmp_path / "journal" / "00000001.journal").stat().st_size == size


async def test_a_start_mends_what_it_replays_from_the_second_copy(tmp_path: Path) -> None:
    folder, copy = tmp_path / "data", tmp_path / "copy"
    where = await filled(folder)
    shutil.copytree(folder, copy)
    flip(folder, *where[10][:2])
    flip(folder, where[20][0], where[20][1] + where[20][2] + 40)
    forget_index(folder)
    store = make_store(folder, SystemClock(), copy)
    store.start()
    assert (store.replayed, len(store.damaged)) == (BODIES, 0)
    store.close()


@sqlite_only
async def test_an_index_with_other_tables_is_made_anew_at_start(tmp_path: Path) -> None:
    where = await filled(tmp_path)
    store = opened(tmp_path)
    store._index.execute("PRAGMA user_version = 1")
    store.close()
    again = opened(tmp_path)
    assert again.replayed == BODIES
    assert places(again) == where
    again.close()


async def test_what_looks_like_a_record_inside_a_body_ends_no_start(tmp_path: Path) -> None:
    store = opened(tmp_path)
    await store.commit(add_message("first"), b"1")
    file = tmp_path / "journal" / "00000001.journal"
    fake = b"".join(
        records.encode_frame(header, 0) + header
        for header in (records.encode_header(10**9 + number, f"2026-{number}", "", []) for number in (1, 2))
    )
    begins = store.journal.end.offset
    await store.commit(add_message("second"), fake * 3)
    store.close()
    with file.open("r+b") as stream:
        stream.seek(begins)
        stream.write(bytes(FRAME.size))
    forget_index(tmp_path)
    again = opened(tmp_path)
    assert [row[2] for row in rows(again, "message")] == ["first"]
    again.close()


async def test_bytes_of_a_body_that_look_like_a_record_ask_the_index_nothing(tmp_path: Path) -> None:
    """Behind a broken header the scrub looks for the next record, and a sender may have sent what looks like one."""
    store = opened(tmp_path)
    await store.commit(add_message("first"), b"1")
    operations = [["b", "message WHERE 1 = 1 --", {"message_key": 1}], ["b", "message", {"1 = 1 --": 1}]]
    header = records.encode_header(10, "2026", "0" * 64, operations)
    begins = store.journal.end.offset
    await store.commit(add_message("second"), records.encode_frame(header, 5) + b"bytes" + header)
    # Longer than a block: the writer has the last block in memory, and would write over what rots there.
    await store.commit(add_message("third"), bytes(8 * 1024))
    with store.journal.path(1).open("r+b") as file:
        file.seek(begins)
        file.write(b"XXXX")
    seen = await Scrub(store, SystemClock()).whole_pass()
    assert {body.owner for body in seen.damaged} == {"record"}
    assert seen.damaged[0].offset == begins
    assert seen.bodies == 4
    store.close()


@sqlite_only
async def test_the_check_tells_of_damage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = await filled(tmp_path)
    file = tmp_path / "samsyn.toml"
    file.write_text(f'[data]\nfolder = "{tmp_path}"\n')
    check.run(file)
    assert "damaged" not in capsys.readouterr().out
    flip(tmp_path, *where[5][:2])
    store = opened(tmp_path)
    await Scrub(store, SystemClock()).whole_pass()
    check.run(file)
    assert "1 stored bodies are damaged" in capsys.readouterr().out
    store.close()


@pytest.mark.slow
async def test_the_commands_tell_by_their_exit_codes(tmp_path: Path) -> None:
    where = await filled(tmp_path)
    assert samsyn("index", "rebuild", "--data", tmp_path).returncode == 0
    ended = samsyn("scrub", "--data", tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert f"{BODIES} bodies" in ended.stdout
    flip(tmp_path, *where[6][:2])
    ended = samsyn("scrub", "--data", tmp_path)
    assert ended.returncode == 1
    assert "damaged: message 7 " in ended.stdout
    ended = samsyn("index", "rebuild", "--data", tmp_path)
    assert ended.returncode == 1
    assert "1 bodies are damaged" in ended.stdout
    assert samsyn("scrub", "--data", tmp_path / "mistyped").returncode == 2
    store = opened(tmp_path)
    for words in (("index", "rebuild"), ("scrub",)):
        ended = samsyn(*words, "--data", tmp_path)
        assert ended.returncode == 2
        assert "another process" in ended.stderr
    store.close()
