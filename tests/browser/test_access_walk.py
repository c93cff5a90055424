"""The walk through the law in a real browser: two bits, consent and its withdrawal, emergency on an inner block, an
outer block with a request to lift. Its pictures stand in docs/access-walk.md."""

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.async_api import Page

from samsyn.clock import STOCKHOLM
from samsyn.model.registers import BlockKind
from tests.browser.browsing import ROOT, Watched, a_browser, a_context, a_window
from tests.viewer.house import House

pytestmark = [pytest.mark.browser, pytest.mark.slow]

STORY = "19121212-1212"
_LARGEST_PICTURE_BYTES = 150_000


async def picture(page: Page, name: str, of: str = "") -> None:
    """A small picture in build/screenshots, or in the folder that SAMSYN_SCREENSHOTS names; of the page's top, or
    with `of` in the middle."""
    folder = Path(os.environ.get("SAMSYN_SCREENSHOTS", ROOT / "build" / "screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"access-{name}.jpg"
    if of:
        await page.locator(of).evaluate("(each) => each.scrollIntoView({block: 'center'})")
    else:
        await page.evaluate("window.scrollTo(0, 0)")
    await page.screenshot(path=path, type="jpeg", quality=55)
    assert path.stat().st_size < _LARGEST_PICTURE_BYTES


async def colleague(seen: Watched, base: str, name: str, landmark: str) -> Watched:
    """Another person at another workstation."""
    browser = seen.page.context.browser
    assert browser is not None
    other = await a_window(await a_context(browser, "desktop"), base)
    await other.page.goto(f"{base}/login")
    await other.page.click('a[href="/login/start"]')
    await other.page.click(f'button:has-text("{name}")')
    await other.page.wait_for_selector(landmark)
    return other


async def emergency(seen: Watched) -> None:
    """Registers an emergency with its attestation; the patient's page is open before and after."""
    page = seen.page
    await page.goto(f"{page.url.partition('#')[0]}ground/emergency")
    await page.check("input[name='attest']")
    await seen.check("emergency form")
    await picture(page, "emergency")
    await page.click("form.card button.big")
    await page.wait_for_selector("#more .ground-now")


async def test_consent_opens_another_providers_ct_and_its_withdrawal_closes_it_in_five_seconds(
    house: House,
) -> None:
    await house.block("tolvan", BlockKind.OUTER, "klara")
    async with a_browser(house.base) as seen:
        page = seen.page
        await seen.log_in("Eva Lindgren")
        await seen.open_patient(STORY)
        more = await page.inner_text("#more")
        assert "ospärrade uppgifter om patienten hos andra vårdgivare" in more
        assert "Spärrade uppgifter" in more
        for hidden in ("Nordsjukhuset", "Klara", "Solsidan"):
            assert hidden not in more
        await seen.check("two bits")
        await picture(page, "two-bits")

        await page.click("#more a[href$='/ground/consent']")
        await seen.check("consent form")
        await picture(page, "consent")
        await page.click("form.card button.big")
        await page.wait_for_selector("#more form[action$='choose-providers']")
        assert "Nordsjukhuset" in await page.inner_text("#more")
        assert "Klara" not in await page.inner_text("#more")
        await picture(page, "providers")
        await page.click("#more form[action$='choose-providers'] button")
        await page.click("a.title:has-text('DT thorax med iv kontrast') >> nth=0")
        await page.click("a[data-stack]")
        await page.wait_for_selector(".quickviewer-where:has-text('av 80')")
        assert "malignitetsmisstänkt" in (await page.inner_text("article")).replace("\n", " ")
        await seen.check("CT beside its report")
        await picture(page, "ct-and-report")

        other = await a_window(page.context, house.base)
        base = page.url.partition("/e/")[0] + "/"
        await other.page.goto(base)
        await other.page.wait_for_selector("button[value='withdraw']")
        began = time.monotonic()
        await other.page.click("button[value='withdraw']")
        await other.page.wait_for_selector("text=Registrera samtycke")
        await page.bring_to_front()
        await seen.at_the_next_pulse("text=Det som visades har stängts")
        print(f"the CT was gone {time.monotonic() - began:.1f} s after the withdrawal")
        assert await page.locator("canvas, .report").count() == 0
        await picture(page, "withdrawn")
    events = [event for event, _ in await house.audited()]
    for event in (
        "ATTEST_CONSENT",
        "REVEAL_OTHER_PROVIDER",
        "ENTER_CARE_SYSTEM",
        "OPEN_REPORT",
        "OPEN_IMAGES",
    ):
        assert event in events
    assert "WITHDRAW_CONSENT" in events


async def test_an_emergency_passes_an_inner_block_for_one_reader_until_the_end_of_the_day(
    house: House,
) -> None:
    await house.block("tolvan", BlockKind.INNER, "nord", "rontgen")
    async with a_browser(house.base) as seen:
        page = seen.page
        await seen.log_in("Karin Ståhlberg")
        await seen.open_patient(STORY)
        assert "Spärrade uppgifter inom Nordsjukhuset" in await page.inner_text("#more")
        assert "Röntgen Nordsjukhuset" not in await page.inner_text("#more")
        await picture(page, "inner-block")
        await page.click("#more form[action$='reveal/blocked-units'] button")
        await page.wait_for_selector("text=Röntgen Nordsjukhuset")
        await page.click("summary:has-text('Nödöppning: samtycke kan inte inhämtas')")
        await seen.check("inner block, unit named")
        lift = page.locator("form[action$='reveal/lift']:has(input[value='emergency'])")
        await lift.locator("input[name='attest']").check()
        await picture(page, "inner-block-emergency", "form:has(input[value='emergency'])")
        await lift.locator("button").click()
        await page.click("#more form[action$='reveal/units'] button")
        await page.click("#more form[action$='choose-units'] button")
        await page.wait_for_selector(".owner:has-text('Röntgen Nordsjukhuset')")
        await seen.check("inner block passed")
        await picture(page, "inner-block-passed")
    written = dict(await house.audited())
    assert "oundgängligen behöver" in written["EMERGENCY_PASS_BLOCKED"]


async def test_an_outer_block_is_lifted_by_its_owner_on_request_and_closes_by_itself(house: House) -> None:
    await house.block("tolvan", BlockKind.OUTER, "nord")
    async with a_browser(house.base) as seen:
        page = seen.page
        await seen.log_in("Eva Lindgren")
        await seen.open_patient(STORY)
        await emergency(seen)
        await page.check("#more form[action$='blocked-providers'] input[name='attest']")
        await page.click("#more form[action$='blocked-providers'] button")
        await page.wait_for_selector("text=08-123 100 10")
        await page.click("summary:has-text('Begär att Nordsjukhuset häver spärren')")
        await page.fill(
            "[name='need']", "Plötslig andnöd, misstänkt lungemboli. Patienten är inte kontaktbar."
        )
        await page.fill("[name='phone']", "08-123 400 10")
        await seen.check("request to lift")
        await picture(page, "request", "form[action$='request-lift']")
        await page.click("form[action$='request-lift'] button")
        await page.wait_for_selector("text=Väntar på svar.")
        reading = page.url.partition("#")[0]

        desk = await colleague(seen, house.base, "Tore Sandahl", "text=Begäran om hävning")
        assert "Plötslig andnöd" in await desk.page.inner_text("main")
        await desk.check("desk")
        await picture(desk.page, "desk")
        await desk.page.click("a:has-text('Besvara')")
        await desk.check("answer")
        # The lift ends with a whole minute, and a slow machine has time to read meanwhile.
        last = house.clock.now().astimezone(STOCKHOLM) + timedelta(minutes=5)
        await desk.page.fill("#ends", last.strftime("%Y-%m-%d %H:%M"))
        await picture(desk.page, "answer")
        await desk.page.click("button:has-text('Häv spärren')")
        await desk.page.wait_for_selector("text=Hävd till")
        ends = last.replace(second=0, microsecond=0) + timedelta(minutes=1)

        await page.bring_to_front()
        await page.goto(reading)
        assert "Spärren är hävd till" in await page.inner_text("#more")
        await page.check("#more form[action$='choose-providers'] input[name='attest']")
        await page.click("#more form[action$='choose-providers'] button")
        await page.wait_for_selector(".owner:has-text('Röntgen Nordsjukhuset')")
        await seen.check("lifted")
        await picture(page, "lifted")
        house.clock.advance_to(ends)
        await seen.at_the_next_pulse("text=Det som visades har stängts")
        late = (house.clock.now() - ends).total_seconds()
        print(f"the page was closed {late:.1f} s after the lift's end")
        await page.click("main a.ds-button")
        await page.wait_for_selector("text=Tiden har gått ut")
        assert await page.locator(".owner:has-text('Röntgen Nordsjukhuset')").count() == 0
        await picture(page, "expired", "#asked-heading")
    events = [event for event, _ in await house.audited()]
    for event in (
        "EMERGENCY_CONSENT",
        "REVEAL_BLOCKED_PROVIDER",
        "REQUEST_LIFT",
        "ANSWER_LIFT",
        "LIFT_BLOCK",
    ):
        assert event in events


async def test_the_patient_sees_who_looked_and_that_it_was_an_emergency(house: House) -> None:
    await house.block("tolvan", BlockKind.OUTER, "klara")
    async with a_browser(house.base) as seen:
        await seen.log_in("Eva Lindgren")
        await seen.open_patient(STORY)
        await emergency(seen)
        page = seen.page
        await page.check("#more form[action$='choose-providers'] input[name='attest']")
        await page.click("#more form[action$='choose-providers'] button")
        await page.click("a.title:has-text('DT thorax med iv kontrast') >> nth=0")
        await page.wait_for_selector("article")

        mine = await colleague(seen, house.base, "Tolvan Tolvansson", "nav a[href='/mine/log']")
        await mine.page.click("nav a[href='/mine/log']")
        await mine.page.wait_for_selector("table")
        told = await mine.page.inner_text("main")
        assert "Vårdcentralen Linden" in told
        assert "nödsituation" in told.lower()
        await mine.check("the patient's own page")
        await picture(mine.page, "patient")
