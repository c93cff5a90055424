"""The local copy of the national blocks: read incrementally, whole again when a block was taken away.

When the service is dead the copy is stale but known; when it is older than the set age, nobody can tell what is
blocked, and everything but the own unit's information is closed until it answers again.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from samsyn import limits
from samsyn.access.national.blocking import BlockHeader, get_blocks
from samsyn.access.national.soap import SoapClient
from samsyn.access.registers import Registers, utc_text
from samsyn.clock import Clock
from samsyn.errors import LimitExceeded, OutOfResources, SamsynError
from samsyn.model.national import NationalBlock
from samsyn.store.index import national_rows, register_rows
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction
from samsyn.tasks import ended

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reading:
    """What one reading of the service changed in the copy."""

    whole: bool
    changed: int
    gone: int


class BlockReplica:
    """Keeps the copy. `is_known` is what the Gatekeeper asks before it trusts the register of blocks.

    Without a client there is no national service: the blocks that are kept here are all that there are.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        registers: Registers,
        client: SoapClient | None,
        *,
        stale_after: timedelta,
        every_s: float,
    ) -> None:
        self._store = store
        self._clock = clock
        self._registers = registers
        self._client = client
        self._stale_after = stale_after
        self._every_s = every_s
        self._read_at: datetime | None = None
        self._task: asyncio.Task[None] | None = None

    def is_known(self) -> bool:
        """Whether the copy is young enough to be trusted. One that was read in what is now the future is as old: a
        clock that was set back must not keep it young through an outage."""
        if self._client is None:
            return True
        return self._read_at is not None and abs(self._clock.now() - self._read_at) <= self._stale_after

    def age_s(self) -> float:
        """Seconds since the last good reading; -1 before the first."""
        return (self._clock.now() - self._read_at).total_seconds() if self._read_at else -1.0

    async def start(self) -> None:
        """Takes up the copy of the last run, and begins to read."""
        if self._client is None:
            return
        await self.follow()
        self._task = asyncio.create_task(self._read_for_ever(), name="national-blocks")

    async def follow(self) -> None:
        """Takes up how old the copy is: another node may be the one that reads."""
        if self._client is not None:
            state = await self._state()
            self._read_at = datetime.fromisoformat(state.read_at) if state else None

    async def pause(self) -> None:
        """Ends the reading until the next start."""
        await ended(self._task)
        self._task = None

    async def stop(self) -> None:
        """Ends the reading."""
        await self.pause()
        if self._client is not None:
            await self._client.close()

    async def read(self) -> Reading:
        """Reads the service once. OutOfResources, LimitExceeded: the copy stays as it was and grows older."""
        if self._client is None:
            raise OutOfResources("no national service is connected")
        began = self._clock.now()
        state = await self._state()
        header = await get_blocks(self._client, state.created_next if state else "")
        whole = state is None
        if state is not None and header.cancelled != state.cancelled:
            # Blocks that were taken away are told nowhere: only a whole reading shows what is missing.
            header, whole = await get_blocks(self._client), True
        if len(header.blocks) > limits.MAX_NATIONAL_BLOCKS:
            raise LimitExceeded("MAX_NATIONAL_BLOCKS")
        reading = await self._take_over(header, whole)
        await self._remember(header, began)
        return reading

    async def _take_over(self, header: BlockHeader, whole: bool) -> Reading:
        """Closing first: new and changed blocks are durable before any is taken away."""
        told = {block.block_id: block for block in header.blocks}
        kept = await self._store.read(
            lambda connection: national_rows.blocks(
                register_rows.asking(connection), None if whole else list(told)
            )
        )
        changed = [block for block in told.values() if kept.get(block.block_id) != block]
        gone = [block_id for block_id in kept if block_id not in told] if whole else []
        for some in _portions(changed):
            await self._registers.change(_putting(some))
        for some_gone in _portions(gone):
            await self._registers.change(_removing(some_gone))
        return Reading(whole, len(changed), len(gone))

    async def _remember(self, header: BlockHeader, began: datetime) -> None:
        def decide(transaction: Transaction) -> None:
            transaction.replace(
                "national_state",
                one=1,
                created_next=header.created_next,
                cancelled=header.cancelled,
                read_at=utc_text(began),
            )

        await self._store.commit(decide)
        self._read_at = began

    async def _state(self) -> national_rows.State | None:
        return await self._store.read(
            lambda connection: national_rows.state(register_rows.asking(connection))
        )

    async def _read_for_ever(self) -> None:
        while True:
            try:
                await self.read()
            except SamsynError as problem:
                log.warning("national-blocks-unread", extra={"detail": problem.detail})
            await asyncio.sleep(self._every_s)


def _portions(things: Sequence[NationalBlock] | Sequence[str]) -> list[Sequence[NationalBlock | str]]:
    size = limits.NATIONAL_BLOCKS_PER_RECORD
    return [things[start : start + size] for start in range(0, len(things), size)]


def _putting(blocks: Sequence[NationalBlock | str]) -> Callable[[Transaction], None]:
    def decide(transaction: Transaction) -> None:
        for block in blocks:
            if isinstance(block, NationalBlock):
                _remove(transaction, block.block_id)
                _put(transaction, block)

    return decide


def _removing(block_ids: Sequence[NationalBlock | str]) -> Callable[[Transaction], None]:
    def decide(transaction: Transaction) -> None:
        for block_id in block_ids:
            _remove(transaction, str(block_id))

    return decide


def _put(transaction: Transaction, block: NationalBlock) -> None:
    transaction.insert(
        "national_block",
        block_id=block.block_id,
        issuer=block.issuer,
        number=block.number,
        kind=block.kind.value,
        provider=block.provider,
        unit=block.unit,
        first_day=block.first,
        last_day=block.last,
    )
    for lift in block.lifts:
        transaction.replace(
            "national_lift",
            lift_id=lift.lift_id,
            block_id=block.block_id,
            unit=lift.unit,
            employee=lift.employee,
            ends=utc_text(lift.ends),
        )


def _remove(transaction: Transaction, block_id: str) -> None:
    transaction.delete("national_lift", block_id=block_id)
    transaction.delete("national_block", block_id=block_id)
