"""Whatever FHIR the demo region yields, to whomever, is R4 by the judgement of a validator that is not ours."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from samsyn.endpoints.demo_idp.personas import PERSONAS
from samsyn_demo.people import BY_KEY, PEOPLE
from tests.demo.whole import Region, demo
from tests.fhir.crawl import FOR_SYSTEMS, Crawl, Judged
from tests.fhir.walk import Walker

pytestmark = pytest.mark.slow

SOME = (BY_KEY["tolvan"], BY_KEY["byter"], BY_KEY["skyddad"], BY_KEY["reserv"])
"""The story's patient, a merged one, one with protected identity and one with a reserve number only."""


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    with demo(Path(tmp_path_factory.mktemp("region")) / "demo") as running:
        yield running


def test_every_fhir_resource_of_the_demo_region_is_valid(region: Region) -> None:
    judged = Judged()
    with httpx.Client(base_url=region.base, trust_env=False, timeout=60) as nobody:
        crawl = Crawl(nobody, judged)
        statement = crawl.get("/metadata")
        crawl.get("/Patient?identifier=191212121212", 401)
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
        walker.close()
    for persona in ("log-reviewer", "patient"):
        walker = Walker(region.base)
        walker.log_in(persona)
        crawl = Crawl(walker.http, judged)
        assert crawl.pages("/AuditEvent"), persona
        if persona == "patient":
            crawl.person("191212121212", statement)
        walker.close()
    print(judged.figure())
    assert read["gp"] == read["physician"] == len(PEOPLE), read
    assert judged.wrong == []
    kinds = {each["type"] for each in statement["rest"][0]["resource"]} - FOR_SYSTEMS
    assert kinds <= set(judged.by_type), kinds - set(judged.by_type)


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
    assert {each.partition(" ")[0] for each in judged.wrong} == {"Patient/x", "Bundle/", "Observation/y"}
