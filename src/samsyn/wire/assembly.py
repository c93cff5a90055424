"""DIMSE messages out of presentation data values and into them (PS3.7 6.3.1, PS3.8 Annex E)."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from struct import Struct
from typing import Final, Protocol

from samsyn.errors import BadInput, LimitExceeded
from samsyn.limits import (
    MAX_COMMAND_SET_BYTES,
    MAX_IDENTIFIER_BYTES,
    MAX_INSTANCE_IN_MEMORY_BYTES,
    MAX_PDU_BYTES,
    MIB,
    SPOOLED_ABOVE_BYTES,
)
from samsyn.model.streamed import StreamedData
from samsyn.wire.dimse import Command, CommandReader, StoreRequest, encode_command

_PDU_AND_PDV_HEADER = Struct(">BxIIBB")
_COMMAND_BIT = 1
_LAST_BIT = 2
PIECE_BYTES: Final = 1 * MIB
"""A large message leaves in pieces of about this size, so that a slow peer does not make us hold it twice."""


@dataclass(frozen=True, slots=True)
class AgreedContext:
    """A presentation context that both sides agreed on."""

    abstract_syntax: str
    transfer_syntax: str


@dataclass(frozen=True, slots=True, eq=False)
class Message:
    """One whole DIMSE message as it came."""

    context_id: int
    command: Command
    data: bytearray | None
    """The data set as sent, not copied again by anybody here; None = the message has none."""
    over_limit: str = ""
    """Name of the limit that the data set passed: its bytes were dropped while they came, `data` is None."""
    reserved_bytes: int = 0
    """What the memory budget holds for `data`; whoever takes the message gives it back."""
    spilled: "Spill | None" = None
    """Where a data set too large for memory went; `data` is None then. Whoever takes the message drops it."""


class Spill(Protocol):
    """Where the bytes of one large data set go while they come."""

    def take(self, data: bytes | bytearray | memoryview) -> None:
        """The next bytes, which may be changed afterwards; a bytearray is given away."""

    def drop(self) -> None:
        """Nobody wants it any more."""


class MemoryBudget(Protocol):
    """Shared bound on arriving data sets of all associations."""

    def reserve(self, size_bytes: int) -> bool:
        """Whether this much more may be held; counted when True."""

    def give_back(self, size_bytes: int) -> None:
        """The memory is free again."""


class Assembler:
    """Builds messages from streamed values; it is the `DataSink` of an UpperLayer.

    One message at a time: a value on another context, a data set before its command, or a second command
    before the data set of the first raise BadInput, which costs the association.
    """

    __slots__ = (
        "_budget",
        "_command",
        "_command_bytes",
        "_contexts",
        "_control",
        "_current",
        "_data",
        "_limit",
        "_maximum",
        "_over_limit",
        "_reader",
        "_reserved",
        "_spill",
        "_spill_to",
        "arrived_bytes",
    )

    def __init__(
        self,
        budget: MemoryBudget | None = None,
        maximum_bytes: int = MAX_INSTANCE_IN_MEMORY_BYTES,
        spill_to: Callable[[], Spill] | None = None,
    ) -> None:
        """`maximum_bytes` bounds the data set of a C-STORE; other messages are bound by MAX_IDENTIFIER_BYTES.

        `spill_to`: where one goes that passes SPOOLED_ABOVE_BYTES; it sets the bound then.
        """
        self._budget = budget
        self._spill_to = spill_to
        self._spill: Spill | None = None
        self.arrived_bytes = 0
        """Bytes of the unfinished message's data set so far."""
        self._maximum = maximum_bytes
        self._contexts: Mapping[int, AgreedContext] = {}
        self._current = 0
        self._control = 0
        self._command: Command | None = None
        self._command_bytes = bytearray()
        self._reader = CommandReader()
        self._data = bytearray()
        self._limit = 0
        self._over_limit = ""
        self._reserved = 0

    @property
    def contexts(self) -> Mapping[int, AgreedContext]:
        """The agreed presentation contexts by id."""
        return self._contexts

    @property
    def is_inside_message(self) -> bool:
        """Whether a message has begun and is not whole: the time for it is running."""
        return self._current != 0

    def agree(self, contexts: Mapping[int, AgreedContext]) -> None:
        """The association was accepted with these contexts."""
        self._contexts = contexts

    def drop(self) -> None:
        """The association is gone: forget the unfinished message and give its memory back."""
        self._release_memory()
        if self._spill is not None:
            self._spill.drop()
            self._spill = None
        self.arrived_bytes = 0
        self._command = None
        self._command_bytes = bytearray()
        self._data = bytearray()
        self._current = 0

    def begin(self, context_id: int, control: int, length: int) -> None:
        """See DataSink."""
        if context_id not in self._contexts:
            raise BadInput(f"presentation context {context_id} was not accepted")
        if self._current and self._current != context_id:
            raise BadInput(f"context {context_id} while a message on context {self._current} is not whole")
        self._control = control
        if control & _COMMAND_BIT:
            if self._command is not None:
                raise BadInput("a command before the data set of the one before")
            if len(self._command_bytes) + length > MAX_COMMAND_SET_BYTES:
                raise LimitExceeded("MAX_COMMAND_SET_BYTES")
        elif self._command is None:
            raise BadInput("a data set before its command set")
        elif not self._over_limit and self._spill is None:
            self._reserve(length)
        self._current = context_id

    def fragment(self, data: memoryview) -> None:
        """See DataSink."""
        if self._control & _COMMAND_BIT:
            self._command_bytes += data
            return
        self.arrived_bytes += len(data)
        if self._spill is not None:
            self._spill.take(data)
        elif not self._over_limit:
            self._data += data

    def end(self) -> Message | None:
        """See DataSink: the message when this was its last value."""
        control = self._control
        if not control & _LAST_BIT:
            return None
        if control & _COMMAND_BIT:
            command, has_data = self._reader.decode(self._command_bytes)
            self._command_bytes = bytearray()
            if has_data:
                self._command = command
                is_store = isinstance(command, StoreRequest)
                self._limit = self._maximum if is_store else MAX_IDENTIFIER_BYTES
                return None
            context_id, self._current = self._current, 0
            return Message(context_id, command, None)
        assert self._command is not None
        data = None if self._over_limit or self._spill is not None else self._data
        message = Message(self._current, self._command, data, self._over_limit, self._reserved, self._spill)
        self._spill = None
        self.arrived_bytes = 0
        self._command = None
        self._data = bytearray()
        self._over_limit = ""
        self._reserved = 0
        self._current = 0
        return message

    def _reserve(self, length: int) -> None:
        """Room for `length` more bytes of data set, or the rest of it is spilled or dropped as it comes."""
        if (
            self._spill_to is not None
            and len(self._data) + length > SPOOLED_ABOVE_BYTES
            and isinstance(self._command, StoreRequest)
        ):
            self._spill = self._spill_to()
            data, self._data = self._data, bytearray()
            self._spill.take(data)
            self._release_memory()
            return
        if len(self._data) + length > self._limit:
            is_store = isinstance(self._command, StoreRequest)
            self._over_limit = "MAX_INSTANCE_IN_MEMORY_BYTES" if is_store else "MAX_IDENTIFIER_BYTES"
        elif self._budget is None or self._budget.reserve(length):
            self._reserved += length if self._budget is not None else 0
            return
        else:
            self._over_limit = "MAX_ARRIVING_BYTES"
        self._release_memory()
        self._data = bytearray()

    def _release_memory(self) -> None:
        if self._budget is not None and self._reserved:
            self._budget.give_back(self._reserved)
        self._reserved = 0


