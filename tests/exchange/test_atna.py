"""DICOM audit messages over syslog: well formed, framed, complete over an outage, each with its entry's number."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from lxml import etree

from samsyn import limits
from samsyn.access.events import Event, entry
from samsyn.audit import journal
from samsyn.exchange.auditing.outbox import Outbox
from samsyn.exchange.auditing.syslog import Repository, SyslogReceiver
from samsyn.store.index import audit_rows
from tests.access.house import House, a_house
from tests.access.people import FOREIGN, FOREIGN_UNIT, SYSTEM
from tests.exchange.test_storelog import give_numbers, until
from tests.followup.test_review import reader
from tests.ports import free_port


class RecordRepository:
    """An audit record repository: reads octet-counted frames and keeps the messages."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.connections = 0
        self.hang_up_after = 0
        self._server: asyncio.Server | None = None
        self.port = free_port()

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        self._server = await asyncio.start_server(self._read, "127.0.0.1", self.port, ssl=tls)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _read(self, reader_side: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                length = int(await reader_side.readuntil(b" "))
                self.messages.append(await reader_side.readexactly(length))
                if self.hang_up_after and len(self.messages) >= self.hang_up_after:
                    self.hang_up_after = 0
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    @property
    def entries(self) -> list[int]:
        found = []
        for message in self.messages:
            root = parsed(message)
            name = next(
                each.get("ParticipantObjectID")
                for each in root.findall("ParticipantObjectIdentification")
                if each.get("ParticipantObjectID").startswith("urn:samsyn:audit:")
            )
            found.append(int(name.rpartition(":")[2]))
        return found


def parsed(message: bytes) -> etree._Element:
    head, mark, content = message.partition(b"\xef\xbb\xbf")
    assert mark and head.startswith(b"<85>1 ") and b" DICOM+RFC3881 - " in head, head
    return etree.fromstring(content)


@asynccontextmanager
async def a_repository() -> AsyncIterator[RecordRepository]:
    """One that listens, without TLS."""
    repository = RecordRepository()
    await repository.start()
    yield repository
    await repository.stop()


@asynccontextmanager
async def an_outbox(
    house: House, repository: RecordRepository, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Outbox]:
    place = Repository("127.0.0.1", repository.port, "samsyn@test", tls)
    receiver = SyslogReceiver(place, "host", "1")
    outbox = Outbox(house.store, house.clock, receiver, first_pause_s=0.02)
    await outbox.start()
    try:
        yield outbox
    finally:
        await outbox.stop()


async def acts(house: House, count: int, first: int = 0) -> None:
    await journal.write(
        house.store,
        *(
            entry(
                reader("SE9990000004-77", "Åsa"), Event.OPEN_IMAGES, 1,
                owner_provider=FOREIGN, owner_unit=FOREIGN_UNIT, details={"of": f"2.25.{number}"},
            )
            for number in range(first, first + count)
        ),
    )  # fmt: skip


async def test_every_kind_of_event_becomes_a_message_with_its_code(tmp_path: Path) -> None:
    async with a_repository() as repository, a_house(tmp_path) as house:
        await house.store.commit(give_numbers)
        asa = reader("SE9990000004-77", "Åsa <Öberg> & \x00")
        for event in Event:
            await journal.write(
                house.store,
                entry(
                    asa, event, 1, allowed=event is not Event.REFUSED, details={"of": "2.25.7", "to": "PACS"}
                ),
            )
        async with an_outbox(house, repository):
            await until(lambda: len(repository.messages) == len(Event))
    for event, message in zip(Event, repository.messages, strict=True):
        root = parsed(message)
        children = [child.tag for child in root]
        order = [
            "EventIdentification",
            "ActiveParticipant",
            "AuditSourceIdentification",
            "ParticipantObjectIdentification",
        ]
        assert children == sorted(children, key=order.index), event
        identification = root[0]
        assert identification.get("EventOutcomeIndicator") == ("8" if event is Event.REFUSED else "0")
        assert identification.find("EventID").get("codeSystemName") == "DCM"
        assert event.value in [each.get("csd-code") for each in identification.findall("EventTypeCode")]
    by_event = dict(zip(Event, map(parsed, repository.messages), strict=True))
    assert by_event[Event.LOGIN][0].find("EventID").get("csd-code") == "110114"
    assert by_event[Event.OPEN_IMAGES][0].find("EventID").get("csd-code") == "110103"
    assert by_event[Event.VIDIMERA][0].get("EventActionCode") == "U"
    assert by_event[Event.EMERGENCY_CONSENT][0].find("EventTypeCode").get("csd-code") == "110127"
    ids = [
        each.get("ParticipantObjectID")
        for each in by_event[Event.OPEN_IMAGES].iter("ParticipantObjectIdentification")
    ]
    assert ids[:2] == ["2.25.7", "191212121212^^^&1.2.752.129.2.1.3.1&ISO"]
    destinations = [each.get("UserID") for each in by_event[Event.SEND].findall("ActiveParticipant")]
    assert destinations[-1] == "PACS"


async def test_a_repository_that_goes_away_misses_nothing_and_sees_what_came_twice(tmp_path: Path) -> None:
    async with a_repository() as repository, a_house(tmp_path) as house:
        await acts(house, 120)
        repository.hang_up_after = 60
        async with an_outbox(house, repository) as outbox:
            await until(lambda: set(repository.entries) == set(range(1, 121)))
            await repository.stop()
            await until(lambda: outbox.waiting == 0)
            await acts(house, 80, first=120)
            await asyncio.sleep(0.2)
            await repository.start()
            await until(lambda: set(repository.entries) == set(range(1, 201)))
        seen = list(dict.fromkeys(repository.entries))
        assert seen == sorted(seen)
        assert repository.connections >= 2


class Deaf:
    """A repository whose program reads nothing any more: its machine takes what comes all the same."""

    def __init__(self, port: int) -> None:
        self._listening = socket.socket()
        self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
        self._listening.bind(("127.0.0.1", port))
        self._listening.listen()
        self._listening.setblocking(False)
        self._taken: socket.socket | None = None

    async def accept(self) -> None:
        self._taken, _ = await asyncio.get_running_loop().sock_accept(self._listening)

    def die(self) -> None:
        """What was not read is lost, and the other side is told by a reset."""
        for each in (self._taken, self._listening):
            if each is not None:
                each.close()


async def test_what_a_repository_has_taken_and_not_read_when_it_dies_is_sent_again(tmp_path: Path) -> None:
    """Not the last call alone: its machine holds many."""
    repository = RecordRepository()
    async with a_house(tmp_path) as house:
        await acts(house, 300)
        deaf = Deaf(repository.port)
        async with an_outbox(house, repository) as outbox:
            await deaf.accept()
            await until(lambda: outbox.waiting == 0)
            deaf.die()
            await repository.start()
            await acts(house, 1, first=300)
            await until(lambda: set(repository.entries) == set(range(1, 302)))
        assert repository.entries == list(range(1, 302))
    await repository.stop()


async def test_what_was_not_read_when_this_process_ends_is_sent_by_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "ANCHOR_WAIT_S", 0.05)
    repository = RecordRepository()
    async with a_house(tmp_path) as house:
        await acts(house, 300)
        deaf = Deaf(repository.port)
        async with an_outbox(house, repository) as outbox:
            await deaf.accept()
            await until(lambda: outbox.waiting == 0)
        deaf.die()
        await repository.start()
        async with an_outbox(house, repository):
            await until(lambda: set(repository.entries) == set(range(1, 301)))
        assert repository.entries == list(range(1, 301))
    await repository.stop()


