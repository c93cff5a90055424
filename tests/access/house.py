"""A real store with one patient's items at four owners, and a clock that the tests hold."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from samsyn.access.facts import Policy
from samsyn.access.view import Gatekeeper
from samsyn.store.index.predicate_sql import compile_predicate
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction
from tests.access.people import (
    DEFAULT_POLICY,
    FOREIGN,
    FOREIGN_UNIT,
    NOW,
    OTHER_UNIT,
    OWN,
    THIRD,
    THIRD_UNIT,
    UNIT,
)
from tests.indexes import make_store


class HeldClock:
    """Time that moves only when a test moves it."""

    def __init__(self) -> None:
        self._now = NOW
        self._monotonic = 1_000.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def move(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds


OWNERS = {
    "own": (OWN, UNIT),
    "other": (OWN, OTHER_UNIT),
    "foreign": (FOREIGN, FOREIGN_UNIT),
    "third": (THIRD, THIRD_UNIT),
}


class House:
    """Store, clock and gatekeeper; patients 1 and 2 have a study at each owner."""

    def __init__(self, store: Store, clock: HeldClock, gatekeeper: Gatekeeper) -> None:
        self.store, self.clock, self.gatekeeper = store, clock, gatekeeper

    async def shown(self, view: Any) -> set[str]:
        """Study UIDs that the View's predicate shows, by the store's own SQL."""
        condition, parameters = compile_predicate(view.predicate, "study")
        rows = await self.store.read(
            lambda c: c.execute(f"SELECT study_uid FROM study WHERE {condition}", parameters).fetchall()
        )
        return {row[0] for row in rows}

    async def audited(self) -> list[tuple[str, str, int, str]]:
        """(event, activity, patient, owner) of every entry, in order."""
        rows = await self.store.read(
            lambda c: c.execute(
                "SELECT event, activity, patient_key, owner_provider FROM audit ORDER BY sequence"
            ).fetchall()
        )
        return [tuple(row) for row in rows]

    async def events(self) -> list[str]:
        return [row[0] for row in await self.audited()]


def _fill(transaction: Transaction) -> None:
    for person in (1, 2, 3):
        key = transaction.next_key("patient")
        transaction.insert("patient", patient_key=key, name="", merged_into=None, origin="", protected=0)
        for name, (provider, unit) in OWNERS.items():
            transaction.insert(
                "study",
                study_key=transaction.next_key("study"),
                study_uid=f"{name}.{person}",
                patient_key=key,
                provider=provider,
                unit=unit,
                begins=20200301,
                ends=20200301,
                instance_count=1,
            )


@asynccontextmanager
async def a_house(folder: Path, policy: Policy | None = None) -> AsyncIterator[House]:
    clock = HeldClock()
    store = make_store(folder, clock)
    store.start()
    try:
        await store.commit(_fill)
        yield House(store, clock, Gatekeeper(store, clock, policy or DEFAULT_POLICY))
    finally:
        store.close()
