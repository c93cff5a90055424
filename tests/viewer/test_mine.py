"""A private person's own page and a guardian's: what it shows of the child, that it is written down, when it ends."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from samsyn_demo.people import BY_KEY
from tests.viewer.house import House, a_house, series_of
from tests.viewer.test_pages import post, visible

pytestmark = pytest.mark.slow

CHILD, MOTHER = BY_KEY["ytterberg"], BY_KEY["soderberg"]


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as opened:
        await opened.fill(["ytterberg", "soderberg", "byter"], frozenset({"chest"}))
        yield opened


async def registered(house: House) -> None:
    async with house.logged_in("steward") as steward:
        page = await steward.get("/steward/guardians")
        found = await post(steward, page, "/steward/guardians", number=CHILD.hyphened)
        address = found.headers["location"]
        page = await steward.get(address)
        assert "Ingen vårdnadshavare är registrerad" in visible(page)
        answer = await post(
            steward, page, f"{address}/register", number=MOTHER.number, last="", reason="Personbevis"
        )
        assert answer.headers["location"] == address
        assert "Registrerad av förvaltare" in visible(await steward.get(address))


async def test_a_guardian_reads_the_childs_answers_and_the_childs_log_says_so(house: House) -> None:
    await registered(house)
    async with await house.as_patient("soderberg") as mother:
        page = await mother.get("/mine/record")
        assert "Barn som du är vårdnadshavare för" in visible(page)
        child = re.search(r'href="(/mine/record/[^"/]+)">Viggo', page.text)
        assert child is not None, page.text
        page = await mother.get(child[1])
        assert "Ditt barns undersökningar" in visible(page)
        entries = re.findall(r'href="(/mine/record/[^"]+/e/[^"]+)"', page.text)
        assert entries
        answers = [await mother.get(entry) for entry in entries]
        assert all(answer.status_code == 200 for answer in answers)
        assert any("Signerat av" in visible(answer) for answer in answers)
        for answer in (page, *answers):
            assert CHILD.number not in str(answer.url)
    (grown,) = await house.lookup.by_number(CHILD.number)
    await house.store.commit(
        lambda transaction: transaction.update("patient", {"patient_key": grown.key}, birth_date="20000101")
    )
    async with await house.as_patient("ytterberg") as himself:
        assert "En vårdnadshavare" in visible(await himself.get("/mine/log"))
        lines = (await himself.get("/mine/log.json")).json()["lines"]
        assert "guardian" in {line["by"] for line in lines}
    written = [event for event, _ in await house.audited()]
    assert {"REGISTER_GUARDIAN", "OPEN_REPORT", "OWN_RECORD"} <= set(written)


async def test_without_the_register_and_after_its_end_there_is_no_child(house: House) -> None:
    async with await house.as_patient("soderberg") as mother:
        assert "Barn som du" not in visible(await mother.get("/mine/record"))
        await registered(house)
        page = await mother.get("/mine/record")
        child = re.search(r'href="(/mine/record/[^"/]+)">Viggo', page.text)
        assert child is not None
        async with house.logged_in("steward") as steward:
            found = await post(
                steward, await steward.get("/steward/guardians"), "/steward/guardians", number=CHILD.number
            )
            address = found.headers["location"]
            listed = await steward.get(address)
            row = re.search(r'name="row" value="([^"]+)"', listed.text)
            assert row is not None
            assert (await mother.get(f"{child[1]}/pulse")).status_code == 200
            await post(steward, listed, f"{address}/end", row=row[1], reason="Ny dom")
        assert (await mother.get(f"{child[1]}/pulse")).status_code == 404, "an open page closes"
        closed = await mother.get(child[1], headers={"accept": "text/html"})
        assert closed.status_code == 404
        assert "din rätt att läsa dem upphört" in visible(closed)
        assert "Patienten kan ha stängts" not in visible(closed)
        assert "Till mina undersökningar" in visible(closed)
        assert "Viggo" not in (await mother.get("/mine/record")).text


async def test_the_pages_are_for_whom_they_are_for(house: House) -> None:
    async with house.logged_in("gp") as gp:
        assert (await gp.get("/mine/record")).status_code == 403
        assert (await gp.get("/steward/guardians")).status_code == 403
    async with await house.as_patient("soderberg") as mother:
        refused = await mother.get("/steward/guardians")
        assert refused.status_code == 403
        assert "Sidan är till för dem som arbetar i vården." in visible(refused)
        assert "uppdrag" not in visible(refused), "a private person has none"
        assert (await mother.get("/mine/record/made-up")).status_code == 404
        told = visible(await mother.get("/help"))
        assert "uppdrag" not in told and "Sök patient" not in told, "the help is for whom it is for"
        assert "Svaret är inte släppt än" in told


async def test_a_wrong_number_and_a_missing_reason_are_said(house: House) -> None:
    async with house.logged_in("steward") as steward:
        page = await steward.get("/steward/guardians")
        answer = await post(steward, page, "/steward/guardians", number="199001012385")
        assert answer.status_code == 400
        found = await post(steward, page, "/steward/guardians", number=CHILD.number)
        address = found.headers["location"]
        page = await steward.get(address)
        for fields in (
            {"number": "199001012385", "last": "", "reason": "Personbevis"},
            {"number": CHILD.number, "last": "", "reason": "Personbevis"},
            {"number": MOTHER.number, "last": "2001-01-01", "reason": "Personbevis"},
            {"number": MOTHER.number, "last": "", "reason": ""},
        ):
            answer = await post(steward, page, f"{address}/register", **fields)
            assert answer.status_code == 400, fields
        assert "Ingen vårdnadshavare är registrerad" in visible(await steward.get(address))
    looked_up = [event for event, _ in await house.audited() if event == "SEARCH_PATIENT"]
    assert len(looked_up) == 6, "every number that was asked about, whatever came of it"


async def test_a_person_sees_the_own_pictures_and_the_log_says_so(house: House) -> None:
    async with await house.as_patient("byter") as person:
        page = await person.get("/mine/record")
        entries = re.findall(r'href="(/mine/record/[^"]+/e/[^"]+)"', page.text)
        pages = [await person.get(entry) for entry in entries]
        places = [
            place
            for each in pages
            for place in re.findall(r'href="(/mine/record/[^"]+/s/[0-9a-f]+)"', each.text)
        ]
        assert places, "no examination has pictures"
        whole = await person.get(places[0])
        assert whole.status_code == 200
        assert "/diagnostic" not in whole.text
        assert "/p/" not in whole.text
        stack = await person.get(f"{places[0]}/stack")
        frames = stack.json()["frames"]
        assert frames[0]["url"].startswith("/mine/record/")
        picture = await person.get(frames[0]["url"])
        assert (picture.status_code, picture.headers["content-type"]) == (200, "image/jpeg")
        assert picture.content.startswith(b"\xff\xd8")
        small = await person.get(f"{places[0]}/thumbnail")
        assert small.headers["content-type"] == "image/jpeg"
        lines = (await person.get("/mine/log.json")).json()["lines"]
        assert any(line["by"] == "patient" and "images" in line["done"] for line in lines), lines
    async with house.logged_in("gp") as gp:
        for address in (places[0], f"{places[0]}/thumbnail", f"{places[0]}/stack", frames[0]["url"]):
            assert (await gp.get(address)).status_code in (403, 404)
    events = [event for event, _ in await house.audited()]
    assert "OPEN_IMAGES" in events


async def test_a_stranger_with_the_address_gets_nothing(house: House) -> None:
    async with await house.as_patient("byter") as person:
        page = await person.get("/mine/record")
        entries = re.findall(r'href="(/mine/record/[^"]+/e/[^"]+)"', page.text)
        series = [each for entry in entries for each in series_of(await person.get(entry))]
        assert series
    async with await house.as_patient("soderberg") as other:
        assert (await other.get(entries[0])).status_code == 404
        assert (await other.get(f"{series[0]}/stack")).status_code == 404


async def test_a_childs_own_log_in_shows_no_examination_and_says_from_when(house: House) -> None:
    async with await house.as_patient("ytterberg") as child:
        page = await child.get("/mine/record")
        assert page.status_code == 200
        assert "från den dag du fyller 16 år" in visible(page)
        assert not re.findall(r'href="(/mine/record/[^"]+/e/[^"]+)"', page.text)
        assert (await child.get("/mine/log")).headers["location"] == "/mine/record"
        for place in ("/mine/log.pdf", "/mine/log.json", "/mine/log.json?elsewhere=1"):
            assert (await child.get(place)).status_code == 403
