"""WADO-RS: objects, metadata, bulk data and frames, in the form that is accepted."""

import io
import struct
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate

from samsyn.dicom.native_xml import xml_to_model
from samsyn.dicom.structure import UNDEFINED
from samsyn.dicom.transfer_syntaxes import RLE_LOSSLESS
from samsyn.errors import DamagedData
from tests.dicom.corpus import SEQUENCE_END, element, item
from tests.dicom.test_reading import BIG, DEFLATED, deflate
from tests.dicomweb.house import (
    EXPLICIT,
    House,
    data_set,
    file_of,
    image,
    image_file,
    parts_of,
    store,
)
from tests.rot import rot

JPEG = "1.2.840.10008.1.2.4.50"
MPEG4 = "1.2.840.10008.1.2.4.102"
STUDY = "/studies/2.25.10"
SERIES = f"{STUDY}/series/2.25.11"
INSTANCE = f"{SERIES}/instances/2.25.1001"
FRAMES = [b"\xff\xd8first!\xff\xd9", b"\xff\xd8second\xff\xd9"]


def compressed(syntax: str = JPEG) -> bytes:
    """The image with two small compressed frames."""
    made = image(PixelData=None)
    value = encapsulate(FRAMES)
    return data_set(made) + element(0x7FE00010, b"OB", value + SEQUENCE_END, UNDEFINED)


async def get(house: House, path: str, accept: str | None = None, token: str = "NORDWEB") -> Any:
    async with house.client(token) as client:
        if accept is None:
            client.headers.pop("accept")
        return await client.get(path, headers={} if accept is None else {"Accept": accept})


async def stored(house: House, *files: bytes) -> None:
    async with house.client() as client:
        assert (await store(client, list(files))).status_code == 200


def rle(number: int, photometric: str) -> bytes:
    """An object in RLE with colour; the subsampled one is none that could be decoded."""
    made = image(
        number, PixelData=None, SamplesPerPixel=3, PhotometricInterpretation=photometric, PlanarConfiguration=0,
        BitsAllocated=8, BitsStored=8, HighBit=7,
    )  # fmt: skip
    value = encapsulate([b"\0" * 64] * 2)
    data = data_set(made) + element(0x7FE00010, b"OB", value + SEQUENCE_END, UNDEFINED)
    return file_of(data, f"2.25.100{number}", RLE_LOSSLESS)


async def test_what_only_a_part_of_a_study_can_be_sent_as_is_not_begun(house: House) -> None:
    """Both objects are in one transfer syntax, of which the last alone can be decoded."""
    await stored(house, rle(1, "YBR_FULL_422"), rle(2, "RGB"))
    form = 'multipart/related; type="application/dicom"; transfer-syntax='
    assert (await get(house, STUDY, f"{form}{EXPLICIT}")).status_code == 406
    assert (await get(house, STUDY, f"{form}{RLE_LOSSLESS}")).status_code == 200


@pytest.mark.parametrize("path", [STUDY, SERIES])
@pytest.mark.parametrize("accept", [None, "*/*", 'multipart/related; type="application/dicom"'])
async def test_everything_under_an_address_comes_back_byte_for_byte(
    house: House, path: str, accept: str | None
) -> None:
    data = [data_set(image(n)) for n in (1, 2, 3)]
    await stored(house, *(file_of(each, f"2.25.100{n}") for n, each in enumerate(data, 1)))
    response = await get(house, path, accept)
    assert response.status_code == 200
    assert int(response.headers["content-length"]) == len(response.content)
    parts = parts_of(response)
    assert [kind for kind, _ in parts] == [f"application/dicom; transfer-syntax={EXPLICIT}"] * 3
    for (_, content), sent in zip(parts, data, strict=True):
        assert content.endswith(sent)
        assert pydicom.dcmread(io.BytesIO(content)).file_meta.TransferSyntaxUID == EXPLICIT


@pytest.mark.parametrize("syntax", [EXPLICIT, DEFLATED, JPEG])
async def test_an_instance_comes_in_the_form_in_which_it_was_sent(house: House, syntax: str) -> None:
    data = {EXPLICIT: data_set(image()), DEFLATED: deflate(data_set(image())), JPEG: compressed()}[syntax]
    await stored(house, file_of(data, syntax=syntax))
    for accept in (f'multipart/related; type="application/dicom"; transfer-syntax={syntax}', "*/*"):
        [(kind, content)] = parts_of(await get(house, INSTANCE, accept))
        assert kind.endswith(syntax)
        assert content.endswith(data)
    single = await get(house, INSTANCE, "application/dicom; transfer-syntax=*")
    assert single.content.endswith(data)
    assert single.headers["content-disposition"] == 'attachment; filename="2.25.1001.dcm"'


