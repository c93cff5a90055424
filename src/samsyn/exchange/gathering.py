"""Many pieces in one write, none of them copied: what leaves is sent from where it was read to."""

import asyncio
import os
from collections.abc import Sequence
from typing import Final, TypeAlias

from samsyn import limits

Piece: TypeAlias = bytes | bytearray | memoryview
_WORTH_IT_BYTES: Final = 64 * limits.KIB
"""Less than this is joined: a copy costs less than a list of addresses."""
_AT_ONCE: Final = 512
"""Pieces of one call: Linux takes 1,024."""


PIECES: Final = "samsyn.pieces"
"""Key of `extensions` in the scope of a request: a body may be `Pieces` instead of bytes."""


class Pieces:
    """Bytes in pieces, which stay as they are until they are written."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.pieces = pieces
        self._length = sum(map(len, pieces))

    def __len__(self) -> int:
        """How many bytes."""
        return self._length

    def joined(self) -> bytes:
        """All of it, copied."""
        return b"".join(self.pieces)


class Gathering:
    """The writing side of a transport, for pieces. Over TLS, and behind bytes that still wait, they are joined."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.written = 0
        """Bytes handed over so far."""
        connection = transport.get_extra_info("socket")
        is_plain = connection is not None and transport.get_extra_info("ssl_object") is None
        self._descriptor = connection.fileno() if is_plain else -1

    def write(self, pieces: Sequence[Piece]) -> None:
        """Writes the pieces in order; what the system does not take at once waits in the transport. None of them may
        change any more.

        Nothing when the transport is closing: its descriptor may be another connection's soon.
        """
        transport = self._transport
        if transport.is_closing():
            return
        length = sum(map(len, pieces))
        self.written += length
        is_free = self._descriptor >= 0 and not transport.get_write_buffer_size()
        if is_free and length > _WORTH_IT_BYTES:
            pieces = self._left(pieces)
            for piece in pieces:
                transport.write(piece)
        elif pieces:
            transport.write(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    def _left(self, pieces: Sequence[Piece]) -> Sequence[Piece]:
        """Hands the pieces to the system; those that it did not take. A connection that is lost takes none: the
        transport meets the same fault and tells it."""
        for first in range(0, len(pieces), _AT_ONCE):
            some = pieces[first : first + _AT_ONCE]
            try:
                sent = os.writev(self._descriptor, some)
            except OSError:
                return pieces[first:]
            for place, piece in enumerate(some, first):
                if sent < len(piece):
                    return [memoryview(piece)[sent:], *pieces[place + 1 :]]
                sent -= len(piece)
        return ()
