"""SMART App Launch and Backend Services over real HTTP: every step, and every refusal on the way."""

import base64
import hashlib
import json
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jws, jwt
from joserfc.jwk import KeySet

from samsyn.access.authentication.smart.scopes import granted, understood
from samsyn.errors import ConfigurationError
from tests.doors.instance import Instance, running
from tests.doors.world import NORD, STATES
from tests.fhir.apps import APP, BACK, BACKEND, SECRET, SECRET_APP, Flow, Stage, a_key, launched
from tests.fhir.structure import complaints
from tests.fhir.walk import Walker

pytestmark = pytest.mark.slow

_NAMES = ("own unit", "own provider", "other provider, consent", "other provider")
PERSONS = tuple(next(state for state in STATES if state.name == name) for name in _NAMES)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = Path(tmp_path_factory.mktemp("smart"))
    keys = {"ec": a_key("EC", "ec-1"), "rsa": a_key("RSA", "rsa-1"), "stranger": a_key("EC", "ec-1")}
    jwks = folder / "jwks.json"
    known = KeySet([keys["ec"], keys["rsa"]]).as_dict(private=False)
    jwks.write_text(json.dumps(known))
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    apps = [
        {
            "client_id": APP,
            "name": "Bildappen",
            "redirect_uri": [BACK],
            "scope": ["patient/*.rs", "user/*.rs"],
        },
        {
            "client_id": SECRET_APP,
            "name": "Serverappen",
            "redirect_uri": [BACK],
            "scope": ["patient/Observation.rs", "patient/Patient.r"],
            "secret_sha256": digest,
        },
    ]
    backend = {
        "client_id": BACKEND,
        "name": "NORDREADER",
        "jwks_file": str(jwks),
        "scope": ["system/ImagingStudy.rs", "system/Patient.rs"],
    }
    with running(folder / "data", changes={"app": apps, "backend": {NORD: [backend]}}) as made:
        planted = made.plant(PERSONS)
        yield Stage(made, {each.state.name: each for each in planted}, keys)


@pytest.fixture
def doctor(stage: Stage) -> Iterator[Walker]:
    """The general practitioner at Linden, logged in in a browser of her own."""
    walker = Walker(stage.base)
    walker.log_in("gp")
    yield walker
    walker.close()


def test_the_configuration_tells_what_there_is(stage: Stage) -> None:
    answer = httpx.get(f"{stage.base}/fhir/.well-known/smart-configuration", trust_env=False)
    told = answer.json()
    assert told["authorization_endpoint"] == f"{stage.base}/smart/authorize"
    assert told["token_endpoint"] == f"{stage.base}/smart/token"
    assert told["code_challenge_methods_supported"] == ["S256"]
    assert {"launch-ehr", "launch-standalone", "permission-v2", "context-ehr-encounter"} <= set(
        told["capabilities"]
    )
    statement = httpx.get(f"{stage.base}/fhir/metadata", trust_env=False).json()
    assert complaints(statement) == []
    assert statement["rest"][0]["security"]["service"][0]["coding"][0]["code"] == "SMART-on-FHIR"


def test_an_app_that_a_record_system_starts_reads_its_patient_and_nobody_else(
    stage: Stage, doctor: Walker
) -> None:
    _, told = launched(stage, doctor, "other provider, consent", "patient/*.rs", encounter="besök-17")
    there = stage.persons["other provider, consent"].there
    assert (told["patient"], told["encounter"], told["token_type"]) == (there.fhir_id, "besök-17", "Bearer")
    assert told["scope"] == "launch patient/*.rs"
    token = told["access_token"]
    (person,) = stage.found(token, f"/Patient?_id={told['patient']}")
    assert person["id"] == there.fhir_id
    other = stage.persons["own provider"].there.fhir_id
    assert stage.found(token, f"/Patient?_id={other}") == []
    assert stage.found(token, f"/ImagingStudy?patient={other}") == []
    assert stage.fhir(token, f"/Patient/{other}").status_code == 404
    # Nothing of another provider has been chosen on the pages, so the View has nothing of this patient.
    assert stage.found(token, f"/ImagingStudy?patient={there.fhir_id}") == []
    doctor.open_known(stage.number("other provider, consent"))
    assert len(stage.found(token, f"/ImagingStudy?patient={there.fhir_id}")) == 1
    for path in (f"/dicomweb/studies?PatientID={there.patient_id}", "/", "/log"):
        answer = httpx.get(
            f"{stage.base}{path}", headers={"Authorization": f"Bearer {token}"}, trust_env=False
        )
        assert answer.status_code in (401, 303), path


