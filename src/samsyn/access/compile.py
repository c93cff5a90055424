"""The rules as a predicate that the store can put into its queries.

Pure. The promise, held by a property test: for every item, holds(predicate(facts), item) is
decide(facts, item).visible. So a count, a thumbnail or a C-FIND obeys the law without knowing it.
"""

from collections.abc import Iterable, Sequence
from types import MappingProxyType
from typing import Final

from samsyn.access.ages import is_too_young_alone
from samsyn.access.facts import ALL, Facts, Release
from samsyn.access.grounds import ONE_STEP
from samsyn.access.rules import OWN_WORK, best_ground, is_same_region, last_day_for_patient, stands_for
from samsyn.access.standing import ALWAYS, Covered, Standing, standing
from samsyn.model.predicate import (
    AllOf,
    AnyOf,
    HasOwner,
    IsPreliminary,
    Nothing,
    Overlaps,
    PatientIn,
    Predicate,
    ProviderIs,
    Span,
    UnitDuring,
    UnitIs,
    Without,
)
from samsyn.model.subject import Assignment, Purpose, Scope, Serves, Subject, SubjectKind

_WIDTH: Final = 16
"""Alternatives in one "or": 500 blocks make a tree of depth three instead of a chain of 500."""


def predicate(facts: Facts) -> Predicate:
    """What the reader may see of the one person that the facts are about."""
    return predicate_of(standing(facts))


def predicate_of(reader: Standing) -> Predicate:
    """The same for facts that have been boiled down."""
    facts = reader.facts
    seen = _BY_KIND[facts.subject.kind](reader)
    if isinstance(seen, Nothing) or not facts.patient_keys:
        return Nothing()
    return AllOf((PatientIn(facts.patient_keys), HasOwner(), seen))


def system_predicate(subject: Subject, purpose: Purpose, patients: Iterable[Standing]) -> Predicate:
    """What a system may see without naming a patient: its own provider, and others' on each patient's ground."""
    own = subject.assignment
    if subject.kind is not SubjectKind.SYSTEM or own is None or purpose is not Purpose.CARE:
        return Nothing()
    if own.purpose is not purpose or not own.provider_hsa_id or not own.unit_hsa_id:
        return Nothing()
    seen = [part for part in map(predicate_of, patients) if not isinstance(part, Nothing)]
    return AnyOf((AllOf((HasOwner(), ProviderIs(own.provider_hsa_id))), *seen))


def _staff(reader: Standing) -> Predicate:
    own, facts = reader.assignment, reader.facts
    if own is None or own.purpose is not facts.purpose or reader.scope is None:
        return Nothing()
    if facts.purpose is not Purpose.CARE:
        return _own_work(reader, own)
    if not reader.related:
        return Nothing()
    branches: list[Predicate] = [UnitIs(own.provider_hsa_id, own.unit_hsa_id)]
    if facts.blocks_known and reader.scope is not Scope.UNIT:
        branches.append(_own_provider(reader, own))
        branches.append(_same_region(reader))
    if facts.blocks_known and reader.scope is Scope.CROSS_PROVIDER:
        branches.append(_other_providers(reader, own))
    return _any(branches)


def _own_work(reader: Standing, own: Assignment) -> Predicate:
    if reader.facts.purpose not in OWN_WORK:
        return Nothing()
    if reader.scope is Scope.UNIT:
        return UnitIs(own.provider_hsa_id, own.unit_hsa_id)
    return ProviderIs(own.provider_hsa_id)


def _own_provider(reader: Standing, own: Assignment) -> Predicate:
    units = reader.facts.choices.units
    if not units:
        return Nothing()
    if ALL in units:
        wanted: Predicate = ProviderIs(own.provider_hsa_id)
    else:
        wanted = _any([UnitIs(own.provider_hsa_id, unit) for unit in sorted(units)])
    return AllOf((wanted, *_unless(_blocked(reader.covered, {own.provider_hsa_id}))))


def _same_region(reader: Standing) -> Predicate:
    chosen = reader.facts.choices.providers
    wanted = {
        provider
        for provider in reader.facts.policy.same_region
        if is_same_region(reader, provider) and (ALL in chosen or provider in chosen)
    }
    return _unblocked(reader, wanted)


