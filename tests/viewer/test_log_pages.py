"""The pages of the log reviewer and the patient's log extract, as a browser asks for them."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest_asyncio

from samsyn.access.events import Event, entry
from samsyn.access.followup.extract import DONE
from samsyn.access.followup.review import READINGS
from samsyn.endpoints.demo_idp.personas import PERSONAS
from samsyn.endpoints.viewer import language
from samsyn.endpoints.viewer.language import Languages
from samsyn.model.patient import Demographics, DemographicsOrigin, PatientIdentifier
from samsyn.patients.registry import find_or_make
from samsyn_demo.people import BY_KEY as PEOPLE
from samsyn_demo.region import BY_KEY as PROVIDERS
from tests.viewer.house import House, a_house
from tests.viewer.test_pages import post, related, visible

TOLVAN = PEOPLE["tolvan"].number


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A doctor at the health centre has opened a patient in an emergency and read an own report."""
    async with a_house(tmp_path) as house:
        await house.fill(["tolvan"])
        await emergency_opening(house)
        yield house


async def emergency_opening(house: House) -> None:
    """The health centre's doctor attests an emergency for Tolvan."""
    async with house.logged_in("gp") as gp:
        base = await related(gp)
        page = await gp.get(f"{base}ground/emergency")
        asked = dict(re.findall(r'name="(starts|ends)"[^>]*value="([^"]*)"', page.text))
        answer = await post(gp, page, f"{base}ground/emergency", attest="yes", scope="person", **asked)
        assert answer.status_code == 303, answer.text


async def test_only_a_log_reviewer_gets_the_pages(house: House) -> None:
    async with house.logged_in("gp") as client:
        page = await client.get("/")
        assert "/log" not in re.findall(r'href="(/[a-z]*)"', page.text)
        for answer in (
            await client.get("/log"),
            await client.get("/log/checks/1"),
            await post(client, page, "/log/search", number=TOLVAN),
            await post(client, page, "/log/extract", number=TOLVAN),
        ):
            assert answer.status_code == 403


async def test_the_reviewer_searches_checks_and_signs(house: House) -> None:
    async with house.logged_in("log-reviewer") as client:
        start = await client.get("/")
        assert start.headers["location"] == "/log"
        page = await client.get("/log")
        assert "1 nödöppning är inte granskad" in visible(page)
        days = dict(re.findall(r'id="log-(from|to)"[^>]*value="([^"]*)"', page.text))
        found = await post(client, page, "/log/search", number=TOLVAN, **days)
        assert "Nödöppnade" in visible(found)
        assert "Tolvan Tolvansson" in visible(found)
        nobody = await post(client, page, "/log/search", number="199001012385", **days)
        assert (nobody.status_code, "Ingenting i er vårdgivares logg" in visible(nobody)) == (404, True)
        wrong = await post(client, page, "/log/search", **{"from": "i går", "to": "i dag"})
        assert (wrong.status_code, "Perioden går inte att läsa" in visible(wrong)) == (400, True)

        made = await post(client, page, "/log/checks", kind="emergency", size="20", **days)
        assert made.headers["location"] == "/log/checks/1"
        check = await client.get("/log/checks/1")
        names = re.findall(r'name="(verdict-[0-9]+)"', check.text)
        unfinished = await post(client, check, "/log/checks/1/sign", finding="none")
        assert (unfinished.status_code, "Varje åtkomst behöver" in visible(unfinished)) == (400, True)
        signed = await post(
            client, check, "/log/checks/1/sign", finding="none", **dict.fromkeys(names, "justified")
        )
        assert signed.status_code == 303
        assert "Inga avvikelser" in visible(await client.get("/log/checks/1"))
        assert "Alla nödöppningar ingår" in visible(await client.get("/log"))
        events = [event for event, _ in await house.audited()]
        assert {"READ_AUDIT", "MAKE_LOG_CHECK", "SIGN_LOG_CHECK"} <= set(events)


async def test_a_log_extract_is_handed_out_as_pdf(house: House) -> None:
    async with house.logged_in("log-reviewer") as client:
        page = await client.get("/log")
        answer = await post(client, page, "/log/extract", number=TOLVAN)
        assert answer.headers["content-type"] == "application/pdf"
        assert answer.content.startswith(b"%PDF-")
        assert answer.headers["cache-control"] == "no-store"


