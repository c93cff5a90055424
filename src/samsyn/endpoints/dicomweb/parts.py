"""A representation in one piece, whole (200) or by byte ranges (206), or the word that there is no such part (416)."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from samsyn.endpoints.dicomweb.answers import Answer, new_boundary
from samsyn.endpoints.dicomweb.asked import Asked
from samsyn.wire.byte_ranges import Span, content_range, spans_of
from samsyn.wire.multipart import closing

_AT_ONCE_BYTES = 1024 * 1024
"""Ranges up to this size in all are read before the status is sent."""
_ACCEPT_RANGES = (b"accept-ranges", b"bytes")


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a representation: all at once, or read as they are sent."""

    length: int
    whole: Callable[[], AsyncIterator[bytes]]
    """Everything; what is damaged raises DamagedData before its last piece."""
    part: Callable[[int, int], AsyncIterator[bytes]]
    """`length` bytes from `first` on."""


def content_of(data: bytes) -> Content:
    """Bytes that are already in memory."""

    async def part(first: int, length: int) -> AsyncIterator[bytes]:
        yield data[first : first + length]

    return Content(len(data), lambda: part(0, len(data)), part)


def whole_part(pieces: tuple[bytes | memoryview, ...], media_type: bytes, tag: bytes) -> Answer:
    """A representation as one part to who asks for all of it."""
    return Answer(200, pieces, media_type, (_ACCEPT_RANGES,), tag=tag)


async def single_part(
    asked: Asked,
    content: Content,
    media_type: bytes,
    tag: bytes,
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> Answer:
    """The representation as one part, or the ranges of it that were asked for (RFC 9110 14.2, 15.3.7)."""
    headers = (*headers, _ACCEPT_RANGES)
    wanted = asked.wanted_range(tag)
    spans = spans_of(wanted, content.length) if wanted else None
    if spans is None:
        whole: bytes | AsyncIterator[bytes] = content.whole()
        if content.length <= _AT_ONCE_BYTES:
            whole = await _joined(content.whole())
        return Answer(200, whole, media_type, headers, content.length, tag)
    if not spans:
        nothing = (b"content-range", content_range(None, content.length).encode())
        return Answer(416, headers=(*headers, nothing))
    if len(spans) == 1:
        return await _one(content, spans[0], media_type, tag, headers)
    return await _several(content, spans, media_type, tag, headers)


async def _one(
    content: Content, span: Span, media_type: bytes, tag: bytes, headers: tuple[tuple[bytes, bytes], ...]
) -> Answer:
    first, length = span
    where = (b"content-range", content_range(span, content.length).encode())
    body: bytes | AsyncIterator[bytes] = content.part(first, length)
    if length <= _AT_ONCE_BYTES:
        body = await _joined(content.part(first, length))
    return Answer(206, body, media_type, (*headers, where), length, tag)


async def _several(
    content: Content,
    spans: tuple[Span, ...],
    media_type: bytes,
    tag: bytes,
    headers: tuple[tuple[bytes, bytes], ...],
) -> Answer:
    boundary = new_boundary()
    heads = [
        f"\r\n--{boundary}\r\nContent-Type: {media_type.decode()}\r\n"
        f"Content-Range: {content_range(span, content.length)}\r\n\r\n".encode()
        for span in spans
    ]
    end = closing(boundary)
    total = sum(map(len, heads)) + sum(length for _, length in spans) + len(end)

    async def body() -> AsyncIterator[bytes]:
        for head, (first, length) in zip(heads, spans, strict=True):
            yield head
            async for piece in content.part(first, length):
                yield piece
        yield end

    made: bytes | AsyncIterator[bytes] = body()
    if total <= _AT_ONCE_BYTES:
        made = await _joined(body())
    return Answer(206, made, f"multipart/byteranges; boundary={boundary}".encode(), headers, total, tag)


async def _joined(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])
