"""The end of work that runs beside: loops that read, send or tidy until they are stopped."""

import asyncio
import logging
from typing import Any, Final

log = logging.getLogger(__name__)

_AGAIN_S: Final = 5.0
"""Longer than what a task does on being cancelled, which a second cancellation would cut off."""


async def ended(*tasks: "asyncio.Task[Any] | None") -> None:
    """Cancels the tasks and waits until each has ended, however it did; None is no task.

    One that goes on is cancelled again after _AGAIN_S: where a library loses the cancellation that comes together with
    what it waited for, a loop would go on, and whoever stops it wait, for ever.
    """
    waiting = {task for task in tasks if task is not None}
    while waiting:
        for task in waiting:
            task.cancel()
        done, waiting = await asyncio.wait(waiting, timeout=_AGAIN_S)
        for task in done:
            problem = None if task.cancelled() else task.exception()
            if problem is not None:
                log.warning(
                    "task-failed",
                    extra={"kind": task.get_name(), "error": type(problem).__name__},
                    exc_info=problem,
                )
