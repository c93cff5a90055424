"""A log file that is turned over while the server writes to it: what docs/operating.md promises, by a rename and a
signal, by copying and cutting off, and by logrotate with the lines of that page."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.commands import settings_file
from tests.ports import free_ports
from tests.scratch import ROOT, environment
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.slow

TURNS = 20
EACH = 10


class Told:
    """A server that writes a line of its log for each message that it is sent."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int) -> None:
        self.process = process
        self._port = port
        self.sent = 0

    def send(self, count: int) -> None:
        """Messages of a sender whom nobody knows; each is answered when its line is written."""
        with socket.create_connection(("127.0.0.1", self._port), PATIENCE_S) as connection:
            for _ in range(count):
                text = f"MSH|^~\\&|NOBODY|X|SAMSYN||20260101120000||Z{self.sent:05d}|{self.sent}|P|2.5\r"
                connection.sendall(b"\x0b" + text.encode() + b"\x1c\x0d")
                answer = b""
                while not answer.endswith(b"\x1c\x0d"):
                    piece = connection.recv(65_536)
                    assert piece
                    answer += piece
                self.sent += 1


@contextmanager
def a_server(folder: Path, stderr: int) -> Iterator[Told]:
    dicom, http, mllp = free_ports(3)
    process = subprocess.Popen(
        [sys.executable, "-m", "samsyn", "serve", "--config", settings_file(folder, (dicom, http, mllp))],
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        env=environment(),
        cwd=ROOT,
    )
    try:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", http), 1).close()
                socket.create_connection(("127.0.0.1", mllp), 1).close()
                break
            except OSError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield Told(process, mllp)
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()


def kinds(*files: Path) -> list[str]:
    """What the lines of the refused messages say that they were. Every line is whole."""
    found = []
    for file in files:
        text = file.read_text()
        assert "\0" not in text
        for line in text.splitlines():
            if line.startswith("{"):
                fields = json.loads(line)
                if fields["event"] == "hl7-refused":
                    found.append(fields["kind"])
            else:
                assert line.startswith(("There was no record", "Samsyn is ready")), line
    return found


def expected(count: int) -> list[str]:
    return [f"Z{number:05d}" for number in range(count)]


def until_there(file: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_file_that_is_renamed_loses_no_line_and_is_opened_anew_at_the_signal(tmp_path: Path) -> None:
    log = tmp_path / "samsyn.log"
    former = [tmp_path / f"samsyn.log.{turn:02d}" for turn in range(TURNS)]
    with log.open("wb") as stream, a_server(tmp_path, stream.fileno()) as server:
        for each in former:
            server.send(EACH)
            log.rename(each)
            server.send(EACH)  # it writes on in the renamed one
            server.process.send_signal(signal.SIGHUP)
            until_there(log)
        server.send(EACH)
    assert kinds(*former, log) == expected((2 * TURNS + 1) * EACH)
    assert kinds(log) == expected((2 * TURNS + 1) * EACH)[-EACH:]
    assert log.stat().st_mode & 0o077 == 0


def test_a_file_that_is_cut_off_goes_on_from_its_beginning_however_it_was_opened(tmp_path: Path) -> None:
    log, copies = tmp_path / "samsyn.log", [tmp_path / f"copy.{turn:02d}" for turn in range(TURNS)]
    with log.open("wb") as stream, a_server(tmp_path, stream.fileno()) as server:  # not opened to append
        for each in copies:
            server.send(EACH)
            shutil.copyfile(log, each)
            os.truncate(log, 0)
        server.send(EACH)
    assert kinds(*copies, log) == expected((TURNS + 1) * EACH)


def test_a_file_that_can_not_be_opened_anew_stays_in_use_and_says_so(tmp_path: Path) -> None:
    log, former = tmp_path / "logs" / "samsyn.log", tmp_path / "logs" / "samsyn.log.1"
    log.parent.mkdir()
    with log.open("ab") as stream, a_server(tmp_path, stream.fileno()) as server:
        server.send(EACH)
        log.rename(former)
        log.mkdir()
        server.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + PATIENCE_S
        while "log-not-opened-anew" not in former.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        server.send(EACH)
    assert kinds(former) == expected(2 * EACH)


def test_the_signal_ends_no_server_whose_log_is_no_file(tmp_path: Path) -> None:
    """As systemd's journal is none; without a handler it would end, and count as having ended cleanly."""
    reading, writing = os.pipe()
    with a_server(tmp_path, writing) as server:
        os.close(writing)
        server.process.send_signal(signal.SIGHUP)
        server.send(1)
    with os.fdopen(reading, "rb") as stream:
        assert b"hl7-refused" in stream.read()


@pytest.mark.skipif(shutil.which("logrotate") is None, reason="Debian's package logrotate is not installed")
@pytest.mark.parametrize("copies", [False, True])
def test_logrotate_turns_it_over_with_the_lines_of_the_docs(tmp_path: Path, copies: bool) -> None:
    page = (ROOT / "docs" / "operating.md").read_text()
    rules = re.search(r"^/var/log/samsyn/samsyn\.log \{\n.*?^\}$", page, re.MULTILINE | re.DOTALL)
    assert rules is not None
    log = tmp_path / "samsyn.log"
    with log.open("ab") as stream, a_server(tmp_path, stream.fileno()) as server:
        text = rules[0].replace("/var/log/samsyn/samsyn.log", str(log))
        text = text.replace("    su samsyn samsyn\n", "").replace("create 600 samsyn samsyn", "create 600")
        told, systemd = f"kill -HUP {server.process.pid}", r"systemctl kill .*"
        text = re.sub(systemd, told, text)
        assert told in text
        if copies:
            text = re.sub(r"    create.*?endscript\n", "    copytruncate\n", text, flags=re.DOTALL)
            assert "HUP" not in text
        file = tmp_path / "rules"
        file.write_text(text)
        file.chmod(0o600)
        tmp_path.chmod(0o700)
        for _ in range(3):
            server.send(EACH)
            subprocess.run(["logrotate", "-f", "-s", tmp_path / "state", file], check=True)
            server.send(EACH)
    for packed in tmp_path.glob("samsyn.log.*.gz"):
        subprocess.run(["gunzip", packed], check=True)
    former = sorted(tmp_path.glob("samsyn.log.*"), reverse=True)
    assert len(former) == 3
    assert kinds(*former, log) == expected(6 * EACH)
