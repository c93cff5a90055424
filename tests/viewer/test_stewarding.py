"""The steward's console: who may see it, what it shows, what its buttons do, and that everything can be traced."""

import re
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from starlette.applications import Starlette

from samsyn.clock import STOCKHOLM
from samsyn.endpoints.demo_idp.personas import PERSONAS
from samsyn.endpoints.viewer.routes import viewer_door
from samsyn.ingest.receive import Arrival
from samsyn.model.sender import Sender
from samsyn.patients import links
from samsyn.store.transaction import Transaction
from samsyn_demo.region import BY_KEY as PROVIDERS
from tests.hl7v2.messages import message, msh, obr, obx, pid
from tests.ingest.test_receive import data_set
from tests.viewer.house import House, a_house, sender_of
from tests.viewer.test_pages import post, related, visible

NORD = PROVIDERS["nord"]
SYNTAX = "1.2.840.10008.1.2.1"


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as house:
        yield house


def nord(house: House) -> Sender:
    """A PACS of Nordsjukhuset as the settings know it."""
    peer = next(each.ae_title for each in house.settings.provider[0].dicom_peer if each.may_store)
    found = house.connections.sender_again(NORD.hsa_id, peer)
    assert found is not None
    return found[0]


async def image(house: House, number: int, **changes: object) -> str:
    uid = f"2.25.9{number}"
    data = data_set(
        StudyInstanceUID=uid,
        SeriesInstanceUID=f"{uid}.1",
        SOPInstanceUID=f"{uid}.1.1",
        **changes,
    )
    receipt, _ = await house.intake.receive(Arrival(nord(house), SYNTAX, "test"), data)
    return receipt.outcome


async def register(house: House, control: str, number: str, name: str, birth: str, sex: str) -> None:
    header = msh("ADT^A08", control, "UNICODE UTF-8", f"202403{control:0>2}120000")
    raw = message(header, pid(number, name, birth, sex), charset="utf-8")
    unit = NORD.units[0].hsa_id
    filed = await house.filing.file_message(sender_of(NORD, unit), "standard", raw, "test")
    assert filed.receipt.outcome == "stored", filed


async def a_contradiction(house: House) -> None:
    """Åsa is known under the number under which Tolvan's image comes."""
    await register(house, "1", "191212121212^^^PNR", "Ekström^Åsa", "19680912", "F")
    assert await image(house, 1) == "held"


def link_to(page: httpx.Response, start: str) -> str:
    return re.search(rf'href="({start}[^"]*)"', page.text)[1]  # type: ignore[index]  # None fails the test


@pytest.mark.parametrize("persona", ["gp", "physician", "secretary", "block-administrator", "exchange-desk"])
async def test_nobody_but_a_steward_gets_in(house: House, persona: str) -> None:
    await a_contradiction(house)
    async with house.logged_in(persona) as client:
        for address in ("/steward", "/steward/held", "/steward/held/1", "/steward/findings", "/steward/acts"):
            answer = await client.get(address)
            assert answer.status_code == 403, address
            assert "Ekström" not in answer.text
        assert 'href="/steward"' not in (await client.get("/help")).text


async def test_a_steward_begins_at_the_console_and_may_open_no_patient(house: House) -> None:
    async with house.logged_in("steward") as client:
        assert (await client.get("/")).headers["location"] == "/steward"
        page = await client.get("/steward")
        assert page.status_code == 200
        answer = await post(client, page, "/find", number="191212121212")
        assert answer.status_code == 403


async def test_a_held_image_is_compared_filed_under_the_right_number_and_traced(house: House) -> None:
    await a_contradiction(house)
    async with house.logged_in("steward") as client:
        assert "1 i karantän" in visible(await client.get("/steward"))
        page = await client.get(link_to(await client.get("/steward/held"), "/steward/held/"))
        text = visible(page)
        assert "Avsändaren skriver Tolvan Tolvansson född 1912-12-12" in text
        assert "Numret tillhör Åsa Ekström 19121212-1212" in text
        address = str(page.url)
        page = await post(client, page, address, number="19900101-2385")
        assert "En ny patient läggs upp" in page.text
        ticket = re.search(r'name="ticket" value="([^"]+)"', page.text)[1]  # type: ignore[index]  # None fails the test
        without = await post(client, page, f"{address}/release", ticket=ticket, reason=" ")
        assert (without.status_code, "Skriv varför" in without.text) == (400, True)
        forged = await post(client, page, f"{address}/release", ticket=ticket[:-1] + "x", reason="test")
        assert forged.status_code == 404
        done = await post(client, page, f"{address}/release", ticket=ticket, reason="Fel nummer i maskinen")
        assert done.headers["location"] == "/steward/acts"
        assert "Karantänen är tom" in (await client.get("/steward/held")).text
        assert "Fel nummer i maskinen" in (await client.get("/steward/acts")).text
    (person,) = await house.lookup.by_number("199001012385")
    assert await house.lookup.person_of_study("2.25.91") == person.key
    assert person.demographics.name == ""
    events = [event for event, _ in await house.audited()]
    assert "SETTLE_HELD" in events and "READ_WORK_LIST" in events
    assert not any("Fel nummer" in details for _, details in await house.audited())


