"""Whatever the contract answers about the demo region follows its form, and zeep reads all of it."""

import json
from collections import Counter
from collections.abc import Iterator

import pytest
import requests
import zeep
from lxml import etree
from zeep.transports import Transport

from samsyn.endpoints.contracts.names import ACTION, PATH, SOAP
from samsyn_demo.people import PEOPLE
from samsyn_demo.region import CONSUMERS, REGION
from tests.contracts.stage import SPACES, forms
from tests.demo.whole import Copied, served_copy
from tests.doors.doors import imaging_outcome

pytestmark = pytest.mark.slow

SOURCES = [each.source_system for each in REGION if each.source_system]
PERSONNUMMER, SAMORDNINGSNUMMER = "1.2.752.129.2.1.3.1", "1.2.752.129.2.1.3.3"


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Copied, dict[str, str]]]:
    with served_copy(tmp_path_factory) as running:
        yield running, json.loads((running.folder / "consumers.json").read_text(encoding="utf-8"))


def test_every_answer_about_the_demo_region_follows_the_form(region: tuple[Copied, dict[str, str]]) -> None:
    running, tokens = region
    form, counts = forms(), Counter[str]()
    session = requests.Session()
    session.trust_env = False
    for name, _ in CONSUMERS:
        for person in PEOPLE:
            issuer = SAMORDNINGSNUMMER if int(person.number[6:8] or 0) > 60 else PERSONNUMMER
            for source in SOURCES:
                answer = session.post(
                    running.base + PATH,
                    imaging_outcome(person.number, issuer, source),
                    headers={"Authorization": f"Bearer {tokens[name]}", "SOAPAction": ACTION},
                    timeout=60,
                )
                body = etree.fromstring(answer.content).find(f"{{{SOAP}}}Body")[0]
                form.assertValid(body)
                counts[f"{name} answers"] += 1
                for outcome in body.findall("t:imagingOutcome", SPACES):
                    counts[f"{name} outcomes"] += 1
                    counts[f"{name} {outcome.findtext('.//c:typeOfResult', '', SPACES)}"] += 1
                    approved = outcome.findtext(".//c:approvedForPatient", "", SPACES)
                    counts[f"{name} approved {approved}"] += 1
    print(", ".join(f"{what} {count}" for what, count in sorted(counts.items())))
    assert counts["patientoversikt outcomes"] > counts["patientjournal outcomes"] > 0
    assert counts["patientjournal approved false"] == 0
    assert all(counts[f"patientoversikt {kind}"] for kind in ("PREL", "DEF", "TILL"))


def test_zeep_reads_the_storys_patient(region: tuple[Copied, dict[str, str]]) -> None:
    running, tokens = region
    session = requests.Session()
    session.trust_env = False
    session.headers["Authorization"] = f"Bearer {tokens['patientoversikt']}"
    client = zeep.Client(f"{running.base}{PATH}?wsdl", transport=Transport(session=session, timeout=60))
    answer = client.service.GetImagingOutcome(
        patientId={"id": "191212121212", "type": PERSONNUMMER},
        _soapheaders={"LogicalAddress": SOURCES[0]},
    )
    assert answer.result.resultCode == "OK"
    assert answer.imagingOutcome
