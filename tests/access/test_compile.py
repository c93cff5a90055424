"""The compiled predicate and the rules always agree, in memory and in the store's own SQL."""

import sqlite3
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samsyn.access.compile import predicate, system_predicate
from samsyn.access.facts import ALL, Choices, Facts, Policy, Release
from samsyn.access.rules import decide, indicators_of, judged, names_of, told_of
from samsyn.access.standing import standing, told_apart
from samsyn.model.predicate import AllOf, AnyOf, Item, Nothing, Overlaps, Predicate, Without, holds
from samsyn.model.registers import Block, BlockKind, CareRelation, Consent, Ground, Lift
from samsyn.model.subject import Assignment, Purpose, Right, Scope, Subject, SubjectKind
from samsyn.store.index.predicate_sql import compile_predicate
from tests.access.people import ALL_CHOSEN, NOW, consent, staff
from tests.access.people import facts as facts_of

PROVIDERS = ("", "A", "B", "C")
UNITS = ("", "A1", "A2", "B1", "C1")
EMPLOYEES = ("", "me", "colleague")
KEYS = (1, 2, 3)

moments = st.sampled_from([NOW + timedelta(hours=hours) for hours in (-400, -2, -1, 0, 1, 2, 400)])
later = st.one_of(st.none(), moments)
days = st.one_of(st.none(), st.sampled_from([20200101, 20200102, 20200301, 20261108, 20261109, 20261122]))
keys = st.sampled_from(KEYS)
providers, units, employees = st.sampled_from(PROVIDERS), st.sampled_from(UNITS), st.sampled_from(EMPLOYEES)

items = st.builds(Item, keys, providers, units, days, days, st.booleans())
assignments = st.builds(
    Assignment,
    st.just("assignment"),
    st.just("Läkare"),
    st.sampled_from([Purpose.CARE, Purpose.CARE, *Purpose]),
    st.sampled_from(["A", "A", "B", ""]),
    st.just(""),
    st.sampled_from(["A1", "A1", "A2", "B1", ""]),
    st.just(""),
    st.one_of(
        st.just(()), st.builds(lambda scope: (Right("Läsa", "UND", scope.value),), st.sampled_from(Scope))
    ),
    later,
)
subjects = st.builds(
    Subject,
    st.sampled_from(SubjectKind),
    st.just("me"),
    st.just(""),
    st.one_of(st.none(), assignments, assignments, assignments),
    st.just("session"),
    st.sampled_from([frozenset[str](), frozenset({"care"})]),
    st.one_of(st.none(), keys),
    st.frozensets(keys, max_size=1),
)
relations = st.builds(
    CareRelation, st.just("r"), keys, providers, units, employees, moments, moments, st.just("attested")
)
consents = st.builds(
    Consent,
    st.just("c"),
    keys,
    st.sampled_from(Ground),
    providers,
    units,
    employees,
    moments,
    later,
    st.just("visit"),
    later,
)
blocks = st.builds(
    Block,
    st.sampled_from(["b1", "b2", "b3"]),
    keys,
    st.sampled_from(BlockKind),
    providers,
    units,
    days,
    days,
    later,
)
lifts = st.builds(
    Lift,
    st.just("l"),
    st.sampled_from(["b1", "b2", "b3"]),
    keys,
    units,
    employees,
    moments,
    moments,
    st.just("consent"),
    later,
)
choices = st.builds(
    Choices,
    st.booleans(),
    st.frozensets(st.sampled_from([ALL, "A1", "A2", "B1"]), max_size=2),
    st.booleans(),
    st.booleans(),
    st.frozensets(st.sampled_from([ALL, "A", "B", "C", ""]), max_size=2),
    st.booleans(),
    st.booleans(),
)
policies = st.builds(
    Policy,
    st.booleans(),
    st.sampled_from([frozenset(), frozenset("AB"), frozenset("BC")]),
    st.just(14),
    st.sampled_from(
        [
            (),
            (Release("A", 14), Release("B", 14), Release("C", 14)),
            (Release("A", 0, frozenset({"A2"})), Release("B", 500)),
            (Release("C", 15, frozenset({"C1", "A1"})), Release("")),
        ]
    ),
)


def few(one: st.SearchStrategy, most: int = 4) -> st.SearchStrategy:  # type: ignore[type-arg]
    return st.lists(one, max_size=most).map(tuple)


@st.composite
def facts(draw: st.DrawFn) -> Facts:
    """Any facts, with a current relation more often than chance would give one."""
    subject = draw(subjects)
    patient_keys = draw(st.frozensets(keys, max_size=2))
    rows = draw(few(relations, 2))
    own = subject.assignment
    if own is not None and draw(st.booleans()):
        span = (NOW - timedelta(hours=1), NOW + timedelta(hours=1))
        rows += tuple(
            CareRelation("r", key, own.provider_hsa_id, own.unit_hsa_id, "", *span, "referral")
            for key in patient_keys
        )
    given = draw(few(consents, 3))
    if own is not None and draw(st.booleans()):
        ground = draw(st.sampled_from(Ground))
        given += tuple(
            Consent("c", key, ground, own.provider_hsa_id, own.unit_hsa_id, "", NOW, None, "visit")
            for key in patient_keys
        )
    return Facts(
        subject,
        own.purpose if own is not None and draw(st.booleans()) else draw(st.sampled_from(Purpose)),
        patient_keys,
        NOW,
        rows,
        given,
        draw(few(blocks)),
        draw(few(lifts, 3)),
        draw(choices),
        draw(policies),
        draw(st.sampled_from([True, True, True, False])),
        draw(st.frozensets(st.sampled_from([19500101, 20081122, 20101123, 20131122, 20131123]), max_size=2)),
    )


