"""Decoding happens in fenced child processes: a bad frame costs its own picture and nobody else anything."""

import asyncio
import contextlib
import os
import resource
import signal
import sys
import time
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from samsyn.errors import DamagedData, LimitExceeded, NotSupported, OutOfResources
from samsyn.render import children as pool
from samsyn.render.children import DecodingChildren
from samsyn.render.words import DisplayValues, EncodedFrame, PictureOptions, Window
from tests.render import frames
from tests.render.frames import layout, native

PIXELS = np.random.default_rng(7).integers(0, 4096, (512, 512)).astype("u2")
CT = native(PIXELS, stored=12)
VALUES = DisplayValues(windows=(Window(2048, 4096),))


@pytest.fixture
async def one() -> AsyncIterator[DecodingChildren]:
    children = DecodingChildren(1)
    await children.start()
    yield children
    await children.stop()


@pytest.fixture
async def two() -> AsyncIterator[DecodingChildren]:
    children = DecodingChildren(2, idle_s=0.3)
    await children.start()
    yield children
    await children.stop()


def own_memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def own_children() -> list[int]:
    """Process ids of this process's decoding children; a thread or a child that ends meanwhile has none."""
    pids: list[int] = []
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            pids += map(int, (task / "children").read_text().split())
    return [pid for pid in pids if _decodes(pid)]


