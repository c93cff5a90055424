"""SIGTERM under load: the process ends by itself within 30 s, exit code 0, and nothing acknowledged is lost."""

import hashlib
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from bench import objects
from bench.dimse_load import message
from tests.faults.test_kill import (
    CONFIG,
    TOKEN,
    Ledger,
    associated,
    check,
    lost_reports,
    oru,
    report_until_cut,
    store_until_cut,
)
from tests.ports import free_ports
from tests.scratch import Running, start_with_config

pytestmark = pytest.mark.slow

CYCLES = int(os.environ.get("SAMSYN_STOP_CYCLES", "3"))
MOST_S = 30.0


class Ports:
    """Three free ports and the settings file that names them."""

    def __init__(self, folder: Path) -> None:
        self.dicom, self.http, self.mllp = free_ports(3)
        self.base = f"http://127.0.0.1:{self.http}"
        self.config = folder / "samsyn.toml"
        self.log = folder / "server.log"
        digest = hashlib.sha256(TOKEN.encode()).hexdigest()
        names = {"dicom": self.dicom, "http": self.http, "mllp": self.mllp, "digest": digest}
        self.config.write_text(CONFIG.format(folder=folder / "data", **names))

    def start(self, first: str = "") -> Running:
        return start_with_config(self.config, self.log, self.http, first)


def ended(running: Running) -> tuple[int, float]:
    """Exit code after SIGTERM and the seconds that it took."""
    begun = time.monotonic()
    running.process.send_signal(signal.SIGTERM)
    try:
        return running.process.wait(MOST_S), time.monotonic() - begun
    finally:
        running.kill()


@contextmanager
def senders(ports: Ports, cycle: int, source: random.Random, ledger: Ledger) -> Iterator[None]:
    """Three modalities and a RIS that send until they are cut off."""
    stop = threading.Event()
    threads = [
        threading.Thread(
            target=store_until_cut,
            args=(ports.dicom, random.Random(source.random()), cycle * 10 + index, ledger, stop),
        )
        for index in range(3)
    ]
    threads.append(threading.Thread(target=report_until_cut, args=(ports.mllp, cycle, ledger, stop)))
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()


def test_nothing_acknowledged_is_lost_when_the_server_is_told_to_stop_under_load(tmp_path: Path) -> None:
    ports, ledger, source, slowest = Ports(tmp_path), Ledger(), random.Random(20261122), 0.0
    for cycle in range(CYCLES):
        running = ports.start()
        begun = ledger.counts()
        with senders(ports, cycle, source, ledger):
            ledger.until(begun, 25, 10)
            time.sleep(source.uniform(0.5, 1.5))
            code, seconds = ended(running)
        assert code == 0
        slowest = max(slowest, seconds)
    running = ports.start()
    try:
        lost = check(ports.base, ledger, set(ledger.instances)), lost_reports(ports.base, ledger)
        assert ended(running)[0] == 0
    finally:
        running.kill()
    acknowledged = sum(len(study) for study in ledger.instances.values())
    print(
        f"{CYCLES} stops under load: {acknowledged} instances and {len(ledger.reports)} messages acknowledged,"
        f" {lost[0]} and {lost[1]} lost; slowest stop {slowest:.1f} s"
    )
    assert acknowledged > CYCLES * 20
    assert len(ledger.reports) > CYCLES * 5
    assert lost == (0, 0)


def test_peers_that_never_end_do_not_keep_the_server_from_ending(tmp_path: Path) -> None:
    ports, source = Ports(tmp_path), random.Random(5)
    running = ports.start()
    try:
        with ExitStack() as opened:
            hold_open(ports, opened, source)
            code, seconds = ended(running)
    finally:
        running.kill()
    print(f"with idle, half-sending and never-reading peers: stopped in {seconds:.1f} s")
    assert code == 0
    assert seconds < MOST_S


def hold_open(ports: Ports, opened: ExitStack, source: random.Random) -> None:
    """One peer of each kind that gives a server no reason to end: idle, half-way, and not reading."""

    def connect(port: int) -> socket.socket:
        return opened.enter_context(socket.create_connection(("127.0.0.1", port), 10))

    shape = objects.Shape(objects.CT_IMAGE, "CT", 1024, 1024, 0)
    study = objects.study(source, 1, 1)
    sender = associated(ports.dicom, shape.sop_class)
    opened.callback(sender._socket.close)
    for number, instance in enumerate(objects.instances(source, shape, study, 20), 1):
        sender.store(message(instance, number, 1, sender.pdu_bytes))
    half = associated(ports.dicom, shape.sop_class)
    opened.callback(half._socket.close)
    (instance,) = objects.instances(source, shape, objects.study(source, 2, 1), 1)
    half._socket.sendall(message(instance, 1, 1, half.pdu_bytes)[:500_000])
    connect(ports.dicom)
    connect(ports.mllp)
    connect(ports.mllp).sendall(b"\x0b" + oru("H1", "H1", "Halv")[:40])
    connect(ports.http)
    head = f"GET /dicomweb/studies/{study.study_uid} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
    accept = 'Accept: multipart/related; type="application/dicom"\r\n\r\n'
    reader = connect(ports.http)
    reader.sendall((head + accept).encode())
    assert reader.recv(1_000).startswith(b"HTTP/1.1 200")
    writer = connect(ports.http)
    writer.sendall(
        f"POST /dicomweb/studies HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 9999\r\n"
        'Content-Type: multipart/related; type="application/dicom"; boundary=B\r\n\r\n--B\r\n'.encode()
    )
    time.sleep(0.3)


def test_a_second_signal_changes_nothing(tmp_path: Path) -> None:
    running = Ports(tmp_path).start()
    try:
        running.process.send_signal(signal.SIGTERM)
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(MOST_S) == 0
    finally:
        running.kill()
    assert "Traceback" not in (tmp_path / "server.log").read_text()