def test_a_code_works_once_and_a_replay_ends_its_token(stage: Stage, doctor: Walker) -> None:
    flow = Flow(stage, doctor.http)
    answer = flow.follow(
        flow.authorize("launch patient/*.read", launch=stage.launch("own unit").json()["launch"])
    )
    code = flow.told(answer)["code"]
    told = flow.redeem(code)
    assert told["scope"] == "launch patient/*.read"
    token = told["access_token"]
    assert stage.fhir(token, f"/Patient/{told['patient']}").status_code == 200
    assert flow.redeem(code, 400)["error"] == "invalid_grant"
    assert stage.fhir(token, f"/Patient/{told['patient']}").status_code == 401


@pytest.mark.parametrize(
    "changed",
    [
        {"code_verifier": ""},
        {"code_verifier": "x" * 60},
        {"code_verifier": "short"},
        {"redirect_uri": "http://127.0.0.1:9/other"},
        {"client_id": SECRET_APP},
        {"code": "unknown"},
        {"grant_type": "password"},
    ],
)
def test_a_code_in_the_wrong_hands_gives_nothing(
    stage: Stage, doctor: Walker, changed: dict[str, str]
) -> None:
    flow = Flow(stage, doctor.http)
    answer = flow.follow(
        flow.authorize("launch patient/*.rs", launch=stage.launch("own unit").json()["launch"])
    )
    code = flow.told(answer)["code"]
    refused = flow.redeem(changed.get("code", code), 400, **{k: v for k, v in changed.items() if k != "code"})
    assert refused["error"] in ("invalid_grant", "unsupported_grant_type")


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"aud": "http://127.0.0.1:1/fhir"}, "invalid_request"),
        ({"aud": ""}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "openid"}, "invalid_scope"),
        ({"scope": "patient/*.c"}, "invalid_scope"),
        ({"scope": "system/*.rs"}, "invalid_scope"),
        ({"launch": "made-up"}, "invalid_request"),
        ({"scope": "launch patient/*.rs"}, "invalid_request"),
    ],
)
def test_a_request_that_is_not_in_order_goes_back_refused(
    stage: Stage, doctor: Walker, changed: dict[str, str], error: str
) -> None:
    flow = Flow(stage, doctor.http)
    scope = changed.pop("scope", "patient/*.rs") if "scope" in changed else "patient/*.rs"
    told = flow.told(flow.authorize(scope, **changed))
    assert told["error"] == error
    assert "code" not in told


@pytest.mark.parametrize(
    "changed",
    [
        {"redirect_uri": "http://127.0.0.1:9/app/callback/"},
        {"redirect_uri": BACK + "?x=1"},
        {"redirect_uri": "http://127.0.0.1:10/app/callback"},
        {"redirect_uri": ""},
        {"client_id": "unknown"},
        {"client_id": BACKEND},
    ],
)
def test_an_unknown_app_or_address_gets_a_page_and_no_redirect(
    stage: Stage, doctor: Walker, changed: dict[str, str]
) -> None:
    for method in ("GET", "POST"):
        answer = Flow(stage, doctor.http).authorize("patient/*.rs", method, **changed)
        assert answer.status_code == 400
        assert "location" not in answer.headers


