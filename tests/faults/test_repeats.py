"""Answers that are lost and senders that come together: one stored copy, and success for everybody who repeats it."""

import hashlib
import http.client
import json
import os
import random
import re
import socket
import threading
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench import objects
from bench.dimse_load import message
from bench.objects import Instance
from bench.stow_load import body
from tests.faults.test_kill import TOKEN, associated, fetch, hashes_of_study, oru
from tests.faults.test_stop import Ports

pytestmark = pytest.mark.slow
LOST = int(os.environ.get("SAMSYN_LOST_ANSWERS", "100"))
"""Answers that are lost on each way."""
ROUNDS = int(os.environ.get("SAMSYN_TOGETHER_ROUNDS", "10"))
TOGETHER = 50
SHAPE = objects.Shape(objects.MR_IMAGE, "MR", 64, 64, 600)
STOW = {
    "Content-Type": 'multipart/related; type="application/dicom"; boundary=bench-9f2c41',
    "Authorization": f"Bearer {TOKEN}",
}


@pytest.fixture
def ports(tmp_path: Path) -> Iterator[Ports]:
    made = Ports(tmp_path)
    running = made.start()
    try:
        yield made
        assert running.stop() == 0
    finally:
        running.kill()


def store(ports: Ports, instance: Instance, answered: bool = True) -> None:
    """C-STORE; unanswered = the connection is cut when the request is out."""
    association = associated(ports.dicom, SHAPE.sop_class)
    request = message(instance, 1, 1, association.pdu_bytes)
    if answered:
        association.store(request)
        association.release()
    else:
        association._socket.sendall(request)
        association._socket.close()


def stow(ports: Ports, instance: Instance, answered: bool = True) -> None:
    """STOW-RS, likewise."""
    connection = http.client.HTTPConnection("127.0.0.1", ports.http, timeout=60)
    connection.request("POST", "/dicomweb/studies", body([instance.file()]), STOW)
    if answered:
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
    connection.close()


def report(ports: Ports, number: int, answered: bool = True) -> None:
    """A report over MLLP, likewise."""
    with socket.create_connection(("127.0.0.1", ports.mllp), timeout=30) as connection:
        connection.sendall(b"\x0b" + oru(f"L{number}", f"L{number}", f"Utlåtande {number}") + b"\x1c\r")
        if answered:
            answer = b""
            while not answer.endswith(b"\x1c\r"):
                answer += connection.recv(4096)
            assert b"MSA|AA|" in answer


def figures(ports: Ports) -> dict[str, float]:
    with urllib.request.urlopen(f"{ports.base}/metrics", timeout=30) as answer:
        found = re.findall(r"^samsyn_(\w+) (\S+)$", answer.read().decode(), re.MULTILINE)
    return {name: float(value) for name, value in found}


def check_one_copy_each(ports: Ports, study_uid: str, instances: list[Instance]) -> None:
    """The study holds exactly these, and counts agree."""
    digests = Counter(hashlib.sha256(instance.data).hexdigest() for instance in instances)
    assert hashes_of_study(ports.base, study_uid) == set(digests)
    found = json.loads(
        fetch(ports.base, f"/dicomweb/studies?StudyInstanceUID={study_uid}", "application/dicom+json")
    )
    assert found[0]["00201208"]["Value"] == [len(instances)]


def test_what_is_sent_again_because_its_answer_was_lost_is_taken_once(ports: Ports) -> None:
    source = random.Random(5)
    study = objects.study(source, 1, 2)
    instances = list(objects.instances(source, SHAPE, study, 2 * LOST))
    ways: list[Callable[[Ports, Instance, bool], None]] = [store, stow]
    for number, instance in enumerate(instances):
        way = ways[number % 2]
        way(ports, instance, False)
        way(ports, instance, True)
    for number in range(LOST):
        report(ports, number, False)
        report(ports, number, True)
    check_one_copy_each(ports, study.study_uid, instances)
    told = figures(ports)
    assert (told["instances_stored_total"], told["instances_held_total"]) == (len(instances), 0)
    person = json.loads(fetch(ports.base, "/fhir/Patient?identifier=19121212-1212", "application/fhir+json"))
    handle = person["entry"][0]["resource"]["id"]
    reports = json.loads(
        fetch(ports.base, f"/fhir/DiagnosticReport?patient={handle}&_count=1000", "application/fhir+json")
    )
    assert sorted(each["resource"]["identifier"][0]["value"] for each in reports["entry"]) == sorted(
        f"L{number}" for number in range(LOST)
    )
    print(f"{3 * LOST} lost answers: {len(instances)} instances and {LOST} reports, each once; 0 held")


def test_fifty_senders_of_the_same_instance_all_succeed_and_one_copy_is_kept(ports: Ports) -> None:
    source = random.Random(6)
    study = objects.study(source, 1, 2)
    instances = list(objects.instances(source, SHAPE, study, ROUNDS))
    faults: list[BaseException] = []
    for instance in instances:
        start = threading.Barrier(TOGETHER)

        def send(
            way: Callable[[Ports, Instance], None], instance: Instance, start: threading.Barrier
        ) -> None:
            start.wait()
            try:
                way(ports, instance)
            except BaseException as fault:
                faults.append(fault)

        threads = [
            threading.Thread(target=send, args=((store, stow)[number % 2], instance, start))
            for number in range(TOGETHER)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
    assert faults == []
    check_one_copy_each(ports, study.study_uid, instances)
    told = figures(ports)
    assert (told["instances_stored_total"], told["instances_held_total"]) == (ROUNDS, 0)
    print(
        f"{ROUNDS} × {TOGETHER} senders of one instance: {ROUNDS * TOGETHER} times success, {ROUNDS} copies"
    )
