"""Prefetching (förhämtning): earlier examinations are in the PACS before the booked one is made there.

Each provider's rules say which archive gets what. Every minute the bookings (SIU) whose time has come near are looked
at, and what their patients have that the archive's unit may see, and has not been sent, is sent as any transfer is:
durable, audited with its receiver, judged again when the bytes leave. A booking that moves is looked at again, and
each one every hour, since consents come and blocks go.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from samsyn import limits
from samsyn.access.view import Gatekeeper, View
from samsyn.clock import STOCKHOLM, Clock
from samsyn.errors import NotFound, OutOfResources, SamsynError, StoreFailed
from samsyn.exchange.sending import Sending
from samsyn.jobs import queue
from samsyn.jobs.queue import Job, Later
from samsyn.model.subject import Subject
from samsyn.providers.connections import Connections
from samsyn.settings import ProviderSettings
from samsyn.settings.prefetch import PrefetchSettings
from samsyn.store.index import find_rows, patient_rows, prefetch_rows
from samsyn.store.index.find_rows import Condition
from samsyn.store.index.port import IndexConnection, Row
from samsyn.store.index.prefetch_rows import DueBooking
from samsyn.store.store import Store

log = logging.getLogger(__name__)

PREFETCH_JOB: Final = "prefetch"
_EVERY_S: Final = 60.0
_AGAIN_S: Final = 3_600.0
"""A booking that has not changed is looked at again after so long."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One provider's rule."""

    provider: str
    says: PrefetchSettings


class Prefetching:
    """Looks at bookings and asks for transfers. One job does it, so that of several nodes one looks at a time."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        gatekeeper: Gatekeeper,
        connections: Connections,
        providers: tuple[ProviderSettings, ...],
        sending: Sending,
        wake: Callable[[], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._gatekeeper = gatekeeper
        self._connections = connections
        self._rules = tuple(Rule(each.hsa_id, says) for each in providers for says in each.prefetch)
        self._sending = sending
        self._wake = wake
        self._looked: dict[tuple[Rule, int], tuple[str, float]] = {}
        """(rule, booking) -> its change and when it was looked at, on the monotonic clock."""
        self.asked = 0
        """Transfers asked for since start, for metrics."""

    async def begin(self) -> None:
        """Sees to it that the job is there, when there are rules."""
        if self._rules:
            await self._store.commit(lambda transaction: queue.enqueue(transaction, PREFETCH_JOB, "look"))
            self._wake()

    async def work(self, job: Job) -> Later | None:
        """One look at every rule; the job ends when there are no rules any more."""
        if not self._rules:
            return None
        seen = set()
        for rule in self._rules:
            for booking in await self._due(rule):
                seen.add((rule, booking.booking_key))
                if not await self._look(rule, booking):
                    break
        self._looked = {mark: looked for mark, looked in self._looked.items() if mark in seen}
        return Later(_EVERY_S)

    async def _due(self, rule: Rule) -> list[DueBooking]:
        now = self._clock.now()
        until = now + timedelta(hours=rule.says.hours_before)
        found = await self._store.read(
            partial(
                prefetch_rows.due,
                provider=rule.provider,
                after=now.isoformat(),
                until=until.isoformat(),
                limit=limits.MAX_PREFETCHED_BOOKINGS,
            )
        )
        return [each for each in found if not rule.says.units or each.unit in rule.says.units]

    async def _look(self, rule: Rule, booking: DueBooking) -> bool:
        """Asks for what the booking's patient has; False when no more can be asked for now."""
        mark, now = (rule, booking.booking_key), self._clock.monotonic()
        changed, when = self._looked.get(mark, ("", 0.0))
        if changed == booking.changed and now - when < _AGAIN_S:
            return True
        system = self._connections.system_named(rule.says.to)
        if system is None:
            return False
        try:
            view = await self._gatekeeper.open_view(system.subject, frozenset({booking.patient_key}))
            for study_uid in await self._priors(rule, booking, view):
                await self._ask(rule, view, study_uid)
        except (OutOfResources, StoreFailed) as full:
            log.info("prefetch-waits", extra={"destination": rule.says.to, "reason": full.detail[:200]})
            return False
        except SamsynError as problem:
            _told(rule, problem)  # one booking's trouble must not keep the others' from being looked at
        self._looked[mark] = (booking.changed, now)
        return True

    async def _ask(self, rule: Rule, view: View, study_uid: str) -> None:
        try:
            await self._sending.request(view, study_uid, rule.says.to)
            self.asked += 1
        except NotFound:
            return  # hidden or gone since the list was made
        except (OutOfResources, StoreFailed):
            raise
        except SamsynError as refusal:
            _told(rule, refusal)

    async def _priors(self, rule: Rule, booking: DueBooking, view: View) -> list[str]:
        """Study UIDs to send, the newest first."""
        question = partial(_priors, view=view, patient_key=booking.patient_key)
        now = self._clock.now()
        oldest = (now - timedelta(days=round(365.25 * rule.says.years))).astimezone(STOCKHOLM)
        wanted = [
            str(row["study_uid"])
            for row in await self._store.read(question)
            if _is_wanted(row, rule, booking, oldest)
        ][: rule.says.most]
        since = (now - timedelta(days=rule.says.again_after_days)).isoformat()
        return [uid for uid in wanted if not self._was_sent(view.subject, rule, uid, since)]

    def _was_sent(self, subject: Subject, rule: Rule, study_uid: str, since: str) -> bool:
        return self._store.peek(
            partial(
                prefetch_rows.was_sent,
                requester=subject.hsa_id,
                destination=rule.says.to,
                study_uid=study_uid,
                since=since,
            )
        )


def _told(rule: Rule, problem: SamsynError) -> None:
    log.warning("prefetch-refused", extra={"destination": rule.says.to, "reason": problem.detail[:200]})


def _priors(connection: IndexConnection, view: View, patient_key: int) -> list[Row]:
    """The person's studies that the View shows, linked persons' among them, the newest first."""
    persons = tuple(sorted(patient_rows.closure_of(connection, patient_key)))
    of_him = Condition("study.patient_key", "one-of", persons)
    return find_rows.find_studies(connection, view.predicate, [of_him], limits.MAX_PRIORS, 0)


def _is_wanted(row: Row, rule: Rule, booking: DueBooking, oldest: datetime) -> bool:
    """Whether the rule wants the study: not the booked examination itself, not too old, of a modality it names."""
    says = rule.says
    booked = (booking.accession_issuer, booking.accession)
    return (
        (says.own or row["provider"] != rule.provider)
        and (not booking.accession or (row["accession_issuer"], row["accession"]) != booked)
        and (row["study_date"] or "") >= oldest.strftime("%Y%m%d")
        and (
            not says.modalities or not set(says.modalities).isdisjoint((row["modalities"] or "").split("\\"))
        )
    )
