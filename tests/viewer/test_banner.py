"""The banner: whose page this is, how old he is, whether he lives, and what kind of number he is known by."""

import re
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from samsyn_demo.people import BY_KEY as PEOPLE
from samsyn_demo.people import PERSONNUMMER, Person
from samsyn_demo.region import BY_KEY as PROVIDERS
from tests.viewer.house import House, a_house, sender_of, series_of
from tests.viewer.test_pages import find, related, visible


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as house:
        yield house


async def said(
    house: House, person: Person, when: str, number: str = "", issuer: str = PERSONNUMMER, **pid: str
) -> None:
    """What the patient register says: ADT^A08 at that time; `pid` has f29=..., f30=..."""
    fields = {1: "1", 3: f"{number or person.number}^^^&{issuer}&ISO", 5: f"{person.family}^{person.given}"}
    fields |= {7: person.birth_date, 8: person.sex} | {int(key[1:]): text for key, text in pid.items()}
    told = "|".join(["PID", *(fields.get(place, "") for place in range(1, 31))])
    message = (
        f"MSH|^~\\&|TEST|TEST|SAMSYN|SAMSYN|{when}||ADT^A08^ADT_A01|C{when}{number}|P|2.5||||||UNICODE UTF-8"
    )
    sender = sender_of(PROVIDERS["nord"], PROVIDERS["nord"].units[0].hsa_id)
    filed = await house.filing.file_message(
        sender, "standard", f"{message}\rEVN|A08|{when}\r{told}\r".encode(), "test"
    )
    assert filed.receipt.outcome == "stored", filed


def banner(page: httpx.Response) -> str:
    found = re.search(r'<section class="patient".*?</section>', page.text, re.S)
    assert found is not None
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", found[0])).split())


async def test_every_page_of_a_patient_tells_age_sex_and_kind_of_number(house: House) -> None:
    await house.fill(["tolvan"], frozenset({"ct-chest"}))
    today = house.clock.now().date()
    years = today.year - 1912 - ((today.month, today.day) < (12, 12))
    async with house.logged_in("radiologist") as client:
        base = await related(client)
        page = await client.get(base)
        told = f"Tolvan Tolvansson 19121212-1212 Personnummer Man, {years} år"
        entries = re.findall(r'href="(/p/[^"]+/e/[^"]+)"', page.text)
        opened = [await client.get(each) for each in entries]
        pictures = next(series for each in opened for series in series_of(each))
        for address in (base, entries[0], pictures, f"{base}ground/consent", f"{base}ground/emergency"):
            page = await client.get(address)
            assert page.status_code == 200, address
            assert banner(page).startswith(told), address
            assert "Född 1912-12-12" in banner(page), address
            assert "Avliden" not in banner(page), address
        client.cookies.set("samsyn_language", "en")
        assert f"Personal number Male, {years} years" in banner(await client.get(base))


@pytest.mark.parametrize(
    ("key", "kind"), [("samordning", "Samordningsnummer"), ("reserv", "Reservnummer (Region Stockholm)")]
)
async def test_other_kinds_of_number_are_named_and_no_birth_date_is_taken_from_the_number(
    house: House, key: str, kind: str
) -> None:
    await house.fill([key])
    async with house.logged_in("gp") as client:
        told = banner(await client.get(await related(client, PEOPLE[key].number)))
        assert f"{PEOPLE[key].hyphened} {kind} Man" in told
        if key == "reserv":
            assert "Man, ålder okänd" in told
            assert "födelsedatum okänt" in told


async def test_a_birth_date_is_unknown_when_the_source_gave_none_though_a_personnummer_holds_one(
    house: House,
) -> None:
    own = PEOPLE["tolvan"]
    nameless = Person(own.key, own.number, own.issuer, own.family, own.given, "", own.sex)
    await said(house, nameless, "20260101120000")
    async with house.logged_in("gp") as client:
        page = visible(await find(client, own.number))
        assert "Man, ålder okänd, födelsedatum okänt" in page
        assert "född 1912" not in page
        told = banner(await client.get(f"{await related(client)}relation", follow_redirects=True))
        assert "Man, ålder okänd" in told
        assert "1912-12-12" not in told


async def test_who_is_dead_is_told_to_be_so_with_the_day_and_the_age_then(house: House) -> None:
    await house.fill(["avliden"])
    own = PEOPLE["avliden"]
    async with house.logged_in("gp") as client:
        base = await related(client, own.number)
        await said(house, own, "20260102120000", f30="Y")
        told = banner(await client.get(base))
        assert "Avliden, datum okänt" in told
        assert "Kvinna, ålder okänd" in told
        await said(house, own, "20260103120000", f29="20260101", f30="Y")
        told = banner(await client.get(base))
        assert "Kvinna, 96 år vid dödsfallet Avliden 2026-01-01" in told
        assert "Avliden 2026-01-01" in visible(await find(client, own.number))
        # A later text that says nothing of it changes nothing, and an earlier one does not count.
        await said(house, own, "20260104120000")
        await said(house, own, "20260101120000", f30="N")
        assert "Avliden 2026-01-01" in banner(await client.get(base))
        # The register takes back what was wrong.
        await said(house, own, "20260105120000", f30="N")
        assert "Avliden" not in banner(await client.get(base))
