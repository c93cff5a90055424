"""The HL7 door on a real port: answers, modes, strangers, broken frames, many connections, a clean stop."""

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from samsyn import limits
from samsyn.clock import SystemClock
from samsyn.endpoints.hl7.listener import Hl7Door
from samsyn.errors import ConfigurationError, StoreFailed
from samsyn.hl7v2.parsing import parse, split_batch
from samsyn.providers.connections import Connections
from samsyn.wire.mllp import framed
from tests.hl7.stage import SETTINGS, Opened, code
from tests.hl7v2.messages import message, msh, oru, pid
from tests.reports.house import House
from tests.waiting import PATIENCE_S


async def test_a_good_message_is_accepted_and_durable(opened: Opened) -> None:
    peer = await opened.peer()
    answer = await peer.ask(oru())
    assert code(answer) == "AA"
    assert answer.segments[1].text(2) == "M1"
    assert await opened.house.all("SELECT count(*) FROM report") == [(1,)]


async def test_a_bad_message_costs_only_itself(opened: Opened) -> None:
    peer = await opened.peer()
    refused = await peer.ask(oru(f22="20250229"))
    assert code(refused) == "AE"
    assert refused.segments[2].text(2) == "OBR"
    assert "OBR-22" in refused.segments[2].text(8)
    assert code(await peer.ask(oru(control="M2"))) == "AA"


async def test_a_repeated_message_gets_the_same_bytes_as_answer(opened: Opened) -> None:
    peer = await opened.peer()
    answers = []
    for _ in range(2):
        peer.writer.write(framed(oru()))
        answers.append(await peer.reader.readuntil(b"\x1c\r"))
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    "raw",
    [
        message(msh("ADT^A08", f3="STRANGER"), pid()),
        message(msh("ADT^A08", f4="ELSEWHERE"), pid()),
        message(msh("ADT^A08", f3="FARAWAY"), pid()),
        message(msh("ADT^A08", f3=""), pid()),
    ],
)
async def test_an_unknown_source_is_rejected_without_personal_data_and_leaves_nothing(
    opened: Opened, raw: bytes
) -> None:
    peer = await opened.peer()
    peer.writer.write(framed(raw))
    block = await peer.reader.readuntil(b"\x1c\r")
    assert code(parse(block[1:-2])) == "AR"
    assert b"Tolvan" not in block
    assert b"191212121212" not in block
    assert await opened.house.all("SELECT count(*) FROM held") == [(0,)]
    assert await opened.house.all("SELECT count(*) FROM patient") == [(0,)]


@pytest.mark.parametrize(
    ("accept", "application", "codes"),
    [("AL", "NE", ["CA"]), ("NE", "AL", ["AA"]), ("AL", "AL", ["CA", "AA"])],
)
async def test_enhanced_mode_is_answered_as_asked(
    opened: Opened, accept: str, application: str, codes: list[str]
) -> None:
    peer = await opened.peer()
    peer.writer.write(framed(message(msh("ADT^A08", f15=accept, f16=application), pid())))
    assert [code(await peer.answer()) for _ in codes] == codes


async def test_a_sender_that_wants_no_answer_gets_none_and_is_filed(opened: Opened) -> None:
    peer = await opened.peer()
    peer.writer.write(framed(message(msh("ADT^A08", "Q1", f15="NE", f16="NE"), pid())))
    assert code(await peer.ask(message(msh("ADT^A08", "Q2"), pid()))) == "AA"
    assert await opened.house.all("SELECT count(*) FROM message") == [(2,)]


async def test_an_answer_is_never_answered(opened: Opened) -> None:
    """A system that commits to our acknowledgement, and takes ours to that as a fault, would go on for ever."""
    peer = await opened.peer()
    for kind in ("ACK^R01^ACK", "ACK", "MCF"):
        peer.writer.write(framed(message(msh(kind, "Q0"), "MSA|CA|M1")))
    answer = await peer.ask(message(msh("ADT^A08", "Q1"), pid()))
    assert (code(answer), answer.segments[1].text(2)) == ("AA", "Q1")
    assert await opened.house.all("SELECT count(*) FROM held") == [(0,)]


