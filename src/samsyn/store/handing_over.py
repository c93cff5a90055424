"""What is submitted in one turn of an event loop is decided together (ADR 0033)."""

import asyncio
from collections.abc import Callable
from typing import Final, TypeAlias

from samsyn import limits
from samsyn.store.spool import SpooledBody
from samsyn.store.submitted import Submitted

_TURN_AT_ONCE: Final = 16
"""Records of a turn that an event loop decides by itself: at some tenth of a millisecond each, nobody else waits longer
than for the largest thing that a loop does."""
_TURN_AT_ONCE_BYTES: Final = 64 * limits.KIB

Told: TypeAlias = Callable[[list[Submitted]], None]


class HandingOver:
    """Between the loops and whoever decides. Order is kept."""

    def __init__(self, alone: Told, together: Told) -> None:
        """`alone`: is given what need not wait for others, at once, and what is left at the end; `together`: what came
        in one turn of a loop, on its thread."""
        self._alone = alone
        self._together = together
        self._coming: dict[asyncio.AbstractEventLoop, list[Submitted]] = {}
        """What was submitted in this turn of a loop."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits to be handed over."""
        return not self._coming

    def waiting(self, loop: asyncio.AbstractEventLoop) -> int:
        """How much of this turn of the loop waits to be handed over."""
        return len(self._coming.get(loop, ()))

    def take(self, item: Submitted, is_alone: bool) -> None:
        """Lets it be decided with whatever else comes in this turn of the loop: woken by the first, the thread would
        take the interpreter from the others for a turn of one. Who comes alone does not wait."""
        coming = self._coming.get(item.loop)
        if coming is not None:
            coming.append(item)
        elif is_alone:
            self._alone([item])
        else:
            self._coming[item.loop] = [item]
            item.loop.call_soon(self._hand_over, item.loop)

    def finish(self) -> None:
        """Hands over all that is left."""
        for loop in tuple(self._coming):
            self._alone(self._coming.pop(loop))

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        items = self._coming.pop(loop, None)
        if items:
            self._together(items)


def is_small_turn(items: list[Submitted]) -> bool:
    """Whether these are few small records of sessions that all wait for their answers."""
    return (
        len(items) <= _TURN_AT_ONCE
        and all(item.waits and not isinstance(item.body, SpooledBody) for item in items)
        and sum(len(item.body or b"") for item in items) <= _TURN_AT_ONCE_BYTES
    )
