"""How long a connection is waited for: one timer for all its waits, since a timer for each message costs as much as
framing it."""

import asyncio


class Patience:
    """Ends a connection's task when what it waits for does not come in time.

    `lasts_until` begins a wait, `rests` ends it. The timer is left to ring and only then set to the wait that is on.
    """

    def __init__(self, task: "asyncio.Task[None]") -> None:
        self._task = task
        self._loop = asyncio.get_running_loop()
        self._until: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def in_s(self, seconds: float) -> float:
        """The moment so many seconds from now, for `lasts_until`."""
        return self._loop.time() + seconds

    def lasts_until(self, moment: float) -> None:
        """The task is cancelled at that moment unless `rests` or a later moment has been said before."""
        self._until = moment
        if self._timer is None or self._timer.when() > moment:
            self._set(moment)

    def rests(self) -> None:
        """What was waited for has come."""
        self._until = None

    def close(self) -> None:
        """The connection is over."""
        self._until = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, moment: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(moment, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._until is None:
            return
        if self._until > self._loop.time():
            self._set(self._until)
        else:
            self._task.cancel()
