"""All bulk data of a study, series or instance at once, each with its address."""

from collections.abc import Iterator
from typing import Any

import imagecodecs
import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from samsyn.dicom.structure import UNDEFINED
from samsyn.wire.multipart import (
    MultipartReader,
    PartBegin,
    PartData,
    boundary_of,
    closing,
    parse_media_type,
    part_head,
)
from tests.dicom.corpus import SEQUENCE_END, element
from tests.dicomweb.house import House, data_set, file_of, image, store
from tests.dicomweb.test_pictures import JPEG_LS, PIXELS, gallery

__all__ = ["gallery"]

BASE = "http://samsyn.test/dicomweb"
STUDY = "/studies/2.25.10"
SERIES = f"{STUDY}/series/2.25.11"
NATIVE = f"{SERIES}/instances/2.25.1001"
COMPRESSED = f"{SERIES}/instances/2.25.1002"
REPORT = f"{STUDY}/series/2.25.12/instances/2.25.1003"
OCTETS = 'multipart/related; type="application/octet-stream"'
LONG = b"private".ljust(5_000, b".")
CODED = [imagecodecs.jpegls_encode(frame) for frame in PIXELS]
FRAMES = [frame + b"\0" * (len(frame) % 2) for frame in CODED]
"""As fragments are: of an even length."""


def native() -> bytes:
    """An image with a long private value of its own and one inside a sequence."""
    made = image(1)
    block = made.private_block(0x11, "ACME", create=True)
    block.add_new(1, "OB", LONG)
    item = Dataset()
    item.private_block(0x11, "ACME", create=True).add_new(2, "OB", LONG[::-1])
    made.ReferencedImageSequence = [item]
    return file_of(data_set(made), "2.25.1001")


def compressed() -> bytes:
    made = image(2, PixelData=None, Rows=32, Columns=48)
    sent = data_set(made) + element(0x7FE00010, b"OB", encapsulate(CODED) + SEQUENCE_END, UNDEFINED)
    return file_of(sent, "2.25.1002", syntax=JPEG_LS)


def report() -> bytes:
    """An object without any."""
    made = image(3, PixelData=None, SeriesInstanceUID="2.25.12")
    del made.Rows, made.Columns, made.NumberOfFrames, made.BitsAllocated
    return file_of(data_set(made), "2.25.1003")


@pytest.fixture
async def filled(gallery: House) -> House:  # the fixture of that name
    async with gallery.client() as client:
        assert (await store(client, [native(), compressed(), report()])).status_code == 200
    return gallery


async def get(house: House, path: str, accept: str = "*/*", token: str = "NORDWEB", **headers: str) -> Any:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with house.client(token) as client:
        return await client.get(path, headers={"Accept": accept, **sent})


def parts_of(response: Any) -> list[tuple[str, str, bytes]]:
    """Address below the service, media type and bytes of each part."""
    assert response.status_code == 200, response.content
    media_type = parse_media_type(response.headers["content-type"])
    found: list[tuple[str, str, bytes]] = []
    reader = MultipartReader(boundary_of(media_type))
    for event in reader.feed(response.content):
        if isinstance(event, PartBegin):
            address = event.headers["content-location"]
            assert address.startswith(BASE)
            found.append((address.removeprefix(BASE), event.headers["content-type"], b""))
        elif isinstance(event, PartData):
            found[-1] = (*found[-1][:2], found[-1][2] + event.data)
    reader.finish()
    assert found[0][1].startswith(media_type.get("type"))
    return found


def addressed(value: Any) -> Iterator[str]:
    """Every BulkDataURI of metadata."""
    if isinstance(value, list):
        for each in value:
            yield from addressed(each)
    elif isinstance(value, dict):
        if "BulkDataURI" in value:
            yield value["BulkDataURI"].removeprefix(BASE)
        for each in value.values():
            yield from addressed(each)


@pytest.mark.parametrize("path", [STUDY, SERIES, NATIVE, COMPRESSED])
async def test_each_value_that_metadata_address_comes_with_its_address(filled: House, path: str) -> None:
    metadata = (await get(filled, f"{path}/metadata", "application/dicom+json")).json()
    parts = parts_of(await get(filled, f"{path}/bulkdata"))
    assert list(dict.fromkeys(address for address, _, _ in parts)) == list(addressed(metadata))
    for address in addressed(metadata):
        alone = parts_of(await get(filled, address))
        assert alone == [part for part in parts if part[0] == address]


async def test_the_values_are_what_was_sent(filled: House) -> None:
    parts = {
        address.rpartition("/")[2]: data
        for address, _, data in parts_of(await get(filled, f"{NATIVE}/bulkdata"))
    }
    assert LONG in parts.values()
    assert LONG[::-1] in parts.values()
    assert parts["7FE00010"] == bytes(range(16))


