"""`samsyn check` finds what is wrong with an installation before it is started."""

import asyncio
import os
import shutil
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from samsyn import limits
from samsyn.cli import check
from samsyn.clock import SystemClock
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction
from tests.cli.commands import samsyn, settings_file
from tests.doors.authority import Authority
from tests.indexes import make_store, sqlite_only
from tests.ports import free_port
from tests.scratch import ROOT
from tests.store.test_store import add_message
from tools import vendor


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir(mode=0o700)
    return settings_file(tmp_path)


def said(file: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What is found, but for the browser's parts, which a bare tree has not got."""
    code = check.run(file)
    lines = capsys.readouterr().out.splitlines()
    assert code == (1 if any(line.startswith("✗") for line in lines) else 0)
    return "\n".join(line for line in lines if "browser part" not in line and not line.startswith("✓"))


def test_a_sound_installation_has_no_findings(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(file, capsys) == ""


@pytest.mark.skipif(not vendor.is_current(), reason="the browser parts are not built (make setup)")
def test_the_browser_parts_that_are_there_are_not_missed(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check.run(file)
    assert "browser part" not in capsys.readouterr().out


def test_a_piece_of_the_journal_that_was_kept_aside_is_named_until_it_is_moved_away(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = file.parent / "data/journal/00000001-12345.cut-off"
    kept.parent.mkdir()
    kept.write_bytes(b"x" * 77)
    told = said(file, capsys)
    assert str(kept) in told
    assert "77 bytes" in told
    assert "docs/storage.md" in told
    assert "When a start has kept something aside" in (ROOT / "docs/storage.md").read_text()
    kept.rename(file.parent / "elsewhere")
    assert said(file, capsys) == ""


def test_a_folder_that_others_can_read_is_found(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = file.parent / "data"
    folder.chmod(0o750)
    assert f"chmod 700 {folder}" in said(file, capsys)


def test_a_folder_that_is_a_file_is_found(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (file.parent / "data").rmdir()
    (file.parent / "data").touch()
    assert "is a file" in said(file, capsys)


@pytest.mark.parametrize("door", [0, 1, 2])
def test_a_taken_port_is_found(
    door: int, tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings_file(tmp_path, tuple(port if place == door else 0 for place in range(3)))  # type: ignore[arg-type]
        told = said(file, capsys)
    assert f"[{('dicom', 'http', 'mllp')[door]}] port {port} on 127.0.0.1" in told
    assert len(told.splitlines()) == 1


def test_two_listeners_on_one_port_are_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    port = free_port()
    assert said(settings_file(tmp_path, (port, 0, port)), capsys).endswith(
        f"[mllp] port {port} is that of [dicom] too: choose another port"
    )


@pytest.mark.parametrize("section", ["dicom_tls", "http_tls", "mllp_tls"])
def test_a_certificate_that_no_peer_would_take_is_found_for_every_listener(
    section: str, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    authority, before = Authority(tmp_path), file.read_text()

    def told(certificate: Path, key: Path) -> str:
        tls = {"certificate": certificate, "key": key, "authorities": authority.file}
        lines = [f"[{section}]", "port = 0", *(f'{name} = "{path}"' for name, path in tls.items())]
        file.write_text("\n".join([*lines, before]))
        return said(file, capsys)

    good, key, _ = authority.certificate("good", days=90)
    assert told(good, key) == ""
    soon, its_key, _ = authority.certificate("soon", days=3)
    assert "expires on" in told(soon, its_key)
    assert (
        f"[{section}] certificate {good} and key {its_key}: the key does not belong to the certificate"
        in told(good, its_key)
    )
    gone, its_key, _ = authority.certificate("gone", days=0)
    assert f"[{section}] certificate {gone} has expired on" in told(gone, its_key)
    assert f"[{section}] key {tmp_path / 'none'}: No such file" in told(good, tmp_path / "none")
    assert "not usable as PEM" in told(file, key)


def test_the_running_service_s_own_ports_are_no_finding(
    tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = make_store(tmp_path / "data", SystemClock())
    store.start()
    try:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            settings_file(tmp_path, (taken.getsockname()[1], 0, 0))
            assert said(file, capsys) == ""
    finally:
        store.close()


def test_a_secret_that_others_can_read_is_found(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secret = file.parent / "secret"
    login = f'[login]\nprovider = "oidc"\nissuer = "https://idp.example"\nclient_secret_file = "{secret}"\n'
    login += f'[audit]\nanchor_file = "{file.parent / "anchors"}"\n'
    file.write_text(login + file.read_text())
    assert "No such file" in said(file, capsys)
    secret.write_text("x")
    secret.chmod(0o644)
    assert f"chmod 600 {secret}" in said(file, capsys)
    secret.chmod(0o600)
    assert said(file, capsys) == ""


def test_a_journal_without_anchors_or_with_useless_ones_is_found(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = file.read_text()
    file.write_text('[login]\nprovider = "oidc"\nissuer = "https://idp.example"\n' + text)
    assert "anchor_file is not set" in said(file, capsys)
    for place, told in (
        ("data/anchors", "inside the data folder"),
        ("nowhere/anchors", "can not be written"),
    ):
        file.write_text(f'[audit]\nanchor_file = "{file.parent / place}"\n' + text)
        assert told in said(file, capsys)


def test_a_provider_without_any_way_in_is_found(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = file.read_text()
    file.write_text(text[: text.index("[[provider.dicom_peer]]")])
    told = said(file, capsys)
    assert "no dicom_peer and no token" in told
    assert "no hl7_source" in told


@pytest.mark.slow
def test_an_unwritable_folder_is_found(tmp_path: Path) -> None:
    without_privilege: list[str] = []
    if os.getuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root can write everywhere and setpriv is not there to take that away")
        without_privilege = ["setpriv", "--inh-caps=-dac_override", "--bounding-set=-dac_override"]
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(0o500)
    ended = samsyn("check", "--config", settings_file(tmp_path), before=without_privilege)
    assert ended.returncode == 1
    assert f"data folder {folder} is not writable" in ended.stdout
    ended = samsyn("check", "--config", settings_file(tmp_path, data="data/deeper"), before=without_privilege)
    assert f"{folder} is not writable" in ended.stdout


def test_what_the_engagement_index_refuses_and_what_piles_up_before_it_is_found(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = make_store(file.parent / "data", SystemClock())
    store.start()

    def decide(transaction: Transaction) -> None:
        transaction.insert(
            "engagement", number="191212121212", logical_address="SE-E", controller="SE-P", mark="m",
            most_recent="", first_told="", refusal="ERROR",
        )  # fmt: skip
        for key in range(limits.ENGAGEMENT_BACKLOG + 1):
            transaction.insert("engagement_change", patient_key=key, turn=1)

    asyncio.run(_committed(store, decide))
    store.close()
    assert "engagement" not in said(file, capsys)  # nobody is told as long as no index is connected
    with file.open("a", encoding="utf-8") as stream:
        stream.write('[engagement_index]\naddress = "http://127.0.0.1:1/Update"\n')
    told = said(file, capsys)
    assert "refused 1 engagements" in told
    assert "no provider has a source_system" in told
    assert f"{limits.ENGAGEMENT_BACKLOG + 1} persons' changes wait" in told
    assert "1912" not in told


@sqlite_only
@pytest.mark.slow
def test_what_is_stored_is_compared_when_asked_for(file: Path) -> None:
    store = make_store(file.parent / "data", SystemClock())
    store.start()
    asyncio.run(_committed(store, add_message("1")))
    store.close()
    for word in ("--stored", "--hashes"):
        ended = samsyn("check", "--config", file, word)
        assert "journal, series objects and index say the same: 1 records" in ended.stdout
    with sqlite3.connect(file.parent / "data/index.sqlite") as connection:
        connection.execute("DELETE FROM message")
    assert "HL7 messages" not in samsyn("check", "--config", file).stdout
    ended = samsyn("check", "--config", file, "--stored")
    assert ended.returncode == 1
    assert "1 HL7 messages in the journal are not in the index (1)" in ended.stdout
    assert samsyn("index", "rebuild", "--config", file).returncode == 0
    assert "say the same" in samsyn("check", "--config", file, "--stored").stdout


async def _committed(store: Store, decide: Callable[[Transaction], None]) -> None:
    await store.commit(decide)


def test_an_object_store_and_a_database_that_do_not_answer_are_found(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("access", "secret", "shared"):
        path = file.parent / name
        path.touch(mode=0o600)
        path.write_text("x" * 40)
    (file.parent / "shared").chmod(0o644)
    more = f"""
[index]
kind = "postgresql"
address = "postgresql://samsyn@127.0.0.1:9/samsyn"
[objects]
kind = "s3"
endpoint = "http://127.0.0.1:9"
bucket = "samsyn"
access_key_file = "{file.parent / "access"}"
secret_key_file = "{file.parent / "secret"}"
[node]
name = "one"
secret_file = "{file.parent / "shared"}"
"""
    file.write_text(more + file.read_text())
    found = said(file, capsys)
    assert (
        "[objects] http://127.0.0.1:9, bucket samsyn: the object store did not answer; look whether it runs"
        in found
    )
    assert "address and password_file" in found
    assert f"chmod 600 {file.parent / 'shared'}" in found
