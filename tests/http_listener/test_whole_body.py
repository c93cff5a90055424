"""Bodies that are read to where they are wanted: whole, in their order, and only where nothing else is to be heeded."""

import asyncio
import hashlib
import random
from collections.abc import Callable

import pytest
from starlette.types import Receive, Scope, Send

from samsyn.wire.whole_answer import Ready
from tests.http_listener.test_whole import answer, request
from tests.waiting import PATIENCE_S, until

SOURCE = random.Random(11)
BODIES = [SOURCE.randbytes(size) for size in (1, 100, 70_000, 300_000, 2_000_000)]


class Taker:
    """Takes a body in rooms of one size, and answers with its digest."""

    def __init__(self, length: int, answered: Callable[[Ready], None], delay_s: float) -> None:
        self._body = bytearray(length)
        self._end = 0
        self._answered = answered
        self._delay_s = delay_s
        self.is_gone = False

    def room(self) -> memoryview:
        return memoryview(self._body)[self._end : self._end + 10_000]

    def filled(self, count: int) -> None:
        self._end += count
        if self._end == len(self._body):
            loop = asyncio.get_running_loop()
            loop.call_later(self._delay_s, self._answered, told(bytes(self._body)))

    def gone(self) -> None:
        self.is_gone = True


class Door:
    """Answers each body with its digest, and notes by which way it came."""

    def __init__(self) -> None:
        self.takers: list[Taker] = []
        self.ways: list[str] = []
        self.delay_s = 0.0

    def take_body(self, scope: Scope, length: int, answered: Callable[[Ready], None]) -> Taker | None:
        if scope["path"] != "/take":
            return None
        self.ways.append("taken")
        self.takers.append(Taker(length, answered, self.delay_s))
        return self.takers[-1]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.ways.append("asked")
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body", False):
                break
        status, headers, pieces = told(body)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"".join(pieces)})


def told(body: bytes) -> Ready:
    digest = hashlib.sha256(body).hexdigest().encode()
    return 200, [(b"content-length", b"%d" % len(digest))], (digest,)


@pytest.fixture
async def door() -> Door:
    return Door()


def post(body: bytes, *fields: str, path: str = "/take") -> bytes:
    return request(path, "POST", f"Content-Length: {len(body)}", *fields) + body


async def is_answered(reader: asyncio.StreamReader, body: bytes) -> bool:
    return (await answer(reader))[1] == b"".join(told(body)[2])


@pytest.mark.parametrize("step", [0, 50, 9_000])
async def test_bodies_of_every_size_come_whole_one_after_the_other(door: Door, port: int, step: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for body in [each[: 2_000 if step == 50 else None] for each in BODIES * 2]:
        sent = post(body)
        for start in range(0, len(sent), step or len(sent)):
            writer.write(sent[start : start + (step or len(sent))])
            await writer.drain()
            if step == 50:
                await asyncio.sleep(0)
        assert await is_answered(reader, body)
        writer.write(post(body, path="/ask"))
        assert await is_answered(reader, body)
    assert "taken" in door.ways or step == 50  # a head in pieces goes the long way
    writer.close()


async def test_the_body_may_come_long_after_the_head(door: Door, port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for number, body in enumerate(BODIES, 1):
        sent = post(body)
        writer.write(sent[: -len(body)])
        await until(lambda number=number: len(door.takers) == number)  # type: ignore[misc] # binds the loop's value
        writer.write(body)
        assert await is_answered(reader, body)
    assert door.ways == ["taken"] * len(BODIES)
    writer.close()


async def test_requests_sent_ahead_are_answered_in_their_order(door: Door, port: int) -> None:
    door.delay_s = 0.02
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    bodies = BODIES[:3] * 3
    writer.write(b"".join(map(post, bodies)))
    for body in bodies:
        assert await is_answered(reader, body)
    writer.write(post(BODIES[1], "Connection: close"))
    assert await is_answered(reader, BODIES[1])
    assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""


async def test_a_body_that_looks_like_a_request_is_a_body(door: Door, port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = post(b"x") * 3 + b"\r\n\r\n"
    for path in ("/take", "/ask", "/take"):
        sent = post(body, path=path)
        head = len(sent) - len(body)
        for piece in (sent[:head], sent[head : head + 5], sent[head + 5 :]):
            writer.write(piece)
            await asyncio.sleep(0.02)  # so that the pieces are read one by one
        assert await is_answered(reader, body)
    assert door.ways == ["taken", "asked", "taken"]
    writer.close()


@pytest.mark.parametrize(
    "field",
    ["Expect: 100-continue", "X-Forwarded-For: 10.1.1.1", "X-Forwarded-Proto: https"],
)
async def test_what_asks_for_more_than_a_body_goes_the_long_way(door: Door, port: int, field: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(post(BODIES[2], field))
    if field.startswith("Expect"):
        assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_S)).startswith(b"HTTP/1.1 100")
    assert await is_answered(reader, BODIES[2])
    assert door.ways == ["asked"]
    writer.write(
        request("/take", "POST", "Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\n\r\n" + post(BODIES[1])
    )
    assert await is_answered(reader, b"abc")
    assert await is_answered(reader, BODIES[1])
    writer.close()


async def test_a_peer_that_goes_away_is_told_of_and_harms_nobody(door: Door, port: int) -> None:
    door.delay_s = 0.05
    for body, left in ((BODIES[3], 1_000), (BODIES[3], 0), (BODIES[0], 1)):
        taken = len(door.takers)
        _, leaving = await asyncio.open_connection("127.0.0.1", port)
        sent = post(body)
        leaving.write(sent[: len(sent) - left])
        await until(lambda taken=taken: len(door.takers) > taken)  # type: ignore[misc] # binds the loop's value
        if not left:
            await until(lambda: not door.takers[-1].room())
        leaving.transport.abort()
        if left:
            await until(lambda: door.takers[-1].is_gone)
    await asyncio.sleep(0.1)
    assert [taker.is_gone for taker in door.takers] == [True, False, True]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(post(BODIES[2]))
    assert await is_answered(reader, BODIES[2])
    writer.close()
