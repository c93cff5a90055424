"""After a log-in a reader is where he wanted to be: the same page, for him alone, and nothing is sent twice."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import httpx
import pytest
import pytest_asyncio

from samsyn import limits
from samsyn.endpoints.demo_idp.personas import PERSONAS
from samsyn_demo.people import BY_KEY as PEOPLE
from tests.viewer.house import House, a_house, stay_inside
from tests.viewer.test_pages import post, related, visible
from tests.viewer.test_session_attacks import chosen

AFTER = "samsyn-after"


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as house:
        await stay_inside(house)
        await house.fill(["tolvan", "dahl"])
        yield house


async def log_in(client: httpx.AsyncClient, persona: str) -> str:
    """Where the browser goes after the log-in."""
    return (await client.get(await chosen(client, persona))).headers["location"]


async def reading(client: httpx.AsyncClient) -> tuple[str, str]:
    """Logged in and reading: the patient's address and that of an examination."""
    await log_in(client, "gp")
    base = await related(client)
    page = await client.get(base)
    return base, re.findall(r'href="(/p/[^"]+/e/[^"]+)"', page.text)[0]


def expire(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    began = house.clock.monotonic()
    monkeypatch.setattr(house.clock, "monotonic", lambda: began + limits.SESSION_IDLE_S + 1)


async def test_an_expired_session_is_gone_on_with_at_the_same_examination(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house.client() as client:
        base, examination = await reading(client)
        shown = await client.get(examination)
        expire(house, monkeypatch)
        away = await client.get(f"{examination}?changed=1")
        assert away.headers["location"] == "/login?because=expired"
        assert await log_in(client, "gp") == f"{examination}?changed=1"
        assert AFTER not in client.cookies
        again = await client.get(examination)
        assert (again.status_code, visible(again)) == (200, visible(shown))
        told = [details for event, details in await house.audited() if event == "SEARCH_PATIENT"]
        assert len([each for each in told if '"again"' in each]) == 1
        assert (await client.get(base)).status_code == 200


async def test_nobody_else_is_led_to_the_patient_and_another_assignment_seeks_him_anew(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house.client() as client:
        base, examination = await reading(client)
        expire(house, monkeypatch)
        await client.get(examination)
        assert await log_in(client, "nurse") == "/"
        assert AFTER not in client.cookies
        assert (await client.get(examination)).status_code == 404
        assert (await client.get(f"{base}pulse")).status_code == 404
    radiologist = next(each for each in PERSONAS if each.key == "radiologist")
    assert len(radiologist.assignments) > 1
    async with house.logged_in("radiologist", 0) as client:
        base = await related(client)
        expire(house, monkeypatch)
        await client.get(base)
        subject = radiologist.subject(1)
        secret, session = house.sessions.open(replace(subject, assignment=None), "", radiologist.assignments)
        client.cookies.set("samsyn-session", secret, domain="127.0.0.1")
        page = await client.get("/assignment/choose")
        other = radiologist.assignments[1].hsa_id
        answer = await post(client, page, "/assignment/choose", assignment=other)
        assert answer.headers["location"] == "/", session


async def test_a_log_out_and_a_closed_patient_leave_nothing_to_go_on_with(house: House) -> None:
    async with house.client() as client:
        base, examination = await reading(client)
        await post(client, await client.get(base), f"{base}close")
        client.cookies.delete("samsyn-session")
        await client.get(examination)
        assert await log_in(client, "gp") == "/"
        base, examination = await reading(client)
        await post(client, await client.get(base), "/logout")
        assert (await client.get(examination)).headers["location"] == "/login"
        assert await log_in(client, "gp") == "/"


async def test_the_choice_of_an_assignment_lies_in_between(house: House) -> None:
    radiologist = next(each for each in PERSONAS if each.key == "radiologist")
    async with house.client() as client:
        called = await client.post("/launch", data={"number": "191212121212"})
        address = called.headers["location"]
        await client.get(address)
        waiting = replace(radiologist.subject(), assignment=None)
        secret, _ = house.sessions.open(waiting, "", radiologist.assignments)
        client.cookies.set("samsyn-session", secret, domain="127.0.0.1")
        for _ in range(2):
            assert (await client.get(address)).headers["location"] == "/assignment/choose"
        page = await client.get("/assignment/choose")
        first = radiologist.assignments[0].hsa_id
        answer = await post(client, page, "/assignment/choose", assignment=first)
        assert answer.headers["location"] == address
        assert AFTER not in client.cookies
        assert "191212121212" in visible(await client.get(address))


async def test_a_form_is_not_sent_again_its_patients_page_is_shown(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house.client() as client:
        base, _ = await reading(client)
        page = await client.get(base)
        expire(house, monkeypatch)
        away = await post(client, page, f"{base}ground/emergency", attest="yes")
        assert away.headers["location"] == "/login?because=expired"
        assert await log_in(client, "gp") == base
        assert "REGISTER_GROUND" not in dict(await house.audited())
        assert not [event for event, _ in await house.audited() if "CONSENT" in event or "EMERGENCY" in event]
        expire(house, monkeypatch)
        await post(client, page, "/find", number=PEOPLE["dahl"].number)
        assert AFTER not in client.cookies


async def test_only_pages_are_gone_on_with_and_a_part_of_a_page_leads_to_its_page(house: House) -> None:
    async with house.client() as client:
        for kind in ("image", "script", "iframe", "empty"):
            await client.get("/p/" + "x" * 24 + "/e/1", headers={"sec-fetch-dest": kind})
            assert AFTER not in client.cookies, kind
        part = {"hx-request": "true", "hx-current-url": f"{house.base}/p/{'x' * 24}/e/1"}
        answer = await client.post(f"/p/{'x' * 24}/filter", headers=part)
        assert answer.headers["hx-redirect"] == "/login?because=expired"
        assert unquote(client.cookies[AFTER]) == f"/p/{'x' * 24}/"
    async with house.client() as client:
        part = {"hx-request": "true", "hx-current-url": f"https://evil.example/p/{'x' * 24}/"}
        await client.post(f"/p/{'x' * 24}/filter", headers=part)
        assert AFTER not in client.cookies


async def test_the_address_is_hidden_from_scripts_other_sites_and_logs(house: House) -> None:
    async with house.client() as client:
        away = await client.get("/log?page=2")
        assert away.headers["location"] == "/login"
        cookie = away.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert f"Max-Age={limits.LOGIN_SECONDS}" in cookie
        assert await log_in(client, "log-reviewer") == "/log?page=2"
