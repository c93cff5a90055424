"""Work that can wait makes way while something is asked of the server.

Python runs one thread at a time. A thread that computes for seconds is given its turn each time the event loop waits
for the system, so what leaves in many small steps, as a study by C-GET does, takes several times as long beside it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import Executor
from typing import Final, TypeVar

Made = TypeVar("Made")

_BUSY_SHARE: Final = 0.15
"""Of one core: what the rest of the process uses while something is asked of it; an idle server uses a hundredth."""
_TIMES: Final = 9
"""How many times as long as a step took is waited behind it: a tenth of the time is left to such work."""
_LISTENED_S: Final = 0.001
"""How long is listened behind a step in which nothing was noticed: who gives Python's lock up in each system call, and
waits a millisecond to have it back, uses next to nothing beside a step, and all the more when it is over."""
_LONGEST_WAIT_S: Final = 0.1
"""A step that was slow because others were at work is not waited for so much longer."""


async def making_way(executor: Executor, steps: Iterable[Callable[[], Made]]) -> AsyncIterator[Made]:
    """What the steps give, in order, each run in a thread. Takes at most ten times as long as it would by itself, or
    _LONGEST_WAIT_S more for each step. A step should take some milliseconds."""
    loop = asyncio.get_running_loop()
    for step in steps:
        made, seconds, share = await loop.run_in_executor(executor, _measured, step)
        yield made
        if share > _BUSY_SHARE:
            await asyncio.sleep(min(_TIMES * seconds, _LONGEST_WAIT_S))


def _measured(step: Callable[[], Made]) -> tuple[Made, float, float]:
    """What a step gives, the seconds that it took, and the share of a core that other threads used beside it, or behind
    it where that is more."""
    begun, others = time.monotonic(), _others()
    made = step()
    seconds = time.monotonic() - begun
    share = (_others() - others) / seconds if seconds > 0.0 else 0.0
    if share <= _BUSY_SHARE:
        begun, others = time.monotonic(), _others()
        time.sleep(_LISTENED_S)
        share = (_others() - others) / (time.monotonic() - begun)
    return made, seconds, share


def _others() -> float:
    """Seconds of processor time that all other threads have used."""
    return time.process_time() - time.thread_time()
