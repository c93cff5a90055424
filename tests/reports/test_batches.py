"""Messages that are filed in one batch: what waits to be made together is as if each had been made by itself."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from samsyn.audit import journal
from samsyn.errors import BadInput, Conflict
from samsyn.model.audit import AuditEntry
from samsyn.reports.file import Filed
from samsyn.store.index.tables import whole
from samsyn.store.transaction import Transaction
from tests.hl7v2.messages import message, msh, obr, obx, oru, pid, segment
from tests.indexes import forget_index
from tests.reports.house import House

TOLVAN, OTHER = "191212121212^^^PNR", "189001019802^^^PNR"
_CLOCKS = {
    "time",
    "hash",
    "received",
    "told",
    "changed",
    "segment",
    "body_offset",
    "length",
    "settled",
    "happened",
}
"""Columns that follow the moment of filing."""


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    opened = House(tmp_path / "data")
    yield opened
    opened.close()


def report(
    control: str, number: str, who: str = TOLVAN, sent: str = "20240315101530", text: str = "Utan anm."
) -> bytes:
    filler = {2: f"R{number}", 3: f"F{number}", 18: f"A{number}", 22: sent}
    return message(msh("ORU^R01", control, sent=sent), pid(who), obr(filler), obx(text))


def order(control: str, number: str, who: str = TOLVAN) -> bytes:
    orc = segment("ORC", {1: "NW", 2: f"R{number}", 3: f"A{number}"})
    return message(msh("ORM^O01", control), pid(who), orc, segment("OBR", {4: "CTTHX^DT", 18: f"A{number}"}))


def mixed() -> list[bytes]:
    """New persons and known ones, the same one several times, a referral before and after its report, a resend."""
    return [
        report("1", "10"),
        report("2", "20", OTHER),
        report("3", "11", sent="20240315111530"),
        order("4", "12"),
        report("5", "12", sent="20240315121530"),
        report("6", "21", OTHER, sent="20240315121530"),
        order("7", "10"),
        report("1", "10"),
        report("8", "11", sent="20240315111530"),
        report("9", "10", sent="20240316101530", text="Rättat."),
    ]


async def in_one_batch(house: House, waiting: Sequence[Any]) -> list[Any]:
    """Starts what commits one after the other, and lets the writer have all of it at once."""
    entered, gate = threading.Event(), threading.Event()

    def holds_up(_: Transaction) -> None:
        entered.set()
        gate.wait(60)

    first = asyncio.create_task(house.store.commit(holds_up))
    await asyncio.to_thread(entered.wait, 60)
    tasks = []
    for count, each in enumerate(waiting, 1):
        tasks.append(asyncio.create_task(each))
        while house.store._writer._handed.waiting < count:
            await asyncio.sleep(0.001)
    gate.set()
    await first
    return await asyncio.gather(*tasks, return_exceptions=True)


async def everything(house: House, without: set[str] = frozenset()) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, in the order of the rows, without the columns named."""
    found = {}
    for name, table in whole().tables.items():
        columns = [column.name for column in table.columns if column.name not in without]
        if not columns:
            continue
        key = ", ".join(table.key) or columns[0]
        found[name] = await house.all(f"SELECT {', '.join(columns)} FROM {name} ORDER BY {key}")
    return found


async def test_a_batch_gives_the_same_rows_as_one_message_after_the_other(
    tmp_path: Path, house: House
) -> None:
    alone = House(tmp_path / "alone")
    try:
        one_by_one = [await alone.send(raw) for raw in mixed()]
        together = await in_one_batch(house, [house.send(raw) for raw in mixed()])
        assert [filed.receipt.outcome for filed in together] == [
            filed.receipt.outcome for filed in one_by_one
        ]
        assert "already-stored" in {filed.receipt.outcome for filed in together}
        passing = _CLOCKS | {"bucket"}
        left, right = await everything(alone, passing), await everything(house, passing)
        left.pop("journal_state")
        right.pop("journal_state")
        assert left == right
        assert await journal.verify(house.store) is None
    finally:
        alone.close()


async def test_a_replay_gives_the_same_rows_as_a_batch_gave(tmp_path: Path) -> None:
    first = House(tmp_path / "data")
    await in_one_batch(first, [first.send(raw) for raw in mixed()])
    before = await everything(first)
    first.close()
    forget_index(tmp_path / "data")
    again = House(tmp_path / "data")
    assert await everything(again) == before
    again.close()


def note(number: int, refusal: Exception | None = None) -> Any:
    def decide(transaction: Transaction) -> None:
        journal.append(transaction, AuditEntry(**_ENTRY, details={"number": str(number)}))
        if refusal is not None:
            raise refusal

    return decide


_ENTRY: dict[str, Any] = {
    "event": "READ",
    "activity": "Läsa",
    "actor": "TEST",
    "actor_provider": "",
    "actor_unit": "",
    "assignment": "",
    "purpose": "",
    "session_id": "",
    "patient_key": 0,
    "owner_provider": "",
    "owner_unit": "",
    "allowed": True,
}


async def test_what_is_refused_in_the_middle_of_a_batch_leaves_nothing_and_the_chain_is_whole(
    house: House,
) -> None:
    decisions = [note(1), note(2, BadInput("no")), note(3), note(4, BadInput("no")), note(5)]
    told = await in_one_batch(house, [house.store.commit(decide) for decide in decisions])
    assert [isinstance(each, BadInput) for each in told] == [False, True, False, True, False]
    details = [row[0] for row in await house.all("SELECT details FROM audit ORDER BY sequence")]
    assert details == ['{"number":"1"}', '{"number":"3"}', '{"number":"5"}']
    assert await journal.verify(house.store) is None


async def test_one_that_breaks_a_rule_is_refused_alone_however_long_it_waited(house: House) -> None:
    def taken_twice(transaction: Transaction) -> None:
        transaction.insert("patient_identifier", issuer="2.25.1", value="SAME", patient_key=1)

    wanted = [note(1), taken_twice, note(2), taken_twice, note(3)]
    told = await in_one_batch(house, [house.store.commit(decide) for decide in wanted])
    assert [type(each) is Conflict for each in told] == [False, False, False, True, False]
    assert await house.all("SELECT COUNT(*) FROM patient_identifier WHERE value = 'SAME'") == [(1,)]
    assert await house.all("SELECT COUNT(*) FROM audit") == [(3,)]
    assert await journal.verify(house.store) is None


async def test_two_messages_with_one_control_id_in_a_batch_have_one_effect(house: House) -> None:
    raw, other = report("1", "10"), report("1", "11")
    filed: list[Filed] = await in_one_batch(house, [house.send(raw), house.send(raw), house.send(other)])
    assert [each.receipt.outcome for each in filed] == ["stored", "already-stored", "held"]
    assert filed[0].when == filed[1].when
    assert await house.all("SELECT COUNT(*) FROM report") == [(1,)]


async def test_a_change_of_a_person_waits_and_is_seen_by_who_asks_for_him(house: House) -> None:
    await house.send(oru())
    told = ("20240401", "20240402", "20240403")
    await in_one_batch(house, [house.send(report(day, day, sent=f"{day}101530")) for day in told])
    ((stamps,),) = await house.all("SELECT told FROM patient")
    assert stamps.count("2024-04-03T08:15:30") == 3, "name, birth date and sex by the latest word"
