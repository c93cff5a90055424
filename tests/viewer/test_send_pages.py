"""Pictures are sent to the own provider's archives from the examination's page, and followed there."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest_asyncio

from samsyn import limits
from samsyn_demo.people import BY_KEY as PEOPLE
from tests.viewer.house import House, a_house
from tests.viewer.test_pages import _mark, post, related, visible

CT = "DT thorax med iv kontrast"
OWN, FOREIGN = "NORDPACS", "KLARAPACS"


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as house:
        yield house


def rows(house: House, sql: str) -> list[tuple[object, ...]]:
    return house.store.peek(lambda one: [tuple(row) for row in one.execute(sql)])


async def test_a_study_is_sent_followed_and_stopped(house: House) -> None:
    await house.fill(["tolvan"], frozenset({"ct-chest"}))
    async with house.logged_in("radiologist") as client:
        base = await related(client)
        address = f"{base}e/{_mark(await client.get(base), CT)}"
        page = await client.get(address)
        assert f'<option value="{OWN}">' in page.text
        assert FOREIGN not in page.text
        answer = await post(client, page, f"{address}/transfers", destination=OWN)
        assert answer.headers["location"] == f"{address}#transfers"
        page = await client.get(address)
        assert "Väntar på sin tur" in visible(page)
        part = await client.get(f"{address}/transfers")
        assert "<html" not in part.text
        assert "hx-trigger" in part.text
        [(transfer, state)] = rows(house, "SELECT transfer_id, state FROM transfer")
        assert state == "waiting"
        assert rows(house, "SELECT COUNT(*) FROM audit WHERE event = 'SEND'") == [(1,)]
        await post(client, page, f"{address}/transfers/{transfer}/cancel")
        part = await client.get(f"{address}/transfers")
        assert "Avbrutet" in visible(part)
        assert "hx-trigger" not in part.text
        assert rows(house, "SELECT state FROM transfer") == [("cancelled",)]


async def test_a_page_that_follows_a_transfer_does_not_keep_a_left_workstation_open(house: House) -> None:
    await house.fill(["tolvan"], frozenset({"ct-chest"}))
    async with house.logged_in("radiologist") as client:
        base = await related(client)
        address = f"{base}e/{_mark(await client.get(base), CT)}"
        await post(client, await client.get(address), f"{address}/transfers", destination=OWN)
        left = house.clock.now()
        for minutes in (19, 21):
            house.clock.advance_to(left + timedelta(minutes=minutes))
            part = await client.get(f"{address}/transfers", headers={"hx-request": "true"})
            assert part.headers.get("hx-redirect", "") == ("/login?because=expired" if minutes > 20 else "")


async def test_nothing_is_sent_elsewhere_or_from_what_is_hidden(house: House) -> None:
    await house.fill(["tolvan"], frozenset({"ct-chest"}))
    async with house.logged_in("radiologist") as client, house.logged_in("gp") as other:
        base = await related(client)
        mark = _mark(await client.get(base), CT)
        page = await client.get(f"{base}e/{mark}")
        for destination in (FOREIGN, "NOWHERE", ""):
            answer = await post(client, page, f"{base}e/{mark}/transfers", destination=destination)
            assert answer.status_code == 403
        theirs = await related(other)
        page = await other.get(theirs)
        hidden = await post(other, page, f"{theirs}e/{mark}/transfers", destination=OWN)
        absent = await post(other, page, f"{theirs}e/{'0' * 24}/transfers", destination=OWN)
        assert hidden.status_code == absent.status_code == 404
        assert rows(house, "SELECT COUNT(*) FROM transfer") == [(0,)]


async def test_a_page_that_follows_a_transfer_is_no_use_of_the_session(house: House) -> None:
    await house.fill(["tolvan"], frozenset({"ct-chest"}))
    async with house.logged_in("radiologist") as client:
        base = await related(client)
        address = f"{base}e/{_mark(await client.get(base), CT)}"
        page = await client.get(address)
        await post(client, page, f"{address}/transfers", destination=OWN)
        for _ in range(4):
            house.clock.advance_to(house.clock.now() + timedelta(seconds=limits.SESSION_IDLE_S / 3))
            answer = await client.get(f"{address}/transfers", headers={"hx-request": "true"})
        assert answer.status_code == 204
        assert answer.headers["hx-redirect"] == "/login?because=expired", "a left workstation is closed"


async def test_a_page_that_follows_a_transfer_does_not_call_its_patient_back(house: House) -> None:
    await house.fill(["tolvan", "soderberg"], frozenset({"ct-chest"}))
    async with house.logged_in("radiologist") as client:
        base = await related(client)
        address = f"{base}e/{_mark(await client.get(base), CT)}"
        page = await client.get(address)
        await post(client, page, f"{address}/transfers", destination=OWN)
        other = await related(client, PEOPLE["soderberg"].number)
        assert (await client.get(other)).status_code == 200
        assert (await client.get(f"{address}/transfers")).status_code == 200
        (session_id,) = house.opened._sessions
        assert f"/p/{house.opened.latest(session_id)[0][0]}/" == other, (
            "the viewer's pictures go on being the patient's who is read now"
        )


async def test_everything_that_was_sent_stands_on_one_page_and_names_who_is_open(house: House) -> None:
    await house.fill(["tolvan"], frozenset({"ct-chest"}))
    async with house.logged_in("radiologist") as client, house.logged_in("exchange-desk") as desk:
        base = await related(client)
        address = f"{base}e/{_mark(await client.get(base), CT)}"
        await post(client, await client.get(address), f"{address}/transfers", destination=OWN)
        page = await client.get("/sent")
        assert "Tolvan Tolvansson 19121212-1212" in visible(page)
        assert "Väntar på sin tur" in visible(page)
        assert f'href="{base}"' in page.text
        [(transfer,)] = rows(house, "SELECT transfer_id FROM transfer")

        theirs = await desk.get("/sent")
        assert 'href="/sent" aria-current="page"' in theirs.text, "the desk finds it in the menu"
        assert "Du har inte skickat något än." in visible(theirs)
        other = await post(desk, theirs, f"/sent/{transfer}/cancel")
        assert other.status_code == 404, "of somebody else"

        await post(client, page, f"{base}close")
        page = await client.get("/sent")
        assert "Tolvan" not in page.text, "whoever is not open is not named"
        assert "Patienten är inte öppen nu" in visible(page)
        stopped = await post(client, page, f"/sent/{transfer}/cancel")
        assert stopped.headers["location"] == "/sent"
        assert "Avbrutet" in visible(await client.get("/sent?show=troubled"))
        assert "Avbrutet" not in visible(await client.get("/sent?show=under_way"))
    async with house.logged_in("steward") as steward, await house.as_patient("tolvan") as person:
        assert (await steward.get("/sent")).status_code == 403
        assert (await person.get("/sent")).status_code == 403
        assert (await person.get("/sent/list")).status_code == 403
