"""The law as a decision: may this reader see this item, how much of it, and why.

Pure. `decide` asks small rules in turn; each cites its paragraph and either answers or passes on. The order is
part of the law: who asks, for what, with which right and relation, and only then what about the item.
PDL = patientdatalagen (2008:355), SVOD = lagen om sammanhållen vård- och omsorgsdokumentation (2022:913).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias

from samsyn.access.ages import is_too_young_alone, is_young_child
from samsyn.access.facts import Facts, Release
from samsyn.access.grounds import ONE_STEP
from samsyn.access.standing import Standing, chosen, standing
from samsyn.clock import day_number
from samsyn.model.predicate import Item
from samsyn.model.registers import Ground
from samsyn.model.subject import Assignment, Purpose, Scope, Serves, SubjectKind

OWN_WORK: Final = frozenset({Purpose.QUALITY, Purpose.LEGAL, Purpose.STATISTICS, Purpose.ADMINISTRATION})
"""Purposes for which a provider uses its own information beside care (PDL 2:4 p. 3-6)."""


class Level(IntEnum):
    """How much of an item is told; each level includes those before it."""

    NOTHING = 0
    BIT = 1
    """That something exists, by one bit for all such items together; no name, number, date or kind."""
    NAMES = 2
    """Which provider or unit has it."""
    CONTENT = 3


class Reason(StrEnum):
    """Why an item is shown or not, for screens and the audit journal."""

    OTHER_PATIENT = "other-patient"
    NO_ASSIGNMENT = "no-assignment"
    OTHER_PURPOSE = "other-purpose"
    NO_RIGHT = "no-right"
    NO_RELATION = "no-relation"
    NO_OWNER = "no-owner"
    SCOPE = "scope"
    BLOCKS_UNKNOWN = "blocks-unknown"
    OWN_UNIT = "own-unit"
    OTHER_UNIT = "other-unit"
    OTHER_UNIT_NOT_CHOSEN = "other-unit-not-chosen"
    INNER_BLOCK = "inner-block"
    SAME_REGION = "same-region"
    SAME_REGION_NOT_CHOSEN = "same-region-not-chosen"
    BLOCKED_ELSEWHERE = "blocked-elsewhere"
    NO_GROUND = "no-ground"
    PROVIDER_NOT_CHOSEN = "provider-not-chosen"
    NOT_ATTESTED = "not-attested"
    CONSENT = "consent"
    CHILD = "child"
    INCAPACITY = "incapacity"
    EMERGENCY = "emergency"
    OWN_WORK = "own-work"
    NOT_OWN_PROVIDER = "not-own-provider"
    OWN_SYSTEM = "own-system"
    OWN_RECORD = "own-record"
    MADE_AVAILABLE = "made-available"
    NOT_YET_FOR_PATIENT = "not-yet-for-patient"
    NOT_RELEASED = "not-released"
    NOT_SIGNED = "not-signed"
    CHILD_TOO_OLD = "child-too-old"
    TOO_YOUNG = "too-young"
    CHILDS_RECORD = "childs-record"


PARAGRAPHS: Final = MappingProxyType(
    {
        Reason.OTHER_PATIENT: "PDL 4:1",
        Reason.NO_ASSIGNMENT: "PDL 4:2",
        Reason.OTHER_PURPOSE: "PDL 2:4; SVOD 2:1",
        Reason.NO_RIGHT: "PDL 4:2",
        Reason.NO_RELATION: "PDL 4:1; SVOD 3:1",
        Reason.NO_OWNER: "SVOD 2:4",
        Reason.SCOPE: "PDL 4:2",
        Reason.BLOCKS_UNKNOWN: "PDL 4:4; SVOD 2:3",
        Reason.OWN_UNIT: "PDL 4:1",
        Reason.OTHER_UNIT: "PDL 4:1",
        Reason.OTHER_UNIT_NOT_CHOSEN: "PDL 4:1",
        Reason.INNER_BLOCK: "PDL 4:4-5",
        Reason.SAME_REGION: "PDL 5:4",
        Reason.SAME_REGION_NOT_CHOSEN: "PDL 5:4",
        Reason.BLOCKED_ELSEWHERE: "SVOD 2:3, 3:5, 3:7",
        Reason.NO_GROUND: "SVOD 2:4, 3:1",
        Reason.PROVIDER_NOT_CHOSEN: "SVOD 2:4, 3:1",
        Reason.NOT_ATTESTED: "SVOD 3:3, 3:6",
        Reason.CONSENT: "SVOD 3:1",
        Reason.CHILD: "SVOD 3:1 st. 2",
        Reason.INCAPACITY: "SVOD 3:3",
        Reason.EMERGENCY: "SVOD 3:6",
        Reason.OWN_WORK: "PDL 2:4",
        Reason.NOT_OWN_PROVIDER: "SVOD 2:1",
        Reason.OWN_SYSTEM: "PDL 4:1",
        Reason.OWN_RECORD: "PDL 5:5; SVOD 4:2",
        Reason.MADE_AVAILABLE: "SVOD 2:4",
        Reason.NOT_YET_FOR_PATIENT: "PDL 5:5",
        Reason.NOT_RELEASED: "PDL 5:5",
        Reason.NOT_SIGNED: "PDL 3:10, 5:5",
        Reason.CHILD_TOO_OLD: "PDL 5:5",
        Reason.TOO_YOUNG: "PDL 5:5",
        Reason.CHILDS_RECORD: "PDL 5:5",
    }
)
"""The paragraph that each reason rests on."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a reader gets of one item, and why."""

    level: Level
    reason: Reason

    @property
    def visible(self) -> bool:
        """Whether the item itself is shown, with all that belongs to it."""
        return self.level is Level.CONTENT

    @property
    def paragraph(self) -> str:
        """The law that the decision rests on."""
        return PARAGRAPHS[self.reason]


