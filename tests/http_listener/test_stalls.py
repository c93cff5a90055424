"""Readers who take too little of their answer are left; slow but honest ones are not."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from h2.exceptions import StreamClosedError

from samsyn import limits
from samsyn.endpoints.http_listener.http2 import Http2Protocol
from samsyn.endpoints.http_listener.protocols import PreferredProtocol
from samsyn.endpoints.http_listener.serving import HttpServer, listening, serve
from samsyn.endpoints.http_listener.stalls import Patience
from tests.access.soap_server import Certificates
from tests.http_listener.test_http2 import Answer, Client, Door
from tests.waiting import PATIENCE_S, until

SHORT_S = 0.2
BEGINNING = b"GET /large HTTP/1.1\r\nHost: region.test\r\n"


class Listening:
    """A listener, and what it knows of its connections."""

    def __init__(self, server: HttpServer, port: int, door: Door) -> None:
        self.server, self.port, self.door = server, port, door

    async def client(self) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port), 65_535)
        client.acknowledges = False
        await client.flush()
        return client

    def http2(self) -> Http2Protocol:
        [connection] = self.server.server_state.connections
        return cast(Http2Protocol, connection)


@pytest.fixture
async def listener() -> AsyncIterator[Listening]:
    bound = listening("127.0.0.1", 0)
    door = Door()
    server, task = await serve(door, bound, http=PreferredProtocol)
    yield Listening(server, bound.getsockname()[1], door)
    server.should_exit = True
    await asyncio.wait_for(task, PATIENCE_S)


def test_who_takes_too_little_has_no_more_than_the_deadline_and_who_takes_enough_has_ever_more() -> None:
    patience = Patience(0.0, 0)
    assert not patience.is_spent(limits.HTTP_STALL_S - 1, limits.HTTP_LEAST_TAKEN_BYTES - 1)
    assert patience.is_spent(limits.HTTP_STALL_S, limits.HTTP_LEAST_TAKEN_BYTES - 1)
    slow = Patience(0.0, 0)
    for period in range(1, 1_000):
        assert not slow.is_spent(period * (limits.HTTP_STALL_S - 1), period * limits.HTTP_LEAST_TAKEN_BYTES)


async def test_a_peer_that_never_opens_its_window_loses_the_request_and_the_door_is_free(
    listener: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HTTP_STALL_S", SHORT_S)
    client = await listener.client()
    asked = await client.ask("GET", "/large")
    answer = await client.answer(asked)
    assert (answer.status, answer.reset, answer.ended) == (200, True, False)
    await until(lambda: not listener.server.server_state.tasks)
    client.close()


async def test_a_window_that_opens_by_a_byte_at_a_time_is_as_good_as_shut(
    listener: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HTTP_STALL_S", SHORT_S)
    client = await listener.client()
    asked = await client.ask("GET", "/large")

    async def drips() -> None:
        with contextlib.suppress(ConnectionError, StreamClosedError):
            while True:
                client.machine.increment_flow_control_window(1)
                client.machine.increment_flow_control_window(1, asked)
                await client.flush()
                await asyncio.sleep(0.01)

    dripping = asyncio.create_task(drips())
    assert (await client.answer(asked)).reset
    await dripping
    client.close()


def _has(client: Client, count: int) -> bool:
    return sum(len(answer.body) for answer in client.answers.values()) >= count


async def _stalled(listener: Listening) -> tuple[Client, int]:
    """A request that has used all of its window, the connection's being open."""
    client = await listener.client()
    client.machine.increment_flow_control_window(1 << 24)
    asked = await client.ask("GET", "/large")
    await client.until(lambda: len(client.answers[asked].body) >= 65_535)
    return client, asked


async def test_only_the_request_whose_window_stays_shut_is_left_others_of_its_connection_go_on(
    listener: Listening,
) -> None:
    client, asked = await _stalled(listener)
    waiting = await client.ask("GET", "/wait")
    connection, now = listener.http2(), asyncio.get_running_loop().time()
    await until(lambda: len(listener.door.scopes) == 2)
    for period in range(3):
        connection.look(now + period * limits.HTTP_STALL_S, 1 << 40)
    assert (await client.answer(asked)).reset
    assert (await client.answer(await client.ask("GET", "/hello"))).body == b"hello"
    assert client.answers[waiting] == Answer()
    client.close()


