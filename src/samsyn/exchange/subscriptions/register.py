"""The subscriptions that known systems have made; each system sees and changes its own only."""

import uuid
from dataclasses import replace
from datetime import datetime
from functools import partial

from samsyn import limits
from samsyn.access.events import Event, entry
from samsyn.audit import journal as audit
from samsyn.clock import Clock
from samsyn.errors import BadInput, LimitExceeded, NotAllowed, NotFound
from samsyn.model.subject import Subject, SubjectKind
from samsyn.model.subscriptions import Subscription, SubscriptionStatus
from samsyn.providers.connections import Connections, Subscriber
from samsyn.store.index import subscription_rows
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction


class SubscriptionRegister:
    """Makes, tells and ends subscriptions; every change is one durable record."""

    def __init__(self, store: Store, clock: Clock, connections: Connections) -> None:
        self._store = store
        self._clock = clock
        self._connections = connections

    def subscriber(self, subject: Subject) -> Subscriber:
        """NotAllowed for everybody but a known system that has an address to be notified at in the settings."""
        own = subject.assignment
        found = None
        if subject.kind is SubjectKind.SYSTEM and own is not None:
            found = self._connections.subscriber(own.provider_hsa_id, subject.hsa_id)
        if found is None:
            raise NotAllowed("only known systems with an address to be notified at subscribe")
        return found

    async def of(self, subject: Subject) -> list[Subscription]:
        """The system's own subscriptions."""
        self.subscriber(subject)
        provider, system = _names(subject)
        question = partial(subscription_rows.of_system, provider=provider, system=system)
        return await self._store.read(question)

    async def one(self, subject: Subject, subscription_id: str) -> Subscription:
        """One of them; NotFound for another's, which looks like none."""
        for each in await self.of(subject):
            if each.subscription_id == subscription_id:
                return each
        raise NotFound

    async def make(
        self,
        subject: Subject,
        *,
        criteria: str,
        endpoint: str,
        payload: str,
        heartbeat_s: int,
        reason: str,
        ends: datetime | None,
    ) -> Subscription:
        """A new subscription, from what happens after it on; the endpoint is asked before anything is told to it.

        BadInput: an address that the settings do not have, or a time that is over. LimitExceeded: more than
        limits.MAX_SUBSCRIPTIONS.
        """
        self._check(subject, endpoint, ends)
        provider, system = _names(subject)

        def decide(transaction: Transaction) -> Subscription:
            (count,) = transaction.one(
                "SELECT COUNT(*) FROM subscription WHERE provider = ? AND system = ?", provider, system
            )
            if count >= limits.MAX_SUBSCRIPTIONS:
                raise LimitExceeded(f"MAX_SUBSCRIPTIONS: a system has at most {limits.MAX_SUBSCRIPTIONS}")
            (studies,) = transaction.one("SELECT COALESCE(MAX(change_key), 0) FROM change")
            (texts,) = transaction.one("SELECT COALESCE(MAX(text_change_key), 0) FROM text_change")
            made = Subscription(
                uuid.uuid4().hex,
                provider,
                system,
                criteria,
                endpoint,
                payload,
                heartbeat_s,
                reason,
                ends,
                datetime.fromisoformat(transaction.time),
                SubscriptionStatus.REQUESTED,
                "",
                studies,
                texts,
                0,
            )
            transaction.insert(
                "subscription",
                subscription_id=made.subscription_id,
                provider=provider,
                system=system,
                criteria=criteria,
                endpoint=endpoint,
                payload=payload,
                heartbeat_s=heartbeat_s,
                reason=reason,
                ends=ends.isoformat() if ends else None,
                created=transaction.time,
                status=made.status.value,
                error="",
                study_cursor=studies,
                text_cursor=texts,
                events=0,
                failing_since=None,
                changed=transaction.time,
            )
            details = {
                "subscription": made.subscription_id,
                "to": endpoint,
                "kind": criteria.partition("?")[0],
            }
            audit.append(transaction, entry(subject, Event.SUBSCRIBE, details=details))
            return made

        return (await self._store.commit(decide)).value

    async def switch(self, subject: Subject, subscription_id: str, *, off: bool) -> Subscription:
        """Switches one off, or asks its endpoint anew; what happened meanwhile is told then."""
        known = await self.one(subject, subscription_id)
        self._check(subject, known.endpoint, known.ends)
        status = SubscriptionStatus.OFF if off else SubscriptionStatus.REQUESTED

        def decide(transaction: Transaction) -> None:
            transaction.update(
                "subscription",
                {"subscription_id": subscription_id},
                status=status.value,
                error="",
                failing_since=None,
                changed=transaction.time,
            )
            event = Event.END_SUBSCRIPTION if off else Event.SUBSCRIBE
            details = {"subscription": subscription_id, "to": known.endpoint}
            audit.append(transaction, entry(subject, event, details=details))

        await self._store.commit(decide)
        return replace(known, status=status, error="", failing_since=None)

    async def end(self, subject: Subject, subscription_id: str) -> None:
        """Removes one for good."""
        await self.one(subject, subscription_id)

        def decide(transaction: Transaction) -> None:
            transaction.delete("subscription", subscription_id=subscription_id)
            details = {"subscription": subscription_id}
            audit.append(transaction, entry(subject, Event.END_SUBSCRIPTION, details=details))

        await self._store.commit(decide)

    def _check(self, subject: Subject, endpoint: str, ends: datetime | None) -> None:
        if not self.subscriber(subject).may_be_told_at(endpoint):
            raise BadInput("the endpoint is at none of the addresses that the settings have for this system")
        if ends is not None and ends <= self._clock.now():
            raise BadInput("the subscription's end has passed")


def _names(subject: Subject) -> tuple[str, str]:
    assert subject.assignment is not None
    return subject.assignment.provider_hsa_id, subject.hsa_id
