"""What a person's age decides: who reads a child's record, and until when a child needs no consent. Pure.

A birth that several linked records tell differently is judged by each of them, and the closed side counts.
"""

from datetime import datetime
from typing import Final

from samsyn.access.facts import Facts
from samsyn.clock import swedish_day
from samsyn.model.subject import Serves, SubjectKind

GUARDIAN_UNTIL_YEARS: Final = 13
"""Guardians read until this birthday; from then to OWN_FROM_YEARS nobody but the child's carers does (regional rule:
PDL 5:5 lets the provider choose, and the portals of the regions have chosen so)."""
OWN_FROM_YEARS: Final = 16
"""From this birthday a person reads the own record by the own log-in (the same rule): before it, whoever holds the
child's log-in would read what a mature child has told its carers alone (föräldrabalken 6:11)."""
ADULT_YEARS: Final = 18
"""From this birthday nobody is a child (föräldrabalken 9:1): consent is the person's own to give (SVOD 3:1)."""


def is_young_child(facts: Facts) -> bool:
    """Whether the person has not yet had the thirteenth birthday, in Sweden; False when the birth is unknown, or told
    differently."""
    return len(facts.births) == 1 and not _has_had(facts, GUARDIAN_UNTIL_YEARS)


def is_adult(facts: Facts) -> bool:
    """Whether the person has had the eighteenth birthday by any record; False when the birth is unknown."""
    return _has_had(facts, ADULT_YEARS)


def is_too_young_alone(facts: Facts) -> bool:
    """Whether the reader is the person himself, by his own log-in, and by some record younger than sixteen.

    Of whom no birth is known he is taken for an adult. A national consumer that serves patients knows who has logged
    in with it, the child or a guardian, and keeps the ages itself.
    """
    subject = facts.subject
    if subject.kind is not SubjectKind.PATIENT or Serves.PATIENTS in subject.roles:
        return False
    if subject.patient_key not in facts.patient_keys:
        return False
    return is_under_own_age(facts.births, facts.now)


def is_under_own_age(births: frozenset[int], now: datetime) -> bool:
    """Whether by any of the births the person has not yet had the sixteenth birthday."""
    return any(swedish_day(now) < _birthday(born, OWN_FROM_YEARS) for born in births)


def _has_had(facts: Facts, years: int) -> bool:
    return any(swedish_day(facts.now) >= _birthday(born, years) for born in facts.births)


def _birthday(born: int, years: int) -> int:
    """YYYYMMDD; for somebody born on 29 February no sooner than 1 March in a year without it."""
    return born + years * 10_000
