"""The page on which a person sees the apps that are let in for him, and ends one."""

import re
from html import unescape

import httpx
import pytest

from samsyn.access.authentication.identification import SESSION_COOKIE
from samsyn.model.subject import Subject, SubjectKind
from tests.fhir.apps import Flow, Stage, launched
from tests.fhir.test_smart_tokens import PLAIN_APP, doctor, let_in, log_out, person, stage, works
from tests.fhir.walk import Walker

__all__ = ["doctor", "person", "stage"]

pytestmark = pytest.mark.slow


def cards(browser: httpx.Client) -> list[tuple[str, str]]:
    """(name, words) of what is let in."""
    page = browser.get("/apps")
    assert page.status_code == 200
    found = re.findall(r'<li class="card stack-tight">(.*?)</form>', page.text, re.S)
    return [
        (
            re.search(r'name="app" value="([^"]+)"', each)[1],  # type: ignore[index]  # a list without it fails
            " ".join(unescape(re.sub(r"<[^>]*>", " ", each)).split()),
        )
        for each in found
    ]


def end(browser: httpx.Client, name: str) -> httpx.Response:
    token = re.search(r'name="form_token" value="([^"]+)"', browser.get("/apps").text)
    assert token
    sent = {"form_token": token[1], "app": name}
    return browser.post("/apps/end", data=sent, follow_redirects=False)


@pytest.fixture(autouse=True)
def nothing_is_let_in(doctor: Walker) -> None:
    """A session that no test has logged out of lives on, with its apps."""
    for name, _ in cards(doctor.http):
        end(doctor.http, name)


def test_a_doctor_sees_what_is_let_in_for_whom_since_when_and_ends_one(stage: Stage, doctor: Walker) -> None:
    assert cards(doctor.http) == []
    assert "Ingen app är insläppt" in doctor.http.get("/apps").text
    flow, told = launched(stage, doctor, "own unit", "patient/ImagingStudy.rs online_access")
    _, plain = launched(stage, doctor, "own unit", "patient/*.rs", PLAIN_APP)
    (_, second), (name, first) = cards(doctor.http)
    number = stage.number("own unit")
    for each in (first, second):
        assert each.startswith("Bildappen")
        assert number in each
        assert re.search(r"Insläppt \d{4}-\d\d-\d\d \d\d:\d\d", each)
    assert "Slutar När du loggar ut Läser om" in first
    assert "Läsa: Bildundersökningar" in first
    assert "launch online_access patient/ImagingStudy.rs" in first
    assert "När du loggar ut, senast" in second
    assert "Läsa: Allt" in second

    assert end(doctor.http, name).headers["location"] == "/apps?ended=1"
    assert stage.fhir(told["access_token"], f"/ImagingStudy?patient={told['patient']}").status_code == 401
    assert flow.refresh(told["refresh_token"], 400)["error"] == "invalid_grant"
    assert works(stage, plain)
    ((last, _),) = cards(doctor.http)
    assert end(doctor.http, name).status_code == 404
    assert end(doctor.http, last).status_code == 303
    assert not works(stage, plain)
    assert cards(doctor.http) == []


def test_nobody_sees_or_ends_what_another_has_let_in(stage: Stage, doctor: Walker) -> None:
    _, told = launched(stage, doctor, "own unit", "patient/*.rs online_access")
    ((name, _),) = cards(doctor.http)
    colleague = Walker(stage.base)
    colleague.log_in("nurse")
    assert cards(colleague.http) == []
    assert end(colleague.http, name).status_code == 404
    assert works(stage, told)
    colleague.close()
    with httpx.Client(base_url=stage.base, trust_env=False) as nobody:
        assert nobody.get("/apps", follow_redirects=False).headers["location"] == "/login"
        forged = nobody.post("/apps/end", data={"app": name}, follow_redirects=False)
        assert forged.headers["location"] == "/login"
    assert works(stage, told)


def test_what_has_ended_otherwise_is_not_on_the_page(stage: Stage, doctor: Walker) -> None:
    _, plain = launched(stage, doctor, "own unit", "patient/*.rs", PLAIN_APP)
    assert len(cards(doctor.http)) == 1
    httpx.post(f"{stage.base}/smart/revoke", data={"token": plain["access_token"]}, trust_env=False)
    assert cards(doctor.http) == []
    _, told = launched(stage, doctor, "own unit", "patient/*.rs online_access")
    # The same app for another patient ends the first: two patients side by side are the top hazard.
    start = doctor.http.get("/").text
    (handle,) = re.findall(r'href="/p/([^/"]+)/"', start)
    token = re.search(r'name="form_token" value="([^"]+)"', start)[1]  # type: ignore[index]  # a page without it fails
    doctor.http.post(f"/p/{handle}/close", data={"form_token": token})
    launched(stage, doctor, "own provider", "patient/*.rs online_access")
    ((_, words),) = cards(doctor.http)
    assert stage.number("own provider") in words
    assert not works(stage, told)
    log_out(doctor.http)
    again = Walker(stage.base)
    again.log_in("gp")
    assert cards(again.http) == []
    again.close()


def test_a_private_person_ends_an_app_that_goes_on_without_him(stage: Stage, person: httpx.Client) -> None:
    flow, told = let_in(stage, person, "launch/patient patient/*.rs openid offline_access")
    ((_, words),) = cards(person)
    assert "Läser om Dig" in words
    assert "Veta vem du är" in words
    assert "också när du inte är inloggad" in words
    log_out(person)
    told = flow.refresh(told["refresh_token"])
    key = stage.persons["own unit"].there.patient_key
    who = Subject(SubjectKind.PATIENT, f"patient-{key}", "Ett Namn", None, "", frozenset(), key)
    secret, _ = stage.made.server._sessions.open(who)
    headers = {"origin": stage.base, "sec-fetch-site": "same-origin"}
    with httpx.Client(
        base_url=stage.base, headers=headers, trust_env=False, cookies={SESSION_COOKIE: secret}
    ) as later:
        ((name, _),) = cards(later)
        assert end(later, name).status_code == 303
        assert cards(later) == []
    assert not works(stage, told)
    assert flow.refresh(told["refresh_token"], 400)["error"] == "invalid_grant"


def test_an_app_that_was_ended_before_it_came_for_its_tokens_is_asked_again(
    stage: Stage, doctor: Walker
) -> None:
    """Only what has tokens stands on the page: a code alone reads nothing, and is gone after a minute."""
    flow = Flow(stage, doctor.http)
    launch = stage.launch("own unit").json()
    answer = flow.follow(flow.authorize("launch patient/*.rs online_access", launch=launch["launch"]))
    assert cards(doctor.http) == []
    flow.redeem(flow.told(answer)["code"])
    assert len(cards(doctor.http)) == 1