@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.90',
        'multipart/related; type="image/jpeg"',
        "application/dicom;q=0",
    ],
)
async def test_an_unacceptable_form_is_told_and_nothing_sent(house: House, accept: str) -> None:
    await stored(house, image_file())
    assert (await get(house, INSTANCE, accept)).status_code == 406
    assert (await get(house, STUDY, "application/dicom")).status_code == 406


async def test_a_hostile_preamble_is_never_passed_on(house: House) -> None:
    await stored(house, b"MZ" + b"\x90" * 126 + image_file()[128:])
    [(_, content)] = parts_of(await get(house, INSTANCE))
    assert content[:128] == bytes(128)


@pytest.mark.parametrize(("path", "count"), [(STUDY, 3), (SERIES, 3), (INSTANCE, 1)])
async def test_metadata_are_the_json_of_every_instance(house: House, path: str, count: int) -> None:
    await stored(house, *(image_file(n) for n in (1, 2, 3)))
    response = await get(house, f"{path}/metadata", "application/dicom+json")
    assert response.headers["content-type"] == "application/dicom+json"
    found = response.json()
    assert len(found) == count
    assert found[0]["00100010"]["Value"] == [{"Alphabetic": "Tolvansson^Tolvån"}]
    address = found[0]["7FE00010"]["BulkDataURI"]
    assert address == f"http://samsyn.test/dicomweb{INSTANCE}/bulkdata/7FE00010"
    for accept, kind in (
        ("application/json", "application/json"),
        ("text/html, application/json;q=0.9", "application/json"),
        ("application/json, application/dicom+json;q=0.9", "application/json"),
        ("application/dicom+json, application/json", "application/dicom+json"),
        ("application/json;q=0.5, */*", "application/dicom+json"),
    ):
        answer = await get(house, f"{path}/metadata", accept)
        assert (answer.status_code, answer.headers["content-type"]) == (200, kind), accept
    assert (await get(house, f"{path}/metadata")).status_code == 200
    assert (await get(house, f"{path}/metadata", "text/html")).status_code == 406


@pytest.mark.parametrize(
    "accept",
    [
        'multipart/related; type="application/dicom+xml"',
        "application/dicom+xml",
        'application/dicom+json;q=0.4, multipart/related; type="application/dicom+xml";q=0.5',
    ],
)
async def test_metadata_in_xml_say_what_the_json_says(house: House, accept: str) -> None:
    await stored(house, *(image_file(n) for n in (1, 2)))
    expected = (await get(house, f"{STUDY}/metadata")).json()
    parts = parts_of(await get(house, f"{STUDY}/metadata", accept))
    assert [kind for kind, _ in parts] == ["application/dicom+xml"] * 2
    for (_, document), model in zip(parts, expected, strict=True):
        found = xml_to_model(document)
        assert found["00100010"] == model["00100010"]
        assert found["7FE00010"] == model["7FE00010"]
        assert found.keys() == model.keys()


async def test_every_address_in_metadata_leads_to_its_value(house: House) -> None:
    samples = struct.pack("<600h", *range(600))
    waveform = element(0x54000100, b"SQ", item(element(0x54001010, b"OW", samples)))
    made = image(PixelData=None)
    pixels = element(0x7FE00010, b"OW", bytes(range(16)))
    await stored(house, file_of(data_set(made) + waveform + pixels))
    [found] = (await get(house, f"{INSTANCE}/metadata")).json()
    nested = found["54000100"]["Value"][0]["54001010"]["BulkDataURI"]
    for address, expected in ((nested, samples), (found["7FE00010"]["BulkDataURI"], bytes(range(16)))):
        path = address.removeprefix("http://samsyn.test/dicomweb")
        assert (await get(house, path, "application/octet-stream")).content == expected
        [(kind, content)] = parts_of(
            await get(house, path, 'multipart/related; type="application/octet-stream"')
        )
        assert (kind, content) == ("application/octet-stream", expected)
        assert (await get(house, path, "image/png")).status_code == 406


