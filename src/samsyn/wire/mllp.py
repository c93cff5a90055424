"""MLLP framing without sockets: bytes in, whole blocks out (HL7 Minimal Lower Layer Protocol, release 1).

A block is VT (0x0B), the message, FS CR (0x1C 0x0D). Between blocks only CR and LF are tolerated, because
some senders end a block with CR LF; anything else (HTTP, TLS or DICOM bytes) is not MLLP and costs the
connection. VT or FS inside a message is never content: no character set of HL7 v2 has them as a letter, so a
second VT means that the end of the first block got lost, and the half message is not handed out.
"""

from samsyn.errors import BadInput, LimitExceeded
from samsyn.limits import MAX_HL7_MESSAGE_BYTES

START_BLOCK = 0x0B
END_BLOCK = 0x1C
CARRIAGE_RETURN = 0x0D
_BETWEEN = b"\r\n"
_BEGINNING_BYTES = 8_192


class BlockReader:
    """Cuts one connection's bytes into blocks.

    `feed` only keeps bytes; `next_block` hands out what is whole, so blocks before a fault in the same packet
    are still answered. After a fault the reader stays at fault: the connection is to be closed. Memory is
    bounded by `max_bytes` and what one `feed` brings, if every block is taken before more is fed.
    """

    def __init__(self, max_bytes: int = MAX_HL7_MESSAGE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._buffer = bytearray()
        self._inside = False
        self._searched = 0
        self._fault: BadInput | LimitExceeded | None = None
        self._whole: bytes | None = None
        self.refused_beginning = b""
        """First bytes of a message that was refused for its size, so that the refusal can name it."""

    @property
    def inside_block(self) -> bool:
        """Whether a block has begun and not ended: the whole-message deadline runs."""
        return self._inside or self._whole is not None or bool(self._buffer.strip(_BETWEEN))

    def feed(self, data: bytes) -> None:
        """Take bytes as they came from the connection, in any portions."""
        if self._fault is not None:
            return
        if self._whole is not None:
            self._buffer += b"\x0b%b\x1c\r" % self._whole
            self._whole = None
        elif not self._buffer and not self._inside and self._is_one_block(data):
            self._whole = data[1:-2]  # the usual case: what has come is one message
            return
        self._buffer += data

    def next_block(self) -> bytes | None:
        """The next whole message without its frame, or None when more bytes are needed.

        Raises BadInput for bytes that are not MLLP and LimitExceeded for a message above the limit (told as
        soon as the limit is passed, without waiting for an end).
        """
        if self._fault is not None:
            raise self._fault
        if self._whole is not None:
            whole, self._whole = self._whole, None
            return whole
        if not self._inside and not self._begin():
            return None
        return self._finish()

    def end(self) -> None:
        """The peer closed. Raises BadInput when it did so inside a block: that message was never sent whole."""
        if self._fault is None and self.inside_block:
            self._fail(BadInput("the connection ended inside an MLLP block, before FS CR"))
        if self._fault is not None:
            raise self._fault

    def _is_one_block(self, data: bytes) -> bool:
        end = len(data) - 2
        return (
            0 < end <= self._max_bytes
            and data[0] == START_BLOCK
            and data[-1] == CARRIAGE_RETURN
            and data.find(END_BLOCK) == end
            and data.find(START_BLOCK, 1) < 0
        )

    def _begin(self) -> bool:
        """Skip line ends, take VT; False when nothing has come yet."""
        skipped = 0
        for byte in self._buffer:
            if byte not in _BETWEEN:
                break
            skipped += 1
        del self._buffer[:skipped]
        if not self._buffer:
            return False
        if self._buffer[0] != START_BLOCK:
            self._fail(BadInput("bytes outside an MLLP block: a block starts with VT (0x0B)"))
        del self._buffer[:1]
        self._inside = True
        self._searched = 0
        return True

    def _finish(self) -> bytes | None:
        end = self._buffer.find(END_BLOCK, self._searched)
        restart = self._buffer.find(START_BLOCK, self._searched, end if end >= 0 else len(self._buffer))
        if restart >= 0:
            self._fail(BadInput("VT (0x0B) inside an MLLP block: the block before it has no FS CR"))
        if (end if end >= 0 else len(self._buffer)) > self._max_bytes:
            self._fail(
                LimitExceeded(f"MAX_HL7_MESSAGE_BYTES: the message is larger than {self._max_bytes} bytes")
            )
        if end < 0:
            self._searched = len(self._buffer)
            return None
        if end + 1 == len(self._buffer):
            self._searched = end
            return None
        if self._buffer[end + 1] != CARRIAGE_RETURN:
            self._fail(BadInput("FS (0x1C) without CR (0x0D): an MLLP block ends with both"))
        block = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        self._inside = False
        return block

    def _fail(self, fault: BadInput | LimitExceeded) -> None:
        self._fault = fault
        if isinstance(fault, LimitExceeded):
            self.refused_beginning = bytes(self._buffer[:_BEGINNING_BYTES])
        self._buffer = bytearray()
        self._inside = False
        raise fault


def framed(message: bytes) -> bytes:
    """The message as one block. BadInput when it holds VT or FS, which would tear the frame."""
    if START_BLOCK in message or END_BLOCK in message:
        raise BadInput("VT (0x0B) or FS (0x1C) inside a message can not be framed")
    return b"\x0b" + message + b"\x1c\r"