Rule: TypeAlias = Callable[[Standing, Item], Verdict | None]


def other_patient(reader: Standing, item: Item) -> Verdict | None:
    """A view is opened for one person; nobody else's information shows in it (PDL 4:1)."""
    if item.patient_key in reader.facts.patient_keys:
        return None
    return Verdict(Level.NOTHING, Reason.OTHER_PATIENT)


def no_assignment(reader: Standing, item: Item) -> Verdict | None:
    """Without a valid, chosen assignment there is nothing (PDL 4:2; HSLF-FS 2016:40 4 kap.)."""
    return None if reader.assignment is not None else Verdict(Level.NOTHING, Reason.NO_ASSIGNMENT)


def other_purpose(reader: Standing, item: Item) -> Verdict | None:
    """A view is opened for the purpose of the assignment and no other (PDL 2:4, SVOD 2:1)."""
    if _assignment(reader).purpose is reader.facts.purpose:
        return None
    return Verdict(Level.NOTHING, Reason.OTHER_PURPOSE)


def no_right(reader: Standing, item: Item) -> Verdict | None:
    """The assignment must give the right to read images and reports (PDL 4:2)."""
    return None if reader.scope is not None else Verdict(Level.NOTHING, Reason.NO_RIGHT)


def own_work(reader: Standing, item: Item) -> Verdict | None:
    """Quality, administration, statistics: the own provider's information only (PDL 2:4; SVOD 2:1 bars the rest).

    A block does not bind the owner's own work of this sort; the width of the right does.
    """
    if reader.facts.purpose is Purpose.CARE:
        return None
    own = _assignment(reader)
    if reader.facts.purpose not in OWN_WORK:
        return Verdict(Level.NOTHING, Reason.OTHER_PURPOSE)
    if item.provider != own.provider_hsa_id:
        return Verdict(Level.NOTHING, Reason.NOT_OWN_PROVIDER)
    if not item.unit:
        return Verdict(Level.NOTHING, Reason.NO_OWNER)
    if reader.scope is Scope.UNIT and item.unit != own.unit_hsa_id:
        return Verdict(Level.NOTHING, Reason.SCOPE)
    return Verdict(Level.CONTENT, Reason.OWN_WORK)


def no_relation(reader: Standing, item: Item) -> Verdict | None:
    """Only who takes part in the patient's care now may read, even in the own unit (PDL 4:1, SVOD 3:1)."""
    return None if reader.related else Verdict(Level.NOTHING, Reason.NO_RELATION)


