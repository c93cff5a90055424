"""`MessageReader`: lends the reading of small messages to a child process while many messages are under way.

Reading is a third of what a message costs, needs no state and keeps the interpreter from everything else. The child is
started when it is first wanted and ends when nothing has been wanted for a while. It is a help and nothing more: what
it can not take, does not answer in time or refuses is answered with None, which means "read it yourself".
"""

import asyncio
import contextlib
import logging
import os
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import samsyn
from samsyn import limits
from samsyn.hl7v2.meaning import Interpretation
from samsyn.model.organisation import Owner
from samsyn.model.sender import Sender
from samsyn.reports.reading import words
from samsyn.reports.reading.words import Beginning, Wanted

log = logging.getLogger(__name__)

Answer = asyncio.Future[Interpretation | None]
Told = Callable[[list[Interpretation | None]], None]

_LOOK_EVERY_S = 5.0
_LONGEST_ANSWER_BYTES = 4 * limits.READING_AHEAD_BYTES
"""What a message means repeats its text and some words of its own."""


class MessageReader:
    """One child at the most; from one event loop only. `profiles`: the text of each by its name, as they are when the
    child starts."""

    def __init__(self, units: Mapping[str, Owner], profiles: Mapping[str, str]) -> None:
        self._units = units
        self._profiles = profiles
        self._serving: asyncio.Task[None] | None = None
        self._child: _Child | None = None
        self._waiting: list[tuple[Wanted, Answer]] = []
        self._asked: list[Answer] = []
        self._bytes = 0
        self._last = 0.0
        """When a message was last wanted."""
        self._asked_at = 0.0
        self._not_before = 0.0
        self.read = 0
        """Messages that the child has read since start."""

    async def meaning(self, profile: str, sender: Sender, raw: bytes) -> Interpretation | None:
        """What the message means, or None: read it yourself."""
        loop = asyncio.get_running_loop()
        self._last = loop.time()
        if self._child is None:
            self._start(loop)
            return None
        if self._bytes + len(raw) > limits.READING_AHEAD_BYTES:
            return None
        answer: Answer = loop.create_future()
        self._bytes += len(raw)
        if not self._waiting and not self._asked:
            loop.call_soon(self._send)  # with what else comes in this turn of the loop
        self._waiting.append((Wanted(profile, sender, raw), answer))
        try:
            return await answer
        finally:
            self._bytes -= len(raw)

    async def stop(self) -> None:
        """Ends the child."""
        self._not_before = float("inf")
        if self._serving is not None:
            self._serving.cancel()
            await asyncio.gather(self._serving, return_exceptions=True)

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._serving is None and loop.time() >= self._not_before:
            self._not_before = loop.time() + limits.READING_RESTART_S
            self._serving = loop.create_task(self._serve(loop), name="message-reader")

    def _send(self) -> None:
        """Asks for what waits, as one block; what comes meanwhile waits for the answer: blocks grow with the load."""
        if self._child is None or self._asked or not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        self._asked = [answer for _, answer in waiting]
        self._asked_at = self._last
        self._child.ask([wanted for wanted, _ in waiting])

    def _answered(self, meanings: list[Interpretation | None]) -> None:
        asked, self._asked = self._asked, []
        self._send()
        for answer, meaning in zip(asked, meanings, strict=True):
            self.read += meaning is not None
            if not answer.done():
                answer.set_result(meaning)

    async def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        """Starts the child, and lets go of everything when it ends."""
        child = _Child(self._answered)
        try:
            await child.start(Beginning(dict(self._units), dict(self._profiles)))
            self._child = child
            loop.call_later(_LOOK_EVERY_S, self._look, loop, child)
            await child.ended
        except (OSError, TimeoutError, ValueError) as problem:
            log.warning("message-reader-failed", extra={"reason": type(problem).__name__})
        finally:
            self._child = self._serving = None
            left = [*self._asked, *(answer for _, answer in self._waiting)]
            self._asked, self._waiting = [], []
            for answer in left:
                if not answer.done():
                    answer.set_result(None)
            await child.end()

    def _look(self, loop: asyncio.AbstractEventLoop, child: "_Child") -> None:
        """Ends a child that nobody has wanted for long, or that does not answer."""
        if child is not self._child:
            return
        is_stuck = bool(self._asked) and loop.time() - self._asked_at > limits.READING_DEADLINE_S
        if is_stuck or loop.time() - self._last > limits.READING_IDLE_S:
            log.info("message-reader-ends", extra={"reason": "stuck" if is_stuck else "idle"})
            child.hang_up()
        else:
            loop.call_later(_LOOK_EVERY_S, self._look, loop, child)


class _Child(asyncio.Protocol):
    """One process and the socket to it. `told` is called with each block of its answers."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._buffer = bytearray()
        self._is_there = asyncio.get_running_loop().create_future()
        self._process: asyncio.subprocess.Process | None = None
        self._transport: asyncio.Transport | None = None
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when it has hung up; ValueError: it answered nonsense."""

    async def start(self, beginning: Beginning) -> None:
        """It is there and knows the profiles. OSError, TimeoutError."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-s", "-m", "samsyn.reports.reading.child"),
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=asyncio.subprocess.DEVNULL,
                env=_environment(),
                # A terminal's Ctrl-C is for the parent, which then ends its children in order.
                start_new_session=True,
            )
        transport, _ = await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=ours)
        self._transport = transport
        self._transport.write(words.written(beginning) + words.written([]))
        async with asyncio.timeout(limits.READING_START_S):
            await self._is_there

    def ask(self, wanted: list[Wanted]) -> None:
        """One block, which is answered by one."""
        assert self._transport is not None
        self._transport.write(words.written(wanted))

    def data_received(self, data: bytes) -> None:
        """Whole blocks are told; the first one only says that it is there."""
        self._buffer += data
        head = words.HEAD.size
        while len(self._buffer) >= head:
            end = head + words.HEAD.unpack_from(self._buffer)[0]
            if end > _LONGEST_ANSWER_BYTES:
                self._fail()
                return
            if len(self._buffer) < end:
                return
            block = bytes(self._buffer[head:end])
            del self._buffer[:end]
            if not self._is_there.done():
                self._is_there.set_result(None)
                continue
            try:
                self._told(words.read(block))
            except Exception:
                # Whatever damaged bytes are taken for: the child is not to be believed any more.
                self._fail()
                return

    def connection_lost(self, problem: Exception | None) -> None:
        """It has hung up."""
        if not self._is_there.done():
            self._is_there.set_exception(ConnectionError("the child hung up"))
        if not self.ended.done():
            self.ended.set_result(None)

    def hang_up(self) -> None:
        """It ends, and `ended` is done."""
        if self._transport is not None:
            self._transport.abort()

    def _fail(self) -> None:
        if not self.ended.done():
            self.ended.set_exception(ValueError("the child answered nonsense"))
        self.hang_up()

    async def end(self) -> None:
        """Kills and reaps it."""
        self.hang_up()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        if self.ended.done():
            self.ended.exception()  # told to whoever waited for it, if anybody did


def _environment() -> dict[str, str]:
    """Only what the child needs: no secret of the parent's environment goes to where strangers' bytes are read."""
    return {
        "PYTHONPATH": str(Path(samsyn.__file__).resolve().parent.parent),
        "LANG": "C.UTF-8",
        **({"PATH": os.environ["PATH"]} if "PATH" in os.environ else {}),
    }
