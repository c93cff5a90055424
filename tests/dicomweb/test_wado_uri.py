"""WADO-URI: one instance by query parameters."""

import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samsyn.clock import SystemClock
from samsyn.endpoints.dicomweb.wado_uri import parse_uri_request
from samsyn.errors import SamsynError
from samsyn.render.children import DecodingChildren
from samsyn.render.pictures import Pictures
from tests.dicomweb.house import House, image_file, store
from tests.render.overlay_objects import with_overlay

NAMED = "requestType=WADO&studyUID=2.25.10&seriesUID=2.25.11&objectUID=2.25.1001"
IMPLICIT = "1.2.840.10008.1.2"
PIXELS = np.arange(2 * 32 * 48, dtype=np.uint16).reshape(2, 32, 48)


@pytest.fixture
async def gallery(tmp_path: Path) -> AsyncIterator[House]:
    """A house that can make pictures, with one image of two frames and one of a single one."""
    children = DecodingChildren(1)
    house = House(tmp_path)
    house.use(Pictures(house.retriever, children, tmp_path / "derived", SystemClock()))
    await children.start()
    size = {"Rows": 32, "Columns": 48}
    async with house.client() as client:
        single = image_file(2, NumberOfFrames=1, PixelData=PIXELS[0].tobytes(), **size)
        stored = await store(client, [image_file(1, PixelData=PIXELS.tobytes(), **size), single])
        assert stored.status_code == 200
    yield house
    await children.stop()
    house.close()


async def get(house: House, query: str, token: str = "NORDWEB") -> Any:
    async with house.client(token) as client:
        return await client.get(f"/wado?{query}")


async def test_an_object_or_a_picture_is_sent_by_its_content_type(gallery: House) -> None:
    for query, kind, start in (
        (f"{NAMED}&contentType=application/dicom", "application/dicom", bytes(128) + b"DICM"),
        (NAMED, "application/dicom", bytes(128) + b"DICM"),
        (NAMED.replace("1001", "1002"), "image/jpeg", b"\xff\xd8"),
        (f"{NAMED}&contentType=image/jpeg", "image/jpeg", b"\xff\xd8"),
        (f"{NAMED}&contentType=image/png,image/jpeg&frameNumber=2", "image/png", b"\x89PNG"),
    ):
        response = await get(gallery, query)
        assert response.headers["content-type"].startswith(kind), query
        assert response.content.startswith(start)
    for query, accept, kind in (
        (NAMED, "image/png", "image/png"),
        (NAMED.replace("1001", "1002"), "application/dicom;q=0.9, image/png;q=0.5", "application/dicom"),
        (NAMED.replace("1001", "1002"), "image/avif,image/*,*/*;q=0.8", "image/jpeg"),
        (NAMED.replace("1001", "1002"), "application/json", "image/jpeg"),
        (f"{NAMED}&contentType=image/jpeg", "image/png", "image/jpeg"),
    ):
        async with gallery.client("NORDWEB") as client:
            response = await client.get(f"/wado?{query}", headers={"Accept": accept})
        assert response.headers["content-type"].startswith(kind), (query, accept)
    other = await get(gallery, f"{NAMED}&contentType=application/dicom&transferSyntax={IMPLICIT}")
    assert other.headers["content-type"].endswith(IMPLICIT)


