"""A search goes by an index, whatever it asks for: nothing that a PACS asks all day long reads the whole archive."""

import sqlite3
from pathlib import Path

import pytest

from samsyn.clock import SystemClock
from samsyn.model.predicate import ProviderIs
from samsyn.search.matching import conditions_of
from samsyn.search.query import Level, Query
from samsyn.store.index import find_rows
from tests.indexes import make_store, sqlite_only


class _Explained:
    """A connection that tells how it would answer."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.plan: list[str] = []

    def execute(self, sql: str, parameters: list[object]) -> sqlite3.Cursor:
        rows = self._connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)
        self.plan = [row[3] for row in rows]
        return self._connection.execute("SELECT 1 WHERE 0")


@sqlite_only
@pytest.mark.parametrize(
    ("keys", "index"),
    [
        ({0x00080050: "A1"}, "study_by_accession"),
        ({0x00080050: "A1\\A2"}, "study_by_accession"),
        ({0x00080020: "20240301"}, "study_by_date"),
        ({0x00080020: "20240301-20240302"}, "study_by_date"),
        ({0x00080020: "20240301", 0x00080061: "CT"}, "study_modality"),
        ({0x00080020: "20240301", 0x00080061: "CT\\MR"}, "study_modality"),
        ({0x0020000D: "2.25.1"}, "sqlite_autoindex_study_1"),
        ({0x0020000D: "2.25.1\\2.25.2"}, "sqlite_autoindex_study_1"),
        ({0x00100010: "tolvansson^tolvan"}, "patient_by_name"),
        ({0x00100010: "tolvansson*"}, "patient_by_name"),
    ],
)
def test_what_is_asked_all_day_goes_by_an_index(tmp_path: Path, keys: dict[int, str], index: str) -> None:
    store = make_store(tmp_path, SystemClock())
    try:
        conditions = conditions_of(Query(Level.STUDY, keys))

        def plan(connection: sqlite3.Connection) -> list[str]:
            explained = _Explained(connection)
            find_rows.find_studies(explained, ProviderIs("P"), conditions, 100, 0)  # type: ignore[arg-type]
            return explained.plan

        steps = store.peek(plan)
        assert any(index in step and "SEARCH" in step for step in steps), steps
        # Of one study; the names that match.
        small = ("patient_with_groups", "SUBQUERY", "(subquery", "named")
        assert not any(step.startswith("SCAN") and not any(name in step for name in small) for step in steps)
    finally:
        store.start()
        store.close()
