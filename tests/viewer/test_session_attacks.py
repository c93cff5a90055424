"""Sessions under attack: fixed before the log-in, stolen log-ins, forms from elsewhere, ended by the provider."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio

from samsyn.endpoints.demo_idp.personas import PERSONAS
from tests.viewer.house import House, a_house, stay_inside
from tests.viewer.test_pages import token, visible


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as house:
        await stay_inside(house)
        await house.fill(["tolvan"])
        yield house


async def chosen(client: httpx.AsyncClient, persona: str) -> str:
    """The address that the identity provider sends the browser back to."""
    begun = await client.get("/login/start")
    page = await client.get(begun.headers["location"])
    request = re.search(r'name="request" value="([^"]+)"', page.text)[1]  # type: ignore[index]
    back = await client.post("/demo-idp/choose", data={"request": request, "persona": persona})
    place = urlsplit(back.headers["location"])
    return f"{place.path}?{place.query}"


async def test_a_session_that_an_attacker_fixed_before_is_not_the_one_that_is_logged_in(house: House) -> None:
    attacker = next(each for each in PERSONAS if each.key == "nurse")
    fixed, _ = house.sessions.open(attacker.subject())
    async with house.client() as victim:
        victim.cookies.set("samsyn-session", fixed, domain="127.0.0.1", path="/")
        done = await victim.get(await chosen(victim, "gp"))
        assert done.headers["location"] == "/"
        mine = re.search(r"samsyn-session=([^;]+)", done.headers["set-cookie"])[1]  # type: ignore[index]
        assert mine != fixed
        assert house.sessions.find(fixed) is None
        session = house.sessions.find(mine)
        assert session is not None
        assert session.subject.name == "Eva Lindgren"


async def test_a_victim_can_not_be_logged_in_as_the_attacker(house: House) -> None:
    async with house.client() as attacker, house.client() as victim:
        back = await chosen(attacker, "nurse")
        answer = await victim.get(back)
        assert answer.status_code == 403
        assert "samsyn-session" not in victim.cookies
        await victim.get("/login/start")
        assert (await victim.get(back)).status_code == 403
    events = [event for event, _ in await house.audited()]
    assert events.count("LOGIN_REFUSED") == 2
    assert "LOGIN" not in events


async def test_a_call_of_a_record_system_is_gone_on_with_after_the_log_in(house: House) -> None:
    async with house.client() as client:
        called = await client.post("/launch", data={"number": "191212121212"})
        await client.get(called.headers["location"])
        done = await client.get(await chosen(client, "gp"))
        assert done.headers["location"] == called.headers["location"]
        assert "samsyn-after" not in client.cookies


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example",
        "//evil.example/",
        "/\\evil.example/",
        "%2F%2Fevil.example",
        "/%0Aevil",
        "/%09/evil.example",
        "evil.example",
        "",
        "/" + "x" * 2_000,
    ],
)
async def test_a_log_in_leads_to_no_other_site(house: House, elsewhere: str) -> None:
    async with house.client() as client:
        client.cookies.set("samsyn-after", elsewhere, domain="127.0.0.1", path="/")
        done = await client.get(await chosen(client, "gp"))
        assert done.headers["location"] == "/"


async def test_the_cookie_is_hidden_from_scripts_and_from_other_sites(house: House) -> None:
    async with house.client() as client:
        done = await client.get(await chosen(client, "gp"))
        (cookie,) = [
            each for each in done.headers.get_list("set-cookie") if each.startswith("samsyn-session=")
        ]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert done.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("sent", ["", "{}", "a.b.c", "eyJhbGciOiJub25lIn0.e30."])
async def test_a_logout_token_that_nobody_signed_ends_nothing(house: House, sent: str) -> None:
    async with house.client() as client:
        await client.get(await chosen(client, "gp"))
        refused = await client.post("/login/backchannel", data={"logout_token": sent})
        assert refused.status_code == 400
        assert "Eva Lindgren" in visible(await client.get("/"))


async def test_a_form_of_an_earlier_session_does_nothing_in_the_next(house: House) -> None:
    async with house.client() as client:
        await client.get(await chosen(client, "gp"))
        old = token(await client.get("/"))
        await client.get(await chosen(client, "gp"))
        answer = await client.post("/find", data={"form_token": old, "number": "191212121212"})
        assert answer.status_code == 403


async def test_whoever_knocks_all_day_is_written_down_once_a_quarter(house: House) -> None:
    async with house.client() as client:
        for number in range(20):
            assert (await client.get(f"/login/callback?state=s{number}&code=c")).status_code == 403
            await client.post("/login/backchannel", data={"logout_token": f"{number}"})
            assert (
                await client.post("/login/saml/acs", data={"SAMLResponse": f"{number}"})
            ).status_code == 403
    assert [event for event, _ in await house.audited()].count("LOGIN_REFUSED") == 3
