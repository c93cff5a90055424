"""Where this node is, told to the others again and again while it lives."""

import asyncio
import contextlib

from samsyn.errors import OutOfResources
from samsyn.store.peers import PRESENT
from samsyn.store.shared.port import SharedState
from samsyn.tasks import ended


class Presence:
    """Tells the node's inner address under its number; a dead node's is forgotten with its leases."""

    def __init__(self, shared: SharedState, number: int, seconds: float) -> None:
        self._shared = shared
        self._number = number
        self._seconds = seconds
        self._task: asyncio.Task[None] | None = None

    def start(self, address: str) -> None:
        """Begins to tell, on the running event loop."""
        self._task = asyncio.create_task(self._tell(address), name="presence")

    async def stop(self) -> None:
        """Says good-bye."""
        if self._task is not None:
            await ended(self._task)
            with contextlib.suppress(OutOfResources):
                await asyncio.to_thread(self._shared.take, PRESENT, str(self._number))

    async def _tell(self, address: str) -> None:
        while True:
            with contextlib.suppress(OutOfResources):
                await asyncio.to_thread(self._shared.put, PRESENT, str(self._number), address, self._seconds)
            await asyncio.sleep(self._seconds / 3)
