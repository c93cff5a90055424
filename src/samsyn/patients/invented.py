"""Invented persons for throw-away instances and tests, filed as a patient register would."""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from samsyn.clock import Clock
from samsyn.model.patient import Demographics, DemographicsOrigin
from samsyn.patients import registry
from samsyn.patients.identifiers import identify
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction


async def add(
    store: Store,
    clock: Clock,
    persons: Sequence[tuple[str, str, str, str]],
    booked: int,
    units: Iterable[tuple[str, str]],
) -> None:
    """Files persons (number, name, birth date, sex).

    The first `booked` of them have a booking at every unit (provider, unit), and so a care relation for a day.
    """
    now = clock.now()
    ends = (now + timedelta(days=1)).isoformat()
    booking = sorted(set(units))

    def decide(transaction: Transaction) -> None:
        for place, (number, name, birth_date, sex) in enumerate(persons):
            identifier = identify(number, "", "", now.date())
            known = Demographics(name, birth_date, sex)
            key = registry.find_or_make(transaction, identifier, known, DemographicsOrigin.ADT)
            for provider, unit in booking if place < booked else ():
                transaction.replace(
                    "care_relation",
                    relation_id=f"booking:{unit}:{key}",
                    patient_key=key,
                    provider=provider,
                    unit=unit,
                    employee="",
                    starts=transaction.time,
                    ends=ends,
                    source="booking",
                )

    await store.commit(decide)