async def test_a_picture_has_the_size_part_and_window_that_are_asked_for(gallery: House) -> None:
    async def shown(query: str) -> Any:
        response = await get(gallery, f"{NAMED}&contentType=image/png&{query}")
        assert response.status_code == 200, response.content
        return imagecodecs.png_decode(response.content)

    assert (await shown("rows=16")).shape[:2] == (16, 24)
    assert (await shown("columns=24&rows=100")).shape[:2] == (16, 24)
    whole = await shown("windowCenter=700&windowWidth=1500")
    part = await shown("windowCenter=700&windowWidth=1500&region=0,0,0.5,0.5&columns=24&rows=16")
    assert np.array_equal(part, whole[:16, :24])
    assert (await shown("windowCenter=9000&windowWidth=1")).max() == 0


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400),
        ("requestType=WADO", 400),
        (NAMED.replace("WADO", "OTHER"), 400),
        (NAMED.replace("2.25.11", "x"), 400),
        (NAMED.replace("2.25.10&", "2.25.99&"), 404),
        (NAMED.replace("2.25.1001", "2.25.99"), 404),
        (f"{NAMED}&studyUID=2.25.10", 400),
        (f"{NAMED}&Nonsense=1", 400),
        (f"{NAMED}&contentType=text/html", 406),
        (f"{NAMED}&contentType=application/dicom&transferSyntax=1.2.840.10008.1.2.4.90", 406),
        (f"{NAMED}&contentType=image/png&transferSyntax={IMPLICIT}", 400),
        (f"{NAMED}&contentType=image/png&frameNumber=3", 404),
        (f"{NAMED}&contentType=image/png&frameNumber=0", 400),
        (f"{NAMED}&contentType=image/png&windowCenter=1", 400),
        (f"{NAMED}&contentType=image/png&region=0,0,2,1", 400),
        (f"{NAMED}&contentType=image/png&region=0,0,0,1", 400),
        (f"{NAMED}&contentType=image/png&rows=99999", 400),
        (f"{NAMED}&contentType=image/png&imageQuality=0", 400),
        (f"{NAMED}&anonymize=yes", 400),
        (f"{NAMED}&contentType=image/png&presentationUID=2.25.5", 400),
    ],
)
async def test_what_can_not_be_sent_as_asked_is_refused(gallery: House, query: str, status: int) -> None:
    assert (await get(gallery, query)).status_code == status


@pytest.mark.parametrize("kind", ["image/png", "application/dicom"])
async def test_a_parameter_that_is_not_known_is_ignored_and_told(gallery: House, kind: str) -> None:
    plain = await get(gallery, f"{NAMED}&contentType={kind}")
    response = await get(gallery, f"{NAMED}&contentType={kind}&sessionKey=1")
    assert (response.status_code, response.content) == (200, plain.content)
    assert response.headers["warning"] == '299 Samsyn "These parameters are not supported: sessionKey"'


async def test_an_annotation_that_is_left_out_is_told(gallery: House) -> None:
    response = await get(gallery, f"{NAMED}&contentType=image/png&annotation=patient")
    assert response.headers["warning"].startswith("299 ")


async def test_graphics_are_on_every_picture_whatever_annotation_is_asked_for(gallery: House) -> None:
    size = {"Rows": 32, "Columns": 48, "NumberOfFrames": 1, "WindowCenter": 10_000, "WindowWidth": 20_000}
    marked = image_file(3, PixelData=PIXELS[0].tobytes(), **size)
    mask = np.zeros((32, 48), bool)
    mask[4:20, 30] = True
    made = pydicom.dcmread(io.BytesIO(marked))
    made = with_overlay(made, mask)
    written = io.BytesIO()
    made.save_as(written)
    async with gallery.client() as client:
        assert (await store(client, [written.getvalue()])).status_code == 200
    path = "/studies/2.25.10/series/2.25.11/instances/2.25.1003"
    pictures = [
        (await get(gallery, f"{NAMED.replace('1001', '1003')}&contentType=image/png{more}")).content
        for more in ("", "&annotation=patient", "&rows=32&columns=48")
    ]
    async with gallery.client() as client:
        for address in (
            "/rendered",
            "/frames/1/rendered",
            "/rendered?annotation=technique",
            "/thumbnail?viewport=48,32",
        ):
            answer = await client.get(f"{path}{address}", headers={"Accept": "image/png"})
            assert answer.status_code == 200
            pictures.append(answer.content)
    for picture in pictures:
        assert np.array_equal(np.asarray(imagecodecs.png_decode(picture)) == 255, mask)


async def test_a_hidden_object_is_as_absent(gallery: House) -> None:
    hidden = await get(gallery, NAMED, token="KLARAWEB")
    absent = await get(gallery, NAMED.replace("2.25.10&", "2.25.99&"), token="KLARAWEB")
    assert hidden.status_code == absent.status_code == 404
    assert hidden.content == absent.content
    assert (await get(gallery, NAMED, token="")).status_code == 401


@given(st.text("abcdefghijklmnopqrstuvwxyzUIDRT0123456789.,&=%/", max_size=120))
def test_any_query_string_is_parsed_or_refused(text: str) -> None:
    for query in (text, f"{NAMED}&{text}"):
        try:
            parse_uri_request(query.encode())
        except SamsynError:
            continue
