"""A real browser: an emergency is reviewed and signed, the patient sees who looked; nothing that axe can find."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from samsyn_demo.people import BY_KEY as PEOPLE
from tests.browser.browsing import Watched, a_browser
from tests.viewer.house import House, a_served_house
from tests.viewer.test_log_pages import emergency_opening

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_served_house(tmp_path) as house:
        await house.fill(["tolvan"])
        await emergency_opening(house)
        yield house


async def enter(seen: Watched, persona: str) -> None:
    """Through the log-in page; what comes first is up to the person's duty."""
    await seen.page.goto(f"{seen.base}/login")
    await seen.page.click('a[href="/login/start"]')
    await seen.page.click(f'button:has-text("{persona}")')
    await seen.page.wait_for_selector("main h1")


@pytest.mark.parametrize("size", ["desktop", "phone"])
async def test_an_emergency_is_found_reviewed_and_signed(house: House, size: str) -> None:
    async with a_browser(house.base, size) as seen:
        page = seen.page
        await enter(seen, "Maud Kjellin")
        await page.wait_for_selector("#log-number")
        await seen.check("log review")
        await seen.picture(f"log-review-{size}.png", full_page=True)
        await page.fill("#log-number", PEOPLE["tolvan"].number)
        await page.click('form[action="/log/search"] button')
        await page.wait_for_selector("tr[data-emergency]")
        await seen.check("log search")
        await seen.picture(f"log-search-{size}.png", full_page=True)
        async with page.expect_download() as download:
            await page.click("button:has-text('Loggutdrag (PDF)')")
        assert (await download.value).suggested_filename == "loggutdrag.pdf"
        await page.check("input[name='emergencies']")
        async with page.expect_navigation():
            await page.click('form[action="/log/search"] button >> nth=0')
        assert (
            await page.locator("table tbody tr").count() == await page.locator("tr[data-emergency]").count()
        )
        await page.goto(f"{house.base}/log")
        await page.click('form[action="/log/checks"] button')
        await page.wait_for_selector("#remark")
        await seen.check("review")
        await page.click('label:has(input[value="justified"])')
        await page.check('input[name="finding"][value="none"]')
        await page.fill("#remark", "Patienten var medvetslös.")
        await seen.picture(f"log-check-{size}.png", full_page=True)
        await page.click('form button:has-text("Signera")')
        await page.wait_for_selector("p .chip[data-status='final']")
        await seen.check("signed review")
        await page.goto(f"{house.base}/log")
        await seen.check("history of reviews")
        assert await page.locator(".notice[data-kind='success']").count() == 1


@pytest.mark.parametrize("size", ["desktop", "phone"])
@pytest.mark.parametrize("language", ["sv", "en"])
async def test_the_patient_sees_who_looked(house: House, size: str, language: str) -> None:
    async with a_browser(house.base, size) as seen:
        if language == "en":
            await seen.page.goto(f"{house.base}/login")
            await seen.page.click("button[lang='en']")
        await enter(seen, "Tolvan Tolvansson")
        await seen.page.goto(f"{house.base}/mine/log")
        await seen.check("log extract")
        hidden = "(table) => table.parentElement.scrollWidth - table.parentElement.clientWidth"
        assert await seen.page.locator("table.plain").first.evaluate(hidden) == 0, (
            "what was done is in the window"
        )
        await seen.picture(f"log-extract-{size}-{language}.png", full_page=True)
        async with seen.page.expect_download() as download:
            await seen.page.click('a[href="/mine/log.pdf"]')
        path = await (await download.value).path()
        assert Path(path).read_bytes().startswith(b"%PDF-")
