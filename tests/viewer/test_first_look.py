"""What each reader sees first, and what a page says about what is missing."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from samsyn.endpoints.viewer.history import mark_of
from samsyn_demo.history import history
from samsyn_demo.instances.objects import Series
from samsyn_demo.people import BY_KEY as PEOPLE
from tests.viewer.house import ANCHOR, House, a_house
from tests.viewer.test_pages import post, related, visible


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as house:
        yield house


async def test_a_patient_begins_at_the_own_examinations(house: House) -> None:
    await house.fill(["tolvan"])
    async with await house.as_patient("tolvan") as client:
        assert (await client.get("/")).headers["location"] == "/mine/record"


@pytest.mark.parametrize(
    ("persona", "purpose"), [("researcher", "Forskning"), ("secretary", "Administration")]
)
async def test_whoever_may_not_read_for_care_is_told_why_and_can_change_assignment(
    house: House, persona: str, purpose: str
) -> None:
    async with house.logged_in(persona) as client:
        page = await client.get("/")
        assert f"Du arbetar nu i uppdraget {purpose} vid" in visible(page)
        assert 'name="number"' not in page.text
        main = page.text.partition("<main")[2]
        assert 'action="/assignment"' in main


async def test_the_steward_sees_how_much_waits_in_every_list(house: House) -> None:
    await house.fill(["tolvan"])
    async with house.logged_in("steward") as client:
        text = visible(await client.get("/steward"))
        for told in ("0 i karantän", "0 avvikelser", "0 utan text", "0 misstänkta dubbletter"):
            assert told in text


async def test_purpose_and_priority_are_told_in_the_pages_language(house: House) -> None:
    await house.fill(["tolvan"])
    async with house.logged_in("gp") as client:
        base = await related(client)
        client.cookies.set("samsyn_language", "en", domain="127.0.0.1")
        listed = await client.get(base)
        assert "Care and treatment" in visible(listed)
        pages = [visible(await client.get(address)) for address in _examinations(listed.text)]
        assert any("Priority Planned" in page for page in pages)
        assert not any("Vård och behandling" in page or "Förtur" in page for page in pages)


async def test_an_answer_that_is_not_shown_is_never_told_as_missing(house: House) -> None:
    await house.fill(["tolvan"])
    async with house.logged_in("gp") as client:
        base = await related(client)
        listed = await client.get(base)
        answered = [
            address
            for address in _examinations(listed.text)
            if "Status Besvarad" in visible(await client.get(address))
        ]
        hidden = [_article(await client.get(each)) for each in answered]
        hidden = [text for text in hidden if "Bilder visas inte här" in text]
        assert hidden
        for text in hidden:
            assert "Undersökningen är besvarad, men svaret visas inte här" in text
            assert "Se vad som kan visas" in text
            assert "inget svar" not in text.lower()
            assert "Inga bilder" not in text


async def test_a_booked_examination_is_not_told_as_one_without_answer(house: House) -> None:
    await house.fill(["tolvan"])
    async with house.logged_in("physician") as client:
        base = await related(client)
        listed = await client.get(base)
        entry = re.search(r'<li class="entry"(?:(?!</li>).)*?DT buk(?:(?!</li>).)*', listed.text, re.S)
        assert entry is not None
        assert "Bokad" in entry[0]
        assert "Inget svar" not in entry[0]
        address = re.search(r'href="([^"]+/e/[^"]+)"', entry[0])[1]  # type: ignore[index]
        assert "Undersökningen är inte gjord än" in visible(await client.get(address))


async def test_the_list_tells_that_a_report_with_an_addendum_is_final_and_what_was_added(
    house: House,
) -> None:
    await house.fill(["tolvan"])
    async with house.logged_in("radiologist") as client:
        base = await related(client)
        listed = await client.get(base)
        entries = re.findall(r'<li class="entry" data-status="addendum">.*?</li>', listed.text, re.S)
        assert entries
        for entry in entries:
            text = " ".join(re.sub(r"<[^>]*>", " ", entry).split())
            assert "Definitivsvar" in text
            assert "Tilläggssvar:" in text
        assert any("4 mm stor subpleural nodulus" in entry for entry in entries)


async def test_after_everything_is_shown_the_page_says_that_there_is_nothing_more(house: House) -> None:
    await house.fill(["reserv"])
    async with house.logged_in("gp") as client:
        base = await related(client, PEOPLE["reserv"].number)
        assert "Det finns inget mer" not in visible(await client.get(base))
        page = await client.get(f"{base}ground/consent")
        fields = dict(re.findall(r'name="([a-z_]+)"[^>]*?value="([^"]*)"', page.text.partition("<main")[2]))
        await client.post(re.search(r'<form[^>]*action="([^"]*ground[^"]*)"', page.text)[1], data=fields)  # type: ignore[index]
        page = await client.get(base)
        offered = re.findall(r'name="chosen" value="([^"]+)"', page.text)
        assert offered
        await post(client, page, f"{base}reveal/choose-providers", chosen=offered)
        text = visible(await client.get(base))
        assert "Det finns inget mer" in text
        assert "Vilka vårdgivare som är anslutna" in text


async def test_what_has_no_picture_is_named_and_opened_by_no_viewer(house: House) -> None:
    await house.fill(["tolvan"], frozenset({"ct-chest"}))
    async with house.logged_in("radiologist") as client:
        base = await related(client)
        listed = await client.get(base)
        page = next(
            page
            for page in [await client.get(each) for each in _examinations(listed.text)]
            if "Dosrapport" in page.text
        )
        pictures = re.findall(r'href="([^"]+)"[^>]*data-pictures', page.text)
        assert len(pictures) == 1
        assert "Hör till bilderna, utan egen bild: Dosrapport" in visible(page)
        start, handle = pictures[0].rpartition("/")[0], pictures[0].split("/")[2]
        reports = [
            Series(each, 99, "SR", "Dosrapport", device="CT").series_uid
            for each in history(ANCHOR)
            if each.person.key == "tolvan" and each.kind.key == "ct-chest"
        ]
        answers = [await client.get(f"{start}/{mark_of(handle, uid)}") for uid in reports]
        [beside] = [answer for answer in answers if answer.status_code == 200]
        assert "Dosrapport har ingen bild att visa" in visible(beside)
        assert "data-series-url" not in beside.text


def _article(page: httpx.Response) -> str:
    """What a page says about the one examination, without the list beside it."""
    return visible(httpx.Response(200, text=page.text.partition("<article")[2]))


def _examinations(listed: str) -> list[str]:
    return re.findall(r'<a class="title" href="([^"]+)"', listed)
