"""The local copy of a national register of consents or care relations, provider by provider.

Read every few seconds from where the last reading ended, with what was taken back meanwhile; whole now and then, since
the contracts do not say that a grant which was taken back long after it was stored is told again. A grant that is
gone closes before a new one opens. A copy that is older than the set age opens nothing at all: nobody can tell what
has been withdrawn.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from samsyn import limits
from samsyn.access.masters import put_grant
from samsyn.access.national.grants import GrantContract
from samsyn.access.registers import Registers, utc_text
from samsyn.clock import Clock
from samsyn.errors import LimitExceeded, OutOfResources, SamsynError
from samsyn.model.national import NationalGrant, Register
from samsyn.store.index import grant_rows, register_rows
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction
from samsyn.tasks import ended

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a copy is read on, how often whole, and at what age it opens nothing."""

    every_s: float
    whole_every: timedelta
    stale_after: timedelta


@dataclass(frozen=True, slots=True)
class GrantReading:
    """What one reading changed in the copy."""

    whole: bool
    changed: int
    gone: int


class GrantCopy:
    """Keeps the copy of one register for the connected providers."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        registers: Registers,
        contract: GrantContract,
        providers: Sequence[str],
        pace: Pace,
    ) -> None:
        self._store = store
        self._clock = clock
        self._registers = registers
        self._contract = contract
        self._providers = tuple(providers)
        self._pace = pace
        self._read_at: dict[str, datetime] = {}
        self._states: dict[str, grant_rows.Reading] = {}
        self._kept_at: dict[str, datetime] = {}
        self._task: asyncio.Task[None] | None = None

    @property
    def register(self) -> Register:
        """Which register it is the copy of."""
        return self._contract.register

    def is_known(self, provider: str) -> bool:
        """Whether the copy of the provider's grants is young enough to stand on; read in the future, it is as old."""
        read_at = self._read_at.get(provider)
        return read_at is not None and abs(self._clock.now() - read_at) <= self._pace.stale_after

    def age_s(self) -> float:
        """Seconds since the last good reading of the provider that was read longest ago; -1 before the first."""
        if len(self._read_at) < len(self._providers) or not self._read_at:
            return -1.0
        return (self._clock.now() - min(self._read_at.values())).total_seconds()

    async def start(self) -> None:
        """Takes up the copy of the last run, and begins to read."""
        await self.follow()
        self._task = asyncio.create_task(self._read_for_ever(), name=f"national-{self.register.value}")

    async def follow(self) -> None:
        """Takes up how old the copy is: another node may be the one that reads."""
        for provider in self._providers:
            state = await self._state(provider)
            if state is not None:
                self._read_at[provider] = datetime.fromisoformat(state.read_at)

    async def stop(self) -> None:
        """Ends the reading, until the next start."""
        await ended(self._task)
        self._task = None

    async def read(self, provider: str) -> GrantReading:
        """Reads one provider's grants. OutOfResources, LimitExceeded: the copy stays as it was and grows older."""
        began = self._clock.now()
        state = await self._state(provider)
        whole = state is None or began - datetime.fromisoformat(state.whole_at) >= self._pace.whole_every
        since = "" if whole or state is None else state.more_on
        told: dict[str, NationalGrant] = {}
        cancelled: set[str] = set()
        for _ in range(limits.MAX_NATIONAL_PAGES):
            page = await self._contract.page(provider, since)
            told |= {grant.grant_id: grant for grant in page.grants}
            cancelled |= page.cancelled
            if len(told) + len(cancelled) > limits.MAX_NATIONAL_GRANTS:
                raise LimitExceeded("MAX_NATIONAL_GRANTS")
            if page.has_more and page.more_on == since:
                raise OutOfResources("the national register tells the same part again and again")
            since = page.more_on
            if not page.has_more:
                break
        else:
            raise LimitExceeded("MAX_NATIONAL_PAGES")
        for grant_id in cancelled:
            told.pop(grant_id, None)
        reading = await self._take_over(provider, told, cancelled, whole)
        whole_at = utc_text(began) if whole or state is None else state.whole_at
        self._states[provider] = now = grant_rows.Reading(since, utc_text(began), whole_at)
        self._read_at[provider] = began
        if reading.changed or reading.gone or self._is_due(provider, began):
            await self._remember(provider, now)
            self._kept_at[provider] = began
        return reading

    def _is_due(self, provider: str, began: datetime) -> bool:
        """Where nothing changes, the place is written down now and then only: a restart reads a little twice."""
        kept_at = self._kept_at.get(provider)
        return kept_at is None or (began - kept_at).total_seconds() >= limits.NATIONAL_MARK_S

    async def _remember(self, provider: str, state: grant_rows.Reading) -> None:
        await self._store.commit(
            lambda transaction: transaction.replace(
                "national_reading",
                register=self.register.value,
                provider=provider,
                more_on=state.more_on,
                read_at=state.read_at,
                whole_at=state.whole_at,
            )
        )

    async def _take_over(
        self, provider: str, told: dict[str, NationalGrant], cancelled: set[str], whole: bool
    ) -> GrantReading:
        kept = await self._store.read(
            lambda connection: grant_rows.grants(register_rows.asking(connection), self.register, provider)
        )
        gone = [grant_id for grant_id in kept if grant_id in cancelled or (whole and grant_id not in told)]
        changed = [grant for grant in told.values() if kept.get(grant.grant_id) != grant]
        size = limits.NATIONAL_GRANTS_PER_RECORD
        for start in range(0, len(gone), size):
            await self._registers.change(partial(self._remove, gone[start : start + size]))
        for start in range(0, len(changed), size):
            await self._registers.change(partial(self._put, changed[start : start + size]))
        return GrantReading(whole, len(changed), len(gone))

    def _remove(self, gone: Sequence[str], transaction: Transaction) -> None:
        for grant_id in gone:
            transaction.delete("national_grant", register=self.register.value, grant_id=grant_id)

    def _put(self, grants: Sequence[NationalGrant], transaction: Transaction) -> None:
        for grant in grants:
            put_grant(transaction, self.register, grant)

    async def _state(self, provider: str) -> grant_rows.Reading | None:
        if provider in self._states:
            return self._states[provider]
        return await self._store.read(
            lambda connection: grant_rows.reading(register_rows.asking(connection), self.register, provider)
        )

    async def _read_for_ever(self) -> None:
        while True:
            for provider in self._providers:
                try:
                    await self.read(provider)
                except SamsynError as problem:
                    told = {"error": problem.detail, "source": self.register.value, "provider": provider}
                    log.warning("national-register-unread", extra=told)
            await asyncio.sleep(self._pace.every_s)
