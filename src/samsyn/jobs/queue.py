"""The job table: enqueue inside a record, claim in this process, finish or retry.

A job is (kind, name), unique: enqueuing again moves nothing that waits. Work is at least once: a crash between
doing and finishing repeats it, so every kind of work must bear repetition.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from samsyn.clock import Clock
from samsyn.errors import SamsynError
from samsyn.store.index import job_rows
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction

log = logging.getLogger(__name__)

_MAX_ATTEMPTS = 5
_POLL_S = 1.0


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work."""

    key: int
    kind: str
    name: str
    payload: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Later:
    """An answer of work that is not ripe: look again after so many seconds (no attempt is counted)."""

    seconds: float


Work = Callable[[Job], Awaitable[Later | None]]


def enqueue(
    transaction: Transaction, kind: str, name: str, payload: str = "", delay_s: float = 0.0, priority: int = 5
) -> None:
    """Adds a job to the record in the making, unless one of the same kind and name waits already."""
    if transaction.one("SELECT 1 FROM job WHERE kind = ? AND name = ?", kind, name) is not None:
        return
    run_at = datetime.fromisoformat(transaction.time) + timedelta(seconds=delay_s)
    transaction.insert(
        "job",
        job_key=transaction.next_key("job"),
        kind=kind,
        name=name,
        payload=payload,
        priority=priority,
        run_at=run_at.isoformat(),
        attempt=0,
        state="ready",
        error="",
    )


class Worker:
    """Does ready jobs one after another in the background, lowest priority number first."""

    def __init__(self, store: Store, clock: Clock, work: dict[str, Work]) -> None:
        self._store = store
        self._clock = clock
        self._work = work
        self._task: asyncio.Task[None] | None = None
        self.done = 0
        """Jobs finished since start, for metrics."""
        self.parked = 0
        """Jobs given up since start, for metrics."""

    def start(self) -> None:
        """Begins on the running event loop."""
        self._task = asyncio.create_task(self._run(), name="jobs")

    async def stop(self) -> None:
        """Stops after what can be interrupted; unfinished jobs are done after the next start."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            now = self._clock.now().isoformat()
            rows = await self._store.read(partial(job_rows.ready, until=now, limit=32))
            for row in rows:
                await self._do(Job(*row))
            if not rows:
                await asyncio.sleep(_POLL_S)

    async def _do(self, job: Job) -> None:
        try:
            answer = await self._work[job.kind](job)
        except (SamsynError, OSError, ValueError, KeyError) as problem:
            await self._retry(job, f"{type(problem).__name__}: {getattr(problem, 'detail', problem)}")
            return
        if answer is None:
            self.done += 1
            await self._store.commit(lambda transaction: transaction.delete("job", job_key=job.key))
        else:
            await self._postpone(job, answer.seconds, job.attempt, "")

    async def _retry(self, job: Job, error: str) -> None:
        attempt = job.attempt + 1
        log.warning("job-failed", extra={"kind": job.kind, "attempt": attempt, "error": error[:200]})
        if attempt >= _MAX_ATTEMPTS:
            self.parked += 1
            await self._store.commit(
                lambda transaction: transaction.update(
                    "job", {"job_key": job.key}, state="parked", attempt=attempt, error=error[:500]
                )
            )
        else:
            await self._postpone(job, 2.0**attempt, attempt, error)

    async def _postpone(self, job: Job, seconds: float, attempt: int, error: str) -> None:
        run_at = (self._clock.now() + timedelta(seconds=seconds)).isoformat()
        await self._store.commit(
            lambda transaction: transaction.update(
                "job", {"job_key": job.key}, run_at=run_at, attempt=attempt, error=error[:500]
            )
        )
