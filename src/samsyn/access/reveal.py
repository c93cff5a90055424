"""The staged reveal: which steps there are, what each demands, and what it adds to the reader's choices. Pure."""

from dataclasses import replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from samsyn.access.events import Event
from samsyn.access.facts import Choices
from samsyn.access.grounds import TWO_STEP
from samsyn.access.rules import OWN_WORK
from samsyn.access.standing import Standing
from samsyn.errors import BadInput, NotAllowed
from samsyn.model.registers import Ground
from samsyn.model.subject import Scope, SubjectKind


class Step(StrEnum):
    """The steps that a reader takes by an active choice (aktivt val)."""

    OTHER_UNITS = "other-units"
    """Show which other units of the own provider have information."""
    UNITS = "units"
    """Show these units' information."""
    BLOCKED_UNITS = "blocked-units"
    """Show which units of the own provider have blocked information (PDL 4:5)."""
    OTHER_PROVIDERS = "other-providers"
    """Show which other providers have information; needs a ground (SVOD 3:1, 3:3, 3:6)."""
    RELEVANT = "relevant"
    """Attest, having seen the providers' names, that it is needed (second step of SVOD 3:3 and 3:6)."""
    PROVIDERS = "providers"
    """Show these providers' information."""
    BLOCKED_PROVIDERS = "blocked-providers"
    """Show, in danger, which providers have blocked information (SVOD 3:5)."""


STEP_EVENTS: Final = MappingProxyType(
    {
        Step.OTHER_UNITS: Event.REVEAL_OTHER_UNITS,
        Step.UNITS: Event.CHOOSE_UNITS,
        Step.BLOCKED_UNITS: Event.REVEAL_BLOCKED,
        Step.OTHER_PROVIDERS: Event.REVEAL_OTHER_PROVIDER,
        Step.RELEVANT: Event.ATTEST_RELEVANT,
        Step.PROVIDERS: Event.ENTER_CARE_SYSTEM,
        Step.BLOCKED_PROVIDERS: Event.REVEAL_BLOCKED_PROVIDER,
    }
)
"""How each step stands in the audit journal."""


def step_taken(reader: Standing, before: Choices, step: Step, names: frozenset[str]) -> Choices:
    """The choices after the step. NotAllowed: right, relation, ground or the step before it is missing."""
    facts = reader.facts
    if facts.subject.kind is not SubjectKind.STAFF or not facts.subject.session_id:
        raise NotAllowed("only staff in a session reveal")
    if reader.assignment is None or facts.purpose in OWN_WORK or not reader.related:
        raise NotAllowed("no-relation")
    if (step in (Step.UNITS, Step.PROVIDERS)) != bool(names):
        raise BadInput("units or providers are chosen by their HSA-ids, at their own step")
    match step:
        case Step.OTHER_UNITS:
            _demand(reader.scope is not Scope.UNIT, "scope")
            return replace(before, units_shown=True)
        case Step.UNITS:
            _demand(before.units_shown, "units not shown")
            return replace(before, units=before.units | names)
        case Step.BLOCKED_UNITS:
            _demand(reader.scope is not Scope.UNIT, "scope")
            return replace(before, blocked_units_shown=True)
        case Step.OTHER_PROVIDERS:
            _demand(bool(reader.grounds) or bool(facts.policy.same_region), "no-ground")
            return replace(before, providers_shown=True)
        case Step.RELEVANT:
            _demand(before.providers_shown and not reader.grounds.isdisjoint(TWO_STEP), "providers not shown")
            return replace(before, relevant=True)
        case Step.PROVIDERS:
            _demand(before.providers_shown, "providers not shown")
            return replace(before, providers=before.providers | names)
        case Step.BLOCKED_PROVIDERS:
            _demand(Ground.EMERGENCY in reader.grounds, "only in danger")
            return replace(before, blocked_providers_shown=True)


def _demand(condition: bool, code: str) -> None:
    if not condition:
        raise NotAllowed(code)
