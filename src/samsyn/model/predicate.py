"""The algebra in which a View says what may be seen.

A predicate is data: `holds` evaluates it in memory, `store.index.predicate_sql` compiles it to SQL, and a
property test proves that both always agree. It speaks of one *item* (a study, a referral or a report), each of
which has the same six facts. Unknown times count as overlapping every interval (the closed side).
"""

from dataclasses import dataclass
from typing import Final, TypeAlias


@dataclass(frozen=True, slots=True)
class Item:
    """The facts that access rules decide on."""

    patient_key: int
    provider: str
    unit: str
    begins: int | None
    """YYYYMMDD of the first day that the item documents; None = unknown."""
    ends: int | None
    """YYYYMMDD of the last day; None = unknown."""
    preliminary: bool = False
    """Whether it is a report that nobody has signed yet (preliminärsvar)."""


NO_ITEM: Final = Item(0, "", "", None, None)
"""What is absent: nobody's, of nobody. It is put to the rules like a hidden item, so that both take as long."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """Never holds: an empty policy shows nothing."""


@dataclass(frozen=True, slots=True)
class Everything:
    """Always holds."""


@dataclass(frozen=True, slots=True)
class PatientIn:
    """The item belongs to one of these persons."""

    keys: frozenset[int]


@dataclass(frozen=True, slots=True)
class ProviderIs:
    """The item's owner is this care provider (an item without owner never matches)."""

    provider: str


@dataclass(frozen=True, slots=True)
class UnitIs:
    """The item's owner is this care unit of this provider."""

    provider: str
    unit: str


@dataclass(frozen=True, slots=True)
class HasOwner:
    """Provider and unit are both known."""


@dataclass(frozen=True, slots=True)
class Overlaps:
    """The item's time touches [first, last] (YYYYMMDD, inclusive; None = open end); unknown time touches."""

    first: int | None
    last: int | None


@dataclass(frozen=True, slots=True)
class IsPreliminary:
    """The item is a report that nobody has signed yet."""


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part holds; no parts = Everything."""

    parts: tuple["Predicate", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part holds; no parts = Nothing."""

    parts: tuple["Predicate", ...]


@dataclass(frozen=True, slots=True)
class Without:
    """The part does not hold."""

    part: "Predicate"


Predicate: TypeAlias = (
    Nothing
    | Everything
    | PatientIn
    | ProviderIs
    | UnitIs
    | HasOwner
    | Overlaps
    | IsPreliminary
    | AllOf
    | AnyOf
    | Without
)


def holds(predicate: Predicate, item: Item) -> bool:
    """Whether the item may be seen under the predicate."""
    match predicate:
        case Nothing():
            return False
        case Everything():
            return True
        case PatientIn(keys):
            return item.patient_key in keys
        case ProviderIs(provider):
            return bool(provider) and item.provider == provider
        case UnitIs(provider, unit):
            return bool(provider) and bool(unit) and (item.provider, item.unit) == (provider, unit)
        case HasOwner():
            return bool(item.provider) and bool(item.unit)
        case Overlaps(first, last):
            starts_in_time = last is None or item.begins is None or item.begins <= last
            ends_in_time = first is None or item.ends is None or item.ends >= first
            return starts_in_time and ends_in_time
        case IsPreliminary():
            return item.preliminary
        case AllOf(parts):
            return all(holds(part, item) for part in parts)
        case AnyOf(parts):
            return any(holds(part, item) for part in parts)
        case Without(part):
            return not holds(part, item)
