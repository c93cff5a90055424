"""What a national register is still to be told: durable work, tried until the register has taken it.

A withdrawal counts here from the moment it is made; an emergency too, since danger does not wait for a register. The
register is told by a job that was written in the same record.
"""

import asyncio
import json
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final

from samsyn import limits
from samsyn.access.national.elements import Actor, actor_of
from samsyn.access.national.grants import GrantContract
from samsyn.clock import Clock
from samsyn.jobs.queue import Job, Patience, Worker, enqueue
from samsyn.model.national import NationalGrant, Register
from samsyn.model.subject import Subject
from samsyn.store.index import job_rows
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction

TELL: Final = "tell-national-register"
REGISTER, CANCEL, ANNUL = "register", "cancel", "annul"
_PATIENCE: Final = Patience(limits.NATIONAL_TELLING_ATTEMPTS, limits.NATIONAL_TELLING_PAUSE_S)
_LOOKS: Final = 20
_LOOK_S: Final = 0.1


class Telling:
    """Does the jobs, one after the other, so that a registration is told before its end."""

    def __init__(self, store: Store, clock: Clock, contracts: Mapping[Register, GrantContract]) -> None:
        self._store = store
        self._clock = clock
        self._contracts = contracts
        self.worker = Worker(store, clock, {TELL: self._tell}, patience=_PATIENCE)
        """Its figures are for metrics."""

    def start(self) -> None:
        """Begins to tell what is waiting."""
        self.worker.start()

    async def stop(self) -> None:
        """Stops; what was not told is told after the next start."""
        await self.worker.stop()

    def add(
        self,
        transaction: Transaction,
        register: Register,
        grant: NationalGrant,
        subject: Subject,
        reason: str,
        *,
        act: str,
    ) -> None:
        """Adds the telling to the record. BadInput: nobody with an HSA-id of his own."""
        actor = actor_of(subject)
        payload = {
            "register": register.value,
            "act": act,
            "at": transaction.time,
            "reason": reason,
            "actor": [actor.employee, actor.assignment, actor.assignment_name],
            "grant": _written(grant),
        }
        enqueue(transaction, TELL, f"{grant.grant_id}:{act}", json.dumps(payload, ensure_ascii=False))
        self.worker.wake()

    async def told(self, grant_id: str) -> bool:
        """Waits up to two seconds; whether nothing about the grant is left to be told."""
        for _ in range(_LOOKS):
            if not await self._store.read(partial(job_rows.any_of, kind=TELL, prefix=f"{grant_id}:")):
                return True
            self.worker.wake()
            await asyncio.sleep(_LOOK_S)
        return False

    async def _tell(self, job: Job) -> None:
        told = json.loads(job.payload)
        contract = self._contracts.get(Register(told["register"]))
        if contract is None:
            return  # the register is not connected any more
        grant, actor, at = _read(told["grant"]), Actor(*told["actor"]), datetime.fromisoformat(told["at"])
        if told["act"] == REGISTER:
            await contract.register_grant(grant, actor, at, told["reason"])
        else:
            await contract.end_grant(grant, actor, at, told["reason"], annulled=told["act"] == ANNUL)


def _written(grant: NationalGrant) -> list[Any]:
    return [
        grant.grant_id,
        grant.issuer,
        grant.number,
        grant.kind,
        grant.provider,
        grant.unit,
        grant.employee,
        grant.starts.isoformat(),
        grant.ends.isoformat() if grant.ends else None,
    ]


def _read(values: list[Any]) -> NationalGrant:
    grant_id, issuer, number, kind, provider, unit, employee, starts, ends = values
    until = datetime.fromisoformat(ends) if ends else None
    began = datetime.fromisoformat(starts)
    return NationalGrant(grant_id, issuer, number, kind, provider, unit, employee, began, until)
