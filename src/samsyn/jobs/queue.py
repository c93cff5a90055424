"""The job table: enqueue inside a record, claim by a lease (where there are several nodes), finish or retry.

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
from samsyn.jobs.leases import JOB, Leases
from samsyn.store.index import job_rows
from samsyn.store.index.port import FAULTS
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction
from samsyn.tasks import ended

log = logging.getLogger(__name__)

_POLL_S = 1.0
_TAKEN_AT_ONCE = 32


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
    """An answer of work that is not ripe: look again after so many seconds.

    No attempt is counted, and nothing is written: after a restart the job is looked at at once.
    """

    seconds: float


@dataclass(frozen=True, slots=True)
class Patience:
    """How often failed work is tried again, and how long the pauses become (doubled from two seconds)."""

    attempts: int = 5
    longest_pause_s: float = 60.0

    def pause_s(self, attempt: int) -> float:
        """The pause after that many attempts."""
        return float(min(2.0 ** min(attempt, 32), self.longest_pause_s))


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
    """Does ready jobs of its kinds in the background, lowest priority number first, `places` at a time."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        work: dict[str, Work],
        places: int = 1,
        patience: Patience | None = None,
        leases: Leases | None = None,
    ) -> None:
        """`leases`: by which nodes agree who does what; None = there is no other node."""
        self._store = store
        self._leases = leases
        self._clock = clock
        self._work = work
        self._most = places
        self._places = asyncio.Semaphore(places)
        self._patience = patience or Patience()
        self._task: asyncio.Task[None] | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._under_way: dict[int, asyncio.Task[None]] = {}
        self._unripe: dict[int, float] = {}
        """Jobs that asked to be looked at later, and when, on the monotonic clock."""
        self._woken = asyncio.Event()
        self.done = 0
        """Jobs finished since start, for metrics."""
        self.parked = 0
        """Jobs given up since start, for metrics."""

    def start(self) -> None:
        """Begins on the running event loop."""
        self._task = asyncio.create_task(self._run(), name="jobs")
        if self._leases is not None:
            self._renewing = asyncio.create_task(self._renew(self._leases), name="job-leases")

    def wake(self) -> None:
        """Something was enqueued: do not wait for the next look."""
        self._woken.set()

    async def stop(self) -> None:
        """Stops after what can be interrupted; unfinished jobs are done after the next start."""
        held = {str(key) for key in (*self._under_way, *self._unripe)}
        await ended(*self._under_way.values(), self._task, self._renewing)
        if self._leases is not None:
            await self._leases.release(JOB, held)

    async def _run(self) -> None:
        kinds = tuple(self._work)
        while True:
            self._woken.clear()
            try:
                waiting = await self._claimed(await self._ready(kinds), kinds)
            except (SamsynError, *FAULTS) as problem:  # the index is away: it is asked again
                log.warning("jobs-not-read", extra={"error": type(problem).__name__})
                waiting = []
            for job in waiting:
                await self._places.acquire()
                self._under_way[job.key] = asyncio.create_task(self._do(job), name=f"job-{job.kind}")
            if not waiting:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_POLL_S):
                        await self._woken.wait()

    async def _ready(self, kinds: tuple[str, ...]) -> list[Job]:
        now, elapsed = self._clock.now().isoformat(), self._clock.monotonic()
        self._unripe = {key: ripe for key, ripe in self._unripe.items() if ripe > elapsed}
        limit = _TAKEN_AT_ONCE + len(self._under_way) + len(self._unripe)
        # What is done while the index is read may still stand in the answer, and must not be done again.
        before = set(self._under_way)
        rows = await self._store.read(partial(job_rows.ready, until=now, limit=limit, kinds=kinds))
        left_alone = before | self._under_way.keys() | self._unripe.keys()
        return [Job(*row) for row in rows if row[0] not in left_alone]

    async def _claimed(self, jobs: list[Job], kinds: tuple[str, ...]) -> list[Job]:
        """Those of the jobs whose leases this node got, and which are still to be done now that it has them."""
        if self._leases is None or not jobs:
            return jobs
        free = max(1, self._most - len(self._under_way))  # what waits here longer than a lease is another's
        ours: set[str] = set()
        for first in range(0, len(jobs), free):
            ours = await self._leases.claim(JOB, {str(job.key) for job in jobs[first : first + free]})
            if ours:
                break
        if not ours:
            return []
        still = await self._ready(kinds)
        await self._leases.release(JOB, ours - {str(job.key) for job in still})
        return [job for job in still if str(job.key) in ours]

    async def _renew(self, leases: Leases) -> None:
        while True:
            await asyncio.sleep(leases.seconds / 3)
            await leases.claim(JOB, {str(key) for key in self._under_way})

    async def _do(self, job: Job) -> None:
        try:
            await self._work_on(job)
        except asyncio.CancelledError:
            raise
        except Exception:
            # The store refused the outcome: the job is as it was and is done again.
            log.exception("job-failed", extra={"kind": job.kind, "attempt": job.attempt})
            await asyncio.sleep(_POLL_S)
        finally:
            del self._under_way[job.key]
            self._places.release()
            if self._leases is not None and job.key not in self._unripe:
                await self._leases.release(JOB, {str(job.key)})

    async def _work_on(self, job: Job) -> None:
        try:
            answer = await self._work[job.kind](job)
        except (SamsynError, OSError, ValueError, KeyError) as problem:
            await self._retry(job, f"{type(problem).__name__}: {getattr(problem, 'detail', problem)}")
            return
        if answer is None:
            self.done += 1
            await self._store.commit(lambda transaction: transaction.delete("job", job_key=job.key))
        else:
            self._unripe[job.key] = self._clock.monotonic() + answer.seconds

    async def _retry(self, job: Job, error: str) -> None:
        attempt = job.attempt + 1
        log.warning("job-failed", extra={"kind": job.kind, "attempt": attempt, "error": error[:200]})
        if attempt >= self._patience.attempts:
            self.parked += 1
            await self._store.commit(
                lambda transaction: transaction.update(
                    "job", {"job_key": job.key}, state="parked", attempt=attempt, error=error[:500]
                )
            )
        else:
            await self._postpone(job, self._patience.pause_s(attempt), attempt, error)

    async def _postpone(self, job: Job, seconds: float, attempt: int, error: str) -> None:
        run_at = (self._clock.now() + timedelta(seconds=seconds)).isoformat()
        await self._store.commit(
            lambda transaction: transaction.update(
                "job", {"job_key": job.key}, run_at=run_at, attempt=attempt, error=error[:500]
            )
        )