async def test_bytes_that_are_still_on_their_way_over_a_slow_net_are_not_the_readers_fault(
    listener: Listening,
) -> None:
    client, asked = await _stalled(listener)
    connection, now = listener.http2(), asyncio.get_running_loop().time()
    for period in range(1, 20):
        connection.look(now + period * limits.HTTP_STALL_S, arrived=0)
    assert (await client.answer(await client.ask("GET", "/hello"))).body == b"hello"
    assert not client.answers[asked].reset
    client.close()


async def test_a_slow_reader_of_a_large_answer_goes_on_as_long_as_he_takes_the_least(
    listener: Listening,
) -> None:
    """He takes the least there is in each period, for longer than many deadlines; then nothing more."""
    client, asked = await _stalled(listener)
    connection, now = listener.http2(), asyncio.get_running_loop().time()
    want = 65_535
    for _ in range(20):
        want += limits.HTTP_LEAST_TAKEN_BYTES
        client.machine.increment_flow_control_window(limits.HTTP_LEAST_TAKEN_BYTES, asked)
        await client.flush()
        await client.until(partial(_has, client, want))
        now += limits.HTTP_STALL_S - 1
        connection.look(now, 1 << 40)
    assert not client.answers[asked].reset
    connection.look(now + limits.HTTP_STALL_S, 1 << 40)
    assert (await client.answer(asked)).reset
    client.close()


async def test_a_request_behind_another_that_takes_the_connections_window_waits_its_turn(
    listener: Listening,
) -> None:
    """As on a slow net: a hundred pictures are asked for at once, and come one after the other."""
    client = await listener.client()
    first, second = [await client.ask("GET", "/large") for _ in range(2)]
    for stream in (first, second):
        client.machine.increment_flow_control_window(1 << 24, stream)
    await client.until(partial(_has, client, 65_535))
    connection, now = listener.http2(), asyncio.get_running_loop().time()
    come = 65_535
    for _ in range(12):
        come += limits.HTTP_LEAST_TAKEN_BYTES
        client.machine.increment_flow_control_window(limits.HTTP_LEAST_TAKEN_BYTES)
        await client.flush()
        await client.until(partial(_has, client, come))
        now += limits.HTTP_STALL_S - 1
        connection.look(now, 1 << 40)
    assert not client.answers[first].reset
    assert not client.answers[second].reset
    client.close()


@pytest.mark.parametrize("more", [b"\r\n", b"Connection: close\r\n\r\n"])
async def test_a_peer_that_reads_nothing_over_http_1_loses_the_connection_also_one_that_closes(
    listener: Listening, monkeypatch: pytest.MonkeyPatch, more: bytes
) -> None:
    monkeypatch.setattr(limits, "HTTP_STALL_S", SHORT_S)
    loop = asyncio.get_running_loop()
    with socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        peer.setblocking(False)
        await loop.sock_connect(peer, ("127.0.0.1", listener.port))
        await loop.sock_sendall(peer, BEGINNING + more)
        await until(lambda: listener.door.scopes)
        state = listener.server.server_state
        await until(lambda: not state.connections and not state.tasks)


