"""A series with more than pictures: every document of it can be opened, and what is not shown is told where it is
missing."""

import re
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest_asyncio
from pydicom.uid import UltrasoundMultiFrameImageStorage

from samsyn.ingest.receive import Arrival
from tests.ingest.test_receive import data_set
from tests.reports.documents_made import encapsulated
from tests.viewer.house import House, a_house, series_of
from tests.viewer.test_pages import related, visible
from tests.viewer.test_stewarding import SYNTAX, nord

MPEG4 = "1.2.840.10008.1.2.4.102"
_PIXELS = struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF)
_ITEM, _END = (struct.Struct("<HHL").pack(0xFFFE, element, 0) for element in (0xE000, 0xE0DD))


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as house:
        await house.fill(["tolvan"])
        yield house


async def _store(house: House, data: bytes, syntax: str = SYNTAX) -> None:
    receipt, _ = await house.intake.receive(Arrival(nord(house), syntax, "test"), data)
    assert receipt.outcome == "stored", receipt


def _film(uid: str) -> bytes:
    """A video of 90 frames whose bitstream is nothing that could be played."""
    native = data_set(
        SOPClassUID=UltrasoundMultiFrameImageStorage, SOPInstanceUID=uid, Modality="US", NumberOfFrames=90,
        BitsAllocated=8, BitsStored=8, HighBit=7, PixelData=None,
    )  # fmt: skip
    stream = struct.pack("<HHL", 0xFFFE, 0xE000, 4) + b"film"
    return native + _PIXELS + _ITEM + stream + _END


async def _examination(client: httpx.AsyncClient) -> httpx.Response:
    base = await related(client)
    page = await client.get(base)
    for address in re.findall(r'href="(/p/[^"]+/e/[0-9a-f]+)"', page.text):
        found = await client.get(address)
        if series_of(found):
            return found
    raise AssertionError("no examination with pictures")


async def test_films_that_lie_among_the_pictures_are_told_and_not_counted_as_pictures(house: House) -> None:
    for number in (1, 2):
        await _store(house, data_set(SOPInstanceUID=f"2.25.10{number}", Modality="US"))
    for number in (3, 4, 5):
        await _store(house, _film(f"2.25.10{number}"), MPEG4)
    async with house.logged_in("radiologist") as client:
        page = await _examination(client)
        (series,) = series_of(page)
        told = visible(page)
        assert "Ultraljud, 2 bilder Visas inte här: 3 filmer" in told
        stack = (await client.get(f"{series}/stack")).json()
        assert len(stack["frames"]) == 2
        assert stack["caption"]["left_out"] == "Visas inte här: 3 filmer"


async def test_a_series_without_anything_left_out_says_nothing_of_it(house: House) -> None:
    await _store(house, data_set(SOPInstanceUID="2.25.101"))
    async with house.logged_in("radiologist") as client:
        page = await _examination(client)
        (series,) = series_of(page)
        assert "Visas inte här" not in visible(page)
        assert (await client.get(f"{series}/stack")).json()["caption"]["left_out"] == ""


async def test_every_document_of_a_series_is_told_and_can_be_opened(house: House) -> None:
    texts = {f"2.25.20{number}": f"%PDF-1.4 sida {number}" for number in (1, 2, 3)}
    for uid, text in texts.items():
        await _store(
            house, encapsulated(text.encode(), uid, "A1", SeriesInstanceUID="2.25.20"), "1.2.840.10008.1.2.1"
        )
    async with house.logged_in("radiologist") as client:
        page = await _examination(client)
        (series,) = series_of(page)
        assert "3 dokument" in visible(page)
        shown = await client.get(series)
        assert "Dokument 3 av 3" in visible(shown)
        addresses = re.findall(rf'href="({series}/document/[0-9a-f]+)"', shown.text)
        documents = [await client.get(address) for address in addresses]
        assert {each.headers["content-type"] for each in documents} == {"application/pdf"}
        assert {each.content.rstrip(b"\0").decode() for each in documents} == set(texts.values())
        assert (await client.get(f"{series}/document/{'9' * 24}")).status_code == 404
        file = await client.get(f"{addresses[0]}?as=file")
        assert file.headers["content-disposition"].startswith("attachment")


async def test_a_document_among_pictures_can_be_opened_from_their_page(house: House) -> None:
    await _store(house, data_set(SOPInstanceUID="2.25.101", StudyInstanceUID="2.25.70"))
    paper = encapsulated(b"%PDF-1.4 remiss", "2.25.102", "A1", SeriesInstanceUID="2.25.11")
    await _store(house, paper, "1.2.840.10008.1.2.1")
    async with house.logged_in("radiologist") as client:
        (series,) = series_of(await _examination(client))
        shown = await client.get(series)
        assert "Visas inte här: 1 dokument" in visible(shown)
        (address,) = re.findall(rf'href="({series}/document/[0-9a-f]+)"', shown.text)
        assert (await client.get(address)).content.startswith(b"%PDF-1.4 remiss")
