"""The file of guardians: read as a whole, believed as a whole, and refused as a whole."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from samsyn import limits
from samsyn.access.view import Gatekeeper
from samsyn.clock import SystemClock
from samsyn.errors import BadInput, LimitExceeded
from samsyn.patients.guardian_file import GuardianFile
from tests.indexes import make_store

CHILD, MOTHER, FATHER = "201603092394", "199409112381", "196809129908"
HEADING = "child;guardian;from;to\n"


class Register:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "guardians.csv"
        self.store = make_store(folder / "data", SystemClock())
        self.store.start()
        self.gate = Gatekeeper(self.store, SystemClock())
        self.file = GuardianFile(self.path, self.gate.registers, SystemClock())

    async def rows(self) -> list[tuple[str, str, str]]:
        found = await self.store.read(
            lambda c: c.execute(
                "SELECT child.value, guardian.value, g.source FROM guardianship AS g"
                " JOIN patient_identifier AS child ON child.patient_key = g.child_key"
                " JOIN patient_identifier AS guardian ON guardian.patient_key = g.guardian_key"
                " WHERE ended IS NULL ORDER BY 1, 2"
            ).fetchall()
        )
        return [tuple(row) for row in found]


@pytest_asyncio.fixture
async def register(tmp_path: Path) -> AsyncIterator[Register]:
    made = Register(tmp_path)
    yield made
    made.store.close()


async def test_numbers_in_any_form_are_taken_and_who_is_gone_from_the_file_is_no_guardian(
    register: Register,
) -> None:
    register.path.write_text(
        f"{HEADING}20160309-2394;{MOTHER};;\n{CHILD};19680912-9908;2026-01-01;2030-12-31\n"
    )
    assert await register.file.read() == 2
    assert await register.rows() == [(CHILD, FATHER, "file"), (CHILD, MOTHER, "file")]
    assert await register.file.read() == 0
    register.path.write_text(f"\ufeff{HEADING}{CHILD};{FATHER};2026-01-01;2030-12-31\n", encoding="utf-8")
    assert await register.file.read() == 1
    assert await register.rows() == [(CHILD, FATHER, "file")]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "line 1"),
        ("barn;vårdnadshavare\n", "line 1"),
        (f"{HEADING}{CHILD};{MOTHER}\n", "line 2"),
        (f"{HEADING}{CHILD};{MOTHER};;\n{CHILD};not a number;;\n", "line 3"),
        (f"{HEADING}{CHILD};{CHILD};;\n", "line 2"),
        (f"{HEADING}{CHILD};{MOTHER};yesterday;\n", "line 2"),
    ],
)
async def test_a_file_that_is_not_understood_changes_nothing_and_names_the_line(
    register: Register, text: str, line: str
) -> None:
    register.path.write_text(f"{HEADING}{CHILD};{MOTHER};;\n")
    await register.file.read()
    register.path.write_text(text)
    with pytest.raises(BadInput) as refusal:
        await register.file.read()
    assert line in refusal.value.detail
    assert CHILD not in refusal.value.detail
    assert await register.rows() == [(CHILD, MOTHER, "file")]


async def test_a_file_that_is_too_large_is_not_read(
    register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_GUARDIAN_FILE_BYTES", 10)
    register.path.write_text(f"{HEADING}{CHILD};{MOTHER};;\n")
    with pytest.raises(LimitExceeded):
        await register.file.read()


async def test_a_missing_file_is_waited_for_and_a_changed_one_is_read_again(
    register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    monkeypatch.setattr(limits, "GUARDIAN_FILE_S", 0.02)
    await register.file.start()
    await asyncio.sleep(0.1)
    for guardian in (MOTHER, FATHER):
        register.path.write_text(f"{HEADING}{CHILD};{guardian};;\n")
        os.utime(register.path, ns=(0, int(guardian)))
        for _ in range(3_000):
            await asyncio.sleep(0.02)
            if await register.rows() == [(CHILD, guardian, "file")]:
                break
        assert await register.rows() == [(CHILD, guardian, "file")]
    await register.file.stop()
