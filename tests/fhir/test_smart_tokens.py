"""What follows from letting an app in: refresh tokens and their theft, who let it in, and apps of other origins."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from samsyn.access.authentication.identification import SESSION_COOKIE
from samsyn.model.subject import Subject, SubjectKind
from tests.doors.instance import running
from tests.doors.world import STATES
from tests.fhir.apps import APP, BACK, DOCTOR, SECRET, SECRET_APP, Flow, Stage, launched
from tests.fhir.structure import complaints
from tests.fhir.walk import Walker

pytestmark = pytest.mark.slow

PLAIN_APP = "plain-app"
ORIGIN = "https://app.example.org"
PERSONS = tuple(
    next(state for state in STATES if state.name == name) for name in ("own unit", "own provider")
)
BESIDE = ["openid", "fhirUser", "online_access", "offline_access"]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    def app(client_id: str, scope: list[str], **more: Any) -> dict[str, Any]:
        return {"client_id": client_id, "name": "Bildappen", "redirect_uri": [BACK], "scope": scope, **more}

    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    apps = [
        app(APP, ["patient/*.rs", "user/*.rs", *BESIDE], offline_days=7, cors_origins=[ORIGIN]),
        app(SECRET_APP, ["patient/*.rs", "online_access"], secret_sha256=digest),
        app(PLAIN_APP, ["patient/*.rs"]),
    ]
    with running(Path(tmp_path_factory.mktemp("tokens")) / "data", changes={"app": apps}) as made:
        planted = made.plant(PERSONS)
        yield Stage(made, {each.state.name: each for each in planted}, {})


@pytest.fixture
def doctor(stage: Stage) -> Iterator[Walker]:
    walker = Walker(stage.base)
    walker.log_in("gp")
    yield walker
    walker.close()


@pytest.fixture
def person(stage: Stage) -> Iterator[httpx.Client]:
    """The browser of the private person whom something is stored about."""
    key = stage.persons["own unit"].there.patient_key
    who = Subject(SubjectKind.PATIENT, f"patient-{key}", "Ett Namn", None, "", frozenset(), key)
    secret, _ = stage.made.server._sessions.open(who)
    headers = {"origin": stage.base, "sec-fetch-site": "same-origin"}
    with httpx.Client(
        base_url=stage.base, headers=headers, trust_env=False, timeout=60, cookies={SESSION_COOKIE: secret}
    ) as browser:
        yield browser


def let_in(stage: Stage, browser: httpx.Client, scope: str, **more: str) -> tuple[Flow, dict[str, Any]]:
    """A standalone launch by the person himself, to its tokens."""
    flow = Flow(stage, browser)
    page = flow.follow(flow.authorize(scope, **more))
    return flow, flow.redeem(flow.told(flow.press(page))["code"])


def works(stage: Stage, told: dict[str, Any]) -> bool:
    status = stage.fhir(told["access_token"], f"/Patient/{told['patient']}").status_code
    assert status in (200, 401)
    return status == 200


def log_out(browser: httpx.Client) -> None:
    token = re.search(r'name="form_token" value="([^"]+)"', browser.get("/", follow_redirects=True).text)
    assert token
    browser.post("/logout", data={"form_token": token[1]}, follow_redirects=False)


# -- refreshing


def test_an_app_goes_on_while_the_session_lasts_and_no_longer(stage: Stage, doctor: Walker) -> None:
    flow, first = launched(stage, doctor, "own unit", "patient/*.rs online_access")
    assert first["scope"] == "launch online_access patient/*.rs"
    second = flow.refresh(first["refresh_token"])
    assert second["patient"] == first["patient"]
    assert second["refresh_token"] != first["refresh_token"]
    assert works(stage, second)
    assert not works(stage, first), "one access token of a letting in counts at a time"
    log_out(doctor.http)
    assert not works(stage, second)
    assert flow.refresh(second["refresh_token"], 400)["error"] == "invalid_grant"


def test_staff_never_let_an_app_go_on_without_them(stage: Stage, doctor: Walker) -> None:
    _, told = launched(stage, doctor, "own unit", "patient/*.rs offline_access")
    assert told["scope"] == "launch online_access patient/*.rs"
    page = Flow(stage, doctor.http)
    shown = page.follow(page.authorize("user/*.rs offline_access"))
    assert "7 dagar" not in shown.text


def test_a_private_person_may_let_an_app_go_on_when_he_has_logged_out(
    stage: Stage, person: httpx.Client
) -> None:
    flow = Flow(stage, person)
    page = flow.follow(flow.authorize("launch/patient patient/*.rs offline_access"))
    assert "7 dagar" in page.text
    first = flow.redeem(flow.told(flow.press(page))["code"])
    assert first["scope"] == "launch/patient offline_access patient/*.rs"
    log_out(person)
    second = flow.refresh(first["refresh_token"])
    assert second["patient"] == stage.persons["own unit"].there.fhir_id
    assert works(stage, second)
    other = stage.persons["own provider"].there.fhir_id
    assert stage.fhir(second["access_token"], f"/Patient/{other}").status_code == 404
    httpx.post(f"{stage.base}/smart/revoke", data={"token": second["refresh_token"]}, trust_env=False)
    assert not works(stage, second)
    assert flow.refresh(second["refresh_token"], 400)["error"] == "invalid_grant"


def test_a_refresh_token_that_comes_again_ends_all_that_came_of_it(stage: Stage, doctor: Walker) -> None:
    flow, first = launched(stage, doctor, "own unit", "patient/*.rs online_access")
    second = flow.refresh(first["refresh_token"])
    third = flow.refresh(second["refresh_token"])
    # The thief, or the app itself after a thief: nobody can tell which of the two has the newest one.
    assert "used before" in flow.refresh(first["refresh_token"], 400)["error_description"]
    assert not works(stage, third)
    assert flow.refresh(third["refresh_token"], 400)["error"] == "invalid_grant"
    # Another letting in of the same app is nobody's theft.
    _, other = launched(stage, doctor, "own unit", "patient/*.rs online_access")
    assert works(stage, other)


def test_a_code_that_comes_again_ends_the_refresh_tokens_too(stage: Stage, doctor: Walker) -> None:
    flow = Flow(stage, doctor.http)
    launch = stage.launch("own unit").json()["launch"]
    code = flow.told(flow.follow(flow.authorize("launch patient/*.rs online_access", launch=launch)))["code"]
    second = flow.refresh(flow.redeem(code)["refresh_token"])
    assert flow.redeem(code, 400)["error"] == "invalid_grant"
    assert not works(stage, second)
    assert flow.refresh(second["refresh_token"], 400)["error"] == "invalid_grant"


def test_a_refresh_token_is_worth_nothing_to_another_app(stage: Stage, doctor: Walker) -> None:
    flow, told = launched(stage, doctor, "own unit", "patient/*.rs online_access")
    for client_id in (PLAIN_APP, SECRET_APP, "unknown", ""):
        assert flow.refresh(told["refresh_token"], 400, client_id=client_id)["error"] == "invalid_grant"
    wrong = flow.refresh(told["refresh_token"], 400, auth=(SECRET_APP, SECRET))
    assert wrong["error"] == "invalid_grant"
    # None of that used it up.
    assert works(stage, flow.refresh(told["refresh_token"]))


def test_an_app_with_a_secret_proves_itself_at_each_refresh(stage: Stage, doctor: Walker) -> None:
    flow = Flow(stage, doctor.http, SECRET_APP)
    launch = stage.launch("own unit").json()["launch"]
    code = flow.told(flow.follow(flow.authorize("launch patient/*.rs online_access", launch=launch)))["code"]
    told = flow.redeem(code, auth=(SECRET_APP, SECRET))
    assert flow.refresh(told["refresh_token"], 401)["error"] == "invalid_client"
    assert flow.refresh(told["refresh_token"], 401, client_secret="a guess")["error"] == "invalid_client"
    assert works(stage, flow.refresh(told["refresh_token"], auth=(SECRET_APP, SECRET)))


@pytest.mark.parametrize("token", ["", "ref.", "ref.unknown.secret", "app.unknown", "x" * 3_000])
def test_what_is_no_refresh_token_gives_nothing(stage: Stage, doctor: Walker, token: str) -> None:
    assert Flow(stage, doctor.http).refresh(token, 400)["error"] == "invalid_grant"


def test_a_forged_secret_of_a_known_family_is_taken_for_a_theft(stage: Stage, doctor: Walker) -> None:
    flow, told = launched(stage, doctor, "own unit", "patient/*.rs online_access")
    stem = told["refresh_token"].rpartition(".")[0]
    assert flow.refresh(f"{stem}.{'A' * 43}", 400)["error"] == "invalid_grant"
    assert not works(stage, told)


def test_an_access_token_is_no_refresh_token_and_the_other_way_round(stage: Stage, doctor: Walker) -> None:
    flow, told = launched(stage, doctor, "own unit", "patient/*.rs online_access")
    assert flow.refresh(told["access_token"], 400)["error"] == "invalid_grant"
    assert stage.fhir(told["refresh_token"], f"/Patient/{told['patient']}").status_code == 401


def test_a_refresh_may_ask_for_less_and_never_for_more(stage: Stage, doctor: Walker) -> None:
    flow, told = launched(
        stage, doctor, "own unit", "patient/Patient.rs patient/Observation.rs online_access"
    )
    for more in ("patient/*.rs", "user/Patient.rs", "patient/Patient.rs patient/ImagingStudy.rs"):
        assert flow.refresh(told["refresh_token"], 400, scope=more)["error"] == "invalid_scope"
    less = flow.refresh(told["refresh_token"], scope="patient/Patient.rs")
    assert less["scope"] == "patient/Patient.rs"
    about = f"/Observation?patient={told['patient']}"
    assert stage.fhir(less["access_token"], about).status_code == 403
    whole = flow.refresh(less["refresh_token"])
    assert whole["scope"] == told["scope"]
    assert stage.fhir(whole["access_token"], about).status_code == 200


def test_a_new_patient_ends_the_app_s_refresh_tokens_for_the_last_one(stage: Stage, doctor: Walker) -> None:
    flow, first = launched(stage, doctor, "own unit", "patient/*.rs online_access")
    session = stage.made.server._smart.find(first["access_token"]).subject.session_id
    stage.made.server._opened.forget(session)  # the patient's page is closed
    _, second = launched(stage, doctor, "own provider", "patient/*.rs online_access")
    assert flow.refresh(first["refresh_token"], 400)["error"] == "invalid_grant"
    assert works(stage, second)


def test_an_app_that_is_not_registered_for_it_gets_no_refresh_token(stage: Stage, doctor: Walker) -> None:
    _, told = launched(stage, doctor, "own unit", f"patient/*.rs {' '.join(BESIDE)}", PLAIN_APP)
    assert told["scope"] == "launch patient/*.rs"
    assert not {"refresh_token", "id_token"} & set(told)


# -- who it is


def test_the_id_token_says_who_let_the_app_in(stage: Stage, doctor: Walker) -> None:
    flow = Flow(stage, doctor.http)
    launch = stage.launch("own unit").json()["launch"]
    asked = flow.authorize("launch openid fhirUser patient/ImagingStudy.rs", launch=launch, nonce="n-17")
    told = flow.redeem(flow.told(flow.follow(asked))["code"])
    public = httpx.get(f"{stage.base}/fhir/.well-known/smart-configuration", trust_env=False).json()
    provider = httpx.get(f"{public['issuer']}/.well-known/openid-configuration", trust_env=False).json()
    assert provider["issuer"] == public["issuer"]
    assert provider["jwks_uri"] == public["jwks_uri"]
    keys = httpx.get(public["jwks_uri"], trust_env=False).json()
    assert all("d" not in key for key in keys["keys"])
    read = jwt.decode(told["id_token"], KeySet.import_key_set(keys), algorithms=["RS256"])
    assert read.header["kid"] == keys["keys"][0]["kid"]
    claims = read.claims
    own = f"{stage.base}/fhir/Practitioner/{DOCTOR}"
    assert (claims["iss"], claims["aud"], claims["nonce"]) == (public["issuer"], APP, "n-17")
    assert (claims["sub"], claims["fhirUser"]) == (DOCTOR, own)
    assert claims["exp"] - claims["iat"] == 3_600
    assert "name" not in claims
    # fhirUser opens the person himself, and no other and nothing else.
    me = stage.fhir(told["access_token"], f"/Practitioner/{DOCTOR}")
    assert me.status_code == 200
    assert complaints(me.json()) == []
    assert me.json()["name"] == [{"text": "Eva Lindgren"}]
    assert stage.fhir(told["access_token"], "/Practitioner/SE9990000001-9005").status_code in (403, 404)
    assert stage.fhir(told["access_token"], f"/Patient/{told['patient']}").status_code == 403


def test_without_openid_nothing_is_told(stage: Stage, doctor: Walker) -> None:
    _, told = launched(stage, doctor, "own unit", "fhirUser patient/ImagingStudy.rs")
    assert told["scope"] == "launch patient/ImagingStudy.rs"
    assert "id_token" not in told
    assert stage.fhir(told["access_token"], f"/Practitioner/{DOCTOR}").status_code == 403


def test_an_app_may_want_to_know_who_it_is_and_nothing_else(stage: Stage, person: httpx.Client) -> None:
    _, told = let_in(stage, person, "openid fhirUser", nonce="n")
    assert told["scope"] == "openid fhirUser"
    keys = KeySet.import_key_set(httpx.get(f"{stage.base}/smart/keys", trust_env=False).json())
    claims = jwt.decode(told["id_token"], keys, algorithms=["RS256"]).claims
    own = stage.persons["own unit"].there.fhir_id
    assert claims["fhirUser"] == f"{stage.base}/fhir/Patient/{own}"
    assert stage.fhir(told["access_token"], f"/Patient/{own}").status_code == 200
    assert stage.fhir(told["access_token"], f"/ImagingStudy?patient={own}").status_code == 403
    other = stage.persons["own provider"].there.fhir_id
    assert stage.fhir(told["access_token"], f"/Patient/{other}").status_code == 403


def test_a_reader_reads_himself_and_nobody_else_as_practitioner(stage: Stage, doctor: Walker) -> None:
    assert doctor.http.get(f"/fhir/Practitioner/{DOCTOR}").json()["id"] == DOCTOR
    assert doctor.http.get("/fhir/Practitioner/SE9990000001-9005").status_code == 404
    hidden = Walker(stage.base)
    hidden.log_in("protected-staff")
    told = hidden.http.get("/fhir/Practitioner/SE9990000004-9103")
    assert complaints(told.json()) == []
    assert "name" not in told.json()
    hidden.close()


def test_a_nonce_has_an_end(stage: Stage, doctor: Walker) -> None:
    flow = Flow(stage, doctor.http)
    told = flow.told(flow.authorize("openid user/*.rs", nonce="n" * 301))
    assert told["error"] == "invalid_request"


# -- browsers


def asked_from(stage: Stage, origin: str, path: str, method: str = "GET", **more: Any) -> httpx.Response:
    headers = {"Origin": origin, **more.pop("headers", {})}
    return httpx.request(method, f"{stage.base}{path}", headers=headers, trust_env=False, **more)


def test_pages_of_a_registered_origin_call_fhir_and_the_token_endpoint(stage: Stage, doctor: Walker) -> None:
    _, told = launched(stage, doctor, "own unit", "patient/*.rs online_access")
    for path, method in ((f"/fhir/Patient/{told['patient']}", "GET"), ("/smart/token", "POST")):
        before = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": "authorization"}
        answer = asked_from(stage, ORIGIN, path, "OPTIONS", headers=before)
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "authorization" in answer.headers["access-control-allow-headers"].lower()
        assert method in answer.headers["access-control-allow-methods"]
        assert "access-control-allow-credentials" not in answer.headers
        stranger = asked_from(stage, "https://elsewhere.example", path, "OPTIONS", headers=before)
        assert "access-control-allow-origin" not in stranger.headers
        assert "access-control-allow-methods" not in stranger.headers
    bearer = {"Authorization": f"Bearer {told['access_token']}"}
    read = asked_from(stage, ORIGIN, f"/fhir/Patient/{told['patient']}", headers=bearer)
    assert (read.status_code, read.headers["access-control-allow-origin"]) == (200, ORIGIN)
    assert "ETag" in read.headers["access-control-expose-headers"]
    refused = asked_from(stage, ORIGIN, "/fhir/Patient/x")
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, ORIGIN)
    form = {"grant_type": "refresh_token", "refresh_token": told["refresh_token"], "client_id": APP}
    fresh = asked_from(stage, ORIGIN, "/smart/token", "POST", data=form)
    assert (fresh.status_code, fresh.headers["access-control-allow-origin"]) == (200, ORIGIN)
    again = asked_from(stage, "https://elsewhere.example", f"/fhir/Patient/{told['patient']}", headers=bearer)
    assert "access-control-allow-origin" not in again.headers
    assert "Origin" in again.headers["vary"]


def test_what_everybody_is_told_may_be_read_from_anywhere_and_no_page_may_launch(stage: Stage) -> None:
    for path in ("/fhir/metadata", "/fhir/.well-known/smart-configuration", "/smart/keys"):
        answer = asked_from(stage, "https://elsewhere.example", path)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "*"), path
    for path in ("/smart/launches", "/smart/authorize", "/login"):
        answer = asked_from(stage, ORIGIN, path, "POST" if path.endswith("launches") else "GET")
        assert "access-control-allow-origin" not in answer.headers, path


# -- what is told


def test_the_configuration_tells_exactly_what_there_is(stage: Stage) -> None:
    told = httpx.get(f"{stage.base}/fhir/.well-known/smart-configuration", trust_env=False).json()
    assert set(BESIDE) <= set(told["scopes_supported"])
    assert "refresh_token" in told["grant_types_supported"]
    assert {"permission-online", "permission-offline", "sso-openid-connect"} <= set(told["capabilities"])
    statement = httpx.get(f"{stage.base}/fhir/metadata", trust_env=False).json()
    assert complaints(statement) == []
    assert statement["rest"][0]["security"]["cors"] is True


def test_tokens_are_nowhere_in_the_audit_journal(stage: Stage, doctor: Walker) -> None:
    flow, first = launched(stage, doctor, "own unit", "patient/*.rs openid fhirUser online_access")
    second = flow.refresh(first["refresh_token"])
    flow.refresh(first["refresh_token"], 400)
    rows = stage.made.server._store.peek(
        lambda connection: [tuple(row) for row in connection.execute("SELECT event, details FROM audit")]
    )
    text = json.dumps(rows)
    for told in (first, second):
        assert told["access_token"] not in text
        assert told["refresh_token"] not in text
    refused = [details for event, details in rows if event == "LOGIN_REFUSED" and "used before" in details]
    assert refused, "a refresh token that comes again is in the journal"
