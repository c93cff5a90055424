"""What a person sees where no page answers, and that it tells no more than before."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from samsyn import limits
from samsyn.endpoints.demo_idp.personas import PERSONAS
from samsyn.endpoints.viewer.history import mark_of
from tests.viewer.house import House, a_house
from tests.viewer.test_pages import STORY, post, related, visible

PERSON = {"accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as house:
        await house.fill(["tolvan"])
        yield house


async def test_an_unknown_address_is_a_page_in_the_readers_language_with_a_way_on(house: House) -> None:
    async with house.client() as client:
        page = await client.get("/nowhere", headers=PERSON)
        assert (page.status_code, page.headers["cache-control"]) == (404, "no-store")
        assert "content-security-policy" in page.headers
        assert "Sidan finns inte" in visible(page)
        assert 'href="/login">Till inloggningen' in page.text
        client.cookies.set("samsyn_language", "en")
        assert "To the log-in" in visible(await client.get("/nowhere/at/all", headers=PERSON))
    async with house.logged_in("gp") as client:
        assert 'href="/">Till sökningen' in (await client.get("/nowhere", headers=PERSON)).text
    async with house.logged_in("log-reviewer") as client:
        assert 'href="/">Till startsidan' in (await client.get("/nowhere", headers=PERSON)).text


async def test_what_is_hidden_what_is_not_there_and_an_unknown_address_are_the_same_bytes(
    house: House,
) -> None:
    async with house.logged_in("radiologist") as nord:
        there = (await nord.get(await related(nord))).text
        own = re.search(r"/p/([^/]+)/", there)[1]  # type: ignore[index]  # elsewhere there is no handle: fails
        seen = set(re.findall(r'/e/([^"]+)"', there))
    async with house.logged_in("gp") as client:
        base = await related(client)
        views = await house.gatekeeper.open_view(
            next(each.subject() for each in PERSONAS if each.key == "radiologist"),
            frozenset({(await house.lookup.by_number(STORY))[0].key}),
        )
        mine = (await client.get(base)).text
        marks = [
            mark_of(base.split("/")[2], each.reference)
            for each in await house.deps.history.examinations(views)
            if mark_of(own, each.reference) in seen
        ]
        hidden = next(each for each in marks if each not in mine)
        told = await client.get(f"{base}e/{hidden}", headers=PERSON)
        absent = await client.get(f"{base}e/{'0' * 24}", headers=PERSON)
        unknown = await client.get(f"{base}x/y", headers=PERSON)
        assert (told.status_code, absent.status_code, unknown.status_code) == (404, 404, 404)
        assert told.content == absent.content == unknown.content
        assert f'href="{base}">Till patientens sida' in told.text
        # A handle of nobody, or of somebody else's session, leads to no patient.
        async with house.logged_in("nurse") as other:
            pages = [
                await other.get(address, headers=PERSON)
                for address in (
                    base,
                    f"{base}e/{hidden}",
                    f"/p/{'x' * 24}/",
                    f"/p/{'x' * 24}/e/1",
                    "/nowhere",
                )
            ]
            assert {each.status_code for each in pages} == {404}
            assert len({each.content for each in pages}) == 1
            assert "/p/" not in pages[0].text


async def test_a_form_s_address_says_so_when_it_is_opened_and_leads_back_to_the_patient(house: House) -> None:
    async with house.logged_in("gp") as client:
        base = await related(client)
        page = await client.get(f"{base}filter", headers=PERSON)
        assert page.status_code == 405
        assert page.headers["allow"] == "POST"
        assert "kan inte öppnas så" in visible(page)
        assert f'href="{base}">Till patientens sida' in page.text
        assert 'class="patient"' not in page.text


async def test_what_is_too_large_and_what_is_refused_are_told_calmly(house: House) -> None:
    async with house.logged_in("gp") as client:
        base = await related(client)
        page = await client.get(base)
        large = await post(client, page, f"{base}filter", text="x" * (limits.MAX_FORM_BYTES + 1))
        assert large.status_code == 413
        assert "större än vad sidan tar emot" in visible(large)
        assert f'href="{base}"' in large.text
        refused = await client.get("/log", headers=PERSON)
        assert refused.status_code == 403
        assert "Ditt uppdrag ger inte rätt till detta" in visible(refused)
        assert 'href="/">Till sökningen' in refused.text


async def test_a_fault_of_ours_tells_when_it_was_and_nothing_of_what_it_is(house: House) -> None:
    async def broken(request: Request) -> Response:
        raise RuntimeError("191212121212")

    house.application.router.routes.insert(0, Route("/broken", broken))
    transport = httpx.ASGITransport(house.application, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=house.base) as client:
        page = await client.get("/broken", headers=PERSON)
        assert page.status_code == 500
        assert "Felet är vårt" in visible(page)
        assert re.search(r"Uppge tidpunkten om du hör av dig: \d{4}-\d\d-\d\d \d\d:\d\d", visible(page))
        assert "191212121212" not in page.text
        assert "RuntimeError" not in page.text
        plain = await client.get("/broken")
        assert (plain.status_code, plain.text) == (500, "Internal Server Error")


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/fhir+json", ""])
async def test_a_system_keeps_its_plain_answer(house: House, accept: str) -> None:
    async with house.client() as client:
        unknown = await client.get("/nowhere", headers={"accept": accept})
        assert (unknown.status_code, unknown.text) == (404, "Not Found")
        method = await client.get("/launch/tickets/x/y", headers={"accept": accept})
        assert method.text == "Not Found"
        wrong = await client.request("DELETE", "/launch/tickets", headers={"accept": accept})
        assert (wrong.status_code, wrong.text) == (405, "Method Not Allowed")
