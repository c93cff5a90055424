"""A small pool of decoding children behind one bounded queue.

What it promises: a frame that crashes, hangs or blows up its decoder costs that one picture (DamagedData or
LimitExceeded); the parent never holds decoded pixels that it did not ask for, and never more bytes of an
answer than the limits allow; a child that died is replaced at once.
"""

import asyncio
import contextlib
import fcntl
import itertools
import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import samsyn
from samsyn.errors import BadInput, DamagedData, LimitExceeded, NotSupported, OutOfResources, SamsynError
from samsyn.limits import (
    MAX_DECODED_BYTES,
    MAX_RENDERED_BYTES,
    MIB,
    RENDER_CHILD_FRAMES,
    RENDER_CHILD_IDLE_S,
    RENDER_CHILDREN,
    RENDER_DEADLINE_S,
    RENDER_QUEUE,
    RENDER_RESTART_S,
    RENDER_WAIT_S,
)
from samsyn.render.messages import (
    ANSWER_BYTES,
    WINDOW,
    Answer,
    Decode,
    Guess,
    Icon,
    Outcome,
    Question,
    Show,
    Trace,
    parsed_answer,
    question_parts,
)
from samsyn.render.words import (
    DecodedFrame,
    DisplayValues,
    EncodedFrame,
    Picture,
    PictureFormat,
    PictureOptions,
    Voi,
    Waveform,
    Window,
)
from samsyn.tasks import ended

_MAX_REFUSAL_BYTES: Final = 4_096
_START_TIMEOUT_S: Final = 20.0
_F_SETPIPE_SZ: Final = 1031
"""Linux fcntl: a pipe of 1 MiB takes a whole CT frame in one wake-up."""


@dataclass(order=True, slots=True)
class _Job:
    priority: int
    turn: int
    question: Question = field(compare=False)
    result: "asyncio.Future[tuple[Answer, bytes]]" = field(compare=False)


