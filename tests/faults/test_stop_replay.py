"""A process that is told to end while it makes the index anew ends then and not hours later; the next start goes on, or
begins again, as after a crash."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from samsyn.clock import SystemClock
from tests.cli.commands import settings_file
from tests.indexes import make_store, sqlite_only
from tests.ingest.test_receive import House
from tests.ports import free_ports
from tests.scratch import ROOT, environment
from tests.store.test_settling import answers, sent
from tests.waiting import PATIENCE_S

pytestmark = [pytest.mark.slow, sqlite_only]

RECORDS = 300
SLOWLY = """
import time
from samsyn.store import replay
real = replay.apply
replay._COMMIT_EVERY = 10
def apply(batch, record):
    until = time.monotonic() + 0.1
    while time.monotonic() < until:
        pass
    real(batch, record)
replay.apply = apply
from samsyn.cli.main import main
raise SystemExit(main())
"""
"""Half a minute for the records of these tests."""
OTHER = b"that of another version"


@contextmanager
def running(*words: str | Path) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-c", SLOWLY, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(),
        cwd=ROOT,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def filled(folder: Path) -> list[object]:
    """A closed store with some records; what it answers."""
    house = House(folder)
    for number in range(RECORDS):
        assert await house.send(sent(number)) == ("stored", "")
    found = answers(house.store)
    house.store.close()
    return found


def until_there(path: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def answers_after_a_start(folder: Path) -> tuple[list[object], int]:
    store = make_store(folder, SystemClock())
    store.start()
    try:
        return answers(store), store.replayed
    finally:
        store.close()


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
async def test_a_start_that_makes_the_index_anew_is_left_off(tmp_path: Path, name: signal.Signals) -> None:
    data = tmp_path / "data"
    before = await filled(data)
    (data / "index.sqlite").write_bytes(OTHER)
    with running("serve", "--config", settings_file(tmp_path, free_ports(3))) as process:
        until_there(data / "index.sqlite.new")
        process.send_signal(name)
        told, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0
    assert '"event": "stopped-while-starting"' in told
    assert "Traceback" not in told
    assert (data / "index.sqlite").read_bytes() == OTHER  # it was not made to its end
    assert not list(data.glob("index.sqlite.new*"))
    assert answers_after_a_start(data) == (before, RECORDS)


async def test_a_start_that_catches_up_is_left_off_and_the_next_one_goes_on(tmp_path: Path) -> None:
    data = tmp_path / "data"
    before = await filled(data)
    for each in data.glob("index.sqlite*"):
        each.unlink()
    with running("serve", "--config", settings_file(tmp_path, free_ports(3))) as process:
        assert process.stdout is not None
        while "journal-is-replayed" not in process.stdout.readline():
            assert process.poll() is None
        process.terminate()
        told, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0
    assert "stopped-while-starting" in told
    found, replayed = answers_after_a_start(data)
    assert found == before
    assert 0 < replayed < RECORDS


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
async def test_a_rebuild_is_left_off_and_the_index_is_what_it_was(
    tmp_path: Path, name: signal.Signals
) -> None:
    data = tmp_path / "data"
    before = await filled(data)
    index = (data / "index.sqlite").read_bytes()
    with running("index", "rebuild", "--config", settings_file(tmp_path)) as process:
        until_there(data / "index.sqlite.new")
        process.send_signal(name)
        told, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 128 + name
    assert "the index is what it was before" in told
    assert (data / "index.sqlite").read_bytes() == index
    assert not list(data.glob("index.sqlite.new*"))
    assert answers_after_a_start(data) == (before, 0)


async def test_what_a_killed_rebuild_leaves_is_taken_away_by_the_next_start(tmp_path: Path) -> None:
    data = tmp_path / "data"
    before = await filled(data)
    with running("index", "rebuild", "--config", settings_file(tmp_path)):
        until_there(data / "index.sqlite.new")
    assert (data / "index.sqlite.new").exists()
    # Which of them a killed process leaves depends on the moment; each would be played into the next file of the name.
    for end in ("-wal", "-shm", "-journal"):
        (data / f"index.sqlite.new{end}").write_bytes(OTHER)
    assert answers_after_a_start(data) == (before, 0)
    assert not list(data.glob("index.sqlite.new*"))
