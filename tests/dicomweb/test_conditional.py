"""Entity tags and byte ranges: what the client has is not sent again, and it can ask for a part."""

from typing import Any

import pytest
from pydicom.encaps import encapsulate

from samsyn.dicom.structure import UNDEFINED
from tests.dicom.corpus import SEQUENCE_END, element
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

IMPLICIT = "1.2.840.10008.1.2"
MPEG4 = "1.2.840.10008.1.2.4.102"
PDF_CLASS = "1.2.840.10008.5.1.4.1.1.104.1"
STUDY = "/studies/2.25.10"
SERIES = f"{STUDY}/series/2.25.11"
INSTANCE = f"{SERIES}/instances/2.25.1001"
CLIP = bytes(range(256)) * 20


async def get(house: House, path: str, accept: str = "*/*", token: str = "NORDWEB", **headers: str) -> Any:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with house.client(token) as client:
        return await client.get(path, headers={"Accept": accept, **sent})


async def stored(house: House, *files: bytes) -> None:
    async with house.client() as client:
        assert (await store(client, list(files))).status_code == 200


def video() -> bytes:
    """A video of three frames in two fragments."""
    made = image(PixelData=None, NumberOfFrames=3)
    value = encapsulate([CLIP[:2000], CLIP[2000:]], has_bot=False)
    return data_set(made) + element(0x7FE00010, b"OB", value + SEQUENCE_END, UNDEFINED)


def document() -> bytes:
    made = image(
        SOPClassUID=PDF_CLASS, Modality="OT", PixelData=None, Rows=None, Columns=None, NumberOfFrames=None
    )
    made.MIMETypeOfEncapsulatedDocument = "application/pdf"
    made.EncapsulatedDocument = b"%PDF-1.7 " + bytes(2000) + b"%EOF "
    return file_of(data_set(made), sop_class=PDF_CLASS)


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        (STUDY, "*/*"),
        (INSTANCE, "application/dicom"),
        (f"{STUDY}/metadata", "*/*"),
        (f"{INSTANCE}/metadata", "*/*"),
        (f"{INSTANCE}/frames/1", "*/*"),
        (f"{INSTANCE}/frames/1", "application/octet-stream"),
        (f"{INSTANCE}/bulkdata/7FE00010", "*/*"),
        ("/studies", "*/*"),
        (f"{STUDY}/series?includefield=all", "*/*"),
    ],
)
async def test_what_the_client_has_is_not_sent_again(house: House, path: str, accept: str) -> None:
    await stored(house, image_file(), image_file(2))
    first = await get(house, path, accept)
    tag = first.headers["etag"]
    for asked in (tag, f'"other", {tag}', "*", tag.removeprefix("W/")):
        again = await get(house, path, accept, If_None_Match=asked)
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
        assert again.headers["cache-control"] == first.headers["cache-control"]
        assert "content-length" not in again.headers
    other = await get(house, path, accept, If_None_Match='"other"')
    assert other.status_code == 200
    assert other.headers["etag"] == tag


async def test_another_form_or_later_state_has_another_tag(house: House) -> None:
    await stored(house, image_file())
    tags = [
        (await get(house, path, accept)).headers["etag"]
        for path, accept in (
            (INSTANCE, "*/*"),
            (INSTANCE, "application/dicom"),
            (f"{INSTANCE}/metadata", "*/*"),
            (f"{INSTANCE}/frames/1", "*/*"),
            (f"{INSTANCE}/frames/2", "*/*"),
            (f"{INSTANCE}/frames/1,2", "*/*"),
        )
    ]
    assert len(set(tags)) == len(tags)
    before = (await get(house, f"{STUDY}/metadata")).headers["etag"]
    await stored(house, image_file(2))
    assert (await get(house, f"{STUDY}/metadata", If_None_Match=before)).status_code == 200


async def test_a_tag_opens_nothing_for_another_reader(house: House) -> None:
    await stored(house, image_file())
    tag = (await get(house, f"{INSTANCE}/frames/1")).headers["etag"]
    hidden = await get(house, f"{INSTANCE}/frames/1", token="KLARAWEB", If_None_Match=tag)
    absent = await get(house, f"{STUDY}9/metadata", token="KLARAWEB", If_None_Match=tag)
    assert hidden.status_code == absent.status_code == 404
    assert hidden.content == absent.content
    assert "etag" not in hidden.headers
    assert (await get(house, f"{STUDY}/metadata", token="", If_None_Match="*")).status_code == 401


