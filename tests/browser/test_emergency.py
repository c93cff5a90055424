"""From the patient's page to what an emergency shows, clicked; and the box of more information in its states."""

from pathlib import Path

import pytest

from samsyn.model.registers import BlockKind
from tests.browser.browsing import a_browser
from tests.viewer.house import a_served_house

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.mark.parametrize("size", ["desktop", "phone"])
async def test_two_clicks_and_an_attestation(tmp_path: Path, size: str) -> None:
    async with a_served_house(tmp_path) as house:
        await house.fill(["tolvan"])
        await house.block("tolvan", BlockKind.OUTER, "klara")
        async with a_browser(house.base, size) as seen:
            page = seen.page
            await seen.log_in("Eva Lindgren")
            await seen.open_patient("19121212-1212")
            await seen.check("before")
            await seen.picture(f"emergency-before-{size}.png", full_page=True)
            await page.click("a:has-text('Nödöppning') >> visible=true >> nth=0")
            await page.wait_for_selector("input[name='attest']")
            await seen.check("form")
            await seen.picture(f"emergency-form-{size}.png", full_page=True)
            await page.check("input[name='attest']")
            await page.click("form.card button.big")
            await page.wait_for_selector("#more .ground-now")
            await seen.check("after")
            await seen.picture(f"emergency-after-{size}.png", full_page=True)
            for _ in range(2):
                await page.goto(f"{page.url.partition('#')[0]}ground/consent")
                await page.click("form.card button.big")
                await page.wait_for_selector("#more .ground-now")
            await seen.check("several grounds")
            await seen.picture(f"emergency-grounds-{size}.png", full_page=True)
