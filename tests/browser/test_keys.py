"""Shortcuts of one letter take nobody away from where he is at, and can be switched off."""

import pytest

from tests.browser.browsing import a_browser
from tests.viewer.house import House

pytestmark = [pytest.mark.browser, pytest.mark.slow]


async def test_the_letter_of_the_search_leaves_what_was_found_where_it_is(house: House) -> None:
    async with a_browser(house.base) as seen:
        page = seen.page
        await seen.log_in("Eva Lindgren")
        await page.fill("#number", "191212121212")
        await page.press("#number", "Enter")
        await page.wait_for_selector(".person")
        await page.wait_for_load_state()
        left: list[str] = []
        page.on("framenavigated", lambda frame: left.append(frame.url))
        await page.locator(".person button").focus()
        await page.keyboard.press("s")
        await seen.until("document.activeElement.id === 'number'")
        await page.evaluate("new Promise((next) => setTimeout(next, 200))")
        assert left == []
        assert await page.locator(".person").count() == 1


async def test_letters_do_nothing_where_they_are_switched_off_and_the_pictures_keys_stay(
    house: House,
) -> None:
    async with a_browser(house.base) as seen:
        page = seen.page
        await seen.log_in("Ingrid Sandelin", "Röntgen Nordsjukhuset")
        await page.goto(f"{house.base}/help")
        await page.click("button:has-text('Stäng av kortkommandon')")
        await page.wait_for_selector("button:has-text('Slå på kortkommandon')")
        await seen.check("switched off")
        await page.goto(house.base)
        await seen.open_patient("191212121212")
        await page.wait_for_load_state()
        listed = page.url
        for key in "jsb?":
            await page.keyboard.press(key)
        assert await page.evaluate("document.activeElement === document.body")
        await page.click("a.title:has-text('DT thorax med iv kontrast') >> nth=0")
        await page.click("a[data-whole]")
        await page.wait_for_selector(".quickviewer-where:has-text('Bild 41 av 80')")
        await page.focus(".quickviewer-stage")
        await page.keyboard.press("ArrowDown")
        await page.wait_for_selector(".quickviewer-where:has-text('Bild 42 av 80')")
        await page.keyboard.press("u")
        assert await page.locator("#beside .report").count() == 0
        await page.goto(f"{house.base}/help")
        await page.click("button:has-text('Slå på kortkommandon')")
        await page.wait_for_selector("button:has-text('Stäng av kortkommandon')")
        await page.goto(listed)
        await page.wait_for_load_state()
        await page.keyboard.press("j")
        await seen.until("document.activeElement.hasAttribute('data-entry')")
