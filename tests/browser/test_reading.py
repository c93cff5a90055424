"""Reading in the quick viewer: shortcuts in view, the report beside the picture, an earlier examination beside it."""

from pathlib import Path

import pytest

from tests.browser.browsing import a_browser
from tests.viewer.house import a_served_house

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.mark.parametrize("size", ["desktop", "phone"])
async def test_report_and_earlier_examination_stand_beside_the_picture(tmp_path: Path, size: str) -> None:
    async with a_served_house(tmp_path) as house:
        await house.fill(["tolvan"], frozenset({"ct-chest"}))
        async with a_browser(house.base, size) as seen:
            page = seen.page
            await seen.log_in("Ingrid Sandelin", "Röntgen Nordsjukhuset")
            await seen.open_patient("19121212-1212")
            await page.click("a.title:has-text('DT thorax') >> nth=0")
            await page.wait_for_selector(".report")
            if size == "phone":
                await page.click(".to-pictures a")
            else:
                await page.click("a[data-whole]")
            await page.wait_for_selector(".quickviewer-where:has-text('41 av 80')")
            assert await page.inner_text(".quickviewer-left") == "Hö"
            assert await page.inner_text(".quickviewer-right") == "Vä"

            await page.focus(".quickviewer-stage")
            await page.keyboard.press("?")
            await page.wait_for_selector(".quickviewer-keys:visible")
            assert "Föregående och nästa bild" in await page.inner_text(".quickviewer-keys")
            await seen.check("shortcuts")
            await page.keyboard.press("Escape")
            await page.wait_for_selector(".quickviewer-keys", state="hidden")

            await page.keyboard.press("u")
            await page.wait_for_selector("#beside .report")
            assert "4 mm stor subpleural" in await page.inner_text("#beside")
            assert "41 av 80" in await page.inner_text(".quickviewer-where")
            await seen.check("report beside the picture")
            if size == "desktop":
                await seen.picture("viewer-report.png")

            await page.click(".comparable summary")
            await page.click(".comparable a:has-text('DT thorax')")
            for place, count in ((0, "41 av 80"), (1, "29 av 56")):
                await page.wait_for_selector(f".quickviewer-where:has-text('{count}') >> nth=0")
                assert "Tolvan Tolvansson" in await page.locator(".quickviewer-who").nth(place).inner_text()
            await seen.check("two examinations")
            await page.locator(".quickviewer-stage").first.focus()
            for _ in range(10):
                await page.keyboard.press("ArrowDown")
            await page.wait_for_selector(".quickviewer-where:has-text('51 av 80')")
            await page.wait_for_selector(".quickviewer-where:has-text('36 av 56')")
            if size == "desktop":
                await seen.picture("viewer-compared.png")
            await page.uncheck("[data-together]")
            await page.locator(".quickviewer-stage").first.focus()
            await page.keyboard.press("Home")
            await page.wait_for_selector(".quickviewer-where:has-text('1 av 80')")
            assert await page.locator(".quickviewer-where:has-text('36 av 56')").count() == 1
            await page.click(".compared .stop")
            await page.wait_for_selector(".compared", state="detached")
            assert seen.troubles == []