async def test_several_messages_in_one_packet_are_answered_in_order(opened: Opened) -> None:
    peer = await opened.peer()
    peer.writer.write(b"".join(framed(oru(control=f"M{n}", f18=f"A{n}")) for n in range(20)))
    assert [(await peer.answer()).segments[1].text(2) for _ in range(20)] == [f"M{n}" for n in range(20)]


async def test_a_byte_at_a_time_is_a_message_too(opened: Opened) -> None:
    peer = await opened.peer()
    for byte in framed(oru()):
        peer.writer.write(bytes([byte]))
        await peer.writer.drain()
    assert code(await peer.answer()) == "AA"


@pytest.mark.parametrize(
    "junk",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x00\xee\x01\x00",
        b"\x01\x00\x00\x00\x00\xcd\x00\x01",
        b"SSH-2.0-x\r\n",
        b"\x0bMSH|^~\\&|\x0bMSH|",
        b"\x0bMSH|^~\\&|\x1cX",
    ],
)
async def test_what_is_no_mllp_is_closed_within_a_second(opened: Opened, junk: bytes) -> None:
    peer = await opened.peer()
    peer.writer.write(junk)
    assert await peer.is_closed(1.0)
    assert code(await (await opened.peer()).ask(oru())) == "AA"


async def test_a_frame_around_something_else_is_refused_and_the_connection_lives(opened: Opened) -> None:
    peer = await opened.peer()
    assert code(await peer.ask(b"hello")) == "AE"
    assert code(await peer.ask(b"")) == "AE"
    assert code(await peer.ask(oru())) == "AA"


async def test_a_too_large_message_is_told_so_and_closed(opened: Opened) -> None:
    peer = await opened.peer()
    start = b"\x0b" + oru()

    async def pour() -> None:
        peer.writer.write(start)
        for _ in range(200):
            peer.writer.write(b"x" * 64 * limits.KIB)
            await peer.writer.drain()

    pouring = asyncio.create_task(pour())
    answer = await peer.answer()
    assert code(answer) == "AR"
    assert answer.segments[1].text(2) == "M1"
    assert "MAX_HL7_MESSAGE_BYTES" in answer.segments[1].text(3)
    await asyncio.gather(pouring, return_exceptions=True)
    assert await peer.is_closed()


