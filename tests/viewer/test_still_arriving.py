"""An examination that is read while its pictures still arrive: every address goes on meaning the same picture."""

import io
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest_asyncio
from PIL import Image
from pydicom.uid import SecondaryCaptureImageStorage

from samsyn.ingest.receive import Arrival
from samsyn_demo.instances.objects import NATIVE
from tests.reports.documents_made import header, written
from tests.viewer.house import House, a_house, sender_of, series_of
from tests.viewer.life_cycle import NORD, Telling
from tests.viewer.test_pages import related

ACCESSION = "LC9"


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as house:
        await Telling(house, ACCESSION, "DT lever", 2).version("F", 1, "Inget avvikande.")
        yield house


async def arrives(house: House, series: int, number: int, grey: int) -> None:
    """A picture of one plain grey, which tells it from all others."""
    more: dict[str, Any] = {
        "SeriesInstanceUID": f"2.25.70.{series}",
        "SeriesNumber": series,
        "Modality": "OT",
    }
    data = header(SecondaryCaptureImageStorage, f"2.25.70.{series}.{number}", ACCESSION, **more)
    data.SeriesDescription, data.InstanceNumber = f"Serie med {grey}", number
    data.Rows = data.Columns = 16
    data.SamplesPerPixel, data.BitsAllocated, data.BitsStored, data.HighBit = 1, 8, 8, 7
    data.PixelRepresentation, data.PhotometricInterpretation = 0, "MONOCHROME2"
    data.WindowCenter, data.WindowWidth = 128, 256
    data.PixelData = bytes([grey]) * 256
    receipt, _ = await house.intake.receive(
        Arrival(sender_of(NORD, NORD.units[0].hsa_id), NATIVE, "test"), written(data)
    )
    assert receipt.outcome == "stored"


async def seen(client: httpx.AsyncClient, address: str) -> int:
    """The grey of what an address shows."""
    answer = await client.get(address)
    assert answer.status_code == 200, address
    return int(np.median(np.asarray(Image.open(io.BytesIO(answer.content)).convert("L"))))


async def examination_of(client: httpx.AsyncClient) -> str:
    base = await related(client)
    listed = await client.get(base)
    before, _, _ = listed.text.partition("DT lever")
    return before.rpartition('href="')[2].partition('"')[0]


async def test_no_picture_takes_another_ones_place(house: House) -> None:
    await arrives(house, 2, 2, 80)
    await arrives(house, 2, 3, 120)
    async with house.logged_in("radiologist") as client:
        page = await client.get(await examination_of(client))
        [series] = series_of(page)
        told = (await client.get(f"{series}/stack")).json()
        assert told["caption"]["series"] == "Serie med 80"
        addresses = [each["url"] for each in told["frames"]]
        assert [await seen(client, each) for each in addresses] == [80, 120]
        # A series that is listed first, and a picture before those that the open page knows.
        await arrives(house, 1, 1, 200)
        await arrives(house, 2, 1, 40)
        again = await client.get(page.url.path)
        assert len(series_of(again)) == 2
        shown = [await seen(client, f"{each}/thumbnail") for each in series_of(again)]
        assert shown[0] == 200, "the picture stands at the name of its own series"
        opened = [(await client.get(f"{each}/stack")).json() for each in series_of(again)]
        assert [each["caption"]["series"] for each in opened] == ["Serie med 200", "Serie med 80"]
        assert [await seen(client, each["url"]) for each in opened[1]["frames"]] == [40, 80, 120]
        assert [await seen(client, each) for each in addresses] == [80, 120]


async def test_an_open_page_says_that_something_has_come_or_changed(house: House) -> None:
    await arrives(house, 2, 1, 80)
    async with house.logged_in("radiologist") as client:
        examination = await examination_of(client)
        base = examination.partition("e/")[0]
        told = list[str]()
        for comes in (
            lambda: arrives(house, 2, 2, 120),
            lambda: arrives(house, 3, 1, 160),
            lambda: Telling(house, ACCESSION, "DT lever", 2).version("C", 0.5, "Lungemboli."),
            lambda: Telling(house, "LC10", "DT buk", 1).version("P", 1, "Inget akut."),
        ):
            opened = [await client.get(address) for address in (base, examination)]
            marks = {re.search(r'data-state="([^"]+)"', page.text)[1] for page in opened}  # type: ignore[index]  # it is on each
            assert marks == {await state(client, base)}, "nothing has come since"
            told += marks
            await comes()
            assert await state(client, base) not in told
        # Somebody else's is nothing of what this page shows.
        before = await state(client, base)
        await house.fill(["soderberg"])
        assert await state(client, base) == before


async def state(client: httpx.AsyncClient, base: str) -> str:
    return str((await client.get(f"{base}pulse")).json()["state"])
