"""What a record tells of its body: SHA-256, which proves it, and the quick check (`store.checksum`)."""

import asyncio
import hashlib

from samsyn import limits
from samsyn.store.checksum import Bytes, checksum_of
from samsyn.store.spool import SpooledBody


async def digests(body: Bytes | SpooledBody) -> tuple[str, int]:
    """SHA-256 (hex) and checksum. Small bodies are hashed in place (0.1 ms for 130 kB); large ones in a thread, so
    that others go on."""
    if isinstance(body, SpooledBody):
        return body.sha256, body.checksum
    if len(body) < 4 * limits.MIB:
        return digests_of(body)
    return await asyncio.to_thread(digests_of, body)


def digests_of(body: Bytes) -> tuple[str, int]:
    """The same, in place."""
    return hashlib.sha256(body).hexdigest(), checksum_of(body)
