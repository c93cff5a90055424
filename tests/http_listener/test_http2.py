"""HTTP/2 for the doors: many requests on one connection, bodies both ways under flow control, hostile peers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    InformationalResponseReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.settings import SettingCodes
from starlette.types import Message, Receive, Scope, Send

from samsyn import limits
from tests.waiting import PATIENCE_S, until


@dataclass
class Answer:
    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""
    ended: bool = False
    reset: bool = False
    interim: list[int] = field(default_factory=list)


class Client:
    """A small HTTP/2 client over a real socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, window: int) -> None:
        self._reader, self._writer = reader, writer
        self.machine = H2Connection(H2Configuration(client_side=True, header_encoding=None))
        self.answers: dict[int, Answer] = {}
        self.terminated = False
        self.acknowledges = True
        self.machine.local_settings[SettingCodes.INITIAL_WINDOW_SIZE] = window
        self.machine.initiate_connection()

    async def flush(self) -> None:
        self._writer.write(self.machine.data_to_send())
        await self._writer.drain()

    async def ask(self, method: str, path: str, *more: tuple[str, str], body: bytes | None = None) -> int:
        stream = self.machine.get_next_available_stream_id()
        self.answers[stream] = Answer()
        head = [(":method", method), (":scheme", "http"), (":authority", "region.test"), (":path", path)]
        self.machine.send_headers(stream, [*head, *more], end_stream=body is None)
        await self.flush()
        if body is not None:
            await self._send(stream, body)
        return stream

    async def _send(self, stream: int, body: bytes) -> None:
        while body:
            room = min(
                self.machine.local_flow_control_window(stream),
                self.machine.max_outbound_frame_size,
                len(body),
            )
            if room == 0:
                await self.step()
                continue
            self.machine.send_data(stream, body[:room])
            body = body[room:]
            await self.flush()
        self.machine.end_stream(stream)
        await self.flush()

    async def step(self) -> None:
        data = await asyncio.wait_for(self._reader.read(65_536), PATIENCE_S)
        if not data:
            self.terminated = True
            return
        for event in self.machine.receive_data(data):
            answer = self.answers.get(getattr(event, "stream_id", None) or 0, Answer())
            match event:
                case InformationalResponseReceived():
                    answer.interim.append(int(dict(event.headers or [])[b":status"]))
                case ResponseReceived():
                    answer.headers = dict(event.headers or [])
                    answer.status = int(answer.headers[b":status"])
                case DataReceived():
                    answer.body += event.data or b""
                    if self.acknowledges:
                        self.machine.acknowledge_received_data(
                            event.flow_controlled_length or 0, event.stream_id or 0
                        )
                case StreamEnded():
                    answer.ended = True
                case StreamReset():
                    answer.reset = True
                case ConnectionTerminated():
                    self.terminated = True
        await self.flush()

    async def until(self, done: Callable[[], bool]) -> None:
        while not done() and not self.terminated:
            await self.step()

    async def answer(self, stream: int) -> Answer:
        await self.until(lambda: self.answers[stream].ended or self.answers[stream].reset)
        return self.answers[stream]

    def close(self) -> None:
        self._writer.close()


