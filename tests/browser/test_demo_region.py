"""`samsyn demo` as a newcomer meets it: real processes send the region, then a real browser reads it."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.browser.browsing import a_browser
from tests.scratch import ROOT, environment

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FREE_PORTS = {f"SAMSYN_{door}_PORT": "0" for door in ("HTTP", "DICOM", "MLLP")}


@dataclass
class Region:
    base: str
    loaded_after_s: float
    summary: str


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    folder = Path(tmp_path_factory.mktemp("region")) / "demo"
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "samsyn", "demo", "--data", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**environment(), **FREE_PORTS},
        cwd=ROOT,
    )
    assert process.stdout is not None
    try:
        base, summary, said = "", "", []
        for line in process.stdout:
            said.append(line)
            if "Samsyn is ready at " in line:
                base = line.split("Samsyn is ready at ")[1].split("/ ")[0]
            if "is loaded" in line:
                summary = line.strip()
            if "Log in at" in line:
                break
        assert base, "".join(said)
        assert summary, "".join(said)
        yield Region(base, time.monotonic() - began, summary)
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 0
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)
        process.stdout.close()


async def test_the_gp_reads_the_own_report_and_after_consent_the_hospitals_ct(region: Region) -> None:
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