async def test_what_a_steward_was_shown_by_one_node_is_confirmed_at_another(house: House) -> None:
    await a_contradiction(house)
    shared = replace(house.deps, page_key=b"of the cluster")
    one, other = (viewer_door(shared) for _ in range(2))
    house.application = Starlette(routes=one.routes)
    async with house.logged_in("steward") as client:
        page = await client.get("/steward/held/1")
        page = await post(client, page, "/steward/held/1", number="19900101-2385")
        ticket = re.search(r'name="ticket" value="([^"]+)"', page.text)[1]  # type: ignore[index]  # None fails the test
        house.application = Starlette(routes=other.routes, exception_handlers=dict(other.failures))
        async with house.client() as later:
            later.cookies = client.cookies
            done = await post(later, page, "/steward/held/1/release", ticket=ticket, reason="Fel nummer")
    assert (done.status_code, done.headers.get("location")) == (303, "/steward/acts")


async def test_what_is_left_in_quarantine_can_be_taken_back(house: House) -> None:
    await a_contradiction(house)
    async with house.logged_in("steward") as client:
        page = await client.get("/steward/held/1")
        await post(client, page, "/steward/held/1/leave", reason="Avsändaren skickar om")
        assert "Karantänen är tom" in (await client.get("/steward/held")).text
        page = await client.get("/steward/acts")
        undone = await post(client, page, "/steward/acts/1/undo")
        assert undone.headers["location"] == "/steward/acts"
        assert "Karantänen är tom" not in (await client.get("/steward/held")).text
        assert "Ångrat" in (await client.get("/steward/acts")).text
        again = await post(client, page, "/steward/acts/1/undo")
        assert again.status_code == 400


async def test_a_steward_of_another_provider_sees_and_settles_nothing_of_it(house: House) -> None:
    await a_contradiction(house)
    steward = next(each for each in PERSONAS if each.key == "steward").subject()
    assert steward.assignment is not None
    other = replace(steward, assignment=replace(steward.assignment, provider_hsa_id="SE9990000002-0001"))
    secret, _ = house.sessions.open(other)
    async with house.client() as client:
        client.cookies.set("samsyn-session", secret, domain="127.0.0.1")
        assert "Karantänen är tom" in (await client.get("/steward/held")).text
        page = await client.get("/steward")
        assert (await client.get("/steward/held/1")).status_code == 404
        answer = await post(client, page, "/steward/held/1/leave", reason="test")
        assert answer.status_code == 404


async def test_a_difference_is_shown_with_both_sides_and_settled_with_a_reason(house: House) -> None:
    await register(house, "1", "191212121212^^^PNR", "Tolvansson^Tolvan", "19121213", "M")
    assert await image(house, 1) == "stored"
    async with house.logged_in("steward") as client:
        page = await client.get("/steward/findings")
        text = visible(page)
        assert "Bilder: annat födelsedatum" in text
        assert "född 1912-12-13" in text and "född 1912-12-12" in text
        await post(client, page, "/steward/findings/1/settle", reason="Skrivfel i maskinen")
        assert "Inga avvikelser väntar" in (await client.get("/steward/findings")).text


async def test_reports_of_two_persons_under_one_accession_number_stand_on_the_list_of_both(
    house: House,
) -> None:
    """The department found that the wrong person was answered, sent the report anew and took nothing back."""
    agda = pid("199001012385^^^PNR", "Testperson^Agda", "19900101", "F")
    for control, who in (("S1", pid()), ("S2", agda)):
        raw = message(msh("ORU^R01", control), who, obr(), obx("Fraktur."))
        await house.filing.file_message(nord(house), "standard", raw, "test")
    async with house.logged_in("steward") as client:
        page = await client.get("/steward/findings")
        text = visible(page)
        assert text.count("Svar hos två personer: samma undersökningsnummer") == 2
        assert "Tolvan Tolvansson" in text and "Agda Testperson" in text and text.count("ACC300") == 2
        assert "Fraktur" not in text
        await post(client, page, "/steward/findings/1/settle", reason="Numret är använt två gånger")
        left = visible(await client.get("/steward/findings"))
        assert left.count("Svar hos två personer") == 1


