"""Reading by a child: it means the same, and without the child everything is filed all the same."""

import asyncio
import os
import pickle
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from samsyn import limits
from samsyn.errors import SamsynError
from samsyn.hl7v2.interpret import read_message
from samsyn.reports.file import Filing
from samsyn.reports.profiles import load_profile, profile_text
from samsyn.reports.reading import reader as reader_module
from samsyn.reports.reading import words
from samsyn.reports.reading.reader import MessageReader
from tests.hl7v2.messages import message, msh, oru, pid, segment
from tests.reports.house import PROVIDERS, RIS, House


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    opened = House(tmp_path / "data")
    opened.filing = Filing(opened.store, opened.clock, PROVIDERS, reads_beside=True)
    yield opened
    await opened.filing.stop()
    opened.close()


MESSAGES = (
    oru(),
    oru("P", control="M2", f32="&Lindgren&Eva"),
    oru(control="M3", f22="202403151015"),
    message(
        msh("ORM^O01"), pid(), segment("ORC", {1: "NW", 2: "R1"}), segment("OBR", {4: "CTTHX^DT", 18: "A1"})
    ),
    message(
        msh("SIU^S12"), segment("SCH", {1: "B1", 25: "BOOKED"}), pid(), segment("AIS", {4: "20240320080000"})
    ),
    message(
        msh("ADT^A08"),
        segment("EVN", {2: "20240315"}),
        pid(),
        segment("NK1", {3: "FTH", 33: "189001019802^^^PNR"}),
    ),
    message(msh("ADT^A40"), segment("EVN", {2: "20240315"}), pid(), segment("MRG", {1: "4711"})),
    message(msh("ADT^A24"), segment("EVN", {2: "20240315"}), pid(), pid("4711")),
    message(msh("ADT^A43"), segment("EVN", {2: "20240315"}), pid(), segment("MRG", {1: "4711"})),
    message(
        msh("ADT^A44"),
        segment("EVN", {2: "20240315"}),
        pid() + "|" * 10 + "K1",
        segment("MRG", {1: "4711", 3: "K1"}),
    ),
    oru("X", control="M4"),
)
"""One of each kind that means something of its own; those that a profile refuses are among the refused."""


async def reading(reader: MessageReader) -> None:
    """Waits until the child is there."""
    async with asyncio.timeout(60):
        while await reader.meaning("standard", RIS, oru()) is None:
            await asyncio.sleep(0.05)


async def test_the_child_reads_what_is_read_in_place_and_refuses_the_same() -> None:
    profile = load_profile("standard")
    reader = MessageReader({}, {"standard": profile_text("standard")})
    try:
        await reading(reader)
        read = 0
        for raw in (*MESSAGES, b"MSH|^~", b"", oru("?"), oru() * 2):
            try:
                expected = read_message(raw, profile, RIS)
            except SamsynError:
                expected = None
            assert await reader.meaning("standard", RIS, raw) == expected
            read += expected is not None
        assert read >= 8
        assert await reader.meaning("another", RIS, oru()) is None
        many = await asyncio.gather(
            *(reader.meaning("standard", RIS, oru(control=str(n))) for n in range(50))
        )
        assert many == [read_message(oru(), profile, RIS)] * 50
    finally:
        await reader.stop()
    assert await reader.meaning("standard", RIS, oru()) is None


async def test_while_few_are_under_way_there_is_no_child(house: House) -> None:
    await asyncio.gather(house.send(oru(control="1")), house.send(oru(control="2")))
    assert house.filing._reader is not None
    assert house.filing._reader._serving is None


async def test_everything_is_filed_though_the_child_dies_in_the_middle(house: House) -> None:
    reader = house.filing._reader
    assert reader is not None
    house.filing.profile("standard")
    await reading(reader)
    killed = reader._child

    async def one(number: int) -> str:
        filed = await house.send(oru("?" if number == 7 else "F", control=str(number), f18=f"A{number}"))
        if number == 20 and killed is not None and killed._process is not None:
            os.kill(killed._process.pid, signal.SIGKILL)
        return filed.verdict.code.value

    async def several(first: int) -> list[str]:
        return [await one(number) for number in range(first, 60, 6)]

    async with asyncio.timeout(60):
        codes = [code for each in await asyncio.gather(*map(several, range(6))) for code in each]
    assert sorted(codes) == ["AA"] * 59 + ["AE"]
    assert await house.all("SELECT COUNT(*) FROM report") == [(59,)]
    assert reader.read > 0
    assert reader._child is not killed
    assert not reader._asked


async def test_a_child_that_does_not_answer_is_ended_and_its_messages_are_read_in_place(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "READING_DEADLINE_S", 0.2)
    monkeypatch.setattr(reader_module, "_LOOK_EVERY_S", 0.1)
    reader = house.filing._reader
    assert reader is not None
    house.filing.profile("standard")
    await reading(reader)
    assert reader._child is not None
    assert reader._child._process is not None
    os.kill(reader._child._process.pid, signal.SIGSTOP)
    async with asyncio.timeout(30):
        filed = await asyncio.gather(*(house.send(oru(control=str(n), f18=f"A{n}")) for n in range(8)))
    assert {each.verdict.code.value for each in filed} == {"AA"}
    assert reader._child is None


async def test_a_child_that_nobody_wants_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "READING_IDLE_S", 0.2)
    monkeypatch.setattr(reader_module, "_LOOK_EVERY_S", 0.1)
    reader = MessageReader({}, {"standard": profile_text("standard")})
    await reading(reader)
    async with asyncio.timeout(30):
        while reader._serving is not None:
            await asyncio.sleep(0.05)
    await reader.stop()


def test_nothing_but_words_of_meaning_is_made_of_what_the_child_sends() -> None:
    for value in (os.system, Path("/"), SamsynError):
        with pytest.raises(pickle.UnpicklingError):
            words.read(pickle.dumps(value))
