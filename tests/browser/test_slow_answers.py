"""A slow network and a reader who does not wait for it: no press, choice or typed word is lost, and what stands on the
page is the answer to what was asked last."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Page, Route

from tests.browser.browsing import Watched, a_browser, a_window
from tests.viewer.house import House
from tests.waiting import until

pytestmark = [pytest.mark.browser, pytest.mark.slow]


class Held:
    """Requests that are on their way until the test lets them arrive; `count` of them, those after go at once."""

    def __init__(self, count: int) -> None:
        self.routes: list[Route] = []
        self.seen = 0
        self._count = count
        self._is_here = asyncio.Event()

    async def __call__(self, route: Route) -> None:
        self.seen += 1
        if len(self.routes) < self._count:
            self.routes.append(route)
            self._is_here.set()
        else:
            await route.continue_()

    async def first(self) -> Route:
        """The first of them, once it is asked."""
        async with asyncio.timeout(60):
            await self._is_here.wait()
        return self.routes[0]


@asynccontextmanager
async def held(page: Page, address: str, count: int = 1) -> AsyncIterator[Held]:
    """What the page asks of such addresses is held."""
    requests = Held(count)
    await page.route(address, requests)
    yield requests
    await page.unroute(address)


@asynccontextmanager
async def timeline(house: House) -> AsyncIterator[Watched]:
    """A radiologist with the patient's list open."""
    async with a_browser(house.base) as seen:
        await seen.log_in("Ingrid Sandelin", "Röntgen Nordsjukhuset")
        await seen.open_patient("19121212-1212")
        yield seen


async def test_the_list_answers_the_words_typed_last_however_slow_the_first_answer_is(house: House) -> None:
    async with timeline(house) as seen, held(seen.page, "**/filter") as asked:
        page = seen.page
        before = await page.locator(".entry").count()
        for words in ("xyzzy", "xyzzyx"):
            await page.fill("#filter-text", words)
            await page.press("#filter-text", "Enter")
            route = await asked.first()
        await page.fill("#filter-text", "subpleural")
        await page.press("#filter-text", "Enter")
        await route.continue_()
        await seen.until(f"![0, {before}].includes(document.querySelectorAll('.entry').length)")
        assert "subpleural" in await page.inner_text("#entries")


async def test_a_press_on_the_list_is_not_taken_away_by_an_answer_that_comes_meanwhile(house: House) -> None:
    async with timeline(house) as seen:
        page = seen.page
        async with held(page, "**/filter") as asked:
            await page.fill("#filter-text", "xyzzy")
            route = await asked.first()
            await page.locator("#entries > p.soft").hover()
            await page.mouse.down()
            async with page.expect_event("requestfinished"):
                await route.continue_()
            await page.evaluate("new Promise((next) => setTimeout(next, 100))")
            assert await page.locator(".entry").count() > 1
            await page.mouse.up()
            await seen.until("!document.querySelectorAll('.entry').length")
        await page.fill("#filter-text", "")
        await seen.until("document.querySelectorAll('.entry').length > 1")
        async with held(page, "**/filter") as asked:
            await page.fill("#filter-text", "xyzzy")
            route = await asked.first()
            await page.hover("a.title >> nth=0")
            await page.mouse.down()
            async with page.expect_event("requestfinished"):
                await route.continue_()
            await page.evaluate("new Promise((next) => setTimeout(next, 100))")
            await page.mouse.up()
            await page.wait_for_selector("article")


async def test_an_answer_of_trouble_does_not_empty_the_list(house: House) -> None:
    async with timeline(house) as seen:
        page = seen.page
        async with held(page, "**/filter") as asked:
            await page.fill("#filter-text", "subpleural")
            await (await asked.first()).fulfill(status=503, body="<p>trouble</p>", content_type="text/html")
            await page.wait_for_url("**/filter")
            assert await page.locator(".entry").count() == 1
        await page.click("a.title")
        await page.click("a[data-whole]")
        await page.wait_for_selector("#report-toggle")
        await page.wait_for_load_state()
        async with held(page, "**/s/*report=1") as asked:
            await page.keyboard.press("u")
            await (await asked.first()).fulfill(status=503, body="<p>trouble</p>", content_type="text/html")
            await page.wait_for_selector("#beside .report")
        assert all("503" in each for each in seen.troubles)


