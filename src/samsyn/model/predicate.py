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


Span: TypeAlias = tuple[int | None, int | None]
"""First and last day (YYYYMMDD, inclusive); None = open end."""

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
class UnitDuring:
    """UnitIs and Overlaps in one: somebody's blocks may be hundreds of these."""

    provider: str
    unit: str
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class HasOwner:
    """Provider and unit are both known."""


@dataclass(frozen=True, slots=True)
class Overlaps:
    """The item's time touches one of the spans; unknown time touches each. Without spans = Nothing."""

    spans: tuple[Span, ...]


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
    | UnitDuring
    | HasOwner
    | Overlaps
    | IsPreliminary
    | AllOf
    | AnyOf
    | Without
)


def holds(predicate: Predicate, item: Item) -> bool:
    """Whether the item may be seen under the predicate."""
    # It is asked for every object that is read: plain tests, the most frequent first, take a fifth of what patterns
    # and generators take.
    if isinstance(predicate, AllOf):
        for part in predicate.parts:  # noqa: SIM110 - see above
            if not holds(part, item):
                return False
        return True
    if isinstance(predicate, AnyOf):
        for part in predicate.parts:  # noqa: SIM110 - see above
            if holds(part, item):
                return True
        return False
    if isinstance(predicate, PatientIn):
        return item.patient_key in predicate.keys
    if isinstance(predicate, ProviderIs):
        return bool(predicate.provider) and item.provider == predicate.provider
    if isinstance(predicate, UnitIs):
        return (
            bool(predicate.provider)
            and bool(predicate.unit)
            and (item.provider, item.unit) == (predicate.provider, predicate.unit)
        )
    if isinstance(predicate, UnitDuring):
        return (
            bool(predicate.provider)
            and bool(predicate.unit)
            and (item.provider, item.unit) == (predicate.provider, predicate.unit)
            and touches(predicate.spans, item.begins, item.ends)
        )
    if isinstance(predicate, HasOwner):
        return bool(item.provider) and bool(item.unit)
    if isinstance(predicate, Overlaps):
        return touches(predicate.spans, item.begins, item.ends)
    if isinstance(predicate, IsPreliminary):
        return item.preliminary
    if isinstance(predicate, Without):
        return not holds(predicate.part, item)
    return isinstance(predicate, Everything)  # what is left is that, or Nothing


def touches(spans: tuple[Span, ...], begins: int | None, ends: int | None) -> bool:
    """Whether days from `begins` to `ends` touch one of the spans; an unknown end touches whatever it may."""
    for first, last in spans:
        if (last is None or begins is None or begins <= last) and (
            first is None or ends is None or ends >= first
        ):
            return True
    return False
