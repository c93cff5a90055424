"""The region plays against a real server, whole for a few people: everything is acknowledged and nothing is held."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from samsyn_demo import orthanc
from samsyn_demo.history import Stage, history
from samsyn_demo.instances.studies import count
from samsyn_demo.people import BY_KEY, SLL_RESERVNUMMER
from samsyn_demo.region import Ports, settings_toml
from samsyn_demo.senders.options import today
from tests.ports import free_ports
from tests.scratch import Running, environment, start_with_config
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.slow

PEOPLE = ("byter", "bergstrom")
"""One whose reserve number becomes a personnummer, and one with mammograms and a real liver."""
TOKENS = {"solsidan-stow": "a-token-of-the-breast-centre"}


@dataclass
class Region:
    """A server set up for the region."""

    server: Running
    ports: Ports
    folder: Path

    def command(self, *more: str) -> list[str]:
        return [
            *(sys.executable, "-m", "samsyn_demo.play"),
            *("--dicom-port", str(self.ports.dicom), "--http-port", str(self.ports.http)),
            *("--mllp-port", str(self.ports.mllp), "--local-pacs-port", str(self.ports.local_pacs)),
            *("--folder", str(self.folder / "region"), "--people", ",".join(PEOPLE)),
            *more,
        ]

    def start(self, *more: str, tokens: dict[str, str] | None = None) -> "subprocess.Popen[str]":
        told = json.dumps(TOKENS if tokens is None else tokens)
        return subprocess.Popen(
            self.command(*more),
            stdout=subprocess.PIPE,
            text=True,
            env={**environment(), "SAMSYN_DEMO_TOKENS": told},
        )

    def counted(self) -> dict[str, int]:
        text = httpx.get(f"http://127.0.0.1:{self.ports.http}/metrics", trust_env=False).text
        return {
            name: int(float(value)) for name, value in re.findall(r"^samsyn_(\w+)_total (\S+)$", text, re.M)
        }


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    folder = Path(tmp_path_factory.mktemp("play"))
    ports = Ports(*free_ports(4))
    config = folder / "samsyn.toml"
    config.write_text(settings_toml(str(folder / "data"), ports, TOKENS), encoding="utf-8")
    server = start_with_config(config, folder / "server.log", ports.http)
    try:
        yield Region(server, ports, folder)
        assert server.stop() == 0
    finally:
        server.kill()


def lines(process: "subprocess.Popen[str]") -> Iterator[dict[str, Any]]:
    assert process.stdout is not None
    for line in process.stdout:
        yield json.loads(line)


def ended(process: "subprocess.Popen[str]") -> int:
    try:
        return process.wait(30)
    finally:
        if process.poll() is None:
            process.kill()
        assert process.stdout is not None
        process.stdout.close()


def alive(folder: Path) -> list[str]:
    """Processes that were started with this folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().decode().split("\0")
            except OSError:
                continue
            if any(word.startswith(str(folder / "region")) for word in words):
                found.append(" ".join(words))
    return found


def test_everything_is_acknowledged_nothing_is_held_and_the_play_ends(region: Region) -> None:
    process = region.start()
    told = list(lines(process))
    assert ended(process) == 0
    assert all(progress["text"] for progress in told)
    wanted = [each for each in history(today()) if each.person.key in PEOPLE]
    loaded = told[-1]
    assert loaded["loaded"] is True
    assert loaded["objects"] == sum(map(count, wanted)) > 20
    assert loaded["remarks"] == 0
    final = {progress["provider"]: progress for progress in told if progress.get("finished")}
    assert set(final) == {"nord", "klara", "solsidan", "linden"}
    assert all(progress["done"] == progress["of"] for progress in final.values())
    counted = region.counted()
    assert counted["instances_stored"] == loaded["objects"]
    assert counted["messages_stored"] == loaded["messages"]
    assert counted["instances_held"] == counted["messages_held"] == 0
    assert list((region.folder / "region").rglob("*.dcm")) == []
    if orthanc.program() is not None:
        assert any(progress.get("proved") for progress in told)
    assert alive(region.folder) == []


def test_a_second_play_changes_nothing_and_stays_until_it_is_told_to_end(region: Region) -> None:
    before = region.counted()
    process = region.start("--stay")
    loaded = next(progress for progress in lines(process) if progress.get("loaded"))
    after = region.counted()
    for name in ("instances_stored", "messages_stored", "instances_held", "messages_held"):
        assert after[name] == before[name]
    assert after["messages_repeated"] == loaded["messages"]
    assert process.poll() is None
    assert len(alive(region.folder)) > 1 or orthanc.program() is None
    process.send_signal(signal.SIGTERM)
    ended(process)
    assert alive(region.folder) == []


def test_a_refusal_ends_the_play_and_says_what_without_patient_data(region: Region) -> None:
    process = region.start(tokens={"solsidan-stow": "wrong"})
    told = list(lines(process))
    assert ended(process) == 1
    (failure,) = [progress for progress in told if progress.get("failed")]
    assert "HTTP 401" in failure["text"]
    everything = json.dumps(told, ensure_ascii=False)
    for key in PEOPLE:
        assert BY_KEY[key].family not in everything
        assert BY_KEY[key].number not in everything
    assert alive(region.folder) == []


def test_told_to_end_while_it_sends_it_leaves_no_process_behind(region: Region) -> None:
    process = region.start("--stay")
    assert any(progress.get("done") for progress in lines(process))
    process.send_signal(signal.SIGTERM)
    assert ended(process) == 128 + signal.SIGTERM
    assert alive(region.folder) == []


def test_killed_outright_it_takes_its_processes_along(region: Region) -> None:
    process = region.start("--stay")
    assert any(progress.get("done") for progress in lines(process))
    process.kill()
    ended(process)
    deadline = time.monotonic() + PATIENCE_S
    while alive(region.folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert alive(region.folder) == []


@pytest.mark.skipif(orthanc.program() is None, reason="needs Debian's Orthanc")
def test_the_local_pacs_listens_for_known_systems_of_this_machine_only(region: Region) -> None:
    settings = json.loads((region.folder / "region" / "orthanc" / "orthanc.json").read_text())
    assert settings["DicomAet"] == "NORDPACS"
    assert settings["DicomPort"] == region.ports.local_pacs
    assert settings["RemoteAccessAllowed"] is False
    assert settings["DicomCheckModalityHost"] is True
    assert settings["DicomAlwaysAllowStore"] is False
    assert settings["DicomModalities"]["samsyn"]["Host"] == "127.0.0.1"


def test_a_person_of_nobodys_acquaintance_is_an_error(region: Region) -> None:
    command = [*region.command(), "--people", "nobody"]
    found = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    assert found.returncode == 2
    assert "no such people" in found.stderr


def test_the_people_of_these_tests_are_what_is_said_of_them() -> None:
    mine = [each for each in history(today()) if each.person.key in PEOPLE]
    assert {each.provider.key for each in mine if each.images} == {"nord", "klara", "solsidan"}
    assert any(each.issuer == SLL_RESERVNUMMER and each.stage is Stage.PERFORMED for each in mine)
    assert os.environ.get("SAMSYN_DEMO_TOKENS") is None
