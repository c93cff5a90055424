"""The steward's console in a real browser: every page, both sizes and languages, without anything that axe can find."""

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest
import pytest_asyncio

from samsyn.clock import STOCKHOLM
from tests.browser.browsing import a_browser
from tests.hl7v2.messages import message, msh, obr, obx, pid
from tests.viewer.house import House, a_served_house, sender_of
from tests.viewer.test_stewarding import NORD, image, register

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_served_house(tmp_path) as house:
        await register(house, "1", "191212121212^^^PNR", "Tolvansson^Tolvan", "19121213", "M")
        await register(house, "2", "199001012385^^^PNR", "Ekström^Åsa", "19900101", "F")
        await register(house, "3", "991981000010^^^SLLRES", "Okänd^Man", "", "M")
        assert await image(house, 1) == "stored"
        assert await image(house, 2, PatientID="19900101-2385") == "held"
        assert await image(house, 3, PatientID="K-1", IssuerOfPatientID="ANNAN") == "held"
        today = datetime.now(STOCKHOLM).strftime("%Y%m%d")
        for number in (4, 5):
            more = {"StudyDate": today, "StudyTime": f"10{number}000", "StudyDescription": "DT thorax"}
            assert await image(house, number, AccessionNumber=None, **more) == "stored"
        raw = message(
            msh("ORU^R01", "t1", sent=f"{today}120000"),
            pid("191212121212^^^PNR", "Tolvansson^Tolvan", "19121213", "M"),
            obr({3: "F1", 7: f"{today}110000", 18: "ACC77", 22: f"{today}120000"}),
            obx("Inga fynd."),
        )
        sender = sender_of(NORD, NORD.units[0].hsa_id)
        filed = await house.filing.file_message(sender, "standard", raw, "test")
        assert filed.receipt.outcome == "stored"
        yield house


@pytest.mark.parametrize("size", ["desktop", "phone"])
@pytest.mark.parametrize("language", ["sv", "en"])
async def test_a_steward_settles_a_case_from_the_overview_to_the_trace(
    house: House, size: str, language: str
) -> None:
    async with a_browser(house.base, size) as seen:
        page = seen.page

        async def look(name: str) -> None:
            await page.wait_for_load_state()
            await seen.check(name)
            await seen.picture(f"steward-{name}-{size}-{language}.png", full_page=True)

        await page.goto(f"{house.base}/login")
        if language == "en":
            await page.click("button[lang='en']")
        await page.click('a[href="/login/start"]')
        await page.click('button:has-text("Birger Lundvall")')
        await page.wait_for_selector(".tiles")
        await look("overview")
        await page.click(".tiles a[href='/steward/held']")
        await look("held")
        await page.click("table a.ds-button >> nth=0")
        await look("case")
        await page.fill("#number", "19121212-1212")
        await page.press("#number", "Enter")
        await page.wait_for_selector("#why-file")
        await look("confirm")
        await page.fill("#why-file", "Rätt patient enligt remissen")
        await page.press("#why-file", "Enter")
        await page.wait_for_selector("li.person")
        await look("acts")
        await page.goto(f"{house.base}/steward/unjoined")
        await page.click("details summary >> nth=0")
        await look("unjoined")
        await page.goto(f"{house.base}/steward/alike")
        await page.click("details summary >> nth=0")
        await look("alike")
        await page.goto(f"{house.base}/steward/findings")
        await page.click("details summary >> nth=0")
        await look("findings")
        await page.goto(f"{house.base}/steward")
        await page.fill("#number", "99198100-0010")
        await page.press("#number", "Enter")
        await page.wait_for_selector("ul.rows")
        await page.fill("#number", "19900101-2385")
        await page.press("#number", "Enter")
        await page.wait_for_selector("#why-link")
        await page.fill("#why-link", "Identifierad på avdelningen")
        await page.press("#why-link", "Enter")
        await page.wait_for_selector("li.person")
        await page.goto(f"{house.base}/steward")
        await page.fill("#number", "99198100-0010")
        await page.press("#number", "Enter")
        await page.wait_for_selector("ol.rows li")
        await page.click("details summary >> nth=0")
        await look("person")
        await page.goto(f"{house.base}/steward")
        await page.fill("#number", "19121212-1212")
        await page.press("#number", "Enter")
        await page.click("form[action^='/steward/texts/'] button")
        await page.fill("#number", "99198100-0010")
        await page.press("#number", "Enter")
        await page.wait_for_selector("#why-move")
        await look("texts")
        await page.goto(f"{house.base}/steward")
        await page.fill("#number", "19121212-1212")
        await page.press("#number", "Enter")
        await page.click("a[href='/steward/move/2.25.91']")
        await page.fill("#number", "99198100-0010")
        await page.press("#number", "Enter")
        await page.wait_for_selector("#why-move")
        await look("move")
        await page.fill("#why-move", "Fel rad på arbetslistan")
        await page.press("#why-move", "Enter")
        await page.wait_for_selector("li.person form button")
        await look("moved")
        await page.click("li.person form button >> nth=0")
        await page.wait_for_selector(".chip[data-status='annulled']")
