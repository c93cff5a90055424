"""Frames that are a small part of their object, on a disk that rots: what is not what came is never served, and
the rest of the object is read without all of it being read."""

import random
from array import array
from collections.abc import Callable

import pytest
from pydicom.encaps import encapsulate
from xxhash import xxh3_64_intdigest

from samsyn.dicom.structure import UNDEFINED
from samsyn.errors import DamagedData
from samsyn.retrieve.retrieve import Retriever
from samsyn.store.block_sums import BLOCK, BlockSums, is_whole_part
from samsyn.store.documents import Documents
from samsyn.store.index.instance_rows import instances_of_series
from tests.dicom.corpus import SEQUENCE_END, element
from tests.dicomweb.house import House, data_set, file_of, image, parts_of
from tests.dicomweb.test_at_once import SINGLE, at_once
from tests.dicomweb.test_retrieve import INSTANCE, JPEG, SERIES, get, stored
from tests.rot import rot
from tests.store.test_settling import settle_all

COUNT, SIZE = 40, 128 * 64 * 2
FRAMES = [random.Random(number).randbytes(SIZE) for number in range(COUNT)]
"""As large as a block, and none begins where one does."""
ONE = file_of(data_set(image(Rows=128, Columns=64, NumberOfFrames=COUNT, PixelData=b"".join(FRAMES))))
"""Native."""


def coded() -> bytes:
    """Fragments without an offset table, so that where they lie is told by their lengths alone."""
    frames = [b"\xff\xd8" + frame[4:] + b"\xff\xd9" for frame in FRAMES]
    made = image(PixelData=None, Rows=128, Columns=64, NumberOfFrames=COUNT)
    value = encapsulate(frames, has_bot=False)
    data = data_set(made) + element(0x7FE00010, b"OB", value + SEQUENCE_END, UNDEFINED)
    return file_of(data, syntax=JPEG)


async def frame(house: House, number: int) -> bytes | int:
    answer = await get(house, f"{INSTANCE}/frames/{number}", None)
    return parts_of(answer)[0][1] if answer.status_code == 200 else int(answer.status_code)


async def refused(house: House, path: str, **headers: str) -> bool:
    """Whether the answer is a refusal, or breaks off."""
    async with house.client(**headers) as client:
        try:
            return (await client.get(path)).status_code == 500
        except DamagedData:
            return True


def place(house: House, within: bytes) -> tuple[int, int]:
    """(segment, offset) of some bytes of the instance on disk."""
    [(segment, offset, length)] = house.rows("SELECT segment, body_offset, length FROM instance")
    return segment, offset + house.store.body(segment, offset, length).index(within)


def anew(house: House) -> None:
    """Forgets what is in memory, as a start does."""
    house.documents = Documents(house.store, house.executor, house.documents._clock)
    house.retriever = Retriever(house.store, house.documents)
    house.use(None)


@pytest.mark.parametrize("made", [lambda: ONE, coded], ids=["native", "coded"])
@pytest.mark.parametrize("restarts", [False, True])
async def test_a_rotten_frame_is_refused_and_its_neighbours_are_not(
    house: House, made: Callable[[], bytes], restarts: bool
) -> None:
    await stored(house, made())
    good = [await frame(house, number) for number in range(1, COUNT + 1)]
    assert all(isinstance(each, bytes) and FRAMES[n][4:-2] in each for n, each in enumerate(good))
    segment, offset = place(house, FRAMES[20][100:200])
    rot(house.store, segment, offset)
    if restarts:
        anew(house)
    assert await frame(house, 21) == 500
    assert await refused(house, f"{INSTANCE}/frames/1,21")
    # Which bytes are which frame of a coded object, a start has to find out from all of it.
    others = 500 if restarts and made is coded else None
    assert await frame(house, 1) == (others or good[0])
    assert await frame(house, COUNT) == (others or good[-1])


async def test_a_frame_that_rotted_before_anybody_read_one_is_refused(house: House) -> None:
    await stored(house, ONE)
    segment, offset = place(house, FRAMES[20][100:200])
    rot(house.store, segment, offset)
    assert await frame(house, 21) == 500


async def test_what_is_at_hand_is_checked_too(house: House) -> None:
    await stored(house, ONE)
    path = f"{INSTANCE}/frames/21"
    assert at_once(house, path, SINGLE) is None
    for _ in range(2):
        assert (await get(house, path, SINGLE)).content == FRAMES[20]
    found = at_once(house, path, SINGLE)
    assert found is not None and b"".join(found[2]) == FRAMES[20]
    segment, offset = place(house, FRAMES[20][100:200])
    rot(house.store, segment, offset)
    assert at_once(house, path, SINGLE) is None
    assert (await get(house, path, SINGLE)).status_code == 500