def no_owner(reader: Standing, item: Item) -> Verdict | None:
    """Information whose provider or unit is unknown is shown to nobody, since no rule can be applied to it.

    Whoever could have had it is told that more exists.
    """
    if item.provider and item.unit:
        return None
    wide_enough = (
        reader.scope is not Scope.UNIT
        if item.provider == _assignment(reader).provider_hsa_id
        else reader.scope is Scope.CROSS_PROVIDER
    )
    return Verdict(Level.BIT if wide_enough else Level.NOTHING, Reason.NO_OWNER)


def own_unit(reader: Standing, item: Item) -> Verdict | None:
    """The own unit's information is always open to its own care; a block hides it from others (PDL 4:1, 4:4)."""
    own = _assignment(reader)
    if (item.provider, item.unit) == (own.provider_hsa_id, own.unit_hsa_id):
        return Verdict(Level.CONTENT, Reason.OWN_UNIT)
    return None


def too_narrow(reader: Standing, item: Item) -> Verdict | None:
    """The right's scope: VE own unit, VG own provider, SJF other providers (PDL 4:2); no bit beyond it."""
    if item.provider == _assignment(reader).provider_hsa_id or _same_region(reader, item):
        enough = reader.scope is not Scope.UNIT
    else:
        enough = reader.scope is Scope.CROSS_PROVIDER
    return None if enough else Verdict(Level.NOTHING, Reason.SCOPE)


def blocks_unknown(reader: Standing, item: Item) -> Verdict | None:
    """While nobody can tell what is blocked, everything but the own unit's is closed (SVOD 2:3, PDL 4:4)."""
    return None if reader.facts.blocks_known else Verdict(Level.NOTHING, Reason.BLOCKS_UNKNOWN)


def own_provider(reader: Standing, item: Item) -> Verdict | None:
    """Other units of the own provider: an active choice first, and never past an inner block (PDL 4:1, 4:4-5).

    An outer block does not bind inside the provider. The way past an inner block is a registered lift.
    """
    if item.provider != _assignment(reader).provider_hsa_id:
        return None
    choices = reader.facts.choices
    if reader.covered.hides(item):
        return Verdict(Level.NAMES if choices.blocked_units_shown else Level.BIT, Reason.INNER_BLOCK)
    if chosen(choices.units, item.unit):
        return Verdict(Level.CONTENT, Reason.OTHER_UNIT)
    return Verdict(Level.NAMES if choices.units_shown else Level.BIT, Reason.OTHER_UNIT_NOT_CHOSEN)


def blocked_elsewhere(reader: Standing, item: Item) -> Verdict | None:
    """Another provider's block is never passed by the reader, on any ground (SVOD 2:3, 3:7).

    Only in danger may the names of the providers be learned, to ask them to lift (SVOD 3:5).
    """
    if not reader.covered.hides(item):
        return None
    in_danger = Ground.EMERGENCY in reader.grounds and reader.facts.choices.blocked_providers_shown
    return Verdict(Level.NAMES if in_danger else Level.BIT, Reason.BLOCKED_ELSEWHERE)


def same_region(reader: Standing, item: Item) -> Verdict | None:
    """Authorities of one region may read each other without consent, where the region has decided so (PDL 5:4)."""
    if not _same_region(reader, item):
        return None
    if chosen(reader.facts.choices.providers, item.provider):
        return Verdict(Level.CONTENT, Reason.SAME_REGION)
    shown = reader.facts.choices.providers_shown
    return Verdict(Level.NAMES if shown else Level.BIT, Reason.SAME_REGION_NOT_CHOSEN)


def other_provider(reader: Standing, item: Item) -> Verdict | None:
    """Other providers' unblocked information: one bit, then on a ground the names, then what is chosen.

    SVOD 2:4, 3:1. Lasting incapacity and emergency ask for a second attestation before content (3:3, 3:6).
    """
    choices = reader.facts.choices
    if not reader.grounds:
        return Verdict(Level.BIT, Reason.NO_GROUND)
    ground = best_ground(reader.grounds)
    if chosen(choices.providers, item.provider):
        if ground in ONE_STEP or choices.relevant:
            return Verdict(Level.CONTENT, Reason(ground.value))
        return Verdict(Level.NAMES, Reason.NOT_ATTESTED)
    return Verdict(Level.NAMES if choices.providers_shown else Level.BIT, Reason.PROVIDER_NOT_CHOSEN)


