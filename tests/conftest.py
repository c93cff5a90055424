"""Fixtures that all tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scratch import Running, start_scratch


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One `samsyn serve --scratch` per test module; ended cleanly, which is asserted."""
    running = start_scratch(Path(tmp_path_factory.mktemp("scratch")) / "server.log")
    try:
        yield running
        assert running.stop() == 0
    finally:
        running.kill()
