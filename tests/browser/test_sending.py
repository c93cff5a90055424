"""A radiologist has a study sent to the own PACS from its page, follows it there and stops it."""

from pathlib import Path

import pytest

from samsyn.store.transaction import Transaction
from tests.browser.browsing import a_browser
from tests.viewer.house import a_served_house

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.mark.parametrize("size", ["desktop", "phone"])
async def test_a_study_is_sent_from_its_page_and_the_page_follows_it(size: str, tmp_path: Path) -> None:
    async with a_served_house(tmp_path) as house:
        await house.fill(["tolvan"], frozenset({"ct-chest"}))
        async with a_browser(house.base, size) as seen:
            page = seen.page
            await page.goto(f"{house.base}/login")
            await page.click('a[href="/login/start"]')
            await page.click('button:has-text("Ingrid Sandelin")')
            await page.click('button:has-text("Nordsjukhuset")')
            await page.wait_for_selector("#number")
            await seen.open_patient("19121212-1212")
            await page.click("a.title:has-text('DT thorax med iv kontrast') >> nth=0")
            await page.wait_for_selector("#transfers select")
            await seen.check("examination")
            await page.click("#transfers button:has-text('Skicka bilderna')")
            await page.wait_for_selector("#transfers li:has-text('Väntar på sin tur')")
            await seen.check("a transfer that waits")
            [(transfer,)] = house.store.peek(
                lambda one: [tuple(row) for row in one.execute("SELECT transfer_id FROM transfer")]
            )
            async with page.expect_response(lambda answer: answer.url.endswith("/transfers")):
                pass
            await page.evaluate("document.querySelector('#transfers select').chosen = true")
            await page.focus("#transfers button:has-text('Avbryt')")
            for _ in range(2):
                async with page.expect_response(lambda answer: answer.url.endswith("/transfers")):
                    pass
            await seen.until("!document.querySelector('.htmx-request, .htmx-swapping, .htmx-settling')")
            assert await page.evaluate("document.querySelector('#transfers select').chosen"), "put anew"
            assert await page.evaluate("document.activeElement.textContent") == "Avbryt"
            await page.click("#transfers a:has-text('Allt du har skickat')")
            await page.wait_for_selector(
                "#sent li:has-text('Tolvan Tolvansson'):has-text('Väntar på sin tur')"
            )
            await seen.check("everything that was sent")
            await seen.picture(f"sent-{size}.png", full_page=True)
            await page.click("#sent a:has-text('Öppna')")
            await page.click("a.title:has-text('DT thorax med iv kontrast') >> nth=0")
            await page.click("#transfers button:has-text('Avbryt')")
            await page.wait_for_selector("#transfers li:has-text('Avbrutet')")
            await seen.check("a transfer that was stopped")
            assert transfer not in await page.inner_text("article")
            await page.goto(f"{house.base}/sent?show=troubled")
            await page.wait_for_selector("#sent li:has-text('Avbrutet')")
            await page.goto(f"{house.base}/sent?show=done")
            await page.wait_for_selector("#sent:has-text('Inget du har skickat är i det läget.')")
            await seen.check("nothing in that state")


async def test_that_a_transfer_has_ended_is_told_to_whoever_does_not_see_it(tmp_path: Path) -> None:
    async with a_served_house(tmp_path) as house:
        await house.fill(["tolvan"], frozenset({"ct-chest"}))
        async with a_browser(house.base) as seen:
            page = seen.page
            await seen.log_in("Ingrid Sandelin", "Röntgen Nordsjukhuset")
            await seen.open_patient("19121212-1212")
            await page.click("a.title:has-text('DT thorax med iv kontrast') >> nth=0")
            await page.click("#transfers button:has-text('Skicka bilderna')")
            await page.wait_for_selector("#transfers li:has-text('Väntar på sin tur')")
            async with page.expect_event("requestfinished", lambda one: one.url.endswith("/transfers")):
                pass
            assert await page.inner_text("#said") == ""

            def ended(transaction: Transaction) -> None:
                transaction.update("transfer", {"transfer_id": transfer}, state="done")

            [(transfer,)] = house.store.peek(
                lambda one: [tuple(row) for row in one.execute("SELECT transfer_id FROM transfer")]
            )
            await house.store.commit(ended)
            await seen.until("document.querySelector('#said').textContent.includes('Klart')")
            await seen.check("a transfer that has ended")
