"""The TLS listener: mutual, by the BCP 195 profile, and the certificate's HSA-id says which system it is."""

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from samsyn import limits
from samsyn.errors import ConfigurationError, NotAllowed, OutOfResources
from samsyn.exchange.scu import Requestor, connect
from samsyn.exchange.security import caller_context, certificate_hsa_id, listener_context
from samsyn.providers.connections import Destination
from samsyn.settings import DicomTlsSettings, Settings
from tests.dimse.certificates import Authority
from tests.dimse.stage import CT, EXPLICIT, VERIFICATION, Stage, image, settings_of, store

PACS = "SE9990000001-S001"
CONTEXTS = [(CT, (EXPLICIT,)), (VERIFICATION, (EXPLICIT,))]


@dataclass
class Ground:
    """A stage with TLS, and what it takes to call it."""

    stage: Stage
    authority: Authority

    def context(self, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.authority.file)
        if certificate is not None and key is not None:
            context.load_cert_chain(certificate, key)
        return context

    async def call(self, context: ssl.SSLContext | None, calling: str = "TLSPACS") -> Requestor:
        port = self.stage.door.tls_port if context else self.stage.door.port
        return await connect("127.0.0.1", port, "SAMSYN", calling, CONTEXTS, security=context)


def with_tls(folder: Path, authority: Authority, **changes: Any) -> Settings:
    certificate, key, _ = authority.certificate("samsyn", use_rsa=True)
    values = settings_of(folder / "data").model_dump(mode="json")
    values["dicom_tls"] = {
        "port": 0,
        "certificate": str(certificate),
        "key": str(key),
        "authorities": str(authority.file),
        **changes,
    }
    values["provider"][0]["dicom_peer"].append({"ae_title": "TLSPACS", "hsa_id": PACS})
    return Settings.model_validate(values)


@pytest.fixture
async def ground(tmp_path: Path) -> AsyncIterator[Ground]:
    authority = Authority(tmp_path / "ca")
    async with Stage(tmp_path / "data", settings=with_tls(tmp_path, authority)) as stage:
        yield Ground(stage, authority)


async def test_a_system_with_its_certificate_stores_by_tls(ground: Ground) -> None:
    context = ground.context(*ground.authority.certificate("pacs", PACS)[:2])
    async with await ground.call(context) as requestor:
        assert (await requestor.echo()).status == 0
        big = image(Rows=512, Columns=512, PixelData=bytes(512 * 512 * 2))
        assert (await store(requestor, big)).status == 0
    assert ground.stage.rows("SELECT sender FROM instance") == [("TLSPACS",)]


async def test_an_hsa_id_in_small_letters_is_the_same(ground: Ground) -> None:
    context = ground.context(*ground.authority.certificate("pacs", PACS.lower())[:2])
    async with await ground.call(context) as requestor:
        assert (await requestor.echo()).status == 0


@pytest.mark.parametrize(
    ("calling", "hsa_id"),
    [
        ("TLSPACS", "SE9990000001-S002"),  # another system's certificate
        ("TLSPACS", ""),  # a certificate that names nobody
        ("BENCH", PACS),  # a title that has no certificate of its own
        ("BENCH", ""),
        ("NOBODY", PACS),
    ],
)
async def test_a_title_that_is_not_the_certificates_is_rejected(
    ground: Ground, calling: str, hsa_id: str
) -> None:
    context = ground.context(*ground.authority.certificate("other", hsa_id)[:2])
    with pytest.raises(NotAllowed, match="reason 3"):
        await ground.call(context, calling)


async def test_a_system_that_has_a_certificate_can_not_come_without_tls(ground: Ground) -> None:
    with pytest.raises(NotAllowed, match="reason 3"):
        await ground.call(None)
    async with await ground.call(None, "BENCH") as requestor:
        assert (await requestor.echo()).status == 0


async def test_without_certificate_or_with_one_of_a_stranger_nobody_comes_in(
    ground: Ground, tmp_path: Path
) -> None:
    strangers = Authority(tmp_path / "strangers", "Other CA")
    for certificate, key in (
        (None, None),
        strangers.certificate("pacs", PACS)[:2],
        ground.authority.certificate("old", PACS, days=-1)[:2],
    ):
        with pytest.raises(OutOfResources):
            await ground.call(ground.context(certificate, key))
    assert ground.stage.door.open_associations == 0


