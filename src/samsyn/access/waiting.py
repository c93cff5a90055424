"""What waits for its browser under a secret for some minutes: log-ins under way, calls of record systems.

In the memory of one process, or, where there are several nodes, in what they share: the browser may come back to
another node than it left.
"""

from collections import OrderedDict
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter

from samsyn.clock import Clock
from samsyn.store.shared.port import SharedState

T = TypeVar("T")


class Waiting(Generic[T]):
    """Values by secret, each for `seconds`; with more than `most` the oldest must begin again."""

    def __init__(self, clock: Clock, seconds: float, most: int) -> None:
        self._clock = clock
        self._seconds = seconds
        self._most = most
        self._kept: OrderedDict[str, tuple[float, T]] = OrderedDict()

    def put(self, key: str, value: T) -> None:
        """The value waits from now on."""
        self._kept[key] = (self._clock.monotonic(), value)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def look(self, key: str) -> T | None:
        """The value, which goes on waiting. None: unknown, taken or too old."""
        found = self._kept.get(key)
        if found is None or self._clock.monotonic() - found[0] > self._seconds:
            return None
        return found[1]

    def take(self, key: str) -> T | None:
        """The value, which is used up by being asked for."""
        found = self.look(key)
        self._kept.pop(key, None)
        return found

    def once(self, key: str, value: T) -> bool:
        """Notes what may happen once; False when it has happened. What is over makes room, what is not is kept,
        however much there is."""
        while self._kept and self.look(next(iter(self._kept))) is None:
            self._kept.popitem(last=False)
        if key in self._kept:
            return False
        self._kept[key] = (self._clock.monotonic(), value)
        return True


class SharedWaiting(Waiting[T]):
    """The same for all nodes. OutOfResources: what they share can not be reached."""

    def __init__(self, shared: SharedState, kind: str, of: type[T], clock: Clock, seconds: float) -> None:
        super().__init__(clock, seconds, 0)
        self._shared = shared
        self._kind = kind
        self._form: TypeAdapter[Any] = TypeAdapter(of)

    def put(self, key: str, value: T) -> None:
        """See Waiting."""
        self._shared.put(self._kind, key, self._form.dump_json(value).decode(), self._seconds)

    def look(self, key: str) -> T | None:
        """See Waiting."""
        return self._read(self._shared.get(self._kind, key))

    def take(self, key: str) -> T | None:
        """See Waiting; of several nodes one gets it."""
        return self._read(self._shared.take(self._kind, key))

    def once(self, key: str, value: T) -> bool:
        """See Waiting."""
        return self._shared.put_once(self._kind, key, self._seconds)

    def _read(self, text: str | None) -> T | None:
        found: T | None = self._form.validate_json(text) if text is not None else None
        return found


class WaitingRooms:
    """Makes the places where things wait: here, or in what nodes share."""

    def __init__(self, clock: Clock, shared: SharedState | None = None) -> None:
        self._clock = clock
        self._shared = shared

    def room(self, kind: str, of: type[T], seconds: float, most: int) -> Waiting[T]:
        """A place for values of one type. `kind` tells the places apart where they are shared."""
        if self._shared is None:
            return Waiting(self._clock, seconds, most)
        return SharedWaiting(self._shared, kind, of, self._clock, seconds)
