"""Hostile, broken and silent peers cost themselves the connection and nobody else anything."""

import asyncio
import contextlib
import random
import struct
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from samsyn import limits
from samsyn.wire import dimse, pdu
from samsyn.wire.assembly import encode_message
from tests.dimse.stage import CT, IMPLICIT, VERIFICATION, RawPeer, Stage, encoded, image
from tests.fuzz.sessions import broken_sessions

ABORT = pdu.PduType.ABORT


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with Stage(tmp_path) as made:
        yield made


async def alive(stage: Stage) -> None:
    """Whether a well-behaved system is still served."""
    async with await stage.connect(contexts=[(VERIFICATION, (IMPLICIT,))]) as requestor:
        assert (await requestor.echo()).status == 0


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"SSH-2.0-x\r\n",
        b"\0" * 100,
    ],
    ids=["http", "tls", "ssh", "zeros"],
)
async def test_bytes_of_another_protocol_are_closed_within_a_second(stage: Stage, data: bytes) -> None:
    peer = await RawPeer.open(stage.door.port)
    begin = time.monotonic()
    peer.writer.write(data)
    answer = await peer.pdu()
    assert answer == b"" or answer[0] == ABORT
    assert await peer.closed(1)
    assert time.monotonic() - begin < 1
    await alive(stage)


@pytest.mark.parametrize("kind", [0, 1, 2, 3, 4, 5, 6, 7, 8, 255])
async def test_a_header_that_claims_four_gibibytes_is_aborted_at_once(stage: Stage, kind: int) -> None:
    for associated in (False, True):
        peer = await RawPeer.open(stage.door.port)
        if associated:
            await peer.associate()
        peer.writer.write(struct.pack(">BxI", kind, 0xFFFFFFFF))
        assert (await peer.pdu())[0] == ABORT
        peer.close()
    await alive(stage)


@pytest.mark.slow
@pytest.mark.parametrize(
    "value",
    [
        pdu.PresentationDataValue(99, True, True, b"x" * 10),
        pdu.PresentationDataValue(1, False, True, b"x" * 10),
        pdu.PresentationDataValue(1, True, True, b"x" * 10),
        pdu.PresentationDataValue(1, True, True, b""),
    ],
    ids=["unaccepted context", "data before command", "broken command", "empty command"],
)
async def test_a_message_that_is_none_is_aborted_and_stores_nothing(
    stage: Stage, value: pdu.PresentationDataValue
) -> None:
    peer = await RawPeer.open(stage.door.port)
    await peer.associate()
    peer.writer.write(pdu.encode_p_data(pdu.PData((value,))))
    assert await peer.pdu() == pdu.encode_control(pdu.Abort(2, 6))
    assert await peer.closed(limits.CLOSE_TIMEOUT_S + 2)
    assert stage.rows("SELECT COUNT(*) FROM instance") == [(0,)]
    await alive(stage)


async def test_an_object_that_ends_in_the_middle_leaves_nothing(stage: Stage) -> None:
    whole = encode_message(1, dimse.StoreRequest(1, CT, "2.25.100"), encoded(image()), 256)
    for cut in (10, 100, 200, len(whole) - 1):
        peer = await RawPeer.open(stage.door.port)
        await peer.associate()
        peer.writer.write(whole[:cut])
        await peer.writer.drain()
        peer.close()
    await alive(stage)
    assert stage.rows("SELECT COUNT(*) FROM instance") == [(0,)]


async def test_everything_may_come_one_byte_at_a_time(stage: Stage) -> None:
    peer = await RawPeer.open(stage.door.port)
    await peer.associate()
    data = encode_message(1, dimse.StoreRequest(1, CT, "2.25.100"), encoded(image()), 64)
    for position in range(len(data)):
        peer.writer.write(data[position : position + 1])
        if position % 16 == 0:
            await asyncio.sleep(0)
    (value,) = pdu.decode_p_data((await peer.pdu())[6:]).values
    command, _ = dimse.decode_command(value.fragment)
    assert isinstance(command, dimse.StoreResponse)
    assert command.status == 0
    peer.close()


async def test_a_hundred_silent_connections_do_not_slow_an_echo(stage: Stage) -> None:
    silent = [await RawPeer.open(stage.door.port) for _ in range(100)]
    begin = time.monotonic()
    for _ in range(10):
        await alive(stage)
    assert (time.monotonic() - begin) / 10 < 0.1
    for peer in silent:
        peer.close()


