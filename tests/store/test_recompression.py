"""Frames stored coded: smaller on the disk, and nobody who reads can tell."""

import hashlib
import random
import shutil
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from samsyn import limits
from samsyn.clock import SystemClock
from samsyn.errors import DamagedData, OutOfResources
from samsyn.settings.recompression import RecompressSettings
from samsyn.store.block_sums import BlockSums
from samsyn.store.index import instance_rows
from samsyn.store.packing.children import CodingChildren
from samsyn.store.packing.extents import Codec, Extent, Extents, Shape, encode
from samsyn.store.store import Store
from samsyn.store.stored_frames import StoredFrames
from samsyn.store.upkeep.give_back import GivingBack
from samsyn.store.upkeep.recompress import Recompression, SeriesFacts
from samsyn.store.upkeep.scrub import Scrub
from samsyn.store.upkeep.settle import Settling
from tests.indexes import forget_index, make_store
from tests.ingest.test_receive import House
from tests.store.test_settling import answers, sent, series_keys

CODED = [Codec.JPEG_LS, Codec.JPEG_2000, Codec.HTJ2K]
SHAPES = [
    Shape(97, 131, 1, 16, True, False),
    Shape(97, 131, 1, 16, False, True),
    Shape(64, 65, 1, 8, False, False),
    Shape(64, 65, 1, 8, True, False),
    Shape(50, 61, 3, 8, False, False),
    Shape(3 * 50, 61, 1, 8, False, False),
]


