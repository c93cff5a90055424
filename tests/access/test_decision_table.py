"""The decision table for staff, systems and patients, row by row (numbers are the table's own).

Of row 28's approval per document there is here what holds for everything of a provider: its days and the region's, its
units, and that nothing unsigned is shown. What depends on a report's state is in tests/contracts/test_release.py.
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from samsyn.access.facts import ALL, Choices, Facts, Policy, Release
from samsyn.access.rules import PARAGRAPHS, Indicators, Level, Reason, decide, indicators, names
from samsyn.model.predicate import Item
from samsyn.model.registers import BlockKind, Ground
from samsyn.model.subject import Assignment, Purpose, Right, Scope, Serves
from tests.access.people import (
    COLLEAGUE,
    CONSUMER,
    FOREIGN,
    FOREIGN_UNIT,
    HIMSELF,
    HOUR,
    ME,
    NOW,
    OTHER_UNIT,
    OWN,
    SYSTEM,
    THIRD,
    THIRD_UNIT,
    UNIT,
    block,
    consent,
    facts,
    item,
    lift,
    relation,
    staff,
)

VE, VG, SJF = staff(Scope.UNIT), staff(Scope.PROVIDER), staff(Scope.CROSS_PROVIDER)
U, P, X = item(OWN, UNIT), item(OWN, OTHER_UNIT), item(FOREIGN, FOREIGN_UNIT)
INNER, OUTER = BlockKind.INNER, BlockKind.OUTER
UNITS = Choices(units_shown=True, units=frozenset({OTHER_UNIT}))
PROVIDERS = Choices(providers_shown=True, providers=frozenset({FOREIGN}))
ATTESTED = replace(PROVIDERS, relevant=True)
GUARDIAN = replace(HIMSELF, patient_key=8, guardian_of=frozenset({7}))
NOTHING, BIT, NAMES, CONTENT = Level.NOTHING, Level.BIT, Level.NAMES, Level.CONTENT
INNER_P = block(INNER, OWN, OTHER_UNIT)
EMERGENCY = consent(Ground.EMERGENCY, employee=ME)

TABLE: list[tuple[str, Facts, Item, Level, Reason]] = [
    ("1 no assignment", facts(replace(SJF, assignment=None)), U, NOTHING, Reason.NO_ASSIGNMENT),
    ("1 no right", facts(staff(None)), U, NOTHING, Reason.NO_RIGHT),
    ("2 assignment expired", facts(staff(ends=NOW)), U, NOTHING, Reason.NO_ASSIGNMENT),
    ("3 own unit, no relation", facts(VE, relations=()), U, NOTHING, Reason.NO_RELATION),
    ("4 own unit", facts(VE), U, CONTENT, Reason.OWN_UNIT),
    (
        "5 own unit, own inner block",
        facts(VE, blocks=(block(INNER, OWN, UNIT),)),
        U,
        CONTENT,
        Reason.OWN_UNIT,
    ),
    ("5 own unit, own outer block", facts(VE, blocks=(block(OUTER, OWN),)), U, CONTENT, Reason.OWN_UNIT),
    ("6 other unit, scope VE", facts(VE, choices=UNITS), P, NOTHING, Reason.SCOPE),
    ("7 other unit, chosen", facts(VG, choices=UNITS), P, CONTENT, Reason.OTHER_UNIT),
    ("7 other unit, not chosen", facts(VG), P, BIT, Reason.OTHER_UNIT_NOT_CHOSEN),
    (
        "7 other unit, names asked for",
        facts(VG, choices=Choices(units_shown=True)),
        P,
        NAMES,
        Reason.OTHER_UNIT_NOT_CHOSEN,
    ),
    ("8 inner block", facts(VG, blocks=(INNER_P,), choices=UNITS), P, BIT, Reason.INNER_BLOCK),
    (
        "8 inner block, names asked for",
        facts(VG, blocks=(INNER_P,), choices=replace(UNITS, blocked_units_shown=True)),
        P,
        NAMES,
        Reason.INNER_BLOCK,
    ),
    (
        "9 inner block lifted with consent",
        facts(VG, blocks=(INNER_P,), lifts=(lift(),), choices=UNITS),
        P,
        CONTENT,
        Reason.OTHER_UNIT,
    ),
    (
        "10 inner block lifted in emergency",
        facts(VG, blocks=(INNER_P,), lifts=(lift(employee=ME, reason="emergency"),), choices=UNITS),
        P,
        CONTENT,
        Reason.OTHER_UNIT,
    ),
    (
        "11 outer block inside",
        facts(VG, blocks=(block(OUTER, OWN),), choices=UNITS),
        P,
        CONTENT,
        Reason.OTHER_UNIT,
    ),
    ("12 scope lacks SJF", facts(VG, consents=(consent(),), choices=PROVIDERS), X, NOTHING, Reason.SCOPE),
    ("12 no bits without SJF", facts(VG, blocks=(block(),)), X, NOTHING, Reason.SCOPE),
    (
        "13 no relation",
        facts(SJF, relations=(), consents=(consent(),), choices=PROVIDERS),
        X,
        NOTHING,
        Reason.NO_RELATION,
    ),
    ("14 no ground", facts(SJF), X, BIT, Reason.NO_GROUND),
    ("14 no ground, all chosen", facts(SJF, choices=PROVIDERS), X, BIT, Reason.NO_GROUND),
    ("15 consent, bit", facts(SJF, consents=(consent(),)), X, BIT, Reason.PROVIDER_NOT_CHOSEN),
    (
        "15 consent, names",
        facts(SJF, consents=(consent(),), choices=Choices(providers_shown=True)),
        X,
        NAMES,
        Reason.PROVIDER_NOT_CHOSEN,
    ),
    ("15 consent, chosen", facts(SJF, consents=(consent(),), choices=PROVIDERS), X, CONTENT, Reason.CONSENT),
    (
        "15 consent for me",
        facts(SJF, consents=(consent(employee=ME),), choices=PROVIDERS),
        X,
        CONTENT,
        Reason.CONSENT,
    ),
    (
        "16 consent for another unit",
        facts(SJF, consents=(consent(unit=OTHER_UNIT),), choices=PROVIDERS),
        X,
        BIT,
        Reason.NO_GROUND,
    ),
    (
        "16 consent expired",
        facts(SJF, consents=(consent(ends=NOW),), choices=PROVIDERS),
        X,
        BIT,
        Reason.NO_GROUND,
    ),
    (
        "16 consent withdrawn",
        facts(SJF, consents=(consent(ended=NOW),), choices=PROVIDERS),
        X,
        BIT,
        Reason.NO_GROUND,
    ),
    (
        "16 consent in the future",
        facts(SJF, consents=(consent(starts=NOW + HOUR, ends=None),), choices=PROVIDERS),
        X,
        BIT,
        Reason.NO_GROUND,
    ),
    (
        "17 consent for a colleague",
        facts(SJF, consents=(consent(employee=COLLEAGUE),), choices=PROVIDERS),
        X,
        BIT,
        Reason.NO_GROUND,
    ),
    (
        "18 somebody of seventeen",
        facts(SJF, consents=(consent(Ground.CHILD),), choices=PROVIDERS, born="20081123"),
        X,
        CONTENT,
        Reason.CHILD,
    ),
    (
        "18 somebody who is eighteen is no child",
        facts(SJF, consents=(consent(Ground.CHILD),), choices=PROVIDERS, born="20081122"),
        X,
        BIT,
        Reason.NO_GROUND,
    ),
    (
        "18 child that can not consent",
        facts(SJF, consents=(consent(Ground.CHILD),), choices=PROVIDERS),
        X,
        CONTENT,
        Reason.CHILD,
    ),
    (
        "19 incapacity, names first",
        facts(SJF, consents=(consent(Ground.INCAPACITY),), choices=PROVIDERS),
        X,
        NAMES,
        Reason.NOT_ATTESTED,
    ),
    (
        "19 incapacity, attested",
        facts(SJF, consents=(consent(Ground.INCAPACITY),), choices=ATTESTED),
        X,
        CONTENT,
        Reason.INCAPACITY,
    ),
    (
        "20 emergency, names first",
        facts(SJF, consents=(EMERGENCY,), choices=PROVIDERS),
        X,
        NAMES,
        Reason.NOT_ATTESTED,
    ),
    (
        "20 emergency, attested",
        facts(SJF, consents=(EMERGENCY,), choices=ATTESTED),
        X,
        CONTENT,
        Reason.EMERGENCY,
    ),
    (
        "21 consent does not pass an outer block",
        facts(SJF, consents=(consent(),), blocks=(block(),), choices=ATTESTED),
        X,
        BIT,
        Reason.BLOCKED_ELSEWHERE,
    ),
    (
        "22 emergency does not pass it either",
        facts(SJF, consents=(EMERGENCY,), blocks=(block(),), choices=ATTESTED),
        X,
        BIT,
        Reason.BLOCKED_ELSEWHERE,
    ),
    (
        "22 emergency may learn who blocked",
        facts(
            SJF,
            consents=(EMERGENCY,),
            blocks=(block(),),
            choices=replace(ATTESTED, blocked_providers_shown=True),
        ),
        X,
        NAMES,
        Reason.BLOCKED_ELSEWHERE,
    ),
    (
        "22 consent may not",
        facts(
            SJF,
            consents=(consent(),),
            blocks=(block(),),
            choices=replace(ATTESTED, blocked_providers_shown=True),
        ),
        X,
        BIT,
        Reason.BLOCKED_ELSEWHERE,
    ),
    (
        "23 the owner's lift and consent",
        facts(SJF, consents=(consent(),), blocks=(block(),), lifts=(lift(),), choices=PROVIDERS),
        X,
        CONTENT,
        Reason.CONSENT,
    ),
    (
        "23 the lift has expired",
        facts(SJF, consents=(consent(),), blocks=(block(),), lifts=(lift(ends=NOW),), choices=PROVIDERS),
        X,
        BIT,
        Reason.BLOCKED_ELSEWHERE,
    ),
    (
        "23 the lift is for a colleague",
        facts(
            SJF,
            consents=(consent(),),
            blocks=(block(),),
            lifts=(lift(employee=COLLEAGUE),),
            choices=PROVIDERS,
        ),
        X,
        BIT,
        Reason.BLOCKED_ELSEWHERE,
    ),
    (
        "24 the lift without consent",
        facts(SJF, blocks=(block(),), lifts=(lift(),), choices=PROVIDERS),
        X,
        BIT,
        Reason.NO_GROUND,
    ),
    (
        "25 an inner block acts outward",
        facts(SJF, consents=(consent(),), blocks=(block(INNER, FOREIGN, FOREIGN_UNIT),), choices=PROVIDERS),
        X,
        BIT,
        Reason.BLOCKED_ELSEWHERE,
    ),
    (
        "25 unless the region says otherwise",
        facts(
            SJF,
            consents=(consent(),),
            blocks=(block(INNER, FOREIGN, FOREIGN_UNIT),),
            choices=PROVIDERS,
            policy=Policy(inner_acts_outward=False),
        ),
        X,
        CONTENT,
        Reason.CONSENT,
    ),
    ("26 same region, by default as others", facts(VG, choices=PROVIDERS), X, NOTHING, Reason.SCOPE),
    (
        "26 same region, decided and chosen",
        facts(VG, choices=PROVIDERS, policy=Policy(same_region=frozenset({OWN, FOREIGN}))),
        X,
        CONTENT,
        Reason.SAME_REGION,
    ),
    (
        "26 same region, not chosen",
        facts(VG, policy=Policy(same_region=frozenset({OWN, FOREIGN}))),
        X,
        BIT,
        Reason.SAME_REGION_NOT_CHOSEN,
    ),
    (
        "26 same region, blocked",
        facts(VG, blocks=(block(),), choices=PROVIDERS, policy=Policy(same_region=frozenset({OWN, FOREIGN}))),
        X,
        BIT,
        Reason.BLOCKED_ELSEWHERE,
    ),
    (
        "27 administration never in the clinical view",
        facts(staff(purpose=Purpose.ADMINISTRATION)),
        U,
        NOTHING,
        Reason.OTHER_PURPOSE,
    ),
    (
        "27 administration in its own view",
        facts(
            staff(purpose=Purpose.ADMINISTRATION),
            purpose=Purpose.ADMINISTRATION,
            relations=(),
            blocks=(INNER_P,),
        ),
        P,
        CONTENT,
        Reason.OWN_WORK,
    ),
    (
        "27 statistics, scope VE",
        facts(staff(Scope.UNIT, Purpose.STATISTICS), purpose=Purpose.STATISTICS),
        P,
        NOTHING,
        Reason.SCOPE,
    ),
    (
        "27 quality never beyond the provider",
        facts(
            staff(purpose=Purpose.QUALITY), purpose=Purpose.QUALITY, consents=(consent(),), choices=PROVIDERS
        ),
        X,
        NOTHING,
        Reason.NOT_OWN_PROVIDER,
    ),
    (
        "27 research has another door",
        facts(staff(purpose=Purpose.RESEARCH), purpose=Purpose.RESEARCH),
        U,
        NOTHING,
        Reason.OTHER_PURPOSE,
    ),
    ("28 the patient himself", facts(HIMSELF, purpose=Purpose.OWN_RECORD), X, CONTENT, Reason.OWN_RECORD),
    (
        "28 a block is not against himself",
        facts(HIMSELF, purpose=Purpose.OWN_RECORD, blocks=(block(),)),
        X,
        CONTENT,
        Reason.OWN_RECORD,
    ),
    (
        "28 not before the delay",
        facts(HIMSELF, purpose=Purpose.OWN_RECORD),
        item(begins=20261109, ends=20261109),
        NOTHING,
        Reason.NOT_YET_FOR_PATIENT,
    ),
    (
        "28 not before the provider's days",
        facts(HIMSELF, purpose=Purpose.OWN_RECORD, policy=Policy(releases=(Release(FOREIGN, 30),))),
        item(begins=20261024, ends=20261024),
        NOTHING,
        Reason.NOT_YET_FOR_PATIENT,
    ),
    (
        "28 after the provider's days",
        facts(HIMSELF, purpose=Purpose.OWN_RECORD, policy=Policy(releases=(Release(FOREIGN, 30),))),
        item(begins=20261023, ends=20261023),
        CONTENT,
        Reason.OWN_RECORD,
    ),
    (
        "28 no provider passes the region's days",
        facts(HIMSELF, purpose=Purpose.OWN_RECORD, policy=Policy(releases=(Release(FOREIGN, 0),))),
        item(begins=20261109, ends=20261109),
        NOTHING,
        Reason.NOT_YET_FOR_PATIENT,
    ),
    (
        "28 of a provider that gives no direct access",
        facts(HIMSELF, purpose=Purpose.OWN_RECORD, policy=Policy(releases=(Release(OWN, 0),))),
        X,
        NOTHING,
        Reason.NOT_RELEASED,
    ),
    (
        "28 of a unit that gives none",
        facts(
            HIMSELF,
            purpose=Purpose.OWN_RECORD,
            policy=Policy(releases=(Release(FOREIGN, 0, frozenset({FOREIGN_UNIT})),)),
        ),
        X,
        NOTHING,
        Reason.NOT_RELEASED,
    ),
    (
        "29 a guardian reads no more than the child would",
        facts(GUARDIAN, purpose=Purpose.OWN_RECORD, born="20131123", policy=Policy()),
        X,
        NOTHING,
        Reason.NOT_RELEASED,
    ),
    (
        "28 not before somebody has signed it",
        facts(HIMSELF, purpose=Purpose.OWN_RECORD),
        replace(X, preliminary=True),
        NOTHING,
        Reason.NOT_SIGNED,
    ),
    (
        "28 another person's record",
        facts(replace(HIMSELF, patient_key=8), purpose=Purpose.OWN_RECORD),
        X,
        NOTHING,
        Reason.OTHER_PATIENT,
    ),
    (
        "28 a child of 15 who logs in himself",
        facts(HIMSELF, purpose=Purpose.OWN_RECORD, born="20101123"),
        X,
        NOTHING,
        Reason.TOO_YOUNG,
    ),
    (
        "28 from the sixteenth birthday",
        facts(HIMSELF, purpose=Purpose.OWN_RECORD, born="20101122"),
        X,
        CONTENT,
        Reason.OWN_RECORD,
    ),
    (
        "28 a national consumer knows itself who of child and guardian has logged in",
        facts(
            replace(HIMSELF, roles=frozenset({Serves.PATIENTS.value})),
            purpose=Purpose.OWN_RECORD,
            born="20200101",
        ),
        X,
        CONTENT,
        Reason.OWN_RECORD,
    ),
    (
        "29 guardian of a child of 12",
        facts(GUARDIAN, purpose=Purpose.OWN_RECORD, born="20131123"),
        X,
        CONTENT,
        Reason.CHILDS_RECORD,
    ),
    (
        "29 guardian of a child of 13",
        facts(GUARDIAN, purpose=Purpose.OWN_RECORD, born="20131122"),
        X,
        NOTHING,
        Reason.CHILD_TOO_OLD,
    ),
    (
        "29 guardian, age unknown",
        facts(GUARDIAN, purpose=Purpose.OWN_RECORD),
        X,
        NOTHING,
        Reason.CHILD_TOO_OLD,
    ),
    (
        "29 guardian, not signed",
        facts(GUARDIAN, purpose=Purpose.OWN_RECORD, born="20200101"),
        replace(X, preliminary=True),
        NOTHING,
        Reason.NOT_SIGNED,
    ),
    (
        "29 guardian of somebody else",
        facts(replace(GUARDIAN, guardian_of=frozenset({9})), purpose=Purpose.OWN_RECORD, born="20200101"),
        X,
        NOTHING,
        Reason.OTHER_PATIENT,
    ),
    (
        "30 no unit, own provider",
        facts(SJF, choices=Choices(units=frozenset({ALL}))),
        item(OWN, ""),
        BIT,
        Reason.NO_OWNER,
    ),
    (
        "30 no provider",
        facts(SJF, consents=(consent(),), choices=PROVIDERS),
        item("", ""),
        BIT,
        Reason.NO_OWNER,
    ),
    ("30 no provider, no SJF", facts(VG), item("", ""), NOTHING, Reason.NO_OWNER),
    (
        "31 blocks unknown",
        facts(SJF, consents=(consent(),), choices=PROVIDERS, blocks_known=False),
        X,
        NOTHING,
        Reason.BLOCKS_UNKNOWN,
    ),
    (
        "31 blocks unknown, other unit",
        facts(SJF, choices=UNITS, blocks_known=False),
        P,
        NOTHING,
        Reason.BLOCKS_UNKNOWN,
    ),
    ("32 blocks unknown, own unit", facts(SJF, blocks_known=False), U, CONTENT, Reason.OWN_UNIT),
    ("33 system, own provider", facts(SYSTEM, relations=()), P, CONTENT, Reason.OWN_SYSTEM),
    ("33 system, no ground", facts(SYSTEM), X, NOTHING, Reason.NO_GROUND),
    (
        "33 system, no relation",
        facts(SYSTEM, relations=(), consents=(consent(),)),
        X,
        NOTHING,
        Reason.NO_RELATION,
    ),
    ("33 system, unit's consent", facts(SYSTEM, consents=(consent(),)), X, CONTENT, Reason.CONSENT),
    (
        "33 system, person's consent",
        facts(SYSTEM, consents=(consent(employee=ME),)),
        X,
        NOTHING,
        Reason.NO_GROUND,
    ),
    (
        "33 system, emergency",
        facts(SYSTEM, consents=(consent(Ground.EMERGENCY),), choices=ATTESTED),
        X,
        NOTHING,
        Reason.NO_GROUND,
    ),
    (
        "33 system, blocked",
        facts(SYSTEM, consents=(consent(),), blocks=(block(),)),
        X,
        NOTHING,
        Reason.BLOCKED_ELSEWHERE,
    ),
    (
        "33 system, blocks unknown",
        facts(SYSTEM, consents=(consent(),), blocks_known=False),
        X,
        NOTHING,
        Reason.BLOCKS_UNKNOWN,
    ),
    ("33 consumer for care", facts(CONSUMER, relations=()), X, CONTENT, Reason.MADE_AVAILABLE),
    ("33 consumer, outer block", facts(CONSUMER, blocks=(block(),)), X, NOTHING, Reason.BLOCKED_ELSEWHERE),
    (
        "33 consumer, block that is lifted for somebody",
        facts(CONSUMER, blocks=(block(),), lifts=(lift(),)),
        X,
        NOTHING,
        Reason.BLOCKED_ELSEWHERE,
    ),
    ("33 consumer, blocks unknown", facts(CONSUMER, blocks_known=False), X, NOTHING, Reason.BLOCKS_UNKNOWN),
    ("33 consumer for patients", facts(replace(CONSUMER, roles=frozenset())), X, NOTHING, Reason.NO_RIGHT),
    (
        "33 consumer, another purpose",
        facts(CONSUMER, purpose=Purpose.QUALITY),
        X,
        NOTHING,
        Reason.OTHER_PURPOSE,
    ),
    ("33 system without provider", facts(replace(SYSTEM, assignment=None)), U, NOTHING, Reason.NO_ASSIGNMENT),
]


@pytest.mark.parametrize(
    ("given", "what", "level", "reason"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_the_decision_table(given: Facts, what: Item, level: Level, reason: Reason) -> None:
    verdict = decide(given, what)
    assert (verdict.level, verdict.reason) == (level, reason)
    assert verdict.visible == (level is CONTENT)
    assert verdict.paragraph


def test_every_reason_cites_its_paragraph() -> None:
    assert all(PARAGRAPHS[reason].startswith(("PDL", "SVOD")) for reason in Reason)


def test_a_view_for_one_person_shows_nobody_else() -> None:
    stranger = replace(U, patient_key=8)
    assert decide(facts(), stranger).reason is Reason.OTHER_PATIENT
    assert decide(facts(SYSTEM), stranger).reason is Reason.OTHER_PATIENT


def test_rows_about_a_merged_number_count_for_the_whole_person() -> None:
    merged = replace(
        facts(SJF, consents=(consent(),), blocks=(block()._replace(patient_key=8),), choices=PROVIDERS),
        patient_keys=frozenset({7, 8}),
    )
    assert decide(merged, X).reason is Reason.BLOCKED_ELSEWHERE
    assert decide(replace(merged, patient_keys=frozenset({7})), X).visible


@pytest.mark.parametrize(
    ("first", "last", "begins", "ends", "hidden"),
    [
        (None, None, 20200301, 20200301, True),
        (None, None, None, None, True),
        (20200301, 20200301, 20200301, 20200301, True),
        (20200302, 20200401, 20200301, 20200302, True),
        (20200201, 20200301, 20200301, 20200305, True),
        (20200302, None, 20200301, 20200301, False),
        (None, 20200229, 20200301, 20200301, False),
        (20200302, 20200401, 20200301, 20200301, False),
        (20200302, 20200401, None, 20200301, False),
        (20200302, 20200401, None, None, True),
        (20200302, 20200401, 20200301, None, True),
        (None, 20200229, 20200301, None, False),
    ],
)
def test_a_block_hides_what_its_time_touches_and_whatever_has_no_time(
    first: int | None, last: int | None, begins: int | None, ends: int | None, hidden: bool
) -> None:
    given = facts(SJF, consents=(consent(),), blocks=(block(first=first, last=last),), choices=PROVIDERS)
    assert decide(given, item(begins=begins, ends=ends)).visible is not hidden


@pytest.mark.parametrize("seconds", [-1, 0, 1])
def test_every_row_begins_and_ends_at_the_second(seconds: int) -> None:
    at = NOW + timedelta(seconds=seconds)
    base = facts(SJF, consents=(consent(),), blocks=(block(),), choices=PROVIDERS, now=at)
    begins = replace(base, lifts=(lift(starts=NOW),))
    ends = replace(base, lifts=(lift(ends=NOW),))
    assert decide(begins, X).visible == (seconds >= 0)
    assert decide(ends, X).visible == (seconds < 0)
    for given in (
        replace(base, blocks=(), consents=(consent(ends=NOW),)),
        replace(base, blocks=(), consents=(consent(ends=None, ended=NOW),)),
        replace(base, blocks=(), relations=(relation(ends=NOW),)),
    ):
        assert decide(given, X).visible == (seconds < 0)
    assert decide(replace(base, blocks=(block(ended=NOW),)), X).visible == (seconds >= 0)


def test_a_lift_never_lasts_longer_than_seven_days_whatever_its_row_says() -> None:
    long = lift(starts=NOW - timedelta(days=7) + HOUR, ends=NOW + timedelta(days=365))
    given = facts(SJF, consents=(consent(),), blocks=(block(),), lifts=(long,), choices=PROVIDERS)
    assert decide(given, X).visible
    later = replace(given, now=NOW + HOUR, relations=(relation(ends=NOW + 9 * HOUR),))
    later = replace(later, consents=(consent(ends=None),))
    assert not decide(later, X).visible


def test_a_lift_opens_one_block_and_no_other() -> None:
    other = block()._replace(block_id="another")
    given = facts(SJF, consents=(consent(),), blocks=(block(), other), lifts=(lift(),), choices=PROVIDERS)
    assert not decide(given, X).visible


def test_a_relation_attested_by_a_colleague_is_not_mine() -> None:
    assert decide(facts(SJF, relations=(relation(COLLEAGUE),)), U).reason is Reason.NO_RELATION
    assert decide(facts(SJF, relations=(relation(ME),)), U).visible


def test_consent_weighs_more_than_emergency_when_both_are_registered() -> None:
    both = facts(SJF, consents=(EMERGENCY, consent()), choices=PROVIDERS)
    assert decide(both, X).reason is Reason.CONSENT


def test_the_right_must_be_to_read_and_about_examinations() -> None:
    def with_right(activity: str, information: str) -> Facts:
        given = Assignment(
            "a", "a", Purpose.CARE, OWN, "Linden", UNIT, "Linden", (Right(activity, information, "SJF"),)
        )
        return facts(replace(SJF, assignment=given))

    assert decide(with_right("Läsa", "UND"), U).visible
    assert decide(with_right("Läsa", "alla"), U).visible
    assert not decide(with_right("Skriva", "alla"), U).visible
    assert not decide(with_right("Läsa", "LKM"), U).visible


EVERYTHING = (U, P, X, item(THIRD, THIRD_UNIT), item("", ""))


def test_the_indicators_are_bits_and_only_what_the_scope_allows() -> None:
    blocks = (INNER_P, block(provider=THIRD))
    assert indicators(facts(VE, blocks=blocks), EVERYTHING) == Indicators()
    assert indicators(facts(VG), EVERYTHING) == Indicators(more_in_own_provider=True)
    assert indicators(facts(VG, blocks=blocks), EVERYTHING) == Indicators(blocked_in_own_provider=True)
    assert indicators(facts(SJF, blocks=blocks), EVERYTHING) == Indicators(
        blocked_in_own_provider=True, unblocked_elsewhere=True, blocked_elsewhere=True, without_owner=True
    )
    assert indicators(facts(SJF, relations=()), EVERYTHING) == Indicators()
    assert indicators(facts(SYSTEM), EVERYTHING) == Indicators()


def test_a_bit_goes_out_when_nothing_more_is_hidden() -> None:
    shown = facts(SJF, consents=(consent(),), choices=replace(PROVIDERS, units=frozenset({ALL})))
    assert indicators(shown, (U, P, X)) == Indicators()


def test_names_are_told_only_after_their_step() -> None:
    blocks = (INNER_P, block(provider=THIRD))
    before = names(facts(SJF, blocks=blocks, consents=(EMERGENCY,)), EVERYTHING)
    assert before.units == before.blocked_units == before.providers == before.blocked_providers == frozenset()
    asked = Choices(
        units_shown=True, blocked_units_shown=True, providers_shown=True, blocked_providers_shown=True
    )
    told = names(facts(SJF, blocks=blocks, consents=(EMERGENCY,), choices=asked), EVERYTHING)
    assert told.blocked_units == {OTHER_UNIT}
    assert told.providers == {FOREIGN}
    assert told.blocked_providers == {THIRD}