async def test_compressed_pixels_as_bulk_data_are_their_frames(house: House) -> None:
    await stored(house, file_of(compressed(), syntax=JPEG))
    parts = parts_of(await get(house, f"{INSTANCE}/bulkdata/7FE00010"))
    assert [content for _, content in parts] == FRAMES


@pytest.mark.parametrize(
    "path", ["00100010", "..%2f..%2fx", "", "7FE00010/0/00100010", "54000100/0/54001010"]
)
async def test_bulk_data_that_do_not_exist_are_not_found(house: House, path: str) -> None:
    await stored(house, image_file())
    assert (await get(house, f"{INSTANCE}/bulkdata/{path}")).status_code == 404


@pytest.mark.parametrize(
    "accept",
    [
        None,
        "*/*",
        'multipart/related; type="application/octet-stream"',
        "multipart/related; type=application/octet-stream; transfer-syntax=*",
        f'multipart/related; type="application/octet-stream"; transfer-syntax={EXPLICIT}',
        'multipart/related; type="image/jpeg", multipart/related; type="*/*"; q=0.5',
    ],
)
async def test_native_frames_are_octet_streams(house: House, accept: str | None) -> None:
    await stored(house, image_file())
    response = await get(house, f"{INSTANCE}/frames/1", accept)
    assert response.headers["content-type"].startswith('multipart/related; type="application/octet-stream"')
    assert parts_of(response) == [(f"application/octet-stream; transfer-syntax={EXPLICIT}", bytes(range(8)))]


async def test_several_frames_come_in_the_order_asked_for(house: House) -> None:
    await stored(house, image_file())
    response = await get(house, f"{INSTANCE}/frames/2,1,2")
    assert [content for _, content in parts_of(response)] == [
        bytes(range(8, 16)),
        bytes(range(8)),
        bytes(range(8, 16)),
    ]
    single = await get(house, f"{INSTANCE}/frames/2", "application/octet-stream")
    assert single.content == bytes(range(8, 16))
    assert (await get(house, f"{INSTANCE}/frames/1,2", "application/octet-stream")).status_code == 406


async def test_frames_of_one_bit_begin_with_their_first_bit(house: House) -> None:
    """Segmentations whose frames begin inside a byte: left as they lie, every mask is shown some pixels aside."""
    bits = np.random.default_rng(7).integers(0, 2, (4, 13, 7), np.uint8)
    packed = np.packbits(bits, bitorder="little").tobytes()
    made = image_file(
        Rows=13, Columns=7, BitsAllocated=1, BitsStored=1, HighBit=0, NumberOfFrames=4, PixelData=packed
    )
    await stored(house, made)
    expected = [np.packbits(frame, bitorder="little").tobytes() for frame in bits]
    together = await get(house, f"{INSTANCE}/frames/1,2,3,4")
    assert [content for _, content in parts_of(together)] == expected
    for number in (1, 2, 3, 4):
        alone = await get(house, f"{INSTANCE}/frames/{number}", "application/octet-stream")
        assert alone.content == expected[number - 1]


async def test_big_endian_pixels_leave_as_little_endian(house: House) -> None:
    made = pydicom.dcmread(io.BytesIO(image_file()))
    stream = pydicom.filebase.DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = False, False
    made.PixelData = bytes(range(16))
    del made.PixelData
    pydicom.filewriter.write_dataset(stream, made)
    pixels = struct.pack(">HH2sHI", 0x7FE0, 0x0010, b"OW", 0, 16) + struct.pack(">8H", *range(8))
    await stored(house, file_of(stream.getvalue() + pixels, syntax=BIG))
    [(kind, content)] = parts_of(await get(house, f"{INSTANCE}/frames/2"))
    assert content == struct.pack("<4H", 4, 5, 6, 7)
    assert kind.endswith(EXPLICIT)