async def test_a_kept_answer_is_asked_for_again_and_that_is_written_down(house: House) -> None:
    await stored(house, image_file())
    tag = (await get(house, f"{INSTANCE}/frames/1")).headers["etag"]
    house.gatekeeper._once._done.clear()
    before = house.rows("SELECT COUNT(*) FROM audit WHERE event = 'OPEN_IMAGES'")[0][0]
    assert (await get(house, f"{INSTANCE}/frames/1", If_None_Match=tag)).status_code == 304
    assert house.rows("SELECT COUNT(*) FROM audit WHERE event = 'OPEN_IMAGES'")[0][0] == before + 1


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        (INSTANCE, "application/dicom"),
        (INSTANCE, f"application/dicom; transfer-syntax={IMPLICIT}"),
        (f"{INSTANCE}/frames/1", "application/octet-stream"),
        (f"{INSTANCE}/bulkdata/7FE00010", "application/octet-stream"),
    ],
)
@pytest.mark.parametrize("size", [2, 1200])
async def test_a_part_of_a_single_part_answer_can_be_asked_for(
    house: House, path: str, accept: str, size: int
) -> None:
    pixels = (bytes(range(256)) * (size * size // 64 + 1))[: size * size * 4]
    await stored(house, image_file(Rows=size, Columns=size, PixelData=pixels))
    whole = await get(house, path, accept)
    content, tag = whole.content, whole.headers["etag"]
    assert whole.headers["accept-ranges"] == "bytes"
    for first, last in ((0, 0), (1, 5), (2, len(content) - 1), (len(content) - 3, len(content) - 1)):
        part = await get(house, path, accept, Range=f"bytes={first}-{last}", If_Range=tag)
        assert part.status_code == 206
        assert part.content == content[first : last + 1]
        assert part.headers["content-range"] == f"bytes {first}-{last}/{len(content)}"
        assert int(part.headers["content-length"]) == last - first + 1
    beyond = await get(house, path, accept, Range=f"bytes={len(content)}-")
    assert (beyond.status_code, beyond.content) == (416, b"")
    assert beyond.headers["content-range"] == f"bytes */{len(content)}"
    stale = await get(house, path, accept, Range="bytes=0-1", If_Range='"other"')
    assert (stale.status_code, stale.content) == (200, content)


async def test_several_parts_come_in_one_answer(house: House) -> None:
    await stored(house, image_file())
    response = await get(
        house, f"{INSTANCE}/bulkdata/7FE00010", "application/octet-stream", Range="bytes=0-1,-2"
    )
    assert response.status_code == 206
    assert int(response.headers["content-length"]) == len(response.content)
    kind = response.headers["content-type"]
    assert kind.startswith("multipart/byteranges; boundary=")
    response.headers["content-type"] = kind.replace("byteranges", "related")
    pieces = response.content.split(b"\r\n\r\n")
    assert b"Content-Range: bytes 0-1/16" in pieces[0]
    assert [content for _, content in parts_of(response)] == [b"\0\1", b"\x0e\x0f"]


async def test_multipart_answers_have_no_byte_ranges(house: House) -> None:
    await stored(house, image_file())
    response = await get(house, f"{INSTANCE}/frames/1", Range="bytes=0-1")
    assert response.status_code == 200
    assert "accept-ranges" not in response.headers
    assert response.headers["etag"].startswith('W/"')


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        (f"{INSTANCE}/rendered", "*/*"),
        (f"{INSTANCE}/rendered", "video/mp4"),
        (f"{INSTANCE}/frames/1", "video/mp4"),
        (f"{INSTANCE}/bulkdata/7FE00010", "video/*"),
        (f"{INSTANCE}/bulkdata/7FE00010", f"application/octet-stream; transfer-syntax={MPEG4}"),
    ],
)
async def test_a_video_is_sent_as_it_is_and_by_parts(house: House, path: str, accept: str) -> None:
    await stored(house, file_of(video(), syntax=MPEG4))
    whole = await get(house, path, accept)
    assert (whole.status_code, whole.content) == (200, CLIP)
    part = await get(house, path, accept, Range="bytes=1990-2010")
    assert (part.status_code, part.content) == (206, CLIP[1990:2011])
    assert part.headers["content-range"] == f"bytes 1990-2010/{len(CLIP)}"
    assert (await get(house, path, "image/png")).status_code == 406


async def test_a_video_in_multipart_is_one_part(house: House) -> None:
    await stored(house, file_of(video(), syntax=MPEG4))
    for path in (f"{INSTANCE}/bulkdata/7FE00010", f"{INSTANCE}/frames/1"):
        [(kind, content)] = parts_of(await get(house, path, 'multipart/related; type="video/mp4"'))
        assert content == CLIP
        assert kind == f"video/mp4; transfer-syntax={MPEG4}"
    assert (await get(house, f"{INSTANCE}/frames/2")).status_code == 404


