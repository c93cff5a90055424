"""A record system opens a patient: by its page's form or its server's ticket, and never two patients side by side."""

import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import httpx
import pytest
import pytest_asyncio
from starlette.applications import Starlette

from samsyn import limits
from samsyn.endpoints.viewer.routes import viewer_door
from samsyn.providers.connections import Connections
from samsyn.settings import TokenSettings
from samsyn_demo.people import BY_KEY as PEOPLE
from tests.viewer.house import House, a_house
from tests.viewer.test_pages import STORY, post, related, visible

GP = "SE9990000004-9001"
EHR = {"origin": "https://ehr.region.example", "sec-fetch-site": "cross-site"}


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as house:
        await house.fill(["tolvan", "dahl"])
        providers = []
        for provider in house.settings.provider:
            token = TokenSettings(name="EHR", sha256=hashlib.sha256(provider.hsa_id.encode()).hexdigest())
            providers.append(provider.model_copy(update={"token": (*provider.token, token)}))
        settings = house.settings.model_copy(update={"provider": tuple(providers)})
        deps = replace(house.deps, connections=Connections(settings))
        house.application = Starlette(routes=viewer_door(deps).routes)
        yield house


async def called(house: House, number: str = STORY) -> str:
    """The address that a record system's form leads to; its page sends no cookies of ours."""
    async with house.client() as bare:
        answer = await bare.post("/launch", data={"number": number}, headers=EHR)
    assert answer.status_code == 303
    return answer.headers["location"]


async def ticket(
    house: House, number: str = STORY, employee: str = GP, provider: str = "SE9990000004-0001"
) -> httpx.Response:
    """What a record system's server gets for its own call."""
    async with house.client() as bare:
        return await bare.post(
            "/launch/tickets",
            data={"number": number, "employee": employee},
            headers={"authorization": f"Bearer {provider}"},
        )


async def test_a_form_from_a_record_system_is_a_suggestion_that_the_reader_confirms(house: House) -> None:
    address = await called(house, "19121212-1212")
    assert STORY not in address
    async with house.logged_in("gp") as client:
        page = await client.get(address)
        assert "19121212-1212" in visible(page)
        assert "Tolvan" not in page.text
        assert "SEARCH_PATIENT" not in dict(await house.audited())
        opened = await post(client, page, address)
        assert re.fullmatch(r"/p/[\w-]+/", opened.headers["location"])
        searches = [details for event, details in await house.audited() if event == "SEARCH_PATIENT"]
        assert any("launch" in details for details in searches)
        page_of_patient = await client.get(opened.headers["location"])
        assert page_of_patient.headers["location"] == f"{opened.headers['location']}relation"
        assert (await post(client, page, address)).status_code == 404


async def test_a_ticket_of_the_own_providers_system_opens_at_once_and_once(house: House) -> None:
    made = await ticket(house)
    assert made.status_code == 201
    async with house.logged_in("gp") as client:
        opened = await client.get(made.json()["address"])
        assert re.fullmatch(r"/p/[\w-]+/", opened.headers["location"])
        assert (await client.get(made.json()["address"])).status_code == 404


@pytest.mark.parametrize(
    ("employee", "provider"),
    [("SE9990000004-9999", "SE9990000004-0001"), (GP, "SE9990000001-0001")],
    ids=["made for a colleague", "made by another provider's system"],
)
async def test_a_ticket_for_somebody_else_opens_nothing_by_itself(
    house: House, employee: str, provider: str
) -> None:
    made = await ticket(house, employee=employee, provider=provider)
    async with house.logged_in("gp") as client:
        page = await client.get(made.json()["address"])
        assert page.status_code == 200
        assert "Öppna patienten från journalen?" in visible(page)


async def test_patient_b_closes_patient_a_in_every_window(house: House) -> None:
    async with house.logged_in("gp") as client:
        first = await related(client)
        assert (await client.get(f"{first}pulse")).status_code == 200
        address = await called(house, PEOPLE["dahl"].number)
        page = await client.get(address)
        assert "En annan patient är öppen" in visible(page)
        assert (await client.get(f"{first}pulse")).status_code == 200
        opened = await post(client, page, address)
        assert (await client.get(f"{first}pulse")).status_code == 404
        assert (await client.get(first)).status_code == 404
        assert (await client.get(f"{opened.headers['location']}pulse")).status_code == 200


async def test_the_same_patient_again_keeps_the_open_pages(house: House) -> None:
    async with house.logged_in("gp") as client:
        first = await related(client)
        opened = await client.get((await ticket(house)).json()["address"])
        assert opened.headers["location"] == first


async def test_an_unknown_number_closes_what_was_open_and_says_so(house: House) -> None:
    async with house.logged_in("gp") as client:
        first = await related(client)
        page = await client.get((await ticket(house, "189001019802")).json()["address"])
        assert page.status_code == 404
        assert "kunde inte öppnas" in visible(page)
        assert (await client.get(f"{first}pulse")).status_code == 404


