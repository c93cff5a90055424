"""`samsyn serve` as a process: one per data folder, readable refusals, health and metrics without persons."""

import os
import re
import socket
from pathlib import Path

import httpx
import pytest

from tests.cli.commands import samsyn, settings_file
from tests.fhir.house import TOLVAN, send, store, texts
from tests.ports import free_ports
from tests.scratch import Running, start_with_config

pytestmark = pytest.mark.slow


def children_of(pid: int) -> set[str]:
    """Processes whose parent is `pid`."""
    found = set()
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "stat").read_text().rpartition(")")[2].split()[1] == str(
                pid
            ):
                found.add(entry.name)
        except OSError:
            continue
    return found


def test_a_second_process_on_the_same_data_is_refused_in_one_line(tmp_path: Path) -> None:
    dicom, http, mllp = free_ports(3)
    running = start_with_config(settings_file(tmp_path, (dicom, http, mllp)), tmp_path / "log", http)
    try:
        other = tmp_path / "other"
        other.mkdir()
        file = settings_file(other, data="../data")
        ended = samsyn("serve", "--config", file)
        assert ended.returncode == 2
        assert ended.stderr.splitlines() == [
            f"samsyn: another process uses the data folder {other / '../data'}: stop it first, or choose another folder"
        ]
        verified = samsyn("audit", "verify", "--config", file)
        assert verified.returncode == 0
        assert httpx.get(f"http://127.0.0.1:{http}/health/ready").status_code == 200
        assert running.stop() == 0
    finally:
        running.kill()


def test_a_start_tells_what_starts_have_kept_aside_of_the_journal(tmp_path: Path) -> None:
    dicom, http, mllp = free_ports(3)
    kept = tmp_path / "data/journal/00000001-12345.cut-off"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"x" * 77)
    running = start_with_config(settings_file(tmp_path, (dicom, http, mllp)), tmp_path / "log", http)
    try:
        told = [line for line in (tmp_path / "log").read_text().splitlines() if "journal-kept-aside" in line]
        assert len(told) == 1 and '"warning"' in told[0] and '"count": 1' in told[0]
        assert "\nsamsyn_store_cut_off_files 1.0\n" in httpx.get(f"http://127.0.0.1:{http}/metrics").text
        kept.unlink()
        assert "\nsamsyn_store_cut_off_files 0.0\n" in httpx.get(f"http://127.0.0.1:{http}/metrics").text
        assert running.stop() == 0
    finally:
        running.kill()


@pytest.mark.parametrize("door", [0, 1, 2])
def test_a_taken_port_is_said_in_one_line_and_leaves_no_process(door: int, tmp_path: Path) -> None:
    before = children_of(1) | children_of(os.getpid())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = tuple(port if place == door else 0 for place in range(3))
        ended = samsyn("serve", "--config", settings_file(tmp_path, ports))  # type: ignore[arg-type]
    assert ended.returncode == 2
    told = [line for line in ended.stderr.splitlines() if not line.startswith("{")]
    assert len(told) == 1
    assert str(port) in told[0]
    assert "address already in use" in told[0].lower()
    left = [pid for pid in (children_of(1) | children_of(os.getpid())) - before if is_ours(pid, tmp_path)]
    assert left == []


def is_ours(pid: str, folder: Path) -> bool:
    """Whether a process has a file open below the folder or is a decoding child of this tree."""
    try:
        return b"samsyn" in (Path("/proc") / pid / "cmdline").read_bytes()
    except OSError:
        return False


def test_a_folder_that_can_not_be_made_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    ended = samsyn("serve", "--config", settings_file(tmp_path))
    assert ended.returncode == 2
    (told,) = ended.stderr.splitlines()
    assert str(tmp_path / "data") in told


def test_the_data_folder_is_private(tmp_path: Path) -> None:
    dicom, http, mllp = free_ports(3)
    running = start_with_config(settings_file(tmp_path, (dicom, http, mllp)), tmp_path / "log", http)
    try:
        open_to_others = [
            path
            for path in (tmp_path / "data", *(tmp_path / "data").rglob("*"))
            if path.stat().st_mode & 0o077
        ]
        assert open_to_others == []
        assert running.stop() == 0
    finally:
        running.kill()


@pytest.fixture(scope="module")
def house(scratch: Running) -> Running:
    """A server that has taken images and texts of a person."""
    store(scratch, "NORDCT", TOLVAN, "NORD1")
    send(scratch.mllp_port, *texts("NORDRIS", "NORD1", "Inga tecken till pneumoni."))
    return scratch


@pytest.mark.parametrize("page", ["/health/live", "/health/ready", "/metrics"])
def test_health_and_metrics_answer_anybody_and_name_nobody(house: Running, page: str) -> None:
    answer = httpx.get(house.http + page)
    assert answer.status_code == 200
    for secret in (TOLVAN, TOLVAN[2:], "Tolvan", "NORD1", "SE999", "2.25.", house.system_token("NORDWEB")):
        assert secret not in answer.text


def test_metrics_tell_what_was_taken(house: Running) -> None:
    text = httpx.get(f"{house.http}/metrics").text
    figures = dict(re.findall(r"^(samsyn_\w+) ([0-9.e+]+)$", text, re.MULTILINE))
    assert float(figures["samsyn_instances_stored_total"]) == 3
    assert float(figures["samsyn_messages_stored_total"]) == 2
    assert float(figures["samsyn_store_free_bytes"]) > 0


def test_the_operations_log_names_nobody(tmp_path: Path) -> None:
    dicom, http, mllp = free_ports(3)
    running = start_with_config(settings_file(tmp_path, (dicom, http, mllp)), tmp_path / "log", http)
    try:
        send(mllp, *texts("NORDRIS", "NORD1", "Inga tecken till pneumoni."))
        for path in (
            f"/fhir/Patient?identifier={TOLVAN}",
            f"/dicomweb/studies?PatientID={TOLVAN}",
            f"/{TOLVAN}",
        ):
            httpx.get(f"http://127.0.0.1:{http}{path}", headers={"Authorization": "Bearer none"})
        assert running.stop() == 0
    finally:
        running.kill()
    log = (tmp_path / "log").read_text()
    assert TOLVAN not in log
    assert "Tolvan" not in log