async def test_numbers_are_linked_and_parted_after_both_have_been_shown(house: House) -> None:
    await register(house, "1", "191212121212^^^PNR", "Tolvansson^Tolvan", "19121212", "M")
    await register(house, "2", "991981000010^^^SLLRES", "Okänd^Man", "", "M")
    async with house.logged_in("steward") as client:
        page = await client.get("/steward")
        found = await post(client, page, "/steward/person", number="99198100-0010")
        address = found.headers["location"]
        page = await client.get(address)
        page = await post(client, page, address, number="121212+1212")
        assert "Tolvan Tolvansson" in page.text
        one, other = (
            re.search(
                rf'name="{name}" value="([^"]+)"><input type="hidden" name="other" value="([^"]+)"', page.text
            )
            for name in ("one", "one")
        )
        assert one is not None and other is not None
        await post(client, page, f"{address}/link", one=one[1], other=one[2], reason="Identifierad")
        text = visible(await client.get(address))
        assert "Koppling" in text and "Identifierad" in text
        (person,) = await house.lookup.by_number("991981000010")
        assert person.demographics.name == "Tolvansson^Tolvan"
        page = await client.get("/steward/acts")
        assert "99198100-0010 · 19121212-1212" in visible(page), (
            "which numbers, though both are one person now"
        )
        await post(client, page, "/steward/acts/1/undo")
        (person,) = await house.lookup.by_number("991981000010")
        assert person.demographics.name == "Okänd^Man"


async def test_every_page_of_the_console_has_a_title_of_its_own(house: House) -> None:
    await a_contradiction(house)
    tabs = ("", "/held", "/held/1", "/findings", "/unjoined", "/alike", "/guardians", "/acts")
    async with house.logged_in("steward") as client:
        pages = [(await client.get(f"/steward{each}")).text for each in tabs]
    titles = [re.search(r"<title>(.*)</title>", page)[1] for page in pages]  # type: ignore[index]  # None fails the test
    assert len(set(titles)) == len(tabs), titles
    assert not any("Tolvan" in title or "Ekström" in title for title in titles)


async def test_a_protected_name_is_masked_on_the_console_too(house: House) -> None:
    await a_contradiction(house)

    def protect(transaction: Transaction) -> None:
        transaction.update("patient", {"patient_key": 1}, protected=1)

    await house.store.commit(protect)
    async with house.logged_in("steward") as client:
        for address in ("/steward/held", "/steward/held/1"):
            text = (await client.get(address)).text
            assert "Ekström" not in text and "Tolvansson" not in text, address
            assert "Skyddad identitet" in text


async def test_a_second_number_that_nobody_has_is_looked_up_in_the_journal_too(house: House) -> None:
    await register(house, "1", "191212121212^^^PNR", "Tolvansson^Tolvan", "19121212", "M")
    async with house.logged_in("steward") as client:
        page = await client.get("/steward")
        found = await post(client, page, "/steward/person", number="19121212-1212")
        address = found.headers["location"]
        before = [event for event, _ in await house.audited()].count("SEARCH_PATIENT")
        page = await post(client, await client.get(address), address, number="19900101-2385")
        assert "Ingen patient med det numret" in visible(page)
    assert [event for event, _ in await house.audited()].count("SEARCH_PATIENT") == before + 1


async def test_a_study_is_moved_after_all_consequences_were_shown_and_taken_back(house: House) -> None:
    await register(house, "1", "191212121212^^^PNR", "Tolvansson^Tolvan", "19121212", "M")
    await register(house, "2", "199001012385^^^PNR", "Ekström^Åsa", "19900101", "F")
    assert await image(house, 1) == "stored"
    async with house.logged_in("steward") as client:
        page = await client.get("/steward")
        found = await post(client, page, "/steward/person", number="19121212-1212")
        page = await client.get(found.headers["location"])
        address = link_to(page, "/steward/move/")
        page = await client.get(address)
        assert "Tolvan Tolvansson" in page.text
        page = await post(client, page, address, number="19900101-2385")
        text = visible(page)
        assert "Till Åsa Ekström 19900101-2385" in text
        assert "Hela studien (1 bild)" in text
        assert "Röntgen Nordsjukhuset, Nordsjukhuset" in text
        ticket = re.search(r'name="ticket" value="([^"]+)"', page.text)[1]  # type: ignore[index]  # None fails the test
        other = address.replace("2.25.91", "2.25.92")
        assert (await post(client, page, f"{other}/done", ticket=ticket, reason="x")).status_code == 404
        assert (await post(client, page, f"{address}/done", ticket=ticket, reason="")).status_code == 400
        done = await post(client, page, f"{address}/done", ticket=ticket, reason="Fel på listan")
        assert done.headers["location"] == "/steward/acts"
        (person,) = await house.lookup.by_number("199001012385")
        assert await house.lookup.person_of_study("2.25.91") == person.key
        page = await client.get("/steward/acts")
        assert "Från: Tolvan Tolvansson 19121212-1212" in visible(page)
        assert "Till: Åsa Ekström 19900101-2385" in visible(page)
        await post(client, page, "/steward/acts/1/undo")
        (person,) = await house.lookup.by_number("191212121212")
        assert await house.lookup.person_of_study("2.25.91") == person.key