async def test_a_call_waits_while_its_reader_logs_in(house: House) -> None:
    address = await called(house)
    async with house.client() as client:
        away = await client.get(address)
        assert away.headers["location"] == "/login"
        assert unquote(client.cookies["samsyn-after"]) == address
    assert STORY not in away.headers["set-cookie"]


async def test_without_a_reader_nothing_is_told_and_a_made_up_ticket_sets_nothing(house: House) -> None:
    async with house.client() as client:
        answer = await client.get("/launch/made-up")
        assert answer.headers["location"] == "/login"
        assert "samsyn-after" not in client.cookies
    async with house.logged_in("gp") as client:
        assert (await client.get("/launch/made-up")).status_code == 404


async def test_a_call_is_gone_after_the_time_of_a_log_in(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = await called(house)
    began = house.clock.monotonic()
    monkeypatch.setattr(house.clock, "monotonic", lambda: began + limits.LOGIN_SECONDS + 1)
    async with house.logged_in("gp") as client:
        assert (await client.get(address)).status_code == 404


@pytest.mark.parametrize("authorization", ["", "Bearer wrong", "Basic x", "Bearer "])
async def test_only_known_systems_get_tickets(house: House, authorization: str) -> None:
    async with house.client() as bare:
        answer = await bare.post(
            "/launch/tickets",
            data={"number": STORY, "employee": GP},
            headers={"authorization": authorization} if authorization else {},
        )
    assert answer.status_code == 401
    assert (await ticket(house, employee="")).status_code == 400
    assert (await ticket(house, number="")).status_code == 400


async def test_another_site_can_not_press_the_button(house: House) -> None:
    address = await called(house)
    async with house.logged_in("gp") as client:
        await client.get(address)
        assert (await client.post(address, data={}, headers=EHR)).status_code == 403
        page = await client.get(address)
        token = re.search(r'name="form_token" value="([^"]+)"', page.text)[1]  # type: ignore[index]
        forged = await client.post(address, data={"form_token": token}, headers=EHR)
        assert forged.status_code == 403


@pytest.mark.parametrize("persona", ["secretary", "block-administrator", "researcher", "log-reviewer"])
async def test_whoever_does_not_read_for_care_opens_nobody(house: House, persona: str) -> None:
    address = await called(house)
    async with house.logged_in(persona) as client:
        assert (await client.get(address)).status_code == 403


async def to_examination(house: House, examination: str) -> str:
    """The address that a record system's server gets for one examination of the patient."""
    form = {"number": STORY, "employee": GP, "examination": examination}
    async with house.client() as bare:
        made = await bare.post(
            "/launch/tickets", data=form, headers={"authorization": "Bearer SE9990000004-0001"}
        )
    assert made.status_code == 201
    assert examination not in made.text
    return made.json()["address"]


async def accessions(house: House) -> tuple[list[str], list[str]]:
    """Accession numbers of what the GP is shown of the patient, and of what is hidden from her."""
    rows = await house.store.read(
        lambda c: c.execute(
            "SELECT accession, provider FROM report UNION SELECT accession, provider FROM referral"
        ).fetchall()
    )
    shown = {row[0] for row in rows if row[1] == "SE9990000004-0001"}
    return sorted(shown), sorted({row[0] for row in rows} - shown)


async def test_a_call_leads_to_an_examination_by_way_of_the_relation(house: House) -> None:
    (wanted, *_), _ = await accessions(house)
    async with house.logged_in("gp") as client:
        opened = await client.get(await to_examination(house, wanted))
        assert re.fullmatch(r"/p/[\w-]{24}/to/[\w-]{43}", opened.headers["location"])
        asked = await client.get(opened.headers["location"])
        assert asked.headers["location"].endswith("/relation")
        page = await client.get(asked.headers["location"])
        attested = await post(client, page, asked.headers["location"], duration="today")
        assert attested.headers["location"] == opened.headers["location"]
        assert "samsyn-after" not in client.cookies
        shown = await client.get((await client.get(attested.headers["location"])).headers["location"])
        assert shown.status_code == 200
        assert 'id="exam-heading"' in shown.text
        assert wanted not in str(shown.url)


async def test_a_hidden_examination_and_one_that_is_not_here_are_told_alike(house: House) -> None:
    _, hidden = await accessions(house)
    assert hidden
    async with house.logged_in("gp") as client:
        base = await related(client)
        told = []
        for wanted in (hidden[0], "1.2.3.4.5"):
            opened = await client.get(await to_examination(house, wanted))
            away = await client.get(opened.headers["location"])
            assert away.headers["location"] == f"{base}?unshown=1"
            page = await client.get(away.headers["location"])
            assert "Undersökningen som du kom för visas inte här" in visible(page)
            told.append(visible(page))
        assert told[0] == told[1]
        assert "visas inte här. Den kan saknas" not in visible(await client.get(base))
        assert (await client.get(f"{base}to/made-up")).headers["location"] == f"{base}?unshown=1"
