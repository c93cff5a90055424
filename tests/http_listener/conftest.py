"""The listener with a door of each module's own."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from samsyn.endpoints.http_listener.protocols import PreferredProtocol
from samsyn.endpoints.http_listener.serving import listening, serve
from tests.waiting import PATIENCE_S


@pytest.fixture
async def port(door: Any) -> AsyncIterator[int]:
    bound = listening("127.0.0.1", 0)
    server, task = await serve(door, bound, http=PreferredProtocol)
    yield bound.getsockname()[1]
    server.should_exit = True
    await asyncio.wait_for(task, PATIENCE_S)
