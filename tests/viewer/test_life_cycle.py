"""The life of a report on the pages: every state in words, what changed, and the referrer's vidimering."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest_asyncio
from pydicom.uid import ExplicitVRLittleEndian

from samsyn.ingest.filing import REPORT_DOCUMENT
from samsyn.ingest.receive import Arrival
from samsyn.jobs.queue import Job
from samsyn.reports.forms.documents import DocumentFiling
from tests.hl7v2.messages import obx, segment
from tests.reports.documents_made import PDF_BYTES, encapsulated, number, report, section, text
from tests.viewer.house import House, a_house, days_ago, sender_of
from tests.viewer.life_cycle import AFTER, NORD, Telling, tell_everything
from tests.viewer.test_pages import post, related, visible


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as house:
        await tell_everything(house)
        yield house


async def page_of(client: httpx.AsyncClient, title: str) -> httpx.Response:
    """The examination's page, after the reader chose the other units of the own provider when there are some."""
    base = await related(client)
    listed = await client.get(base)
    if f"{base}reveal/units" in listed.text:
        await post(client, listed, f"{base}reveal/units")
        listed = await client.get(base)
        chosen = re.findall(r'name="chosen" value="([^"]+)"', listed.text)
        await post(client, listed, f"{base}reveal/choose-units", chosen=chosen)
        listed = await client.get(base)
    mark = re.search(rf'href="{base}e/([0-9a-f]+)"[^>]*>\s*{re.escape(title)}\s*<', listed.text)
    assert mark is not None, visible(listed)
    return await client.get(f"{base}e/{mark[1]}")


async def test_an_addendum_stands_above_what_it_adds_to_with_its_marker(house: House) -> None:
    async with house.logged_in("physician") as client:
        text = visible(await page_of(client, "DT thorax kontroll"))
        text = text[text.index("Tillägg till utlåtandet") :]
        assert (
            text.index("Tillägg till utlåtandet") < text.index("Tillägg: vid jämförelse") < text.index("Fynd")
        )
        assert "Tillägget hör till utlåtandet nedanför." in text


async def test_a_correction_shows_its_reason_and_what_was_taken_away_and_put_in(house: House) -> None:
    async with house.logged_in("physician") as client:
        page = await page_of(client, "DT thorax")
        assert (
            "Utlåtandet är rättat och ersätter ett tidigare svar. Orsak: Måttet var felskrivet."
            in visible(page)
        )
        assert "<del>8</del>" in page.text
        assert "<ins>18</ins>" in page.text
        assert "Tidigare versioner (1)" in visible(page)


async def test_an_annulled_report_is_a_tombstone_with_who_when_and_why_and_without_its_text(
    house: House,
) -> None:
    async with house.logged_in("physician") as client:
        page = await page_of(client, "Slätröntgen handled")
        text = visible(page)
        assert re.search(
            r"Makulerat av Eva Ny \d{4}-\d\d-\d\d \d\d:\d\d\. Orsak: Svaret tillhör en annan undersökning",
            text,
        )
        standing = page.text[page.text.index('data-status="annulled"') : page.text.index("<details")]
        assert "Ingen fraktur" not in standing


async def test_a_preliminary_report_says_so_and_is_not_offered_for_vidimering(house: House) -> None:
    async with house.logged_in("physician") as client:
        page = await page_of(client, "DT buk")
        assert "Detta är ett preliminärsvar." in visible(page)
        assert "Vidimera svaret" not in visible(page)


def report_of(page: httpx.Response) -> str:
    found = re.search(r'name="report" value="([0-9a-f]+)"', page.text)
    assert found is not None
    return found[1]


async def test_the_referrer_vidimerar_what_stands_there_and_a_later_version_asks_for_it_anew(
    house: House,
) -> None:
    async with house.logged_in("physician") as client:
        page = await page_of(client, "DT thorax")
        address = f"{page.url.path}/vidimera"
        answer = await post(client, page, address, report=report_of(page))
        assert answer.status_code == 303
        text = visible(await client.get(page.url.path))
        assert "Vidimerat av Karin Ståhlberg" in text
        assert "Vidimera svaret" not in text
        await Telling(house, "LC2", "DT thorax", 3).version("A", 7, "Granskat av två.")
        text = visible(await client.get(page.url.path))
        assert "Karin Ståhlberg vidimerade en tidigare version" in text
        assert "Vidimera svaret" in text
    events = [event for event, _ in await house.audited()]
    assert events.count("VIDIMERA") == 1


