"""Keeps the engagement index true: whose reports or numbers changed is told until the index has answered that it knows.

The index's rows say whose engagements may have changed (store.index.engagement_schema); what is told follows from how
things stand when it is told. So an outage of any length loses nothing, a repetition is harmless and the order of
arrival is of no account. A person whose engagement the index refuses is set aside and tried again every day; the
others go on.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from samsyn import limits
from samsyn.access.facts import Policy
from samsyn.access.national.soap import SoapClient, SoapFault
from samsyn.clock import Clock
from samsyn.errors import OutOfResources, SamsynError
from samsyn.exchange.engagement_index.engagements import (
    Engagement,
    Key,
    Step,
    engagements,
    main_number,
    next_change,
    steps,
)
from samsyn.exchange.engagement_index.update import ACTION, refusal_in, update
from samsyn.providers.contracts import ContractPartners
from samsyn.reports.engagements import reports_of
from samsyn.store.index import engagement_rows, patient_rows
from samsyn.store.index.port import IndexConnection
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction
from samsyn.tasks import ended

log = logging.getLogger(__name__)

_POLL_S: Final = 1.0
_REFUSED_AGAIN: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Person:
    """What is to be told about one person, and what must be noted when it has been."""

    root: int
    turns: Mapping[int, int]
    """Of every key of the person that waits."""
    steps: tuple[Step, ...]
    due: datetime | None


@dataclass(slots=True)
class _Round:
    """How the telling of some persons went."""

    told: list[Person] = field(default_factory=list)
    refused: list[tuple[Person, str]] = field(default_factory=list)


class EngagementIndex:
    """Tells one index in the background. `start`, then `stop`."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        partners: ContractPartners,
        policy: Policy,
        client: SoapClient | None,
        first_pause_s: float = _POLL_S,
    ) -> None:
        """Without a client nothing is told, and what would have to be waits until there is one."""
        self._store = store
        self._clock = clock
        self._partners = partners
        self._policy = policy
        self._client = client
        self._first_pause_s = first_pause_s
        self._task: asyncio.Task[None] | None = None
        self.told = 0
        """Engagements told since start, for metrics."""
        self.failures = 0
        """Calls without a usable answer since the last good one, for metrics."""

    @property
    def is_on(self) -> bool:
        """Whether there is an index to tell."""
        return self._client is not None

    def readings(self) -> list[tuple[str, str, int]]:
        """Name, meaning and value of the metrics; none while no index is connected."""
        if self._client is None:
            return []
        waiting = self._store.peek(engagement_rows.count_waiting)
        refused = self._store.peek(engagement_rows.count_refused)
        return [
            ("engagements_waiting", "Persons whose changes the engagement index has not got yet", waiting),
            ("engagements_refused", "Engagements that the index refused", refused),
            ("engagements_told_total", "Engagements told to the index", self.told),
            ("engagement_failures", "Calls without a usable answer since the last good one", self.failures),
        ]

    async def start(self) -> None:
        """Begins to tell."""
        if self._client is not None:
            self._task = asyncio.create_task(self._run(self._client), name="engagement-index")

    async def stop(self) -> None:
        """Ends; what was not answered is told after the next start, here or on another node."""
        await ended(self._task)
        self._task = None

    async def close(self) -> None:
        """Lets go of the connections, for good."""
        await self.stop()
        if self._client is not None:
            await self._client.close()

    async def _run(self, client: SoapClient) -> None:
        pause = self._first_pause_s
        while True:
            try:
                more = await self._round(client)
            except Exception as problem:
                # Whatever it was, changes must go on being told: a task that has ended tells nobody.
                self.failures += 1
                log.warning(
                    "engagements-not-told",
                    extra={
                        "error": problem.code if isinstance(problem, SamsynError) else type(problem).__name__,
                        "reason": getattr(problem, "detail", "")[:300],
                        "attempt": self.failures,
                        "seconds": pause,
                    },
                )
                await asyncio.sleep(pause)
                pause = min(2 * pause, limits.DELIVERY_PAUSE_S)
                continue
            pause, self.failures = self._first_pause_s, 0
            if not more:
                await asyncio.sleep(min(_POLL_S, self._first_pause_s))

    async def _round(self, client: SoapClient) -> bool:
        """Tells about the next persons; False when there are none. OutOfResources: nothing was told for certain."""
        now = self._clock.now()
        persons = await self._store.read(partial(self._next, now=now))
        if not persons:
            return False
        silent = [person for person in persons if not person.steps]
        if silent:
            await self._note(silent, now)
        speaking = [person for person in persons if person.steps]
        if speaking:
            went = _Round()
            await self._tell(client, speaking, went, now)
            await self._note(went.told, now)
            if not went.told and len(speaking) > 1:
                raise OutOfResources(f"the engagement index refuses everything: {went.refused[0][1]}")
            for person, refusal in went.refused:
                await self._set_aside(person, refusal, now)
        return True

    def _next(self, connection: IndexConnection, now: datetime) -> list[Person]:
        waiting = engagement_rows.waiting(connection, now.isoformat(), limits.ENGAGEMENT_PERSONS)
        found: dict[int, Person] = {}
        for key in waiting:
            root = patient_rows.root(connection, key)
            if root not in found:
                found[root] = self._person(connection, root, waiting, now)
        return list(found.values())

    def _person(
        self, connection: IndexConnection, root: int, waiting: Mapping[int, int], now: datetime
    ) -> Person:
        keys = patient_rows.closure_of(connection, root)
        identifiers = patient_rows.identifiers_of(connection, root)
        reports = reports_of(connection, keys, self._policy)
        wanted = engagements(main_number(identifiers), reports, self._partners.sources_of, now)
        rows = engagement_rows.told(connection, [each.value for each in identifiers])
        known = {
            Key(row["number"], row["logical_address"], row["controller"]): Engagement(
                row["mark"],
                datetime.fromisoformat(row["most_recent"]),
                datetime.fromisoformat(row["first_told"]),
                row["refusal"],
            )
            for row in rows
        }
        turns = {key: waiting[key] for key in keys if key in waiting}
        return Person(root, turns, tuple(steps(wanted, known, now)), next_change(reports, now))

    async def _tell(self, client: SoapClient, persons: Sequence[Person], went: _Round, now: datetime) -> None:
        """One call; a call that is refused is halved until who is refused stands alone."""
        every = [step for person in persons for step in person.steps]
        try:
            refusal = refusal_in(await client.call(ACTION, update(every, now)))
        except SoapFault as fault:
            refusal = fault.detail
        if not refusal:
            self.told += len(every)
            went.told += persons
        elif len(persons) == 1:
            went.refused.append((persons[0], refusal))
        else:
            middle = len(persons) // 2
            await self._tell(client, persons[:middle], went, now)
            await self._tell(client, persons[middle:], went, now)

    async def _note(self, persons: Sequence[Person], now: datetime) -> None:
        """Makes durable that the index knows this of these persons."""

        def decide(transaction: Transaction) -> None:
            for person in persons:
                for step in person.steps:
                    if step.engagement is None:
                        _forget(transaction, step.key)
                    else:
                        _write(transaction, step.key, step.engagement, "")
                _finish(transaction, person, person.due)

        if persons:
            await self._store.commit(decide)

    async def _set_aside(self, person: Person, refusal: str, now: datetime) -> None:
        def decide(transaction: Transaction) -> None:
            for step in person.steps:
                said = step.engagement or step.before
                if said is not None:
                    _write(transaction, step.key, said, refusal or "refused")
            _finish(transaction, person, min(filter(None, (person.due, now + _REFUSED_AGAIN))))

        await self._store.commit(decide)
        log.warning("engagement-refused", extra={"reason": refusal[:300], "count": len(person.steps)})


def _write(transaction: Transaction, key: Key, engagement: Engagement, refusal: str) -> None:
    transaction.replace(
        "engagement",
        number=key.number,
        logical_address=key.logical_address,
        controller=key.controller,
        mark=engagement.mark,
        most_recent=engagement.most_recent.isoformat(),
        first_told=engagement.first_told.isoformat(),
        refusal=refusal,
    )


def _forget(transaction: Transaction, key: Key) -> None:
    transaction.delete(
        "engagement", number=key.number, logical_address=key.logical_address, controller=key.controller
    )


def _finish(transaction: Transaction, person: Person, due: datetime | None) -> None:
    for key, turn in person.turns.items():
        transaction.delete("engagement_change", patient_key=key, turn=turn)
        transaction.delete("engagement_due", patient_key=key)
    transaction.delete("engagement_due", patient_key=person.root)
    if due is not None:
        transaction.insert("engagement_due", patient_key=person.root, due=due.isoformat())
