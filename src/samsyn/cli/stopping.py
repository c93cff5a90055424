"""What SIGTERM and SIGINT do to a verb: an event for whoever waits, or the end of what may be left off anywhere.

Making an index anew takes minutes to hours, and so does catching up with a long journal. Nothing of it is lost or half
done when it is left off at any place, as a crash does; so it need not ask all the time whether it should.
"""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class Stopped(BaseException):
    """The process was told to end. Nothing catches it as a fault."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number
        """What a shell makes of a process that this signal has ended."""


class StopSignals:
    """From now on both signals set `told` instead of ending the process; inside `left_off` they raise Stopped as well,
    on the main thread, wherever it is. Make it on the running loop of the main thread."""

    def __init__(self) -> None:
        self.told = asyncio.Event()
        self._number = 0
        self._raises = False
        loop = asyncio.get_running_loop()
        for name in _SIGNALS:
            loop.add_signal_handler(name, self.told.set)  # which also wakes the loop
            signal.signal(name, self._note)

    @contextmanager
    def left_off(self) -> Iterator[None]:
        """Raises Stopped at a signal, also at one that came before."""
        self._raises = True
        try:
            if self._number:
                raise Stopped(self._number)
            yield
        finally:
            self._raises = False

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._number = number
        if self._raises:
            raise Stopped(number)


@contextmanager
def stopped_anywhere() -> Iterator[None]:
    """For a verb without a loop, on the main thread: a signal raises Stopped wherever it is. Behind it the verb ends by
    itself, and no signal is heeded any more."""

    def leave(number: int, _frame: FrameType | None) -> None:
        raise Stopped(number)

    for name in _SIGNALS:
        signal.signal(name, leave)
    try:
        yield
    finally:
        for name in _SIGNALS:
            signal.signal(name, signal.SIG_IGN)
