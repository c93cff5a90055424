"""A patient with more than a hundred examinations: years to jump to, ways to narrow the list, true counts."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest_asyncio

from samsyn.model.registers import BlockKind
from samsyn_demo.people import BY_KEY as PEOPLE
from samsyn_demo.region import BY_KEY as PROVIDERS
from tests.viewer.house import House, a_house, sender_of
from tests.viewer.test_pages import post, related, visible

YEARS = range(2003, 2023)


async def many(house: House) -> None:
    """A hundred answers of Nordsjukhuset's radiology and twenty of Klara, six in each year."""
    own = PEOPLE["tolvan"]
    for number in range(120):
        provider = PROVIDERS["nord" if number % 6 else "klara"]
        when = f"{YEARS[number // 6]}0{number % 6 + 1}15120000"
        segments = (
            f"MSH|^~\\&|TEST|TEST|SAMSYN|SAMSYN|{when}||ORU^R01^ORU_R01|M{number}|P|2.5||||||UNICODE UTF-8",
            f"PID|1||{own.number}^^^&{own.issuer}&ISO||{own.dicom_name}||{own.birth_date}|{own.sex}",
            f"ORC|RE|P{number}|LONG{number}",
            f"OBR|1|P{number}|LONG{number}|X1^Rtg lungor^99L|||{when}|||||||||||LONG{number}||||{when}||RAD|F",
            f"OBX|1|TX|&GDT^Utlåtande||Kontroll nummer {number}.||||||F|||{when}",
        )
        sender = sender_of(provider, provider.units[0].hsa_id)
        raw = "\r".join(segments).encode() + b"\r"
        filed = await house.filing.file_message(sender, "standard", raw, "test")
        assert filed.receipt.outcome == "stored", filed


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as house:
        await house.fill(["tolvan"], frozenset({"ct-head", "mr-brain", "knee", "chest"}))
        await many(house)
        yield house


async def everything(client: httpx.AsyncClient) -> str:
    """The patient's address with the other provider's information chosen on consent."""
    base = await related(client)
    page = await client.get(base)
    asked = {"scope": "unit", "channel": "visit", "starts": "", "ends": ""}
    await post(client, page, f"{base}ground/consent", **asked)
    page = await client.get(base)
    offered = re.findall(r'name="chosen" value="([^"]+)"', page.text)
    await post(client, page, f"{base}reveal/choose-providers", chosen=offered)
    return base


def counted(page: httpx.Response) -> tuple[int, int]:
    """(shown, of how many) by the words; the entries that stand there are as many as the words say."""
    told = re.search(r"Visar (\d+) av (\d+)", visible(page))
    count = re.search(r"(\d+) undersökningar", visible(page))
    shown, of = (int(told[1]), int(told[2])) if told else (int(count[1]), int(count[1]))  # type: ignore[index]  # neither told: fails
    assert page.text.count('<li class="entry"') == shown
    return shown, of


def offered(page: httpx.Response, name: str) -> dict[str, int]:
    """value -> count of a choice."""
    (choice,) = re.findall(rf'<select[^>]* name="{name}">(.*?)</select>', page.text, re.S)
    found = re.findall(r'<option value="([^"]+)"[^>]*>[^<]*\((\d+)\)', choice)
    return {value: int(count) for value, count in found}


async def test_every_year_can_be_jumped_to_and_says_how_much_it_holds(house: House) -> None:
    async with house.logged_in("radiologist") as client:
        page = await client.get(await related(client))
        shown, count = counted(page)
        assert shown == count > 100
        (years,) = re.findall(r'<nav class="years".*?</nav>', page.text, re.S)
        links = re.findall(r'href="#(year-\d+)">(\d+) <span class="soft">\((\d+)\)', years)
        assert sum(int(number) for _, _, number in links) == count
        for mark, year, _ in links:
            assert re.search(rf'id="{mark}"[^>]*>{year}</h2>', page.text)


async def test_every_choice_leaves_as_many_as_it_says_and_what_names_no_body_part_is_not_lost(
    house: House,
) -> None:
    async with house.logged_in("radiologist") as client:
        base = await everything(client)
        page = await client.get(base)
        _, count = counted(page)
        providers, parts = offered(page, "provider"), offered(page, "part")
        assert len(providers) > 1
        assert sum(providers.values()) == count
        assert len(parts) > 2
        assert parts["-"] > 100
        for name, choices in (("provider", providers), ("part", parts)):
            for value, number in choices.items():
                found = await post(client, page, f"{base}filter", **{name: value})
                assert counted(found) == (number, count), value
                assert f'<option value="{value}" selected>' in found.text
        # Two at once, with words: what stands there is what all of them leave.
        both = await post(client, page, f"{base}filter", provider="Klara Röntgen AB", text="Kontroll nummer")
        assert counted(both) == (20, count)
        none = await post(
            client, page, f"{base}filter", provider="Klara Röntgen AB", part="Hjärna", text="x-x"
        )
        assert "Inget stämmer med filtret" in visible(none)
        assert f'href="{base}">Visa alla' in none.text


async def test_that_more_exists_is_still_told_while_the_list_is_narrowed_and_counted_nowhere(
    house: House,
) -> None:
    await house.block("tolvan", BlockKind.OUTER, "klara")
    async with house.logged_in("radiologist") as client:
        base = await related(client)
        page = await client.get(base)
        _, count = counted(page)
        assert offered(page, "part").keys() >= {"-"}
        assert "Klara Röntgen AB" not in page.text
        assert "Filtret gäller det som visas här" not in visible(page)
        for fields in ({"text": "finns inte"}, {"text": "Kontroll nummer"}, {"part": "-"}):
            narrowed = await post(client, page, f"{base}filter", **fields)
            text = visible(narrowed)
            assert "Filtret gäller det som visas här. Det finns fler uppgifter om patienten" in text
            assert "Spärrade uppgifter hos annan vårdgivare" in text
            assert counted(narrowed)[1] == count
        # A value that only what is hidden has is answered as one that nothing has.
        hidden = await post(client, page, f"{base}filter", provider="Klara Röntgen AB")
        unknown = await post(client, page, f"{base}filter", provider="Nobody")
        assert counted(hidden) == counted(unknown) == (0, count)


async def test_a_short_list_has_nothing_to_jump_over(house: House) -> None:
    async with house.logged_in("gp") as client:
        page = await client.get(await related(client))
        assert counted(page)[0] <= 20
        assert 'class="years"' not in page.text
        assert "<select" not in page.text