def test_an_app_is_not_started_for_one_patient_while_another_is_open(stage: Stage, doctor: Walker) -> None:
    doctor.open_known(stage.number("own unit"))
    flow = Flow(stage, doctor.http)
    answer = flow.follow(
        flow.authorize("launch patient/*.rs", launch=stage.launch("own provider").json()["launch"])
    )
    told = flow.told(answer)
    assert (told["error"], told["error_description"]) == (
        "access_denied",
        "another patient is open in this session",
    )
    again = Flow(stage, doctor.http)
    answer = again.follow(
        again.authorize("launch patient/*.rs", launch=stage.launch("own unit").json()["launch"])
    )
    assert "code" in again.told(answer)


def test_a_launch_is_for_one_person_once_and_made_by_known_systems_only(stage: Stage, doctor: Walker) -> None:
    launch = stage.launch("own unit", employee="SE9990000004-9002").json()["launch"]
    flow = Flow(stage, doctor.http)
    assert (
        flow.told(flow.follow(flow.authorize("launch patient/*.rs", launch=launch)))["error"]
        == "access_denied"
    )
    other = Flow(stage, doctor.http)
    launch = stage.launch("own unit", token="NORDWEB").json()["launch"]
    assert (
        other.told(other.follow(other.authorize("launch patient/*.rs", launch=launch)))["error"]
        == "access_denied"
    )
    used = Flow(stage, doctor.http)
    assert used.told(used.authorize("launch patient/*.rs", launch=launch))["error"] == "invalid_request"
    assert stage.launch("own unit", token="a guess").status_code == 401
    assert stage.launch("own unit", employee="").status_code == 400


def test_a_standalone_app_is_let_in_on_a_page_for_the_patient_who_is_named(
    stage: Stage, doctor: Walker
) -> None:
    flow = Flow(stage, doctor.http)
    page = flow.follow(flow.authorize("launch/patient patient/*.rs", "POST"))
    assert "Bildappen" in page.text
    wrong = flow.press(page, number="nobody")
    assert wrong.status_code == 404
    told = flow.told(flow.press(page, number=stage.number("own unit")))
    answer = flow.redeem(told["code"])
    assert answer["patient"] == stage.persons["own unit"].there.fhir_id
    assert answer["scope"] == "launch/patient patient/*.rs"
    # Now that patient is open, and the next app gets nobody else.
    again = Flow(stage, doctor.http)
    page = again.follow(again.authorize("launch/patient patient/*.rs"))
    told = again.told(again.press(page, number=stage.number("own provider")))
    assert again.redeem(told["code"])["patient"] == stage.persons["own unit"].there.fhir_id


def test_a_new_patient_ends_the_app_s_token_for_the_last_one(stage: Stage, doctor: Walker) -> None:
    _, first = launched(stage, doctor, "own unit", "patient/*.rs")
    session = stage.made.server._smart.find(first["access_token"]).subject.session_id
    stage.made.server._opened.forget(session)  # the patient's page is closed
    _, second = launched(stage, doctor, "own provider", "patient/*.rs")
    assert stage.fhir(first["access_token"], f"/Patient/{first['patient']}").status_code == 401
    assert stage.fhir(second["access_token"], f"/Patient/{second['patient']}").status_code == 200


def test_the_reader_may_say_no_and_nobody_else_may_say_yes(stage: Stage, doctor: Walker) -> None:
    flow = Flow(stage, doctor.http)
    page = flow.follow(flow.authorize("user/*.rs"))
    action = re.search(r'action="(/smart/continue/[^"]+)"', page.text)
    assert action
    assert doctor.http.post(action[1], data={"answer": "allow"}).status_code == 403
    assert flow.told(flow.press(page, answer="deny"))["error"] == "access_denied"