class Door:
    """An ASGI application with a way for each behaviour of our doors."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []
        self.disconnected = asyncio.Event()
        self.go_on = asyncio.Event()
        self.taken = 0
        self.sent = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        way: Callable[[Scope, Receive, Send], Awaitable[None]] = getattr(self, scope["path"].strip("/"))
        await way(scope, receive, send)

    @staticmethod
    async def _start(send: Send, status: int, *headers: tuple[bytes, bytes]) -> None:
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})

    async def hello(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._start(send, 200, (b"Content-Type", b"text/plain"), (b"connection", b"close"))
        await send({"type": "http.response.body", "body": b"hello"})

    async def nothing(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._start(send, 304)
        await send({"type": "http.response.body"})

    async def echo(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._start(send, 200)
        while True:
            message: Message = await receive()
            await send(
                {
                    "type": "http.response.body",
                    "body": message["body"],
                    "more_body": message["more_body"],
                }
            )
            if not message["more_body"]:
                return

    async def count(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.go_on.wait()
        more = True
        while more:
            message = await receive()
            self.taken += len(message["body"])
            more = message["more_body"]
        await self._start(send, 200)
        await send({"type": "http.response.body", "body": str(self.taken).encode()})

    async def large(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._start(send, 200)
        for number in range(64):
            await send({"type": "http.response.body", "body": bytes(1 << 20), "more_body": number < 63})
            self.sent += 1 << 20

    async def refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._start(send, 413)
        await send({"type": "http.response.body", "body": b"too large"})

    async def broken(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("a fault")

    async def half(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._start(send, 200)
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise ValueError("a fault")

    async def wait(self, scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.disconnected.set()


@pytest.fixture
async def door() -> Door:
    return Door()


Connect = Callable[..., Awaitable[Client]]


@pytest.fixture
async def connect(port: int) -> AsyncIterator[Connect]:
    clients: list[Client] = []

    async def connected(window: int = 1 << 20) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", port), window)
        clients.append(client)
        await client.flush()
        return client

    yield connected
    for client in clients:
        client.close()


async def test_a_request_is_answered_with_its_head_and_body(door: Door, connect: Connect) -> None:
    client = await connect()
    asked = await client.ask("GET", "/hello?a=1", ("x-own", "2"), ("cookie", "a=1"), ("cookie", "b=2"))
    answer = await client.answer(asked)
    assert (answer.status, answer.body) == (200, b"hello")
    assert answer.headers[b"content-type"] == b"text/plain"
    assert b"connection" not in answer.headers
    scope = door.scopes[0]
    assert (scope["http_version"], scope["method"], scope["path"]) == ("2", "GET", "/hello")
    assert scope["query_string"] == b"a=1"
    headers = dict(scope["headers"])
    assert headers[b"host"] == b"region.test"
    assert headers[b"x-own"] == b"2"
    assert headers[b"cookie"] == b"a=1; b=2"


async def test_every_answer_has_a_date_also_that_of_a_fault(connect: Connect) -> None:
    client = await connect()
    answers = [await client.answer(await client.ask("GET", path)) for path in ("/echo", "/broken")]
    assert [parsedate_to_datetime(each.headers[b"date"].decode()).tzinfo is not None for each in answers] == [
        True,
        True,
    ]


async def test_the_same_port_still_speaks_http_1_also_when_the_first_bytes_drip(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for byte in b"PUT /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n":
        writer.write(bytes([byte]))
        await writer.drain()
    assert (await reader.readline()).startswith(b"HTTP/1.1 413")
    writer.close()


async def test_many_requests_share_a_connection_and_a_slow_one_holds_nobody_up(connect: Connect) -> None:
    client = await connect()
    slow = await client.ask("GET", "/wait")
    streams = [await client.ask("GET", "/hello") for _ in range(limits.MAX_HTTP2_STREAMS - 1)]
    for stream in streams:
        assert (await client.answer(stream)).body == b"hello"
    assert not client.answers[slow].ended


async def test_a_body_comes_back_byte_for_byte_over_many_windows(connect: Connect) -> None:
    client = await connect(window=65_535)
    body = bytes(range(256)) * 20_000
    assert (await client.answer(await client.ask("POST", "/echo", body=body))).body == body


async def test_a_peer_can_not_send_more_than_a_window_that_nobody_takes(door: Door, connect: Connect) -> None:
    client = await connect()
    await client.until(
        lambda: client.machine.remote_settings.initial_window_size == limits.HTTP2_WINDOW_BYTES
    )
    sending = asyncio.create_task(client.ask("POST", "/count", body=bytes(3 * limits.HTTP2_WINDOW_BYTES)))
    await until(lambda: client.answers and client.machine.local_flow_control_window(1) == 0)
    await asyncio.sleep(0.3)
    assert not sending.done()
    assert client.machine.local_flow_control_window(1) == 0
    door.go_on.set()
    answer = await client.answer(await sending)
    assert answer.body == str(3 * limits.HTTP2_WINDOW_BYTES).encode()


async def test_a_peer_that_does_not_read_is_not_sent_more_than_its_window(
    door: Door, connect: Connect
) -> None:
    client = await connect(window=65_535)
    client.acknowledges = False
    asked = await client.ask("GET", "/large")
    await client.until(lambda: len(client.answers[asked].body) >= 65_535)
    await asyncio.sleep(0.2)
    assert (len(client.answers[asked].body), door.sent) == (65_535, 0)


async def test_what_a_refused_body_used_of_the_window_is_given_back(connect: Connect) -> None:
    client = await connect()
    for _ in range(5):
        asked = await client.ask("POST", "/refuse", body=bytes(limits.HTTP2_WINDOW_BYTES))
        assert (await client.answer(asked)).status == 413


async def test_a_head_and_not_modified_have_no_body(connect: Connect) -> None:
    client = await connect()
    answer = await client.answer(await client.ask("HEAD", "/hello"))
    assert (answer.status, answer.body) == (200, b"")
    answer = await client.answer(await client.ask("GET", "/nothing"))
    assert (answer.status, answer.body) == (304, b"")


async def test_who_asks_first_is_invited_to_send(door: Door, connect: Connect) -> None:
    client = await connect()
    door.go_on.set()
    stream = client.machine.get_next_available_stream_id()
    client.answers[stream] = Answer()
    head = [(":method", "POST"), (":scheme", "http"), (":authority", "x"), (":path", "/count")]
    client.machine.send_headers(stream, [*head, ("expect", "100-continue")])
    await client.flush()
    await client.until(lambda: bool(client.answers[stream].interim))
    client.machine.send_data(stream, b"12345", end_stream=True)
    await client.flush()
    answer = await client.answer(stream)
    assert (answer.interim, answer.body) == ([100], b"5")


async def test_a_fault_is_a_500_or_a_broken_stream_never_a_whole_answer(connect: Connect) -> None:
    client = await connect()
    assert (await client.answer(await client.ask("GET", "/broken"))).status == 500
    answer = await client.answer(await client.ask("GET", "/half"))
    assert (answer.reset, answer.ended) == (True, False)
    assert (await client.answer(await client.ask("GET", "/hello"))).status == 200


async def test_a_door_is_told_when_the_reader_gives_up(door: Door, connect: Connect) -> None:
    client = await connect()
    asked = await client.ask("GET", "/wait")
    await asyncio.sleep(0.1)
    client.machine.reset_stream(asked)
    await client.flush()
    await asyncio.wait_for(door.disconnected.wait(), PATIENCE_S)


async def test_a_door_is_told_when_the_connection_is_lost(door: Door, connect: Connect) -> None:
    client = await connect()
    await client.ask("GET", "/wait")
    await asyncio.sleep(0.1)
    client.close()
    await asyncio.wait_for(door.disconnected.wait(), PATIENCE_S)


async def test_a_peer_that_begins_and_drops_requests_all_the_time_is_sent_away(connect: Connect) -> None:
    client = await connect()
    for _ in range(limits.MAX_HTTP2_RESETS + 10):
        stream = client.machine.get_next_available_stream_id()
        head = [(":method", "GET"), (":scheme", "http"), (":authority", "x"), (":path", "/wait")]
        client.machine.send_headers(stream, head, end_stream=True)
        client.machine.reset_stream(stream)
    await client.flush()
    await client.until(lambda: False)
    assert client.terminated


async def test_what_is_no_http_2_ends_the_connection_and_nothing_else(port: int, connect: Connect) -> None:
    client = await connect()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    # HEADERS whose compressed fields name an entry that no table has.
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x05\x01\x04\x00\x00\x00\x01" + b"\xff" * 5)
    await asyncio.wait_for(reader.read(), PATIENCE_S)
    writer.close()
    assert (await client.answer(await client.ask("GET", "/hello"))).status == 200


async def test_a_connection_that_asks_for_nothing_is_closed(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HTTP2_IDLE_S", 1.0)
    silent = await connect()
    await silent.until(lambda: False)
    asked = await connect()
    assert (await asked.answer(await asked.ask("GET", "/hello"))).status == 200
    await asked.until(lambda: False)
    assert silent.terminated and asked.terminated