async def test_one_system_cannot_take_every_association(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_ASSOCIATIONS_PER_PEER", 5)
    peers = [await RawPeer.open(stage.door.port) for _ in range(7)]
    answers = [await peer.associate() for peer in peers]
    assert [answer[0] for answer in answers] == [2] * 5 + [3] * 2
    assert answers[5] == pdu.encode_control(pdu.LOCAL_LIMIT_EXCEEDED)
    other = await RawPeer.open(stage.door.port)
    assert (await other.associate("STRICT"))[0] == pdu.PduType.ASSOCIATE_AC
    peers[0].close()
    await stage.until(lambda: stage.door.open_associations == 5)
    again = await RawPeer.open(stage.door.port)
    assert (await again.associate())[0] == pdu.PduType.ASSOCIATE_AC
    for peer in (*peers, other, again):
        peer.close()


async def test_a_full_house_drops_the_oldest_silent_connection_for_a_working_one(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_ASSOCIATIONS", 10)
    silent = [await RawPeer.open(stage.door.port) for _ in range(10)]
    await stage.until(lambda: len(stage.door._open) == 10)
    await alive(stage)
    assert await silent[0].closed()
    for peer in silent:
        peer.close()


async def test_a_silent_connection_is_closed_by_artim(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ASSOCIATE_TIMEOUT_S", 0.2)
    peer = await RawPeer.open(stage.door.port)
    peer.writer.write(b"\x01\x00")
    assert await peer.closed()


async def test_a_message_that_drips_costs_the_association(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MESSAGE_TIMEOUT_S", 0.6)
    peer = await RawPeer.open(stage.door.port)
    await peer.associate()
    data = encode_message(1, dimse.StoreRequest(1, CT, "2.25.100"), bytes(5000), 256)

    async def drip() -> None:
        for position in range(0, len(data), 10):
            peer.writer.write(data[position : position + 10])
            await asyncio.sleep(0.02)

    dripping = asyncio.ensure_future(drip())
    assert (await peer.pdu())[0] == ABORT
    dripping.cancel()
    assert stage.door.budget.left_bytes == limits.MAX_ARRIVING_BYTES
    peer.close()


async def test_an_idle_association_is_aborted(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "IDLE_ASSOCIATION_TIMEOUT_S", 0.2)
    peer = await RawPeer.open(stage.door.port)
    await peer.associate()
    assert (await peer.pdu())[0] == ABORT
    peer.close()


async def test_a_peer_that_never_closes_is_closed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CLOSE_TIMEOUT_S", 0.2)
    peer = await RawPeer.open(stage.door.port)
    await peer.associate()
    peer.writer.write(pdu.encode_control(pdu.ReleaseRequest()))
    assert await peer.pdu() == pdu.encode_control(pdu.ReleaseResponse())
    assert await peer.closed()


async def test_mutated_sessions_leave_the_door_working(stage: Stage) -> None:
    for request, rest, _ in broken_sessions(random.Random(7), 120):
        peer = await RawPeer.open(stage.door.port)
        peer.writer.write(request)
        await asyncio.sleep(0.01)
        peer.writer.write(rest)
        with contextlib.suppress(OSError):  # it has hung up on us already
            peer.writer.write_eof()
        await peer.closed()
        peer.close()
    await alive(stage)
    await stage.until(lambda: not stage.door.open_associations)
    assert stage.door.budget.left_bytes == limits.MAX_ARRIVING_BYTES


async def test_stopping_finishes_what_is_under_way_and_aborts_the_rest(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        idle = await RawPeer.open(stage.door.port)
        await idle.associate()
        busy = await RawPeer.open(stage.door.port)
        await busy.associate()
        data = encode_message(1, dimse.StoreRequest(1, CT, "2.25.100"), encoded(image()), 256)
        busy.writer.write(data[:300])
        await stage.until(lambda: stage.door.budget.left_bytes != limits.MAX_ARRIVING_BYTES)
        stopping = asyncio.ensure_future(stage.door.stop(5))
        assert (await idle.pdu())[0] == ABORT
        busy.writer.write(data[300:])
        (value,) = pdu.decode_p_data((await busy.pdu())[6:]).values
        command, _ = dimse.decode_command(value.fragment)
        assert isinstance(command, dimse.StoreResponse)
        assert command.status == 0
        begin = time.monotonic()
        await stopping
        assert time.monotonic() - begin < 2
        assert (await busy.pdu())[0] == ABORT
        for peer in (idle, busy):
            peer.close()
