"""A full disk: intake refuses in time and in each protocol's words, everything else goes on, and so does intake later.

The data folder lies on a small filesystem of its own (tmpfs, needs root), which a ballast file fills.
"""

import hashlib
import os
import random
import re
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bench import objects
from bench.dimse_load import Association, message
from samsyn import limits
from samsyn.dicom.part10 import file_preamble_and_meta
from tests.faults.test_kill import CONFIG, TOKEN, Ledger, hashes_of_study, lost_reports, oru
from tests.ports import free_ports
from tests.scratch import Running, start_with_config

pytestmark = pytest.mark.slow

DISK_BYTES = 400 * limits.MIB
SUCCESS, OUT_OF_RESOURCES = 0x0000, 0xA700


class Sender(Association):
    """An association that tells the status of each C-STORE."""

    def status(self, request: bytes) -> int:
        self._socket.sendall(request)
        _, content = self._pdu()
        place = content.find(b"\x00\x00\x00\x09\x02\x00\x00\x00")
        return int(struct.unpack_from("<H", content, place + 8)[0])


class House:
    """A server on its own small disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.disk = folder / "disk"
        self.dicom, self.port, self.mllp = free_ports(3)
        self.base = f"http://127.0.0.1:{self.port}"
        self.config = folder / "samsyn.toml"
        digest = hashlib.sha256(TOKEN.encode()).hexdigest()
        names = {"dicom": self.dicom, "http": self.port, "mllp": self.mllp, "digest": digest}
        self.config.write_text(CONFIG.format(folder=self.disk / "data", **names))
        self.ledger = Ledger()
        self.refused: list[tuple[str, str]] = []
        self.source = random.Random(7)
        self.running = self.start()
        headers = {"Authorization": f"Bearer {TOKEN}"}
        self.http = httpx.Client(base_url=self.base, headers=headers, timeout=60)

    def start(self) -> Running:
        return start_with_config(self.config, self.folder / "server.log", self.port)

    @property
    def free(self) -> int:
        facts = os.statvfs(self.disk)
        return facts.f_bavail * facts.f_frsize

    def leave(self, count: int) -> None:
        """Makes the ballast so large that `count` bytes are free."""
        ballast = self.disk / "ballast"
        ballast.unlink(missing_ok=True)
        time.sleep(0.2)  # the index ends its transaction some milliseconds behind the last answer
        if self.free > count:
            with ballast.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, self.free - count)

    def send(self, count: int, stop_at_refusal: bool = False) -> list[int]:
        """C-STORE of one new study; the statuses. What was acknowledged goes into the ledger."""
        study = objects.study(self.source, len(self.ledger.instances), 3)
        where = {"host": "127.0.0.1", "port": self.dicom, "called": "SAMSYN", "calling": "BENCH"}
        sender = Sender(where, [objects.MR_IMAGE], objects.EXPLICIT_LITTLE)
        statuses = []
        for number, instance in enumerate(objects.instances(self.source, objects.MR, study, count), 1):
            statuses.append(sender.status(message(instance, number, 1, sender.pdu_bytes)))
            if statuses[-1] == SUCCESS:
                self.ledger.stored(
                    study.study_uid, instance.sop_uid, hashlib.sha256(instance.data).hexdigest()
                )
            else:
                self.refused.append((study.study_uid, instance.sop_uid))
                if stop_at_refusal:
                    break
        sender.release()
        return statuses

    def stow(self) -> int:
        """STOW-RS of one new instance; the HTTP status."""
        study = objects.study(self.source, 900 + len(self.ledger.instances), 3)
        (instance,) = objects.instances(self.source, objects.MR, study, 1)
        head = file_preamble_and_meta(instance.sop_class, instance.sop_uid, objects.EXPLICIT_LITTLE)
        body = b"--B\r\nContent-Type: application/dicom\r\n\r\n" + head + instance.data + b"\r\n--B--\r\n"
        kind = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=B'}
        answer = self.http.post("/dicomweb/studies", content=body, headers=kind)
        if answer.status_code == 200:
            self.ledger.stored(study.study_uid, instance.sop_uid, hashlib.sha256(instance.data).hexdigest())
        else:
            self.refused.append((study.study_uid, instance.sop_uid))
        return answer.status_code

    def report(self, accession: str) -> str:
        """One report over MLLP; MSA-1."""
        text = f"Utlåtande {accession}"
        with socket.create_connection(("127.0.0.1", self.mllp), 30) as connection:
            connection.sendall(b"\x0b" + oru(accession, accession, text) + b"\x1c\r")
            answer = b""
            while not answer.endswith(b"\x1c\r"):
                answer += connection.recv(4096)
        code = re.search(rb"MSA\|(\w\w)\|", answer)
        assert code
        if code[1] == b"AA":
            self.ledger.answered(accession, text)
        return code[1].decode()

    def figure(self, name: str) -> float:
        found = re.search(rf"^samsyn_{name} (\S+)$", self.http.get("/metrics").text, re.MULTILINE)
        assert found
        return float(found[1])

    def log_in(self) -> int:
        """The whole way of a browser through the demo identity provider; the status of the first page."""
        with httpx.Client(base_url=self.base, follow_redirects=True, timeout=60) as browser:
            page = browser.get("/login/start")
            request = re.search(r'name="request" value="([^"]+)"', page.text)
            assert request, page.text
            form = {"request": request[1], "persona": "physician"}
            back = browser.post("/demo-idp/choose", data=form)
            if 'name="assignment"' in back.text:
                chosen = re.search(r'name="assignment" value="([^"]+)"', back.text)
                assert chosen
                back = browser.post("/demo-idp/choose", data={**form, "assignment": chosen[1]})
            assert "samsyn-session" in browser.cookies, back.text
            return back.status_code

    def check_that_reading_goes_on(self) -> None:
        """Search, pictures, log-in and the audit entries that come before each."""
        before = self.figure("store_records_total")
        study, instances = next(
            (uid, known) for uid, known in reversed(self.ledger.instances.items()) if len(known) > 1
        )
        found = self.http.get("/dicomweb/studies", params={"StudyInstanceUID": study}).json()
        assert found[0]["00201208"]["Value"] == [len(instances)]
        rows = self.http.get(f"/dicomweb/studies/{study}/instances").json()
        assert {row["00080018"]["Value"][0] for row in rows} == set(instances)
        series = rows[0]["0020000E"]["Value"][0]
        for sop in list(instances)[:3]:
            path = f"/dicomweb/studies/{study}/series/{series}/instances/{sop}"
            picture = self.http.get(f"{path}/rendered", headers={"Accept": "image/jpeg"})
            assert picture.status_code == 200, picture.text
            assert picture.content.startswith(b"\xff\xd8")
            assert self.http.get(f"{path}/thumbnail").status_code == 200
        assert self.http.get(f"/dicomweb/studies/{study}/metadata").status_code == 200
        assert self.log_in() == 200
        assert self.figure("store_records_total") > before

    def check_that_nothing_refused_shows(self) -> None:
        for study, sop in self.refused:
            known = set(self.ledger.instances.get(study, {}))
            if not known:
                assert self.http.get(f"/dicomweb/studies/{study}/metadata").status_code == 404
                found = self.http.get("/dicomweb/studies", params={"StudyInstanceUID": study})
                assert found.status_code == 204 or found.json() == []
            else:
                rows = self.http.get(f"/dicomweb/studies/{study}/instances").json()
                assert {row["00080018"]["Value"][0] for row in rows} == known
                assert sop not in known

    def check_that_nothing_acknowledged_is_lost(self) -> None:
        for study, known in self.ledger.instances.items():
            assert hashes_of_study(self.base, study) == set(known.values())
        assert lost_reports(self.base, self.ledger) == 0


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0700", "samsyn-test", str(disk)]
    if os.getuid() != 0 or subprocess.run(mounting, capture_output=True).returncode != 0:
        pytest.skip("a small filesystem can not be mounted here (needs root)")
    made = None
    try:
        made = House(tmp_path)
        yield made
    finally:
        if made is not None:
            made.http.close()
            made.running.kill()
        subprocess.run(["umount", str(disk)], check=True)


def test_intake_stops_before_the_reserve_and_goes_on_when_there_is_room(house: House) -> None:
    assert house.send(5) == [SUCCESS] * 5
    assert house.report("F1") == "AA"

    house.leave(limits.DISK_RESERVE_BYTES + 4 * limits.MIB)
    statuses = house.send(100, stop_at_refusal=True)
    assert statuses[-1] == OUT_OF_RESOURCES
    assert set(statuses[:-1]) == {SUCCESS}
    assert house.free > limits.DISK_RESERVE_BYTES - 4 * limits.MIB

    for left in (limits.DISK_RESERVE_BYTES - limits.MIB, 24 * limits.MIB):
        house.leave(left)
        assert house.send(2) == [OUT_OF_RESOURCES] * 2
        assert house.stow() in (503, 507)
        assert house.report(f"F{left}") == "AE"
        not_ready = house.http.get("/health/ready")
        assert (not_ready.status_code, not_ready.json()["reasons"]) == (503, ["the disk is nearly full"])
        assert "\nsamsyn_ready 0.0\n" in house.http.get("/metrics").text
        assert house.http.get("/health/live").status_code == 200
        house.check_that_reading_goes_on()
        house.check_that_nothing_refused_shows()

    house.leave(limits.DISK_RESERVE_BYTES + 64 * limits.MIB)
    assert house.http.get("/health/ready").status_code == 200
    assert "\nsamsyn_ready 1.0\n" in house.http.get("/metrics").text
    assert house.send(3) == [SUCCESS] * 3
    assert house.stow() == 200
    assert house.report("F2") == "AA"
    house.check_that_nothing_refused_shows()
    house.check_that_nothing_acknowledged_is_lost()
    assert house.running.stop() == 0


def test_a_disk_without_any_room_refuses_everything_and_forgets_nothing(house: House) -> None:
    assert house.send(5) == [SUCCESS] * 5
    assert house.report("Z1") == "AA"
    house.leave(0)
    assert house.send(2) == [OUT_OF_RESOURCES] * 2
    assert house.report("Z2") == "AE"
    # What can not be audited is not shown: a new search is refused, not answered and forgotten.
    (study,) = house.ledger.instances
    for _ in range(20):
        assert house.http.get(f"/dicomweb/studies/{study}/metadata").status_code >= 500
    assert house.http.get("/health/ready").status_code == 503
    assert house.http.get("/health/live").status_code == 200

    house.leave(limits.DISK_RESERVE_BYTES + 64 * limits.MIB)
    assert house.http.get("/health/ready").status_code == 200
    assert house.send(2) == [SUCCESS] * 2
    assert house.report("Z3") == "AA"
    house.check_that_reading_goes_on()
    house.check_that_nothing_acknowledged_is_lost()
    house.check_that_nothing_refused_shows()

    assert house.running.stop() == 0
    house.running = house.start()
    house.check_that_nothing_acknowledged_is_lost()
    house.check_that_nothing_refused_shows()
    assert house.running.stop() == 0
