"""Whatever FHIR the demo region yields, to whomever, is R4 by the judgement of a validator that is not ours."""

import contextlib
import json
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from samsyn.endpoints.demo_idp.personas import PERSONAS
from samsyn_demo.cluster import database_server, object_server
from samsyn_demo.cluster.nodes import Shared, make_node
from samsyn_demo.people import BY_KEY, PEOPLE
from samsyn_demo.region import REGION
from tests.demo.whole import Copied, served_copy
from tests.fhir.crawl import FOR_SYSTEMS, Crawl, Judged
from tests.fhir.walk import Walker
from tests.ports import free_port
from tests.scratch import environment

pytestmark = pytest.mark.slow

SOME = (BY_KEY["tolvan"], BY_KEY["byter"], BY_KEY["skyddad"], BY_KEY["reserv"])
"""The story's patient, a merged one, one with protected identity and one with a reserve number only."""


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copied]:
    with served_copy(tmp_path_factory) as running:
        yield running


def test_every_fhir_resource_of_the_demo_region_is_valid(region: Copied) -> None:
    judged = Judged()
    with httpx.Client(base_url=region.base, trust_env=False, timeout=60) as nobody:
        crawl = Crawl(nobody, judged)
        statement = crawl.get("/metadata")
        crawl.get("/Patient?identifier=191212121212", 401)
        crawl.close()
    read = {}
    for persona, people in (("gp", PEOPLE), ("physician", PEOPLE), ("nurse", SOME), ("researcher", SOME)):
        walker = Walker(region.base)
        walker.log_in(persona)
        crawl = Crawl(walker.http, judged)
        for person in people:
            if persona in ("gp", "physician"):
                walker.open(person)
            read[persona] = read.get(persona, 0) + crawl.person(person.number, statement)
        crawl.refusals(statement)
        crawl.get(f"/Practitioner/{next(each.employee for each in PERSONAS if each.key == persona)}")
        crawl.get("/AuditEvent", 403)
        crawl.close()
        walker.close()
    for persona in ("log-reviewer", "patient"):
        walker = Walker(region.base)
        walker.log_in(persona)
        crawl = Crawl(walker.http, judged)
        assert crawl.pages("/AuditEvent"), persona
        if persona == "patient":
            crawl.person("191212121212", statement)
        crawl.close()
        walker.close()
    print(judged.figure())
    assert read["gp"] == read["physician"] == len(PEOPLE), read
    assert judged.wrong() == []
    kinds = {each["type"] for each in statement["rest"][0]["resource"]} - FOR_SYSTEMS
    assert kinds <= set(judged.by_type), kinds - set(judged.by_type)


@pytest.fixture
def shared_region(tmp_path: Path) -> Iterator[str]:
    """The address of a node with PostgreSQL and an object store, to which the region's systems have sent what they
    have of two people."""
    if not (database_server.is_installed() and object_server.is_installed()):
        pytest.skip("PostgreSQL and SeaweedFS are not installed (requirements-dev)")
    with contextlib.ExitStack() as ending:
        database = database_server.start(tmp_path / "database")
        ending.callback(database.stop)
        objects = object_server.start(tmp_path / "objects")
        ending.callback(objects.stop)
        tokens = {each.stow_client: secrets.token_urlsafe(32) for each in REGION if each.stow_client}
        shared = Shared(tmp_path, database, objects, tokens, local_pacs=free_port())
        node = make_node(shared, "one")
        ending.callback(node.kill)
        node.start()
        played = subprocess.run(
            [
                *(sys.executable, "-m", "samsyn_demo.play", "--folder", str(tmp_path / "region")),
                *("--dicom-port", str(node.ports.dicom), "--http-port", str(node.ports.http)),
                *("--mllp-port", str(node.ports.mllp), "--local-pacs-port", str(node.ports.local_pacs)),
                *("--people", ",".join(each.key for each in SOME[:2])),
            ],
            env={**environment(), "SAMSYN_DEMO_TOKENS": json.dumps(tokens)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert played.returncode == 0, played.stdout[-2000:] + played.stderr[-2000:]
        yield node.http
        assert node.stop() == 0


def test_so_it_is_with_postgresql(shared_region: str) -> None:
    """Every kind of resource of two people: the rows that it is made from come from the other database."""
    judged = Judged()
    for persona, people in (("physician", SOME[:2]), ("patient", SOME[:1])):
        walker = Walker(shared_region)
        walker.log_in(persona)
        crawl = Crawl(walker.http, judged)
        statement = crawl.get("/metadata")
        for person in people:
            if persona == "physician":
                walker.open(person)
            assert crawl.person(person.number, statement), person.key
        crawl.refusals(statement)
        crawl.close()
        walker.close()
    print(f"with PostgreSQL: {judged.figure()}")
    assert judged.wrong() == []
    seen = {
        "Patient",
        "ServiceRequest",
        "ImagingStudy",
        "DiagnosticReport",
        "DocumentReference",
        "Observation",
    }
    assert seen <= set(judged.by_type), seen - set(judged.by_type)


def test_a_wrong_resource_would_have_been_found() -> None:
    judged = Judged()
    judged.take({"resourceType": "Patient", "id": "x", "gender": "unknowable"})
    judged.take(
        {
            "resourceType": "Bundle",
            "type": "searchset",
            "entry": [{"resource": {"resourceType": "Observation", "id": "y"}}],
        }
    )
    assert {each.partition(" ")[0] for each in judged.wrong()} == {"Patient/x", "Bundle/", "Observation/y"}
