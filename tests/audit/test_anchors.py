"""Anchors: taken while the service runs, compared before it starts, signed, and readable from paper."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from samsyn.audit import anchors, journal
from samsyn.audit.anchoring import Anchoring
from samsyn.cli import audit
from samsyn.clock import SystemClock
from samsyn.errors import BadInput, ConfigurationError, DamagedData
from samsyn.store.store import Store
from tests.audit.tampering import anchor_of, entry, fill
from tests.indexes import make_store


def opened(folder: Path) -> Store:
    store = make_store(folder, SystemClock())
    store.start()
    return store


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "elsewhere").mkdir()
    return tmp_path / "elsewhere" / "anchors"


@pytest.fixture
def key_file(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "key.pem"
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(pem)
    path.chmod(0o600)
    return path


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines()


async def test_anchors_are_taken_at_start_while_entries_come_and_at_stop(tmp_path: Path, file: Path) -> None:
    store = opened(tmp_path / "data")
    anchoring = Anchoring(store, SystemClock(), file, None, 0.05)
    await anchoring.start()
    assert [anchors.parse(line).sequence for line in lines(file)] == [0]
    await journal.write(store, entry(1), entry(2))
    for _ in range(3_000):
        if len(lines(file)) > 1:
            break
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.2)
    assert [anchors.parse(line).sequence for line in lines(file)] == [0, 2]
    await journal.write(store, entry(3))
    await anchoring.stop()
    store.close()
    assert anchors.parse(lines(file)[-1]).hash == anchor_of(tmp_path / "data").hash
    assert file.stat().st_mode & 0o077 == 0


async def test_a_journal_that_is_not_the_one_that_was_anchored_does_not_go_into_service(
    tmp_path: Path, file: Path
) -> None:
    data = tmp_path / "data"
    await fill(data, 0, 10)
    shutil.copytree(data, tmp_path / "backup")
    await fill(data, 10, 10)
    anchors.append_to(file, anchor_of(data))
    shutil.rmtree(data)
    shutil.move(tmp_path / "backup", data)
    store = opened(data)
    with pytest.raises(DamagedData, match=r"entry 20 .* is missing"):
        await Anchoring(store, SystemClock(), file, None, 60).start()
    file.rename(file.with_suffix(".before-restore"))
    again = Anchoring(store, SystemClock(), file, None, 60)
    await again.start()
    await again.stop()
    store.close()


async def test_an_anchor_file_inside_the_data_folder_is_refused(tmp_path: Path) -> None:
    store = opened(tmp_path / "data")
    with pytest.raises(ConfigurationError, match="inside the data folder"):
        await Anchoring(store, SystemClock(), tmp_path / "data" / "anchors", None, 60).start()
    store.close()


async def test_a_place_that_does_not_take_anchors_any_more_is_counted_and_stops_nothing(
    tmp_path: Path, file: Path
) -> None:
    store = opened(tmp_path / "data")
    anchoring = Anchoring(store, SystemClock(), file, None, 0.02)
    await anchoring.start()
    shutil.rmtree(file.parent)
    await journal.write(store, entry(1))
    for _ in range(3_000):
        if anchoring.failures:
            break
        await asyncio.sleep(0.02)
    assert anchoring.failures > 0
    file.parent.mkdir()
    await anchoring.stop()
    store.close()
    assert anchors.parse(lines(file)[-1]).sequence == 1


async def test_a_line_that_a_crash_tore_does_not_spoil_the_next_one(tmp_path: Path, file: Path) -> None:
    await fill(tmp_path / "data", 0, 5)
    made = anchor_of(tmp_path / "data")
    file.write_text(made.line[:60])
    anchors.append_to(file, made)
    assert anchors.newest_in(file) == made
    assert lines(file)[1] == made.line


def test_a_line_is_read_however_it_was_spaced_and_refused_when_a_digit_is_missing() -> None:
    made = anchors.Anchor("a" * 16, 12, "2026-01-01T00:00:00+00:00", "b" * 64)
    assert anchors.parse(f"  {made.line.replace(' ', chr(10))} ") == made
    with pytest.raises(BadInput):
        anchors.parse(made.line[:-1])


async def test_a_printed_anchor_is_found_true_and_after_a_cut_false(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    await fill(data, 0, 10)
    shutil.copytree(data, tmp_path / "older")
    await fill(data, 10, 10)
    assert audit.anchor(None, data) == 0
    paper = capsys.readouterr().out
    assert audit.verify(None, data, (paper,)) == 0
    assert "20 entries, 1 anchors agree" in capsys.readouterr().out
    assert audit.verify(None, tmp_path / "older") == 0
    assert "a cut behind that one would not be found" in capsys.readouterr().out
    assert audit.verify(None, tmp_path / "older", (paper,)) == 1
    assert "entry 11 " in capsys.readouterr().out
    with pytest.raises(ConfigurationError, match="no anchor line"):
        audit.verify(None, data, ("samsyn-anchor",))


async def test_an_anchor_that_somebody_else_made_is_told_and_vouches_for_nothing(
    tmp_path: Path, file: Path, key_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who cut the journal and can write where anchors lie puts an anchor of the shorter journal there."""
    data = tmp_path / "data"
    await fill(data, 0, 10)
    key = anchors.signing_key(key_file)
    public = tmp_path / "public.pem"
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    anchors.append_to(file, anchors.signed(anchor_of(data), key))
    assert audit.verify(None, data, (), (file,), public) == 0
    anchors.append_to(file, anchor_of(data))
    anchors.append_to(file, anchors.signed(anchor_of(data), Ed25519PrivateKey.generate()))
    capsys.readouterr()
    assert audit.verify(None, data, (), (file,), public) == 1
    assert capsys.readouterr().out.count("not signed by this installation's key") == 2


def test_a_key_that_others_can_read_or_that_is_none_is_refused(key_file: Path) -> None:
    key_file.chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        anchors.signing_key(key_file)
    key_file.chmod(0o600)
    key_file.write_text("no key")
    with pytest.raises(ConfigurationError, match="no plain PEM key"):
        anchors.signing_key(key_file)


async def test_a_changed_journal_gets_no_anchor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    await fill(data, 0, 10)
    path = data / "journal" / "00000001.journal"
    path.write_bytes(path.read_bytes().replace(b"SE9990000001-0003", b"SE9990000001-0004"))
    assert audit.anchor(None, data) == 1
    assert "samsyn-anchor" not in capsys.readouterr().out
