"""A real headless Chromium, watched: nothing may be logged as an error, and axe must find nothing."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import BrowserContext, Page, Response, async_playwright

from samsyn import limits
from tests.chromium import CHROMIUM, SWITCHES
from tests.waiting import PATIENCE_S

ROOT = Path(__file__).parents[2]
AXE = ROOT / "build" / "test-assets" / "axe.min.js"
SIZES = {"desktop": (1440, 900), "phone": (390, 844)}
RULES = ["wcag2a", "wcag2aa", "wcag21aa"]


class Watched:
    """A page with what went wrong on it."""

    def __init__(self, page: Page, base: str) -> None:
        self.page, self.base = page, base
        self.troubles: list[str] = []
        self.elsewhere: set[str] = set()
        self.pulses = 0
        """How often the page has asked whether it may go on."""
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.troubles.append(f"script: {error}"))
        page.on("response", self._answered)
        page.on("request", self._asked)

    def _said(self, message: Any) -> None:
        if message.type == "error":
            self.troubles.append(f"console: {message.text}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self.troubles.append(f"{response.status}: {response.url}")

    def _asked(self, request: Any) -> None:
        self.pulses += request.url.endswith("/pulse")
        if not request.url.startswith((self.base, "data:", "blob:")):
            self.elsewhere.add(request.url)

    async def check(self, name: str) -> None:
        """No error so far, nothing that axe can find against WCAG 2.1 AA, and no page wider than its window."""
        await self.page.wait_for_load_state()  # a press returns when the next page has begun to come
        assert self.troubles == [], name
        assert self.elsewhere == set(), name
        too_wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await self.page.evaluate(too_wide) == 0, name
        found = await self.page.evaluate(
            "async (tags) => (await axe.run(document, {runOnly: tags})).violations.map("
            "(rule) => `${rule.id}: ${rule.nodes.map((node) => node.html).join(' ')}`)",
            RULES,
        )
        assert found == [], name

    async def until(self, script: str, seconds: float = PATIENCE_S) -> None:
        """Waits for a script to answer true; asked from outside, since the pages' policy forbids to evaluate."""
        async with asyncio.timeout(seconds):
            while not await self.page.evaluate(script):
                await asyncio.sleep(0.02)

    async def at_the_next_pulse(self, selector: str) -> None:
        """Waits for what the answer to the next pulse must bring; that of a later one would be too late.

        With a pulse every other second that is within five, on a machine that has time for it.
        """
        assert limits.PULSE_S <= 2.0
        before = self.pulses
        await self.page.wait_for_selector(selector, timeout=1000 * PATIENCE_S)
        assert self.pulses <= before + 2, selector  # a page that comes to the front asks beside its turn

    async def log_in(self, name: str, assignment: str = "") -> None:
        """Through the login page and the identity provider, and the choice of an assignment where there are several."""
        await self.page.goto(f"{self.base}/login")
        await self.page.click('a[href="/login/start"]')
        await self.page.click(f'button:has-text("{name}")')
        if assignment:
            await self.page.click(f"button:has-text('{assignment}')")
        await self.page.wait_for_selector("#number")

    async def open_patient(self, number: str) -> None:
        """Searches, opens, and attests the care relation when it is asked for."""
        await self.page.fill("#number", number)
        await self.page.press("#number", "Enter")
        await self.page.click(".person button")
        await self.page.wait_for_load_state()
        if self.page.url.endswith("/relation"):
            await self.page.click("form.card button")
        await self.page.wait_for_selector(".entry")

    async def picture(self, name: str, full_page: bool = False) -> None:
        """A screenshot in build/screenshots, or in the folder that SAMSYN_SCREENSHOTS names."""
        folder = Path(os.environ.get("SAMSYN_SCREENSHOTS", ROOT / "build" / "screenshots"))
        folder.mkdir(parents=True, exist_ok=True)
        await self.page.screenshot(path=folder / name, full_page=full_page)


@asynccontextmanager
async def a_browser(base: str, size: str = "desktop") -> AsyncIterator[Watched]:
    """One window of that size, Swedish, with axe at hand."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=list(SWITCHES), env={**os.environ, "LANGUAGE": "sv"}
        )
        try:
            yield await a_window(await a_context(browser, size), base)
        finally:
            await browser.close()


async def a_context(browser: Any, size: str) -> BrowserContext:
    width, height = SIZES[size]
    context: BrowserContext = await browser.new_context(
        viewport={"width": width, "height": height}, locale="sv-SE", timezone_id="Europe/Stockholm"
    )
    await context.add_init_script(AXE.read_text(encoding="utf-8"))
    return context


async def a_window(context: BrowserContext, base: str) -> Watched:
    return Watched(await context.new_page(), base)
