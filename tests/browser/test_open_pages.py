"""Open pages close within five seconds when a consent, a lift or a session ends, or a block comes, and say when
something else has come."""

import asyncio
import time
from datetime import timedelta

import pytest

from samsyn import limits
from samsyn.model.registers import BlockKind
from tests.browser.browsing import Watched, a_browser, a_window
from tests.viewer.house import House
from tests.viewer.life_cycle import Telling

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CLOSED = "text=Det som visades har stängts"


async def _reading(seen: Watched) -> str:
    """The GP reads the hospital's CT on consent; the address of the patient."""
    page = seen.page
    await seen.log_in("Eva Lindgren")
    await seen.open_patient("191212121212")
    base = page.url.partition("#")[0]
    await page.goto(f"{base}ground/consent")
    await page.click("form.card button.big")
    await page.click("#more form[action$='choose-providers'] button")
    await page.click("a.title:has-text('DT thorax med iv kontrast') >> nth=0")
    await page.click("a[data-stack]")
    await page.wait_for_selector(".quickviewer-where:has-text('av 80')")
    return base


async def _closed(seen: Watched, what: str, began: float) -> None:
    await seen.at_the_next_pulse(CLOSED)
    print(f"{what}: the page was closed after {time.monotonic() - began:.1f} s")
    assert await seen.page.locator("canvas, img, .report").count() == 0
    assert "malignitetsmisstänkt" not in await seen.page.content()
    assert await seen.page.evaluate("document.activeElement.tagName") == "H1"


async def test_a_withdrawn_consent_closes_every_open_page_within_five_seconds(house: House) -> None:
    async with a_browser(house.base) as seen:
        base = await _reading(seen)
        other = await a_window(seen.page.context, house.base)
        await other.page.goto(base)
        began = time.monotonic()
        await other.page.click("button[value='withdraw']")
        await other.page.wait_for_selector("text=Registrera samtycke")
        await seen.page.bring_to_front()
        await _closed(seen, "consent withdrawn", began)
        # Pictures that were on their way are refused from the moment of the withdrawal.
        assert all("404" in trouble for trouble in seen.troubles), seen.troubles
        seen.troubles.clear()
        await seen.check("closed")
        await seen.page.click("main a.ds-button")
        await seen.page.wait_for_selector(".entry")
        assert "Röntgen Nordsjukhuset" not in await seen.page.inner_text("#entries")


async def test_a_new_block_closes_the_open_pictures_and_the_diagnostic_viewer(house: House) -> None:
    async with a_browser(house.base) as seen:
        await _reading(seen)
        began = time.monotonic()
        await house.block("tolvan", BlockKind.OUTER, "nord")
        await _closed(seen, "outer block", began)


async def test_a_lift_that_runs_out_closes_the_open_pictures(house: House) -> None:
    await house.block("tolvan", BlockKind.OUTER, "nord")
    async with a_browser(house.base) as seen:
        ends = house.clock.now() + timedelta(minutes=5)
        await house.lift("tolvan", "nord", "SE9990000004-1001", ends)
        await _reading(seen)
        assert await seen.page.locator("canvas").count()
        house.clock.advance_to(ends)
        await _closed(seen, "lift run out", time.monotonic())


async def test_a_log_out_in_another_window_empties_this_one(house: House) -> None:
    async with a_browser(house.base) as seen:
        base = await _reading(seen)
        other = await a_window(seen.page.context, house.base)
        await other.page.goto(base)
        await other.page.click("text=Logga ut")
        await seen.page.bring_to_front()
        await seen.at_the_next_pulse("text=Du är utloggad")
        assert "Tolvan" not in await seen.page.content()


