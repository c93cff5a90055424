"""A report's life in a real browser: every state is seen as what it is, without colour and without pictures too."""

from pathlib import Path

import pytest

from tests.browser.browsing import Watched, a_browser
from tests.viewer.house import a_served_house
from tests.viewer.life_cycle import tell_everything

pytestmark = [pytest.mark.browser, pytest.mark.slow]


async def opened(seen: Watched, title: str) -> str:
    """The text of an examination's page."""
    await seen.page.click(f"a.title:text-is('{title}')")
    await seen.page.wait_for_selector("article")
    await seen.check(title)
    return (await seen.page.inner_text("article")).replace("\n", " ")


async def test_every_state_of_a_report_is_seen_as_what_it_is(tmp_path: Path) -> None:
    async with a_served_house(tmp_path) as house:
        await house.fill(["tolvan"], frozenset({"ct-chest"}))
        await tell_everything(house)
        async with a_browser(house.base) as seen:
            page = seen.page
            await seen.log_in("Karin Ståhlberg")
            await seen.open_patient("19121212-1212")
            await page.click("#more form[action$='/reveal/units'] button")
            await page.click("#more form[action$='/reveal/choose-units'] button")
            await page.wait_for_selector("a.title:text-is('DT buk')")

            # A preliminary: in words, and with another border.
            text = await opened(seen, "DT buk")
            assert "Detta är ett preliminärsvar." in text
            assert "Inga bilder" in text
            style = await page.evaluate(
                "getComputedStyle(document.querySelector('.report[data-status=preliminary]')).borderTopStyle"
            )
            assert style == "dashed"
            await seen.picture("report-preliminary.png")

            # A correction with its readable difference, and the referrer's vidimering.
            text = await opened(seen, "DT thorax")
            assert "Utlåtandet är rättat" in text
            assert await page.inner_text("del >> nth=0") == "8"
            assert await page.inner_text("ins >> nth=0") == "18"
            await page.click("button:text-is('Vidimera svaret')")
            await page.wait_for_selector("text=Vidimerat av Karin Ståhlberg")
            await seen.check("vidimerat")
            await seen.picture("report-correction.png")

            # An addendum above the final report, with its marker.
            text = await opened(seen, "DT thorax kontroll")
            assert "Tillägg till utlåtandet" in text
            tops = await page.evaluate(
                "['addendum', 'final'].map((each) => document.querySelector("
                "`.report[data-status=${each}]`).getBoundingClientRect().top)"
            )
            assert tops[0] < tops[1]
            await seen.picture("report-addendum.png")

            # An annulled one: who, when and why, and not its text.
            text = await opened(seen, "Slätröntgen handled")
            assert "Makulerat av Eva Ny" in text
            assert "Orsak: Svaret tillhör en annan undersökning" in text
            assert not await page.is_visible("text=Ingen fraktur.")
            await seen.picture("report-annulled.png")

            # Referral beside report beside picture.
            await page.click("a.title:has-text('DT thorax med iv kontrast') >> nth=0")
            await seen.until(
                "[...document.querySelectorAll('.series img')].some((each) => each.naturalWidth > 100)"
            )
            await page.click("a[data-stack]")
            await page.wait_for_selector(".quickviewer-where:has-text('av 80')")
            boxes = await page.evaluate(
                "['.report', '#stage'].map((each) => document.querySelector(each).getBoundingClientRect().left)"
            )
            assert boxes[0] < boxes[1]
            assert "Tillägg till utlåtandet" in await page.inner_text("article")
            await seen.picture("report-beside-pictures.png")
