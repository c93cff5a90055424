"""Rows of the access registers: consent, block, lift and care relation. Times are aware and in UTC."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class Ground(StrEnum):
    """Legal ground for reading other providers' information (SVOD 3 kap.)."""

    CONSENT = "consent"
    """The patient consents (samtycke, SVOD 3:1)."""
    CHILD = "child"
    """A child that can not consent (SVOD 3:1 second paragraph)."""
    INCAPACITY = "incapacity"
    """An adult who lacks capacity other than temporarily (SVOD 3:3)."""
    EMERGENCY = "emergency"
    """Danger to life or health and consent can not be obtained (nödöppning, SVOD 3:6)."""


class BlockKind(StrEnum):
    """Inner: hides a unit's information from other units. Outer: hides a provider's from other providers."""

    INNER = "inner"
    OUTER = "outer"


@dataclass(frozen=True, slots=True)
class CareRelation:
    """A current patient relation (patientrelation) of a care unit, attested or known from a referral."""

    relation_id: str
    patient_key: int
    provider: str
    unit: str
    employee: str
    """HSA-id of the person who attested; empty = the whole unit (from a referral or booking)."""
    starts: datetime
    ends: datetime
    source: str
    """"attested", "referral", "booking" or "national"."""


@dataclass(frozen=True, slots=True)
class Consent:
    """A registered ground for cross-provider reading, for one reading unit or one person there."""

    consent_id: str
    patient_key: int
    ground: Ground
    provider: str
    unit: str
    employee: str
    """HSA-id when only one person may read; empty = everybody with a care relation at the unit."""
    starts: datetime
    ends: datetime | None
    """None = until withdrawn."""
    channel: str
    """"visit", "phone" or "referral"; "national" for one that a national register tells."""
    ended: datetime | None = None
    """When it was withdrawn or annulled."""


class Block(NamedTuple):
    """A patient's block (spärr). `first`/`last`: YYYYMMDD days of information that it covers; None = open.

    A tuple, since the opening of a View makes one of each row, and somebody may have hundreds.
    """

    block_id: str
    patient_key: int
    kind: BlockKind
    provider: str
    unit: str
    """Required for an inner block; empty for an outer one."""
    first: int | None = None
    last: int | None = None
    ended: datetime | None = None


@dataclass(frozen=True, slots=True)
class Lift:
    """A temporary lift (tillfällig hävning) of one block for a reading unit or one person, at most 7 days."""

    lift_id: str
    block_id: str
    patient_key: int
    unit: str
    employee: str
    starts: datetime
    ends: datetime
    reason: str
    """"consent" or "emergency"."""
    ended: datetime | None = None


class LiftAnswer(StrEnum):
    """What the owner's block administrator answered to a request."""

    WAITING = ""
    GRANTED = "granted"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class LiftRequest:
    """A reader's request to the provider that blocked, to lift for a while (begäran om hävning, SVOD 3:5)."""

    request_id: str
    patient_key: int
    owner: str
    """HSA-id of the provider that holds the block and answers."""
    provider: str
    unit: str
    """Of the person who asks, as are provider and assignment."""
    employee: str
    asker: str
    """Name of the person who asks; "" when it is protected."""
    for_unit: bool
    """Asked for everybody with a care relation at the unit, not for the asker alone."""
    phone: str
    need: str
    """Why it is needed, in the asker's words."""
    asked: datetime
    answered: datetime | None = None
    answer: LiftAnswer = LiftAnswer.WAITING
    told: str = ""
    """The administrator's words to the asker."""
    until: datetime | None = None
    """When a granted lift ends."""


@dataclass(frozen=True, slots=True)
class Guardianship:
    """Somebody stands in for a child (vårdnadshavare), by their keys."""

    guardianship_id: str
    child_key: int
    guardian_key: int
    starts: datetime
    ends: datetime | None
    """None = as long as the child is young enough."""
    source: str
    """"steward", "file" or "adt:" with the system that told it."""
    ended: datetime | None = None
    """When it was taken back."""