async def test_a_page_says_that_its_session_ends_soon_and_whoever_answers_stays(house: House) -> None:
    almost = timedelta(seconds=limits.SESSION_IDLE_S - limits.SESSION_WARNED_S + 30)
    async with a_browser(house.base) as seen:
        page = seen.page
        await seen.log_in("Eva Lindgren")
        await seen.open_patient("191212121212")
        house.clock.advance_to(house.clock.now() + almost)
        ending = "[data-note='ending']:visible"
        await page.wait_for_selector(ending)
        await seen.check("ending")
        await seen.picture("session-ending.png")
        await page.click(f"{ending} button")
        await page.wait_for_selector(ending, state="detached")
        house.clock.advance_to(house.clock.now() + almost)
        await page.wait_for_selector(ending)
        await page.focus("#filter-text")
        await page.keyboard.type("thorax")
        await page.wait_for_selector(ending, state="detached")
        assert await page.input_value("#filter-text") == "thorax"
        assert await page.locator("h1:has-text('Undersökningar')").count() == 1


async def test_whoever_only_scrolls_and_writes_on_a_page_is_not_logged_out(house: House) -> None:
    async with a_browser(house.base) as seen:
        page = seen.page
        await page.clock.install()
        await seen.log_in("Eva Lindgren")
        await seen.open_patient("191212121212")
        base = page.url.partition("#")[0]
        await page.goto(f"{base}ground/consent")
        for _ in range(3):
            house.clock.advance_to(house.clock.now() + timedelta(seconds=limits.SESSION_IDLE_S / 2))
            await page.keyboard.press("ArrowDown")
            async with page.expect_event("requestfinished", lambda one: "samsyn-used" in one.headers):
                await page.clock.fast_forward(61_000)
        assert await page.locator("form.card").count() == 1


async def test_a_broken_connection_covers_the_page_until_it_is_back(house: House) -> None:
    async with a_browser(house.base) as seen:
        await _reading(seen)
        await seen.page.context.set_offline(True)
        await seen.page.wait_for_selector("main.covered")
        assert not await seen.page.is_visible(".report")
        await seen.page.context.set_offline(False)
        await seen.until("!document.querySelector('main.covered')")
        assert await seen.page.is_visible(".report")


async def test_a_page_that_a_new_answer_has_made_old_says_so_until_it_is_loaded_again(house: House) -> None:
    telling = Telling(house, "LC11", "DT lever", 1)
    await telling.version("P", 2, "Inget akut.")
    async with a_browser(house.base) as seen:
        page = seen.page
        await seen.log_in("Ingrid Sandelin", "Röntgen Nordsjukhuset")
        await seen.open_patient("191212121212")
        await page.click("a.title:has-text('DT lever')")
        await page.wait_for_selector(".report:has-text('Inget akut.')")
        await asyncio.sleep(2.5 * limits.PULSE_S)
        assert await page.locator("[data-note='news']:visible").count() == 0
        await telling.version("F", 1, "Lungemboli i höger underlob.")
        await seen.at_the_next_pulse("[data-note='news']:visible")
        await seen.check("something has come")
        await seen.picture("open-page-news.png")
        await page.click("[data-note='news'] a")
        await page.wait_for_selector(".report:has-text('Lungemboli')")
        await asyncio.sleep(2.5 * limits.PULSE_S)
        assert await page.locator("[data-note='news']:visible").count() == 0


@pytest.mark.parametrize("size", ["desktop", "phone"])
async def test_a_private_persons_open_page_says_that_an_answer_has_come(house: House, size: str) -> None:
    async with a_browser(house.base, size) as seen:
        page = seen.page
        await page.goto(f"{house.base}/login")
        await page.click('a[href="/login/start"]')
        await page.click('button:has-text("Tolvan Tolvansson")')
        await page.wait_for_selector("h1:has-text('Mina undersökningar')")
        await asyncio.sleep(2.5 * limits.PULSE_S)
        assert await page.locator("[data-note='news']:visible").count() == 0
        await Telling(house, "LC11", "DT lever", 40).version("F", 1, "Inga förändringar i levern.")
        await page.wait_for_selector("[data-note='news']:visible", timeout=10_000)
        await seen.check("something has come")
        await seen.picture(f"own-page-news-{size}.png")
        await page.click("[data-note='news'] a")
        await page.click("a.title:has-text('DT lever')")
        await page.wait_for_selector(".report:has-text('Inga förändringar i levern.')")
        assert await page.locator("[data-note='news']:visible").count() == 0
