"""DIMSE messages out of presentation data values and into them (PS3.7 6.3.1, PS3.8 Annex E)."""

from collections.abc import Iterator, Mapping
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
)
from samsyn.wire.dimse import Command, StoreRequest, decode_command, encode_command

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
        "_reserved",
    )

    def __init__(
        self,
        budget: MemoryBudget | None = None,
        maximum_bytes: int = MAX_INSTANCE_IN_MEMORY_BYTES,
    ) -> None:
        """`maximum_bytes` bounds the data set of a C-STORE; other messages are bound by MAX_IDENTIFIER_BYTES."""
        self._budget = budget
        self._maximum = maximum_bytes
        self._contexts: Mapping[int, AgreedContext] = {}
        self._current = 0
        self._control = 0
        self._command: Command | None = None
        self._command_bytes = bytearray()
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
        elif not self._over_limit:
            self._reserve(length)
        self._current = context_id

    def fragment(self, data: memoryview) -> None:
        """See DataSink."""
        if self._control & _COMMAND_BIT:
            self._command_bytes += data
        elif not self._over_limit:
            self._data += data

    def end(self) -> Message | None:
        """See DataSink: the message when this was its last value."""
        control = self._control
        if not control & _LAST_BIT:
            return None
        if control & _COMMAND_BIT:
            command, has_data = decode_command(self._command_bytes)
            self._command_bytes = bytearray()
            if has_data:
                self._command = command
                is_store = isinstance(command, StoreRequest)
                self._limit = self._maximum if is_store else MAX_IDENTIFIER_BYTES
                return None
            context_id, self._current = self._current, 0
            return Message(context_id, command, None)
        assert self._command is not None
        data = None if self._over_limit else self._data
        message = Message(self._current, self._command, data, self._over_limit, self._reserved)
        self._command = None
        self._data = bytearray()
        self._over_limit = ""
        self._reserved = 0
        self._current = 0
        return message

    def _reserve(self, length: int) -> None:
        """Room for `length` more bytes of data set, or the rest of it is dropped as it comes."""
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


def message_parts(
    context_id: int,
    command: Command,
    data: bytes | bytearray | memoryview | None,
    maximum_length: int,
) -> Iterator[bytes | memoryview]:
    """Header, fragment, header, fragment ... of a message; nothing of `data` is copied."""
    step = fragment_bytes(maximum_length)
    yield from _value_parts(context_id, encode_command(command, data is not None), _COMMAND_BIT, step)
    if data is not None:
        yield from _value_parts(context_id, data, 0, step)


def _value_parts(
    context_id: int, content: bytes | bytearray | memoryview, kind: int, step: int
) -> Iterator[bytes | memoryview]:
    view = memoryview(content)
    size = len(view)
    last_start = max(size - 1, 0) // step * step
    header = _PDU_AND_PDV_HEADER.pack(4, step + 6, step + 2, context_id, kind)
    for start in range(0, last_start, step):
        yield header
        yield view[start : start + step]
    left = size - last_start
    yield _PDU_AND_PDV_HEADER.pack(4, left + 6, left + 2, context_id, kind | _LAST_BIT)
    yield view[last_start:]
