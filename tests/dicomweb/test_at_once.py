"""Frames that are answered without a task: as by the long way, and only where nothing is to be decided."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from samsyn.retrieve.retrieve import AT_ONCE_BYTES
from samsyn.wire.whole_answer import Ready
from tests.dicomweb.house import House, image_file, store, subject_like
from tests.dicomweb.test_retrieve import INSTANCE, STUDY, get, stored
from tests.rot import rot

FRAME = f"{INSTANCE}/frames/2"
MULTIPART = 'multipart/related; type="application/octet-stream"'
SINGLE = "application/octet-stream"


def at_once(
    house: House, path: str, accept: str = MULTIPART, token: str = "NORDWEB", **fields: str
) -> Ready | None:
    secret = house.scratch.system_tokens.get(token, token)
    told: Mapping[str, str] = {"authorization": f"Bearer {secret}", "accept": accept, **fields}
    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "path": f"/dicomweb{path}",
        "query_string": b"",
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in told.items()],
    }
    return house.door.at_once(scope)


async def opened(house: House, path: str = FRAME, accept: str = MULTIPART) -> Any:
    """The frame by the long way, twice: the note of the first opening may push its neighbour out of the page cache."""
    await get(house, path, accept)
    return await get(house, path, accept)


def content(body: bytes) -> bytes:
    """Without the boundary, which is new each time."""
    return body.replace(body[2:41], b"") if body.startswith(b"--samsyn-") else body


BITS = {
    "Rows": 3,
    "Columns": 3,
    "BitsAllocated": 1,
    "BitsStored": 1,
    "HighBit": 0,
    "PixelData": b"\x55\xaa\x55\0",
}


@pytest.mark.parametrize("changes", [{}, BITS])
@pytest.mark.parametrize("accept", [MULTIPART, SINGLE, "*/*"])
async def test_it_is_the_answer_of_the_long_way(house: House, accept: str, changes: dict[str, Any]) -> None:
    await stored(house, image_file(**changes))
    assert at_once(house, FRAME, accept) is None  # nobody has opened anything yet
    long = await opened(house, FRAME, accept)
    noted = house.rows("SELECT count(*) FROM audit")
    found = at_once(house, FRAME, accept)
    assert found is not None
    status, headers, pieces = found
    assert status == long.status_code == 200
    assert content(b"".join(pieces)) == content(long.content)
    told = {name.decode(): value.decode() for name, value in headers}
    told["content-type"] = told["content-type"].split("boundary")[0]
    kept = {name: value.split("boundary")[0] for name, value in long.headers.items()}
    assert told == {name: kept[name] for name in told} and set(kept) == set(told)
    assert house.rows("SELECT count(*) FROM audit") == noted


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (f"{INSTANCE}/frames/3", {}),
        (f"{INSTANCE}/frames/1,2", {}),
        (f"{STUDY}/series/2.25.999/instances/2.25.1001/frames/1", {}),
        (f"{STUDY}/series/2.25.11/instances/2.25.1001x/frames/1", {}),
        ("/studies/2.25.999/series/2.25.11/instances/2.25.1001/frames/1", {}),
        (INSTANCE, {}),
        (f"/rejected{FRAME}", {}),
        (FRAME, {"accept": "image/jpeg"}),
        (FRAME, {"token": "unknown"}),
        (FRAME, {"if_none_match": '"x"'}),
        (FRAME, {"accept": SINGLE, "range": "bytes=0-1"}),
    ],
)
async def test_whatever_is_to_be_decided_goes_the_long_way(
    house: House, path: str, fields: dict[str, str]
) -> None:
    await stored(house, image_file())
    await opened(house)
    assert at_once(house, FRAME) is not None
    assert at_once(house, path, **fields) is None


async def test_damaged_bytes_are_left_to_the_long_way_which_refuses_them(house: House) -> None:
    await stored(house, image_file())
    await opened(house)
    [(segment, offset, length)] = house.rows("SELECT segment, body_offset, length FROM instance")
    rot(house.store, segment, offset + length - 3)
    assert at_once(house, FRAME) is None
    assert (await get(house, FRAME)).status_code == 500


async def test_a_view_that_is_not_true_any_more_opens_nothing(house: House) -> None:
    await stored(house, image_file())
    await opened(house)
    assert at_once(house, FRAME) is not None
    house.gatekeeper.forget_views()
    assert at_once(house, FRAME) is None


async def test_what_has_come_since_is_known(house: House) -> None:
    await stored(house, image_file())
    await opened(house)
    async with house.client() as client:
        await store(client, [image_file(2)])
    newer = FRAME.replace("2.25.1001", "2.25.1002")
    assert at_once(house, newer) is None
    await opened(house, newer)
    assert at_once(house, newer) is not None


async def test_others_get_their_turn_while_many_objects_are_read(house: House) -> None:
    await stored(house, image_file())
    await opened(house)
    view = await house.gatekeeper.open_view(subject_like(house, "NORDWEB"))
    [instance] = await house.retriever.instances(view, "2.25.10", "2.25.11", "2.25.1001")
    assert house.store.body_at_hand(instance.location) is not None
    many = [instance] * (AT_ONCE_BYTES // instance.location.length)
    reading = asyncio.ensure_future(house.retriever.data_sets(view, many))
    turns = 0
    while not reading.done():
        await asyncio.sleep(0)
        turns += 1
    assert all(isinstance(each, memoryview) for each in await reading)
    assert turns >= 7