async def test_a_dripping_message_costs_its_connection(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HL7_MESSAGE_TIMEOUT_S", 0.3)
    peer = await opened.peer()
    began = time.monotonic()

    async def drip() -> None:
        for byte in framed(oru()):
            peer.writer.write(bytes([byte]))
            await asyncio.sleep(0.02)

    dripping = asyncio.create_task(drip())
    assert await peer.is_closed()
    assert time.monotonic() - began < 2.0
    dripping.cancel()
    assert await opened.house.all("SELECT count(*) FROM message") == [(0,)]


async def test_an_idle_connection_does_not_run_into_the_message_deadline(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HL7_MESSAGE_TIMEOUT_S", 0.2)
    peer = await opened.peer()
    assert code(await peer.ask(oru())) == "AA"
    await asyncio.sleep(0.5)
    assert code(await peer.ask(oru(control="M2"))) == "AA"


async def test_a_peer_that_never_reads_its_answers_costs_only_its_own_connection(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HL7_MESSAGE_TIMEOUT_S", 0.5)
    deaf = await opened.peer()
    deaf.writer.write(framed(oru()) * 200)
    assert code(await (await opened.peer()).ask(oru(control="M2"))) == "AA"


async def test_500_idle_connections_do_not_keep_a_known_source_out(opened: Opened) -> None:
    ris = await opened.peer()
    assert code(await ris.ask(oru())) == "AA"
    for _ in range(500):
        await opened.peer()
    assert code(await ris.ask(oru(control="M2"))) == "AA"
    assert code(await (await opened.peer()).ask(oru(control="M3"))) == "AA"
    assert opened.door.connections <= limits.MAX_MLLP_CONNECTIONS


async def test_many_connections_at_once_are_all_answered(opened: Opened) -> None:
    async def send(number: int) -> list[str]:
        peer = await opened.peer()
        return [code(await peer.ask(oru(control=f"M{number}-{n}", f18=f"A{number}-{n}"))) for n in range(5)]

    assert await asyncio.gather(*(send(number) for number in range(40))) == [["AA"] * 5] * 40
    assert await opened.house.all("SELECT count(*) FROM report") == [(200,)]


async def test_a_store_that_fails_is_never_answered_with_acceptance(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: Any) -> Any:
        raise StoreFailed("fsync: Input/output error")

    monkeypatch.setattr(opened.house.store, "commit", fails)
    assert code(await (await opened.peer()).ask(oru())) == "AE"


async def test_a_fault_of_our_own_in_one_message_does_not_end_the_connection(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stumbles(*_: Any) -> Any:
        raise ZeroDivisionError

    peer = await opened.peer()
    with monkeypatch.context() as patch:
        patch.setattr(opened.house.filing, "file_message", stumbles)
        assert code(await peer.ask(oru())) == "AE"
    assert code(await peer.ask(oru())) == "AA"


async def test_stopping_answers_what_is_under_way_and_closes_the_rest(tmp_path: Path) -> None:
    house = House(tmp_path / "data")
    door = Hl7Door(SETTINGS.mllp, Connections(SETTINGS), house.filing, SystemClock())
    await door.start()
    opened = Opened(door, house)
    idle, working = await opened.peer(), await opened.peer()
    assert code(await working.ask(oru())) == "AA"
    working.writer.write(framed(oru(control="M2")))
    await asyncio.sleep(0.002)
    await asyncio.wait_for(door.stop(), 12)
    assert await idle.is_closed()
    rest = await working.reader.read()
    filed = await house.all("SELECT count(*) FROM message")
    assert (b"MSA|AA|M2" in rest) == (filed == [(2,)])
    with pytest.raises(OSError):
        await opened.peer()
    house.close()


async def test_a_source_with_an_unreadable_profile_does_not_start(tmp_path: Path) -> None:
    house = House(tmp_path / "data")
    sources = SimpleNamespace(hl7_profiles=lambda: ["no-such-profile"])
    door = Hl7Door(SETTINGS.mllp, sources, house.filing, SystemClock())  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="no-such-profile"):
        await door.start()
    house.close()


async def test_a_batch_is_filed_message_by_message_and_answered_as_a_batch(opened: Opened) -> None:
    peer = await opened.peer()
    bad = oru(control="M2", status="Q")
    batch = b"FHS|^~\\&\rBHS|^~\\&\r" + oru() + bad + oru(control="M3", f18="A3") + b"BTS|3\rFTS|1\r"
    for _ in range(2):
        peer.writer.write(framed(batch))
        answer = (await asyncio.wait_for(peer.reader.readuntil(b"\x1c\r"), PATIENCE_S))[1:-2]
        assert answer.startswith(b"FHS|")
        assert answer.endswith(b"BTS|3\rFTS|1\r")
        assert [code(parse(each)) for each in split_batch(answer)] == ["AA", "AE", "AA"]
    assert await opened.house.all("SELECT COUNT(*) FROM report") == [(2,)]


@pytest.mark.parametrize("batch", [b"BHS|^~\\&\r" + oru() + b"BTS|2\r", b"BHS|^~\\&\rBTS|0\r"])
async def test_a_batch_that_lacks_a_message_is_not_begun(opened: Opened, batch: bytes) -> None:
    peer = await opened.peer()
    assert code(await peer.ask(batch)) == "AE"
    assert await opened.house.all("SELECT COUNT(*) FROM report") == [(0,)]