async def test_a_connection_on_which_nothing_waits_is_not_ended_by_this(
    listener: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HTTP_STALL_S", 0.01)
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(b"GET /wait HTTP/1.1\r\nHost: region.test\r\n\r\n")
    await until(lambda: listener.door.scopes)
    await asyncio.sleep(0.2)  # many deadlines
    assert not reader.at_eof()
    assert not listener.door.disconnected.is_set()
    writer.close()


POST = b"POST /count HTTP/1.1\r\nHost: region.test\r\n"


@pytest.mark.parametrize(
    "begun", [b"Content-Length: 10\r\n\r\n12345", b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n"]
)
async def test_who_does_not_send_the_body_that_he_announced_loses_the_connection(
    listener: Listening, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    """Else he holds a file handle and a sender's place for as long as he likes, without saying who he is."""
    monkeypatch.setattr(limits, "HTTP_STALL_S", SHORT_S)
    listener.door.go_on.set()
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(POST + begun)
    with contextlib.suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""
    state = listener.server.server_state
    await until(lambda: not state.connections and not state.tasks)
    writer.close()


async def test_who_waits_to_be_asked_for_his_body_or_for_its_answer_is_left_alone(
    listener: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HTTP_STALL_S", 0.01)
    for head in (b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n", b"Content-Length: 5\r\n\r\n12345"):
        listener.door.go_on.clear()
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(POST + head)
        count = len(listener.door.scopes) + 1
        await until(lambda count=count: len(listener.door.scopes) == count)  # type: ignore[misc] # mypy knows no types of defaults
        await asyncio.sleep(0.2)  # many deadlines
        assert not reader.at_eof()
        listener.door.go_on.set()
        writer.close()


async def test_who_begins_a_body_over_http_2_and_does_not_go_on_loses_the_request(
    listener: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HTTP_STALL_S", SHORT_S)
    listener.door.go_on.set()
    client = await listener.client()
    stream = await _begun(client)
    assert (await client.answer(stream)).reset
    await until(lambda: not listener.server.server_state.tasks)
    client.close()


async def _begun(client: Client) -> int:
    """A request whose body has begun."""
    stream = client.machine.get_next_available_stream_id()
    client.answers[stream] = Answer()
    head = [(":method", "POST"), (":scheme", "http"), (":authority", "x"), (":path", "/count")]
    client.machine.send_headers(stream, head)
    client.machine.send_data(stream, b"12345")
    await client.flush()
    return stream


async def test_a_body_that_waits_behind_others_of_its_connection_is_waited_for(listener: Listening) -> None:
    """As on a slow net: many bodies are sent at once, and go one after the other."""
    listener.door.go_on.set()
    client = await listener.client()
    waiting, coming = await _begun(client), await _begun(client)
    await until(lambda: len(listener.door.scopes) == 2 and listener.door.taken == 10)
    connection, now = listener.http2(), asyncio.get_running_loop().time()
    for period in range(1, 10):
        for _ in range(limits.HTTP_LEAST_TAKEN_BYTES // 16_384):
            await client.until(lambda: client.machine.local_flow_control_window(coming) >= 16_384)
            client.machine.send_data(coming, bytes(16_384))
            await client.flush()
        sent = 10 + period * limits.HTTP_LEAST_TAKEN_BYTES
        await until(lambda sent=sent: listener.door.taken == sent)  # type: ignore[misc] # mypy knows no types of defaults
        now += limits.HTTP_STALL_S - 1
        connection.look(now, 1 << 40)
    for _ in range(2):
        now += limits.HTTP_STALL_S
        connection.look(now, 1 << 40)
    assert (await client.answer(waiting)).reset
    assert (await client.answer(coming)).reset
    client.close()


@pytest.mark.parametrize("more", [b"\r\n", b"Connection: close\r\n\r\n"])
async def test_a_peer_that_reads_nothing_loses_the_connection_over_tls_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: bytes
) -> None:
    monkeypatch.setattr(limits, "HTTP_STALL_S", SHORT_S)
    certificates = Certificates(tmp_path)
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(certificates.service, certificates.service_key)
    bound = listening("127.0.0.1", 0)
    door = Door()
    how: dict[str, Any] = {"http": PreferredProtocol, "ssl_context_factory": lambda *_: own}
    server, task = await serve(door, bound, **how)
    trusted = ssl.create_default_context(cafile=certificates.ca)
    _, writer = await asyncio.open_connection("127.0.0.1", bound.getsockname()[1], ssl=trusted)
    writer.transport.pause_reading()  # type: ignore[attr-defined] # typeshed has the writing half alone
    writer.write(BEGINNING + more)
    await until(lambda: door.scopes)
    await until(lambda: not server.server_state.connections and not server.server_state.tasks)
    writer.transport.abort()
    server.should_exit = True
    await asyncio.wait_for(task, PATIENCE_S)