async def test_another_providers_study_can_not_even_be_looked_at(house: House) -> None:
    await register(house, "1", "191212121212^^^PNR", "Tolvansson^Tolvan", "19121212", "M")
    other = sender_of(PROVIDERS["klara"], PROVIDERS["klara"].units[0].hsa_id)
    data = data_set(StudyInstanceUID="2.25.95", SeriesInstanceUID="2.25.95.1", SOPInstanceUID="2.25.95.1.1")
    receipt, _ = await house.intake.receive(Arrival(other, SYNTAX, "test"), data)
    assert receipt.outcome == "stored"
    async with house.logged_in("steward") as client:
        answer = await client.get("/steward/move/2.25.95")
        assert answer.status_code == 404
        page = await client.get("/steward")
        found = await post(client, page, "/steward/person", number="19121212-1212")
        assert "2.25.95" not in (await client.get(found.headers["location"])).text


async def test_images_without_text_are_joined_with_a_suggested_one_and_parted_again(house: House) -> None:
    today = datetime.now(STOCKHOLM).strftime("%Y%m%d")
    assert await image(house, 1, StudyDate=today, StudyTime="104000", AccessionNumber=None) == "stored"
    raw = message(
        msh("ORU^R01", "t1", sent=f"{today}120000"),
        pid("191212121212^^^PNR", "Tolvansson^Tolvan", "19121212", "M"),
        obr({3: "F1", 7: f"{today}110000", 18: "ACC77", 22: f"{today}120000"}),
        obx("Inga fynd."),
    )
    unit = NORD.units[0].hsa_id
    filed = await house.filing.file_message(sender_of(NORD, unit), "standard", raw, "test")
    assert filed.receipt.outcome == "stored"
    async with house.logged_in("steward") as client:
        page = await client.get("/steward/unjoined")
        assert "ACC77" in page.text and "Inga fynd" not in page.text
        assert "10:40" in visible(page), "two studies of one day are told apart by their time"
        assert "DT, 1 bild" in visible(page)
        text = re.search(r'name="text" value="([^"]+)"', page.text)[1]  # type: ignore[index]  # None fails the test
        address = "/steward/unjoined/2.25.91/join"
        assert (await post(client, page, address, text=text, reason="")).status_code == 400
        forged = await post(client, page, address, text="2.25.2 ANNAT", reason="x")
        assert forged.status_code == 404
        done = await post(client, page, address, text=text, reason="Numret saknas")
        assert done.headers["location"] == "/steward/acts"
        assert "Alla bilder har sin text" in (await client.get("/steward/unjoined")).text
        page = await client.get("/steward/acts")
        assert "Text och bilder kopplade" in page.text
        await post(client, page, "/steward/acts/1/undo")
        assert "ACC77" in (await client.get("/steward/unjoined")).text


async def test_suspected_duplicates_are_looked_at_and_taken_off_the_list(house: House) -> None:
    today = datetime.now(STOCKHOLM).strftime("%Y%m%d")
    for number in (1, 2):
        assert await image(house, number, StudyDate=today, StudyTime=f"10{number}000") == "stored"
    async with house.logged_in("steward") as client:
        page = await client.get("/steward/alike")
        assert "2.25.91" in page.text and "2.25.92" in page.text
        assert "Innehåll DT" in visible(page)
        assert visible(page).count(", 1 bild") == 2
        await post(client, page, "/steward/alike/2.25.91/settle", other="2.25.92", reason="Två tagningar")
        assert "Inga misstänkta dubbletter" in (await client.get("/steward/alike")).text


