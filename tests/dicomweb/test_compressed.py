"""Metadata of a series go out ready-compressed to who takes gzip, and say what they say otherwise."""

import gzip
import json
from pathlib import Path
from unittest.mock import AsyncMock

import pytest

from samsyn import limits
from samsyn.access.view import Gatekeeper
from samsyn.clock import SystemClock
from samsyn.endpoints.dicomweb.asked import _takes_gzip
from samsyn.errors import OutOfResources
from samsyn.retrieve.retrieve import Retriever
from samsyn.store.index.port import IndexConnection
from tests.dicomweb.house import House, image_file, store

pytestmark = pytest.mark.usefixtures("house")
STUDY = "/studies/2.25.10"
SERIES = f"{STUDY}/series/2.25.11"


async def asked(house: House, path: str, coding: str, **headers: str) -> tuple[dict[str, str], bytes]:
    """Header fields and the bytes as they went over the wire."""
    async with (
        house.client(**{"Accept-Encoding": coding, **headers}) as client,
        client.stream("GET", path) as answer,
    ):
        assert answer.status_code == 200
        content = b"".join([piece async for piece in answer.aiter_raw()])
        assert int(answer.headers["content-length"]) == len(content)
        return dict(answer.headers), content


def kept(house: House) -> list[Path]:
    return sorted((house.store.folder / "derived" / "metadata").rglob("*.gz"))


@pytest.mark.parametrize("path", [STUDY, SERIES])
async def test_who_takes_gzip_gets_the_same_metadata_compressed(house: House, path: str) -> None:
    async with house.client() as client:
        await store(client, [image_file(n) for n in range(1, 20)])
    _, plain = await asked(house, f"{path}/metadata", "identity")
    for _ in range(2):
        headers, packed = await asked(house, f"{path}/metadata", "br, gzip;q=0.5")
        assert headers["content-encoding"] == "gzip"
        assert "Accept-Encoding" in headers["vary"]
        assert gzip.decompress(packed) == plain
        assert len(packed) < len(plain) / 4
    assert len(kept(house)) == 1