@pytest.mark.parametrize("is_by_tls", [False, True])
async def test_what_was_read_when_this_process_ends_comes_no_second_time(
    tmp_path: Path, is_by_tls: bool
) -> None:
    server = client = None
    if is_by_tls:
        certificate, key = authority(tmp_path)
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(certificate, key)
        client = ssl.create_default_context(cafile=certificate)
    repository = RecordRepository()
    await repository.start(server)
    async with a_house(tmp_path / "house") as house:
        await acts(house, 120)
        async with an_outbox(house, repository, client) as outbox:
            await until(lambda: outbox.waiting == 0)
        await acts(house, 3, first=120)
        async with an_outbox(house, repository, client) as outbox:
            await until(lambda: outbox.waiting == 0)
        assert repository.entries == list(range(1, 124))
    await repository.stop()


async def test_a_repository_that_ends_idle_connections_is_not_told_everything_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has read what it got, or its end would be a reset: only what it may not have dealt with comes again."""
    monkeypatch.setattr(limits, "SYSLOG_HANDLED_S", 0.0)
    async with a_repository() as repository, a_house(tmp_path) as house:
        await acts(house, 120)
        repository.hang_up_after = 120
        async with an_outbox(house, repository) as outbox:
            await until(lambda: outbox.waiting == 0 and len(repository.messages) == 120)
            await acts(house, 1, first=120)
            await until(lambda: 121 in repository.entries)
        assert set(repository.entries) == set(range(1, 122))
        assert len(repository.entries) <= 121 + 20


async def test_what_is_kept_to_be_sent_again_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SYSLOG_UNREAD_BYTES", 200_000)
    async with a_repository() as repository, a_house(tmp_path) as house:
        await acts(house, 1_000)
        async with an_outbox(house, repository) as outbox:
            await until(lambda: outbox.waiting == 0)
            receiver = outbox._receiver
            assert isinstance(receiver, SyslogReceiver)
            kept = [message for call in receiver._unread for message in call.messages]
            assert receiver._unread_bytes == sum(map(len, kept))
            assert 200_000 <= receiver._unread_bytes < 200_000 + 50 * max(map(len, kept))
            certain = await house.store.read(lambda connection: audit_rows.place_of(connection, "atna"))
            assert certain == (1_000 - len(kept), 1_000)


async def test_a_slow_node_does_not_set_the_place_of_another_back(tmp_path: Path) -> None:
    async with a_repository() as repository, a_house(tmp_path) as house:
        await acts(house, 10)
        slow = Outbox(
            house.store,
            house.clock,
            SyslogReceiver(Repository("127.0.0.1", repository.port, "samsyn@test", None), "host", "2"),
            first_pause_s=0.02,
        )
        await slow.start()
        await until(lambda: slow.waiting == 0)
        await slow.pause()
        await acts(house, 10, first=10)
        async with an_outbox(house, repository) as outbox:
            await until(lambda: outbox.waiting == 0)
        await slow.stop()
        assert await house.store.read(lambda connection: audit_rows.place_of(connection, "atna")) == (20, 20)


async def test_a_repository_that_was_never_there_gets_everything_when_it_comes(tmp_path: Path) -> None:
    repository = RecordRepository()
    await repository.start()
    await repository.stop()
    async with a_house(tmp_path) as house:
        await journal.write(house.store, entry(SYSTEM, Event.SEARCH))
        async with an_outbox(house, repository) as outbox:
            await until(lambda: outbox.failures > 1)
            await repository.start()
            await until(lambda: repository.entries == [1])
    await repository.stop()


def authority(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that vouches for itself, and its key."""
    import ipaddress

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "repository")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return folder / "cert.pem", folder / "key.pem"


async def test_over_tls_with_client_certificate_and_not_to_a_stranger(tmp_path: Path) -> None:
    certificate, key = authority(tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    server.load_verify_locations(certificate)
    server.verify_mode = ssl.CERT_REQUIRED
    client = ssl.create_default_context(cafile=certificate)
    client.load_cert_chain(certificate, key)
    repository = RecordRepository()
    await repository.start(server)
    async with a_house(tmp_path / "house") as house:
        await acts(house, 5)
        async with an_outbox(house, repository, ssl.create_default_context()) as outbox:
            await until(lambda: outbox.failures > 1)
        assert repository.messages == []
        async with an_outbox(house, repository, client):
            await until(lambda: repository.entries == [1, 2, 3, 4, 5])
    await repository.stop()


def test_the_repository_of_the_test_refuses_a_message_without_mark() -> None:
    with pytest.raises(AssertionError):
        parsed(b"<85>1 x DICOM+RFC3881 - <AuditMessage/>")
