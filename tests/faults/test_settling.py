"""Settling dies between any two steps, the disk refuses, the tail is torn: nothing is lost and nothing answers
otherwise than before."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from samsyn import limits
from samsyn.clock import SystemClock
from samsyn.errors import DamagedData
from samsyn.store.objects import series_objects
from samsyn.store.upkeep.give_back import GivingBack
from samsyn.store.upkeep.scrub import Scrub
from samsyn.store.upkeep.settle import Settling
from tests.indexes import forget_index, make_store, rebuild_index
from tests.ingest.test_receive import House
from tests.scratch import ROOT, environment
from tests.store.test_settling import all_tables, answers, sent, settle_all

PIXELS = bytes(range(256)) * 250

CHILD = """
import asyncio, os, sys
from pathlib import Path
from samsyn import limits
limits.SEGMENT_BYTES, limits.RETIRED_S, limits.SETTLE_ROWS = 200_000, 0, 2
from samsyn.clock import SystemClock
from samsyn.store import journal
from samsyn.store.objects import series_objects
from samsyn.store.store import Store
from samsyn.store.upkeep.give_back import GivingBack
from samsyn.settings.recompression import RecompressSettings
from samsyn.store.upkeep.recompress import Recompression
from samsyn.store.upkeep.settle import Settling

folder, step, skip, codec = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
rules = [RecompressSettings(codec=codec)] if codec else []
calls = 0

def dying(real, after):
    def call(*values, **more):
        global calls
        calls += 1
        if calls <= skip:
            return real(*values, **more)
        if after:
            real(*values, **more)
        os._exit(9)
    return call

if step == "before-sync":
    series_objects.os.fsync = dying(os.fsync, False)
elif step == "before-rename":
    Path.replace = dying(Path.replace, False)
elif step == "after-rename":
    Path.replace = dying(Path.replace, True)
elif step == "in-hole":
    journal.make_hole = dying(journal.make_hole, True)

async def main():
    store = Store(folder, SystemClock())
    store.start()
    if step == "after-record":
        real = store.commit
        async def commit(*values, **more):
            global calls
            found = await real(*values, **more)
            calls += 1
            if calls > skip:
                os._exit(9)
            return found
        store.commit = commit
    keys = store.peek(lambda c: [row[0] for row in c.execute("SELECT series_key FROM series")])
    for key in keys:
        recompression = Recompression(rules, SystemClock())
        await Settling(store, SystemClock(), recompression=recompression).settle(key)
        assert (recompression.stored_bytes > 0) == bool(rules)
    await GivingBack(store, SystemClock()).look()
    os._exit(0)