@settings(max_examples=300, deadline=None)
@given(facts(), st.lists(items, min_size=1, max_size=12))
def test_the_predicate_holds_for_exactly_what_the_rules_show(about: Facts, some: list[Item]) -> None:
    compiled = predicate(about)
    for one in some:
        assert holds(compiled, one) == decide(about, one).visible, (one, decide(about, one))


@settings(max_examples=80, deadline=None)
@given(facts(), st.lists(items, min_size=1, max_size=8))
def test_the_stores_sql_shows_exactly_the_same(about: Facts, some: list[Item]) -> None:
    sql, parameters = compile_predicate(predicate(about), "item")
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE item(n INTEGER, patient_key, provider, unit, begins, ends, preliminary)")
    connection.executemany(
        "INSERT INTO item VALUES(?, ?, ?, ?, ?, ?, ?)",
        [(n, i.patient_key, i.provider, i.unit, i.begins, i.ends, i.preliminary) for n, i in enumerate(some)],
    )
    shown = {row[0] for row in connection.execute(f"SELECT n FROM item WHERE {sql}", parameters)}
    connection.close()
    assert shown == {n for n, one in enumerate(some) if decide(about, one).visible}


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(st.lists(facts(), max_size=3), subjects, items)
def test_a_system_without_a_patient_sees_its_own_provider_and_each_patient_on_his_own_ground(
    some: list[Facts], subject: Subject, one: Item
) -> None:
    compiled = system_predicate(subject, Purpose.CARE, [standing(about) for about in some])
    own = subject.assignment
    if subject.kind is not SubjectKind.SYSTEM or own is None or own.purpose is not Purpose.CARE:
        assert isinstance(compiled, Nothing)
        return
    if not own.provider_hsa_id or not own.unit_hsa_id:
        assert isinstance(compiled, Nothing)
        return
    own_item = one.provider == own.provider_hsa_id and one.unit != ""
    expected = own_item or any(decide(about, one).visible for about in some)
    assert holds(compiled, one) == expected


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(facts(), blocks, items)
def test_one_more_block_never_opens_anything(about: Facts, more: Block, one: Item) -> None:
    if decide(replace(about, blocks=(*about.blocks, more)), one).visible:
        assert decide(about, one).visible


def depth(of: Predicate) -> int:
    match of:
        case AllOf(parts) | AnyOf(parts):
            return 1 + max((depth(part) for part in parts), default=0)
        case Without(part):
            return 1 + depth(part)
        case _:
            return 1


def test_five_hundred_blocks_make_a_shallow_predicate_that_sqlite_takes() -> None:
    many = tuple(
        Block(f"b{n}", 7, BlockKind.INNER, f"SE{n % 40}", f"SE{n}", 20200101 + n % 20, 20200201 + n % 20)
        for n in range(500)
    )
    compiled = predicate(facts_of(staff(), consents=(consent(),), blocks=many, choices=ALL_CHOSEN))
    assert depth(compiled) <= 12
    sql, parameters = compile_predicate(compiled, "item")
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE item(patient_key, provider, unit, begins, ends)")
    connection.execute("INSERT INTO item VALUES(7, 'SE1', 'SE41', 20200115, 20200115)")
    connection.execute("INSERT INTO item VALUES(7, 'SE1', 'SE42', 20200115, 20200115)")
    rows = connection.execute(f"SELECT unit FROM item WHERE {sql}", parameters).fetchall()
    connection.close()
    assert rows == [("SE42",)]


@settings(max_examples=150, deadline=None)
@given(facts(), st.lists(items, max_size=12))
def test_what_the_rules_can_not_tell_apart_is_told_the_same_by_one_item(
    about: Facts, some: list[Item]
) -> None:
    reader = standing(about)
    if about.subject.kind is SubjectKind.PATIENT:
        return
    few = told_apart(reader, [(i.patient_key, i.provider, i.unit, i.begins, i.ends) for i in some])
    one_by_one, together = judged(reader, some), judged(reader, few)
    assert indicators_of(one_by_one) == indicators_of(together)
    assert names_of(one_by_one) == names_of(together)
    assert told_of(reader, one_by_one) == told_of(reader, together)


@pytest.mark.parametrize("day", [20200101, 20200610, 20210003])
def test_a_hundred_days_blocked_apart_are_asked_as_a_balanced_tree(day: int) -> None:
    spans = tuple((20200101 + 100 * n, 20200105 + 100 * n) for n in range(100))
    one = Item(7, "A", "A1", day, day)
    sql, parameters = compile_predicate(Overlaps(spans), "item")
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE item(begins, ends)")
    connection.execute("INSERT INTO item VALUES(?, ?)", (day, day))
    found = connection.execute(f"SELECT 1 FROM item WHERE {sql}", parameters).fetchall()
    connection.close()
    assert bool(found) == holds(Overlaps(spans), one) == (day != 20200610)
