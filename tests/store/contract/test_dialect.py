"""What is told apart between the SQL of SQLite and that of PostgreSQL, statement by statement and by what it does."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samsyn.store.index import tables
from samsyn.store.index.port import IndexConnection, RuleBroken
from samsyn.store.index.schema import SCHEMA
from tests.store.contract.conftest import Both

pytest.importorskip("asyncpg")
from samsyn.store.index.postgresql import ddl, dialect


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        ("SELECT a FROM t WHERE b = ? AND c = ?", "SELECT a FROM t WHERE b = $1 AND c = $2"),
        ("SELECT a FROM t WHERE b = ?2 OR c = ?1", "SELECT a FROM t WHERE b = $2 OR c = $1"),
        ("SELECT '?' FROM t WHERE a = ?", "SELECT '?' FROM t WHERE a = $1"),
        ("SELECT a FROM t WHERE +a = ? AND (+b = 1)", "SELECT a FROM t WHERE a = $1 AND (b = 1)"),
        ("SELECT a + 1 FROM t WHERE b IN (1, +2)", "SELECT a + 1 FROM t WHERE b IN (1, 2)"),
        ("SELECT MAX(a) FROM t WHERE MAX(a, b) > 1", "SELECT MAX(a) FROM t WHERE GREATEST(a, b) > 1"),
        ("SELECT a FROM t WHERE b IN ()", "SELECT a FROM t WHERE b = ANY('{}')"),
        ("SELECT a FROM t WHERE b NOT IN ()", "SELECT a FROM t WHERE b <> ALL('{}')"),
        ("SELECT a FROM t WHERE b IS ?", "SELECT a FROM t WHERE b IS NOT DISTINCT FROM $1"),
        ("SELECT a FROM t WHERE b IS NOT ?", "SELECT a FROM t WHERE b IS DISTINCT FROM $1"),
        ("SELECT a FROM t WHERE b IS NOT NULL", "SELECT a FROM t WHERE b IS NOT NULL"),
        ("SELECT instr(a, '=') FROM t", "SELECT strpos(a, '=') FROM t"),
        ("SELECT CAST(a AS INTEGER) FROM t", "SELECT CAST(a AS BIGINT) FROM t"),
        ("SELECT json_extract(d, '$.of') FROM t", "SELECT (d::jsonb ->> 'of') FROM t"),
        ("BEGIN IMMEDIATE", "BEGIN"),
    ],
)
def test_a_statement_is_told_in_the_other_words(told: str, meant: str) -> None:
    assert dialect.translated(told).sql == meant


def test_null_stands_first_in_an_order_as_in_sqlite_and_keys_need_no_word() -> None:
    sql = "SELECT a FROM study ORDER BY study_date DESC, study_time, study.study_key LIMIT ?"
    assert dialect.translated(sql).sql == (
        "SELECT a FROM study ORDER BY study_date DESC NULLS LAST, study_time NULLS FIRST, study.study_key LIMIT $1"
    )
    sql = (
        "SELECT sent.study_key FROM study LEFT JOIN sent_identity AS sent USING(study_key) ORDER BY sent.name"
    )
    assert dialect.translated(sql).sql.endswith("ORDER BY sent.name NULLS FIRST")


def test_every_table_index_and_trigger_of_the_schema_is_made() -> None:
    made = "\n".join(ddl.statements())
    whole = tables.whole()
    assert len(whole.tables) > 50
    for name in whole.tables:
        assert f"CREATE TABLE {name}(" in made
    assert made.count("CREATE INDEX") + made.count("CREATE UNIQUE INDEX") == len(whole.indexes)
    assert made.count("CREATE TRIGGER") == len(whole.triggers)
    assert SCHEMA.count("CREATE TABLE") == len(whole.tables)


def answers(connection: IndexConnection, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in connection.execute(sql, values)]


@pytest.mark.slow
def test_replacing_a_row_does_the_same_in_both(both: Both) -> None:
    """The row with the same key goes, and every other one that clashes; what is not told is the default."""
    for connection in both:
        connection.execute("INSERT INTO series_object VALUES(?, ?, ?, ?)", (1, 10, 5, "a"))
        connection.execute("INSERT INTO series_object VALUES(?, ?, ?, ?)", (2, 20, 5, "b"))
        connection.execute(
            "INSERT OR REPLACE INTO series_object(series_key, object_key) VALUES(?, ?)", (1, 20)
        )
    expected = [(1, 20, None, None)]
    for connection in both:
        assert answers(connection, "SELECT * FROM series_object ORDER BY series_key") == expected


@pytest.mark.slow
def test_a_clash_is_told_and_the_transaction_goes_on(both: Both) -> None:
    for connection in both:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO given_back VALUES(?, ?)", (1, "a"))
        with pytest.raises(RuleBroken):
            connection.execute("INSERT INTO given_back VALUES(?, ?)", (1, "b"))
        connection.execute("INSERT INTO given_back VALUES(?, ?)", (2, "c"))
        connection.execute("COMMIT")
        assert answers(connection, "SELECT * FROM given_back ORDER BY segment") == [(1, "a"), (2, "c")]


TEXTS = st.one_of(
    st.none(),
    st.text(alphabet=st.sampled_from("aAbBåÅäöéß1 %_\\^=-~"), max_size=6),
    st.sampled_from(["", "20240101", "CT\\MR"]),
)


@pytest.mark.slow
@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=8), TEXTS)
def test_texts_are_compared_ordered_and_matched_alike(
    both: Both,
    rows: list[tuple[str | None, str | None]],
    asked: str | None,
) -> None:
    pattern = (asked or "").replace("\\", "\\\\")
    found = []
    for connection in both:
        connection.execute("BEGIN IMMEDIATE")
        for number, (name, told) in enumerate(rows):
            connection.execute(
                "INSERT INTO patient(patient_key, folded_name, told) VALUES(?, ?, ?)", (number, name, told)
            )
        questions: tuple[tuple[str, tuple[Any, ...]], ...] = (
            ("SELECT patient_key FROM patient ORDER BY folded_name, told DESC, patient_key", ()),
            ("SELECT patient_key FROM patient WHERE folded_name < ? ORDER BY patient_key", (asked or "",)),
            ("SELECT patient_key FROM patient WHERE folded_name IS ? ORDER BY patient_key", (asked,)),
            ("SELECT patient_key FROM patient WHERE folded_name IS NOT ? ORDER BY patient_key", (asked,)),
            (
                "SELECT patient_key FROM patient WHERE folded_name LIKE ? ESCAPE '\\' ORDER BY patient_key",
                (f"{pattern}%",),
            ),
            (
                "SELECT COALESCE(told, ''), length(folded_name), instr(folded_name, '='), substr(folded_name, 2, 3),"
                " '^' || REPLACE(folded_name, ' ', '^') FROM patient ORDER BY patient_key",
                (),
            ),
            (
                "SELECT told, COUNT(*), SUM(patient_key), MAX(folded_name) FROM patient GROUP BY told ORDER BY told",
                (),
            ),
        )
        found.append([answers(connection, sql, *values) for sql, values in questions])
        connection.execute("ROLLBACK")
    assert found[0] == found[1]


@pytest.mark.slow
def test_values_of_another_kind_fit_their_columns(both: Both) -> None:
    """SQLite turns a number into text where a column keeps text, and back; PostgreSQL is given what it wants."""
    for connection in both:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(
            "INSERT INTO finding(finding_key, kind, reference, found) VALUES(?, ?, ?, ?)",
            ("7", "k", 42, True),
        )
        found = answers(connection, "SELECT finding_key, reference FROM finding WHERE reference = ?", 42)
        connection.execute("ROLLBACK")
        assert found == [(7, "42")]


@pytest.mark.slow
def test_nul_in_a_text_is_kept_out_and_the_row_stands(both: Both) -> None:
    connection = both[1]
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO patient(patient_key, name) VALUES(?, ?)", (99, "A\0B"))
    assert answers(connection, "SELECT name FROM patient WHERE patient_key = 99") == [("A\ufffdB",)]
    connection.execute("ROLLBACK")
