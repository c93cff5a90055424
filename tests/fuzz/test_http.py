"""Mutated HTTP requests, several on a connection: each is answered or refused, none is an internal error.

What follows a request that can not be parsed is never read, so `SAMSYN_FUZZ_HTTP` sets how many must be answered;
`SAMSYN_FUZZ_SEED` where the dice start. Part of `make fuzz`.
"""

import asyncio
import contextlib
import random
import re
from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from tests.dicomweb.house import STOW_TYPE, body_of, image_file
from tests.fuzz.amounts import MOST_GROWTH_BYTES, SEED, amount, faults, resident_bytes
from tests.fuzz.requests import broken_request, legal_request
from tests.scratch import Running

pytestmark = [pytest.mark.slow, pytest.mark.hypothesis]
REQUESTS = amount("HTTP", 1_500, 100_000)
AT_ONCE = 48
"""Broken clients at the same time."""
SILENT_S = 1.0
"""A client that is sent nothing for so long has hung up its half: the server may be waiting for a body."""
CLOSED_WITHIN_S = 60.0
"""The server closes after that within this time."""
TEMPLATES = 1_000
LAST = b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
"""A whole request behind the broken ones: who still understands us answers it and hangs up."""
MIB = 1024 * 1024
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


def pipelines(tokens: list[str]) -> Iterator[tuple[int, bytes]]:
    """What is sent on one connection and how many broken requests it holds, without end."""
    dice = random.Random(SEED)
    templates = [legal_request(dice, tokens) for _ in range(min(TEMPLATES, REQUESTS))]
    while True:
        count = dice.choice((1, 1, 1, 2, 4))
        yield count, b"".join(broken_request(dice, dice.choice(templates)) for _ in range(count)) + LAST


async def speak(host: str, port: int, stream: bytes, statuses: Counter[int]) -> None:
    """One broken client: sends all at once, reads what comes, hangs up its half when nothing does."""
    reader, writer = await asyncio.open_connection(host, port)
    tail = b""

    async def read() -> bytes:
        nonlocal tail
        piece = await reader.read(65_536)
        text = tail + piece
        statuses.update(int(status) for status in STATUS.findall(text))
        tail = text[-12:]
        return piece

    try:
        async with asyncio.timeout(CLOSED_WITHIN_S):
            writer.write(stream)
            with contextlib.suppress(TimeoutError):
                while True:
                    async with asyncio.timeout(SILENT_S):
                        if not await read():
                            return
            writer.write_eof()
            while await read():
                pass
    except OSError as problem:
        if isinstance(problem, TimeoutError):
            raise AssertionError(f"not closed: {stream[:400]!r}") from problem
    finally:
        writer.close()


async def test_a_server_that_is_sent_mutated_requests_has_no_internal_error_and_keeps_its_memory(
    scratch: Running,
) -> None:
    process, address = scratch.process.pid, urlsplit(scratch.http)
    assert address.hostname and address.port
    tokens = [scratch.system_token(name) for name in ("NORDWEB", "NORDSTEWARD", "KLARAWEB")]
    tokens.append(scratch.persona_token("radiologist"))
    headers = {"Authorization": f"Bearer {tokens[0]}", "Connection": "close"}
    async with httpx.AsyncClient(headers=headers, timeout=60) as client:

        async def serves() -> None:
            own = {"StudyInstanceUID": "2.25.990", "SeriesInstanceUID": "2.25.991"}
            body = body_of([image_file(n, SOPInstanceUID=f"2.25.99{n}", **own) for n in (1, 2)])
            stored = await client.post(
                f"{scratch.http}/dicomweb/studies", content=body, headers={"Content-Type": STOW_TYPE}
            )
            assert stored.status_code == 200
            found = await client.get(f"{scratch.http}/dicomweb/studies/2.25.990/metadata")
            assert found.status_code == 200

        await serves()
        idle, largest, connections, sent = resident_bytes(process), 0, 0, 0
        statuses: Counter[int] = Counter()
        source = pipelines(tokens)

        async def peer() -> None:
            nonlocal largest, connections, sent
            # Of each connection one answer is left out: it may be that of the whole request at its end.
            while statuses.total() - connections < REQUESTS:
                count, stream = next(source)
                connections += 1
                sent += count
                await speak(str(address.hostname), int(address.port or 0), stream, statuses)
                if connections % 300 == 0:
                    largest = max(largest, resident_bytes(process))
                    await serves()

        await asyncio.gather(*(peer() for _ in range(AT_ONCE)))
        await serves()
    grown = max(largest, resident_bytes(process)) - idle
    kinds = Counter(dict.fromkeys(("2xx", "3xx", "4xx", "5xx"), 0))
    for status, count in statuses.items():
        kinds[f"{status // 100}xx"] += count
    print(
        f"{sent:,} mutated HTTP requests on {connections:,} connections (seed {SEED}), over {REQUESTS:,} answered: "
        + ", ".join(f"{count:,} {kind}" for kind, count in sorted(kinds.items()))
        + f", 0 crashes, memory {grown / MIB:+.0f} MiB above idle"
    )
    assert scratch.process.poll() is None
    assert faults(scratch.log) == []
    assert not [status for status in statuses if status in (500, 502)]
    assert kinds["2xx"] > 0.05 * REQUESTS
    assert kinds["4xx"] > 0.2 * REQUESTS
    assert grown < MOST_GROWTH_BYTES


@pytest.mark.parametrize(
    "target",
    [
        "/fhir",
        "/fhir/Patient/_search",
        "/dicomweb/studies",
        "/find",
        "/smart/token",
        "/demo-idp/token",
        "/soap/clinicalprocess/healthcond/actoutcome/GetImagingOutcome/1",
    ],
)
async def test_a_client_that_goes_away_inside_its_body_is_no_fault_of_ours(
    scratch: Running, target: str
) -> None:
    address, token = urlsplit(scratch.http), scratch.system_token("NORDWEB")
    _, writer = await asyncio.open_connection(address.hostname, address.port)
    kind = (
        "application/x-www-form-urlencoded"
        if target.endswith(("_search", "token"))
        else "application/fhir+json"
    )
    head = f"POST {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: {kind}\r\n"
    writer.write(f"{head}Content-Length: 500\r\n\r\n{{".encode())
    await asyncio.sleep(0.3)
    writer.close()
    await asyncio.sleep(0.3)
    assert faults(scratch.log) == []