def own_system(reader: Standing, item: Item) -> Verdict | None:
    """A connected system always reads its own provider's information, and keeps the inner blocks itself."""
    if item.provider == _assignment(reader).provider_hsa_id and item.unit:
        return Verdict(Level.CONTENT, Reason.OWN_SYSTEM)
    return None


def foreign_for_system(reader: Standing, item: Item) -> Verdict | None:
    """Other providers' information for a system: relation and ground of its unit, and no block (SVOD 3:1).

    A system has no screen on which a bit or a name could be told, and never stands on emergency or incapacity.
    """
    if not item.provider or not item.unit:
        return Verdict(Level.NOTHING, Reason.NO_OWNER)
    if not reader.related:
        return Verdict(Level.NOTHING, Reason.NO_RELATION)
    if not reader.grounds:
        return Verdict(Level.NOTHING, Reason.NO_GROUND)
    if not reader.facts.blocks_known:
        return Verdict(Level.NOTHING, Reason.BLOCKS_UNKNOWN)
    if reader.covered.hides(item):
        return Verdict(Level.NOTHING, Reason.BLOCKED_ELSEWHERE)
    return Verdict(Level.CONTENT, Reason(best_ground(reader.grounds).value))


def made_available(reader: Standing, item: Item) -> Verdict | None:
    """Information that a national consumer may pass on (SVOD 2:4): what no block touches, whoever will read it.

    The consumer applies relation and consent to its own reader, whom it does not name here; so no lift can be
    for him. One that serves patients gets nothing by this rule: it reads as the patient.
    """
    if not item.provider or not item.unit:
        return Verdict(Level.NOTHING, Reason.NO_OWNER)
    if Serves.CARE not in reader.facts.subject.roles:
        return Verdict(Level.NOTHING, Reason.NO_RIGHT)
    if not reader.facts.blocks_known:
        return Verdict(Level.NOTHING, Reason.BLOCKS_UNKNOWN)
    if reader.covered.hides(item):
        return Verdict(Level.NOTHING, Reason.BLOCKED_ELSEWHERE)
    return Verdict(Level.CONTENT, Reason.MADE_AVAILABLE)


def care_only(reader: Standing, item: Item) -> Verdict | None:
    """Connected systems serve care; other purposes have their own doors (SVOD 2:1)."""
    return None if reader.facts.purpose is Purpose.CARE else Verdict(Level.NOTHING, Reason.OTHER_PURPOSE)


def guardian(reader: Standing, item: Item) -> Verdict | None:
    """A guardian reads a child's record until the child is thirteen (row 29); of unknown age it is not read.

    Then follows what holds for the own record.
    """
    facts = reader.facts
    if facts.subject.patient_key in facts.patient_keys or facts.subject.guardian_of.isdisjoint(
        facts.patient_keys
    ):
        return None
    return None if is_young_child(facts) else Verdict(Level.NOTHING, Reason.CHILD_TOO_OLD)


def too_young(reader: Standing, item: Item) -> Verdict | None:
    """A child's own log-in reads nothing before the sixteenth birthday (PDL 5:5 gives direct access no further than
    the provider wants; the rule is the regions')."""
    return Verdict(Level.NOTHING, Reason.TOO_YOUNG) if is_too_young_alone(reader.facts) else None


def own_record(reader: Standing, item: Item) -> Verdict | None:
    """A person reads the own record directly (PDL 5:5, SVOD 4:2); blocks are against staff, not against him.

    The provider decides whether it gives that. What is younger than its days or the region's, of unknown day, without
    owner or not signed is not yet told. Of a report more can be asked for (reports.release).
    """
    facts = reader.facts
    if facts.purpose is not Purpose.OWN_RECORD:
        return Verdict(Level.NOTHING, Reason.OTHER_PURPOSE)
    if not stands_for(facts):
        return Verdict(Level.NOTHING, Reason.OTHER_PATIENT)
    if not item.provider or not item.unit:
        return Verdict(Level.NOTHING, Reason.NO_OWNER)
    release = facts.policy.release_of(item.provider)
    if release is None or item.unit in release.excluded_units:
        return Verdict(Level.NOTHING, Reason.NOT_RELEASED)
    if item.ends is None or item.ends > last_day_for_patient(facts, release):
        return Verdict(Level.NOTHING, Reason.NOT_YET_FOR_PATIENT)
    if item.preliminary:
        return Verdict(Level.NOTHING, Reason.NOT_SIGNED)
    is_own = facts.subject.patient_key in facts.patient_keys
    return Verdict(Level.CONTENT, Reason.OWN_RECORD if is_own else Reason.CHILDS_RECORD)