async def test_a_revoked_certificate_is_refused(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    good, bad = authority.certificate("good", PACS), authority.certificate("bad", PACS)
    settings = with_tls(tmp_path, authority, revoked=str(authority.revoked(bad[2])))
    async with Stage(tmp_path / "data", settings=settings) as stage:
        ground = Ground(stage, authority)
        async with await ground.call(ground.context(*good[:2])) as requestor:
            assert (await requestor.echo()).status == 0
        with pytest.raises(OutOfResources):
            await ground.call(ground.context(*bad[:2]))


@pytest.mark.parametrize(
    ("version", "ciphers"),
    [
        (ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0"),
        (ssl.TLSVersion.TLSv1_2, "AES128-GCM-SHA256:AES256-SHA"),  # no forward secrecy
        (
            ssl.TLSVersion.TLSv1_2,
            "ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA",
        ),  # no authenticated encryption
    ],
)
async def test_what_bcp_195_forbids_is_not_negotiated(
    ground: Ground, version: ssl.TLSVersion, ciphers: str
) -> None:
    context = ground.context(*ground.authority.certificate("pacs", PACS)[:2])
    context.set_ciphers(ciphers)
    context.minimum_version = context.maximum_version = version
    with pytest.raises(OutOfResources):
        await ground.call(context)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_tls_1_2_and_1_3_are_taken(ground: Ground, version: ssl.TLSVersion) -> None:
    context = ground.context(*ground.authority.certificate("pacs", PACS)[:2])
    context.minimum_version = context.maximum_version = version
    async with await ground.call(context) as requestor:
        assert (await requestor.echo()).status == 0


async def test_a_handshake_that_never_ends_is_ended(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    await ground.stage.door.stop(0)
    monkeypatch.setattr(limits, "TLS_HANDSHAKE_S", 0.2)
    ground.stage.door._is_stopping = False
    await ground.stage.door.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", ground.stage.door.tls_port)
    writer.write(b"\x16\x03\x01")
    async with asyncio.timeout(8):
        assert await reader.read() == b""
    writer.close()


async def test_plain_dicom_on_the_tls_port_gets_no_answer(ground: Ground) -> None:
    with pytest.raises(OutOfResources):
        await connect("127.0.0.1", ground.stage.door.tls_port, "SAMSYN", "BENCH", CONTEXTS)


async def test_we_call_by_tls_with_our_certificate_and_check_theirs(ground: Ground, tmp_path: Path) -> None:
    port = ground.stage.door.tls_port
    ours = Destination("SAMSYN", "127.0.0.1", port, "", tls=True)
    # Samsyn calls itself: its own certificate has no HSA-id, so it gets as far as the rejection.
    with pytest.raises(NotAllowed, match="reason 3"):
        await ground.stage.pool.connect(ours, CONTEXTS)
    strangers = Authority(tmp_path / "strangers", "Other CA")
    certificate, key, _ = strangers.certificate("fake")
    fake = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    fake.load_cert_chain(certificate, key)
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0, ssl=fake)
    theirs = Destination("SAMSYN", "127.0.0.1", server.sockets[0].getsockname()[1], "", tls=True)
    with pytest.raises(OutOfResources):
        await ground.stage.pool.connect(theirs, CONTEXTS)
    server.close()


async def test_a_destination_that_needs_tls_is_never_called_without(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        with pytest.raises(OutOfResources, match="TLS"):
            await stage.pool.connect(Destination("X", "127.0.0.1", stage.door.port, "", tls=True), CONTEXTS)


def test_half_a_setting_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="belong together"):
        DicomTlsSettings(certificate=tmp_path / "a")
    values = settings_of(tmp_path).model_dump(mode="json")
    values["provider"][0]["dicom_peer"].append({"ae_title": "TLSPACS", "hsa_id": PACS})
    with pytest.raises(ValidationError, match="TLSPACS needs TLS"):
        Settings.model_validate(values)


def test_a_key_that_everybody_can_read_and_files_that_are_none_are_refused(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key, _ = authority.certificate("samsyn")
    good = {"certificate": certificate, "key": key, "authorities": authority.file}
    assert listener_context(DicomTlsSettings(**good)) is not None
    for wrong in ("certificate", "key", "authorities"):
        nonsense = tmp_path / "nonsense"
        nonsense.write_text("no certificate")
        nonsense.chmod(0o600)
        for path in (nonsense, tmp_path / "absent"):
            with pytest.raises(ConfigurationError):
                caller_context(DicomTlsSettings(**{**good, wrong: path}))
    key.chmod(0o644)
    with pytest.raises(ConfigurationError, match="everybody"):
        listener_context(DicomTlsSettings(**good))
    assert listener_context(DicomTlsSettings()) is None


def test_the_hsa_id_is_the_subjects_serial_number() -> None:
    subject = ((("commonName", "pacs"),), (("serialNumber", f" {PACS} "),))
    assert certificate_hsa_id({"subject": subject}) == PACS
    assert certificate_hsa_id({"subject": ()}) == certificate_hsa_id({}) == certificate_hsa_id(None) == ""


@pytest.mark.slow
@pytest.mark.peer
@pytest.mark.skipif(shutil.which("echoscu") is None, reason="DCMTK is not installed")
@pytest.mark.parametrize("profile", ["--profile-bcp195", "--profile-bcp195-nd", "--profile-bcp195-ex"])
async def test_dcmtk_calls_by_each_of_its_bcp_195_profiles(ground: Ground, profile: str) -> None:
    certificate, key, _ = ground.authority.certificate("pacs", PACS, use_rsa=True)

    async def echo(*words: str) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            *("echoscu", "-v", "-aet", "TLSPACS", "-aec", "SAMSYN", *words),
            *("127.0.0.1", str(ground.stage.door.tls_port)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        return process.returncode, output.decode()

    authority = ["--add-cert-file", str(ground.authority.file)]
    code, output = await echo("--enable-tls", str(key), str(certificate), *authority, profile)
    assert code == 0, output
    assert "Received Echo Response (Success)" in output
    code, _ = await echo("--anonymous-tls", *authority, profile)
    assert code != 0
