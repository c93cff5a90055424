"""Accesses that other systems have registered with the national log service, for the patient's extract (PDL 8:5).

They stand beside our own, under the name of their source. What Samsyn has told that service itself comes back from it
and is left out: the same reader at the same unit in the same second.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Protocol

from samsyn import limits
from samsyn.access.events import Event, entry
from samsyn.access.followup.extract import own_key
from samsyn.access.followup.review import read_entries, reviewed_provider
from samsyn.access.masters import national_number
from samsyn.audit import journal as audit
from samsyn.clock import Clock
from samsyn.errors import OutOfResources
from samsyn.model.audit import AuditEntry
from samsyn.model.national import AccessElsewhere, AccessReport
from samsyn.model.patient import PatientIdentifier
from samsyn.model.subject import Purpose, Subject
from samsyn.store.index import patient_rows, review_rows
from samsyn.store.index.port import IndexConnection
from samsyn.store.store import Store


class AccessLogSource(Protocol):
    """A log service that tells who has had access to a patient's information."""

    async def report(
        self, number: PatientIdentifier, since: datetime, until: datetime, queued: str = ""
    ) -> AccessReport:
        """OutOfResources: no usable answer."""

    async def close(self) -> None:
        """Ends the connections."""


class Found(StrEnum):
    """What came of asking."""

    READY = "ready"
    LATER = "later"
    """The service is still making the report; asking again fetches it."""
    AWAY = "away"
    """The service did not answer, or not usably."""
    UNKNOWN = "unknown"
    """The patient has no number that the service knows."""


@dataclass(frozen=True, slots=True)
class ToldElsewhere:
    """What the service tells, newest first. `is_complete` False: it has more than it tells of some days."""

    found: Found
    accesses: tuple[AccessElsewhere, ...] = ()
    is_complete: bool = True


@dataclass(frozen=True, slots=True)
class _Queued:
    report_id: str
    until: datetime
    asked: float


class Elsewhere:
    """Asks the service. `names_given_by`: HSA-ids of the providers that name their staff."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        source: AccessLogSource | None,
        names_given_by: frozenset[str] = frozenset(),
    ) -> None:
        self._store = store
        self._clock = clock
        self._source = source
        self._names_given_by = names_given_by
        self._queued: OrderedDict[int, _Queued] = OrderedDict()

    @property
    def is_connected(self) -> bool:
        """Whether there is a service to ask."""
        return self._source is not None

    async def close(self) -> None:
        """Ends the connections."""
        if self._source is not None:
            await self._source.close()

    async def own(self, patient: Subject) -> ToldElsewhere:
        """The patient's own question; NotAllowed as for the own log. It is in the audit journal first."""
        key = await own_key(self._store, self._clock, patient)
        details = {"of": "national-log"}
        asked = entry(patient, Event.READ_AUDIT, key, purpose=Purpose.OWN_RECORD, details=details)
        return await self._told(asked, key, "")

    async def on_request(self, reviewer: Subject, patient_key: int) -> ToldElsewhere:
        """What a provider hands out: accesses of its own staff; NotAllowed for who is no log reviewer."""
        provider = reviewed_provider(reviewer, self._clock.now())
        asked = entry(reviewer, Event.EXPORT, patient_key, details={"of": "national-log"})
        return await self._told(asked, patient_key, provider)

    async def _told(self, asked: AuditEntry, patient_key: int, provider: str) -> ToldElsewhere:
        source = self._source
        if source is None:
            return ToldElsewhere(Found.READY)
        await audit.write(self._store, asked)
        identifiers = await self._store.read(partial(patient_rows.identifiers_of, key=patient_key))
        number = national_number(identifiers)
        if number is None:
            return ToldElsewhere(Found.UNKNOWN)
        try:
            async with asyncio.timeout(limits.ACCESS_LOG_WAIT_S):
                gathered, complete = await self._gathered(source, patient_key, number)
        except TimeoutError:
            waits = patient_key in self._queued
            return ToldElsewhere(Found.LATER if waits else Found.AWAY)
        except OutOfResources:
            self._queued.pop(patient_key, None)
            return ToldElsewhere(Found.AWAY)
        ours = await self._store.read(partial(_our_own, patient_key=patient_key))
        accesses = sorted(
            (
                self._as_given(each)
                for each in gathered
                if provider in ("", each.provider) and _mark(each.user, each.unit, each.at) not in ours
            ),
            key=lambda each: each.at,
            reverse=True,
        )
        return ToldElsewhere(Found.READY, tuple(accesses[: limits.MAX_EXTRACT_ROWS]), complete)

    async def _gathered(
        self, source: AccessLogSource, patient_key: int, number: PatientIdentifier
    ) -> tuple[list[AccessElsewhere], bool]:
        """All of the time that the service keeps at hand, in as many parts as it wants, and whether it is complete."""
        queued = self._queued.get(patient_key)
        if queued is not None and self._clock.monotonic() - queued.asked > limits.ACCESS_LOG_QUEUED_S:
            queued = None
        until = queued.until if queued is not None else self._clock.now()
        spans = [(until - timedelta(days=limits.ACCESS_LOG_DAYS), until)]
        gathered: list[AccessElsewhere] = []
        complete, asked = True, 0
        while spans:
            since, ends = spans.pop()
            asked += 1
            if asked > limits.MAX_ACCESS_LOG_PARTS:
                return gathered, False
            report = await self._one(source, patient_key, number, (since, ends), queued)
            queued = None
            if not report.is_too_much:
                gathered += report.accesses
            elif ends - since > timedelta(days=1):
                middle = since + (ends - since) / 2
                spans += [(since, middle), (middle, ends)]
            else:
                complete = False
        return gathered, complete

    async def _one(
        self,
        source: AccessLogSource,
        patient_key: int,
        number: PatientIdentifier,
        span: tuple[datetime, datetime],
        queued: _Queued | None,
    ) -> AccessReport:
        """One report, waited for; its id is kept, so that a later question fetches it and queues no other one."""
        report_id = queued.report_id if queued is not None else ""
        while True:
            report = await source.report(number, *span, report_id)
            if not report.queued:
                self._queued.pop(patient_key, None)
                return report
            report_id = report.queued
            self._queued[patient_key] = _Queued(report_id, span[1], self._clock.monotonic())
            while len(self._queued) > limits.MAX_QUEUED_REPORTS:
                self._queued.popitem(last=False)
            await asyncio.sleep(min(max(report.wait_s, 0.5), limits.ACCESS_LOG_WAIT_S))

    def _as_given(self, access: AccessElsewhere) -> AccessElsewhere:
        if access.provider in self._names_given_by:
            return access
        return AccessElsewhere(
            access.provider,
            access.provider_name,
            access.unit,
            access.unit_name,
            access.at,
            "",
            "",
            access.purpose,
            access.resource,
        )


def _mark(user: str, unit: str, at: datetime) -> tuple[str, str, int]:
    return user, unit, int(at.timestamp())


def _our_own(connection: IndexConnection, patient_key: int) -> frozenset[tuple[str, str, int]]:
    """What we have written down ourselves, as the national log service names it (exchange.auditing.storelog)."""
    keys = patient_rows.closure_of(connection, patient_key)
    rows = review_rows.of_patient(connection, keys, "", limits.MAX_EXTRACT_ROWS)
    return frozenset(
        _mark(each.actor if each.actor.startswith("SE") else each.unit, each.unit, each.time)
        for each in read_entries(connection, rows)
    )