STAFF_RULES: Final[tuple[Rule, ...]] = (
    other_patient,
    no_assignment,
    other_purpose,
    no_right,
    own_work,
    no_relation,
    no_owner,
    own_unit,
    too_narrow,
    blocks_unknown,
    own_provider,
    blocked_elsewhere,
    same_region,
    other_provider,
)
SYSTEM_RULES: Final[tuple[Rule, ...]] = (
    other_patient,
    no_assignment,
    care_only,
    other_purpose,
    own_system,
    foreign_for_system,
)
PATIENT_RULES: Final[tuple[Rule, ...]] = (other_patient, guardian, too_young, own_record)
CONSUMER_RULES: Final[tuple[Rule, ...]] = (other_patient, care_only, made_available)

_RULES: Final = MappingProxyType(
    {
        SubjectKind.STAFF: STAFF_RULES,
        SubjectKind.SYSTEM: SYSTEM_RULES,
        SubjectKind.PATIENT: PATIENT_RULES,
        SubjectKind.CONSUMER: CONSUMER_RULES,
    }
)


def decide(facts: Facts, item: Item) -> Verdict:
    """What the reader gets of the item, and why."""
    return judge(standing(facts), item)


def judge(reader: Standing, item: Item) -> Verdict:
    """`decide` for many items: the facts are boiled down once."""
    for rule in _RULES[reader.facts.subject.kind]:
        verdict = rule(reader, item)
        if verdict is not None:
            return verdict
    raise AssertionError("the last rule always answers")


def judged(reader: Standing, items: Iterable[Item]) -> list[tuple[Item, Verdict]]:
    """`judge` for several items."""
    return [(item, judge(reader, item)) for item in items]


@dataclass(frozen=True, slots=True)
class Indicators:
    """What may be told before anything is shown: bits, never names, numbers, dates or kinds (SVOD 2:4-5)."""

    more_in_own_provider: bool = False
    blocked_in_own_provider: bool = False
    unblocked_elsewhere: bool = False
    blocked_elsewhere: bool = False
    without_owner: bool = False
    """Information exists whose owner is unknown; it is shown to nobody until a steward has found the owner."""


def indicators(facts: Facts, items: Iterable[Item]) -> Indicators:
    """The bits for what exists and is not shown."""
    return indicators_of(judged(standing(facts), items))


def indicators_of(verdicts: Iterable[tuple[Item, Verdict]]) -> Indicators:
    """The same for items that have been judged."""
    hidden = {verdict.reason for _, verdict in verdicts if Level.NOTHING < verdict.level < Level.CONTENT}
    return Indicators(
        more_in_own_provider=Reason.OTHER_UNIT_NOT_CHOSEN in hidden,
        blocked_in_own_provider=Reason.INNER_BLOCK in hidden,
        unblocked_elsewhere=not hidden.isdisjoint(
            {
                Reason.NO_GROUND,
                Reason.PROVIDER_NOT_CHOSEN,
                Reason.NOT_ATTESTED,
                Reason.SAME_REGION_NOT_CHOSEN,
            }
        ),
        blocked_elsewhere=Reason.BLOCKED_ELSEWHERE in hidden,
        without_owner=Reason.NO_OWNER in hidden,
    )


@dataclass(frozen=True, slots=True)
class Names:
    """The units and providers that may be named now, by HSA-id; what is shown already is not among them."""

    units: frozenset[str]
    blocked_units: frozenset[str]
    providers: frozenset[str]
    blocked_providers: frozenset[str]