def smooth(shape: Shape, seed: int = 1) -> bytes:
    """Pixels as of a picture: neighbours are alike; values below zero where they are signed."""
    source = np.random.default_rng(seed)
    waves = np.add.outer(np.sin(np.arange(shape.rows) / 9), np.cos(np.arange(shape.columns) / 7))
    values = np.repeat(waves[..., None], shape.samples, 2) * (30 if shape.bits == 8 else 900)
    values = values + source.normal(0, 2, values.shape) + (0 if shape.signed else 2**shape.bits // 2)
    kind = f"{'>' if shape.big_endian else '<'}{'i' if shape.signed else 'u'}{shape.bits // 8}"
    return bytes(values.astype(kind).tobytes())


@pytest.fixture(scope="module")
def coding() -> Iterator[CodingChildren]:
    made = CodingChildren()
    yield made
    made.close()


@pytest.mark.parametrize("codec", CODED)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_form_comes_back_bit_for_bit(coding: CodingChildren, codec: Codec, shape: Shape) -> None:
    data = smooth(shape)
    made = coding.coded(codec, shape, data)
    assert made is not None
    assert len(made) < len(data) * 0.95
    assert coding.decoded(codec, shape, made) == data


def test_what_gains_nothing_or_can_not_be_coded_stays_as_it_is(coding: CodingChildren) -> None:
    noise = random.Random(1).randbytes(97 * 131 * 2)
    for codec in CODED:
        assert coding.coded(codec, SHAPES[0], noise) is None
        with pytest.raises(DamagedData):
            coding.decoded(codec, SHAPES[0], b"no code stream at all")


def test_a_child_that_the_system_ended_costs_nobody_anything(coding: CodingChildren) -> None:
    data = smooth(SHAPES[0])
    made = coding.coded(Codec.JPEG_LS, SHAPES[0], data)
    assert made is not None
    for child in list(coding._idle.queue):
        child._process.kill()
        child._process.wait()
    assert coding.decoded(Codec.JPEG_LS, SHAPES[0], made) == data


def test_a_child_that_does_not_answer_is_ended(
    coding: CodingChildren, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = Shape(2_048, 2_048, 1, 16, True, False)  # more than a pipe holds: no child is so quick
    data = smooth(shape)
    made = coding.coded(Codec.JPEG_2000, shape, data)
    assert made is not None
    monkeypatch.setattr(limits, "RENDER_DEADLINE_S", 0.0)
    assert coding.coded(Codec.JPEG_2000, shape, data) is None
    with pytest.raises(OutOfResources, match="RENDER_DEADLINE_S"):
        coding.decoded(Codec.JPEG_2000, shape, made)


def test_any_reading_of_any_places_is_that_of_the_plain_bytes(coding: CodingChildren) -> None:
    source, shape = random.Random(3), SHAPES[2]
    whole, file, table = b"", b"", []
    for number in range(6):
        for data, kind in (
            (source.randbytes(source.randrange(1, 300)), None),
            (smooth(shape, number), shape),
        ):
            stored = coding.coded(Codec.HTJ2K, shape, data) if kind else data
            assert stored is not None
            codec = Codec.HTJ2K if kind else Codec.PLAIN
            crc = 0 if kind is None else zlib.crc32(data)
            table.append(Extent(len(whole), len(data), len(file), len(stored), codec, kind, crc))
            whole, file = whole + data, file + stored
    extents = Extents(encode(table))
    for _ in range(300):
        place = source.randrange(len(whole))
        length = source.choice((1, 10, 5_000, len(whole)))
        found = extents.read(lambda at, size: file[at : at + size], coding, place, length)
        assert found == whole[place : place + length]
    with pytest.raises(DamagedData):
        Extents(b"no table")


# -- in the store

RULE = RecompressSettings(codec="jpeg-ls", modalities=("CT",))
CT = Shape(96, 128, 1, 16, True, False)


def slice_of(number: int, **changes: object) -> bytes:
    picture = {"Rows": 96, "Columns": 128, "PixelRepresentation": 1, "PixelData": smooth(CT, number)}
    return sent(number, **{**picture, **changes})


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setattr(limits, "RETIRED_S", 0)
    monkeypatch.setattr(limits, "SEGMENT_BYTES", 60_000)
    built = House(tmp_path / "data")
    yield built
    built.store.close()


async def filled(house: House) -> None:
    for number in range(6):
        assert await house.send(slice_of(number)) == ("stored", "")
    assert await house.send(slice_of(6, series=2, Modality="MR")) == ("stored", "")
    assert await house.send(slice_of(7, series=1, Rows=2, Columns=2, PixelData=bytes(8))) == ("stored", "")
    noise = random.Random(9).randbytes(96 * 128 * 2)
    assert await house.send(slice_of(8, series=1, PixelData=noise)) == ("stored", "")


async def settle(store: Store, *rules: RecompressSettings) -> Recompression:
    recompression = Recompression(rules or (RULE,), SystemClock())
    settling = Settling(store, SystemClock(), recompression=recompression)
    for key in series_keys(store):
        await settling.settle(key)
    return recompression


def file_bytes(store: Store) -> int:
    return sum(path.stat().st_size for path in (store.folder / "objects").rglob("*.series"))


async def test_a_settled_series_is_smaller_and_every_answer_stays(house: House) -> None:
    await filled(house)
    before = answers(house.store)
    won = await settle(house.store)
    assert [house.store.objects.is_coded(key) for key in (1, 2)] == [True, False]
    assert won.original_bytes == 6 * CT.length
    assert won.stored_bytes < 0.6 * won.original_bytes
    assert answers(house.store) == before
    print(f"JPEG-LS of slices with noise: {won.original_bytes / won.stored_bytes:.2f} to 1")
    assert await GivingBack(house.store, SystemClock()).look() >= 6 * CT.length
    assert (await Scrub(house.store, SystemClock(), 1, 1_000).whole_pass()).damaged == []
    assert answers(house.store) == before
    assert await house.send(slice_of(3)) == ("already-stored", "")
    assert await house.send(slice_of(3, PixelData=smooth(CT, 77))) == ("held", "different-bytes")
    # A late slice: a new version of the object, of which the former is the beginning.
    assert await house.send(slice_of(9, series=1)) == ("stored", "")
    with_late = answers(house.store)
    await settle(house.store)
    assert answers(house.store) == with_late
    folder = house.store.folder
    house.store.close()
    forget_index(folder)
    house.store = make_store(folder, SystemClock())
    house.store.start()
    assert answers(house.store) == with_late


async def test_a_second_copy_mends_a_coded_object(tmp_path: Path) -> None:
    first = House(tmp_path / "data")
    await filled(first)
    before = answers(first.store)
    await settle(first.store)
    first.store.close()
    shutil.copytree(tmp_path / "data", tmp_path / "copy")
    path = first.store.objects.path(1)
    whole = path.read_bytes()
    path.write_bytes(whole[:5_000] + bytes(20_000) + whole[25_000:])
    store = make_store(tmp_path / "data", SystemClock(), second_copy=tmp_path / "copy")
    store.start()
    seen = await Scrub(store, SystemClock(), 1, 1_000).whole_pass()
    assert seen.damaged == []
    assert path.read_bytes() == whole
    assert answers(store) == before
    store.close()


async def test_coding_that_would_not_come_back_is_not_used(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(house)
    before = answers(house.store)
    real = CodingChildren.coded

    def other(self: CodingChildren, codec: Codec, shape: Shape, data: bytes) -> bytes | None:
        return real(self, codec, shape, smooth(shape, 1_000))

    monkeypatch.setattr(CodingChildren, "coded", other)
    won = await settle(house.store)
    assert (won.original_bytes, house.store.objects.is_coded(1)) == (0, False)
    assert answers(house.store) == before


async def test_rot_in_coded_frames_is_found_and_not_served(house: House) -> None:
    await filled(house)
    await settle(house.store)
    path = house.store.objects.path(1)
    data = bytearray(path.read_bytes())
    for place in range(1_000, len(data) - 4_000, 3_331):
        data[place] ^= 0x21
    path.write_bytes(data)
    house.store.objects.forget(1)
    first = house.store.peek(lambda one: list(house.store.objects.settled(1, 8).instances))
    wrong = refused = 0
    for instance in first:
        place = instance.location
        try:
            found = house.store.body(place.segment, place.offset, place.length)
        except DamagedData:
            refused += 1
        else:
            pixels = instance.pixels
            assert pixels is not None
            wrong += (
                hashlib.sha256(found).digest() != instance.sha256 and instance.sop_instance_uid != "2.25.7008"
            )
    assert refused >= 3
    assert wrong == 0
    assert len((await Scrub(house.store, SystemClock(), 1, 1_000).whole_pass()).damaged) >= refused


async def test_rot_in_what_lies_plain_beside_coded_frames_is_not_served(house: House) -> None:
    """Frames that gain nothing by coding, and headers, have no check of their own in the object."""
    source = random.Random(4)
    frames = [source.randbytes(96 * 128 * 2) if number % 2 else smooth(CT, number) for number in range(12)]
    clip = slice_of(20, NumberOfFrames=12, PixelData=b"".join(frames))
    assert await house.send(clip) == ("stored", "")
    await settle(house.store)
    [path] = (house.store.folder / "objects").rglob("*.series")
    data = bytearray(path.read_bytes())
    assert frames[4] not in data
    data[data.index(frames[5]) + 100] ^= 1
    path.write_bytes(data)
    [instance] = house.store.peek(
        lambda connection: instance_rows.instances_of_series(connection, "2.25.610")
    )

    async def read(number: int) -> bytes:
        reading = StoredFrames(house.store, OrderedDict(), BlockSums(house.store), executor)
        ranges = await reading.ranges(instance, number)
        await reading.ready(instance, ranges)
        return reading.read(instance, ranges)

    with ThreadPoolExecutor(1) as executor:
        assert await read(5) == frames[4], "a coded frame has its own check, and needs no more"
        with pytest.raises(DamagedData):
            await read(6)


def test_the_first_rule_that_fits_counts() -> None:
    rules = [
        RecompressSettings(codec="htj2k", modalities=("CT", "MR"), older_than_days=365),
        RecompressSettings(codec="jpeg-2000", providers=("SE1",), transfer_syntaxes=("1.2.840.10008.1.2",)),
        RecompressSettings(codec="jpeg-ls", modalities=("CT",)),
    ]
    recompression = Recompression(rules, SystemClock())

    def codec(modality: str, provider: str, day: str, syntax: str = "1.2.840.10008.1.2.1") -> Codec:
        return recompression.codec_of(SeriesFacts(modality, provider, day), syntax)

    assert codec("MR", "SE2", "20010101") is Codec.HTJ2K
    assert codec("MR", "SE2", "29990101") is Codec.PLAIN
    assert codec("MR", "SE2", "") is Codec.PLAIN
    assert codec("US", "SE1", "", "1.2.840.10008.1.2") is Codec.JPEG_2000
    assert codec("US", "SE1", "") is Codec.PLAIN
    assert codec("CT", "SE2", "") is Codec.JPEG_LS
    assert codec("CT", "SE2", "", "1.2.840.10008.1.2.4.90") is Codec.PLAIN