@pytest.mark.parametrize("path", [STUDY, SERIES])
async def test_pixel_data_are_those_values_alone(filled: House, path: str) -> None:
    parts = parts_of(await get(filled, f"{path}/pixeldata"))
    assert parts == [
        part for part in parts_of(await get(filled, f"{path}/bulkdata")) if part[0].endswith("/7FE00010")
    ]
    assert [data for _, _, data in parts] == [bytes(range(16)), *FRAMES]
    assert {kind for _, kind, _ in parts[1:]} == {f"image/jls; transfer-syntax={JPEG_LS}"}


async def test_compressed_pixels_are_decoded_for_who_takes_octets_alone(filled: House) -> None:
    parts = parts_of(await get(filled, f"{SERIES}/pixeldata", OCTETS))
    assert [data for _, _, data in parts] == [bytes(range(16)), *(frame.tobytes() for frame in PIXELS)]
    assert {kind for _, kind, _ in parts[1:]} == {
        "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"
    }
    assert np.frombuffer(parts[2][2], "<u2").reshape(32, 48)[3, 5] == PIXELS[1][3, 5]


async def test_what_is_acceptable_in_no_form_is_left_out(filled: House) -> None:
    parts = parts_of(await get(filled, f"{STUDY}/bulkdata", 'multipart/related; type="image/jls"'))
    assert [data for _, _, data in parts] == FRAMES
    for path in (f"{NATIVE}/bulkdata", f"{NATIVE}/pixeldata"):
        for accept in ('multipart/related; type="image/jls"', "application/octet-stream", "text/html"):
            assert (await get(filled, path, accept)).status_code == 406


@pytest.mark.parametrize("kind", ["bulkdata", "pixeldata", "bulkdata/"])
async def test_where_there_is_none_there_is_nothing(filled: House, kind: str) -> None:
    assert (await get(filled, f"{REPORT}/{kind}")).status_code == 404
    if kind.endswith("/"):
        return
    for path in (STUDY, SERIES, NATIVE):
        hidden = await get(filled, f"{path}/{kind}", token="KLARAWEB")
        absent = await get(filled, f"{path.replace('2.25.10', '2.25.99')}/{kind}", token="KLARAWEB")
        assert (hidden.status_code, hidden.content, hidden.headers) == (404, absent.content, absent.headers)


@pytest.mark.parametrize("path", [STUDY, SERIES, NATIVE])
async def test_who_takes_no_files_gets_the_bulk_data_of_what_he_names(filled: House, path: str) -> None:
    parts = parts_of(await get(filled, path, OCTETS))
    assert parts == parts_of(await get(filled, f"{path}/bulkdata", OCTETS))
    assert (await get(filled, REPORT, OCTETS)).status_code == 406


async def test_each_opening_is_written_down_and_what_is_kept_is_not_sent_again(filled: House) -> None:
    entries = "SELECT count(*) FROM audit"
    [(before,)] = filled.rows(entries)
    first = await get(filled, f"{STUDY}/pixeldata")
    [(after,)] = filled.rows(entries)
    assert after > before
    again = await get(filled, f"{STUDY}/pixeldata", If_None_Match=first.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")
    assert (await get(filled, f"{STUDY}/bulkdata", If_None_Match=first.headers["etag"])).status_code == 200
    octets = await get(filled, f"{STUDY}/pixeldata", OCTETS, If_None_Match=first.headers["etag"])
    assert octets.status_code == 200


async def test_what_leaves_as_metadata_and_bulk_data_is_taken_as_that(filled: House) -> None:
    """The addresses of the metadata are the locations of the parts, both ways (PS3.18 8.6.1.2)."""
    answer = await get(filled, f"{NATIVE}/metadata", "application/dicom+json")
    metadata = answer.content.replace(b'["2.25.1001"]', b'["2.25.1009"]')
    parts = parts_of(await get(filled, f"{NATIVE}/bulkdata", OCTETS))
    kind = "application/dicom+json"
    body = part_head("B", kind, first=True) + metadata
    body += b"".join(part_head("B", media, BASE + address) + data for address, media, data in parts)
    async with filled.client() as client:
        headers = {"Content-Type": f'multipart/related; type="{kind}"; boundary=B'}
        stored = await client.post("/studies", content=body + closing("B"), headers=headers)
    assert stored.status_code == 200, stored.content
    copy = parts_of(await get(filled, NATIVE.replace("2.25.1001", "2.25.1009") + "/bulkdata", OCTETS))
    assert [data for _, _, data in copy] == [data for _, _, data in parts]
