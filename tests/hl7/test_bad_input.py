"""The list of bad input: each is refused with the place to mend or held byte for byte, and the listener lives."""

import asyncio
import os
from pathlib import Path

import pytest

from samsyn import limits
from tests.hl7.stage import Opened, Peer, code
from tests.hl7v2.messages import message, msh, obr, obx, oru, pid, segment

GOOD = 0


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024**2


async def good(house: Opened, number: int) -> None:
    """A good message on a new connection is taken."""
    assert code(await (await house.peer()).ask(oru(control=f"good-{number}"))) == "AA"


HELD = [
    ("a wrong check digit", message(msh("ORU^R01"), pid("191212121213^^^PNR"), obr(), obx("x")), "AE", "resolved"),
    ("an unknown assigning authority", message(msh("ORU^R01"), pid("1^^^NOBODY"), obr(), obx("x")), "AE", "PID-3"),
    ("an unknown status word", oru(status="Q"), "AE", "OBR-25"),
    ("an unknown order control", message(msh("ORM^O01"), pid(), segment("ORC", {1: "ZZ", 2: "R1"})), "AE", "ORC-1"),
    ("29 February of a common year", oru(f22="20250229101500"), "AE", "OBR-22"),
    ("a month 13", oru(f22="20241301101500"), "AE", "OBR-22"),
    ("a control character in a text", oru(text="a\x07b"), "AE", "OBX-5"),
    ("a null in a name", message(msh("ORU^R01"), pid(name="Tolv\x00an"), obr(), obx("x")), "AE", "PID-5"),
    ("a lone surrogate written in UTF-8", oru().replace(b"8859/1", b"UNICODE UTF-8").replace(b"Inga", b"\xed\xa0\x80"),
     "AE", "no character of UNICODE UTF-8"),
    ("a lone surrogate in an escape", message(msh("ORU^R01", charset="UNICODE UTF-8"), pid(), obr(),
     obx("\\XEDA080\\"), charset="utf-8"), "AE", "OBX-5"),
    ("UTF-8 under a Latin declaration", oru(text="åäö").replace(b"\xe5\xe4\xf6", "åäö".encode()), "AE", "MSH-18"),
    ("Latin bytes under a UTF-8 declaration", oru(text="åäö").replace(b"8859/1", b"UNICODE UTF-8"), "AE", "MSH-18"),
    ("both character sets in one message", message(msh("ORU^R01", charset="UNICODE UTF-8"), pid(), obr(), obx("å"),
     charset="utf-8") + "OBX|2|TX|UTL||å".encode("latin-1") + b"\r", "AE", "0xE5"),
    ("no MSH", b"PID|1||191212121212\rOBR|1\r", "AE", "MSH"),
    ("a message that stops in the middle of MSH", b"MSH|^~", "AR", "MSH"),
    ("a message that stops after MSH", msh("ORU^R01").encode() + b"\r", "AE", "OBR"),
    ("a report without text", oru(text=""), "AE", "OBX-5"),
    ("no patient", message(msh("ORU^R01"), obr(), obx("x")), "AE", "PID"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "answer", "place"), [each[1:] for each in HELD], ids=[each[0] for each in HELD]
)
async def test_what_can_not_be_understood_is_answered_with_the_place_and_kept_byte_for_byte(
    opened: Opened,
    raw: bytes,
    answer: str,
    place: str,
) -> None:
    peer = await opened.peer()
    told = await peer.ask(raw)
    assert (code(told), place in told.segments[1].text(3)) == (answer, True), told.segments[1].text(3)
    assert code(await peer.ask(oru(control="good"))) == "AA"
    if raw.startswith(b"MSH") and len(raw) > 10:
        ((segment_number, offset, length),) = await opened.house.all(
            "SELECT segment, body_offset, length FROM held"
        )
        assert opened.house.store.body(segment_number, offset, length) == raw


@pytest.mark.parametrize("ending", [b"", b"\x1c", b"\rMSH|^~\\&|", b"\r\x0bMSH"])
async def test_a_frame_without_its_end_files_nothing_and_costs_only_its_own_connection(
    opened: Opened,
    ending: bytes,
) -> None:
    peer = await opened.peer()
    peer.writer.write(b"\x0b" + oru() + ending)
    await peer.writer.drain()
    peer.writer.write_eof()
    assert await peer.is_closed()
    assert await opened.house.all("SELECT COUNT(*) FROM report") == [(0,)]
    await good(opened, GOOD)


async def test_100_mb_is_refused_when_the_limit_is_passed_and_memory_stays_bounded(opened: Opened) -> None:
    before = resident_mib()
    peer = await opened.peer()
    chunk = b"x" * limits.MIB

    async def pour() -> None:
        peer.writer.write(b"\x0b" + oru())
        for _ in range(100):
            peer.writer.write(chunk)
            await peer.writer.drain()

    pouring = asyncio.create_task(pour())
    answer = await peer.answer()
    assert code(answer) == "AR"
    assert "MAX_HL7_MESSAGE_BYTES" in answer.segments[1].text(3)
    await asyncio.gather(pouring, return_exceptions=True)
    assert resident_mib() - before < 64
    await good(opened, GOOD)


async def test_500_idle_connections_cost_little_and_keep_nobody_out(opened: Opened) -> None:
    before = resident_mib()
    for _ in range(500):
        await opened.peer()
    assert resident_mib() - before < 100
    await good(opened, GOOD)


async def test_many_that_drip_are_closed_by_the_deadline_and_a_genuine_one_is_answered_meanwhile(
    opened: Opened,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "HL7_MESSAGE_TIMEOUT_S", 1.0)
    drips: list[Peer] = []
    for number in range(200):
        peer = await opened.peer()
        peer.writer.write(b"\x0bMSH|^~\\&|"[: 1 + number % 9])
        drips.append(peer)
    began = asyncio.get_running_loop().time()
    await good(opened, GOOD)
    assert asyncio.get_running_loop().time() - began < 1.0
    assert all(await asyncio.gather(*(peer.is_closed(5.0) for peer in drips)))
    assert await opened.house.all("SELECT COUNT(*) FROM message") == [(1,)]
