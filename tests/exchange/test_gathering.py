"""Pieces that leave in one write: in order, whole, to a slow reader too, and never to a connection that is gone."""

import asyncio
import contextlib
import os
import random

import pytest

from samsyn.exchange import gathering
from samsyn.exchange.gathering import Gathering


class Peer(asyncio.Protocol):
    """The writing side."""

    def __init__(self) -> None:
        self.can_write = asyncio.Event()
        self.can_write.set()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def pause_writing(self) -> None:
        self.can_write.clear()

    def resume_writing(self) -> None:
        self.can_write.set()


async def _read(reader: asyncio.StreamReader, slowly: bool) -> bytes:
    got = bytearray()
    while piece := await reader.read(20_000 if slowly else 1 << 20):
        got += piece
        if slowly:
            await asyncio.sleep(0.001)
    return bytes(got)


@pytest.mark.parametrize("slowly", [False, True])
async def test_pieces_arrive_whole_and_in_order(slowly: bool) -> None:
    source = random.Random(3)
    writes = [
        [source.randbytes(source.choice((0, 1, 12, 5_000, 300_000))) for _ in range(source.randint(1, 9))]
        for _ in range(20)
    ]
    writes.append([bytes([number % 256]) * 1_000 for number in range(2_000)])
    arrived: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set_result(await _read(reader, slowly))
        writer.close()

    async with await asyncio.start_server(take, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        _, peer = await asyncio.get_running_loop().create_connection(Peer, "127.0.0.1", port)
        assert peer.transport is not None
        writing = Gathering(peer.transport)
        for number, pieces in enumerate(writes):
            writing.write([memoryview(piece) for piece in pieces])
            if number % 3 == 0:
                await peer.can_write.wait()
        peer.transport.close()
        assert await asyncio.wait_for(arrived, 30) == b"".join(b"".join(pieces) for pieces in writes)


async def test_nothing_is_written_to_a_descriptor_that_may_be_another_connections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[int] = []
    monkeypatch.setattr(gathering.os, "writev", lambda descriptor, _: written.append(descriptor) or 0)
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        _, peer = await asyncio.get_running_loop().create_connection(Peer, "127.0.0.1", port)
        assert peer.transport is not None
        writing = Gathering(peer.transport)
        peer.transport.abort()
        writing.write([bytes(50_000), bytes(50_000)])
        assert written == []


async def test_a_lost_connection_is_the_transports_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> int:
        raise BrokenPipeError

    monkeypatch.setattr(os, "writev", broken)
    arrived: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set_result(await _read(reader, False))
        with contextlib.suppress(OSError):
            writer.close()

    async with await asyncio.start_server(take, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        _, peer = await asyncio.get_running_loop().create_connection(Peer, "127.0.0.1", port)
        assert peer.transport is not None
        Gathering(peer.transport).write([b"a" * 40_000, b"b" * 40_000])
        peer.transport.close()
        assert await asyncio.wait_for(arrived, 10) == b"a" * 40_000 + b"b" * 40_000
