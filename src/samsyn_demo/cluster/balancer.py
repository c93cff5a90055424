"""A load balancer as a region has one, small: each new TCP connection goes to the next node that takes it.

It knows no protocol. A node that is dead refuses connections at once and gets none; one that dies in the middle of a
connection cuts it off, and whoever had it begins anew.
"""

import asyncio
import contextlib
from typing import Final

_CONNECT_S: Final = 1.0
_PIECE: Final = 256 * 1024


class Balancer:
    """One listening port before the same port of several nodes."""

    def __init__(self, backends: list[int]) -> None:
        self._backends = backends
        self._next = 0
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self.port = 0

    async def start(self, port: int = 0) -> None:
        """Begins to listen on loopback; 0 takes a free port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Ends it with what is open."""
        if self._server is not None:
            self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            node = await self._connected()
            if node is not None:
                both = asyncio.gather(_carry(reader, node[1]), _carry(node[0], writer))
                with contextlib.suppress(OSError, asyncio.CancelledError):
                    await both
                node[1].close()
        finally:
            writer.close()
            self._open.discard(task)

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        for _ in self._backends:
            port = self._backends[self._next % len(self._backends)]
            self._next += 1
            try:
                async with asyncio.timeout(_CONNECT_S):
                    return await asyncio.open_connection("127.0.0.1", port)
            except (OSError, TimeoutError):
                continue
        return None


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Everything from one side to the other, its end too."""
    with contextlib.suppress(OSError):
        while data := await reader.read(_PIECE):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
        return
    writer.close()
