"""What the browser's tests share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.viewer.house import House, a_served_house


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A served house with one patient of the demo's whose CT another provider has made; some files have their own."""
    async with a_served_house(tmp_path) as house:
        await house.fill(["tolvan"], frozenset({"ct-chest"}))
        yield house
