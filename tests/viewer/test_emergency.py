"""Emergency access is one step from the patient's page, asks for its reason, says it is logged, and stands once."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest_asyncio

from samsyn.model.registers import BlockKind
from tests.viewer.house import House, a_house
from tests.viewer.test_pages import post, related, visible


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as house:
        await house.fill(["tolvan"])
        yield house


def ways(page: httpx.Response) -> list[str]:
    """The links to it that can be clicked at once: not folded away, in the box and (on narrow screens) above it."""
    open_parts = re.sub(r"<details>.*?</details>", "", page.text, flags=re.S)
    return re.findall(r'href="(/p/[^"]+/ground/emergency)"', open_parts)


async def test_one_click_leads_to_the_reason_and_the_warning(house: House) -> None:
    await house.block("tolvan", BlockKind.OUTER, "klara")
    async with house.logged_in("gp") as client:
        base = await related(client)
        page = await client.get(base)
        assert ways(page) == [f"{base}ground/emergency"] * 2
        assert page.text.count('class="narrow-only"') == 1
        assert "Loggas och granskas alltid" in visible(page)
        form = await client.get(f"{base}ground/emergency")
        assert "det finns fara för patientens liv" in visible(form)
        assert "Åtgärden loggas och granskas" in visible(form)
        assert re.search(r'type="checkbox" name="attest" value="yes"[^>]* required', form.text)
        await post(client, form, f"{base}ground/emergency", ends="", attest="yes")
        assert ways(await client.get(base)) == []


async def test_it_is_offered_only_where_it_would_open_something(house: House) -> None:
    async with house.logged_in("gp") as client:
        base = await related(client)
        await post(
            client,
            await client.get(base),
            f"{base}ground/consent",
            scope="unit",
            channel="visit",
            starts="",
            ends="",
        )
        assert ways(await client.get(base)) == []
        # The patient's consent does not open what is blocked; who has blocked can be told in danger only.
        await house.block("tolvan", BlockKind.OUTER, "klara")
        assert len(ways(await client.get(base))) == 2
    async with house.logged_in("nurse") as client:
        base = await related(client)
        page = await client.get(base)
        assert "omfattar bara den egna" in visible(page)
        assert ways(page) == []


async def test_a_ground_that_was_registered_twice_stands_once_and_ends_as_one(house: House) -> None:
    fields = {"scope": "unit", "channel": "visit", "starts": "", "ends": ""}
    async with house.logged_in("gp") as client:
        base = await related(client)
        for each in (fields, fields, fields | {"scope": "person"}):
            form = await client.get(f"{base}ground/consent")
            assert (await post(client, form, f"{base}ground/consent", **each)).status_code == 303
        page = await client.get(base)
        boxes = re.findall(r'<section class="ground-now".*?</section>', page.text, re.S)
        assert [("Hela enheten" in box, "Bara jag" in box) for box in boxes] == [(True, False), (False, True)]
        assert page.text.count("Felregistrerat: registreringen skulle aldrig ha gjorts") == 1
        twice = re.findall(r'name="consent" value="([^"]+)"', boxes[0])
        assert len(twice) == 2
        for wrong in ([], ["x"], [twice[0], "x"]):
            refused = await post(client, page, f"{base}ground/end", consent=wrong, how="withdraw")
            assert refused.status_code == 404
        await post(client, page, f"{base}ground/end", consent=twice, how="withdraw")
        page = await client.get(base)
        assert page.text.count('class="ground-now"') == 1
        assert "Bara jag" in visible(page)
    assert [event for event, _ in await house.audited()].count("WITHDRAW_CONSENT") == 2


async def test_that_there_are_no_pictures_is_told_once(house: House) -> None:
    async with house.logged_in("gp") as client:
        page = await client.get(await related(client))
        entries = re.findall(r'<li class="entry".*?</li>', page.text, re.S)
        told = [each for each in entries if "Inga bilder" in each]
        assert told
        assert not [each for each in told if "Endast text" in each]


async def test_an_adult_can_not_be_opened_as_a_child_that_needs_no_consent(house: House) -> None:
    async with house.logged_in("gp") as client:
        base = await related(client)
        form = await client.get(f"{base}ground/child")
        fields = {"scope": "unit", "channel": "visit", "starts": "", "ends": "", "attest": "yes"}
        answer = await post(client, form, f"{base}ground/child", **fields)
        assert answer.status_code == 409
        assert "Patienten har fyllt 18 år" in visible(answer)
        assert ways(await client.get(base)) != [], "nothing has been opened"