def names(facts: Facts, items: Iterable[Item]) -> Names:
    """Whose information exists, as far as the reader's choices and grounds let it be told."""
    return names_of(judged(standing(facts), items))


def names_of(verdicts: Iterable[tuple[Item, Verdict]]) -> Names:
    """The same for items that have been judged."""
    told: dict[Reason, set[Item]] = {}
    for item, verdict in verdicts:
        if verdict.level is Level.NAMES:
            told.setdefault(verdict.reason, set()).add(item)

    def units(*reasons: Reason) -> frozenset[str]:
        return frozenset(item.unit for reason in reasons for item in told.get(reason, ()))

    def providers(*reasons: Reason) -> frozenset[str]:
        return frozenset(item.provider for reason in reasons for item in told.get(reason, ()))

    return Names(
        units(Reason.OTHER_UNIT_NOT_CHOSEN),
        units(Reason.INNER_BLOCK),
        providers(Reason.PROVIDER_NOT_CHOSEN, Reason.NOT_ATTESTED, Reason.SAME_REGION_NOT_CHOSEN),
        providers(Reason.BLOCKED_ELSEWHERE),
    )


Told: TypeAlias = tuple[str, ...]
"""Something that a reader is told: that an owner has something ("name", …), or what it says ("content", …)."""


def told_of(reader: Standing, verdicts: Iterable[tuple[Item, Verdict]]) -> frozenset[Told]:
    """Everything that a page may go on telling; when one of these is gone, a page that told it must close.

    Content tells the days that binding blocks cover at its owner, so that a new block of some days closes it too.
    """
    told: set[Told] = set()
    known: set[tuple[str, str, bool]] = set()
    for item, verdict in verdicts:
        alike = (item.provider, item.unit, verdict.visible)
        if verdict.level < Level.NAMES or alike in known:
            continue
        known.add(alike)
        told.add(("name", item.provider))
        if reader.assignment is not None and item.provider == reader.assignment.provider_hsa_id:
            told.add(("name", item.provider, item.unit))
        if verdict.visible:
            spans = str(reader.covered.spans_of(item.provider, item.unit))
            told.add(("content", item.provider, item.unit, spans))
    return frozenset(told)


def best_ground(valid: frozenset[Ground]) -> Ground:
    """The ground that is acted on when several are valid: the one that asks least of the patient's silence."""
    return next(ground for ground in Ground if ground in valid)


def stands_for(facts: Facts) -> bool:
    """Whether the reader is the person, or the guardian of the young child that the person is."""
    if facts.subject.patient_key in facts.patient_keys:
        return True
    return not facts.subject.guardian_of.isdisjoint(facts.patient_keys) and is_young_child(facts)


def last_day_for_patient(facts: Facts, release: Release) -> int:
    """The last day (YYYYMMDD) of a provider's information that a person may read directly now.

    Counted in UTC, whose day is never later than the Swedish one: the closed side at midnight.
    """
    return day_number(facts.now - timedelta(days=max(release.days, facts.policy.patient_delay_days)))


def may_be_told_who(reader: Standing, shows_something: bool) -> bool:
    """Whether the reader may learn a person's name from a number: the step before any document (PDL 4:1-2).

    Care staff choose the patient before the relation is attested; a person knows himself; a connected system has
    no business with whom it may read nothing of (`shows_something`). Nobody else.
    """
    facts = reader.facts
    match facts.subject.kind:
        case SubjectKind.STAFF:
            return (
                reader.assignment is not None
                and reader.scope is not None
                and facts.purpose is Purpose.CARE
                and reader.assignment.purpose is facts.purpose
            )
        case SubjectKind.PATIENT:
            return stands_for(facts)
        case SubjectKind.SYSTEM | SubjectKind.CONSUMER:
            return shows_something


def is_same_region(reader: Standing, provider: str) -> bool:
    """Whether the region treats that other provider as an authority of the same region as the reader's."""
    own = _assignment(reader).provider_hsa_id
    return provider != own and {provider, own} <= reader.facts.policy.same_region


def _same_region(reader: Standing, item: Item) -> bool:
    return is_same_region(reader, item.provider)


def _assignment(reader: Standing) -> Assignment:
    assert reader.assignment is not None  # no_assignment stands before every rule that asks
    return reader.assignment
