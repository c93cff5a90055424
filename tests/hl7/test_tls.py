"""MLLP by TLS: mutual, and the certificate's HSA-id must be the one that the source's settings name."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from samsyn.clock import SystemClock
from samsyn.endpoints.hl7.listener import Hl7Door
from samsyn.errors import ConfigurationError
from samsyn.providers.connections import Connections
from samsyn.settings import Settings
from samsyn.wire.mllp import framed
from tests.dimse.certificates import Authority
from tests.hl7.stage import SETTINGS, Peer, code
from tests.hl7v2.messages import oru
from tests.reports.house import House

RIS = "SE9990000001-S002"


def with_tls(authority: Authority, **changes: Any) -> Settings:
    certificate, key, _ = authority.certificate("samsyn", use_rsa=True)
    values = SETTINGS.model_dump(mode="json")
    files = {"certificate": str(certificate), "key": str(key), "authorities": str(authority.file)}
    values["mllp_tls"] = {"port": 0, **files, **changes}
    values["provider"][0]["hl7_source"].append({"application": "TLSRIS", "hsa_id": RIS})
    return Settings.model_validate(values)


@dataclass
class Ground:
    door: Hl7Door
    house: House
    authority: Authority

    def context(self, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.authority.file)
        if certificate is not None and key is not None:
            context.load_cert_chain(certificate, key)
        return context

    async def peer(self, name: str = "ris", hsa_id: str = RIS) -> Peer:
        context = self.context(*self.authority.certificate(name, hsa_id)[:2])
        return Peer(*await asyncio.open_connection("127.0.0.1", self.door.tls_port, ssl=context))


@pytest.fixture
async def ground(tmp_path: Path) -> AsyncIterator[Ground]:
    authority = Authority(tmp_path / "ca")
    settings = with_tls(authority)
    house = House(tmp_path / "data")
    door = Hl7Door(settings.mllp, Connections(settings), house.filing, SystemClock(), tls=settings.mllp_tls)
    await door.start()
    yield Ground(door, house, authority)
    await door.stop()
    house.close()


def by(application: str, control: str = "M1") -> bytes:
    return oru(control=control).replace(b"|NORDRIS|NORDSJUKHUSET|", f"|{application}||".encode())


async def test_a_source_with_its_certificate_is_taken(ground: Ground) -> None:
    peer = await ground.peer()
    assert code(await peer.ask(by("TLSRIS"))) == "AA"
    peer.writer.close()


@pytest.mark.parametrize(
    ("hsa_id", "application"),
    [("SE9990000001-S999", "TLSRIS"), ("", "TLSRIS"), (RIS, "NORDRIS")],
    ids=["another's certificate", "a certificate without HSA-id", "a source that has none in the settings"],
)
async def test_a_certificate_speaks_for_its_own_source_only(
    ground: Ground, hsa_id: str, application: str
) -> None:
    peer = await ground.peer("other", hsa_id)
    assert code(await peer.ask(by(application))) == "AR"
    assert await ground.house.all("SELECT COUNT(*) FROM report") == [(0,)]
    peer.writer.close()


async def test_a_source_that_is_to_come_by_tls_can_not_come_without(ground: Ground) -> None:
    peer = Peer(*await asyncio.open_connection("127.0.0.1", ground.door.port))
    assert code(await peer.ask(by("TLSRIS"))) == "AR"
    peer.writer.close()


@pytest.mark.parametrize("signed_by", ["nobody", "another authority"])
async def test_who_shows_no_certificate_of_ours_gets_no_answer(
    ground: Ground, signed_by: str, tmp_path: Path
) -> None:
    certificate, key = None, None
    if signed_by == "another authority":
        certificate, key, _ = Authority(tmp_path / "other").certificate("ris", RIS)
    context = ground.context(certificate, key)

    async def ask() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", ground.door.tls_port, ssl=context)
        writer.write(framed(by("TLSRIS")))
        await reader.readuntil(b"\x1c\r")

    with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
        await ask()
    assert await ground.house.all("SELECT COUNT(*) FROM message") == [(0,)]


async def test_old_versions_of_tls_are_refused(ground: Ground) -> None:
    context = ground.context(*ground.authority.certificate("ris", RIS)[:2])
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection("127.0.0.1", ground.door.tls_port, ssl=context)


async def test_a_too_large_message_is_told_so_by_tls_too(ground: Ground) -> None:
    peer = await ground.peer()

    async def pour() -> None:
        peer.writer.write(b"\x0b" + by("TLSRIS"))
        for _ in range(200):
            peer.writer.write(b"x" * 65_536)
            await peer.writer.drain()

    pouring = asyncio.create_task(pour())
    assert "MAX_HL7_MESSAGE_BYTES" in (await peer.answer()).segments[1].text(3)
    await asyncio.gather(pouring, return_exceptions=True)
    peer.writer.close()


async def test_a_plain_byte_on_the_tls_port_is_closed(ground: Ground) -> None:
    peer = Peer(*await asyncio.open_connection("127.0.0.1", ground.door.tls_port))
    peer.writer.write(framed(by("TLSRIS")))
    assert await peer.is_closed(8.0)  # before the handshake's limit


def test_a_source_with_an_hsa_id_needs_the_tls_listener(tmp_path: Path) -> None:
    values = with_tls(Authority(tmp_path / "ca")).model_dump(mode="json")
    values["mllp_tls"] = {}
    with pytest.raises(ValidationError, match="TLSRIS needs TLS"):
        Settings.model_validate(values)


async def test_a_key_that_everybody_can_read_does_not_start(tmp_path: Path) -> None:
    settings = with_tls(Authority(tmp_path / "ca"))
    assert settings.mllp_tls.key is not None
    settings.mllp_tls.key.chmod(0o644)
    house = House(tmp_path / "data")
    door = Hl7Door(settings.mllp, Connections(settings), house.filing, SystemClock(), tls=settings.mllp_tls)
    with pytest.raises(ConfigurationError, match="mllp_tls"):
        await door.start()
    house.close()
