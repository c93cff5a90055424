"""The opened door that every test here is given."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from samsyn.clock import SystemClock
from samsyn.endpoints.hl7.listener import Hl7Door
from samsyn.providers.connections import Connections
from tests.hl7.stage import SETTINGS, Opened
from tests.reports.house import House


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Opened]:
    house = House(tmp_path / "data")
    door = Hl7Door(SETTINGS.mllp, Connections(SETTINGS), house.filing, SystemClock())
    await door.start()
    opened = Opened(door, house)
    yield opened
    for peer in opened.peers:
        peer.writer.close()
    await door.stop()
    house.close()
