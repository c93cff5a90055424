"""What tests of pictures share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.render.house import House


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A started house in a folder of its own."""
    built = House(tmp_path / "house")
    await built.start()
    yield built
    await built.stop()