async def test_big_endian_words_of_odd_frames_leave_as_the_octets_of_their_frame(house: House) -> None:
    """Three frames of 3 x 3 pixels of 8 bits, 0 to 26: the second one shares a word with each of its neighbours."""
    made = pydicom.dcmread(io.BytesIO(image_file(Rows=3, Columns=3, NumberOfFrames=3, BitsAllocated=8)))
    made.BitsStored, made.HighBit = 8, 7
    del made.PixelData
    stream = pydicom.filebase.DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = False, False
    pydicom.filewriter.write_dataset(stream, made)
    octets = bytes(range(27)) + b"\0"
    words = b"".join(octets[n : n + 2][::-1] for n in range(0, 28, 2))
    pixels = struct.pack(">HH2sHI", 0x7FE0, 0x0010, b"OW", 0, 28) + words
    await stored(house, file_of(stream.getvalue() + pixels, syntax=BIG))
    together = await get(house, f"{INSTANCE}/frames/1,2,3")
    assert [content for _, content in parts_of(together)] == [octets[n : n + 9] for n in (0, 9, 18)]
    alone = await get(house, f"{INSTANCE}/frames/2", "application/octet-stream")
    assert alone.content == octets[9:18]


async def test_every_frame_of_one_bit_pixels_begins_with_a_byte(house: House) -> None:
    bits = np.random.default_rng(3).integers(0, 2, (3, 5 * 7), dtype=np.uint8)
    packed = np.packbits(bits.ravel(), bitorder="little").tobytes()
    facts = {"Rows": 5, "Columns": 7, "BitsAllocated": 1, "BitsStored": 1, "HighBit": 0}
    await stored(house, image_file(**facts, NumberOfFrames=3, PixelData=packed))
    expected = [np.packbits(frame, bitorder="little").tobytes() for frame in bits]
    found = [
        (await get(house, f"{INSTANCE}/frames/{n}", "application/octet-stream")).content for n in (1, 2, 3)
    ]
    assert found == expected
    together = parts_of(await get(house, f"{INSTANCE}/frames/3,1,2"))
    assert [content for _, content in together] == [expected[2], expected[0], expected[1]]


async def test_deflated_frames_are_inflated(house: House) -> None:
    await stored(house, file_of(deflate(data_set(image())), syntax=DEFLATED))
    [(_, content)] = parts_of(await get(house, f"{INSTANCE}/frames/2"))
    assert content == bytes(range(8, 16))


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, "image/jpeg"),
        ('multipart/related; type="image/jpeg"', "image/jpeg"),
        (f'multipart/related; type="image/jpeg"; transfer-syntax={JPEG}', "image/jpeg"),
        ('multipart/related; type="image/*"', "image/jpeg"),
        (
            f'multipart/related; type="application/octet-stream"; transfer-syntax={JPEG}',
            "application/octet-stream",
        ),
    ],
)
async def test_compressed_frames_leave_as_stored(house: House, accept: str | None, kind: str) -> None:
    await stored(house, file_of(compressed(), syntax=JPEG))
    for number in (1, 2):
        [(part_kind, content)] = parts_of(await get(house, f"{INSTANCE}/frames/{number}", accept))
        assert part_kind == f"{kind}; transfer-syntax={JPEG}"
        assert content == FRAMES[number - 1]


@pytest.mark.parametrize("accept", ["text/plain", 'multipart/related; type="image/jls"', "image/png"])
async def test_frames_in_an_impossible_form_are_refused(house: House, accept: str) -> None:
    await stored(house, file_of(compressed(), syntax=JPEG))
    assert (await get(house, f"{INSTANCE}/frames/1", accept)).status_code == 406


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{INSTANCE}/frames/3", 404),
        (f"{INSTANCE}/frames/1,3", 404),
        (f"{INSTANCE}/frames/0", 400),
        (f"{INSTANCE}/frames/-1", 400),
        (f"{INSTANCE}/frames/x", 400),
        (f"{INSTANCE}/frames/1,,2", 400),
        (f"{INSTANCE}/frames/", 400),
        (f"{INSTANCE}/frames/99999999999999999999", 400),
        (f"{INSTANCE}/frames/" + ",".join(["1"] * 10_001), 414),
        (f"{STUDY}/series/2.25.99/instances/2.25.1001", 404),
        ("/studies/2.25.99", 404),
        ("/studies/..%2f..%2fetc%2fpasswd", 400),
        ("/studies/2.25.10%00", 400),
        ("/studies/02.25.10", 400),
        ("/studies//metadata", 400),
        ("/studies/2.25.10/nonsense", 404),
        ("/nonsense", 404),
        (f"{INSTANCE}/frames/1/metadata", 404),
        (f"{SERIES}/bulkdata/7FE00010", 400),
        ("/wado/2.25.10", 404),
        (f"{INSTANCE}/", 404),
        ("/STUDIES", 404),
    ],
)
async def test_an_address_that_names_nothing_is_refused(house: House, path: str, status: int) -> None:
    await stored(house, image_file())
    response = await get(house, path)
    assert response.status_code == status, response.content