class DecodingChildren:
    """The pool. `start` before use and `stop` at the end; every method may be called from many tasks at once."""

    def __init__(self, count: int = RENDER_CHILDREN, idle_s: float = RENDER_CHILD_IDLE_S) -> None:
        """`count`: children at the most; `idle_s`: how long all but the first stay when nothing is asked of them."""
        self._count = count
        self._idle_s = idle_s
        self._free = 0
        """Children that wait for a question."""
        self._short = asyncio.Event()
        """Set when a picture was asked for that no child was free for."""
        self._queue: asyncio.PriorityQueue[_Job] = asyncio.PriorityQueue()
        self._turns = itertools.count()
        self._workers: list[asyncio.Task[None]] = []
        self.restarts = 0
        """Children that died or were killed while making a picture, since start: for the metrics."""

    async def start(self) -> None:
        """Starts the first child, which warms up in the background and stays; pictures wait for it."""
        self._workers = [
            asyncio.create_task(self._work(is_kept=n == 0), name=f"render-{n}") for n in range(self._count)
        ]

    async def stop(self) -> None:
        """Kills the children; waiting pictures end with OutOfResources."""
        await ended(*self._workers)
        self._workers = []
        while not self._queue.empty():
            job = self._queue.get_nowait()
            if not job.result.done():
                job.result.set_exception(OutOfResources("rendering has stopped"))

    @property
    def waiting(self) -> int:
        """Pictures in the queue: for the metrics."""
        return self._queue.qsize()

    async def picture(
        self, frame: EncodedFrame, values: DisplayValues, options: PictureOptions, urgent: bool = True
    ) -> Picture:
        """The frame as a picture. Not urgent (thumbnails) waits behind what a reader is looking at.

        Raises DamagedData, LimitExceeded, NotSupported, BadInput (options), OutOfResources (queue full).
        """
        answer, data = await self._ask(Show(frame, values, options), urgent)
        return Picture(data, options.format.value, answer.width, answer.height)

    async def decoded(
        self, frame: EncodedFrame, urgent: bool = True, to_ybr: bool = False, by_plane: bool = False
    ) -> DecodedFrame:
        """The frame's stored values, uncompressed, for receivers that can not decode; see messages.Decode."""
        answer, data = await self._ask(Decode(frame, to_ybr, by_plane), urgent)
        return DecodedFrame(data, answer.height, answer.width, answer.samples, answer.bits)

    async def window(self, frame: EncodedFrame, values: DisplayValues) -> Window:
        """A window that suits the frame, for a series whose headers have none; LINEAR_EXACT, width > 0."""
        _, data = await self._ask(Guess(frame, values), urgent=True)
        center, width = WINDOW.unpack(data)
        return Window(center, width, Voi.LINEAR_EXACT)

    async def trace(
        self, waveform: Waveform, longest_side: int | None = None, urgent: bool = True
    ) -> Picture:
        """The waveform drawn at 25 mm/s and 10 mm/mV, as PNG."""
        answer, data = await self._ask(Trace(waveform, longest_side), urgent)
        return Picture(data, PictureFormat.PNG.value, answer.width, answer.height)

    async def icon(self, kind: str, side: int) -> Picture:
        """The neutral sign for a kind of object that has no picture, as PNG (see icons.icon)."""
        answer, data = await self._ask(Icon(kind, side), urgent=False)
        return Picture(data, PictureFormat.PNG.value, answer.width, answer.height)

    async def _ask(self, question: Question, urgent: bool) -> tuple[Answer, bytes]:
        if not self._workers:
            raise OutOfResources("rendering is not running")
        # Thumbnails may fill half of the queue, so that a reader always finds room.
        if self._queue.qsize() >= (RENDER_QUEUE if urgent else RENDER_QUEUE // 2):
            raise OutOfResources("RENDER_QUEUE")
        result: asyncio.Future[tuple[Answer, bytes]] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait(_Job(0 if urgent else 1, next(self._turns), question, result))
        if self._queue.qsize() > self._free:
            self._short.set()
        try:
            answer, data = await asyncio.wait_for(result, RENDER_WAIT_S)
        except TimeoutError:
            raise OutOfResources("RENDER_WAIT_S") from None
        if answer.outcome is not Outcome.DONE:
            raise _refusal(answer.outcome, data.decode("ascii", "replace"))
        return answer, data

    async def _work(self, is_kept: bool) -> None:
        """One child's life after life: started, asked, replaced; unless `is_kept`, only while there is work for it."""
        pause = 0.0
        while True:
            await asyncio.sleep(pause)
            if not is_kept:
                await self._short.wait()
            child: _Child | None = None
            try:
                child = await _Child.started()
                pause = 0.0
                await self._feed(child, None if is_kept else self._idle_s)
            except _ChildGone:
                if child is None:
                    pause = min(max(2 * pause, 0.1), RENDER_RESTART_S)
                else:
                    self.restarts += 1
            finally:
                if child is not None:
                    await child.end()

    async def _feed(self, child: "_Child", idle_s: float | None) -> None:
        for _ in range(RENDER_CHILD_FRAMES):
            job = await self._next_job(idle_s)
            if job is None:
                return
            if job.result.done():
                continue
            try:
                answer = await child.ask(job.question)
            except _ChildGone as gone:
                if not job.result.done():
                    job.result.set_exception(gone.verdict)
                raise
            except asyncio.CancelledError:
                if not job.result.done():
                    job.result.set_exception(OutOfResources("rendering has stopped"))
                raise
            if not job.result.done():
                job.result.set_result(answer)
            if child.has_ended_itself:
                return

    async def _next_job(self, idle_s: float | None) -> _Job | None:
        """The next one, or None when there is none for so long."""
        self._free += 1
        try:
            async with asyncio.timeout(idle_s):
                return await self._queue.get()
        except TimeoutError:
            if self._queue.empty():  # one may have come in just this moment
                self._short.clear()
            return None
        finally:
            self._free -= 1


def _refusal(outcome: Outcome, detail: str) -> SamsynError:
    match outcome:
        case Outcome.LIMIT:
            return LimitExceeded(detail)
        case Outcome.NOT_SUPPORTED:
            return NotSupported(detail)
        case Outcome.BAD_OPTIONS:
            return BadInput(detail)
        case _:
            return DamagedData(detail)


class _ChildGone(Exception):
    """The child died, was killed or answered nonsense; `verdict` is what the picture's asker gets."""

    def __init__(self, verdict: SamsynError) -> None:
        super().__init__(verdict.detail)
        self.verdict = verdict


class _Child:
    """One process and its two pipes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._to_child = process.stdin
        self._from_child = process.stdout
        self.has_ended_itself = False

    @classmethod
    async def started(cls) -> "_Child":
        """A warmed-up child. Raises _ChildGone when it does not come up."""
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-s", "-m", "samsyn.render.child"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=_environment(),
                limit=4 * MIB,
                # A terminal's Ctrl-C is for the parent, which then ends its children in order.
                start_new_session=True,
            )
        except OSError as error:
            raise _ChildGone(OutOfResources("no decoding child could be started")) from error
        child = cls(process)
        child._widen_pipes()
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                head = await child._from_child.readexactly(ANSWER_BYTES)
            if parsed_answer(head).outcome is not Outcome.READY:
                raise ValueError("not ready")
        except (TimeoutError, asyncio.IncompleteReadError, ValueError) as error:
            await child.end()
            raise _ChildGone(OutOfResources("the decoding child does not start")) from error
        except asyncio.CancelledError:
            await child.end()
            raise
        return child

    def _widen_pipes(self) -> None:
        for number in (0, 1):
            # asyncio names its process transport nowhere in public.
            # Without it, or when the user's pipe quota is used up: slower, not wrong.
            with contextlib.suppress(OSError, AttributeError):
                transport = self._process._transport.get_pipe_transport(number)  # type: ignore[attr-defined]
                fcntl.fcntl(transport.get_extra_info("pipe").fileno(), _F_SETPIPE_SZ, MIB)

    async def ask(self, question: Question) -> tuple[Answer, bytes]:
        """The child's answer within RENDER_DEADLINE_S. Raises _ChildGone."""
        try:
            async with asyncio.timeout(RENDER_DEADLINE_S):
                return await self._exchanged(question)
        except TimeoutError:
            raise _ChildGone(LimitExceeded("RENDER_DEADLINE_S")) from None
        except (asyncio.IncompleteReadError, ConnectionError):
            raise _ChildGone(await self._verdict()) from None
        except ValueError:
            raise _ChildGone(DamagedData("the decoder answered nonsense")) from None

    async def _exchanged(self, question: Question) -> tuple[Answer, bytes]:
        head, body = question_parts(question)
        self._to_child.write(head)
        if body:
            self._to_child.write(body)
        await self._to_child.drain()
        answer = parsed_answer(await self._from_child.readexactly(ANSWER_BYTES))
        if answer.length > _longest_answer(question, answer):
            raise ValueError("answer too long")
        data = await self._from_child.readexactly(answer.length)
        if answer.outcome is Outcome.LIMIT and data == b"DECODE_MEMORY_BYTES":
            self.has_ended_itself = True
        return answer, data

    async def _verdict(self) -> SamsynError:
        """Why the child died, from its exit status."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2.0):
                await self._process.wait()
        if self._process.returncode == -signal.SIGXCPU:
            return LimitExceeded("DECODE_TIMEOUT_S")
        return DamagedData("the decoder crashed on the frame")

    async def end(self) -> None:
        """Kills and reaps the child; its memory is free when this returns."""
        self._to_child.close()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()


def _longest_answer(question: Question, answer: Answer) -> int:
    if answer.outcome is not Outcome.DONE:
        return _MAX_REFUSAL_BYTES
    if isinstance(question, Guess):
        return WINDOW.size
    return MAX_DECODED_BYTES if isinstance(question, Decode) else MAX_RENDERED_BYTES


def _environment() -> dict[str, str]:
    """Only what the child needs: no secret of the parent's environment goes to where hostile bytes are read."""
    return {
        "PYTHONPATH": str(Path(samsyn.__file__).resolve().parent.parent),
        "LANG": "C.UTF-8",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",
        **({"PATH": os.environ["PATH"]} if "PATH" in os.environ else {}),
    }