async def test_twice_is_once(house: House) -> None:
    async with house.logged_in("physician") as client:
        page = await page_of(client, "DT thorax")
        for _ in range(2):
            await post(client, page, f"{page.url.path}/vidimera", report=report_of(page))
    assert [event for event, _ in await house.audited()].count("VIDIMERA") == 1


async def test_what_has_changed_since_it_was_shown_is_read_before_it_is_vidimerat(house: House) -> None:
    async with house.logged_in("physician") as client:
        page = await page_of(client, "DT thorax kontroll")
        await Telling(house, "LC3", "DT thorax kontroll", 5).version("C", 8, AFTER)
        answer = await post(client, page, f"{page.url.path}/vidimera", report=report_of(page))
        assert "changed=1" in answer.headers["location"]
        text = visible(await client.get(answer.headers["location"]))
        assert "Svaret har ändrats sedan du öppnade sidan." in text
        assert "Vidimerat av" not in text


async def test_only_the_unit_that_referred_vidimerar(house: House) -> None:
    async with house.logged_in("physician") as client:
        mark = report_of(await page_of(client, "DT thorax"))
    async with house.logged_in("radiologist") as client:
        page = await page_of(client, "DT thorax")
        assert "Vidimera svaret" not in visible(page)
        answer = await post(client, page, f"{page.url.path}/vidimera", report=mark)
        assert answer.status_code == 403
    assert "VIDIMERA" not in [event for event, _ in await house.audited()]


async def test_markup_and_formulas_in_texts_and_names_are_letters(house: House) -> None:
    hostile = "<img src=x onerror=alert(1)> =HYPERLINK(1) {{ 7*7 }} <script>alert(2)</script>"
    await Telling(house, "LC8", "DT <b>skalle</b>", 2).version("F", 1, hostile, by="1^<i>Ny</i>^Eva")
    async with house.logged_in("radiologist") as client:
        base = await related(client)
        listed = await client.get(base)
        mark = re.search(r'e/([0-9a-f]+)"[^>]*>DT &lt;b&gt;skalle', listed.text)
        assert mark is not None
        page = await client.get(f"{base}e/{mark[1]}")
        assert hostile in visible(page)
        for text in (listed.text, page.text):
            assert "<img src=x" not in text
            assert "<script>alert" not in text
            assert "DT <b>" not in text


async def test_a_report_in_several_forms_is_told_once_with_its_forms_and_measurements(house: House) -> None:
    sender = sender_of(NORD, NORD.units[0].hsa_id)
    telling = Telling(house, "LC7", "DT lever", 2)
    await telling.version("F", 1, "En 18 mm stor förändring i leverns segment fyra.")
    told = section(
        "Fynd", text("En 18 mm stor förändring i leverns segment fyra."), number("Diameter", "18", "mm")
    )
    today = days_ago(0).strftime("%Y%m%d")
    made = encapsulated(PDF_BYTES, accession="LC7", ContentDate=today)
    for data in (report(told, accession="LC7"), made):
        await house.intake.receive(Arrival(sender, str(ExplicitVRLittleEndian), "test"), data)
    for uid in ("2.25.71", "2.25.72"):
        await DocumentFiling(house.store).work(Job(0, REPORT_DOCUMENT, uid, "", 0))
    async with house.logged_in("radiologist") as client:
        page = visible(await page_of(client, "DT lever"))
        assert (
            page.count("En 18 mm stor förändring i leverns segment fyra.") == 2
        )  # once in the list, once here
        assert "Finns även som PDF." in page
        assert "Finns även som DICOM SR." in page
        assert "Mätvärden" in page
        assert "Diameter (Fynd) 18 mm" in page


async def test_two_reports_under_one_accession_number_are_both_told_with_what_each_is_about(
    house: House,
) -> None:
    telling = Telling(house, "LC9", "DT thorax och buk", 2)
    await telling.referral()
    for place, (procedure, said) in enumerate({"DT thorax": "Normal.", "DT buk": "Aneurysm 6 cm."}.items()):
        detail = {
            2: "RLC9",
            3: f"FLC9{place}",
            4: f"X^{procedure}^99L",
            18: "LC9",
            22: telling._time(0),
            25: "F",
        }
        await telling._send("ORU^R01", str(place), segment("OBR", detail), obx(said))
    async with house.logged_in("physician") as client:
        page = await page_of(client, "DT thorax och buk")
        told = visible(page)
        for procedure, said in {"DT thorax": "Normal.", "DT buk": "Aneurysm 6 cm."}.items():
            assert re.search(rf"Utlåtande: {procedure}\W.*{re.escape(said)}", told)
        assert "Tidigare versioner" not in told
        assert "2 utlåtanden, varav det senaste:" in visible(await client.get(await related(client)))