def test_who_is_not_logged_in_does_so_first_and_comes_back(stage: Stage) -> None:
    walker = Walker(stage.base)
    flow = Flow(stage, walker.http)
    answer = flow.follow(flow.authorize("user/*.rs"))
    assert answer.url.path == "/login"
    walker.log_in("gp")
    page = walker.page
    assert "Bildappen" in page
    token = re.search(r'name="form_token" value="([^"]+)"', page)
    action = re.search(r'action="(/smart/continue/[^"]+)"', page)
    assert token and action
    back = walker.http.post(action[1], data={"form_token": token[1], "answer": "allow"})
    told = flow.redeem(flow.told(back)["code"])
    assert "patient" not in told
    assert (
        stage.fhir(told["access_token"], f"/Patient?identifier={stage.number('own unit')}").status_code == 200
    )
    walker.http.post("/logout", data={"form_token": token[1]}, follow_redirects=False)
    assert stage.fhir(told["access_token"], "/Organization").status_code == 401
    walker.close()


def test_scopes_narrow_by_kind_by_letter_and_by_filter(stage: Stage) -> None:
    person = "own unit"
    handle = stage.persons[person].there.fhir_id
    walker = Walker(stage.base)
    walker.log_in("physician")
    flow = Flow(stage, walker.http)

    def token(scope: str) -> str:
        page = flow.follow(flow.authorize(f"launch/patient {scope}"))
        told = flow.told(flow.press(page, number=stage.number(person)))
        return str(flow.redeem(told["code"])["access_token"])

    whole = token("patient/*.rs")
    reports = stage.found(whole, f"/DiagnosticReport?patient={handle}&_include=DiagnosticReport:result")
    assert {each["resourceType"] for each in reports} == {"DiagnosticReport", "Observation"}
    assert stage.fhir(whole, f"/Patient/{handle}/$everything").status_code == 200
    (document, *_) = stage.found(whole, f"/DocumentReference?patient={handle}")
    assert (
        stage.fhir(
            whole, "/" + "/".join(document["content"][0]["attachment"]["url"].split("/")[-2:])
        ).status_code
        == 200
    )
    one = token("patient/DiagnosticReport.s")
    found = stage.found(one, f"/DiagnosticReport?patient={handle}&_include=DiagnosticReport:result")
    assert {each["resourceType"] for each in found} == {"DiagnosticReport"}
    assert stage.fhir(one, f"/DiagnosticReport/{found[0]['id']}").status_code == 403
    for path in (
        f"/Observation?patient={handle}",
        f"/Patient/{handle}/$everything",
        "/Organization",
        "/AuditEvent",
    ):
        answer = stage.fhir(one, path)
        assert answer.status_code in (401, 403), path
        if answer.status_code == 403:
            assert "insufficient_scope" in answer.headers["www-authenticate"]
    assert stage.fhir(one, f"/Bundle/{document['id']}").status_code == 403
    final = token("patient/DiagnosticReport.rs?status=final")
    assert len(stage.found(final, f"/DiagnosticReport?patient={handle}")) == 1
    none = token("patient/DiagnosticReport.rs?status=preliminary")
    assert stage.found(none, f"/DiagnosticReport?patient={handle}") == []
    assert stage.fhir(none, f"/DiagnosticReport/{found[0]['id']}").status_code == 404
    strange = token("patient/DiagnosticReport.rs?colour=red")
    assert stage.found(strange, f"/DiagnosticReport?patient={handle}") == []
    walker.close()


def test_an_app_with_a_server_proves_itself_by_its_secret(stage: Stage, doctor: Walker) -> None:
    def code() -> tuple[Flow, str]:
        flow = Flow(stage, doctor.http, SECRET_APP)
        launch = stage.launch("own unit").json()["launch"]
        answer = flow.follow(flow.authorize("launch patient/*.rs patient/Observation.rs", launch=launch))
        return flow, flow.told(answer)["code"]

    flow, one = code()
    assert flow.redeem(one, 401)["error"] == "invalid_client"
    flow, one = code()
    assert flow.redeem(one, 401, auth=(SECRET_APP, "wrong"))["error"] == "invalid_client"
    flow, one = code()
    told = flow.redeem(one, auth=(SECRET_APP, SECRET))
    assert told["scope"] == "launch patient/Observation.rs patient/Patient.r"
    flow, one = code()
    assert flow.redeem(one, client_secret=SECRET)["access_token"]


