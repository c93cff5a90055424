"""What the access rules are told: everything about one reader and one patient at one moment."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from samsyn.model.registers import Block, CareRelation, Consent, Lift
from samsyn.model.subject import Purpose, Subject

ALL: Final = "*"
"""In a set of chosen units or providers: every one of them."""


@dataclass(frozen=True, slots=True)
class Choices:
    """The active choices (aktiva val) that a reader has made for one patient in this session.

    Each is a step of the staged reveal and leaves its own line in the audit journal.
    """

    units_shown: bool = False
    """Asked which other units of the own provider have information (REVEAL_OTHER_UNITS)."""
    units: frozenset[str] = frozenset()
    """HSA-ids of the units chosen to be read, or ALL."""
    blocked_units_shown: bool = False
    """Asked which units of the own provider have blocked information (REVEAL_BLOCKED; PDL 4:5)."""
    providers_shown: bool = False
    """Asked which other providers have unblocked information (REVEAL_OTHER_PROVIDER)."""
    providers: frozenset[str] = frozenset()
    """HSA-ids of the providers chosen to be read, or ALL."""
    relevant: bool = False
    """Attested, after the providers' names, that the information is needed (SVOD 3:3 and 3:6, second step)."""
    attested: datetime | None = None
    """When it was attested: a ground of that kind that begins later demands it anew."""
    blocked_providers_shown: bool = False
    """Asked in danger which providers have blocked information (REVEAL_BLOCKED_PROVIDER; SVOD 3:5)."""


@dataclass(frozen=True, slots=True)
class Release:
    """When one care provider lets patients read what it has made (PDL 5:5: it may give direct access)."""

    provider: str
    days: int = 0
    """Days (rådrum) since the newest text, or since the examination."""
    excluded_units: frozenset[str] = frozenset()
    """HSA-ids of units that give none."""
    after_vidimering: bool = False
    """Whether a report waits until the referrer has vidimerat what stands there now."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the law leaves to the region; every default is the closed side."""

    inner_acts_outward: bool = True
    """Whether an inner block also hides from other providers (practice in several regions)."""
    same_region: frozenset[str] = frozenset()
    """Authorities within the same region that read each other without consent (PDL 5:4)."""
    patient_delay_days: int = 14
    """Days (rådrum) before a patient reads information directly; information without a day stays hidden."""
    releases: tuple[Release, ...] = ()
    """The providers that give patients direct access; any other gives none."""

    def release_of(self, provider: str) -> Release | None:
        """The provider's rule; None = no patient reads what it has made."""
        return next((each for each in self.releases if each.provider == provider), None)


@dataclass(frozen=True, slots=True)
class Facts:
    """One reader, one person, one moment. `patient_keys` are all keys of that one person (merged ones too).

    Register rows about other persons are ignored; rows about any of the keys count for all of them.
    """

    subject: Subject
    purpose: Purpose
    """What the view is opened for; the clinical viewer always says CARE."""
    patient_keys: frozenset[int]
    now: datetime
    relations: tuple[CareRelation, ...] = ()
    consents: tuple[Consent, ...] = ()
    blocks: tuple[Block, ...] = ()
    lifts: tuple[Lift, ...] = ()
    choices: Choices = Choices()
    policy: Policy = Policy()
    blocks_known: bool = True
    """False when the block register can not be read or its copy is too old (fail closed)."""
    births: frozenset[int] = frozenset()
    """Days (YYYYMMDD) that the records of the person tell as his birth; empty = unknown, or not asked: only where an
    age decides (access.ages)."""
