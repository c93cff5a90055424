"""A foreign SOAP client (zeep) reads the WSDL over HTTP, asks by it and understands the answers and faults."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import zeep
from zeep.exceptions import Fault
from zeep.transports import Transport

from samsyn.endpoints.contracts.names import PATH
from tests.contracts.stage import NORD_SYSTEM, PERSONNUMMER, TOLVAN, Stage, staged


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(Path(tmp_path_factory.mktemp("zeep"))) as made:
        made.order()
        made.image()
        made.report("F", "Första svaret.", f22="20240315101500")
        made.report("A", "Tilläggets text: å, ä, ö.", f22="20240316101500")
        made.report("F", "Annan undersökning.", f18="ACC301", f3="RIS301", f22="20230101101500")
        made.report("X", "Fel patient.", f18="ACC301", f3="RIS301", f22="20230102101500")
        yield made


def client_of(stage: Stage, token: str = "OVERSIKT") -> zeep.Client:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {stage.made.tokens.get(token, token)}"
    session.trust_env = False
    return zeep.Client(
        f"{stage.made.server._base}{PATH}?wsdl", transport=Transport(session=session, timeout=20)
    )


def ask(client: zeep.Client, **more: object) -> object:
    return client.service.GetImagingOutcome(
        patientId={"id": TOLVAN, "type": PERSONNUMMER},
        sourceSystemHSAId=NORD_SYSTEM,
        _soapheaders={"LogicalAddress": NORD_SYSTEM},
        **more,
    )


def test_zeep_understands_every_answer_strictly(stage: Stage) -> None:
    answer = ask(client_of(stage))
    assert answer.result.resultCode == "OK"
    newest, annulled = answer.imagingOutcome
    assert newest.imagingOutcomeBody.typeOfResult == "TILL"
    assert "Tilläggets text: å, ä, ö." in newest.imagingOutcomeBody.resultReport
    assert newest.imagingOutcomeBody.referral.referralReason == "Pneumoni?"
    (recording,) = newest.imagingOutcomeBody.imageRecording
    assert (recording.recordingId.root, recording.recordingId.extension) == (NORD_SYSTEM, "2.25.10")
    assert (recording.examinationActivity.originalText, recording.examinationActivity.code) == (
        "DT thorax",
        None,
    )
    assert recording.examinationTimePeriod.start == "20240315000000"
    assert (recording.numberOfImages, recording.modalityData.typeOfModality) == (1, "CT")
    assert newest.imagingOutcomeHeader.nullified is False
    assert annulled.imagingOutcomeHeader.nullified is True


def test_zeep_gets_an_invalid_request_as_a_result(stage: Stage) -> None:
    client = client_of(stage)
    answer = client.service.GetImagingOutcome(
        patientId={"id": TOLVAN, "type": PERSONNUMMER},
        sourceSystemHSAId="SE9990000002-E001",
        _soapheaders={"LogicalAddress": NORD_SYSTEM},
    )
    assert (answer.result.resultCode, answer.result.errorCode) == ("ERROR", "INVALID_REQUEST")
    assert not answer.imagingOutcome


def test_zeep_gets_a_fault_without_a_logical_address(stage: Stage) -> None:
    with pytest.raises(Fault) as caught:
        client_of(stage).service.GetImagingOutcome(patientId={"id": TOLVAN, "type": PERSONNUMMER})
    assert caught.value.code == "soapenv:Client"


def test_zeep_gets_a_fault_when_nobody_knows_it(stage: Stage) -> None:
    with pytest.raises(Fault):
        ask(client_of(stage, "fel"))
