"""The pages where nothing is: looked at in both sizes, with nothing that axe can find."""

from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.browser.browsing import a_browser
from tests.viewer.house import a_house

pytestmark = [pytest.mark.browser, pytest.mark.slow]


async def _broken(request: Request) -> Response:
    raise RuntimeError("a fault of ours")


@pytest.mark.parametrize("size", ["desktop", "phone"])
async def test_failures_are_calm_pages_with_a_way_on(tmp_path: Path, size: str) -> None:
    async with a_house(tmp_path) as house:
        await house.fill(["tolvan"])
        house.application.router.routes.insert(0, Route("/broken", _broken))
        server, task = await house.serve()
        async with a_browser(house.base, size) as seen:
            page = seen.page
            await page.goto(f"{house.base}/nowhere")
            assert await page.inner_text("h1") == "Sidan finns inte"
            await page.click("text=Till inloggningen")
            await page.click('a[href="/login/start"]')
            await page.click('button:has-text("Eva Lindgren")')
            await seen.open_patient("19121212-1212")
            base = page.url
            seen.troubles.clear()
            for address, status, title in (
                (f"{base}e/x", 404, "Sidan finns inte"),
                (f"{base}filter", 405, "Sidan kan inte öppnas så"),
                (f"{house.base}/log", 403, "Det går inte"),
                (f"{house.base}/broken", 500, "Felet är vårt"),
            ):
                await page.goto(address)
                assert await page.inner_text("h1") == title
                # The browser itself notes the status; that is all it may have to say.
                assert all(str(status) in each for each in seen.troubles), seen.troubles
                seen.troubles.clear()
                await seen.check(title)
                await seen.picture(f"failure-{status}-{size}.png")
            await page.goto(f"{base}filter")
            await page.click("text=Till patientens sida")
            await page.wait_for_selector(".entry")
        server.should_exit = True
        await task
