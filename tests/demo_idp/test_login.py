"""Logging in through the demo identity provider with the real relying party, over real HTTP messages."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
import pytest
import pytest_asyncio
from starlette.applications import Starlette

from samsyn import limits
from samsyn.access.authentication.desk import LoginDesk
from samsyn.access.authentication.oidc import Registration, RelyingParty
from samsyn.access.authentication.sessions import Sessions
from samsyn.endpoints.demo_idp.personas import PERSONAS
from samsyn.endpoints.demo_idp.provider import DemoIdp
from samsyn.errors import ConfigurationError, NotAuthenticated
from samsyn.model.subject import Purpose, Scope, SubjectKind
from samsyn_demo.region import BY_KEY, REGION
from tests.access.house import House, a_house

BASE = "http://127.0.0.1:8080"
ISSUER = f"{BASE}/demo-idp"
BACK = f"{BASE}/login/callback"
OUT = f"{BASE}/login"


class Browser:
    """Client, relying party and desk around one demo provider."""

    def __init__(self, house: House) -> None:
        self.house = house
        clock = house.clock
        clients = {"samsyn": frozenset({BACK, OUT})}
        idp = DemoIdp(PERSONAS, ISSUER, clients, clock)
        self.application = Starlette(routes=idp.routes())
        self.http = self.client("127.0.0.1")
        registration = Registration(ISSUER, "samsyn", BACK, after_logout_uri=OUT)
        self.party = RelyingParty(registration, self.http, clock)
        self.sessions = Sessions(clock, house.gatekeeper.forget_session)

        async def find(number: str) -> int | None:
            return 1 if number == "191212121212" else None

        self.desk = LoginDesk(self.party, self.sessions, house.gatekeeper, find)

    def client(self, address: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.application, client=(address, 50_000))
        return httpx.AsyncClient(transport=transport, base_url=BASE)

    async def choose(self, address: str, persona: str, assignment: str = "") -> dict[str, str]:
        """What comes back to the redirect address after the choices."""
        page = await self.http.get(address)
        assert page.status_code == 200, page.text
        form = {"request": _request(page.text), "persona": persona}
        answer = await self.http.post(f"{ISSUER}/choose", data=form)
        if answer.status_code == 200:
            assert assignment in answer.text
            answer = await self.http.post(f"{ISSUER}/choose", data={**form, "assignment": assignment})
        assert answer.status_code == 303
        place = urlsplit(answer.headers["location"])
        assert answer.headers["location"].startswith(BACK)
        return dict(parse_qsl(place.query))


def _request(html: str) -> str:
    found = re.search(r'name="request" value="([^"]+)"', html)
    assert found
    return found[1]


@pytest_asyncio.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    async with a_house(tmp_path) as house:
        yield Browser(house)


async def log_in(browser: Browser, persona: str, assignment: str = ""):  # type: ignore[no-untyped-def]
    begun = await browser.desk.begin()
    back = await browser.choose(begun.address, persona, assignment)
    return await browser.desk.finish(
        state=back["state"], code=back["code"], binding=begun.binding, issuer=back["iss"]
    )


@pytest.mark.parametrize("persona", [p for p in PERSONAS if not p.number], ids=lambda p: p.key)
async def test_every_member_of_staff_logs_in_with_each_assignment(browser: Browser, persona) -> None:  # type: ignore[no-untyped-def]
    for place, assignment in enumerate(persona.assignments):
        secret, session = await log_in(browser, persona.key, assignment.hsa_id)
        expected = persona.subject(place)
        assert session.subject.assignment == expected.assignment
        assert session.subject.hsa_id == persona.employee
        assert session.subject.name == persona.name
        assert session.subject.roles == persona.roles
        assert session.subject.protected is persona.protected
        assert browser.sessions.find(secret) == session


async def test_a_patient_logs_in_as_himself_and_an_unknown_one_is_refused(browser: Browser) -> None:
    _, session = await log_in(browser, "patient")
    assert session.subject.kind is SubjectKind.PATIENT
    assert session.subject.patient_key == 1
    assert session.subject.assignment is None
    with pytest.raises(NotAuthenticated):
        await log_in(browser, "patient-two")
    assert await browser.house.events() == ["LOGIN", "LOGIN_REFUSED"]


async def test_log_in_and_log_out_are_in_the_journal_and_end_the_providers_session(browser: Browser) -> None:
    secret, _ = await log_in(browser, "gp")
    away = await browser.desk.log_out(secret)
    assert browser.sessions.find(secret) is None
    assert await browser.house.events() == ["LOGIN", "LOGOUT"]
    answer = await browser.http.get(away)
    assert answer.status_code == 303
    assert answer.headers["location"] == OUT
    assert await browser.desk.log_out(secret) == ""


async def test_changing_the_assignment_ends_the_session_before(browser: Browser) -> None:
    nord, klara = next(p for p in PERSONAS if p.key == "radiologist").assignments
    secret, before = await log_in(browser, "radiologist", nord.hsa_id)
    begun = await browser.desk.begin(choose_again=True)
    assert "prompt=select_account" in begun.address
    back = await browser.choose(begun.address, "radiologist", klara.hsa_id)
    _, after = await browser.desk.finish(
        state=back["state"], code=back["code"], binding=begun.binding, before=secret
    )
    assert browser.sessions.find(secret) is None
    assert after.subject.assignment == klara
    assert after.subject.session_id != before.subject.session_id


async def test_a_code_works_once_and_for_a_minute(browser: Browser) -> None:
    begun = await browser.party.begin()
    back = await browser.choose(begun.address, "gp")
    form = {
        "grant_type": "authorization_code",
        "code": back["code"],
        "client_id": "samsyn",
        "redirect_uri": BACK,
        "code_verifier": "x" * 43,
    }
    wrong = await browser.http.post(f"{ISSUER}/token", data=form)
    assert (wrong.status_code, wrong.json()) == (400, {"error": "invalid_grant"})
    with pytest.raises(NotAuthenticated):
        await browser.party.finish(state=back["state"], code=back["code"], binding=begun.binding)
    begun = await browser.party.begin()
    back = await browser.choose(begun.address, "gp")
    browser.house.clock.move(limits.CODE_SECONDS + 1)
    with pytest.raises(NotAuthenticated):
        await browser.party.finish(state=back["state"], code=back["code"], binding=begun.binding)


async def test_a_log_in_comes_back_once_to_the_browser_that_began_it_and_in_time(browser: Browser) -> None:
    for change in (
        {"binding": "x" * 43},
        {"state": "x" * 43},
        {"issuer": "http://evil.example"},
        {"code": "x"},
    ):
        begun = await browser.party.begin()
        back = await browser.choose(begun.address, "gp")
        given = {"state": back["state"], "code": back["code"], "binding": begun.binding, **change}
        with pytest.raises(NotAuthenticated):
            await browser.party.finish(**given)
    begun = await browser.party.begin()
    back = await browser.choose(begun.address, "gp")
    given = {"state": back["state"], "code": back["code"], "binding": begun.binding}
    await browser.party.finish(**given)
    with pytest.raises(NotAuthenticated):
        await browser.party.finish(**given)
    begun = await browser.party.begin()
    browser.house.clock.move(limits.LOGIN_SECONDS - 30)
    back = await browser.choose(begun.address, "gp")
    browser.house.clock.move(31)
    with pytest.raises(NotAuthenticated):
        await browser.party.finish(state=back["state"], code=back["code"], binding=begun.binding)


async def test_an_unknown_client_or_address_gets_a_page_and_never_a_redirect(browser: Browser) -> None:
    begun = await browser.party.begin()
    place = urlsplit(begun.address)
    for name, value in (
        ("client_id", "other"),
        ("redirect_uri", "http://evil.example/"),
        ("redirect_uri", f"{BACK}/../x"),
        ("redirect_uri", f"{BACK}?x=1"),
    ):
        asked = dict(parse_qsl(place.query)) | {name: value}
        answer = await browser.http.get(f"{ISSUER}/authorize", params=asked)
        assert answer.status_code == 400
        assert "location" not in answer.headers
    outside = await browser.http.get(
        f"{ISSUER}/end", params={"client_id": "samsyn", "post_logout_redirect_uri": "http://evil.example"}
    )
    assert outside.status_code == 200


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "profile"}, "invalid_scope"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"prompt": "none"}, "login_required"),
        ({"request": "x"}, "request_not_supported"),
    ],
)
async def test_a_faulty_request_goes_back_with_its_error(
    browser: Browser, change: dict[str, str], error: str
) -> None:
    begun = await browser.party.begin()
    asked = dict(parse_qsl(urlsplit(begun.address).query)) | change
    answer = await browser.http.get(f"{ISSUER}/authorize", params=asked)
    assert answer.status_code == 303
    told = parse_qs(urlsplit(answer.headers["location"]).query)
    assert told["error"] == [error]
    assert told["state"] == [asked["state"]]


async def test_the_pages_carry_a_strict_policy_and_the_demo_mark_in_both_languages(browser: Browser) -> None:
    for language, mark in (("sv", "påhittade personer"), ("en", "invented people only")):
        begun = await browser.party.begin(language=language)
        page = await browser.http.get(begun.address, headers={"accept-language": "en-GB,sv;q=0.5"})
        assert mark in page.text
        assert f'<html lang="{language}"' in page.text
        assert "Eva Lindgren" in page.text
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "<script" not in page.text
        assert "style=" not in page.text
        assert page.headers["cache-control"] == "no-store"


async def test_nobody_outside_this_machine_gets_an_answer(browser: Browser) -> None:
    stranger = browser.client("192.0.2.7")
    for path in ("/.well-known/openid-configuration", "/keys", "/authorize", "/end"):
        assert (await stranger.get(f"{ISSUER}{path}")).status_code == 403
    for path in ("/choose", "/token"):
        assert (await stranger.post(f"{ISSUER}{path}")).status_code == 403


@pytest.mark.parametrize(
    "issuer",
    ["https://127.0.0.1:8080/demo-idp", "http://127.0.0.1:8080/other", "http://samsyn.example/demo-idp", "x"],
)
def test_the_demo_provider_does_not_start_off_loopback(browser_clock: object, issuer: str) -> None:
    with pytest.raises(ConfigurationError):
        DemoIdp(PERSONAS, issuer, {}, browser_clock)  # type: ignore[arg-type]


@pytest.fixture
def browser_clock() -> object:
    from tests.access.house import HeldClock

    return HeldClock()


async def test_an_oversized_or_foreign_form_is_an_empty_one(browser: Browser) -> None:
    answer = await browser.http.post(f"{ISSUER}/token", content=b"x" * 100_000)
    assert answer.status_code == 400
    answer = await browser.http.post(f"{ISSUER}/choose", content=b"\xff\xfe")
    assert answer.status_code == 400


def test_the_personas_work_where_the_demo_region_says() -> None:
    units = {(p.hsa_id, u.hsa_id): (p.name, u.name) for p in REGION for u in p.units}
    staff = {s.hsa_id: s.name for p in REGION for s in p.staff}
    for persona in PERSONAS:
        for assignment in persona.assignments:
            place = (assignment.provider_hsa_id, assignment.unit_hsa_id)
            assert units[place] == (assignment.provider_name, assignment.unit_name)
        if persona.employee in staff:
            assert staff[persona.employee] == persona.name
    assert len({p.key for p in PERSONAS}) == len(PERSONAS)
    assert len({p.employee for p in PERSONAS if p.employee}) == len([p for p in PERSONAS if p.employee])


def test_the_personas_are_the_cast_that_the_demo_needs() -> None:
    cast = {persona.key: persona for persona in PERSONAS}
    gp = cast["gp"].subject()
    assert gp.assignment is not None
    assert gp.assignment.provider_hsa_id == BY_KEY["linden"].hsa_id
    assert gp.assignment.reading_scope() is Scope.CROSS_PROVIDER
    assert len({a.provider_hsa_id for a in cast["radiologist"].assignments}) == 2
    assert cast["nurse"].assignments[0].reading_scope() is Scope.PROVIDER
    assert cast["secretary"].assignments[0].purpose is Purpose.ADMINISTRATION
    for role in ("block-administrator", "log-reviewer", "exchange-desk", "steward"):
        assert role in cast[role].roles
    assert cast["researcher"].assignments[0].purpose is Purpose.RESEARCH
    assert cast["protected-staff"].subject().told_name == ""
    assert [persona.key for persona in PERSONAS if persona.number] == ["patient", "patient-two", "guardian"]