async def test_a_rotten_length_does_not_make_other_bytes_a_frame(house: House) -> None:
    await stored(house, coded())
    await frame(house, 1)
    segment, offset = place(house, FRAMES[20][4:200])
    rot(house.store, segment, offset - 6)  # the length of the fragment's item
    anew(house)
    assert await frame(house, 30) == 500


async def test_parts_of_objects_are_checked_too(house: House) -> None:
    await stored(house, ONE)
    headers = {"Accept": "application/dicom", "Range": "bytes=400000-430000"}
    async with house.client() as client:
        assert (await client.get(INSTANCE, headers=headers)).status_code == 206
    segment, offset = place(house, FRAMES[25][100:200])
    rot(house.store, segment, offset)
    assert await refused(house, INSTANCE, **headers)


async def test_metadata_are_made_from_whole_objects_alone(house: House) -> None:
    await stored(house, file_of(data_set(image())))
    segment, offset = place(house, b"Thorax")
    rot(house.store, segment, offset)
    assert (await get(house, f"{SERIES}/metadata", "application/dicom+json")).status_code == 500


async def test_the_sums_are_made_when_the_series_is_quiet_and_found_again(house: House) -> None:
    await stored(house, ONE)
    await house.documents.prepare("2.25.11", 0.0)
    [file] = (house.store.folder / "derived/sums").glob("*/*.sums")
    [instance] = house.store.peek(lambda connection: instances_of_series(connection, "2.25.11"))
    sums = BlockSums(house.store).of(instance)
    assert len(sums) == -(-instance.location.length // BLOCK)
    before = file.stat().st_mtime_ns
    file.write_bytes(file.read_bytes()[:-1] + b"\0")
    assert BlockSums(house.store).of(instance) == sums, "a rotten file is none"
    assert file.stat().st_mtime_ns != before


async def test_settled_frames_are_checked_too(house: House) -> None:
    await stored(house, ONE)
    await settle_all(house.store)
    assert await frame(house, 21) == FRAMES[20]
    [path] = [each for each in (house.store.folder / "objects").rglob("*") if each.is_file()]
    data = bytearray(path.read_bytes())
    data[data.index(FRAMES[20][100:200])] ^= 1
    path.write_bytes(data)
    anew(house)
    assert await frame(house, 21) == 500
    assert await frame(house, 1) == FRAMES[0]


def test_every_part_of_a_body_is_judged_as_its_bytes_are() -> None:
    """Whatever lies at the borders of blocks; one wrong byte is seen in every part that holds it."""
    dice = random.Random(5)
    body = dice.randbytes(3 * BLOCK + 777)
    sums = array("Q", (xxh3_64_intdigest(body[at : at + BLOCK]) for at in range(0, len(body), BLOCK)))
    borders = [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK, 3 * BLOCK + 776, len(body)]
    for first in borders:
        for last in borders:
            if first >= last:
                continue

            def read(offset: int, length: int, body: bytes = body) -> bytes:
                return body[offset : offset + length]

            part = bytearray(body[first:last])
            assert is_whole_part(sums, first, part, len(body), read) is True
            is_aligned = first % BLOCK == 0 and (last % BLOCK == 0 or last == len(body))
            assert is_whole_part(sums, first, part, len(body), lambda *_: None) is (
                True if is_aligned else None
            )
            part[dice.randrange(len(part))] ^= 4
            assert is_whole_part(sums, first, part, len(body), read) is False


async def test_a_header_that_rots_makes_no_picture_of_a_clip(house: House) -> None:
    """What stands before the frames says how they are shown, and no frame's block holds it but the first's."""
    await stored(house, ONE)
    [instance] = house.store.peek(lambda connection: instances_of_series(connection, "2.25.11"))
    wanted = frozenset({0x00280010})
    whole = await house.documents.attributes(instance, wanted)
    assert b'"Value":[128]' in whole
    assert await frame(house, COUNT) == FRAMES[-1], "the sums are made"
    assert await house.documents.attributes(instance, wanted) == whole
    rot(house.store, *place(house, b"\x28\x00\x10\x00US\x02\x00"))
    with pytest.raises(DamagedData):
        await house.documents.attributes(instance, wanted)
