"""In memory and in SQL a predicate says the same, always."""

import sqlite3

from hypothesis import given, settings
from hypothesis import strategies as st

from samsyn.model.predicate import (
    AllOf,
    AnyOf,
    Everything,
    HasOwner,
    IsPreliminary,
    Item,
    Nothing,
    Overlaps,
    PatientIn,
    Predicate,
    ProviderIs,
    UnitDuring,
    UnitIs,
    Without,
    holds,
)
from samsyn.store.index.predicate_sql import compile_predicate

PROVIDERS = st.sampled_from(["", "P1", "P2"])
UNITS = st.sampled_from(["", "U1", "U2"])
DAYS = st.one_of(st.none(), st.integers(20200101, 20200110))
LEAVES = st.one_of(
    st.just(Nothing()),
    st.just(Everything()),
    st.just(HasOwner()),
    st.just(IsPreliminary()),
    st.builds(PatientIn, st.frozensets(st.integers(1, 3), max_size=3)),
    st.builds(ProviderIs, PROVIDERS),
    st.builds(UnitIs, PROVIDERS, UNITS),
    st.builds(Overlaps, st.lists(st.tuples(DAYS, DAYS), max_size=3).map(tuple)),
    st.builds(UnitDuring, PROVIDERS, UNITS, st.lists(st.tuples(DAYS, DAYS), max_size=3).map(tuple)),
)
PREDICATES = st.recursive(
    LEAVES,
    lambda parts: st.one_of(
        st.builds(AllOf, st.lists(parts, max_size=3).map(tuple)),
        st.builds(AnyOf, st.lists(parts, max_size=3).map(tuple)),
        st.builds(Without, parts),
    ),
    max_leaves=12,
)
ITEMS = st.builds(Item, st.integers(1, 3), PROVIDERS, UNITS, DAYS, DAYS, st.booleans())


@settings(max_examples=400, deadline=None)
@given(PREDICATES, st.lists(ITEMS, min_size=1, max_size=8))
def test_memory_and_sql_agree(predicate: Predicate, items: list[Item]) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE study(n, patient_key, provider, unit, begins, ends, preliminary)")
    connection.executemany(
        "INSERT INTO study VALUES(?,?,?,?,?,?,?)",
        [
            (n, i.patient_key, i.provider, i.unit, i.begins, i.ends, i.preliminary)
            for n, i in enumerate(items)
        ],
    )
    condition, parameters = compile_predicate(predicate, "study")
    found = {row[0] for row in connection.execute(f"SELECT n FROM study WHERE {condition}", parameters)}
    connection.close()
    assert found == {n for n, item in enumerate(items) if holds(predicate, item)}
