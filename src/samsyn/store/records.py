"""One journal record: frame, body, header. Pure functions on bytes.

Layout (little endian)::

    magic 4 | header length u32 | body length u64 | CRC-32 of header u32 | body | header

The body comes first so that its place is known before the header is written: the header's row operations name
it. The header is JSON: `n` sequence, `t` time (ISO 8601, UTC), `h` SHA-256 of the body (hex, "" without
body), `o` row operations.
"""

import hashlib
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import orjson

from samsyn import limits
from samsyn.errors import DamagedData

MAGIC = b"SJ01"
FRAME = struct.Struct("<4sIQI")


@dataclass(frozen=True, slots=True)
class RecordHeader:
    """What a record says about itself. `operations` are as `store.index.operations` defines them."""

    sequence: int
    time: str
    sha256: str
    operations: list[Any]


def encode_header(sequence: int, time: str, sha256: str, operations: list[Any]) -> bytes:
    """The header's bytes."""
    return orjson.dumps({"n": sequence, "t": time, "h": sha256, "o": operations})


def encode_frame(header: bytes, body_length: int) -> bytes:
    """The frame that goes before body and header."""
    return FRAME.pack(MAGIC, len(header), body_length, zlib.crc32(header))


def decode_frame(data: bytes) -> tuple[int, int, int] | None:
    """(header length, body length, header CRC), or None when this is not a whole, sane frame."""
    if len(data) < FRAME.size:
        return None
    magic, header_length, body_length, crc = FRAME.unpack(data[: FRAME.size])
    if magic != MAGIC or not 0 < header_length <= limits.MAX_RECORD_HEADER_BYTES:
        return None
    if body_length > limits.MAX_INSTANCE_BYTES:
        return None
    return header_length, body_length, crc


def decode_header(data: bytes, crc: int) -> RecordHeader | None:
    """The header, or None when its checksum does not fit (a torn or rotten record)."""
    if zlib.crc32(data) != crc:
        return None
    try:
        fields = orjson.loads(data)
        return RecordHeader(fields["n"], fields["t"], fields["h"], fields["o"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None


def verify_body(body: bytes, sha256: str) -> None:
    """Raises DamagedData unless the body has the hash that was recorded when it arrived."""
    if hashlib.sha256(body).hexdigest() != sha256:
        raise DamagedData("SHA-256 of a stored body does not match its record")
