"""kill -9 in mid-intake, again and again: what was acknowledged is there, byte for byte (DESIGN 2, promise 1).

Senders are raw sockets and know nothing of Samsyn's code. Each notes an acknowledgement only when the whole
response has arrived; everything else is unknown and may or may not be there.
"""

import contextlib
import hashlib
import json
import os
import random
import socket
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from bench import objects
from bench.dimse_load import Association, Refused, message
from samsyn_demo.people import PEOPLE, STORY, Person
from tests.ports import free_ports
from tests.scratch import Forked, Starter
from tests.waiting import PATIENCE_S

WAITS_FOR_ANY_DISK = "from samsyn.store import writer; writer._QUICK_S = 60.0"
"""So that who comes alone is answered by the loop's own thread, however busy the disk is."""
CYCLES = int(os.environ.get("SAMSYN_KILL_CYCLES", "50"))
SEED = int(os.environ.get("SAMSYN_SEED", "20261122"))
TOKEN = "kill-test-token-of-no-worth"
PERSONS = 36
"""Of the demo's people, those who live here and are alive."""
SHAPE = objects.Shape(objects.MR_IMAGE, "MR", 64, 64, 600)

CONFIG = """
[data]
folder = "{folder}"
[dicom]
port = {dicom}
[http]
port = {http}
[mllp]
port = {mllp}
[[provider]]
hsa_id = "SE9990000001-0001"
name = "Nordsjukhuset"
local_issuer = "2.25.9990000001.1"
[[provider.unit]]
hsa_id = "SE9990000001-1001"
name = "Röntgen"
[[provider.dicom_peer]]
ae_title = "BENCH"
[[provider.hl7_source]]
application = "NORDRIS"
[[provider.token]]
name = "checker"
sha256 = "{digest}"
"""


class Ledger:
    """What was acknowledged: instances by study with their hash, reports by accession."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.instances: dict[str, dict[str, str]] = {}
        self.reports: dict[str, str] = {}
        self.persons = {STORY.number}
        """Whom the reports are about: a history is read as a whole, so nobody has thousands."""

    def stored(self, study_uid: str, sop_uid: str, sha256: str) -> None:
        with self.lock:
            self.instances.setdefault(study_uid, {})[sop_uid] = sha256

    def answered(self, accession: str, text: str, number: str = STORY.number) -> None:
        with self.lock:
            self.reports[accession] = text
            self.persons.add(number)

    def counts(self) -> tuple[int, int]:
        """Instances and reports that were acknowledged so far."""
        with self.lock:
            return sum(len(study) for study in self.instances.values()), len(self.reports)

    def until(self, begun: tuple[int, int], instances: int, reports: int) -> None:
        """Waits until so many more were acknowledged since `begun`, however slow the machine is."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            now = self.counts()
            if now[0] - begun[0] >= instances and now[1] - begun[1] >= reports:
                return
            assert time.monotonic() < deadline, (begun, now)
            time.sleep(0.02)


def associated(port: int, sop_class: str) -> Association:
    """An association of the bench's sender for one class."""
    where = {"host": "127.0.0.1", "port": port, "called": "SAMSYN", "calling": "BENCH"}
    return Association(where, [sop_class], objects.EXPLICIT_LITTLE)


def store_until_cut(
    port: int, source: random.Random, index: int, ledger: Ledger, stop: threading.Event
) -> None:
    study = objects.study(source, index, index % 7)
    try:
        association = associated(port, SHAPE.sop_class)
        number = 0
        while not stop.is_set():
            for instance in objects.instances(source, SHAPE, study, 20):
                number += 1
                association.store(message(instance, number % 60_000 + 1, 1, association.pdu_bytes))
                ledger.stored(study.study_uid, instance.sop_uid, hashlib.sha256(instance.data).hexdigest())
            study = objects.study(source, index + number * 1_000, index % 7)
    except (Refused, OSError):
        return


def report_until_cut(port: int, cycle: int, ledger: Ledger, stop: threading.Event) -> None:
    person = PEOPLE[cycle % PERSONS]
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.settimeout(10)
            for number in range(10_000):
                if stop.is_set():
                    return
                accession, text = (
                    f"K{cycle:03d}{number:05d}",
                    f"Utlåtande {cycle}-{number}: inga förändringar.",
                )
                connection.sendall(b"\x0b" + oru(f"{cycle}-{number}", accession, text, person) + b"\x1c\r")
                answer = b""
                while not answer.endswith(b"\x1c\r"):
                    piece = connection.recv(4096)
                    if not piece:
                        return
                    answer += piece
                assert b"MSA|AA|" in answer, answer
                ledger.answered(accession, text, person.number)
    except OSError:
        return


def oru(control_id: str, accession: str, text: str, person: Person = STORY) -> bytes:
    segments = [
        f"MSH|^~\\&|NORDRIS|NORD|SAMSYN|REGION|20260301120000||ORU^R01^ORU_R01|{control_id}|P|2.5"
        "|||||SWE|UNICODE UTF-8",
        f"PID|1||{person.number}^^^PNR||{person.family}^{person.given}||{person.birth_date}|{person.sex}",
        f"OBR|1|P{accession}|{accession}|CT^CT thorax^L|||20260301100000"
        f"|||||||||||{accession}||||20260301115900||CT|F",
        f"OBX|1|TX|SVAR^Utlåtande^L||{text}||||||F",
    ]
    return "\r".join(segments).encode() + b"\r"


