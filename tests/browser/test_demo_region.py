"""`samsyn demo` as a newcomer meets it: real processes send the region, then a real browser reads it."""

from collections.abc import Iterator

import pytest

from tests.browser.browsing import a_browser
from tests.demo.whole import Copied, served_copy

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copied]:
    with served_copy(tmp_path_factory) as running:
        yield running


async def test_the_gp_reads_the_own_report_and_after_consent_the_hospitals_ct(region: Copied) -> None:
    print(f"{region.summary}; usable after {region.loaded_after_s:.0f} s")
    async with a_browser(region.base) as seen:
        page = seen.page
        await seen.log_in("Eva Lindgren")
        await seen.open_patient("19121212-1212")
        own = await page.inner_text("#entries")
        assert "Vårdcentralen Linden" in own
        assert "Röntgen Nordsjukhuset" not in own
        assert "hos andra vårdgivare" in await page.inner_text("#more")

        await page.click("#more a[href$='/ground/consent']")
        await page.click("form.card button.big")
        await page.click("#more form[action$='choose-providers'] button")
        await page.click("a.title:has-text('DT thorax med iv kontrast') >> nth=0")
        await page.wait_for_selector("article")
        article = (await page.inner_text("article")).replace("\n", " ")
        assert "Tilläggssvar" in article
        assert "Bedömning" in article
        await page.click("a[data-stack]")
        await page.wait_for_selector(".quickviewer-where:has-text('av 80')")
        assert "Tolvan Tolvansson" in await page.inner_text(".quickviewer-who")
        await seen.check("the hospital's CT beside its report")
        assert seen.elsewhere == set()
