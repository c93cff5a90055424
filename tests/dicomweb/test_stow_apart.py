"""STOW-RS with metadata and bulk data apart from each other, in JSON and XML."""

import base64
import io
from typing import Any

import imagecodecs
import numpy as np
import orjson
import pydicom
import pytest

from samsyn.dicom.json import to_dicom_json
from samsyn.dicom.native_xml import model_to_xml, xml_to_model
from samsyn.wire.multipart import closing, part_head
from tests.dicomweb.house import EXPLICIT, House, data_set, image, parts_of
from tests.dicomweb.test_stow import FAILED, OTHER, REFERENCED, reasons, uids

INSTANCE = "/studies/2.25.10/series/2.25.11/instances/2.25.1001"
PIXELS = bytes(range(16))
JPEG = "1.2.840.10008.1.2.4.50"
JPEG_LS = "1.2.840.10008.1.2.4.80"


def metadata(number: int = 1, **changes: Any) -> dict[str, Any]:
    """The image's JSON; its pixels at `bulk/<number>`."""
    model = orjson.loads(to_dicom_json(data_set(image(number, **changes)), EXPLICIT, "x"))
    model["7FE00010"] = {"vr": "OW", "BulkDataURI": f"bulk/{number}"}
    return model


def body_of(
    models: list[Any], bulk: list[tuple[str, str, bytes]], kind: str = "application/dicom+json"
) -> bytes:
    """A request with boundary B. `bulk`: (media type, location, bytes)."""
    documents = [orjson.dumps(models)] if kind.endswith("json") else [model_to_xml(each) for each in models]
    parts = [part_head("B", kind, first=number == 0) + each for number, each in enumerate(documents)]
    parts += [part_head("B", media, location) + content for media, location, content in bulk]
    return b"".join(parts) + closing("B")


async def send(
    house: House,
    content: bytes,
    kind: str = "application/dicom+json",
    accept: str = "*/*",
    path: str = "/studies",
) -> Any:
    headers = {"Content-Type": f'multipart/related; type="{kind}"; boundary=B', "Accept": accept}
    async with house.client() as client:
        return await client.post(path, content=content, headers=headers)


async def stored_object(house: House, path: str = INSTANCE) -> pydicom.Dataset:
    async with house.client() as client:
        response = await client.get(path, headers={"Accept": "application/dicom"})
    return pydicom.dcmread(io.BytesIO(response.content))


@pytest.mark.parametrize("kind", ["application/dicom+json", "application/dicom+xml"])
async def test_metadata_with_all_values_inside_need_no_multipart(house: House, kind: str) -> None:
    model = metadata()
    model["7FE00010"] = {"vr": "OW", "InlineBinary": base64.b64encode(PIXELS).decode()}
    body = orjson.dumps([model]) if kind.endswith("json") else model_to_xml(model)
    async with house.client() as client:
        for study, status in (("/2.25.99", 409), ("/2.25.10", 200), ("", 200)):
            headers = {"Content-Type": kind}
            response = await client.post(f"/studies{study}", content=body, headers=headers)
            assert response.status_code == status, response.content
        for broken in (body[:-3], b"", b"\xff"):
            assert (await client.post("/studies", content=broken, headers=headers)).status_code == 400
        addressed = orjson.dumps([metadata(2)])
        headers = {"Content-Type": "application/dicom+json"}
        assert (await client.post("/studies", content=addressed, headers=headers)).status_code == 409
    assert (await stored_object(house)).PixelData == PIXELS


@pytest.mark.parametrize("coding", ["Content-Transfer-Encoding: base64", "Content-Encoding: gzip"])
@pytest.mark.parametrize("part", [0, 1])
async def test_the_text_of_a_coding_is_not_stored_as_pixels(house: House, coding: str, part: int) -> None:
    whole = body_of([metadata()], [("application/octet-stream", "bulk/1", PIXELS)])
    pieces = whole.split(b"\r\n\r\n")
    pieces[part] += f"\r\n{coding}".encode()
    refused = await send(house, b"\r\n\r\n".join(pieces))
    assert (refused.status_code, refused.json()["code"]) == (400, "not-supported")
    assert house.rows("SELECT count(*) FROM study") == [(0,)]
    assert (await send(house, whole)).status_code == 200


@pytest.mark.parametrize("kind", ["application/dicom+json", "application/dicom+xml"])
async def test_metadata_and_pixels_become_an_object(house: House, kind: str) -> None:
    octets = "application/octet-stream"
    bulk = [(octets, "bulk/2", PIXELS[::-1]), (octets, "bulk/1", PIXELS)]
    response = await send(house, body_of([metadata(1), metadata(2)], bulk, kind), kind)
    assert response.status_code == 200, response.content
    assert uids(response.json(), REFERENCED) == ["2.25.1001", "2.25.1002"]
    found = await stored_object(house)
    assert found.file_meta.TransferSyntaxUID == EXPLICIT
    assert found.PixelData == PIXELS
    assert str(found.PatientName) == "Tolvansson^Tolvån"
    assert found.SpecificCharacterSet == "ISO_IR 192"
    again = await send(house, body_of([metadata(1), metadata(2)], bulk, kind), kind)
    assert again.status_code == 200
    assert house.rows("SELECT COUNT(*) FROM instance") == [(2,)]


