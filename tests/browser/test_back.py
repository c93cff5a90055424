"""Back and reload in the browser never ask to send a form again, and lead to a page that can be gone on from."""

import pytest

from tests.browser.browsing import a_browser
from tests.browser.test_log_review import enter
from tests.viewer.house import House

pytestmark = [pytest.mark.browser, pytest.mark.slow]


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


async def test_back_to_a_list_shows_the_choice_that_the_list_follows(house: House) -> None:
    async with a_browser(house.base) as seen:
        page = seen.page
        await seen.log_in("Ingrid Sandelin", "Röntgen Nordsjukhuset")
        await seen.open_patient("191212121212")
        everything = await page.locator(".entry").count()
        await page.click(".toggles label:has-text('DT')")
        await seen.until(f"document.querySelectorAll('.entry').length < {everything}")
        assert await page.inner_text("#said") == await page.inner_text("[data-says]")
        await page.click("a.title >> nth=0")
        await page.wait_for_selector("article")
        await page.go_back()
        await page.wait_for_selector("#entries")
        await page.wait_for_load_state()
        chosen = await page.locator(".toggles input:checked").get_attribute("value")
        shown = await page.locator(".entry").count()
        assert (chosen == "") == (shown == everything), (chosen, shown)


async def test_what_is_attested_is_ticked_anew_every_time(house: House) -> None:
    async with a_browser(house.base) as seen:
        page = seen.page
        await seen.log_in("Eva Lindgren")
        await seen.open_patient("191212121212")
        base = page.url.partition("#")[0]
        await page.goto(f"{base}ground/emergency")
        await page.check("input[name='attest']")
        await page.click("main form.card button.big")
        await page.wait_for_selector("#more form[action$='choose-providers']")
        await page.go_back()
        await page.wait_for_selector("input[name='attest']")
        await page.wait_for_load_state()
        assert not await page.is_checked("input[name='attest']")


async def test_another_language_leads_back_to_the_same_comparison(house: House) -> None:
    async with a_browser(house.base) as seen:
        page = seen.page
        await seen.log_in("Ingrid Sandelin", "Röntgen Nordsjukhuset")
        await seen.open_patient("191212121212")
        await page.click("a.title:has-text('DT thorax med iv kontrast') >> nth=0")
        await page.click("a[data-whole]")
        await page.click(".comparable summary")
        await page.click(".comparable a >> nth=0")
        await page.wait_for_selector("[data-compared]")
        address = page.url
        await page.click("button[lang='en']")
        await page.wait_for_selector("html[lang='en']")
        assert page.url == address
        assert await page.locator(".quickviewer").count() == 2
