"""A reader's standing: the facts boiled down once, so that thousands of items can be judged quickly. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from samsyn.access.facts import ALL, Facts
from samsyn.access.grounds import (
    binding_blocks,
    has_relation,
    standing_blocks,
    valid_assignment,
    valid_grounds,
)
from samsyn.model.predicate import Item
from samsyn.model.registers import Block, BlockKind, Ground
from samsyn.model.subject import Assignment, Scope, SubjectKind

Span: TypeAlias = tuple[int | None, int | None]
"""First and last day (YYYYMMDD) that a block covers; None = open."""
ALWAYS: Span = (None, None)


@dataclass(frozen=True, slots=True)
class Covered:
    """What the binding blocks cover, without repetition: spans by provider and by (provider, unit)."""

    providers: MappingProxyType[str, tuple[Span, ...]]
    units: MappingProxyType[tuple[str, str], tuple[Span, ...]]

    def hides(self, item: Item) -> bool:
        """Whether any block touches the item's time; an item of unknown time is touched by every block."""
        spans = self.providers.get(item.provider)
        if spans and _touched(spans, item):
            return True
        spans = self.units.get((item.provider, item.unit))
        return spans is not None and _touched(spans, item)

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


def chosen(choices: frozenset[str], name: str) -> bool:
    """Whether an active choice takes in this unit or provider."""
    return ALL in choices or name in choices


def _covered(blocks: Iterable[Block]) -> Covered:
    providers: dict[str, set[Span]] = {}
    units: dict[tuple[str, str], set[Span]] = {}
    for block in blocks:
        span = (block.first, block.last)
        if block.kind is BlockKind.OUTER or not block.unit:
            providers.setdefault(block.provider, set()).add(span)
        else:
            units.setdefault((block.provider, block.unit), set()).add(span)
    return Covered(
        MappingProxyType({provider: _fewest(spans) for provider, spans in providers.items()}),
        MappingProxyType({unit: _fewest(spans) for unit, spans in units.items()}),
    )


def _fewest(spans: set[Span]) -> tuple[Span, ...]:
    """A span without bounds covers every other one."""
    if ALWAYS in spans:
        return (ALWAYS,)
    return tuple(sorted(spans, key=lambda span: (span[0] or 0, span[1] or 0)))


def _touched(spans: tuple[Span, ...], item: Item) -> bool:
    """As model.predicate.Overlaps holds, without making one for each of many items."""
    for first, last in spans:
        if (last is None or item.begins is None or item.begins <= last) and (
            first is None or item.ends is None or item.ends >= first
        ):
            return True
    return False
