"""A fresh house for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dicomweb.house import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    built = House(tmp_path)
    yield built
    built.close()
