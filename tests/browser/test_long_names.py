"""Long names of persons, and what machines call an examination, hide nothing and widen no page."""

from pathlib import Path

import pytest

from tests.browser.browsing import a_browser
from tests.viewer.house import a_served_house
from tests.viewer.test_stewarding import image, register

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FAMILY, GIVEN = "Af Geijerstam-Löwenhielm-Söderströmsson", "Anna-Karin Wilhelmina Charlotta"
STUDY = "DT_THORAX_BUK_BACKEN_ART_PORTOVENOS_UTSKJUTNING_PROTOKOLL_000001"
SERIES = "THORAX_ART_0.625_ASIR50_MEDIASTINUM_CORONAL_MPR_REKONSTRUKTION_1"
OVERLAPS = """() => {
    const shown = [...document.querySelectorAll(".quickviewer-stage p")].filter((each) => each.textContent);
    const boxes = shown.map((each) => [each.className, each.getBoundingClientRect()]);
    const over = (one, other) => one.left < other.right && other.left < one.right
        && one.top < other.bottom && other.top < one.bottom;
    return boxes.flatMap(([name, box], place) => boxes.slice(place + 1)
        .filter(([, other]) => over(box, other)).map(([other]) => `${name} on ${other}`));
}"""


@pytest.mark.parametrize("size", ["desktop", "phone"])
async def test_a_long_name_is_read_whole_on_the_page_and_in_the_picture(tmp_path: Path, size: str) -> None:
    async with a_served_house(tmp_path) as house:
        await house.fill(["tolvan"], frozenset({"ct-chest"}))
        await register(house, "9", "191212121212^^^PNR", f"{FAMILY}^{GIVEN}", "19121212", "M")
        assert await image(house, 1, StudyDescription=STUDY, SeriesDescription=SERIES) == "stored"
        async with a_browser(house.base, size) as seen:
            page = seen.page
            await seen.log_in("Ingrid Sandelin", "Röntgen Nordsjukhuset")
            await seen.open_patient("191212121212")
            await seen.check("list")
            await page.click(f"a.title:has-text('{STUDY}')")
            await page.wait_for_selector("article")
            await seen.check("examination")
            await page.goto(page.url.partition("/e/")[0] + "/")
            await page.click("a.title:has-text('DT thorax med iv kontrast') >> nth=0")
            await page.goto(await page.locator("a[data-whole]").evaluate("(link) => link.href"))
            await page.wait_for_selector(".quickviewer-where:has-text('av 80')")
            assert f"{GIVEN} {FAMILY}" in await page.inner_text(".quickviewer-who")
            assert await page.evaluate(OVERLAPS) == []
            await seen.check("picture")
            await seen.picture(f"long-names-{size}.png")