async def test_a_pdf_is_sent_as_it_is_and_by_parts(house: House) -> None:
    await stored(house, document())
    for path in (f"{INSTANCE}/rendered", f"{INSTANCE}/bulkdata/00420011"):
        whole = await get(house, path, "application/pdf")
        assert whole.headers["content-type"] == "application/pdf"
        assert whole.content.startswith(b"%PDF")
        part = await get(house, path, "application/pdf", Range="bytes=0-3")
        assert (part.status_code, part.content) == (206, b"%PDF")
    assert (await get(house, f"{INSTANCE}/rendered", "image/jpeg")).status_code == 406


async def test_native_objects_are_written_in_the_syntax_that_is_asked_for(house: House) -> None:
    await stored(house, image_file(), image_file(2))
    for path, count in ((INSTANCE, 1), (STUDY, 2)):
        accept = f'multipart/related; type="application/dicom"; transfer-syntax={IMPLICIT}'
        parts = parts_of(await get(house, path, accept))
        assert [kind for kind, _ in parts] == [f"application/dicom; transfer-syntax={IMPLICIT}"] * count
        assert all(content.endswith(bytes(range(16))) for _, content in parts)
        assert not any(b"OW\0\0" in content[400:] for _, content in parts)
    both = (
        f"application/dicom; transfer-syntax={IMPLICIT}, application/dicom; transfer-syntax={EXPLICIT};q=0.9"
    )
    assert IMPLICIT in (await get(house, INSTANCE, both)).headers["content-type"]


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/dicom;q=0, */*", 200),
        ("*/*;q=0", 406),
        ('multipart/related;type="application/dicom";q=0, */*;q=0.1', 406),
        (f"application/dicom;transfer-syntax={EXPLICIT};q=0, application/dicom", 200),
        (f'multipart/related;type="application/dicom";transfer-syntax={EXPLICIT}, */*;q=0', 200),
        ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", 200),
        ("*;q=0", 406),
        ("application/dicom;q=2", 406),
        ("application/dicom;q=x", 406),
        ("application/dicom;q=nan", 406),
        ("garbage", 406),
        ("garbage, application/dicom", 200),
        ("application/dicom, application/dicom; transfer-syntax=,; =", 200),
        ("application/dicom;q=high, application/dicom;q=0.1", 200),
    ],
)
async def test_what_is_refused_by_quality_is_not_sent(house: House, accept: str, status: int) -> None:
    await stored(house, image_file())
    assert (await get(house, INSTANCE, accept)).status_code == status


async def test_only_get_has_ranges(house: House) -> None:
    await stored(house, image_file())
    async with house.client() as client:
        headers = {"Accept": "application/octet-stream", "Range": "bytes=0-1"}
        part = await client.get(f"{INSTANCE}/frames/1", headers=headers)
        head = await client.head(f"{INSTANCE}/frames/1", headers=headers)
    assert (part.status_code, part.headers["content-length"]) == (206, "2")
    assert (head.status_code, head.headers["content-length"]) == (200, "8")
    assert "content-range" not in head.headers


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_who_goes_on_with_another_state_is_told(house: House, method: str) -> None:
    await stored(house, image_file())
    path, accept = f"{INSTANCE}/frames/1", {"Accept": "application/octet-stream"}
    async with house.client() as client:
        tag = (await client.get(path, headers=accept)).headers["etag"]
        for if_match, status in (
            ('"other"', 412),
            (f"W/{tag}", 412),
            (f'"other", {tag}', 200),
            ("*", 200),
        ):
            answer = await client.request(method, path, headers={**accept, "If-Match": if_match})
            assert answer.status_code == status, if_match
            assert ("etag" in answer.headers) is (status == 200)
        both = {**accept, "If-Match": '"other"', "If-None-Match": tag, "Range": "bytes=0-1"}
        assert (await client.get(path, headers=both)).status_code == 412
        # A multipart answer is never the same bytes.
        weak = (await client.get(path)).headers["etag"]
        assert (await client.get(path, headers={"If-Match": weak})).status_code == 412


async def test_a_refusal_tells_what_could_be_sent(house: House) -> None:
    await stored(house, image_file())
    for path, told in (
        (INSTANCE, EXPLICIT),
        (f"{INSTANCE}/frames/1", "application/octet-stream"),
        (f"{INSTANCE}/metadata", "application/dicom+json"),
        ("/studies", "application/dicom+json"),
        (f"{INSTANCE}/bulkdata/7FE00010", "application/octet-stream"),
    ):
        refused = await get(house, path, "image/gif")
        assert refused.status_code == 406
        assert told in refused.json()["message"]
