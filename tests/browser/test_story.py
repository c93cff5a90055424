"""The story that the product is for: a GP finds the own report, registers consent, and sees the hospital's CT."""

import time
from pathlib import Path

import pytest

from tests.browser.browsing import a_browser
from tests.viewer.house import a_served_house

pytestmark = [pytest.mark.browser, pytest.mark.slow]


async def test_a_gp_sees_the_hospitals_ct_beside_its_report_after_registering_consent(tmp_path: Path) -> None:
    async with a_served_house(tmp_path) as house:
        await house.fill(["tolvan"], frozenset({"ct-chest", "ecg"}))
        async with a_browser(house.base) as seen:
            page = seen.page
            await page.goto(house.base)
            await page.wait_for_selector('a[href="/login/start"]')
            await seen.check("login")
            await seen.picture("login.png")
            await seen.log_in("Eva Lindgren")
            await seen.check("search")

            await seen.open_patient("19121212-1212")
            await seen.check("own unit's timeline")
            assert "Tolvan Tolvansson" in await page.inner_text(".patient")
            assert "19121212-1212" in await page.inner_text(".patient")
            assert "19121212" not in page.url
            own = await page.inner_text("#entries")
            assert "Residualurin 90 ml" in own
            assert "Röntgen Nordsjukhuset" not in own
            assert "hos andra vårdgivare" in await page.inner_text("#more")

            await page.click("#more a[href$='/ground/consent']")
            await page.wait_for_selector("form.card h1")
            await seen.check("consent")
            await seen.picture("consent.png")
            await page.click("form.card button.big")
            await page.wait_for_selector("#more form[action$='choose-providers']")
            await seen.check("providers")
            assert "Nordsjukhuset" in await page.inner_text("#more")
            await page.click("#more form[action$='choose-providers'] button")
            await page.wait_for_selector("text=Vilo-EKG")
            await seen.check("everybody's timeline")
            await seen.picture("timeline.png")

            began = time.monotonic()
            await page.click("a.title:has-text('DT thorax med iv kontrast') >> nth=0")
            await seen.until(
                "[...document.querySelectorAll('.series img')].some((each) => each.naturalWidth > 100)"
            )
            until_thumbnail = time.monotonic() - began
            article = await page.inner_text("article")
            assert "Tilläggssvar" in article
            assert "starkt malignitetsmisstänkt" in article.replace("\n", " ")
            assert "Frågeställning" in article
            await seen.check("examination")

            began = time.monotonic()
            await page.click("a[data-stack]")
            await page.wait_for_selector(".quickviewer-where:has-text('av 80')")
            until_picture = time.monotonic() - began
            await seen.check("pictures beside the report")
            await seen.picture("examination.png")
            await page.click("a[data-whole]")
            await page.wait_for_selector(".quickviewer-where:has-text('av 80')")
            assert "Tolvan Tolvansson" in await page.inner_text(".quickviewer-who")
            await page.focus(".quickviewer-stage")
            await page.keyboard.press("ArrowDown")
            await page.wait_for_selector(".quickviewer-where:has-text('42 av 80')")
            await seen.check("quick viewer")
            await seen.picture("viewer.png")

            await page.click("a[href$='/diagnostic']")
            inside = page.frame_locator("iframe.stage-frame")
            await inside.locator("canvas.cornerstone-canvas").first.wait_for(timeout=90_000)
            await inside.locator("text=(1/80)").first.wait_for(timeout=90_000)
            assert "Tolvan Tolvansson" in await page.inner_text(".patient")
            assert seen.elsewhere == set()
            await page.wait_for_timeout(2_000)
            await seen.picture("ohif.png")
        print(f"thumbnail after {until_thumbnail:.2f} s, first picture after {until_picture:.2f} s")
        events = [event for event, _ in await house.audited()]
        for event in (
            "LOGIN",
            "SEARCH_PATIENT",
            "ATTEST_CONSENT",
            "ENTER_CARE_SYSTEM",
            "OPEN_REPORT",
            "OPEN_IMAGES",
        ):
            assert event in events