def fragment_bytes(maximum_length: int) -> int:
    """Bytes of message in one P-DATA-TF to a peer that takes `maximum_length` (0 = no limit told).

    Even, since fragments "shall be" of even length unless last (PS3.8 Annex E.1), and never over our own
    MAX_PDU_BYTES. BadInput when the peer leaves no room for any.
    """
    room = min(maximum_length or MAX_PDU_BYTES, MAX_PDU_BYTES) - 6
    if room < 2:
        raise BadInput(f"maximum length {maximum_length} leaves no room for data")
    return room - room % 2


def encode_message(
    context_id: int,
    command: Command,
    data: bytes | bytearray | memoryview | None,
    maximum_length: int,
) -> bytes:
    """All PDUs of a message as one object; `data` is copied."""
    return b"".join(message_parts(context_id, command, data, maximum_length))


def message_batches(
    context_id: int,
    command: Command,
    data: bytes | bytearray | memoryview | None,
    maximum_length: int,
) -> Iterator[list[bytes | memoryview]]:
    """`message_parts` in batches of about PIECE_BYTES, whole PDUs each; a small message is one batch."""
    parts: list[bytes | memoryview] = []
    size = 0
    for part in message_parts(context_id, command, data, maximum_length):
        parts.append(part)
        size += len(part)
        # Parts come in pairs of header and fragment; a header must not be parted from its fragment.
        if size >= PIECE_BYTES and len(parts) % 2 == 0:
            yield parts
            parts = []
            size = 0
    if parts:
        yield parts


