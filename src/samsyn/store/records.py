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
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from samsyn import limits
from samsyn.errors import DamagedData

MAGIC = b"SJ01"
FRAME = struct.Struct("<4sIQI")
_PIECE = 4 * limits.MIB
_HEADER_BYTES = 64 * limits.KIB
"""As long as nearly every header is at most."""


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


@dataclass(frozen=True, slots=True)
class Found:
    """A record whose frame and header are whole: the header, the body's length and where the record ends."""

    header: RecordHeader
    body_length: int
    ends: int


def find(read: Callable[[int, int], bytes], offset: int, size: int) -> Found | None:
    """The record that starts at the offset of a file of `size` bytes, its body unread; None when it is no whole one."""
    frame = decode_frame(read(offset, min(FRAME.size, size - offset)))
    if frame is None:
        return None
    header_length, body_length, crc = frame
    ends = offset + FRAME.size + body_length + header_length
    if ends > size:
        return None
    header = decode_header(read(ends - header_length, header_length), crc)
    return Found(header, body_length, ends) if header is not None else None


def find_behind(
    read: Callable[[int, int], bytes], offset: int, size: int, last: int
) -> tuple[int, Found] | None:
    """Where the next record with a whole header begins, at or behind the offset and before `last`; its body unread."""
    last = min(size, last)
    while offset < last:
        piece = read(offset, min(_PIECE, size - offset))
        place = piece.find(MAGIC)
        if place < 0:
            offset += max(len(piece) - len(MAGIC) + 1, 1)
            continue
        found = find(read, offset + place, size)
        if found is not None:
            return offset + place, found
        offset += place + 1
    return None


def ends_there(read: Callable[[int, int], bytes], ends: int, sequence: int) -> bool:
    """Whether the record with that number ends at that offset of a file. `read(offset, length)` may raise DamagedData,
    which means no. Its header is looked for backwards; how long it is, only its beginning tells."""
    mark = b'{"n":%d,"t":' % sequence
    length = _HEADER_BYTES
    while True:
        begins = max(ends - length, 0)
        try:
            data = read(begins, ends - begins)
        except DamagedData:
            return False
        place = data.rfind(mark)
        while place >= 0:
            header = data[place:]
            if decode_header(header, zlib.crc32(header)) is not None:
                return True
            place = data.rfind(mark, 0, place)
        if not data.endswith(b"}") or not begins or length > limits.MAX_RECORD_HEADER_BYTES:
            return False
        length *= 16


def has_whole_body(read: Callable[[int, int], bytes], offset: int, found: Found) -> bool:
    """Whether the body of the record that starts at the offset has its hash; True where there is no body."""
    sha256 = found.header.sha256
    return not sha256 or has_hash(read, offset + FRAME.size, found.body_length, sha256)


def has_hash(read: Callable[[int, int], bytes], offset: int, length: int, sha256: str) -> bool:
    """Whether `length` bytes from the offset on have the SHA-256 (hex). `read(offset, length)` may raise DamagedData,
    which means no."""
    digest, end = hashlib.sha256(), offset + length
    while offset < end:
        try:
            piece = read(offset, min(_PIECE, end - offset))
        except DamagedData:
            return False
        digest.update(piece)
        offset += len(piece)
    return digest.hexdigest() == sha256
