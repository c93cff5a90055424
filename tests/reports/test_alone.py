"""A session that comes alone with its texts is answered by the loop itself, after the sync and with the same rows."""

import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from samsyn.audit import journal
from samsyn.errors import Conflict
from samsyn.reports.file import Filed
from samsyn.store import writer
from tests.hl7v2.messages import message, msh, obr, obx, pid
from tests.indexes import sqlite_only
from tests.reports.house import RIS, House

pytestmark = sqlite_only
WHO = "191212121212^^^PNR"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    opened = House(tmp_path / "data")
    yield opened
    opened.close()


def report(number: int, text: str = "Utan anm.") -> bytes:
    return message(msh("ORU^R01", f"{number}"), pid(WHO), obr({3: f"F{number}", 18: f"A{number}"}), obx(text))


async def alone(house: House, raw: bytes) -> Filed:
    return await house.filing.file_message(RIS, "standard", raw, "mllp-1")


async def test_who_sends_texts_alone_is_answered_by_the_loop(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_QUICK_S", 10.0)  # how quick this disk is is not what is tested
    for number in range(writer._ALONE_AFTER + 1):
        await alone(house, report(number))
    threads: list[threading.Thread] = []
    append = house.store.journal.append

    def noting(parts: Any) -> None:
        threads.append(threading.current_thread())
        append(parts)

    monkeypatch.setattr(house.store.journal, "append", noting)
    filed = await alone(house, report(100))
    assert threads == [threading.main_thread()]
    assert filed.receipt.outcome == "stored"
    assert await house.all("SELECT accession FROM report WHERE accession = 'A100'") == [("A100",)]
    assert (await alone(house, report(100))).receipt.outcome == "already-stored"
    held = await alone(house, report(100, "Annat."))
    assert held.receipt.outcome == "held"
    assert held.receipt.reason == Conflict.code
    assert await house.all("SELECT text FROM report WHERE accession = 'A100'") == [("Utan anm.",)]
    assert await journal.verify(house.store) is None