async def test_encoded_addresses_lead_to_the_same_resource(house: House) -> None:
    await stored(house, image_file())
    assert (await get(house, INSTANCE.replace(".", "%2e") + "/frames/1")).status_code == 200
    assert (await get(house, INSTANCE.replace(".", "%2e") + "/frames/1", token="KLARAWEB")).status_code == 404


async def test_answers_are_private_and_never_guessed(house: House) -> None:
    await stored(house, image_file())
    asked_again = "private, max-age=0, must-revalidate"
    kept = dict.fromkeys((STUDY, f"{STUDY}/metadata", f"{INSTANCE}/frames/1", "/studies"), asked_again)
    for path, cache in {**kept, "/nonsense": "private, no-store"}.items():
        response = await get(house, path)
        assert response.headers["cache-control"] == cache
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "etag" not in response.headers or "Authorization" in response.headers["vary"]


async def test_other_methods_and_hosts_are_refused(house: House) -> None:
    await stored(house, image_file())
    async with house.client() as client:
        for method in ("PUT", "DELETE", "PATCH", "TRACE", "CONNECT"):
            response = await client.request(method, "/studies")
            assert response.status_code == 405
            assert "GET" in response.headers["allow"]
        assert (await client.post(f"{STUDY}/metadata")).status_code == 405
        head = await client.head(f"{INSTANCE}/frames/1")
        assert head.status_code == 200
        assert not head.content
        bad = await client.get(f"{STUDY}/metadata", headers={"Host": "evil.test/<script>"})
        assert bad.status_code == 400


async def test_opening_is_in_the_audit_journal_before_the_first_byte(house: House) -> None:
    await stored(house, image_file())
    for path, event in ((f"{STUDY}/metadata", "OPEN_METADATA"), (f"{INSTANCE}/frames/1", "OPEN_IMAGES")):
        await get(house, path)
        assert (event,) in house.rows("SELECT event FROM audit")


async def test_damaged_bytes_are_never_served(house: House) -> None:
    await stored(house, image_file())
    [(segment, offset, length)] = house.rows("SELECT segment, body_offset, length FROM instance")
    rot(house.store, segment, offset + length - 3)
    assert (await get(house, INSTANCE, "application/dicom")).status_code == 500
    with pytest.raises(DamagedData):
        await get(house, INSTANCE)
    assert (await get(house, f"{INSTANCE}/frames/1", "application/octet-stream")).status_code == 500


async def test_a_frame_that_is_most_of_its_object_is_checked_with_what_is_around_it(house: House) -> None:
    frame = bytes(range(256)) * 512
    await stored(house, file_of(data_set(image(Rows=256, Columns=256, NumberOfFrames=1, PixelData=frame))))
    address = f"{INSTANCE}/frames/1"
    assert parts_of(await get(house, address, None))[0][1] == frame
    [(segment, offset)] = house.rows("SELECT segment, body_offset FROM instance")
    rot(house.store, segment, offset + 9)
    assert (await get(house, address, None)).status_code == 500


async def test_a_large_object_is_streamed_and_a_damaged_one_never_ends_well(house: House) -> None:
    large = data_set(image(Rows=1024, Columns=1024, PixelData=bytes(range(256)) * 16_384))
    await stored(house, file_of(large))
    for accept in ("application/dicom", "*/*"):
        response = await get(house, INSTANCE, accept)
        content = response.content if accept == "application/dicom" else parts_of(response)[0][1]
        assert content.endswith(large)
        assert int(response.headers["content-length"]) == len(response.content)
    [(_, offset, length)] = house.rows("SELECT segment, body_offset, length FROM instance")
    [path] = list((house.store.folder / "journal").glob("*"))
    with path.open("r+b") as stream:
        stream.seek(offset + length // 2)
        stream.write(b"\xee\xee")
    for accept in ("application/dicom", "*/*"):
        with pytest.raises(DamagedData):
            await get(house, INSTANCE, accept)
