"""What is acknowledged is on the disk first, seen in the system calls; and a disk that fails to sync is believed."""

import hashlib
import http.client
import os
import random
import socket
import threading
from pathlib import Path

import pytest

from bench import objects
from bench.dimse_load import Association, Refused, message
from bench.stow_load import body
from tests.faults.test_kill import TOKEN, WAITS_FOR_ANY_DISK, Ledger, check, lost_reports, oru
from tests.faults.test_stop import Ports
from tests.faults.tracing import events, sent_before_synced, traced

pytestmark = pytest.mark.slow
TRACED = "trace=pwrite64,pwritev,pwritev2,fdatasync,sendto,sendmsg,write,writev"
EACH = int(os.environ.get("SAMSYN_TRACED", "40"))
"""Acknowledgements of each of five senders."""
SHAPE = objects.Shape(objects.MR_IMAGE, "MR", 16, 16, 200)


class Sender:
    """The four ways in, by raw sockets."""

    def __init__(self, ports: Ports, ledger: Ledger) -> None:
        self.ports, self.ledger = ports, ledger
        self.marks: dict[str, str] = {}
        self.refused = 0

    def store(self, seed: int) -> None:
        """C-STORE until the first refusal."""
        source = random.Random(seed)
        study = objects.study(source, seed, 3)
        where = {"host": "127.0.0.1", "port": self.ports.dicom, "called": "SAMSYN", "calling": "BENCH"}
        association = Association(where, [SHAPE.sop_class], objects.EXPLICIT_LITTLE)
        for number, instance in enumerate(objects.instances(source, SHAPE, study, EACH), 1):
            self.marks[instance.sop_uid] = f"C-STORE {seed}.{number}"
            try:
                association.store(message(instance, number, 1, association.pdu_bytes))
            except Refused:
                self.refused += 1
                return
            digest = hashlib.sha256(instance.data).hexdigest()
            self.ledger.stored(study.study_uid, instance.sop_uid, digest)
        association.release()

    def stow(self, seed: int) -> None:
        """STOW-RS, one instance a request, until the first refusal."""
        source = random.Random(seed)
        study = objects.study(source, seed, 4)
        connection = http.client.HTTPConnection("127.0.0.1", self.ports.http, timeout=60)
        kind = 'multipart/related; type="application/dicom"; boundary=bench-9f2c41'
        headers = {"Content-Type": kind, "Authorization": f"Bearer {TOKEN}"}
        for number, instance in enumerate(objects.instances(source, SHAPE, study, EACH), 1):
            self.marks[instance.sop_uid] = f"STOW {seed}.{number}"
            connection.request("POST", "/dicomweb/studies", body([instance.file()]), headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                self.refused += 1
                return
            digest = hashlib.sha256(instance.data).hexdigest()
            self.ledger.stored(study.study_uid, instance.sop_uid, digest)
        connection.close()

    def report(self, seed: int) -> None:
        """HL7 reports until the first that is not taken."""
        with socket.create_connection(("127.0.0.1", self.ports.mllp), timeout=60) as connection:
            for number in range(EACH):
                control, accession = f"CTRL{seed}N{number:05d}", f"T{seed}N{number:05d}"
                text = f"Utlåtande {seed}-{number}"
                self.marks[control] = f"HL7 {seed}.{number}"
                connection.sendall(b"\x0b" + oru(control, accession, text) + b"\x1c\r")
                answer = b""
                while not answer.endswith(b"\x1c\r"):
                    answer += connection.recv(4096)
                if b"MSA|AA|" not in answer:
                    self.refused += 1
                    return
                self.ledger.answered(accession, text)

    def all_at_once(self) -> None:
        """Two modalities, two web senders and a RIS together."""
        ways = [(self.store, 1), (self.store, 2), (self.stow, 3), (self.stow, 4), (self.report, 5)]
        threads = [threading.Thread(target=way, args=(seed,)) for way, seed in ways]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
            assert not thread.is_alive()


def test_every_acknowledgement_leaves_after_the_sync_that_covers_its_record(tmp_path: Path) -> None:
    ports, trace = Ports(tmp_path), tmp_path / "trace"
    running = ports.start()
    sender = Sender(ports, Ledger())
    try:
        with traced(running.process.pid, trace, "-e", TRACED):
            sender.all_at_once()
        assert running.stop() == 0
    finally:
        running.kill()
    assert sender.refused == 0
    assert len(sender.marks) == 5 * EACH
    text = trace.read_text()
    assert sent_before_synced(text, sender.marks) == []
    syncs = text.count("fdatasync(")
    print(
        f"{len(sender.marks)} acknowledgements by C-STORE, STOW-RS and HL7, {syncs} syncs: 0 left before theirs"
    )


def test_a_lone_sender_is_answered_by_the_thread_that_synced_and_not_before(tmp_path: Path) -> None:
    ports, trace = Ports(tmp_path), tmp_path / "trace"
    running = ports.start(WAITS_FOR_ANY_DISK)
    sender = Sender(ports, Ledger())
    try:
        with traced(running.process.pid, trace, "-e", TRACED):
            sender.store(1)
        assert running.stop() == 0
    finally:
        running.kill()
    assert sender.refused == 0
    text = trace.read_text()
    assert sent_before_synced(text, sender.marks) == []
    syncs = [each.thread for each in events(text) if each.call == "fdatasync" and each.has_ended]
    at_once = syncs.count(running.process.pid)
    print(
        f"{len(sender.marks)} acknowledgements to a lone sender, {at_once} of them by the thread that synced"
    )
    assert at_once > EACH / 2


@pytest.mark.parametrize(
    ("order", "is_right"),
    [
        ("write sync send", True),
        ("write begin-sync end-sync send", True),
        ("write send sync", False),
        ("write begin-sync send end-sync", False),
        ("begin-sync write end-sync send", False),
        ("write failed-sync send", False),
        ("sync send", False),
    ],
)
def test_a_trace_in_which_the_sync_comes_late_is_told(order: str, is_right: bool) -> None:
    lines = {
        "write": '7  pwritev(5</d/journal/1>, [{iov_base="AB", iov_len=2}], 1, 0) = 2',
        "sync": "7  fdatasync(5</d/journal/1>) = 0",
        "failed-sync": "7  fdatasync(5</d/journal/1>) = -1 EIO (Input/output error)",
        "begin-sync": "8  fdatasync(5</d/journal/1> <unfinished ...>",
        "end-sync": "8  <... fdatasync resumed>) = 0",
        "send": '9  sendto(6<TCP:[127.0.0.1:1->127.0.0.1:2]>, "\\0AB", 3, 0, NULL, 0) = 3',
    }
    trace = "\n".join(lines[word] for word in order.split())
    assert (sent_before_synced(trace, {"AB": "it"}) == []) is is_right


def test_a_disk_that_fails_to_sync_ends_all_taking_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    ports, ledger = Ports(tmp_path), Ledger()
    running = ports.start()
    sender = Sender(ports, ledger)
    failing = ("-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=12+")
    try:
        with traced(running.process.pid, tmp_path / "trace", *failing):
            sender.all_at_once()
        # The disk works again, but nobody knows what it has kept: everything is refused until a restart.
        assert sender.refused == 5
        again = Sender(ports, Ledger())
        again.all_at_once()
        assert again.refused == 5
        assert again.ledger.instances == {}
    finally:
        running.kill()
    running = ports.start()
    try:
        lost = check(ports.base, ledger, set(ledger.instances)), lost_reports(ports.base, ledger)
        Sender(ports, Ledger()).store(9)
        assert running.stop() == 0
    finally:
        running.kill()
    taken = sum(map(len, ledger.instances.values()))
    print(
        f"a sync failed after {taken} instances and {len(ledger.reports)} messages: {lost[0]} and {lost[1]} lost"
    )
    assert taken > 0
    assert lost == (0, 0)