def _other_providers(reader: Standing, own: Assignment) -> Predicate:
    choices = reader.facts.choices
    if not reader.grounds or not choices.providers:
        return Nothing()
    if best_ground(reader.grounds) not in ONE_STEP and not choices.relevant:
        return Nothing()
    if ALL not in choices.providers:
        return _unblocked(
            reader,
            {
                provider
                for provider in choices.providers
                if provider != own.provider_hsa_id and not is_same_region(reader, provider)
            },
        )
    near = {own.provider_hsa_id} | {p for p in reader.facts.policy.same_region if is_same_region(reader, p)}
    return AllOf(
        (
            *(Without(ProviderIs(provider)) for provider in sorted(near)),
            *_unless(_blocked(reader.covered, None)),
        )
    )


def _system(reader: Standing) -> Predicate:
    own, facts = reader.assignment, reader.facts
    if own is None or facts.purpose is not Purpose.CARE or own.purpose is not facts.purpose:
        return Nothing()
    branches: list[Predicate] = [ProviderIs(own.provider_hsa_id)]
    if reader.related and reader.grounds and facts.blocks_known:
        foreign = Without(ProviderIs(own.provider_hsa_id))
        branches.append(AllOf((foreign, *_unless(_blocked(reader.covered, None)))))
    return _any(branches)


def _consumer(reader: Standing) -> Predicate:
    facts = reader.facts
    if facts.purpose is not Purpose.CARE or Serves.CARE not in facts.subject.roles or not facts.blocks_known:
        return Nothing()
    return AllOf(_unless(_blocked(reader.covered, None)))


def _patient(reader: Standing) -> Predicate:
    facts = reader.facts
    if facts.purpose is not Purpose.OWN_RECORD or not stands_for(facts) or is_too_young_alone(facts):
        return Nothing()
    released = [_released(facts, each) for each in facts.policy.releases if each.provider]
    return AllOf((Without(IsPreliminary()), _any(released))) if released else Nothing()


def _released(facts: Facts, release: Release) -> Predicate:
    """What one provider lets the person read."""
    excluded = _any([UnitIs(release.provider, unit) for unit in sorted(release.excluded_units)])
    later = Overlaps(((last_day_for_patient(facts, release) + 1, None),))
    return AllOf((ProviderIs(release.provider), Without(excluded), Without(later)))


def _unblocked(reader: Standing, providers: set[str]) -> Predicate:
    if not providers:
        return Nothing()
    wanted = _any([ProviderIs(provider) for provider in sorted(providers)])
    return AllOf((wanted, *_unless(_blocked(reader.covered, providers))))


def _blocked(covered: Covered, providers: set[str] | None) -> list[Predicate]:
    """What the binding blocks hide, of these providers only (None = of all); one part for each provider."""
    concerned = {*covered.providers, *(provider for provider, _ in covered.units)}
    if providers is not None:
        concerned &= providers
    if not concerned:
        return []
    units: dict[str, list[Predicate]] = {provider: [] for provider in sorted(concerned)}
    for provider, unit in sorted(owner for owner in covered.units if owner[0] in concerned):
        spans = covered.units[provider, unit]
        is_always = spans == (ALWAYS,)
        units[provider].append(UnitIs(provider, unit) if is_always else UnitDuring(provider, unit, spans))
    return [
        _blocked_at(provider, covered.providers.get(provider, ()), parts) for provider, parts in units.items()
    ]


def _blocked_at(provider: str, spans: tuple[Span, ...], units: list[Predicate]) -> Predicate:
    """The provider first, so that a row of another one is told by one comparison."""
    if spans == (ALWAYS,):
        return ProviderIs(provider)
    if not spans and len(units) == 1:
        return units[0]
    whole: list[Predicate] = [Overlaps(spans)] if spans else []
    return AllOf((ProviderIs(provider), _any([*whole, *units])))


def _unless(parts: list[Predicate]) -> tuple[Predicate, ...]:
    return (Without(_any(parts)),) if parts else ()


def _any(parts: Sequence[Predicate]) -> Predicate:
    """The parts joined by "or", as a balanced tree: SQL engines bound the depth of a chain."""
    wanted = [part for part in parts if not isinstance(part, Nothing)]
    if not wanted:
        return Nothing()
    if len(wanted) == 1:
        return wanted[0]
    if len(wanted) <= _WIDTH:
        return AnyOf(tuple(wanted))
    size = -(-len(wanted) // _WIDTH)
    return AnyOf(tuple(_any(wanted[start : start + size]) for start in range(0, len(wanted), size)))


_BY_KIND: Final = MappingProxyType(
    {
        SubjectKind.STAFF: _staff,
        SubjectKind.SYSTEM: _system,
        SubjectKind.PATIENT: _patient,
        SubjectKind.CONSUMER: _consumer,
    }
)
