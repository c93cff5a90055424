"""Pictures of uncompressed frames, made in threads of the server.

A decoding child guards against codecs that read hostile bytes. Uncompressed pixels go through no codec: every value
that they can have is a legal one, their size is checked against the header, and what runs over them is numpy and an
encoder, whose input is ours. So they spare the way through two pipes, as long as they are small enough for their time
and memory to be bounded by that alone.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
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


@dataclass(slots=True, eq=False)
class _Job:
    frame: Callable[[], EncodedFrame]
    values: DisplayValues
    options: PictureOptions
    until: float
    """When it has waited too long, by the loop's clock."""
    answer: asyncio.Future[Picture]


class PictureThreads:
    """Makes pictures in threads, at most RENDER_THREADS at once; who waits for nothing urgent waits behind others.

    A thread goes from one picture to the next without asking the loop, which is busy with the requests for them."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._working = 0
        """Threads that take pictures from the queues."""
        self._urgent: deque[_Job] = deque()
        self._others: deque[_Job] = deque()
        self._patience: asyncio.TimerHandle | None = None

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
        loop = asyncio.get_running_loop()
        job = _Job(frame, values, options, loop.time() + RENDER_WAIT_S, loop.create_future())
        with self._lock:
            is_short = self._working < RENDER_THREADS
            # As with the children, thumbnails may fill half of the room, so that a reader always finds some.
            waiting = len(self._urgent) + len(self._others)
            if not is_short and waiting >= (RENDER_QUEUE if urgent else RENDER_QUEUE // 2):
                raise OutOfResources("RENDER_QUEUE")
            (self._urgent if urgent else self._others).append(job)
            self._working += is_short
        if is_short:
            try:
                loop.run_in_executor(None, self._work, loop)
            except BaseException:
                with self._lock:
                    self._working -= 1
                raise
        if self._patience is None:
            self._patience = loop.call_at(job.until, self._lose_patience)
        return await job.answer

    def _lose_patience(self) -> None:
        """Tells those that have waited too long, and looks again when the next one will have."""
        loop = asyncio.get_running_loop()
        self._patience = None
        with self._lock:
            for waiting in (self._urgent, self._others):
                while waiting and waiting[0].until <= loop.time():
                    late = waiting.popleft()
                    if not late.answer.done():
                        late.answer.set_exception(OutOfResources("RENDER_WAIT_S"))
            first = min((each[0].until for each in (self._urgent, self._others) if each), default=None)
        if first is not None:
            self._patience = loop.call_at(first, self._lose_patience)

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        """Makes what waits, in a thread, until there is nothing left."""
        while (job := self._taken()) is not None:
            made: Picture | Exception
            try:
                made = _made(job.frame, job.values, job.options)
            except Exception as problem:  # told to whoever asked, whatever it is
                made = problem
            loop.call_soon_threadsafe(_tell, job.answer, made)

    def _taken(self) -> _Job | None:
        """The next one whose asker has not gone away; None, and the thread is none of ours any more."""
        with self._lock:
            for waiting in (self._urgent, self._others):
                while waiting:
                    job = waiting.popleft()
                    if not job.answer.done():
                        return job
            self._working -= 1
            return None


def _tell(answer: asyncio.Future[Picture], made: Picture | Exception) -> None:
    if answer.done():
        return  # nobody waits for it any more
    if isinstance(made, Exception):
        answer.set_exception(made)
    else:
        answer.set_result(made)


def _made(frame: Callable[[], EncodedFrame], values: DisplayValues, options: PictureOptions) -> Picture:
    read = frame()
    try:
        return picture_of(decode_frame(read), read.layout, values, options)
    except MemoryError:
        raise LimitExceeded("MAX_RENDERED_HERE_BYTES") from None
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise DamagedData(f"cannot be shown: {type(error).__name__}") from error
