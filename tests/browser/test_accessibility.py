"""Every kind of page, in both sizes and both languages, has nothing that axe can find against WCAG 2.1 AA."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from samsyn.model.registers import BlockKind
from samsyn_demo.people import BY_KEY as PEOPLE
from tests.browser.browsing import Watched, a_browser
from tests.viewer.house import House, a_served_house

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_served_house(tmp_path) as house:
        await house.fill(["tolvan", "lind", "skyddad", "reserv"], frozenset({"ecg", "us-aorta"}))
        yield house


async def _go(seen: Watched, address: str, name: str) -> None:
    await seen.page.goto(address)
    await seen.check(name)


@pytest.mark.parametrize("size", ["desktop", "phone"])
@pytest.mark.parametrize("language", ["sv", "en"])
async def test_every_page_of_the_way_to_the_pictures(house: House, size: str, language: str) -> None:
    await house.block("tolvan", BlockKind.OUTER, "klara")
    await house.block("tolvan", BlockKind.INNER, "nord", "fysiologi")
    async with a_browser(house.base, size) as seen:
        page = seen.page
        await _go(seen, f"{house.base}/login", "login")
        if language == "en":
            await page.click("button[lang='en']")
            await page.wait_for_selector("html[lang='en']")
            await seen.check("login in English")
        for address in ("/status", "/help", "/login?because=expired"):
            await _go(seen, house.base + address, address)
        await seen.log_in("Karin Ståhlberg")
        await page.fill("#number", "191212121213")
        await page.press("#number", "Enter")
        await page.wait_for_selector(".notice")
        await seen.check("bad number")
        await page.fill("#number", "121212+1212")
        await page.press("#number", "Enter")
        await page.wait_for_selector(".person")
        await seen.check("found")
        await page.click(".person button")
        await page.wait_for_load_state()
        await seen.check("relation or timeline")
        if page.url.endswith("/relation"):
            await page.click("form.card button")
            await page.wait_for_selector(".entry")
        base = page.url.partition("#")[0]
        for ground in ("consent", "child", "incapacity", "emergency"):
            await _go(seen, f"{base}ground/{ground}", ground)
        await page.check("input[name='attest']")
        await page.click("form.card button.big")
        await page.wait_for_selector("#more form[action$='choose-providers']")
        await seen.check("emergency, providers named")
        for step in ("blocked-units", "units"):
            await page.click(f"#more form[action$='reveal/{step}'] button")
            await page.wait_for_selector("#more")
            await seen.check(step)
        await page.click("#more form[action$='choose-units'] button")
        await page.wait_for_selector("a.title:has-text('DT thorax')")
        await page.check("#more form[action$='blocked-providers'] input[name='attest']")
        await page.click("#more form[action$='blocked-providers'] button")
        await page.wait_for_selector("text=08-123 200 20")
        await seen.check("whom to ring")
        await page.click("a.title:has-text('DT thorax') >> nth=0")
        await page.wait_for_selector(".report")
        await seen.check("examination")


@pytest.mark.parametrize("person", ["lind", "reserv", "skyddad", "tolvan"])
async def test_every_state_of_a_report_and_every_kind_of_picture(house: House, person: str) -> None:
    async with a_browser(house.base) as seen:
        page = seen.page
        await seen.log_in("Eva Lindgren")
        await seen.open_patient(PEOPLE[person].number) if person in ("lind", "tolvan") else await _related(
            seen, PEOPLE[person].number
        )
        base = page.url.partition("#")[0]
        await page.goto(f"{base}ground/consent")
        await page.click("form.card button.big")
        await page.wait_for_selector("#more")
        if await page.query_selector("#more form[action$='choose-providers']"):
            await page.click("#more form[action$='choose-providers'] button")
            await page.wait_for_selector(".entry")
        marks = await page.eval_on_selector_all("a.title", "(all) => all.map((each) => each.href)")
        assert marks
        for mark in marks[:6]:
            await _go(seen, mark, mark)
            pictures = await page.eval_on_selector_all(
                "a[data-pictures]", "(all) => all.map((each) => each.href)"
            )
            for address in pictures:
                await page.goto(address)
                await page.wait_for_selector(".quickviewer-where:not(:empty), .document")
                await seen.check(address)


async def _related(seen: Watched, number: str) -> None:
    """Opens somebody of whom the own unit has nothing."""
    page = seen.page
    await page.fill("#number", number)
    await page.press("#number", "Enter")
    await page.click(".person button")
    await page.wait_for_load_state()
    if page.url.endswith("/relation"):
        await page.click("form.card button")
    await page.wait_for_selector("#more")


async def test_the_list_is_filtered_while_one_types_and_keys_walk_through_it(house: House) -> None:
    async with a_browser(house.base) as seen:
        page = seen.page
        await seen.log_in("Eva Lindgren")
        await seen.open_patient("191212121212")
        before = await page.locator(".entry").count()
        await page.fill("#filter-text", "residualurin")
        await seen.until(f"document.querySelectorAll('.entry').length < {before}")
        assert await page.locator(".entry").count() == 1
        assert "residualurin" not in page.url
        await page.fill("#filter-text", "")
        await seen.until(f"document.querySelectorAll('.entry').length === {before}")
        await page.locator("h1").click()
        await page.keyboard.press("j")
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")
        await page.wait_for_selector(".report")
        await page.wait_for_load_state()  # the keys are heard when the script has run
        await page.keyboard.press("?")
        await page.wait_for_selector("kbd")
        assert seen.troubles == []


@pytest.mark.parametrize("size", ["desktop", "phone"])
async def test_the_private_persons_and_the_guardians_pages(house: House, size: str) -> None:
    await house.fill(["ytterberg", "soderberg"], frozenset({"chest", "us-abdomen"}))
    async with a_browser(house.base, size) as seen:
        page = seen.page
        await page.goto(f"{house.base}/login")
        await page.click('a[href="/login/start"]')
        await page.click('button:has-text("Birger Lundvall")')
        await page.wait_for_load_state()
        await _go(seen, f"{house.base}/steward/guardians", "guardians, start")
        await page.fill("#number", PEOPLE["ytterberg"].number)
        await page.press("#number", "Enter")
        await page.wait_for_selector("#last")
        await page.fill("#number", PEOPLE["soderberg"].number)
        await page.fill("#reason", "Personbevis")
        await page.click("form[action$='/register'] button")
        await page.wait_for_selector("input[name='row']", state="attached")
        await seen.check("guardians, one")
        await page.context.clear_cookies()
        await page.goto(f"{house.base}/login")
        await page.click('a[href="/login/start"]')
        await page.click('button:has-text("Josefin Söderberg")')
        await page.wait_for_load_state()
        await _go(seen, f"{house.base}/mine/record", "own record")
        await page.click("a:has-text('Viggo')")
        await page.wait_for_selector("a.title")
        await seen.check("the child's record")
        await page.click("a.title >> nth=0")
        await page.wait_for_selector(".report")
        await seen.check("the child's examination")
        await page.wait_for_selector(".series-list img")
        await page.click("a[data-whole]")
        await page.wait_for_selector(".quickviewer-where:not(:empty)")
        await seen.check("the child's pictures")
