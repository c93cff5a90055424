"""Bad input at the HTTP port of a running server: a clear refusal, memory bounded, the door stays open."""

import contextlib
import re
import socket
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.dicom.test_reading import DEFLATED, nested
from tests.dicomweb.house import STOW_TYPE, body_of, data_set, file_of, image, image_file
from tests.scratch import Running

pytestmark = pytest.mark.slow
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def client(scratch: Running) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {scratch.system_token('NORDWEB')}"}
    with httpx.Client(base_url=f"{scratch.http}/dicomweb", headers=headers, timeout=60) as made:
        yield made


def resident(scratch: Running) -> int:
    """Bytes of memory of the server now."""
    status = Path(f"/proc/{scratch.process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1024


def send(client: httpx.Client, *files: bytes) -> httpx.Response:
    return client.post("/studies", content=body_of(list(files)), headers={"Content-Type": STOW_TYPE})


def alive(client: httpx.Client) -> bool:
    before = time.monotonic()
    return client.get("/studies?limit=1").status_code in (200, 204) and time.monotonic() - before < 2


@pytest.mark.parametrize(
    "name", ["truncated", "deep", "deeper", "million elements", "no study", "path for a UID", "lying length"]
)
def test_a_bad_object_fails_alone_in_bounded_time_and_memory(
    scratch: Running, client: httpx.Client, name: str
) -> None:
    good = data_set(image())
    bad = {
        "truncated": good[:-1],
        "deep": good + nested(1_000, defined=False),
        "deeper": good + nested(100_000, defined=True),
        "million elements": good + b"\xf1\x7f\x01\x10LO\0\0" * 1_100_000,
        "no study": data_set(image(StudyInstanceUID=None)),
        "path for a UID": data_set(image(StudyInstanceUID="../../etc/cron.d/x")),
        "lying length": good + b"\xf1\x7f\x01\x10OB\0\0\xfe\xff\xff\xff",
    }[name]
    memory, begin = resident(scratch), time.monotonic()
    response = send(client, file_of(bad))
    assert response.status_code == 409
    assert response.json()["00081198"]["Value"][0]["00081197"]["Value"][0] in (0xC000, 0xA700)
    assert time.monotonic() - begin < 5
    assert resident(scratch) - memory < 64 * MIB
    assert alive(client)
    assert client.get("/studies/2.25.10").status_code == 404


def test_a_deflate_bomb_costs_its_sender_a_refusal(scratch: Running, client: httpx.Client) -> None:
    machine = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = machine.compress(data_set(image()))
    bomb = head + b"".join(machine.compress(bytes(MIB)) for _ in range(700)) + machine.flush()
    memory = resident(scratch)
    response = send(client, file_of(bomb, syntax=DEFLATED))
    assert response.status_code == 409
    assert response.json()["00081198"]["Value"][0]["00081197"]["Value"] == [0xA700]
    assert resident(scratch) - memory < 96 * MIB
    assert alive(client)


def test_a_million_empty_parts_and_endless_preambles_are_refused(client: httpx.Client) -> None:
    for content in (b"--B\r\n\r\n\r\n" * 200_000, b"x" * 10 * MIB, b"--B\r\nX: " + b"a" * MIB):
        begin = time.monotonic()
        try:
            response = client.post("/studies", content=content, headers={"Content-Type": STOW_TYPE})
        except httpx.TransportError:
            continue  # the refusal may close the connection while we still send
        assert response.status_code in (400, 409, 413)
        assert time.monotonic() - begin < 5
    assert alive(client)


def exchange(scratch: Running, *pieces: bytes, pause: float = 0.0) -> bytes:
    """Raw bytes to the port and what comes back until the server closes or is silent."""
    address = urlsplit(scratch.http)
    answer = b""
    with (
        socket.create_connection((address.hostname, address.port), timeout=5) as connection,
        contextlib.suppress(OSError),
    ):
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause)
        connection.settimeout(2)
        while chunk := connection.recv(65_536):
            answer += chunk
    return answer


def test_what_is_no_http_is_refused_and_forgotten(scratch: Running, client: httpx.Client) -> None:
    associate = b"\x01\x00\x00\x00\x00\xcd\x00\x01\x00\x00SAMSYN          BENCH           " + bytes(100)
    for noise in (
        associate,
        bytes(1_000),
        b"GET /dicomweb/studies HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
    ):
        answer = exchange(scratch, noise)
        assert b" 200 " not in answer
    assert alive(client)


def test_an_announced_terabyte_is_refused_before_it_comes(scratch: Running, client: httpx.Client) -> None:
    token = scratch.system_token("NORDWEB").encode()
    head = (
        b"POST /dicomweb/studies HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + b"\r\n"
        b"Content-Type: " + STOW_TYPE.encode() + b"\r\nContent-Length: 1099511627776\r\n\r\n"
    )
    assert b" 413 " in exchange(scratch, head).split(b"\r\n")[0]
    assert alive(client)


def test_a_client_that_goes_away_in_the_middle_leaves_nothing_unfinished(
    scratch: Running, client: httpx.Client
) -> None:
    token = scratch.system_token("NORDWEB").encode()
    body = body_of([image_file(8, StudyInstanceUID="2.25.80", SeriesInstanceUID="2.25.81")])
    address = urlsplit(scratch.http)
    for cut in (10, len(body) // 2, len(body) - 20):
        with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
            connection.sendall(
                b"POST /dicomweb/studies HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + b"\r\n"
                b"Content-Type: " + STOW_TYPE.encode() + b"\r\nContent-Length: %d\r\n\r\n" % len(body)
            )
            connection.sendall(body[:cut])
            time.sleep(0.1)
    time.sleep(0.3)
    assert client.get("/studies/2.25.80").status_code == 404
    assert alive(client)


def test_a_reader_that_goes_away_frees_its_work(scratch: Running, client: httpx.Client) -> None:
    pixels = bytes(8 * MIB)
    files = [
        image_file(
            n, StudyInstanceUID="2.25.90", SeriesInstanceUID="2.25.91", PixelData=pixels, NumberOfFrames=1
        )
        for n in range(90, 98)
    ]
    for file in files:
        assert send(client, file).status_code == 200
    memory = resident(scratch)
    token = scratch.system_token("NORDWEB").encode()
    address = urlsplit(scratch.http)
    request = (
        b"GET /dicomweb/studies/2.25.90 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + b"\r\n\r\n"
    )
    connections = []
    for _ in range(20):
        connection = socket.create_connection((address.hostname, address.port), timeout=5)
        connection.sendall(request)
        connections.append(connection)
    assert alive(client)
    time.sleep(1)
    assert resident(scratch) - memory < 20 * 5 * MIB
    for connection in connections:
        connection.close()
    time.sleep(1)
    assert alive(client)
