"""What a View may see is the same set in memory, in SQLite and in PostgreSQL, always."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samsyn.model.predicate import Item, Predicate, holds
from samsyn.store.index.port import IndexConnection
from samsyn.store.index.predicate_sql import compile_predicate
from tests.store.contract.conftest import Both
from tests.store.test_predicates import ITEMS, PREDICATES

pytestmark = [pytest.mark.slow, pytest.mark.hypothesis]


@settings(max_examples=300)
@given(PREDICATES, st.lists(ITEMS, min_size=1, max_size=8))
def test_memory_sqlite_and_postgresql_agree(both: Both, predicate: Predicate, items: list[Item]) -> None:
    condition, parameters = compile_predicate(predicate, "report")
    wanted = {number for number, item in enumerate(items) if holds(predicate, item)}
    for connection in both:
        connection.execute("BEGIN IMMEDIATE")
        try:
            for number, item in enumerate(items):
                add(connection, number, item)
            seen, hidden = (
                {
                    row[0]
                    for row in connection.execute(f"SELECT report_key FROM report WHERE {sql}", parameters)
                }
                for sql in (condition, f"NOT {condition}")
            )
        finally:
            connection.execute("ROLLBACK")
        assert seen == wanted
        assert hidden == set(range(len(items))) - wanted


def add(connection: IndexConnection, number: int, item: Item) -> None:
    connection.execute(
        "INSERT INTO report(report_key, patient_key, provider, unit, begins, ends, status, received)"
        " VALUES(?, ?, ?, ?, ?, ?, ?, '')",
        (
            number,
            item.patient_key,
            item.provider,
            item.unit,
            item.begins,
            item.ends,
            "preliminary" if item.preliminary else "final",
        ),
    )
