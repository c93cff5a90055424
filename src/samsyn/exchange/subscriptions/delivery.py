"""Telling subscribers: durable, in order, each subscription by itself.

The feeds are the queue, and a subscription's places in them its outbox: they move forward, durably, only when the
endpoint has answered that it took the notification. An outage of any length loses nothing; after a lost answer or a
crash the same notification comes again, under the same event numbers.
"""

import asyncio
import contextlib
import logging
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Final, Protocol

import httpx

from samsyn import limits
from samsyn.clock import Clock
from samsyn.errors import SamsynError
from samsyn.exchange.subscriptions.feed import EventFeed, Events, StudyEvent
from samsyn.model.subject import Subject
from samsyn.model.subscriptions import Subscription, SubscriptionStatus, TextChange
from samsyn.providers.connections import Connections
from samsyn.store.index import subscription_rows
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction
from samsyn.tasks import ended

log = logging.getLogger(__name__)

_POLL_S: Final = 0.5
_FIRST_PAUSE_S: Final = 1.0
_TOLD_STATES: Final = frozenset(
    {SubscriptionStatus.REQUESTED, SubscriptionStatus.ACTIVE, SubscriptionStatus.ERROR}
)


@dataclass(frozen=True, slots=True)
class Told:
    """One event as it is told: what it is about, when, and of whom."""

    references: tuple[str, ...]
    time: datetime
    patient_key: int


class Speech(Protocol):
    """How notifications are said; the FHIR door gives it."""

    async def about(
        self, subject: Subject, subscription: Subscription, event: StudyEvent | TextChange
    ) -> tuple[str, ...]:
        """References to what of the event meets the criteria and is shown to the system; () = nothing to tell."""

    def body(self, subscription: Subscription, kind: str, told: tuple[Told, ...]) -> tuple[bytes, str]:
        """Body and content type of a "handshake", "heartbeat" or "event-notification"."""


@dataclass(slots=True)
class _State:
    """What is known of a subscription beside its row."""

    study_cursor: int
    text_cursor: int
    last_call: float
    pause_s: float = _FIRST_PAUSE_S
    next_try: float = 0.0


