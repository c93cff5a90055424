"""People with examinations in a running server, and a reader who checks the form of every answer."""

import random
import socket
from dataclasses import replace
from typing import Any

import httpx

from bench import objects
from bench.dimse_load import Association
from bench.dimse_load import message as store_message
from tests.fhir.structure import complaints
from tests.hl7v2.messages import message, msh, obr, obx, pid, segment
from tests.scratch import Running

TOLVAN = "191212121212"
BO = "196809129908"
PERSONNUMMER = "http://electronichealth.se/identifier/personnummer"
KINDS = (
    "ImagingStudy",
    "DiagnosticReport",
    "Observation",
    "ServiceRequest",
    "DocumentReference",
    "PractitionerRole",
    "Provenance",
    "Consent",
)
NORD, KLARA = "1.2.752.1", "1.2.752.2"
SHAPE = objects.Shape(objects.MR_IMAGE, "MR", 8, 8, 0)


def send(port: int, *messages: bytes) -> None:
    """Messages over MLLP, each accepted."""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        for raw in messages:
            connection.sendall(b"\x0b" + raw + b"\x1c\r")
            answer = b""
            while not answer.endswith(b"\x1c\r"):
                answer += connection.recv(4096)
            assert b"MSA|AA|" in answer, answer


def store(running: Running, calling: str, number: str, accession: str) -> str:
    """Three images of one study from a known modality; the StudyInstanceUID."""
    source = random.Random(accession)
    study = replace(objects.study(source, 0, 0), patient_id=number, accession=accession)
    where = {"host": "127.0.0.1", "port": running.dicom_port, "called": "SAMSYN", "calling": calling}
    made = list(objects.instances(source, SHAPE, study, 3))
    peer = Association(where, [SHAPE.sop_class], made[0].transfer_syntax)
    for place, instance in enumerate(made, start=1):
        peer.store(store_message(instance, place, 1, peer.pdu_bytes))
    peer.release()
    return study.study_uid


def texts(sender: str, accession: str, answer: str) -> tuple[bytes, bytes]:
    """A referral and its final report."""
    control = f"{sender}{accession}"
    order = segment("ORC", {1: "NW", 2: f"R{accession}", 3: accession, 9: "20240314080000"})
    asked = segment("OBR", {4: "CTTHX^DT thorax^L", 13: "Hosta sedan två veckor", 31: "^Pneumoni?"})
    fields = {18: accession, 2: f"R{accession}", 3: accession}
    return (
        message(msh("ORM^O01", f"{control}1", f3=sender), pid(), order, asked),
        message(msh("ORU^R01", f"{control}2", f3=sender), pid(), obr(fields), obx(answer)),
    )


class Reader:
    """Asks as one subject and checks the form of every answer."""

    def __init__(self, running: Running, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.http = httpx.Client(base_url=f"{running.http}/fhir", headers=headers, timeout=30)

    def get(self, path: str, expected: int = 200, **parameters: str) -> dict[str, Any]:
        answer = self.http.get(path, params=parameters)
        assert answer.status_code == expected, answer.text
        assert answer.headers["content-type"] == "application/fhir+json"
        assert "no-store" in answer.headers["cache-control"]
        resource = answer.json()
        assert complaints(resource) == []
        return resource

    def found(self, path: str, **parameters: str) -> list[dict[str, Any]]:
        bundle = self.get(path, **parameters)
        assert bundle["resourceType"] == "Bundle"
        return [entry["resource"] for entry in bundle.get("entry", [])]

    def handle(self, number: str) -> str:
        (person,) = self.found("/Patient", identifier=number)
        return str(person["id"])
