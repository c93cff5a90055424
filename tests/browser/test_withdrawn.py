"""Pictures that are withdrawn while they are looked at do not stay on the screen under the patient's name."""

from pathlib import Path

import pytest

from samsyn.dicom.part10 import split_part10
from samsyn.ingest.receive import Arrival
from tests.browser.browsing import a_browser
from tests.dicomweb.test_rejection import note_file
from tests.ingest.test_receive import data_set
from tests.viewer.house import House, a_served_house
from tests.viewer.test_stewarding import SYNTAX, nord

pytestmark = [pytest.mark.browser, pytest.mark.slow]


async def _store(house: House, data: bytes) -> None:
    receipt, _ = await house.intake.receive(Arrival(nord(house), SYNTAX, "test"), data)
    assert receipt.outcome == "stored", receipt


async def test_a_picture_that_is_rejected_leaves_the_screen_and_the_others_can_be_fetched(
    tmp_path: Path,
) -> None:
    async with a_served_house(tmp_path) as house:
        await house.fill(["tolvan"])
        for number in (1, 2):
            await _store(house, data_set(SOPInstanceUID=f"2.25.10{number}", InstanceNumber=str(number)))
        async with a_browser(house.base) as seen:
            page = seen.page
            await seen.log_in("Ingrid Sandelin", "Röntgen Nordsjukhuset")
            await seen.open_patient("191212121212")
            await page.click(".entry[data-status='none'] a.title >> nth=0")
            await page.click("a[data-whole]")
            await page.wait_for_selector(".quickviewer-where:has-text('av 2')")
            # What comes besides leaves the picture alone.
            await _store(house, data_set(SOPInstanceUID="2.25.103", InstanceNumber="3"))
            await seen.at_the_next_pulse("[data-note='news']:visible")
            await page.wait_for_selector(".quickviewer-where:has-text('av 2')")
            note = note_file(["2.25.102"])
            await _store(house, note[split_part10(note).dataset_offset :])
            gone = ".quickviewer-problem-text:has-text('dragits tillbaka eller flyttats')"
            await page.wait_for_selector(gone)
            assert await page.inner_text(".quickviewer-who") == ""
            assert await page.evaluate(
                "!document.querySelector('canvas').getContext('2d').getImageData(0, 0, 999, 999).data.some(Boolean)"
            )
            seen.troubles.clear()
            await seen.check("withdrawn")
            await page.click(".quickviewer-problem button")
            await page.wait_for_selector(".quickviewer-where:has-text('av 2')")
            await page.wait_for_selector(".quickviewer[data-shown]:not([data-shown=''])")