def fetch(base: str, path: str, accept: str) -> bytes:
    request = urllib.request.Request(
        base + path, headers={"Accept": accept, "Authorization": f"Bearer {TOKEN}"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return bytes(answer.read())


def hashes_of_study(base: str, study_uid: str) -> set[str]:
    """SHA-256 of every data set of a study as WADO-RS gives it, without preamble and file meta."""
    body = fetch(base, f"/dicomweb/studies/{study_uid}", 'multipart/related; type="application/dicom"')
    found: set[str] = set()
    boundary = body[: body.index(b"\r\n")]
    for part in body.split(boundary)[1:-1]:
        file = part[part.index(b"\r\n\r\n") + 4 : -2]
        assert file[128:132] == b"DICM"
        meta_length = int.from_bytes(file[140:144], "little")
        found.add(hashlib.sha256(file[144 + meta_length :]).hexdigest())
    return found


def check(running_http: str, ledger: Ledger, studies: set[str]) -> int:
    lost = 0
    for study_uid in studies:
        lost += len(set(ledger.instances[study_uid].values()) - hashes_of_study(running_http, study_uid))
    return lost


def lost_reports(base: str, ledger: Ledger) -> int:
    texts: dict[str, str] = {}
    for number in sorted(ledger.persons):
        texts |= reports_of(base, number)
    return sum(texts.get(accession) != text for accession, text in ledger.reports.items())


def reports_of(base: str, number: str) -> dict[str, str]:
    """What the person's reports say, by accession number."""
    person = json.loads(fetch(base, f"/fhir/Patient?identifier={number}", "application/fhir+json"))
    texts: dict[str, str] = {}
    if not person.get("entry"):
        return texts
    path = f"/fhir/DiagnosticReport?patient={person['entry'][0]['resource']['id']}"
    while path:
        found = json.loads(fetch(base, path, "application/fhir+json"))
        for entry in found.get("entry", ()):
            texts[entry["resource"]["identifier"][0]["value"]] = entry["resource"]["conclusion"]
        links = {link["relation"]: link["url"] for link in found.get("link", ())}
        path = links.get("next", "")[links.get("next", "").find("/fhir/") :] if "next" in links else ""
    return texts


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_when_the_server_is_killed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dicom, http, mllp = free_ports(3)
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    config = tmp_path / "samsyn.toml"
    written = CONFIG.format(folder=tmp_path / "data", dicom=dicom, http=http, mllp=mllp, digest=digest)
    config.write_text(written.replace("[dicom]", "settle_after_s = 1\n[dicom]"))
    base, log = f"http://127.0.0.1:{http}", tmp_path / "server.log"
    ledger, source, lost, slowest = Ledger(), random.Random(SEED), 0, 0.0
    began, checked = time.monotonic(), set[str]()
    with contextlib.closing(Starter(log)) as starter:
        for cycle in range(CYCLES):
            started = time.monotonic()
            running = starter.start(config, http, WAITS_FOR_ANY_DISK if cycle % 3 == 2 else "")
            slowest = max(slowest, time.monotonic() - started)
            load(running, (dicom, mllp), cycle, source, ledger)
            if cycle % 10 == 9:
                running = starter.start(config, http)
                studies = set(ledger.instances)
                lost += check(base, ledger, studies - checked)
                checked = studies
                assert running.stop() == 0
                assert lost == 0, f"cycle {cycle + 1}"
                with capsys.disabled():
                    took = time.monotonic() - began
                    print(
                        f"\n{cycle + 1} cycles: {ledger.counts()} acknowledged, {lost} lost, {took:.0f} s",
                        end="",
                    )
        running = starter.start(config, http)
        try:
            lost = check(base, ledger, set(ledger.instances))
            reports = lost_reports(base, ledger)
        finally:
            assert running.stop() == 0
    acknowledged = sum(len(study) for study in ledger.instances.values())
    print(
        f"\n{CYCLES} cycles of kill -9 (seed {SEED}): {acknowledged} instances and {len(ledger.reports)} messages"
        f" acknowledged, {lost} and {reports} lost; slowest start {slowest:.1f} s"
    )
    assert acknowledged > CYCLES * 20
    assert len(ledger.reports) > CYCLES * 5
    assert (lost, reports) == (0, 0)


def load(running: Forked, ports: tuple[int, int], cycle: int, source: random.Random, ledger: Ledger) -> None:
    """Three image senders and one RIS at once, in each third cycle one image sender alone, cut at a random moment."""
    stop = threading.Event()
    senders = [
        threading.Thread(
            target=store_until_cut,
            args=(ports[0], random.Random(source.random()), cycle * 10 + index, ledger, stop),
        )
        for index in range(1 if cycle % 3 == 2 else 3)
    ]
    if cycle % 3 != 2:
        senders.append(threading.Thread(target=report_until_cut, args=(ports[1], cycle, ledger, stop)))
    begun = ledger.counts()
    for sender in senders:
        sender.start()
    ledger.until(begun, 25, 0 if cycle % 3 == 2 else 10)
    time.sleep(source.uniform(0.2, 0.8))
    running.kill()
    stop.set()
    for sender in senders:
        sender.join(30)
        assert not sender.is_alive()
