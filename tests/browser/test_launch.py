"""A record system's page opens the patient in a real browser, whose cookies stay at home on a form of another site."""

from pathlib import Path

import pytest

from samsyn_demo.people import BY_KEY as PEOPLE
from tests.browser.browsing import a_browser, a_window
from tests.viewer.house import a_served_house

pytestmark = [pytest.mark.browser, pytest.mark.slow]


async def test_patient_b_from_the_record_system_closes_patient_a(tmp_path: Path) -> None:
    async with a_served_house(tmp_path) as house:
        await house.fill(["tolvan", "dahl"])
        ehr = f"""<form method="post" action="{house.base}/launch" target="_self">
        <input name="number" value="{PEOPLE["dahl"].number}"><button>Bilder</button></form>"""
        async with a_browser(house.base) as seen:
            await seen.log_in("Eva Lindgren")
            await seen.open_patient("191212121212")
            other = await a_window(seen.page.context, house.base)
            await other.page.route(
                "http://ehr.example/", lambda route: route.fulfill(body=ehr, content_type="text/html")
            )
            await other.page.goto("http://ehr.example/")
            await other.page.click("button")
            await other.page.wait_for_selector("text=Öppna patienten från journalen?")
            assert PEOPLE["dahl"].number not in other.page.url
            assert await other.page.is_visible("text=En annan patient är öppen")
            other.elsewhere.clear()
            await other.check("launch")
            await other.picture("launch.png")
            await other.page.click("main form button")
            await other.page.wait_for_selector(".patient:has-text('Dahl'), main h1")
            await seen.page.bring_to_front()
            await seen.at_the_next_pulse("text=Patienten är stängd")
            assert "Tolvan" not in await seen.page.content()
