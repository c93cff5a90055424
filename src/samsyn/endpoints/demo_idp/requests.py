"""What the demo identity provider remembers: requests waiting for a choice, and codes waiting to be redeemed."""

import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from samsyn.clock import Clock
from samsyn.endpoints.demo_idp.personas import Persona

T = TypeVar("T")

MAX_WAITING: Final = 1_000
"""Requests or codes at the same time; a demo has a handful."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A valid authorization request."""

    client_id: str
    redirect_uri: str
    state: str
    nonce: str
    challenge: str
    language: str


@dataclass(frozen=True, slots=True)
class Grant:
    """What a code stands for. `assignment` is the place in the persona's list, -1 for a patient."""

    asked: Asked
    persona: Persona
    assignment: int


class Waiting(Generic[T]):
    """Things under unguessable names, for a bounded time and number; taken once or looked at."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._things: OrderedDict[str, tuple[float, T]] = OrderedDict()

    def put(self, thing: T) -> str:
        """The name of the thing."""
        name = secrets.token_urlsafe(32)
        self._things[name] = (self._clock.monotonic(), thing)
        while len(self._things) > MAX_WAITING:
            self._things.popitem(last=False)
        return name

    def look(self, name: str) -> T | None:
        """The thing, which stays; None when it is unknown or too old."""
        found = self._things.get(name)
        if found is None or self._clock.monotonic() - found[0] > self._seconds:
            return None
        return found[1]

    def take(self, name: str) -> T | None:
        """The thing, which is gone afterwards."""
        thing = self.look(name)
        self._things.pop(name, None)
        return thing
