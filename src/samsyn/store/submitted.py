"""What waits for the writer, and how whoever submitted it is told."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from samsyn.model.sender import Receipt
from samsyn.model.value import value
from samsyn.store.batch import Ahead
from samsyn.store.spool import SpooledBody
from samsyn.store.transaction import Transaction

log = logging.getLogger(__name__)

T = TypeVar("T")
Body = bytes | bytearray | memoryview


@value
class Committed(Generic[T]):
    """What a decision answered, with the proof that it is durable."""

    receipt: Receipt
    value: T


Answer = Committed[Any] | BaseException


@dataclass(slots=True)
class Submitted:
    """One decision that waits, and its answer when it was made."""

    decide: Callable[[Transaction], Any]
    body: Body | SpooledBody | None
    sha256: str
    checksum: int | None
    ahead: Ahead | None
    loop: asyncio.AbstractEventLoop
    done: Callable[[Any], None] | None
    """Told the answer on the loop; None = whoever runs the commit takes it."""
    answer: Answer | None = None
    waits: bool = False
    """Whether it comes from a session that sends nothing more before it has its answer."""


def tell(items: Iterable[Submitted]) -> None:
    """Has each told its answer on its own loop, those of a loop together."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Submitted]] = {}
    for item in items:
        by_loop.setdefault(item.loop, []).append(item)
    for loop, of_loop in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(resolve, of_loop)


def resolve(items: list[Submitted]) -> None:
    """Tells each its answer, on the thread of its own loop."""
    for item in items:
        if item.done is not None:
            try:
                item.done(item.answer)
            except Exception:  # the others are told all the same
                log.exception("answer failed")


def fulfil(future: "asyncio.Future[Committed[Any]]", answer: Answer) -> None:
    """Lets the one who awaits the future have the answer."""
    if future.done():
        return
    if isinstance(answer, Committed):
        future.set_result(answer)
    else:
        future.set_exception(answer)
