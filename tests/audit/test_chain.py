"""The audit journal can not be changed unnoticed."""

import random
import sqlite3
from pathlib import Path

from samsyn.audit import journal
from samsyn.clock import SystemClock
from samsyn.model.audit import AuditEntry
from samsyn.store.store import Store
from tests.indexes import make_store, sqlite_only


def entry(number: int) -> AuditEntry:
    return AuditEntry(
        event="OPEN_STUDY",
        activity="Läsa",
        actor="SE9990000001-0010",
        actor_provider="SE9990000001-0001",
        actor_unit="SE9990000001-0002",
        assignment="Läkare",
        purpose="Vård och behandling",
        session_id="s",
        patient_key=number % 3,
        owner_provider="SE9990000001-0001",
        owner_unit="SE9990000001-0002",
        allowed=True,
        details={"study": f"2.25.{number}", "text": 'Åsa\n{"allow": true}\x1b[0m'},
    )


async def filled(folder: Path, count: int) -> Store:
    store = make_store(folder, SystemClock())
    store.start()
    for first in range(0, count, 10):
        await journal.write(store, *(entry(n) for n in range(first, first + 10)))
    return store


async def test_an_untouched_journal_is_whole(tmp_path: Path) -> None:
    store = await filled(tmp_path, 50)
    assert await journal.verify(store) is None
    store.close()


@sqlite_only
async def test_every_tampering_in_the_middle_is_found_where_it_is(tmp_path: Path) -> None:
    store = await filled(tmp_path, 60)
    store.close()
    chance = random.Random(7)
    pristine = (tmp_path / "index.sqlite").read_bytes()
    for _ in range(40):
        (tmp_path / "index.sqlite").write_bytes(pristine)
        place = chance.randint(2, 59)
        connection = sqlite3.connect(tmp_path / "index.sqlite")
        kind = chance.choice(["change", "delete", "swap"])
        if kind == "change":
            column = chance.choice(["actor", "patient_key", "time", "details", "allowed"])
            connection.execute(f"UPDATE audit SET {column} = 7 WHERE sequence = ?", (place,))
        elif kind == "delete":
            connection.execute("DELETE FROM audit WHERE sequence = ?", (place,))
        else:
            connection.execute("UPDATE audit SET sequence = -1 WHERE sequence = ?", (place,))
            connection.execute("UPDATE audit SET sequence = ? WHERE sequence = ?", (place, place + 1))
            connection.execute("UPDATE audit SET sequence = ? WHERE sequence = -1", (place + 1,))
        connection.commit()
        connection.close()
        store = make_store(tmp_path, SystemClock())
        store.start()
        assert await journal.verify(store) == place, kind
        store.close()
