"""Studies, series and instances as one ZIP file."""

import io
import zipfile
from typing import Any

import pydicom
import pytest

from samsyn.errors import DamagedData
from tests.dicomweb.house import House, data_set, file_of, image, image_file, store

STUDY = "/studies/2.25.10"
SERIES = f"{STUDY}/series/2.25.11"
INSTANCE = f"{SERIES}/instances/2.25.1001"


async def get(house: House, path: str, accept: str = "application/zip", token: str = "NORDWEB") -> Any:
    async with house.client(token) as client:
        return await client.get(path, headers={"Accept": accept})


async def stored(house: House, *files: bytes) -> None:
    async with house.client() as client:
        assert (await store(client, list(files))).status_code == 200


@pytest.mark.parametrize(
    ("path", "accept", "kind"),
    [
        (STUDY, "text/html, application/zip;q=0.5", "application/zip"),
        (STUDY, 'multipart/related;type="application/dicom";q=0.4, application/zip;q=0.5', "application/zip"),
        (
            STUDY,
            'multipart/related;type="application/dicom";q=0.6, application/zip;q=0.5',
            "multipart/related",
        ),
        (STUDY, "application/zip;q=0.5, */*;q=0.6", "multipart/related"),
        (STUDY, "application/*", "application/zip"),
        (INSTANCE, "application/*", "application/dicom"),
        (INSTANCE, "application/zip;q=0, application/dicom", "application/dicom"),
        (INSTANCE, "application/zip; transfer-syntax=*", "application/zip"),
        (INSTANCE, "application/zip; transfer-syntax=1.2.840.10008.1.2.1", "application/zip"),
        (STUDY, "application/zip; transfer-syntax=1.2.840.10008.1.2", "application/json"),
        (STUDY, "application/zip;q=0", "application/json"),
    ],
)
async def test_a_zip_file_is_one_form_among_others(house: House, path: str, accept: str, kind: str) -> None:
    await stored(house, image_file(1), image_file(2))
    response = await get(house, path, accept)
    assert response.headers["content-type"].partition(";")[0] == kind
    assert response.status_code == (406 if kind == "application/json" else 200)


@pytest.mark.parametrize(("path", "count"), [(STUDY, 3), (SERIES, 3), (INSTANCE, 1)])
async def test_a_zip_file_holds_every_object_as_it_was_sent(house: House, path: str, count: int) -> None:
    large = image(3, Rows=1024, Columns=1024, PixelData=bytes(range(256)) * 16_384)
    data = [data_set(each) for each in (image(1), image(2), large)]
    await stored(house, *(file_of(each, f"2.25.100{n}") for n, each in enumerate(data, 1)))
    for address in (path, f"{path}?accept=application/zip"):
        response = await get(house, address, "application/zip" if address == path else "*/*")
        assert response.headers["content-type"] == "application/zip"
        assert response.headers["content-disposition"].endswith('.zip"')
        with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
            assert archive.testzip() is None
            names = archive.namelist()
            assert names == [f"2.25.11/2.25.100{n}.dcm" for n in range(1, count + 1)]
            for name, sent in zip(names, data, strict=False):
                content = archive.read(name)
                assert content.endswith(sent)
                assert pydicom.dcmread(io.BytesIO(content)).SOPInstanceUID in name


async def test_anything_is_never_a_zip_file(house: House) -> None:
    await stored(house, image_file())
    response = await get(house, STUDY, "*/*")
    assert response.headers["content-type"].startswith("multipart/related")


async def test_a_hidden_study_is_no_zip_file(house: House) -> None:
    await stored(house, image_file())
    hidden, absent = (
        await get(house, STUDY, token="KLARAWEB"),
        await get(house, f"{STUDY}9", token="KLARAWEB"),
    )
    assert hidden.status_code == absent.status_code == 404
    assert hidden.content == absent.content
    await get(house, STUDY)
    assert ("EXPORT",) in house.rows("SELECT event FROM audit")


async def test_a_zip_file_with_a_damaged_object_never_ends_well(house: House) -> None:
    await stored(house, image_file(), image_file(2))
    [(_, offset, length), _] = house.rows(
        "SELECT segment, body_offset, length FROM instance ORDER BY sop_uid DESC"
    )
    [path] = list((house.store.folder / "journal").glob("*"))
    with path.open("r+b") as stream:
        stream.seek(offset + length - 3)
        stream.write(b"\xee")
    with pytest.raises(DamagedData):
        await get(house, STUDY)


async def test_a_zip_file_is_proved_by_the_hash_and_not_by_the_quick_check(house: House) -> None:
    await stored(house, image_file(), image_file(2))
    await house.store.commit(
        lambda transaction: transaction.update("instance", {"sop_uid": "2.25.1002"}, sha256="00" * 32)
    )
    with pytest.raises(DamagedData):
        await get(house, STUDY)
