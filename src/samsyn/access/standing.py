"""A reader's standing: the facts boiled down once, so that thousands of items can be judged quickly. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from samsyn.access.facts import ALL, Facts
from samsyn.access.grounds import (
    binding_blocks,
    has_relation,
    standing_blocks,
    valid_assignment,
    valid_grounds,
)
from samsyn.model.predicate import Item, Span, touches
from samsyn.model.registers import Block, BlockKind, Ground
from samsyn.model.subject import Assignment, Scope, SubjectKind

ALWAYS: Final[Span] = (None, None)


@dataclass(frozen=True, slots=True)
class Covered:
    """What the binding blocks cover, without repetition: spans by provider and by (provider, unit)."""

    providers: MappingProxyType[str, tuple[Span, ...]]
    units: MappingProxyType[tuple[str, str], tuple[Span, ...]]

    def hides(self, item: Item) -> bool:
        """Whether any block touches the item's time; an item of unknown time is touched by every block."""
        spans = self.providers.get(item.provider)
        if spans and touches(spans, item.begins, item.ends):
            return True
        spans = self.units.get((item.provider, item.unit))
        return spans is not None and touches(spans, item.begins, item.ends)

    def spans_of(self, provider: str, unit: str) -> tuple[Span, ...]:
        """What is covered at this owner; () when no binding block touches it."""
        return self.providers.get(provider, ()) + self.units.get((provider, unit), ())


@dataclass(frozen=True, slots=True)
class Standing:
    """The facts as the rules use them; `assignment` is None when none is valid."""

    facts: Facts
    assignment: Assignment | None
    scope: Scope | None
    related: bool
    grounds: frozenset[Ground]
    covered: Covered


def standing(facts: Facts) -> Standing:
    """Boils the facts down."""
    if facts.subject.kind is SubjectKind.CONSUMER:
        return Standing(facts, None, None, False, frozenset(), _covered(standing_blocks(facts)))
    assignment = valid_assignment(facts)
    if assignment is None:
        return Standing(facts, None, None, False, frozenset(), _covered(()))
    return Standing(
        facts,
        assignment,
        assignment.reading_scope(),
        has_relation(facts, assignment),
        valid_grounds(facts, assignment),
        _covered(binding_blocks(facts, assignment)),
    )


def told_apart(reader: Standing, rows: Iterable[tuple[int, str, str, int | None, int | None]]) -> list[Item]:
    """One item for all of a history that the rules of staff and systems can not tell apart.

    Their verdict depends on the patient, the owner and whether a block hides the item, and on time through that
    alone. `rows`: (patient, provider, unit, begins, ends).
    """
    found: list[Item] = []
    owners: dict[tuple[int, str, str], tuple[tuple[Span, ...], set[bool]]] = {}
    for patient_key, provider, unit, begins, ends in rows:
        owner = patient_key, provider, unit
        if owner not in owners:
            owners[owner] = reader.covered.spans_of(provider, unit), set()
        spans, told = owners[owner]
        if len(told) == 2 or (told and not spans):
            continue  # nothing else is left to be told of this owner
        is_hidden = touches(spans, begins, ends)
        if is_hidden not in told:
            told.add(is_hidden)
            found.append(Item(patient_key, provider, unit, begins, ends))
    return found


def chosen(choices: frozenset[str], name: str) -> bool:
    """Whether an active choice takes in this unit or provider."""
    return ALL in choices or name in choices


def _covered(blocks: Iterable[Block]) -> Covered:
    providers: dict[str, set[Span]] = {}
    units: dict[tuple[str, str], set[Span]] = {}
    for _, _, kind, provider, unit, first, last, _ in blocks:
        if kind is BlockKind.OUTER or not unit:
            providers.setdefault(provider, set()).add((first, last))
        else:
            units.setdefault((provider, unit), set()).add((first, last))
    return Covered(
        MappingProxyType({provider: _fewest(spans) for provider, spans in providers.items()}),
        MappingProxyType({unit: _fewest(spans) for unit, spans in units.items()}),
    )


def _fewest(spans: set[Span]) -> tuple[Span, ...]:
    """A span without bounds covers every other one."""
    if ALWAYS in spans:
        return (ALWAYS,)
    if len(spans) == 1:
        return tuple(spans)
    try:
        return tuple(sorted(spans))
    except TypeError:  # an open end among days
        return tuple(sorted(spans, key=lambda span: (span[0] or 0, span[1] or 0)))