async def test_what_was_sent_under_two_numbers_that_are_parted_is_held_and_filed_as_a_study_of_its_own(
    house: House,
) -> None:
    await register(house, "1", "191212121212^^^PNR", "Tolvansson^Tolvan", "19121212", "M")
    await register(house, "2", "991981000010^^^SLLRES", "Okänd^Man", "", "M")
    (one,), (other,) = (
        await house.lookup.by_number("191212121212"),
        await house.lookup.by_number("991981000010"),
    )
    await house.store.commit(lambda t: links.merge(t, one.key, other.key, links.Word()))
    assert await image(house, 1) == "stored"
    more = {"PatientID": "991981000010", "SOPInstanceUID": "2.25.91.1.2"}
    data = data_set(StudyInstanceUID="2.25.91", SeriesInstanceUID="2.25.91.1", **more)
    receipt, _ = await house.intake.receive(Arrival(nord(house), SYNTAX, "test"), data)
    assert receipt.outcome == "stored"
    await house.store.commit(lambda t: links.unmerge(t, one.key, other.key, links.Word()))

    def rows(connection: sqlite3.Connection) -> list[tuple[str, int]]:
        found = connection.execute("SELECT study_uid, instance_count FROM study ORDER BY study_key")
        return [(row[0], row[1]) for row in found]

    assert await house.store.read(rows) == [("2.25.91", 1)]
    async with house.logged_in("steward") as client:
        address = link_to(await client.get("/steward/held"), "/steward/held/")
        page = await client.get(address)
        page = await post(client, page, address, number="991981000010")
        ticket = re.search(r'name="ticket" value="([^"]+)"', page.text)[1]  # type: ignore[index]  # None fails the test
        done = await post(client, page, f"{address}/release", ticket=ticket, reason="Egen undersökning")
        assert done.headers["location"] == "/steward/acts"
    ((first, count), (own, own_count)) = await house.store.read(rows)
    assert (first, count, own_count) == ("2.25.91", 1, 1)
    assert await house.lookup.person_of_study(own) == other.key


async def test_a_difference_is_told_beside_the_images_until_it_is_settled(house: House) -> None:
    await register(house, "1", "191212121212^^^PNR", "Tolvansson^Tolvan", "19121213", "M")
    assert await image(house, 1) == "stored"
    told = "Kontrollera att bilderna är rätt patients"
    async with house.logged_in("radiologist") as client:
        base = await related(client)
        address = re.search(rf'href="({base}e/[^"#]+)"', (await client.get(base)).text)[1]  # type: ignore[index]
        page = await client.get(address)
        assert told in page.text and "annat födelsedatum." in visible(page)
        async with house.logged_in("steward") as desk:
            found = await desk.get("/steward/findings")
            await post(desk, found, "/steward/findings/1/settle", reason="Skrivfel")
        assert told not in (await client.get(address)).text


async def test_a_report_without_images_is_moved_with_all_consequences_shown(house: House) -> None:
    await register(house, "1", "191212121212^^^PNR", "Tolvansson^Tolvan", "19121212", "M")
    await register(house, "2", "199001012385^^^PNR", "Ekström^Åsa", "19900101", "F")
    raw = message(
        msh("ORU^R01", "t1"), pid(name="", birth="", sex=""), obr({3: "F1", 18: "ACC77"}), obx("Inga fynd.")
    )
    unit = NORD.units[0].hsa_id
    filed = await house.filing.file_message(sender_of(NORD, unit), "standard", raw, "test")
    assert filed.receipt.outcome == "stored"
    async with house.logged_in("steward") as client:
        page = await client.get("/steward")
        found = await post(client, page, "/steward/person", number="19121212-1212")
        page = await client.get(found.headers["location"])
        assert "Inga fynd" not in page.text
        text = re.search(r'name="text" value="([^"]+)"', page.text)[1]  # type: ignore[index]  # None fails the test
        address = re.search(r'action="(/steward/texts/[^"]+)"', page.text)[1]  # type: ignore[index]  # None fails the test
        page = await post(client, page, address, text=text, number="19900101-2385")
        assert "Till Åsa Ekström" in visible(page) and "Svar: 1, remisser: 0" in page.text
        ticket = re.search(r'name="ticket" value="([^"]+)"', page.text)[1]  # type: ignore[index]  # None fails the test
        forged = await post(client, page, f"{address}/done", text="2.25.2 ANNAT", ticket=ticket, reason="x")
        assert forged.status_code == 404
        done = await post(client, page, f"{address}/done", text=text, ticket=ticket, reason="Fel patient")
        assert done.headers["location"] == "/steward/acts"
        page = await client.get("/steward/acts")
        await post(client, page, "/steward/acts/1/undo")
        assert "Ångrat" in (await client.get("/steward/acts")).text