def assertion(stage: Stage, key: str = "ec", **changed: Any) -> str:
    now = int(time.time())
    alg = changed.pop("alg", "RS384" if key == "rsa" else "ES384")
    header = {"alg": alg, "kid": changed.pop("kid", stage.keys[key].kid), "typ": "JWT"}
    claims = {
        "iss": BACKEND,
        "sub": BACKEND,
        "aud": f"{stage.base}/smart/token",
        "exp": now + 240,
        "jti": secrets.token_hex(12),
        **changed,
    }
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(header, claims, stage.keys[key], algorithms=["ES384", "RS384", "RS256", "ES256"])


def ask(stage: Stage, proof: str, scope: str = "system/*.rs", **changed: str) -> httpx.Response:
    form = {
        "grant_type": "client_credentials",
        "scope": scope,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": proof,
        **changed,
    }
    return httpx.post(f"{stage.base}/smart/token", data=form, trust_env=False)


@pytest.mark.parametrize("key", ["ec", "rsa"])
def test_a_server_reads_what_its_provider_has_and_its_scopes_leave(stage: Stage, key: str) -> None:
    told = ask(
        stage, assertion(stage, key), "system/ImagingStudy.rs system/Patient.rs system/Observation.rs"
    ).json()
    assert (told["scope"], told["expires_in"]) == ("system/ImagingStudy.rs system/Patient.rs", 300)
    token = told["access_token"]
    own, foreign = (stage.persons[name].there.fhir_id for name in ("own provider", "other provider"))
    assert len(stage.found(token, f"/ImagingStudy?patient={own}")) == 1
    assert stage.found(token, f"/ImagingStudy?patient={foreign}") == []
    assert stage.fhir(token, f"/DiagnosticReport?patient={own}").status_code == 403
    posted = httpx.post(
        f"{stage.base}/fhir/DiagnosticReport",
        content=b"{}",
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/fhir+json"},
        trust_env=False,
    )
    assert posted.status_code == 401
    httpx.post(f"{stage.base}/smart/revoke", data={"token": token}, trust_env=False)
    assert stage.fhir(token, f"/ImagingStudy?patient={own}").status_code == 401