async def test_no_extract_is_handed_out_for_a_number_that_is_missing_or_means_two_persons(
    house: House,
) -> None:
    for key, name in (("nord", "Nordin^Nora"), ("klara", "Klarin^Klas")):
        issuer = PROVIDERS[key].local_issuer
        await house.store.commit(
            lambda transaction, issuer=issuer, name=name: find_or_make(
                transaction,
                PatientIdentifier(issuer, "4711"),
                Demographics(name),
                DemographicsOrigin.IMAGE,
            )
        )
    both = await house.lookup.by_number("4711")
    assert len(both) == 2
    who = next(each for each in PERSONAS if each.key == "gp").subject(0)
    await house.gatekeeper.record(*(entry(who, Event.SEARCH_PATIENT, each.key) for each in both))
    async with house.logged_in("log-reviewer") as client:
        page = await client.get("/log")
        missing = await post(client, page, "/log/extract", number="")
        assert missing.status_code == 400
        assert "Skriv patientens nummer" in visible(missing)
        two = await post(client, page, "/log/extract", number="4711", actor="SE1")
        assert two.status_code == 400
        assert "Flera patienter har det numret" in visible(two)
        assert 'value="SE1"' in two.text, "what was written stays"


async def test_a_person_of_other_providers_alone_is_to_a_reviewer_as_a_number_that_nobody_has(
    house: House,
) -> None:
    elsewhere = PEOPLE["strom"]
    issuer = "1.2.752.129.2.1.3.1"
    await house.store.commit(
        lambda transaction: find_or_make(
            transaction,
            PatientIdentifier(issuer, elsewhere.number),
            Demographics(f"{elsewhere.family}^{elsewhere.given}"),
            DemographicsOrigin.IMAGE,
        )
    )
    assert len(await house.lookup.by_number(elsewhere.number)) == 1
    async with house.logged_in("log-reviewer") as client:
        page = await client.get("/log")
        days = dict(re.findall(r'id="log-(from|to)"[^>]*value="([^"]*)"', page.text))
        for address in ("/log/search", "/log/extract"):
            told = await post(client, page, address, number=elsewhere.number, **days)
            absent = await post(client, page, address, number="199001012385", **days)
            assert (told.status_code, absent.status_code) == (404, 404)
            assert told.text.replace(elsewhere.number, "199001012385") == absent.text
            assert elsewhere.family not in told.text


async def test_the_patient_sees_who_has_read_as_page_pdf_and_data(house: House) -> None:
    async with await house.as_patient("tolvan") as client:
        page = visible(await client.get("/mine/log"))
        assert "Vårdcentralen Linden" in page
        assert "Öppnade i en nödsituation" in page
        assert "nödöppning" in page
        assert (await client.get("/mine/log.pdf")).content.startswith(b"%PDF-")
        data = (await client.get("/mine/log.json")).json()
        assert data["patient"].replace("-", "") == TOLVAN
        line = next(each for each in data["lines"] if each["emergency"])
        assert line["careUnit"]["name"] == "Vårdcentralen Linden"
        assert "staff" not in line


async def test_staff_have_no_own_log_page(house: House) -> None:
    async with house.logged_in("gp") as client:
        assert (await client.get("/mine/log")).status_code == 403


def test_every_event_has_words_in_the_log_and_every_reading_in_the_extract() -> None:
    languages = Languages(Path(language.__file__).with_name("locale"))
    assert [event for event in Event if not languages.has(f"event.{event.value}")] == []
    assert [code for code in DONE.values() if not languages.has(f"extract.done_{code}")] == []
    assert [event for event in READINGS if event not in DONE] == []


async def test_the_pages_answer_in_english(house: House) -> None:
    async with house.logged_in("log-reviewer") as client:
        client.cookies.set("samsyn_language", "en")
        assert "emergency access is not reviewed" in visible(await client.get("/log"))
    assert isinstance(client, httpx.AsyncClient)
    async with await house.as_patient("tolvan") as person:
        person.cookies.set("samsyn_language", "en")
        page = visible(await person.get("/mine/log"))
        assert "Care and treatment" in page
        assert "Vård och behandling" not in page, "the purpose is told in the page's language"
