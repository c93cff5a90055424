"""Uncompressed frames become pictures in the server's own threads: the same ones, bounded, and in their turn."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import numpy as np
import pytest

from samsyn.errors import DamagedData, OutOfResources
from samsyn.limits import MAX_RENDERED_HERE_BYTES
from samsyn.render import here
from samsyn.render.children import DecodingChildren
from samsyn.render.here import PictureThreads, is_light
from samsyn.render.words import (
    DisplayValues,
    EncodedFrame,
    PictureFormat,
    PictureOptions,
    Viewport,
    Voi,
    Window,
)
from tests.render.frames import HTJ2K, JPEG_BASELINE, LITTLE, layout, native

SOURCE = np.random.default_rng(7)
CT = native(SOURCE.integers(0, 4096, (512, 512)).astype("u2"), stored=12)
SIGNED = native(SOURCE.integers(-900, 3000, (200, 120)).astype("i2"), photometric="MONOCHROME1")
COLOUR = native(SOURCE.integers(0, 256, (60, 80, 3)).astype("u1"))
VALUES = DisplayValues(slope=1.0, intercept=-1024.0, windows=(Window(40, 400),))
JPEG = PictureOptions()


@pytest.fixture
async def child() -> AsyncIterator[DecodingChildren]:
    children = DecodingChildren(1)
    await children.start()
    yield children
    await children.stop()


@pytest.mark.parametrize("frame", [CT, SIGNED, COLOUR])
async def test_a_thread_makes_the_very_picture_that_a_child_makes(
    child: DecodingChildren, frame: EncodedFrame
) -> None:
    threads = PictureThreads()
    for options in (
        JPEG,
        PictureOptions(PictureFormat.PNG, window=Window(10, 900, Voi.SIGMOID)),
        PictureOptions(quality=60, longest_side=64),
        PictureOptions(viewport=Viewport(90, 90, 10, 10, -30, 40)),
    ):
        assert await threads.picture(lambda: frame, VALUES, options) == await child.picture(
            frame, VALUES, options
        )


def test_what_passes_a_codec_or_grows_large_is_left_to_the_children() -> None:
    def light(options: PictureOptions = JPEG, syntax: str = LITTLE, aspect: float = 1.0, **kind: int) -> bool:
        return is_light(layout(**kind), syntax, aspect, options)  # type: ignore[arg-type] # only numbers are given

    side = int((MAX_RENDERED_HERE_BYTES // 2) ** 0.5)
    assert light() and light(rows=side, columns=side) and light(PictureOptions(viewport=Viewport(512, 512)))
    assert not light(rows=side + 1, columns=side)
    assert not light(rows=2**31, columns=2**31)
    assert not any(light(syntax=syntax) for syntax in (JPEG_BASELINE, HTJ2K, "1.2.840.10008.1.2.1.99"))
    assert not light(allocated=32) and not light(allocated=1, stored=1)
    assert not light(aspect=15.0) and not light(aspect=0.1)
    assert not light(PictureOptions(PictureFormat.GIF))
    assert not light(PictureOptions(viewport=Viewport(4_096, 16)))


async def test_a_frame_that_contradicts_its_header_is_damaged_and_the_next_one_is_made() -> None:
    threads = PictureThreads()
    torn = replace(CT, data=CT.data[:-2])
    empty = replace(CT, layout=replace(CT.layout, rows=0))

    def gone() -> EncodedFrame:
        raise DamagedData("the file is short")

    for broken in (lambda: torn, lambda: empty, gone):
        with pytest.raises(DamagedData):
            await threads.picture(broken, VALUES, JPEG)
    assert (await threads.picture(lambda: CT, VALUES, JPEG)).width == 512


class _Held:
    """Frames that are read only when the test lets them."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.order: list[str] = []

    def frame(self, name: str) -> Callable[[], EncodedFrame]:
        def read() -> EncodedFrame:
            self.order.append(name)
            self.gate.wait(10)
            return SIGNED

        return read


async def test_a_reader_goes_before_thumbnails_and_too_many_are_refused_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(here, "RENDER_THREADS", 1)
    monkeypatch.setattr(here, "RENDER_QUEUE", 4)
    threads, held = PictureThreads(), _Held()
    asked = []
    for name in ("first", "small 1", "small 2", "reader"):
        work = threads.picture(held.frame(name), VALUES, JPEG, urgent=not name.startswith("small"))
        asked.append(asyncio.create_task(work))
        await asyncio.sleep(0)
    with pytest.raises(OutOfResources):
        await threads.picture(held.frame("small 3"), VALUES, JPEG, urgent=False)
    held.gate.set()
    await asyncio.gather(*asked)
    assert held.order == ["first", "reader", "small 1", "small 2"]


async def test_who_goes_away_leaves_his_place_and_who_waits_too_long_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(here, "RENDER_THREADS", 1)
    monkeypatch.setattr(here, "RENDER_WAIT_S", 0.1)
    threads, held = PictureThreads(), _Held()
    working = asyncio.create_task(threads.picture(held.frame("first"), VALUES, JPEG))
    leaving = asyncio.create_task(threads.picture(held.frame("leaves"), VALUES, JPEG))
    await asyncio.sleep(0.02)
    leaving.cancel()
    with pytest.raises(OutOfResources):
        await threads.picture(held.frame("too late"), VALUES, JPEG)
    monkeypatch.setattr(here, "RENDER_WAIT_S", 60.0)
    working.cancel()  # its thread is still at it, and nobody else begins before it ends
    await asyncio.sleep(0.02)
    waiting = asyncio.create_task(threads.picture(held.frame("next"), VALUES, JPEG))
    await asyncio.sleep(0.02)
    assert held.order == ["first"]
    held.gate.set()
    assert (await waiting).height == 200
    assert held.order == ["first", "next"]
