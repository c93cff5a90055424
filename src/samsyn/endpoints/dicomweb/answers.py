"""What the door answers, and how it goes out over ASGI."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass

import orjson
from starlette.types import Receive, Scope, Send

from samsyn.errors import NotAuthenticated, OutOfResources, SamsynError
from samsyn.exchange.gathering import PIECES, Pieces
from samsyn.wire.whole_answer import EXTENSION, Ready, SendWhole

DICOM_JSON = b"application/dicom+json"
_NOT_KEPT = ((b"cache-control", b"private, no-store"), (b"x-content-type-options", b"nosniff"))
"""Personal data are kept by nobody on the way, and never guessed to be a page or a program."""
_ASKED_AGAIN = (
    (b"cache-control", b"private, max-age=0, must-revalidate"),
    (b"x-content-type-options", b"nosniff"),
    (b"vary", b"Accept, Accept-Encoding, Authorization, Cookie"),
)
"""What has an entity tag may be kept by the reader's own program, which asks before every use: a kept answer
never outlives the View, since the question is decided like the first one."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One response. A body in pieces goes out piece by piece, so that a large one is not copied to be joined.

    A streamed body has a known `length` in bytes, or -1.
    """

    status: int
    body: bytes | tuple[bytes | memoryview, ...] | AsyncIterator[bytes | Pieces] = b""
    content_type: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    length: int = -1
    tag: bytes = b""
    """The entity tag; "" = the answer is not to be kept."""


def refusal(error: SamsynError, status: int) -> Answer:
    """The public sentence and code of an error; never its detail, which may name what is hidden."""
    headers: list[tuple[bytes, bytes]] = []
    if isinstance(error, NotAuthenticated):
        headers.append((b"www-authenticate", b"Bearer"))
    if isinstance(error, OutOfResources):
        headers.append((b"retry-after", b"10"))
    body = orjson.dumps({"code": error.code, "message": error.sentence})
    return Answer(status, body, b"application/json", tuple(headers))


def plain_refusal(status: int, sentence: str, *headers: tuple[bytes, bytes]) -> Answer:
    """A refusal by HTTP's own rules (405, 406, 415), without an error of the house."""
    return Answer(status, orjson.dumps({"code": "http", "message": sentence}), b"application/json", headers)


def not_modified(tag: bytes) -> Answer:
    """304: the client has it already. Only for what the View shows, and after the opening is written down."""
    return Answer(304, tag=tag)


def new_boundary() -> str:
    """A multipart boundary that no content holds but by a chance of 2^-128."""
    return f"samsyn-{secrets.token_hex(16)}"


async def send_answer(answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
    """Sends the whole answer, to HEAD without its body, and in one write where that can be.

    A stream that fails in the middle ends the connection, so it is never taken for a whole one; a client that went
    away frees the work at once.
    """
    pieces = (answer.body,) if isinstance(answer.body, bytes) else answer.body
    headers = _headers(answer, pieces)
    with_body = scope["method"] != "HEAD"
    if isinstance(pieces, tuple) and with_body:
        send_whole: SendWhole | None = scope.get("extensions", {}).get(EXTENSION)
        if send_whole is not None:
            await send_whole(answer.status, headers, pieces)
            return
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if isinstance(pieces, tuple) and with_body:
        for piece in pieces[:-1]:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": pieces[-1], "more_body": False})
        return
    if with_body and not isinstance(pieces, tuple):
        await _stream(pieces, PIECES in scope.get("extensions", ()), receive, send)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def ready(answer: Answer) -> Ready:
    """An answer whose body is all there, for a listener that takes it at once."""
    pieces = (answer.body,) if isinstance(answer.body, bytes) else answer.body
    assert isinstance(pieces, tuple)
    return answer.status, _headers(answer, pieces), pieces


def _headers(
    answer: Answer, pieces: tuple[bytes | memoryview, ...] | AsyncIterator[bytes | Pieces]
) -> list[tuple[bytes, bytes]]:
    headers = [*(_ASKED_AGAIN if answer.tag else _NOT_KEPT), *answer.headers]
    if answer.tag:
        headers.append((b"etag", answer.tag))
    if answer.content_type:
        headers.append((b"content-type", answer.content_type))
    length = sum(map(len, pieces)) if isinstance(pieces, tuple) else answer.length
    if length >= 0 and answer.status not in (204, 304):
        headers.append((b"content-length", b"%d" % length))
    return headers


async def _stream(
    pieces: AsyncIterator[bytes | Pieces], takes_pieces: bool, receive: Receive, send: Send
) -> None:
    gone = asyncio.create_task(_disconnected(receive))
    try:
        async for piece in pieces:
            if gone.done():
                return
            if isinstance(piece, Pieces) and not takes_pieces:
                piece = piece.joined()
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    finally:
        gone.cancel()


async def _disconnected(receive: Receive) -> None:
    """Returns when the client has gone; the server does not tell it when sending."""
    while (await receive())["type"] != "http.disconnect":
        pass
