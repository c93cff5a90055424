"""Pictures of uncompressed frames, made in threads of the server.

A decoding child guards against codecs that read hostile bytes. Uncompressed pixels go through no codec: every value
that they can have is a legal one, their size is checked against the header, and what runs over them is numpy and an
encoder, whose input is ours. So they spare the way through two pipes, as long as they are small enough for their time
and memory to be bounded by that alone.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from samsyn.dicom.transfer_syntaxes import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from samsyn.errors import DamagedData, LimitExceeded, OutOfResources
from samsyn.limits import MAX_RENDERED_HERE_BYTES, RENDER_QUEUE, RENDER_THREADS, RENDER_WAIT_S
from samsyn.model.imaging import PixelLayout
from samsyn.render.decoding import decode_frame, frame_bytes
from samsyn.render.display import picture_of
from samsyn.render.words import DisplayValues, EncodedFrame, Picture, PictureFormat, PictureOptions

_MAX_VIEWPORT_SIDE: Final = 1_024
_MAX_ASPECT: Final = 2.0
"""Pixels further from square grow the picture beyond what the frame's size bounds."""


def is_light(layout: PixelLayout, transfer_syntax_uid: str, aspect: float, options: PictureOptions) -> bool:
    """Whether the frame is uncompressed and it and its picture are small enough to be made in the server."""
    view = options.viewport
    return (
        transfer_syntax_uid in (EXPLICIT_LITTLE, IMPLICIT_LITTLE)
        and layout.bits_allocated in (8, 16)
        and frame_bytes(layout) <= MAX_RENDERED_HERE_BYTES
        and 1 / _MAX_ASPECT <= aspect <= _MAX_ASPECT
        and options.format is not PictureFormat.GIF
        and (view is None or max(view.width, view.height) <= _MAX_VIEWPORT_SIDE)
    )


class PictureThreads:
    """Makes pictures in threads, at most RENDER_THREADS at once; who waits for nothing urgent waits behind others."""

    def __init__(self) -> None:
        self._working = 0
        self._urgent: deque[asyncio.Future[None]] = deque()
        self._others: deque[asyncio.Future[None]] = deque()

    async def picture(
        self,
        frame: Callable[[], EncodedFrame],
        values: DisplayValues,
        options: PictureOptions,
        urgent: bool = True,
    ) -> Picture:
        """The frame as a picture; `frame` reads it, in the thread.

        Raises what `frame` raises, DamagedData, LimitExceeded, NotSupported, BadInput (options), OutOfResources (too
        much is waiting, or it took too long).
        """
        await self._turn(urgent)
        try:
            work = asyncio.get_running_loop().run_in_executor(None, _made, frame, values, options)
        except BaseException:
            self._next()
            raise
        # The thread goes on when its asker goes away, so its end makes room for the next one, not the asker's.
        work.add_done_callback(self._ended)
        return await asyncio.shield(work)

    def _ended(self, work: "asyncio.Future[Picture]") -> None:
        if not work.cancelled():
            work.exception()  # it may be that nobody waits for it any more
        self._next()

    async def _turn(self, urgent: bool) -> None:
        if self._working < RENDER_THREADS:
            self._working += 1
            return
        # As with the children, thumbnails may fill half of the room, so that a reader always finds some.
        if len(self._urgent) + len(self._others) >= (RENDER_QUEUE if urgent else RENDER_QUEUE // 2):
            raise OutOfResources("RENDER_QUEUE")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        (self._urgent if urgent else self._others).append(turn)
        try:
            async with asyncio.timeout(RENDER_WAIT_S):
                await turn
        except BaseException as problem:
            if turn.done() and not turn.cancelled():
                self._next()  # the turn had come just when its asker went away
            if isinstance(problem, TimeoutError):
                raise OutOfResources("RENDER_WAIT_S") from None
            raise

    def _next(self) -> None:
        """Gives the place to who waits first, or back."""
        for waiting in (self._urgent, self._others):
            while waiting:
                turn = waiting.popleft()
                if not turn.done():
                    turn.set_result(None)
                    return
        self._working -= 1


def _made(frame: Callable[[], EncodedFrame], values: DisplayValues, options: PictureOptions) -> Picture:
    read = frame()
    try:
        return picture_of(decode_frame(read), read.layout, values, options)
    except MemoryError:
        raise LimitExceeded("MAX_RENDERED_HERE_BYTES") from None
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise DamagedData(f"cannot be shown: {type(error).__name__}") from error
