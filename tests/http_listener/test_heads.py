"""Heads of requests over HTTP/1.1: bounded in size and time, and other protocols that they offer are declined."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from samsyn import limits
from tests.http_listener.test_whole import answer, request
from tests.waiting import PATIENCE_S

OFFER = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA")
"""What curl --http2 and the client of Java's own library send where there is no TLS."""
STREAMED = tuple(b"%d" % number * 1_000 for number in range(10))


class Door:
    """Answers with the body that came, or with STREAMED; notes the names of the header fields."""

    def __init__(self) -> None:
        self.names: list[list[bytes]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, is_whole = b"", False
        while not is_whole:
            message = await receive()
            body += message.get("body", b"")
            is_whole = not message.get("more_body", False)
        self.names.append([name for name, _ in scope["headers"]])
        if scope["path"] == "/streamed":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for piece in STREAMED:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
            return
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def door() -> Door:
    return Door()


async def sent_until_closed(port: int, begin: bytes, more: bytes) -> tuple[int, bytes]:
    """How much the listener took of a message that never ends, and what it said."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(begin)
    sent = 0
    try:
        while sent < 64 * limits.MAX_HTTP_HEAD_BYTES and not reader.at_eof():
            writer.write(more)
            await asyncio.wait_for(writer.drain(), PATIENCE_S)
            sent += len(more)
        said = await asyncio.wait_for(reader.read(), PATIENCE_S)
    except ConnectionError:
        said = bytes(reader._buffer)  # type: ignore[attr-defined]  # read() raises before it gives them
    writer.close()
    return sent, said


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"GET /", b"a" * 32_768),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: ", b"a" * 32_768),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", b"X: a\r\n" * 5_000),
        (b"POST / HTTP/1.1\r\nHost: a\r\nX: ", b"a" * 32_768),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n",
            b"X: a\r\n" * 5_000,
        ),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"a" * 32_768),
    ],
    ids=["address", "field", "fields", "field of POST", "behind a body", "chunk extension"],
)
async def test_what_never_ends_is_not_kept(begin: bytes, more: bytes, port: int) -> None:
    sent, said = await sent_until_closed(port, begin, more)
    # Besides the limit, what both kernels and the streams had taken before the connection was closed.
    assert sent < 64 * limits.MAX_HTTP_HEAD_BYTES
    assert said == b"" or said.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 "))


async def test_a_head_below_the_limit_is_read_in_pieces_of_any_size(door: Door, port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = request("/", "POST", "Content-Length: 3", *(f"X-{number}: {'a' * 1_000}" for number in range(100)))
    for _ in range(2):
        for begin in range(0, len(head), 9_999):
            writer.write(head[begin : begin + 9_999])
            await writer.drain()
            await asyncio.sleep(0)
        writer.write(b"abc")
        assert (await answer(reader))[1] == b"abc"
    assert [len(names) for names in door.names] == [102, 102]
    writer.close()


async def test_bodies_in_the_smallest_chunks_have_no_such_limit(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request("/", "POST", "Transfer-Encoding: chunked"))
    count = limits.MAX_HTTP_HEAD_BYTES // 2
    writer.write(b"1\r\na\r\n" * count + b"0\r\n\r\n")
    assert (await answer(reader))[1] == b"a" * count
    writer.close()


async def test_what_stands_behind_a_body_is_no_header(door: Door, port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    chunks = b"1\r\na\r\n0\r\nAuthorization: Bearer other\r\n\r\n"
    writer.write(request("/", "POST", "Transfer-Encoding: chunked") + chunks)
    assert (await answer(reader))[1] == b"a"
    assert door.names == [[b"host", b"transfer-encoding"]]
    writer.close()


@pytest.mark.parametrize("begin", [b"", b"GET / HTTP/1.1\r\nX: "], ids=["nothing", "half a head"])
async def test_who_says_nothing_more_is_let_go(
    begin: bytes, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HTTP_HEAD_S", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(begin)
    assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""
    writer.close()


async def test_who_sends_his_head_in_time_keeps_the_connection(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HTTP_HEAD_S", 1.0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request("/", "POST", "Content-Length: 1"))
    await asyncio.sleep(1.2)
    writer.write(b"a")
    assert (await answer(reader))[1] == b"a"
    writer.close()


def chunked(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


@pytest.mark.parametrize(
    ("framing", "framed"),
    [("Content-Length: 300000", bytes), ("Transfer-Encoding: chunked", chunked)],
    ids=["length", "chunks"],
)
@pytest.mark.parametrize("step", [1_000_000, 70_000, 251])
async def test_a_body_comes_whole_from_who_offers_another_protocol(
    framing: str, framed: Callable[[bytes], bytes], step: int, door: Any, port: int
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    body = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n".ljust(300_000, b".")
    whole = request("/", "POST", *OFFER, framing) + framed(body)
    for _ in range(2):
        for begin in range(0, len(whole), step):
            writer.write(whole[begin : begin + step])
            await writer.drain()
        assert (await answer(reader))[1] == body
    assert len(door.names) == 2
    writer.close()


async def test_requests_sent_ahead_behind_an_offer_are_answered_in_their_order(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    offered = request("/", "POST", *OFFER, "Content-Length: 2")
    writer.write(request("/", "GET", *OFFER) + offered + b"ab" + offered + b"cd" + request("/"))
    assert [(await answer(reader))[1] for _ in range(4)] == [b"", b"ab", b"cd", b""]
    writer.close()


@pytest.mark.parametrize(("version", "is_chunked"), [("1.0", False), ("1.1", True)])
async def test_chunks_are_for_who_knows_them(version: str, is_chunked: bool, port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request("/streamed", "GET", "Connection: close").replace(b"/1.1", f"/{version}".encode()))
    head, _, body = (await asyncio.wait_for(reader.read(), PATIENCE_S)).partition(b"\r\n\r\n")
    assert (b"transfer-encoding: chunked" in head) is is_chunked
    assert (body == b"".join(STREAMED)) is not is_chunked
    writer.close()
