"""Sending HL7 v2 messages to a receiver over MLLP, one after the other, each after the answer to the one before."""

import asyncio
import contextlib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from samsyn import limits
from samsyn.errors import BadInput, LimitExceeded, OutOfResources
from samsyn.hl7v2.header import peek
from samsyn.wire.mllp import BlockReader, framed

_READ_BYTES: Final = 8_192
_ACCEPTED: Final = frozenset({"AA", "CA"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a receiver listens."""

    host: str
    port: int
    tls: bool


async def send(place: Place, messages: Sequence[bytes], context: ssl.SSLContext | None) -> None:
    """Returns when each has been accepted. OutOfResources: one was not; those before it were, and may come again."""
    if place.tls and context is None:
        raise OutOfResources("a receiver by TLS, and [mllp_tls] has no certificate")
    try:
        async with asyncio.timeout(limits.CONNECT_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(
                place.host, place.port, ssl=context if place.tls else None
            )
    except (OSError, ssl.SSLError, TimeoutError) as problem:
        raise OutOfResources(f"the receiver is not reached: {type(problem).__name__}") from None
    try:
        for message in messages:
            async with asyncio.timeout(limits.HL7_MESSAGE_TIMEOUT_S):
                writer.write(framed(message))
                await writer.drain()
                code = _code_in(await _answer(reader), peek(message).control_id)
            if code not in _ACCEPTED:
                # Its own words may name the patient, so the code alone is told on.
                raise OutOfResources(f"the receiver answers {code or 'nothing that is an answer'}")
    except (OSError, ssl.SSLError, TimeoutError) as problem:
        raise OutOfResources(f"the receiver went away: {type(problem).__name__}") from None
    finally:
        writer.close()
        with contextlib.suppress(OSError, ssl.SSLError, TimeoutError):
            await asyncio.wait_for(writer.wait_closed(), limits.CLOSE_TIMEOUT_S)


async def _answer(reader: asyncio.StreamReader) -> bytes:
    blocks = BlockReader(limits.MAX_HL7_ANSWER_BYTES)
    try:
        while (block := blocks.next_block()) is None:
            data = await reader.read(_READ_BYTES)
            if not data:
                blocks.end()
                raise OutOfResources("the receiver hung up without an answer")
            blocks.feed(data)
    except (BadInput, LimitExceeded):
        raise OutOfResources("the receiver answers something that is no MLLP") from None
    return block


def _code_in(answer: bytes, control_id: str) -> str:
    """MSA-1 when MSA-2 names our message, else ""."""
    for line in answer.replace(b"\n", b"\r").split(b"\r"):
        fields = line.split(b"|")
        if fields[0] == b"MSA" and len(fields) > 2 and fields[2].strip() == control_id.encode():
            return fields[1].strip().decode("latin-1")[:2]
    return ""