async def test_a_list_that_could_not_be_asked_for_is_asked_for_again(house: House) -> None:
    async with timeline(house) as seen, held(seen.page, "**/filter") as asked:
        await seen.page.fill("#filter-text", "xyzzy")
        await (await asked.first()).abort()
        await seen.page.wait_for_selector("#entries:has-text('Inget stämmer med filtret')")


async def test_what_a_part_has_told_since_closes_the_page_when_it_may_not_be_told_any_more(
    house: House,
) -> None:
    async with a_browser(house.base) as seen:
        page = seen.page
        await seen.log_in("Eva Lindgren")
        await seen.open_patient("19121212-1212")
        base = page.url.partition("#")[0]
        other = (await a_window(page.context, house.base)).page
        await other.goto(f"{base}ground/consent")
        await other.click("form.card button.big")
        await other.click("#more form[action$='choose-providers'] button")
        await other.wait_for_selector(".entry:has-text('Röntgen Nordsjukhuset')")
        await page.bring_to_front()
        await page.fill("#filter-text", "thorax")
        await page.wait_for_selector(".entry:has-text('Röntgen Nordsjukhuset')")
        await other.click("button[value='withdraw']")
        await other.wait_for_selector("text=Registrera samtycke")
        await page.wait_for_selector("text=Det som visades har stängts")
        assert "Röntgen Nordsjukhuset" not in await page.content()


async def test_a_transfer_that_is_followed_leaves_choice_press_and_place_alone(house: House) -> None:
    async with timeline(house) as seen:
        page = seen.page

        async def followed() -> None:
            async with page.expect_event("requestfinished", lambda one: one.url.endswith("/transfers")):
                pass
            await page.evaluate("new Promise((next) => setTimeout(next, 100))")

        await page.click("a.title:has-text('DT thorax med iv kontrast') >> nth=0")
        await page.click("#transfers button:has-text('Skicka bilderna')")
        await page.wait_for_selector("#transfers li")
        # Another archive, as a larger provider has; the address that is sent to is judged by the server anyhow.
        choice = page.locator("#transfers select")
        await choice.evaluate("(select) => select.add(new Option('ANNAN', 'ANNAN'))")
        await choice.select_option("ANNAN")
        await choice.focus()
        await followed()
        assert await choice.input_value() == "ANNAN"
        assert await choice.evaluate("(select) => select === document.activeElement")
        cancel = page.locator("#transfers li button")
        await cancel.focus()
        await followed()
        assert await cancel.evaluate("(button) => button === document.activeElement")
        await cancel.hover()
        await page.mouse.down()
        await followed()
        await page.mouse.up()
        await page.wait_for_selector("#transfers li:has-text('Avbrutet')")


async def test_a_form_is_sent_once_until_its_reader_stops_it(house: House) -> None:
    async with timeline(house) as seen:
        page = seen.page
        await page.click("a.title:has-text('DT thorax med iv kontrast') >> nth=0")
        client = await page.context.new_cdp_session(page)
        async with held(page, "**/close", 99) as asked:
            box = await page.locator("form[action$='/close'] button").bounding_box()
            assert box is not None
            place = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
            await page.mouse.click(*place)
            await asked.first()
            await page.mouse.click(*place)
            await client.send("Page.stopLoading")
            await seen.until("!document.querySelector('form[data-sent]')")
            await page.mouse.click(*place)
            await until(lambda: asked.seen > 1)
            await asked.routes[-1].continue_()
            await page.wait_for_selector("#number")
            assert asked.seen == 2


async def test_a_broken_connection_takes_neither_the_place_in_a_field_nor_the_page_away(house: House) -> None:
    async with timeline(house) as seen:
        page = seen.page
        await page.focus("#filter-text")
        await page.context.set_offline(True)
        await page.wait_for_selector("main.covered")
        address = page.url
        await page.keyboard.type("sju")
        await page.context.set_offline(False)
        await seen.until("!document.querySelector('main.covered')")
        assert page.url == address
        assert await page.evaluate("document.activeElement.id") == "filter-text"
