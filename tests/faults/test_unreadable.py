"""Blocks that the disk does not give any more, and rot at the journal's very end: neither hides what lies behind, and
neither is taken for what a crash tears."""

import errno
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from samsyn import limits
from samsyn.clock import SystemClock
from samsyn.errors import DamagedData
from samsyn.store.journal import Journal
from samsyn.store.open_files import OpenFiles
from samsyn.store.upkeep.give_back import GivingBack
from samsyn.store.upkeep.scrub import Scrub
from tests.indexes import forget_index, make_store, rebuild_index, sqlite_only
from tests.store.test_scrub import BODIES, filled, flip, places
from tests.store.test_store import add_message, opened

BLOCK = 4 * limits.KIB


class BadBlocks:
    """Blocks of journal segments that can not be read until they are written over."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bad: set[tuple[int, int]] = set()
        read, overwrite = OpenFiles.read, Journal._overwrite

        def failing(files: OpenFiles, key: Any, path: Path, offset: int, length: int) -> bytes:
            blocks = range(offset // BLOCK, (offset + max(length, 1) - 1) // BLOCK + 1)
            if path.suffix == ".journal" and any((key, block) in self.bad for block in blocks):
                raise OSError(errno.EIO, "Input/output error")
            return read(files, key, path, offset, length)

        def mending(journal: Journal, segment: int, offset: int, ends: int, source: Any) -> None:
            overwrite(journal, segment, offset, ends, source)
            self.bad -= {(segment, block) for block in range(offset // BLOCK, ends // BLOCK + 1)}

        monkeypatch.setattr(OpenFiles, "read", failing)
        monkeypatch.setattr(Journal, "_overwrite", mending)

    def at(self, segment: int, offset: int) -> None:
        self.bad.add((segment, offset // BLOCK))


@pytest.fixture
def bad(monkeypatch: pytest.MonkeyPatch) -> BadBlocks:
    return BadBlocks(monkeypatch)


def header_of(place: tuple[int, int, int]) -> tuple[int, int]:
    return place[0], place[1] + place[2] + 40


async def test_a_pass_goes_on_behind_a_block_that_is_not_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: BadBlocks
) -> None:
    where = await filled(tmp_path, monkeypatch)
    store = opened(tmp_path)
    segment, offset = header_of(where[2])
    assert segment < where[-1][0]
    bad.at(segment, offset)
    seen = await Scrub(store, SystemClock()).whole_pass()
    hidden = [
        place
        for place in where
        if place[0] == segment and place[1] // BLOCK - 1 <= offset // BLOCK <= header_of(place)[1] // BLOCK
    ]
    assert BODIES - len(hidden) <= seen.bodies < BODIES
    assert {body.owner for body in seen.damaged} >= {"record"}
    assert store.peek(lambda connection: connection.execute("SELECT segment FROM scrub").fetchone()[0]) == 0
    read = [store.body(*place) for place in where if place not in hidden]
    assert len(read) >= BODIES - 5
    await GivingBack(store, SystemClock()).look()
    store.close()


@sqlite_only
async def test_what_is_not_given_is_mended_from_the_second_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: BadBlocks
) -> None:
    folder, copy = tmp_path / "data", tmp_path / "copy"
    where = await filled(folder, monkeypatch)
    shutil.copytree(folder, copy)
    store = make_store(folder, SystemClock(), copy)
    store.start()
    bad.at(*header_of(where[2]))
    bad.at(*where[20][:2])
    seen = await Scrub(store, SystemClock()).whole_pass()
    assert (seen.damaged, bad.bad) == ([], set())
    assert seen.bodies == BODIES
    store.close()


@pytest.mark.parametrize("is_header", [True, False])
async def test_a_start_cuts_nothing_off_that_the_disk_does_not_give(
    tmp_path: Path, bad: BadBlocks, is_header: bool
) -> None:
    store = opened(tmp_path)
    await store.commit(add_message("large"), bytes(range(256)) * 100)
    last = places(store)[-1]
    store.close()
    before = (tmp_path / "journal" / "00000001.journal").read_bytes()
    forget_index(tmp_path)
    bad.at(*(header_of(last) if is_header else (last[0], last[1] + 2 * BLOCK)))
    with pytest.raises(DamagedData):
        opened(tmp_path)
    assert (tmp_path / "journal" / "00000001.journal").read_bytes() == before


@sqlite_only
@pytest.mark.parametrize("version", [None, 1])
async def test_rot_of_the_last_record_that_an_index_knows_is_marked_and_not_cut_off(
    tmp_path: Path, version: int | None
) -> None:
    """Also when the index is that of another version of the program, which a start makes anew."""
    where = await filled(tmp_path)
    before = (tmp_path / "journal" / "00000001.journal").stat().st_size
    flip(tmp_path, *where[-1][:2])
    if version is None:
        assert rebuild_index(tmp_path) == (BODIES, 1)
    else:
        with sqlite3.connect(tmp_path / "index.sqlite") as index:
            index.execute(f"PRAGMA user_version = {version}")
        index.close()
    store = opened(tmp_path)
    assert places(store) == where
    with pytest.raises(DamagedData):
        store.body(*where[-1])
    assert not store.cut_off
    store.close()
    assert (tmp_path / "journal" / "00000001.journal").stat().st_size >= before


async def test_rot_of_the_last_record_that_nobody_knows_is_cut_off_and_kept(tmp_path: Path) -> None:
    where = await filled(tmp_path)
    flip(tmp_path, *where[-1][:2])
    before = (tmp_path / "journal" / "00000001.journal").read_bytes()
    forget_index(tmp_path)
    store = opened(tmp_path)
    assert places(store) == where[:-1]
    (kept,) = store.cut_off
    assert before.endswith(kept.read_bytes())
    assert len(kept.read_bytes()) > where[-1][2]
    store.close()


@sqlite_only
async def test_rot_of_the_last_record_is_mended_before_it_is_cut_off(tmp_path: Path) -> None:
    folder, copy = tmp_path / "data", tmp_path / "copy"
    where = await filled(folder)
    shutil.copytree(folder, copy)
    flip(folder, *where[-1][:2])
    forget_index(folder)
    store = make_store(folder, SystemClock(), copy)
    store.start()
    assert places(store) == where
    assert not store.cut_off
    assert store.body(*where[-1])
    store.close()


async def test_a_copy_that_has_another_record_there_mends_nothing(tmp_path: Path) -> None:
    """One that was made before a crash, of what was cut off then: it has the same number."""
    folder, copy = tmp_path / "data", tmp_path / "copy"
    where = await filled(folder)
    await filled(copy)
    flip(folder, *where[10][:2])
    journal = Journal(folder / "journal", copy)
    assert not journal.mend(1, where[10][1] - 20, 11)
    journal.close()
