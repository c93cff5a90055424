"""POST of DiagnosticReport at a running server: who may, and what is answered."""

import httpx
import orjson
import pytest

from samsyn import limits
from tests.reports.test_fhir_reports import body
from tests.scratch import Running

pytestmark = pytest.mark.slow


def post(
    running: Running,
    raw: bytes,
    token: str = "NORDWEB",
    path: str = "DiagnosticReport",
    kind: str = "application/fhir+json",
) -> httpx.Response:
    headers = {"Content-Type": kind}
    if token:
        headers["Authorization"] = f"Bearer {running.system_token(token)}"
    return httpx.post(f"{running.http}/fhir/{path}", content=raw, headers=headers, timeout=20)


def test_a_known_system_files_a_report_once(scratch: Running) -> None:
    answer = post(scratch, body())
    assert answer.status_code == 201, answer.text
    assert post(scratch, body()).status_code == 200
    assert orjson.loads(answer.content)["issue"][0]["severity"] == "information"


def test_a_transaction_is_taken_at_the_root(scratch: Running) -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"resource": orjson.loads(body(conclusion="Annan text.")), "request": {"method": "POST"}}],
    }
    assert post(scratch, orjson.dumps(bundle), path="").status_code == 201


def test_what_can_not_be_filed_is_held_and_told(scratch: Running) -> None:
    answer = post(scratch, body(status="nonsense"))
    assert answer.status_code == 422
    assert "DiagnosticReport.status" in answer.text


@pytest.mark.parametrize(("token", "status"), [("", 401), ("LINDENWEB", 201)])
def test_only_systems_that_send_texts_may(scratch: Running, token: str, status: int) -> None:
    assert post(scratch, body(conclusion=f"Från {token}."), token).status_code == status


def test_another_content_type_and_a_too_large_body_are_refused(scratch: Running) -> None:
    assert post(scratch, body(), kind="text/plain").status_code == 400
    assert post(scratch, b" " * (limits.MAX_FHIR_BYTES + 1)).status_code == 413
