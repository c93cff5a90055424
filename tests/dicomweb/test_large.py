"""Large objects by the web: taken in by pieces, given out by pieces, with corrections laid over what is never whole in
memory."""

import struct
from typing import Any

import orjson
import pytest

from samsyn import limits
from samsyn.dicom.json import to_dicom_json
from samsyn.dicom.part10 import file_preamble_and_meta
from samsyn.errors import NotFound
from tests.dicomweb.house import EXPLICIT, House, parts_of, store, subject_like
from tests.dicomweb.test_correction import correct, get, text
from tests.dicomweb.test_rotten_frames import anew, refused
from tests.dimse.clips import FRAME, ULTRASOUND, clip, frame, head, large_begins_at
from tests.rot import rot

SERIES = "/studies/2.25.10/series/2.25.11"
INSTANCE = f"{SERIES}/instances/2.25.100"
TABLE = bytes(range(250)) * 20
PRIVATE = (
    struct.pack("<HH2sH", 0x7FD1, 0x10, b"LO", 4)
    + b"HERE"
    + struct.pack("<HH2sxxI", 0x7FD1, 0x1009, b"OB", len(TABLE))
    + TABLE
    + struct.pack("<HH2sxxI", 0x7FD1, 0x1010, b"OB", 2 * FRAME)
)
VOLUME = bytes(range(256)) * (2 * FRAME // 256)


def with_volume(uid: str) -> bytes:
    """A clip with another large value before its pixels."""
    data = clip(SOPInstanceUID=uid)
    begins = len(head(3, SOPInstanceUID=uid)) - 12
    return data[:begins] + PRIVATE + VOLUME + data[begins:]


def file_of(data: bytes, uid: str) -> bytes:
    return file_preamble_and_meta(ULTRASOUND, uid, EXPLICIT) + data


@pytest.fixture
def low(monkeypatch: pytest.MonkeyPatch) -> None:
    large_begins_at(FRAME, monkeypatch)


async def test_what_came_by_pieces_is_what_leaves_by_pieces(house: House, low: None) -> None:
    first, second = (
        file_of(with_volume("2.25.100"), "2.25.100"),
        file_of(clip(SOPInstanceUID="2.25.101"), "2.25.101"),
    )
    async with house.client() as client:
        assert (await store(client, [first, second])).status_code == 200
        alone = file_of(clip(SOPInstanceUID="2.25.102"), "2.25.102")
        kind = {"Content-Type": "application/dicom"}
        assert (await client.post("/studies", content=alone, headers=kind)).status_code == 200
        broken = await client.post("/studies", content=alone[:-5], headers=kind)
        assert broken.status_code == 409
        assert (await client.post("/studies", content=b"x" * len(alone), headers=kind)).status_code == 400
    journal = house.store.folder / "journal"
    assert len(list(journal.glob("*.journal"))) == 4
    assert not list(journal.glob("*.arriving"))
    got = sorted(content for _, content in parts_of(await get(house, SERIES)))
    assert got == sorted([first, second, alone])
    whole = await get(house, INSTANCE, "application/dicom")
    assert whole.content == first
    part = await get(house, INSTANCE, "application/dicom", Range="bytes=1000-3000000")
    assert part.content == first[1000:3_000_001]
    [found] = (await get(house, f"{INSTANCE}/metadata")).json()
    data = first[-len(with_volume("2.25.100")) :]
    base = found["7FE00010"]["BulkDataURI"].rpartition("/")[0]
    assert found == orjson.loads(to_dicom_json(data, EXPLICIT, base))
    assert parts_of(
        await get(house, f"{INSTANCE}/frames/2", "multipart/related; type=application/octet-stream")
    )[0][1] == frame(2)
    for tag, value in (("7FD11009", TABLE), ("7FD11010", VOLUME), ("7FE00010", data[-3 * FRAME :])):
        there = f"{INSTANCE}/bulkdata/{tag}"
        assert (await get(house, there, "application/octet-stream")).content == value
        many = await get(house, there, "multipart/related; type=application/octet-stream")
        assert parts_of(many)[0][1] == value


async def test_a_value_is_never_what_an_outline_leaves_out(house: House, low: None) -> None:
    data = with_volume("2.25.100")
    async with house.client() as client:
        assert (await store(client, [file_of(data, "2.25.100")])).status_code == 200
    view = await house.gatekeeper.open_view(subject_like(house, "NORDWEB"))
    [instance] = await house.retriever.instances(view, "2.25.10")
    for path, value in (("7FE00010", data[-3 * FRAME :]), ("7FD11010", VOLUME), ("7FD11009", TABLE)):
        assert await house.retriever.bulk(view, instance, path) == value
    with pytest.raises(NotFound):
        await house.retriever.bulk(view, instance, "00100010")


async def test_corrections_are_laid_over_the_head_alone(
    house: House, low: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house.client() as client:
        assert (await store(client, [file_of(with_volume("2.25.100"), "2.25.100")])).status_code == 200
    assert (await correct(house, {"00081030": text("LO", "Hjärta")})).status_code == 204

    async def answers() -> list[Any]:
        found = [await get(house, INSTANCE, "application/dicom")]
        for span in ("300-310", "0-3000000", "500-500", "3000000-"):
            found.append(await get(house, INSTANCE, "application/dicom", Range=f"bytes={span}"))
        contents = [each.content for each in found]
        return [*contents, parts_of(await get(house, SERIES))[0][1]]

    by_pieces = await answers()
    assert "Hjärta".encode("latin-1") in by_pieces[0]
    assert by_pieces[0].endswith(VOLUME + with_volume("2.25.100")[-3 * FRAME - 12 :])
    monkeypatch.setattr(limits, "STREAMED_ABOVE_BYTES", 1 << 40)
    assert by_pieces == await answers()


async def test_what_rots_before_the_pixels_of_a_large_object_is_not_served(house: House, low: None) -> None:
    """Metadata, values and corrected heads are read from here and there, and the rest of the object is not."""
    async with house.client() as client:
        assert (await store(client, [file_of(with_volume("2.25.100"), "2.25.100")])).status_code == 200
    assert (await correct(house, {"00081030": text("LO", "Hjärta")})).status_code == 204
    [(segment, offset, length)] = house.rows("SELECT segment, body_offset, length FROM instance")
    body = house.store.body(segment, offset, length)
    asked = (
        (f"{INSTANCE}/metadata", "application/dicom+json", "", b"MONOCHROME2"),
        (f"{INSTANCE}/bulkdata/7FD11009", "application/octet-stream", "", TABLE),
        (INSTANCE, "application/dicom", "bytes=300-310", b"MONOCHROME2"),
    )
    for path, accept, span, _ in asked:
        more = {"Range": span} if span else {}
        assert (await get(house, path, accept, **more)).status_code in (200, 206)
    for path, accept, span, within in asked:
        place = offset + body.index(within)
        rot(house.store, segment, place)
        anew(house)
        assert await refused(house, path, Accept=accept, **({"Range": span} if span else {}))
        rot(house.store, segment, place)
        anew(house)
        assert not await refused(house, path, Accept=accept, **({"Range": span} if span else {}))