class Notifier:
    """Runs in the background: `start`, then `stop`."""

    def __init__(
        self, store: Store, clock: Clock, connections: Connections, feed: EventFeed, speech: Speech
    ) -> None:
        self._store = store
        self._clock = clock
        self._connections = connections
        self._feed = feed
        self._speech = speech
        self._http = httpx.AsyncClient(
            trust_env=False, timeout=limits.NOTIFICATION_TIMEOUT_S, follow_redirects=False
        )
        self._states: dict[str, _State] = {}
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._task: asyncio.Task[None] | None = None
        self._events = 0
        self._failures = 0

    def start(self) -> None:
        """Begins on the running event loop, at the places that are durable: another node may have told meanwhile."""
        self._task = asyncio.create_task(self._run(), name="subscriptions")

    async def stop(self) -> None:
        """Ends; what was not confirmed is told again after the next start."""
        await ended(*self._under_way.values(), self._task)
        self._task = None
        self._under_way.clear()
        self._states.clear()

    async def close(self) -> None:
        """Ends for good."""
        await self.stop()
        await self._http.aclose()

    def readings(self) -> list[tuple[str, str, int]]:
        """Name, meaning and value of the metrics."""
        return [
            ("subscription_events_total", "Events told to FHIR subscribers", self._events),
            ("subscription_failures_total", "Calls that a subscriber did not take", self._failures),
        ]

    async def _run(self) -> None:
        while True:
            try:
                known = await self._store.read(subscription_rows.every)
            except SamsynError:
                known = []
            for gone in self._states.keys() - {each.subscription_id for each in known}:
                del self._states[gone]
            now = self._clock.monotonic()
            for each in known:
                state = self._states.setdefault(
                    each.subscription_id, _State(each.study_cursor, each.text_cursor, now)
                )
                is_due = each.status in _TOLD_STATES and state.next_try <= now
                if is_due and each.subscription_id not in self._under_way:
                    work = self._look_after(each, state)
                    self._under_way[each.subscription_id] = asyncio.create_task(work, name="subscription")
            await asyncio.sleep(_POLL_S)

    async def _look_after(self, subscription: Subscription, state: _State) -> None:
        try:
            await self._round(subscription, state)
        except asyncio.CancelledError:
            raise
        except Exception as problem:
            # Whatever it was, the subscription must go on being tried: one that has ended tells nobody.
            reason = problem.code if isinstance(problem, SamsynError) else type(problem).__name__
            with contextlib.suppress(SamsynError):
                await self._failed(subscription, state, reason)
        finally:
            del self._under_way[subscription.subscription_id]

    async def _round(self, subscription: Subscription, state: _State) -> None:
        system = self._connections.subscriber(subscription.provider, subscription.system)
        if system is None or not system.may_be_told_at(subscription.endpoint):
            await self._set(
                subscription, SubscriptionStatus.OFF, "the settings do not have this system any more"
            )
            return
        if subscription.ends is not None and subscription.ends <= self._clock.now():
            await self._set(subscription, SubscriptionStatus.OFF, "the subscription has ended")
            return
        if subscription.status is SubscriptionStatus.REQUESTED:
            await self._call(subscription, state, "handshake", ())
            return
        more = True
        while more:
            events = await self._feed.after(system.subject, state.study_cursor, state.text_cursor)
            told = await self._told(system.subject, subscription, events)
            more = bool(events.found)
            if told:
                view = await self._feed.view(system.subject)
                await self._feed.record(view, frozenset(each.patient_key for each in told))
                if not await self._call(subscription, state, "event-notification", told, events):
                    return
                subscription = replace(
                    subscription, status=SubscriptionStatus.ACTIVE, events=subscription.events + len(told)
                )
            state.study_cursor, state.text_cursor = events.study_cursor, events.text_cursor
        quiet = self._clock.monotonic() - state.last_call
        is_failing = subscription.status is SubscriptionStatus.ERROR
        if is_failing or (subscription.heartbeat_s and quiet >= subscription.heartbeat_s):
            await self._call(subscription, state, "heartbeat", ())

    async def _told(self, subject: Subject, subscription: Subscription, events: Events) -> tuple[Told, ...]:
        """Several events about the same are one: the subscriber reads what is there now."""
        found: dict[tuple[str, ...], Told] = {}
        for event in events.found:
            references = await self._speech.about(subject, subscription, event)
            if references:
                when = event.change.time if isinstance(event, StudyEvent) else event.time
                found.pop(references, None)
                found[references] = Told(references, when, event.patient_key)
        return tuple(found.values())

    async def _call(
        self,
        subscription: Subscription,
        state: _State,
        kind: str,
        told: tuple[Told, ...],
        events: Events | None = None,
    ) -> bool:
        """One call to the endpoint, and what follows from its answer; whether it was taken."""
        body, content_type = self._speech.body(subscription, kind, told)
        headers = {"Content-Type": content_type} if content_type else {}
        try:
            async with self._http.stream(
                "POST", subscription.endpoint, content=body, headers=headers
            ) as answer:
                status = answer.status_code
        except (httpx.HTTPError, httpx.InvalidURL) as problem:
            await self._failed(subscription, state, type(problem).__name__)
            return False
        if not 200 <= status < 300:
            await self._failed(subscription, state, f"the endpoint answers {status}")
            return False
        state.last_call, state.pause_s, state.next_try = self._clock.monotonic(), _FIRST_PAUSE_S, 0.0
        if events is not None or subscription.status is not SubscriptionStatus.ACTIVE:
            await self._confirmed(subscription, len(told), events)
        self._events += len(told)
        return True

    async def _confirmed(self, subscription: Subscription, count: int, events: Events | None) -> None:
        def decide(transaction: Transaction) -> None:
            row = {"subscription_id": subscription.subscription_id}
            if events is not None:
                places = {"study_cursor": events.study_cursor, "text_cursor": events.text_cursor}
                transaction.update("subscription", row, **places, events=subscription.events + count)
            (status,) = transaction.one(
                "SELECT status FROM subscription WHERE subscription_id = ?", subscription.subscription_id
            ) or (None,)
            if status in (SubscriptionStatus.REQUESTED.value, SubscriptionStatus.ERROR.value):
                active = SubscriptionStatus.ACTIVE.value
                transaction.update("subscription", row, status=active, error="", failing_since=None)

        await self._store.commit(decide)

    async def _failed(self, subscription: Subscription, state: _State, reason: str) -> None:
        """Notes the failure; the next attempt comes after a pause that doubles, and some day nothing more."""
        self._failures += 1
        state.next_try = self._clock.monotonic() + state.pause_s
        state.pause_s = min(2 * state.pause_s, limits.NOTIFICATION_PAUSE_S)
        log.warning("subscriber-not-told", extra={"peer": subscription.system, "reason": reason[:200]})
        since = subscription.failing_since
        if since is not None:
            if (self._clock.now() - since).total_seconds() > limits.SUBSCRIPTION_GIVEN_UP_S:
                await self._set(subscription, SubscriptionStatus.OFF, f"given up: {reason}")
            return
        status = subscription.status
        if status is SubscriptionStatus.ACTIVE:
            status = SubscriptionStatus.ERROR
        await self._set(subscription, status, reason, self._clock.now())

    async def _set(
        self,
        subscription: Subscription,
        status: SubscriptionStatus,
        error: str,
        failing_since: datetime | None = None,
    ) -> None:
        await self._store.commit(
            partial(_write_status, subscription=subscription, status=status, error=error, since=failing_since)
        )


def _write_status(
    transaction: Transaction,
    subscription: Subscription,
    status: SubscriptionStatus,
    error: str,
    since: datetime | None,
) -> None:
    """Sets a state, unless the subscriber has switched the subscription meanwhile."""
    row = transaction.one(
        "SELECT status FROM subscription WHERE subscription_id = ?", subscription.subscription_id
    )
    if row is None or row[0] != subscription.status.value:
        return
    transaction.update(
        "subscription",
        {"subscription_id": subscription.subscription_id},
        status=status.value,
        error=error[: limits.MAX_SUBSCRIPTION_CHARACTERS],
        failing_since=since.isoformat() if since else None,
        changed=transaction.time,
    )
