"""Answers in one go over HTTP/1.1: the same bytes as by ASGI's two messages, whatever the peer does meanwhile."""

import asyncio
import random
import socket
from collections.abc import Sequence
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from samsyn.endpoints.http_listener.protocols import PreferredProtocol
from samsyn.endpoints.http_listener.serving import listening, serve
from samsyn.exchange.gathering import Gathering
from samsyn.wire.whole_answer import EXTENSION, Ready
from tests.waiting import PATIENCE_S

SOURCE = random.Random(7)
SIZES = {
    "/none": (0,),
    "/small": (40, 900, 44),
    "/frame": (120, 524_288, 47),
    "/large": (120, 12_000_000, 3_000_000, 47),
}
BODIES = {path: tuple(SOURCE.randbytes(size) for size in sizes) for path, sizes in SIZES.items()}


class Door:
    """Answers with BODIES in one go where it can."""

    def __init__(self) -> None:
        self.ways: list[bool] = []
        self.faults: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        pieces = BODIES[scope["path"].removesuffix("-split")]
        headers = [(b"content-length", b"%d" % sum(map(len, pieces))), (b"x-own", b"1")]
        if scope["path"].endswith("-split"):
            headers.append((b"x-told", b"a\r\nx-smuggled: 1"))
        whole = scope.get("extensions", {}).get(EXTENSION)
        self.ways.append(whole is not None)
        if whole is not None:
            try:
                await whole(200, headers, pieces)
            except RuntimeError as fault:
                self.faults.append(str(fault))
                raise
            return
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"".join(pieces)})


@pytest.fixture
async def door() -> Door:
    return Door()


def request(path: str, method: str = "GET", *fields: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: region.test", *fields, "", ""]).encode()


async def answer(reader: asyncio.StreamReader, with_body: bool = True) -> tuple[bytes, bytes]:
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_S)
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
    return head, await asyncio.wait_for(reader.readexactly(length), PATIENCE_S) if with_body else b""


async def test_answers_of_every_size_arrive_whole_one_after_the_other(door: Door, port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for path in ["/small", "/frame", "/none", "/large", "/frame"] * 3:
        writer.write(request(path))
        head, body = await answer(reader)
        assert head.startswith(b"HTTP/1.1 200 OK\r\n") and b"\r\nx-own: 1\r\n" in head
        assert head.count(b"\r\ndate: ") == 1
        assert body == b"".join(BODIES[path])
    assert all(door.ways)
    writer.close()


async def test_requests_in_one_packet_are_answered_in_their_order(port: int) -> None:
    paths = ["/large", "/small", "/frame", "/none", "/small", "/large"]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"".join(map(request, paths)))
    for path in paths:
        assert (await answer(reader))[1] == b"".join(BODIES[path])
    writer.close()


async def test_a_reader_that_takes_little_at_a_time_gets_everything(port: int) -> None:
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    slow.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(slow, ("127.0.0.1", port))
    wanted = [b"".join(BODIES[path]) for path in ("/frame", "/large", "/small")]
    await loop.sock_sendall(slow, b"".join(map(request, ("/frame", "/large", "/small"))))
    await asyncio.sleep(0.2)  # everything that can be sent without a reader has been
    received = bytearray()
    while not received.endswith(wanted[-1]):
        received += await asyncio.wait_for(loop.sock_recv(slow, 60_000), PATIENCE_S)
    for body in wanted:
        _, _, rest = bytes(received).partition(b"\r\n\r\n")
        assert rest[: len(body)] == body
        received = bytearray(rest[len(body) :])
    assert not received
    slow.close()


async def test_a_peer_that_goes_away_in_the_middle_harms_nobody_else(port: int) -> None:
    for _ in range(5):
        _, leaving = await asyncio.open_connection("127.0.0.1", port)
        leaving.write(request("/large") * 3)
        await asyncio.sleep(0.01)
        leaving.transport.abort()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request("/frame"))
    assert (await answer(reader))[1] == b"".join(BODIES["/frame"])
    writer.close()


