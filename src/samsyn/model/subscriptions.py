"""Words of FHIR subscriptions (R4 Subscription, rest-hook)."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class SubscriptionStatus(StrEnum):
    """R4's states of a subscription."""

    REQUESTED = "requested"
    """The endpoint has not answered the handshake yet."""
    ACTIVE = "active"
    ERROR = "error"
    """The last notification was not taken; it is tried again."""
    OFF = "off"
    """Nothing is sent: ended, given up, or switched off by the subscriber."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a known system wants to be told of, and how far it has been told."""

    subscription_id: str
    provider: str
    system: str
    """Name of the system among its provider's."""
    criteria: str
    """A search as R4 writes it: kind, and filters after a question mark."""
    endpoint: str
    payload: str
    """"" = an empty call; "empty" and "id-only" = a bundle without or with references to what changed."""
    heartbeat_s: int
    """A call at least so often, 0 = only when something happened."""
    reason: str
    """Why, in the subscriber's words (R4 demands it)."""
    ends: datetime | None
    created: datetime
    status: SubscriptionStatus
    error: str
    study_cursor: int
    """Place in the feed of studies up to which the endpoint has confirmed."""
    text_cursor: int
    """The same in the feed of texts."""
    events: int
    """Events confirmed since the subscription began."""
    failing_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class TextChange:
    """A report version that was filed or moved, or a referral that was filed or changed."""

    cursor: int
    kind: str
    """"report" or "referral"."""
    patient_key: int
    provider: str
    accession: str
    number: str
    """Filler's number of a report, placer's of a referral."""
    time: datetime