@pytest.mark.parametrize("path", [STUDY, SERIES])
async def test_a_large_answer_in_pieces_is_the_same(
    house: House, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house.client() as client:
        await store(client, [image_file(n) for n in range(1, 20)])
        await store(client, [image_file(n, SeriesInstanceUID="2.25.12") for n in range(20, 30)])
    _, whole = await asked(house, f"{path}/metadata", "identity")
    monkeypatch.setattr("samsyn.endpoints.dicomweb.objects.WINDOW_BYTES", 0)
    monkeypatch.setattr("samsyn.store.marked.WINDOW_BYTES", 1_000)
    _, pieces = await asked(house, f"{path}/metadata", "identity")
    assert pieces == whole
    models = json.loads(pieces)
    assert len(models) == (29 if path == STUDY else 19)
    assert b"samsyn-base:" not in pieces


@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_what_is_kept_is_sent_without_asking_for_the_instances(
    house: House, coding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house.client() as client:
        await store(client, [image_file(n) for n in range(1, 5)])
    before, content = await asked(house, f"{SERIES}/metadata", coding)
    monkeypatch.setattr("samsyn.retrieve.retrieve.instance_rows.instances_of_study", None)
    house.retriever = Retriever(house.store, house.documents)
    house.use(None)
    after, again = await asked(house, f"{SERIES}/metadata", coding)
    assert again == content
    assert after["etag"] == before["etag"]


@pytest.mark.parametrize("path", [STUDY, SERIES])
async def test_kept_or_not_the_entity_tag_is_the_same(
    house: House, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house.client() as client:
        await store(client, [image_file(n) for n in range(1, 5)])
        await store(client, [image_file(n, SeriesInstanceUID="2.25.12") for n in range(5, 8)])
    before, content = await asked(house, f"{path}/metadata", "identity")
    monkeypatch.setattr(house.documents, "kept", AsyncMock(return_value=None))
    after, again = await asked(house, f"{path}/metadata", "identity")
    assert json.loads(again) == json.loads(content)
    assert after["etag"] == before["etag"]


@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_nothing_that_is_kept_leaves_before_its_opening_is_written(
    house: House, coding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house.client() as client:
        await store(client, [image_file(1)])
        await asked(house, f"{SERIES}/metadata", coding)
    house.gatekeeper = Gatekeeper(house.store, SystemClock())
    house.use(None)
    async with house.client(**{"Accept-Encoding": coding}) as client:
        await client.get("/studies")  # opens the View
        monkeypatch.setattr(house.gatekeeper, "_write_about", AsyncMock(side_effect=OutOfResources))
        refused = await client.get(f"{SERIES}/metadata")
        assert refused.status_code == 503
        assert b"2.25.1001" not in refused.content
        monkeypatch.undo()
        assert b"2.25.1001" in (await client.get(f"{SERIES}/metadata")).content


async def test_a_series_that_is_not_there_has_no_metadata_and_no_opening(house: House) -> None:
    async with house.client() as client:
        await store(client, [image_file(1)])
        for series, status, openings in (("2.25.99", 404, 0), ("2.25.11", 200, 1)):
            assert (await client.get(f"{STUDY}/series/{series}/metadata")).status_code == status
            assert await house.store.read(_openings) == openings


def _openings(index: IndexConnection) -> int:
    return int(index.execute("SELECT COUNT(*) FROM audit WHERE event = 'OPEN_METADATA'").fetchone()[0])


async def test_what_came_later_is_in_it(house: House) -> None:
    async with house.client() as client:
        await store(client, [image_file(1)])
        await asked(house, f"{SERIES}/metadata", "gzip")
        await store(client, [image_file(2)])
    _, packed = await asked(house, f"{SERIES}/metadata", "gzip")
    assert b"2.25.1002" in gzip.decompress(packed)


async def test_several_series_or_one_instance_go_out_as_they_are(house: House) -> None:
    async with house.client() as client:
        await store(client, [image_file(1), image_file(2, SeriesInstanceUID="2.25.12")])
    for path in (STUDY, f"{SERIES}/instances/2.25.1001"):
        headers, _ = await asked(house, f"{path}/metadata", "gzip")
        assert "content-encoding" not in headers


async def test_what_is_taken_back_is_in_no_compressed_answer(house: House) -> None:
    async with house.client() as client:
        await store(client, [image_file(1), image_file(2)])
    await asked(house, f"{SERIES}/metadata", "gzip")
    async with house.client("NORDSTEWARD") as steward:
        gone = await steward.delete(f"{SERIES}/instances/2.25.1001")
        assert gone.status_code in (200, 202, 204), gone.text
    headers, content = await asked(house, f"{SERIES}/metadata", "gzip")
    assert "content-encoding" not in headers
    assert b"2.25.1001" not in content
    assert b"2.25.1002" in content


async def test_a_client_that_invents_names_of_the_service_fills_no_disk(house: House) -> None:
    async with house.client() as client:
        await store(client, [image_file(1)])
    for number in range(limits.MAX_KEPT_BASES + 5):
        host = f"name{number}.test"
        headers, content = await asked(house, f"{SERIES}/metadata", "gzip", Host=host)
        is_kept = number < limits.MAX_KEPT_BASES
        assert ("content-encoding" in headers) is is_kept
        told = gzip.decompress(content) if is_kept else content
        assert f"http://{host}/dicomweb/".encode() in told
    assert len(kept(house)) == limits.MAX_KEPT_BASES


@pytest.mark.parametrize(
    ("field", "takes"),
    [(b"", False), (b"gzip", True), (b"br, GZIP ; q=0.1", True), (b"gzip;q=0", False), (b"gzip; q=0.000", False),
     (b"x-gzip", False), (b"*", False), (b"identity;q=1, gzip;q=1.0", True)],
)  # fmt: skip
def test_accept_encoding_is_read_with_its_weights(field: bytes, takes: bool) -> None:
    assert _takes_gzip(field) is takes
