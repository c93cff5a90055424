"""STOW-RS: success only for what is durable, one result for each instance."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from samsyn import limits
from tests.dicom.test_reading import DEFLATED, nested
from tests.dicomweb.house import (
    STOW_TYPE,
    House,
    body_of,
    data_set,
    file_of,
    image,
    image_file,
    store,
    subject_like,
)

REFERENCED, FAILED, OTHER, REASON, SOP = "00081199", "00081198", "0008119A", "00081197", "00081155"


@pytest.fixture(params=["in pieces", "in place"], autouse=True)
def way(request: pytest.FixtureRequest, house: House) -> None:
    house.in_place = request.param == "in place"


def uids(answer: dict, sequence: str) -> list[str]:
    return [item[SOP]["Value"][0] for item in answer.get(sequence, {}).get("Value", [])]


def reasons(answer: dict, sequence: str = FAILED) -> list[int]:
    return [item[REASON]["Value"][0] for item in answer.get(sequence, {}).get("Value", [])]


async def test_every_instance_that_is_durable_is_named_as_stored(house: House) -> None:
    async with house.client() as client:
        response = await store(client, [image_file(n) for n in range(1, 6)])
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/dicom+json"
    answer = response.json()
    assert uids(answer, REFERENCED) == [f"2.25.100{n}" for n in range(1, 6)]
    assert FAILED not in answer
    first = answer[REFERENCED]["Value"][0]
    assert first["00081190"]["Value"] == [
        "http://samsyn.test/dicomweb/studies/2.25.10/series/2.25.11/instances/2.25.1001"
    ]
    assert answer["00081190"]["Value"] == ["http://samsyn.test/dicomweb/studies/2.25.10"]
    assert house.rows("SELECT COUNT(*) FROM instance") == [(5,)]


async def test_many_instances_of_one_request_share_syncs(house: House) -> None:
    async with house.client() as client:
        before = house.store.syncs
        await store(client, [image_file(n) for n in range(1, 41)])
    assert house.store.syncs - before < 20


async def test_storing_again_is_success(house: House) -> None:
    async with house.client() as client:
        for _ in range(3):
            assert (await store(client, [image_file()])).status_code == 200
    assert house.rows("SELECT COUNT(*) FROM instance") == [(1,)]


async def test_other_bytes_under_the_same_uid_are_a_failed_item_and_never_overwrite(house: House) -> None:
    async with house.client() as client:
        await store(client, [image_file()])
        response = await store(client, [image_file(PixelData=b"\xff" * 16), image_file(2)])
    assert response.status_code == 202
    assert "warning" in response.headers
    answer = response.json()
    assert uids(answer, FAILED) == ["2.25.1001"]
    assert reasons(answer) == [0x0111]
    assert uids(answer, REFERENCED) == ["2.25.1002"]


async def test_an_instance_whose_study_belongs_to_another_patient_is_refused(house: House) -> None:
    async with house.client() as client:
        await store(client, [image_file()])
        response = await store(client, [image_file(2, PatientID="199001012385")])
    assert response.status_code == 409
    assert reasons(response.json()) == [0xC001]
    assert house.rows("SELECT instance_count FROM study") == [(1,)]


async def test_only_the_study_of_the_address_is_taken(house: House) -> None:
    async with house.client() as client:
        refused = await store(client, [image_file()], "/studies/2.25.99")
        taken = await store(client, [image_file()], "/studies/2.25.10")
    assert refused.status_code == 409
    assert reasons(refused.json()) == [0xA900]
    assert taken.status_code == 200


@pytest.mark.parametrize(
    ("file", "reason", "sequence"),
    [
        (image_file()[:-3], 0xC000, FAILED),
        (image_file(StudyInstanceUID=None), 0xC000, FAILED),
        (file_of(data_set(image(SOPInstanceUID="../../etc/passwd")), "2.25.1001"), 0xC000, FAILED),
        (file_of(data_set(image(StudyInstanceUID="1.02.3"))), 0xC000, FAILED),
        (file_of(data_set(image()), "2.25.5"), 0xA900, FAILED),
        (file_of(data_set(image()), "../x"), 0, REFERENCED),  # the file meta's impossible UID names nothing
        (file_of(data_set(image(SOPClassUID="1.2.3")), sop_class="1.2.3"), 0x0122, FAILED),
        (file_of(data_set(image()), syntax="1.2.3"), 0x0122, FAILED),
        (file_of(data_set(image()) + nested(1_000, defined=False)), 0xA700, FAILED),
        (file_of(data_set(image()) + nested(1_000, defined=True)), 0xA700, FAILED),
        (file_of(b"\x00" * 50, syntax=DEFLATED), 0xC000, FAILED),
        (b"no dicom at all", 0xC000, OTHER),
        (b"", 0xC000, OTHER),
        (data_set(image()), 0xC000, OTHER),
    ],
)
async def test_a_bad_instance_is_refused_and_the_good_one_beside_it_stored(
    house: House, file: bytes, reason: int, sequence: str
) -> None:
    async with house.client() as client:
        response = await store(client, [file, image_file(7)])
    answer = response.json()
    assert response.status_code == (202 if reason else 200)
    if reason:
        assert reasons(answer, sequence) == [reason]
        assert uids(answer, REFERENCED) == ["2.25.1007"]
        assert house.rows("SELECT sop_uid FROM instance") == [("2.25.1007",)]


async def test_metadata_parts_are_not_taken_and_named_as_other_failures(house: House) -> None:
    async with house.client() as client:
        response = await client.post(
            "/studies",
            content=body_of([b"[]"], "application/dicom+json"),
            headers={"Content-Type": STOW_TYPE},
        )
    assert response.status_code == 409
    assert reasons(response.json(), OTHER) == [0x0122]


@pytest.mark.parametrize(
    ("content_type", "content", "status"),
    [
        ("multipart/related; type=application/dicom", body_of([image_file()]), 400),
        (STOW_TYPE, b"", 400),
        (STOW_TYPE, b"--B--", 400),
        (STOW_TYPE, b"--B\r\n\r\nunfinished", 400),
        (STOW_TYPE, b"x" * 100_000, 413),
        (STOW_TYPE, b"--B\r\nX: " + b"a" * 100_000, 413),
        (STOW_TYPE, b"--B\r\nbroken header\r\n\r\n\r\n--B--", 400),
        ("multipart/form-data; boundary=B", body_of([image_file()]), 415),
        ('multipart/related; type="application/dicom+json"; boundary=B', body_of([b"[]"]), 400),
        ('multipart/related; type="image/jpeg"; boundary=B', body_of([b"[]"]), 415),
        ("application/json", b"{}", 415),
        ("text", b"", 400),
        ("", b"", 400),
    ],
)
async def test_a_request_that_can_not_be_read_is_refused_as_a_whole(
    house: House, content_type: str, content: bytes, status: int
) -> None:
    async with house.client() as client:
        response = await client.post("/studies", content=content, headers={"Content-Type": content_type})
    assert response.status_code == status
    assert house.rows("SELECT COUNT(*) FROM instance") == [(0,)]


async def test_a_single_file_without_multipart_is_taken(house: House) -> None:
    async with house.client() as client:
        response = await client.post(
            "/studies", content=image_file(), headers={"Content-Type": "application/dicom"}
        )
    assert response.status_code == 200


async def test_parts_that_came_whole_are_reported_when_the_body_is_cut(house: House) -> None:
    body = body_of([image_file(1), image_file(2), image_file(3)])
    async with house.client() as client:
        response = await client.post(
            "/studies", content=body[: -len(image_file(3)) // 2], headers={"Content-Type": STOW_TYPE}
        )
    answer = response.json()
    assert response.status_code == 202
    assert uids(answer, REFERENCED) == ["2.25.1001", "2.25.1002"]
    assert reasons(answer, OTHER) == [0xC000]
    assert house.rows("SELECT COUNT(*) FROM instance") == [(2,)]


async def test_a_body_in_small_pieces_is_the_same_body(house: House) -> None:
    body = body_of([image_file(1), image_file(2)])

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 7):
            yield body[start : start + 7]

    async with house.client() as client:
        response = await client.post("/studies", content=pieces(), headers={"Content-Type": STOW_TYPE})
    assert uids(response.json(), REFERENCED) == ["2.25.1001", "2.25.1002"]


async def test_what_is_stored_is_byte_for_byte_what_was_sent(house: House) -> None:
    data = data_set(image()) + b"\xfc\xff\xfc\xffOB\0\0\x04\0\0\0pads"
    async with house.client() as client:
        await store(client, [file_of(data)])
    [(segment, offset, length)] = house.rows("SELECT segment, body_offset, length FROM instance")
    assert house.store.body(segment, offset, length) == data


@pytest.mark.parametrize("token", ["", "unknown", "LINDENWEB"])
async def test_only_known_systems_that_may_store_do(house: House, token: str) -> None:
    async with house.client(token) as client:
        response = await store(client, [image_file()])
    assert response.status_code == (403 if token == "LINDENWEB" else 401)
    assert house.rows("SELECT COUNT(*) FROM instance") == [(0,)]


async def test_a_person_or_a_cookie_never_stores(house: House) -> None:
    house.people["somebody"] = subject_like(house, "NORDWEB")
    async with house.client("somebody") as client:
        assert (await store(client, [image_file()])).status_code == 403
    async with house.client("", Cookie="somebody") as client:
        assert (await store(client, [image_file()])).status_code == 403


async def test_too_large_a_body_is_refused_before_it_is_read(house: House) -> None:
    async with house.client() as client:
        response = await client.post(
            "/studies",
            content=body_of([image_file()]),
            headers={"Content-Type": STOW_TYPE, "Content-Length": str(1 << 40)},
        )
        assert response.status_code == 413
        packed = await client.post(
            "/studies", content=b"", headers={"Content-Type": STOW_TYPE, "Content-Encoding": "gzip"}
        )
    assert packed.status_code == 415


@pytest.mark.parametrize(
    ("field", "taken"),
    [
        ("Content-Transfer-Encoding: binary", True),
        ("Content-Transfer-Encoding: 8BIT", True),
        ("Content-Encoding: identity", True),
        ("Content-Transfer-Encoding: base64", False),
        ("Content-Transfer-Encoding: quoted-printable", False),
        ("Content-Encoding: gzip", False),
    ],
)
async def test_a_part_in_a_coding_is_refused_and_named_as_that(house: House, field: str, taken: bool) -> None:
    plain = body_of([image_file()])
    coded = plain.replace(b"\r\n\r\n", f"\r\n{field}\r\n\r\n".encode(), 1)
    async with house.client() as client:
        response = await client.post("/studies", content=coded, headers={"Content-Type": STOW_TYPE})
    assert response.status_code == (200 if taken else 409)
    assert reasons(response.json(), OTHER) == ([] if taken else [0x0122])


async def test_fifty_requests_with_the_same_instance_at_once_store_one(house: House) -> None:
    async with house.client() as client:
        responses = await asyncio.gather(*(store(client, [image_file()]) for _ in range(50)))
    assert {response.status_code for response in responses} == {200}
    assert house.rows("SELECT COUNT(*) FROM instance") == [(1,)]


async def test_a_full_disk_is_told_as_temporary_and_takes_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "DISK_RESERVE_BYTES", 1 << 60)
    async with house.client() as client:
        response = await store(client, [image_file(1), image_file(2)])
        assert response.status_code == 503
        assert "retry-after" in response.headers
        assert reasons(response.json()) == [0xA700, 0xA700]
        assert (await client.get("/studies")).status_code == 204
        monkeypatch.undo()
        assert (await store(client, [image_file(1), image_file(2)])).status_code == 200