def test_an_assertion_counts_once(stage: Stage) -> None:
    proof = assertion(stage)
    assert ask(stage, proof).status_code == 200
    again = ask(stage, proof)
    assert (again.status_code, again.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(
    "changed",
    [
        {"key": "stranger"},
        {"kid": "unknown"},
        {"aud": "http://127.0.0.1:1/smart/token"},
        {"iss": "somebody"},
        {"sub": "somebody"},
        {"exp": int(time.time()) - 3_600},
        {"exp": int(time.time()) + 36_000},
        {"exp": None},
        {"exp": "soon"},
        {"jti": None},
        {"jti": 7},
        {"key": "rsa", "alg": "RS256"},
    ],
)
def test_an_assertion_that_is_not_in_order_is_refused(stage: Stage, changed: dict[str, Any]) -> None:
    key = changed.get("key", "ec")
    rest = {name: value for name, value in changed.items() if name != "key"}
    if changed.get("jti") == 7 or changed.get("exp") == "soon":
        # The library refuses to sign such claims, so they are signed as they are.
        proof = _signed_raw(stage, {**rest})
    else:
        proof = assertion(stage, key, **rest)
    answer = ask(stage, proof)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def _signed_raw(stage: Stage, changed: dict[str, Any]) -> str:
    claims = {
        "iss": BACKEND,
        "sub": BACKEND,
        "aud": f"{stage.base}/smart/token",
        "exp": int(time.time()) + 200,
        "jti": "x",
        **changed,
    }
    header = {"alg": "ES384", "kid": "ec-1"}
    return jws.serialize_compact(header, json.dumps(claims).encode(), stage.keys["ec"], algorithms=["ES384"])


def test_an_unsigned_assertion_is_refused(stage: Stage) -> None:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    claims = {
        "iss": BACKEND,
        "sub": BACKEND,
        "aud": f"{stage.base}/smart/token",
        "exp": int(time.time()) + 60,
        "jti": "n",
    }
    for proof in (
        f"{part({'alg': 'none', 'kid': 'ec-1'})}.{part(claims)}.",
        f"{part({'alg': 'HS256', 'kid': 'ec-1'})}.{part(claims)}.AAAA",
        "no.jwt.at-all",
        "one",
        "",
        "[" * 5_000 + ".x.y",
        "x" * 10_000,
    ):
        assert ask(stage, proof).status_code in (400, 401), proof[:40]
    assert ask(stage, assertion(stage), client_assertion_type="password").status_code == 401
    assert ask(stage, assertion(stage), client_id="somebody").status_code == 401
    assert ask(stage, assertion(stage), scope="patient/*.rs").json()["error"] == "invalid_scope"


def test_clocks_that_differ_a_little_are_borne(stage: Stage) -> None:
    assert ask(stage, assertion(stage, exp=int(time.time()) - 5)).status_code == 200
    assert ask(stage, assertion(stage, exp=int(time.time()) + 310)).status_code == 200


def test_what_was_let_in_and_refused_is_in_the_audit_journal(stage: Stage, doctor: Walker) -> None:
    launched(stage, doctor, "own unit", "patient/*.rs")
    ask(stage, "x.y.z")
    events = stage.made.server._store.peek(
        lambda connection: [
            tuple(row) for row in connection.execute("SELECT event, patient_key, details FROM audit")
        ]
    )
    key = stage.persons["own unit"].there.patient_key
    assert any(
        event == "AUTHORIZE_APP" and person == key and APP in details for event, person, details in events
    )
    assert any(event == "LOGIN_REFUSED" and "smart" in details for event, _, details in events)


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("patient/*.read", "rs"),
        ("user/Observation.rs", "rs"),
        ("system/*.cruds", "rs"),
        ("patient/*.write", None),
        ("patient/Observation.", None),
        ("patient/observation.rs", None),
        ("patient/Observation.sr", None),
        ("patient/Observation.read?status=final", None),
        ("patient/Observation.rs?status=final", "rs"),
        ("everything/*.rs", None),
        ("", None),
    ],
)
def test_a_scope_is_understood_or_not(text: str, letters: str | None) -> None:
    scope = understood(text)
    assert (scope and "".join(sorted(scope.letters))) == letters


def test_a_client_gets_no_more_than_it_is_registered_for() -> None:
    allowed = ("patient/Observation.rs?category=imaging", "patient/Patient.r", "user/*.s")
    everything = frozenset({"patient", "user"})
    told = [each.text for each in granted("patient/*.rs patient/Observation.rs", allowed, everything)]
    assert told == ["patient/Observation.rs?category=imaging", "patient/Patient.r"]
    assert granted("patient/Observation.rs?category=laboratory", allowed, everything) == ()
    told = [each.text for each in granted("patient/Patient.rs user/Patient.cruds", allowed, everything)]
    assert told == ["patient/Patient.r", "user/Patient.s"]
    narrow = "patient/Observation.rs?category=imaging"
    assert [each.text for each in granted(narrow, allowed, everything)] == [narrow]
    assert granted(narrow, allowed, frozenset({"user"})) == ()


def test_private_or_shared_keys_do_not_start(tmp_path: Path) -> None:
    for keys in (
        {"keys": [a_key("EC", "x").as_dict(private=True)]},
        {"keys": [{"kty": "oct", "k": "AAAA", "kid": "x"}]},
        {"keys": []},
        {},
        [],
    ):
        file = tmp_path / "jwks.json"
        file.write_text(json.dumps(keys))
        backend = {"client_id": "b", "name": "B", "jwks_file": str(file)}
        instance = Instance(tmp_path / secrets.token_hex(4), changes={"backend": {NORD: [backend]}})
        instance._thread.start()
        with pytest.raises(ConfigurationError):
            instance.run(instance.server.start())
