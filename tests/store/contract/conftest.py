"""An index of each kind, empty, for statements that are put to both."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from samsyn.store.index.port import IndexConnection
from samsyn.store.index.sqlite import SqliteIndex
from samsyn.store.objects.series_objects import SeriesObjects
from tests.indexes import postgresql_of

Both = tuple[IndexConnection, IndexConnection]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """A writer to SQLite and one to PostgreSQL."""
    folder: Path = tmp_path_factory.mktemp("both")
    objects = SeriesObjects(folder / "objects")
    index = postgresql_of(folder)
    one, other = SqliteIndex(folder / "index.sqlite").open_writer(objects), index.open_writer(objects)
    one.execute("PRAGMA case_sensitive_like=1")
    yield one, other
    one.close()
    other.close()
    index.drop()
    index.close()
