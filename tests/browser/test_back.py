"""Back and reload in the browser never ask to send a form again, and lead to a page that can be gone on from."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.browser.browsing import a_browser
from tests.browser.test_log_review import enter
from tests.viewer.house import House, a_served_house

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_served_house(tmp_path) as house:
        await house.fill(["tolvan"])
        yield house


async def test_back_from_a_patient_leads_to_the_search_with_whom_was_opened(house: House) -> None:
    async with a_browser(house.base) as seen:
        page = seen.page
        await seen.log_in("Eva Lindgren")
        await seen.open_patient("191212121212")
        await page.goto(house.base)
        await page.fill("#number", "191212121212")
        await page.press("#number", "Enter")
        await page.click(".person button")
        await page.wait_for_selector(".entry")
        await page.go_back()
        await page.wait_for_selector(".person a:has-text('Öppna')")
        await page.click(".person a")
        await page.wait_for_selector(".entry")
        await seen.check("opened again")


async def test_what_answers_a_form_can_be_loaded_again(house: House) -> None:
    async with a_browser(house.base) as seen:
        page = seen.page
        await enter(seen, "Maud Kjellin")
        await page.fill("#log-number", "191212121212")
        await page.click("form[action='/log/search'] button >> nth=0")
        await page.wait_for_selector(".log-entries")
        await page.reload()
        await page.wait_for_selector("#log-number")
        await page.context.clear_cookies()
        await enter(seen, "Birger Lundvall")
        await page.fill("#number", "991981000010")
        await page.press("#number", "Enter")
        await page.wait_for_selector(".notice")
        seen.troubles.clear()
        await page.reload()
        await page.wait_for_selector(".tiles")
        await seen.check("the steward's overview again")