async def test_head_is_answered_without_a_body_and_a_connection_is_closed_on_request(
    door: Door, port: int
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request("/small", "HEAD"))
    head, _ = await answer(reader, with_body=False)
    assert b"content-length: 984\r\n" in head
    assert door.ways == [False]
    writer.write(request("/frame", "GET", "Connection: close"))
    head, body = await answer(reader)
    assert b"\r\nconnection: close\r\n" in head and body == b"".join(BODIES["/frame"])
    assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""
    writer.close()


async def test_a_header_field_can_not_end_its_line(door: Door, port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request("/small-split"))
    told = await asyncio.wait_for(reader.read(), PATIENCE_S)
    assert told.startswith(b"HTTP/1.1 500") and b"smuggled" not in told
    assert door.faults
    writer.close()


class _Taking:
    """A transport that only takes."""

    def __init__(self, connection: socket.socket, encrypts: bool) -> None:
        self.taken = b""
        self._extra = {"socket": connection, "ssl_object": self if encrypts else None}

    def get_extra_info(self, name: str) -> object:
        return self._extra.get(name)

    def write(self, data: bytes | memoryview) -> None:
        self.taken += bytes(data)

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return len(self.taken)


@pytest.mark.parametrize("pieces", BODIES.values())
def test_what_must_not_go_past_the_transport_goes_through_it(pieces: Sequence[bytes]) -> None:
    ours, theirs = socket.socketpair()
    encrypting: Any = _Taking(ours, encrypts=True)
    Gathering(encrypting).write(pieces)
    assert encrypting.taken == b"".join(pieces)
    waiting: Any = _Taking(ours, encrypts=False)
    waiting.write(b"before")  # an answer that is not out yet must not be overtaken
    Gathering(waiting).write(pieces)
    assert waiting.taken == b"before" + b"".join(pieces)
    theirs.setblocking(False)
    with pytest.raises(BlockingIOError):
        theirs.recv(1)
    ours.close()
    theirs.close()


class Quick(Door):
    """A Door that answers some requests while the listener waits."""

    def __init__(self) -> None:
        super().__init__()
        self.quick: list[str] = []

    def at_once(self, scope: Scope) -> Ready | None:
        if scope["path"] == "/small":
            return None
        self.quick.append(f"{scope['method']} {scope['path']}")
        pieces = BODIES[scope["path"]]
        return 200, [(b"content-length", b"%d" % sum(map(len, pieces))), (b"x-own", b"1")], pieces


async def test_what_can_be_answered_at_once_keeps_its_place_among_the_rest() -> None:
    door = Quick()
    bound = listening("127.0.0.1", 0)
    server, task = await serve(door, bound, http=PreferredProtocol)
    reader, writer = await asyncio.open_connection("127.0.0.1", bound.getsockname()[1])
    paths = ["/frame", "/frame", "/small", "/frame", "/large", "/frame", "/none", "/small", "/frame"]
    for path in paths:
        writer.write(request(path))
        head, body = await answer(reader)
        assert head.startswith(b"HTTP/1.1 200 OK\r\n") and head.count(b"\r\ndate: ") == 1
        assert body == b"".join(BODIES[path])
    assert door.quick == [f"GET {path}" for path in paths if path != "/small"]
    writer.write(b"".join(map(request, paths * 60)))
    for path in paths * 60:
        assert (await answer(reader))[1] == b"".join(BODIES[path])
    writer.write(request("/frame", "HEAD"))
    assert (await answer(reader, with_body=False))[0].count(b"x-own") == 1
    assert not any(each.startswith("HEAD") for each in door.quick)
    writer.write(request("/frame", "GET", "Connection: close"))
    assert (await answer(reader))[1] == b"".join(BODIES["/frame"])
    assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""
    server.should_exit = True
    await asyncio.wait_for(task, PATIENCE_S)
