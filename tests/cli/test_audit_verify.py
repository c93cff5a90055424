"""`samsyn audit verify` on whole and on tampered journals."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from samsyn.audit import journal
from samsyn.cli import audit
from samsyn.clock import SystemClock
from samsyn.errors import ConfigurationError
from samsyn.model.audit import AuditEntry
from tests.cli.commands import samsyn
from tests.indexes import make_store

ENTRIES = 20


def filled(folder: Path) -> Path:
    """A data folder with some entries, closed again."""
    store = make_store(folder, SystemClock())
    store.start()
    try:
        for number in range(ENTRIES):
            entry = AuditEntry(
                event="SEARCH",
                activity="read",
                actor=f"SE9990000001-{number}",
                actor_provider="SE9990000001-0001",
                actor_unit="SE9990000001-1001",
                assignment="",
                purpose="Vård och behandling",
                session_id="s",
                patient_key=number,
                owner_provider="",
                owner_unit="",
                allowed=True,
                details={"door": "test"},
            )
            asyncio.run(journal.write(store, entry))
    finally:
        store.close()
    return folder


def tamper(folder: Path, statement: str) -> None:
    with sqlite3.connect(folder / "index.sqlite") as index:
        index.execute(statement)
    index.close()


def test_a_whole_journal_is_said_to_be_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.verify(None, filled(tmp_path)) == 0
    assert "whole" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("statement", "entry"),
    [
        ("UPDATE audit SET actor = 'SE9990000001-99' WHERE sequence = 7", 7),
        ("UPDATE audit SET allowed = 0 WHERE sequence = 1", 1),
        ("UPDATE audit SET time = '2020-01-01T00:00:00+00:00' WHERE sequence = 20", 20),
        ("UPDATE audit SET details = '{}' WHERE sequence = 12", 12),
        ("DELETE FROM audit WHERE sequence = 5", 5),
        ("DELETE FROM audit WHERE sequence < 4", 1),
        ("UPDATE audit SET sequence = 100 WHERE sequence = 3", 3),
        (f"UPDATE audit SET hash = '{'0' * 64}' WHERE sequence = 9", 9),
    ],
)
def test_a_tampered_entry_is_named(
    statement: str, entry: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tamper(filled(tmp_path), statement)
    assert audit.verify(None, tmp_path) == 1
    assert f"entry {entry} " in capsys.readouterr().out


def test_a_folder_without_a_journal_is_not_said_to_be_whole(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no data folder"):
        audit.verify(None, tmp_path / "mistyped")
    assert not (tmp_path / "mistyped").exists()


@pytest.mark.slow
def test_the_command_tells_by_its_exit_code(tmp_path: Path) -> None:
    filled(tmp_path)
    assert samsyn("audit", "verify", "--data", tmp_path).returncode == 0
    tamper(tmp_path, "UPDATE audit SET actor = '' WHERE sequence = 2")
    ended = samsyn("audit", "verify", "--data", tmp_path)
    assert (ended.returncode, ended.stderr) == (1, "")
    assert "entry 2 " in ended.stdout
    ended = samsyn("audit", "verify", "--data", tmp_path / "mistyped")
    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1)
