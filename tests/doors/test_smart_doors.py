"""Scopes only narrow: whatever the law lets a reader see, his app sees no more of it, and nothing at any other door."""

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from samsyn.access.authentication.smart.scopes import granted
from samsyn.access.authentication.smart.words import Granted
from tests.doors.doors import Asker, Question, Web
from tests.doors.instance import Instance, Planted, running
from tests.doors.world import READERS, STATES

pytestmark = pytest.mark.slow

KINDS = ("ImagingStudy", "DiagnosticReport", "ServiceRequest", "Observation", "Consent", "DocumentReference")
Stage = tuple[Instance, list[Planted]]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with running(Path(tmp_path_factory.mktemp("smart"))) as made:
        yield made, made.plant(STATES)


def resources(web: Web, path: str, token: str) -> tuple[int, frozenset[str]]:
    answer = web.ask(Question(path), Asker(READERS[0], token))
    if answer.status != 200:
        return answer.status, frozenset()
    found = orjson.loads(answer.body).get("entry", ())
    return 200, frozenset(f"{each['resource']['resourceType']}/{each['resource']['id']}" for each in found)


def app_token(made: Instance, plain: str, scope: str, patient_key: int | None) -> str:
    """A token with the scopes for the same reader in the same session, as the token endpoint keeps it."""
    subject = made.server._tokens.find(plain)
    scopes = granted(scope, ("patient/*.rs", "user/*.rs"), frozenset({"patient", "user"}))
    grant = Granted(f"app-{scope}-{patient_key}", subject, scopes, (), patient_key, "", "")
    return made.server._smart._issue(grant).access


def test_an_app_sees_what_its_reader_sees_or_less(planted: Stage) -> None:
    made, persons = planted
    web = Web(made.server._base)
    cells = more = other = seen = 0
    for reader in (each for each in READERS if each.kind in ("staff", "patient")):
        # With the assignment the app's token has ended.
        refused = 401 if reader.is_expired else 403
        for each in persons[:: 1 if reader.providers == "read" else 4]:
            plain = made.token(reader, each)
            if reader.kind == "staff":
                made.choose(reader, made.server._tokens.find(plain).session_id, [each])
            user = app_token(made, plain, "user/*.rs", None)
            mine = app_token(made, plain, "patient/*.rs", each.there.patient_key)
            stranger = app_token(made, plain, "patient/*.rs", persons[each.number - 2].there.patient_key)
            part = app_token(made, plain, "user/DiagnosticReport.s", None)
            for kind in KINDS:
                path = f"/fhir/{kind}?patient={each.there.fhir_id}"
                _, whole = resources(web, path, plain)
                seen += len(whole)
                cells += 1
                more += resources(web, path, user)[1] != whole
                more += resources(web, path, mine)[1] != whole
                other += bool(resources(web, path, stranger)[1])
                status, partly = resources(web, path, part)
                more += partly != whole if kind == "DiagnosticReport" else status != refused
    for path in ("/dicomweb/studies?PatientID=ZQ001A", "/fhir/AuditEvent", "/fhir/Subscription"):
        assert resources(web, path, user)[0] == 401, path
    web.close()
    print(f"cells of apps checked {cells}, wrong {more}, of another patient {other}; resources seen {seen}")
    assert seen
    assert (more, other) == (0, 0)
