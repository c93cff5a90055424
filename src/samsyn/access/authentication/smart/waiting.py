"""Things that wait under a one-time secret for a short while: requests, codes, launches. Bounded."""

from collections import OrderedDict
from typing import Generic, TypeVar

from samsyn import limits
from samsyn.access.authentication.tokens import new_secret
from samsyn.clock import Clock

T = TypeVar("T")


class Waiting(Generic[T]):
    """The oldest gives way when there are more than limits.MAX_PENDING_LOGINS."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._kept: OrderedDict[str, tuple[float, T]] = OrderedDict()

    def put(self, value: T) -> str:
        """The secret."""
        secret = new_secret()
        self._kept[secret] = (self._clock.monotonic(), value)
        while len(self._kept) > limits.MAX_PENDING_LOGINS:
            self._kept.popitem(last=False)
        return secret

    def look(self, secret: str) -> T | None:
        """What waits, and goes on waiting. None: unknown, taken or too old."""
        found = self._kept.get(secret)
        if found is None or self._clock.monotonic() - found[0] > self._seconds:
            return None
        return found[1]

    def take(self, secret: str) -> T | None:
        """What waits, which nobody else gets."""
        value = self.look(secret)
        self._kept.pop(secret, None)
        return value