asyncio.run(main())
"""

STEPS = [
    (step, skip)
    for step in ("before-sync", "before-rename", "after-rename", "after-record", "in-hole")
    for skip in (0, 1, 3)
]


async def filled(house: House) -> None:
    for number in range(10):
        data = sent(number, series=number % 2, Rows=160, Columns=200, PixelData=PIXELS)
        assert await house.send(data) == ("stored", "")


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "SEGMENT_BYTES", 200_000)
    monkeypatch.setattr(limits, "RETIRED_S", 0)
    built = House(tmp_path / "data")
    yield built
    built.store.close()


@pytest.mark.slow
@pytest.mark.parametrize("codec", ["", "jpeg-ls"])
@pytest.mark.parametrize(("step", "skip"), STEPS)
async def test_a_process_that_dies_between_two_steps_loses_nothing(
    house: House, step: str, skip: int, codec: str
) -> None:
    await filled(house)
    before = answers(house.store)
    folder = house.store.folder
    house.store.close()
    ended = subprocess.run(
        [sys.executable, "-c", CHILD, str(folder), step, str(skip), codec],
        env=environment(),
        cwd=ROOT,
        timeout=60,
    )
    assert ended.returncode == (0 if (step, skip) in NEVER_REACHED else 9)
    house.store = make_store(folder, SystemClock())
    house.store.start()
    house.intake._store = house.store
    assert answers(house.store) == before
    seen = await Scrub(house.store, SystemClock()).whole_pass()
    assert seen.damaged == []
    assert await house.send(sent(3, series=1, Rows=160, Columns=200, PixelData=PIXELS)) == (
        "already-stored",
        "",
    )
    await settle_all(house.store)
    await GivingBack(house.store, SystemClock()).look()
    assert answers(house.store) == before
    tables = all_tables(house.store)
    house.store.close()
    rebuild_index(folder)
    house.store = make_store(folder, SystemClock())
    house.store.start()
    assert answers(house.store) == before
    assert all_tables(house.store) == tables


NEVER_REACHED = {("before-rename", 3), ("after-rename", 3)}
"""Two series are two renames."""


async def test_a_torn_settled_record_leaves_the_series_in_the_journal(house: House) -> None:
    await filled(house)
    before = answers(house.store)
    await settle_all(house.store)
    end = house.store.journal.end
    path = house.store.journal.path(end.segment)
    folder = house.store.folder
    house.store.close()
    os.truncate(path, end.offset - 7)
    forget_index(folder)
    house.store = make_store(folder, SystemClock())
    house.store.start()
    assert house.rows("SELECT COUNT(*) FROM series_object") == [(1,)]
    assert answers(house.store) == before
    await settle_all(house.store)
    assert house.rows("SELECT COUNT(*) FROM series_object") == [(2,)]
    assert answers(house.store) == before


@pytest.mark.parametrize("problem", [errno.EIO, errno.ENOSPC])
async def test_a_disk_that_refuses_a_sync_settles_nothing_and_harms_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch, problem: int
) -> None:
    await filled(house)
    before = answers(house.store)
    real = os.fsync

    def refused(descriptor: int) -> None:
        raise OSError(problem, os.strerror(problem))

    monkeypatch.setattr(series_objects.os, "fsync", refused)
    settling = Settling(house.store, SystemClock(), quiet_s=0.0001)
    assert await settling.look() == 0
    monkeypatch.setattr(series_objects.os, "fsync", real)
    assert not list((house.store.folder / "objects").rglob("*.*"))
    assert answers(house.store) == before
    assert house.store.healthy
    assert await settling.look() == 0
    monkeypatch.setattr(limits, "SETTLE_AGAIN_S", 0.0)
    assert await Settling(house.store, SystemClock(), quiet_s=0.0001).look() == 2
    assert answers(house.store) == before


async def test_a_disk_that_fills_up_while_settling_leaves_no_half_object(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(house)
    before = answers(house.store)
    real = series_objects.NewVersion._write

    def full(self: Any, data: bytes) -> None:
        if self.size > 150_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(self, data)

    monkeypatch.setattr(series_objects.NewVersion, "_write", full)
    assert await Settling(house.store, SystemClock(), quiet_s=0.0001).look() == 0
    monkeypatch.undo()
    assert not list((house.store.folder / "objects").rglob("*.*"))
    assert answers(house.store) == before
    assert await house.send(sent(77, series=1)) == ("stored", "")


async def test_a_nearly_full_disk_is_left_to_intake(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await filled(house)
    monkeypatch.setattr(type(house.store), "free_bytes", lambda self: 2 * limits.DISK_RESERVE_BYTES)
    assert await Settling(house.store, SystemClock(), quiet_s=0.0001).look() == 0


async def test_a_damaged_instance_is_never_settled_as_good(house: House) -> None:
    await filled(house)
    [(segment, offset)] = house.rows("SELECT segment, body_offset FROM instance WHERE sop_uid = '2.25.7003'")
    with house.store.journal.path(segment).open("r+b") as file:  # type: ignore[arg-type]
        file.seek(offset + 400)  # type: ignore[operator]
        file.write(b"\xee\xdd\xcc")
    assert await Settling(house.store, SystemClock(), quiet_s=0.0001).look() == 1
    assert house.rows("SELECT COUNT(*) FROM instance") == [(5,)]
    with pytest.raises(DamagedData):
        await Settling(house.store, SystemClock()).settle(2)


async def test_an_object_that_reads_back_otherwise_than_written_is_not_used(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(house)
    before = answers(house.store)
    real = series_objects.NewVersion._write

    def rotting(self: Any, data: bytes) -> None:
        real(self, data if self.size else data[:-1] + b"\x00")

    monkeypatch.setattr(series_objects.NewVersion, "_write", rotting)
    assert await Settling(house.store, SystemClock(), quiet_s=0.0001).look() == 0
    monkeypatch.undo()
    assert not list((house.store.folder / "objects").rglob("*.*"))
    assert answers(house.store) == before