def _decodes(pid: int) -> bool:
    """Whether it is one of ours: other tests of this run may have children of their own."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return b"samsyn.render.child" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


async def test_a_frame_becomes_a_jpeg_and_gives_back_its_values(one: DecodingChildren) -> None:
    picture = await one.picture(CT, VALUES, PictureOptions())
    assert picture.media_type == "image/jpeg"
    assert imagecodecs.jpeg8_decode(picture.data).shape == (512, 512)
    decoded = await one.decoded(CT)
    assert (decoded.rows, decoded.columns, decoded.samples, decoded.bits_allocated) == (512, 512, 1, 16)
    assert decoded.data == PIXELS.tobytes()


async def test_answers_never_change_places(one: DecodingChildren) -> None:
    shades = [native(np.full((8, 8), shade, np.uint8)) for shade in range(0, 256, 5)]
    window = DisplayValues(windows=(Window(128, 256),))
    answers = await asyncio.gather(*(one.decoded(shade) for shade in shades))
    pictures = await asyncio.gather(
        *(one.picture(shade, window, PictureOptions(quality=100)) for shade in shades)
    )
    for shade, answer, picture in zip(shades, answers, pictures, strict=True):
        assert answer.data == shade.data
        assert abs(int(imagecodecs.jpeg8_decode(picture.data)[0, 0]) - shade.data[0]) <= 2


async def test_what_can_not_be_shown_is_told_with_its_reason_and_the_child_lives(
    one: DecodingChildren,
) -> None:
    with pytest.raises(DamagedData):
        await one.picture(EncodedFrame(b"\0" * 10, CT.layout, frames.LITTLE), VALUES, PictureOptions())
    with pytest.raises(NotSupported):
        await one.picture(EncodedFrame(b"\0", CT.layout, "1.2.840.10008.1.2.4.102"), VALUES, PictureOptions())
    huge = layout(65_535, 65_535, allocated=8)
    with pytest.raises(LimitExceeded):
        await one.picture(
            EncodedFrame(frames.jpeg_that_claims(65_535, 65_535), huge, frames.JPEG_BASELINE),
            VALUES,
            PictureOptions(),
        )
    await one.picture(CT, VALUES, PictureOptions())
    assert one.restarts == 0


async def test_a_child_that_is_killed_costs_that_picture_and_the_next_one_works(
    one: DecodingChildren,
) -> None:
    await one.picture(CT, VALUES, PictureOptions())
    slow = native(np.random.default_rng(3).integers(0, 4096, (4096, 4096)).astype("u2"), stored=12)
    asked = asyncio.create_task(one.picture(slow, VALUES, PictureOptions()))
    await asyncio.sleep(0.05)
    for child in own_children():
        os.kill(child, 9)
    with pytest.raises(DamagedData):
        await asked
    await one.picture(CT, VALUES, PictureOptions())
    assert one.restarts == 1


@pytest.mark.slow
async def test_a_bomb_ends_at_the_childs_memory_limit_and_the_parent_stays_flat(
    one: DecodingChildren,
) -> None:
    await one.picture(CT, VALUES, PictureOptions())
    side = 16_000
    flat = np.zeros((side, side), np.uint8)
    bomb = bytes(imagecodecs.jpegls_encode(flat))
    del flat
    wide = EncodedFrame(bomb, layout(side, side, allocated=32), frames.JPEG_LS)
    before = own_memory()
    with pytest.raises(LimitExceeded):
        await one.picture(wide, DisplayValues(), PictureOptions())
    assert own_memory() - before < 8 * 1024 * 1024
    await one.picture(CT, VALUES, PictureOptions())


@pytest.mark.slow
async def test_a_deflated_frame_gives_no_more_than_its_frame_and_a_false_size_costs_nothing(
    one: DecodingChildren,
) -> None:
    """One GiB of zeros in one MiB: of a small frame the rest is never made, of a large one there is no room."""
    machine = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    bomb = b"".join(machine.compress(bytes(1 << 20)) for _ in range(1024)) + machine.flush()
    small = EncodedFrame(bomb, layout(64, 64, allocated=8), frames.DEFLATED_FRAME)
    assert (await one.decoded(small)).data == bytes(64 * 64)
    before = own_memory()
    wide = EncodedFrame(bomb, layout(16_000, 16_000, allocated=32, stored=32), frames.DEFLATED_FRAME)
    for asked in (one.decoded(wide), one.picture(wide, DisplayValues(), PictureOptions())):
        with pytest.raises((LimitExceeded, DamagedData)):
            await asked
    short = EncodedFrame(bytes(100), layout(16_000, 16_000, 3, allocated=32), frames.ENCAPSULATED)
    with pytest.raises(DamagedData):
        await one.picture(short, DisplayValues(), PictureOptions())
    assert own_memory() - before < 8 * 1024 * 1024
    await one.picture(CT, VALUES, PictureOptions())


async def test_a_decoder_that_does_not_end_is_killed_at_its_deadline(
    one: DecodingChildren, monkeypatch: pytest.MonkeyPatch
) -> None:
    await one.picture(CT, VALUES, PictureOptions())
    monkeypatch.setattr(pool, "RENDER_DEADLINE_S", 0.05)
    slow = native(np.random.default_rng(3).integers(0, 4096, (4096, 4096)).astype("u2"), stored=12)
    with pytest.raises(LimitExceeded, match="RENDER_DEADLINE_S"):
        await one.picture(slow, VALUES, PictureOptions())
    monkeypatch.setattr(pool, "RENDER_DEADLINE_S", 10.0)
    await one.picture(CT, VALUES, PictureOptions())


async def test_a_full_queue_is_said_at_once_and_thumbnails_leave_room_for_readers(
    one: DecodingChildren, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "RENDER_QUEUE", 8)
    thumbnails = [
        asyncio.create_task(one.picture(CT, VALUES, PictureOptions(longest_side=64), urgent=False))
        for _ in range(8)
    ]
    await asyncio.sleep(0)
    reader = asyncio.create_task(one.picture(CT, VALUES, PictureOptions()))
    results = await asyncio.gather(*thumbnails, return_exceptions=True)
    assert sum(isinstance(result, OutOfResources) for result in results) >= 3
    assert (await reader).width == 512


async def test_an_asker_that_goes_away_does_not_disturb_the_others(one: DecodingChildren) -> None:
    gone = [asyncio.create_task(one.picture(CT, VALUES, PictureOptions())) for _ in range(20)]
    await asyncio.sleep(0.01)
    for task in gone:
        task.cancel()
    await asyncio.gather(*gone, return_exceptions=True)
    assert (await one.picture(CT, VALUES, PictureOptions())).width == 512
    assert one.restarts == 0


async def test_a_second_child_is_there_only_while_one_is_not_enough(two: DecodingChildren) -> None:
    async def one_left() -> list[int]:
        async with asyncio.timeout(20):
            # One that has been called may not have been started yet.
            while two._short.is_set() or len(found := own_children()) > 1:
                await asyncio.sleep(0.05)
        return found

    await two.picture(CT, VALUES, PictureOptions())
    kept = await one_left()  # what waited while the first one started has called the second one
    for _ in range(5):
        await two.picture(CT, VALUES, PictureOptions())
        assert own_children() == kept
    for _ in range(2):
        async with asyncio.timeout(20):
            while len(own_children()) < 2:
                await asyncio.gather(*(two.picture(CT, VALUES, PictureOptions()) for _ in range(20)))
        assert await one_left() == kept
    assert two.restarts == 0


async def test_the_child_has_no_files_no_sockets_and_none_of_the_parents_secrets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SAMSYN_SECRET", "hemligt")
    children = DecodingChildren(1)
    await children.start()
    await children.picture(CT, VALUES, PictureOptions())
    pids = own_children()
    assert len(pids) == 1
    held = Path(f"/proc/{pids[0]}/limits").read_text()
    assert any(line.split()[:5] == ["Max", "open", "files", "0", "0"] for line in held.splitlines())
    assert b"hemligt" not in Path(f"/proc/{pids[0]}/environ").read_bytes()
    await children.stop()
    assert not Path(f"/proc/{pids[0]}").exists()


@pytest.mark.slow
async def test_the_kernel_ends_a_child_that_uses_up_its_processor_time() -> None:
    endless = (
        "from samsyn.render import child\n"
        "child.DECODE_TIMEOUT_S = 0.0\n"
        "child._fence(); child._allow_processor_time()\n"
        "while True: pass\n"
    )
    environment = {"PYTHONPATH": str(Path(pool.__file__).parents[2])}
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", endless, env=environment)
    assert await asyncio.wait_for(process.wait(), 30) == -signal.SIGXCPU


@pytest.mark.slow
async def test_one_child_shows_three_hundred_ct_frames_a_second(
    one: DecodingChildren, capsys: pytest.CaptureFixture[str]
) -> None:
    await one.picture(CT, VALUES, PictureOptions())
    begun = time.perf_counter()
    for _ in range(200):
        await one.picture(CT, VALUES, PictureOptions())
    rate = 200 / (time.perf_counter() - begun)
    with capsys.disabled():
        print(f"\n{rate:.0f} frames of 512 x 512 x 16 bit per second through one child, as JPEG")
    assert rate > 20
