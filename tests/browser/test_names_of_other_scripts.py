"""A name that is written from right to left leaves the number beside it as it is read out."""

from pathlib import Path

import pytest
from playwright.async_api import Page

from tests.browser.browsing import a_browser
from tests.viewer.house import a_served_house
from tests.viewer.test_stewarding import register

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NAME = "الأحمد^محمد"
PLACES = """(number) => {
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = [];
    while (walk.nextNode()) {
        const node = walk.currentNode, at = node.data.indexOf(number);
        if (at < 0 || !node.parentElement.checkVisibility()) continue;
        const range = document.createRange();
        found.push([...number].map((_, step) => {
            range.setStart(node, at + step);
            range.setEnd(node, at + step + 1);
            return range.getBoundingClientRect().left;
        }));
    }
    return found;
}"""
"""Where each sign of a number stands on the screen, for every place of the page that has it."""


async def _is_read_in_order(page: Page, number: str = "19121212-1212") -> None:
    found = await page.evaluate(PLACES, number)
    assert found
    assert all(lefts == sorted(lefts) for lefts in found), (page.url, found)


async def test_the_number_beside_an_arabic_name_is_read_in_its_order(tmp_path: Path) -> None:
    async with a_served_house(tmp_path) as house:
        await house.fill(["tolvan"], frozenset({"ct-chest"}))
        await register(house, "9", "191212121212^^^PNR", NAME, "19121212", "M")
        async with a_browser(house.base) as seen:
            page = seen.page
            await seen.log_in("Ingrid Sandelin", "Röntgen Nordsjukhuset")
            await page.fill("#number", "191212121212")
            await page.press("#number", "Enter")
            await page.wait_for_selector(".person")
            await _is_read_in_order(page)
            await seen.open_patient("191212121212")
            await _is_read_in_order(page)
            await page.click("a.title:has-text('DT thorax med iv kontrast') >> nth=0")
            await page.goto(await page.locator("a[data-whole]").evaluate("(link) => link.href"))
            await page.wait_for_selector(".quickviewer-where:has-text('av 80')")
            assert await page.locator(".quickviewer-who:has-text('19121212-1212')").count() == 1
            await _is_read_in_order(page)
            await seen.check("picture")


async def test_a_private_person_with_an_arabic_name_reads_the_own_number(tmp_path: Path) -> None:
    async with a_served_house(tmp_path) as house:
        await house.fill(["tolvan"])
        await register(house, "9", "191212121212^^^PNR", NAME, "19121212", "M")
        async with a_browser(house.base) as seen:
            page = seen.page
            await page.goto(f"{house.base}/login")
            await page.click('a[href="/login/start"]')
            await page.click('button:has-text("Tolvan Tolvansson")')
            await page.wait_for_selector("h1:has-text('Mina undersökningar')")
            await _is_read_in_order(page)
            await page.goto(f"{house.base}/mine/log")
            await _is_read_in_order(page)