@pytest.mark.parametrize(
    ("media", "syntax"),
    [
        ("image/jpeg", JPEG),
        (f"image/jpeg; transfer-syntax={JPEG}", JPEG),
        ("image/jls", JPEG_LS),
        (f"application/octet-stream; transfer-syntax={JPEG_LS}", JPEG_LS),
    ],
)
async def test_compressed_frames_are_kept_as_they_are(house: House, media: str, syntax: str) -> None:
    pixels = np.arange(2 * 32 * 48, dtype=np.uint8).reshape(2, 32, 48)
    encoder = imagecodecs.jpeg8_encode if syntax == JPEG else imagecodecs.jpegls_encode
    frames = [bytes(encoder(frame)) for frame in pixels]
    model = metadata(Rows=32, Columns=48, BitsAllocated=8, BitsStored=8, HighBit=7)
    model["00083002"] = {"vr": "UI", "Value": [syntax]}
    response = await send(house, body_of([model], [(media, "bulk/1", frame) for frame in frames]))
    assert response.status_code == 200, response.content
    async with house.client() as client:
        parts = parts_of(await client.get(f"{INSTANCE}/frames/1,2", headers={"Accept": "*/*"}))
    assert [content.rstrip(b"\0") for _, content in parts] == [frame.rstrip(b"\0") for frame in frames]
    assert all(kind.endswith(syntax) for kind, _ in parts)
    found = await stored_object(house)
    assert found.file_meta.TransferSyntaxUID == syntax
    assert "AvailableTransferSyntaxUID" not in found


async def test_a_document_without_bulk_data_needs_no_second_part(house: House) -> None:
    model = metadata()
    model["7FE00010"] = {"vr": "OW", "InlineBinary": "AAECAwQFBgcICQoLDA0ODw=="}
    assert (await send(house, body_of([model], []))).status_code == 200
    assert (await stored_object(house)).PixelData == PIXELS


async def test_a_faulty_instance_fails_alone_and_is_named(house: House) -> None:
    missing, wrong, nameless = metadata(2), metadata(3), metadata(4)
    wrong["00280010"] = {"vr": "US", "Value": ["x"]}
    wrong["7FE00010"] = {"vr": "OW"}
    del nameless["00080018"]
    nameless["7FE00010"] = {"vr": "OW"}
    models = [metadata(1), missing, wrong, nameless]
    response = await send(house, body_of(models, [("application/octet-stream", "bulk/1", PIXELS)]))
    assert response.status_code == 202
    assert response.headers["warning"].startswith("299 ")
    assert uids(response.json(), REFERENCED) == ["2.25.1001"]
    assert uids(response.json(), FAILED) == ["2.25.1002", "2.25.1003"]
    assert reasons(response.json()) == [0xC000, 0xC000]
    assert reasons(response.json(), OTHER) == [0xC000]
    assert house.rows("SELECT sop_uid FROM instance") == [("2.25.1001",)]


async def test_frames_that_do_not_fit_the_metadata_are_refused(house: House) -> None:
    one_frame = [("image/jpeg", "bulk/1", bytes(imagecodecs.jpeg8_encode(np.zeros((2, 2), np.uint8))))]
    response = await send(house, body_of([metadata()], one_frame))
    assert (response.status_code, reasons(response.json())) == (409, [0xC000])
    mixed = [*one_frame, ("image/jls", "bulk/1", b"x")]
    assert (await send(house, body_of([metadata()], mixed))).status_code == 409
    unknown = [("application/octet-stream; transfer-syntax=1.2.3", "bulk/1", PIXELS)]
    response = await send(house, body_of([metadata()], unknown))
    assert (response.status_code, reasons(response.json())) == (409, [0x0122])
    for noise in (b"", b"\xff\xd8", b"no jpeg at all", b"\xff\xd8\xff\xe0\x00\x00"):
        assert (
            await send(house, body_of([metadata()], [("image/jpeg", "bulk/1", noise)]))
        ).status_code == 409


async def test_only_the_study_of_the_address_is_taken_apart_too(house: House) -> None:
    content = body_of([metadata()], [("application/octet-stream", "bulk/1", PIXELS)])
    response = await send(house, content, path="/studies/2.25.99")
    assert (response.status_code, reasons(response.json())) == (409, [0xA900])


async def test_a_part_without_its_place_spoils_the_request(house: House) -> None:
    response = await send(house, body_of([metadata()], [("application/octet-stream", "", PIXELS)]))
    assert response.status_code == 400
    assert house.rows("SELECT COUNT(*) FROM instance") == [(0,)]


async def test_results_are_told_in_xml_when_that_is_asked_for(house: House) -> None:
    content = body_of([metadata()], [("application/octet-stream", "bulk/1", PIXELS)])
    response = await send(house, content, accept="application/dicom+xml")
    assert response.headers["content-type"] == "application/dicom+xml"
    assert uids(xml_to_model(response.content), REFERENCED) == ["2.25.1001"]
    odd = await send(house, content, accept="text/html")
    assert (odd.status_code, odd.headers["content-type"]) == (200, "application/dicom+json")


async def test_what_was_read_as_metadata_and_bulk_data_can_be_stored_elsewhere(house: House) -> None:
    """The round through our own WADO-RS: metadata and bulk data out of one study, into another."""
    await send(house, body_of([metadata()], [("application/octet-stream", "bulk/1", PIXELS)]))
    async with house.client() as client:
        [model] = (await client.get(f"{INSTANCE}/metadata")).json()
        address = model["7FE00010"]["BulkDataURI"]
        value = await client.get(address, headers={"Accept": "application/octet-stream"})
    model["00080018"]["Value"] = ["2.25.7777"]
    response = await send(house, body_of([model], [("application/octet-stream", address, value.content)]))
    assert response.status_code == 200
    assert (
        await stored_object(house, INSTANCE.replace("1001", "7777").replace("2.25.1", "2.25.1"))
    ).PixelData
