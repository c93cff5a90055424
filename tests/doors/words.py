"""The words in which the matrix and its oracle speak: readers, persons' registers, documents. No rule is here.

Times are hours from the moment of reading (negative = past), days are YYYYMMDD; None = unknown or open.
"""

from dataclasses import dataclass
from enum import IntEnum


class Seen(IntEnum):
    """How much of a document a reader learns at a door."""

    NOTHING = 0
    """The answer is that for an absent document, to the byte."""
    EXISTENCE = 1
    """That something exists, and nothing else about it."""
    OWNER = 2
    """Which unit or provider has it."""
    CONTENT = 3
    """Anything that stands in it: date, kind, text, pixels, UID, number."""


@dataclass(frozen=True)
class Place:
    """A care unit of a care provider, by HSA-id."""

    provider: str
    unit: str


@dataclass(frozen=True)
class Reader:
    """Somebody at a door. `kind`: staff, system, patient, consumer (national), nobody."""

    name: str
    kind: str
    place: Place | None = None
    employee: str = ""
    purpose: str = "care"
    scope: str = ""
    """"unit", "provider", "cross" or "" = may not read pictures and reports at all."""
    is_expired: bool = False
    units: str = ""
    """Active choice of other units: "" none, "named" = their names asked for, "read" = chosen to be read."""
    blocked_units_named: bool = False
    providers: str = ""
    """The same for other providers."""
    need_attested: bool = False
    """The second attestation of an emergency or of lasting incapacity."""
    blockers_named: bool = False
    is_himself: bool = False
    """For kind patient: the person whom the documents are about. For kind consumer: serves the patient himself."""
    duties: frozenset[str] = frozenset()
    is_guardian: bool = False
    """For kind patient: somebody whom the registers may name as the guardian of the person (State.guardian)."""


@dataclass(frozen=True)
class Relation:
    """A care relation of a unit, or of one person there."""

    place: Place
    employee: str = ""
    starts: float = -1
    ends: float = 24


@dataclass(frozen=True)
class Ground:
    """A registered ground: consent, child, incapacity or emergency."""

    kind: str
    place: Place
    employee: str = ""
    starts: float = -1
    ends: float | None = 24
    ended: float | None = None


@dataclass(frozen=True)
class Block:
    """A block, inner (of a unit) or outer (of a provider), with the days of information that it covers."""

    name: str
    kind: str
    provider: str
    unit: str = ""
    first: int | None = None
    last: int | None = None
    ended: float | None = None


@dataclass(frozen=True)
class Lift:
    """A temporary lift of one block for a unit or a person."""

    block: str
    unit: str
    employee: str = ""
    starts: float = -1
    ends: float = 12
    ended: float | None = None


@dataclass(frozen=True)
class State:
    """One person with his registers and one documented examination (images, referral, report)."""

    name: str
    owner: Place
    relations: tuple[Relation, ...] = ()
    grounds: tuple[Ground, ...] = ()
    blocks: tuple[Block, ...] = ()
    lifts: tuple[Lift, ...] = ()
    first_day: int | None = 20200301
    last_day: int | None = 20200301
    report: str = "final"
    """final, preliminary, annulled."""
    is_held: bool = False
    """In quarantine: received, durable, and part of nobody's record yet."""
    is_rejected: bool = False
    """The owner has taken the images back by a rejection note; report and referral stay."""
    is_protected: bool = False
    guardian: str = ""
    """What the register says of the reader who is a guardian: "" nothing, "now", "later", "over", "taken back"."""
    age: str = ""
    """The day before the thirteenth birthday ("twelve"), the birthday itself ("thirteen"); so too "fifteen", "sixteen",
    "seventeen" and "eighteen". "" = an adult, or not known where a guardian is registered."""
    is_merged: bool = False
    """The documents came under a number that has been merged into the person's; the registers know the new one."""
