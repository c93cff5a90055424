"""Whose picture this is stays on the screen: scrolled to the end, in the quick viewer, on a phone, magnified."""

from pathlib import Path

import pytest

from samsyn_demo.people import BY_KEY as PEOPLE
from tests.browser.browsing import Watched, a_browser
from tests.viewer.house import a_served_house
from tests.viewer.test_banner import said

pytestmark = [pytest.mark.browser, pytest.mark.slow]

_TOLD = ("Tolvan Tolvansson", "19121212-1212", "Personnummer", "vid dödsfallet", "Avliden 2026-01-01")


async def _is_in_sight(seen: Watched, where: str) -> None:
    page = seen.page
    await page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    low = page.viewport_size["height"] if page.viewport_size else 0
    for told in _TOLD:
        box = await page.locator(f".patient .row >> text={told}").first.bounding_box()
        assert box is not None, (where, told)
        assert box["y"] >= 0 and box["y"] + box["height"] <= low, (where, told, box)
    await seen.check(where)


@pytest.mark.parametrize("size", ["desktop", "phone"])
async def test_the_patient_stays_in_sight_on_every_page(tmp_path: Path, size: str) -> None:
    async with a_served_house(tmp_path) as house:
        await house.fill(["tolvan"], frozenset({"ct-chest"}))
        await said(house, PEOPLE["tolvan"], "20260103120000", f29="20260101", f30="Y")
        async with a_browser(house.base, size) as seen:
            page = seen.page
            await seen.log_in("Ingrid Sandelin", "Röntgen Nordsjukhuset")
            await page.fill("#number", "19121212-1212")
            await page.press("#number", "Enter")
            await page.wait_for_selector(".person")
            await seen.check("found")
            await seen.picture(f"banner-found-{size}.png")
            await seen.open_patient("19121212-1212")
            await _is_in_sight(seen, "timeline")
            await seen.picture(f"banner-timeline-{size}.png")
            await page.click("a.title:has-text('DT thorax') >> nth=0")
            await page.wait_for_selector(".report")
            await _is_in_sight(seen, "examination")
            await seen.picture(f"banner-examination-{size}.png")
            await page.click(".to-pictures a" if size == "phone" else "a[data-whole]")
            await page.wait_for_selector(".quickviewer-where:has-text('41 av 80')")
            await _is_in_sight(seen, "pictures")
            await seen.picture(f"banner-pictures-{size}.png")
            await page.set_viewport_size({"width": 640, "height": 400})
            await _is_in_sight(seen, "magnified")
            await seen.picture(f"banner-magnified-{size}.png")
