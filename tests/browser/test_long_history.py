"""A long list in a real browser: a year is jumped to below the banner, and a choice narrows list and count at once."""

from pathlib import Path

import pytest

from tests.browser.browsing import a_browser
from tests.viewer.house import a_served_house
from tests.viewer.test_long_history import many

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.mark.parametrize("size", ["desktop", "phone"])
async def test_years_and_choices(tmp_path: Path, size: str) -> None:
    async with a_served_house(tmp_path) as house:
        await house.fill(["tolvan"], frozenset({"chest", "mr-brain"}))
        await many(house)
        async with a_browser(house.base, size) as seen:
            page = seen.page
            await seen.log_in("Ingrid Sandelin", "Röntgen Nordsjukhuset")
            await seen.open_patient("19121212-1212")
            await seen.check("long list")
            await seen.picture(f"long-{size}.png")
            await page.click(".years a:has-text('2004')")
            heading = await page.locator("h2.year:text-is('2004')").bounding_box()
            banner = await page.locator(".patient").bounding_box()
            assert heading is not None
            assert banner is not None
            assert heading["y"] >= banner["y"] + banner["height"]
            assert heading["y"] < page.viewport_size["height"] / 2  # type: ignore[index]  # every browser here has a size
            await seen.picture(f"long-year-{size}.png")
            await page.select_option("#filter-part", "Hjärna")
            await page.wait_for_selector("#entries:has-text('Visar 1 av')")
            assert await page.locator(".entry").count() == 1
            assert await page.locator("#entries a[href='#more']").count() == 1
            await seen.check("narrowed")
            await page.evaluate("window.scrollTo(0, 0)")
            await seen.picture(f"long-narrowed-{size}.png")
            await page.fill("#filter-text", "finns inte alls")
            await page.wait_for_selector("#entries:has-text('Inget stämmer med filtret')")
            await seen.check("nothing")
            every = await page.locator("#entries a:has-text('Visa alla')").bounding_box()
            assert every is not None
            await page.mouse.move(every["x"] + every["width"] / 2, every["y"] + every["height"] / 2)
            await (
                page.mouse.down()
            )  # the text is left; a list put anew now would take the press from under the pointer
            await page.wait_for_timeout(500)
            await page.mouse.up()
            await page.wait_for_selector("#entries:has-text('undersökningar')")
            assert await page.locator(".entry").count() > 100