class StreamFramer:
    """The PDUs of a message whose data set comes in pieces."""

    def __init__(self, context_id: int, command: Command, data: StreamedData, maximum_length: int) -> None:
        """BadInput when the peer leaves no room for any data. The data set has a byte at least."""
        self._context_id = context_id
        self._step = fragment_bytes(maximum_length)
        self._left = len(data)
        self._waiting = bytearray()
        self.command = b"".join(
            _value_parts(context_id, encode_command(command, True), _COMMAND_BIT, self._step)
        )
        """The PDUs that go before those of the data set."""

    def pdus(self, piece: bytes) -> bytes:
        """What can leave once this piece of the data set has come; with the last one, all the rest."""
        self._waiting += piece
        self._left -= len(piece)
        if self._left == 0:
            whole, is_last = len(self._waiting), True
        else:
            whole, is_last = len(self._waiting) // self._step * self._step, False
        with memoryview(self._waiting) as view:
            parts = _value_parts(self._context_id, view[:whole], 0, self._step, is_last)
            made = b"".join(parts) if whole else b""
        del self._waiting[:whole]
        return made


def message_parts(
    context_id: int,
    command: Command,
    data: bytes | bytearray | memoryview | None,
    maximum_length: int,
) -> Iterator[bytes | memoryview]:
    """Header, fragment, header, fragment ... of a message; nothing of `data` is copied."""
    step = fragment_bytes(maximum_length)
    encoded = encode_command(command, data is not None)
    size = len(encoded)
    if size <= step:
        yield _PDU_AND_PDV_HEADER.pack(4, size + 6, size + 2, context_id, _COMMAND_BIT | _LAST_BIT)
        yield encoded
    else:
        yield from _value_parts(context_id, encoded, _COMMAND_BIT, step)
    if data is not None:
        yield from _value_parts(context_id, data, 0, step)


def _value_parts(
    context_id: int, content: bytes | bytearray | memoryview, kind: int, step: int, is_last: bool = True
) -> Iterator[bytes | memoryview]:
    view = memoryview(content)
    size = len(view)
    last_start = max(size - 1, 0) // step * step
    header = _PDU_AND_PDV_HEADER.pack(4, step + 6, step + 2, context_id, kind)
    for start in range(0, last_start, step):
        yield header
        yield view[start : start + step]
    left = size - last_start
    yield _PDU_AND_PDV_HEADER.pack(4, left + 6, left + 2, context_id, kind | (_LAST_BIT if is_last else 0))
    yield view[last_start:]
