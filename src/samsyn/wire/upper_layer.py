"""One DICOM association's upper layer (PS3.8 9), either side, without I/O.

Whoever owns the socket reads into `get_buffer()`, tells `buffer_updated(n)`, then writes `take_output()`, looks
at `take_indications()` and obeys `must_close` and `artim_running`. Nothing that a peer sends raises: a broken or
unexpected PDU becomes an A-ABORT and an `Aborted` indication.

P-DATA is streamed: fragments go from the receive buffer straight to the `DataSink`, so the only buffer is the
receive buffer itself, bounded by MAX_CONTROL_PDU_BYTES whatever a header claims.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from struct import Struct
from typing import Final, Protocol, TypeAlias

from samsyn.errors import BadInput, Conflict, LimitExceeded, SamsynError
from samsyn.limits import KIB, MAX_PDU_BYTES
from samsyn.wire.association_table import NEXT_STATES, TRANSITIONS, Action, Event, State
from samsyn.wire.pdu import (
    ABORT_BY_USER,
    ABORT_INVALID_VALUE,
    ABORT_UNEXPECTED_PDU,
    ABORT_UNRECOGNIZED_PDU,
    APPLICATION_CONTEXT_NOT_SUPPORTED,
    APPLICATION_CONTEXT_UID,
    HEADER_BYTES,
    PDV_HEADER_BYTES,
    PROTOCOL_VERSION_NOT_SUPPORTED,
    Abort,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    ControlPdu,
    PduType,
    ReleaseRequest,
    ReleaseResponse,
    check_header,
    decode_control,
    encode_control,
)

Piece: TypeAlias = bytes | bytearray | memoryview

SMALL_BUFFER_BYTES: Final = 4 * KIB
"""Receive buffer of a new connection: an idle one costs no more."""
LARGE_BUFFER_BYTES: Final = 256 * KIB
"""Receive buffer of a busy connection; it grows to this while reads fill it."""

_PDU_HEADER = Struct(">BxI")
_PDV_HEADER = Struct(">IBB")
_PDU_AND_PDV_HEADER = Struct(">BxIIBB")
_P_DATA: Final = int(PduType.P_DATA_TF)
_EVENT_OF_PDU: Final = {
    PduType.ASSOCIATE_RQ: Event.ASSOCIATE_RQ,
    PduType.ASSOCIATE_AC: Event.ASSOCIATE_AC,
    PduType.ASSOCIATE_RJ: Event.ASSOCIATE_RJ,
    PduType.RELEASE_RQ: Event.RELEASE_RQ,
    PduType.RELEASE_RP: Event.RELEASE_RP,
    PduType.ABORT: Event.ABORT,
}


class DataSink(Protocol):
    """Takes the presentation data values of an association as they stream in.

    Each may raise BadInput or LimitExceeded: the association is then aborted.
    """

    def begin(self, context_id: int, control: int, length: int) -> None:
        """A value starts: `length` bytes of fragment follow. `control` bit 0 = command, bit 1 = last."""

    def fragment(self, data: memoryview) -> None:
        """The next bytes of the value, valid only during the call."""

    def end(self) -> object | None:
        """The value is whole; a message that became whole with it, or None."""


@dataclass(frozen=True, slots=True)
class AssociationRequested:
    """A peer asks for an association: answer with `accept` or `reject`."""

    request: AssociateRequest


@dataclass(frozen=True, slots=True)
class AssociationAccepted:
    """The peer accepted our request."""

    answer: AssociateAccept


@dataclass(frozen=True, slots=True)
class AssociationRejected:
    """The peer rejected our request, or we could not offer what it needs."""

    answer: AssociateReject


@dataclass(frozen=True, slots=True)
class ReleaseRequested:
    """The peer wants to end: answer with `answer_release` when nothing is outstanding."""


@dataclass(frozen=True, slots=True)
class Released:
    """Our release was confirmed."""


@dataclass(frozen=True, slots=True)
class Aborted:
    """The association is gone without release; no answer can be sent any more."""

    source: int
    """0 the peer's user, 2 a service provider (theirs or ours)."""
    reason: int
    by_peer: bool
    detail: str
    """For the operator; holds no patient data."""


Indication: TypeAlias = (
    AssociationRequested | AssociationAccepted | AssociationRejected | ReleaseRequested | Released | Aborted
)


class UpperLayer:
    """The protocol machine of one association."""

    __slots__ = (
        "_artim",
        "_buffer",
        "_close",
        "_end",
        "_indications",
        "_is_requestor",
        "_lost",
        "_maximum",
        "_output",
        "_pdu_left",
        "_pdv_left",
        "_request",
        "_sink",
        "_skip",
        "_start",
        "_state",
        "_view",
        "_wanted",
    )

    def __init__(
        self, sink: DataSink, *, is_requestor: bool = False, maximum_length: int = MAX_PDU_BYTES
    ) -> None:
        """`maximum_length`: largest P-DATA-TF taken, in bytes; the request or answer must tell the same."""
        self._sink = sink
        self._is_requestor = is_requestor
        self._maximum = maximum_length
        self._state = State.IDLE
        self._buffer = bytearray(SMALL_BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0
        self._wanted = SMALL_BUFFER_BYTES
        self._pdu_left = 0
        self._pdv_left = -1
        self._skip = False
        self._lost = False
        self._artim = False
        self._close = False
        self._output: list[Piece] = []
        self._indications: list[object] = []
        self._request: AssociateRequest | None = None

    @property
    def state(self) -> State:
        """Where the association stands."""
        return self._state

    @property
    def artim_running(self) -> bool:
        """Whether the owner must call `artim_expired` when the peer does nothing (PS3.8 9.1.5)."""
        return self._artim

    @property
    def must_close(self) -> bool:
        """Whether the owner must close the transport connection, after writing what `take_output` gives."""
        return self._close

    @property
    def can_send(self) -> bool:
        """Whether messages may be sent now (PS3.8 Table 9-10, Evt9)."""
        return self._state in (State.ESTABLISHED, State.AWAITING_LOCAL_RELEASE)

    @property
    def buffer_bytes(self) -> int:
        """Size of the receive buffer now; never above MAX_CONTROL_PDU_BYTES and a header."""
        return len(self._buffer)

    def take_pieces(self) -> list[Piece]:
        """What must be written to the peer now, in order."""
        taken = self._output
        if taken:
            self._output = []
        return taken

    def take_output(self) -> bytes:
        """The same as one object, copied; empty when there is nothing."""
        return b"".join(self.take_pieces())

    def take_indications(self) -> list[object]:
        """What happened since the last call, in order: `Indication`s and what the sink's `end` returned."""
        taken = self._indications
        if taken:
            self._indications = []
        return taken

    # The transport's side

    def connected(self) -> None:
        """The transport connection is open (Evt5 for the acceptor, Evt2 for the requestor)."""
        self._perform(Event.TRANSPORT_CONFIRMED if self._is_requestor else Event.TRANSPORT_INDICATED)

    def get_buffer(self) -> memoryview:
        """Where to read the next bytes into; never empty. Valid until `buffer_updated`."""
        start, end = self._start, self._end
        if start == end:
            start = self._start = self._end = 0
        wanted = self._wanted
        if len(self._buffer) < wanted:
            larger = bytearray(wanted)
            larger[: end - start] = self._view[start:end]
            self._buffer, self._view = larger, memoryview(larger)
            self._start, self._end = 0, end - start
        elif start:
            # Only a torn header or a torn control PDU ever lies here, so moving it is cheap.
            self._view[: end - start] = bytes(self._view[start:end])
            self._start, self._end = 0, end - start
        return self._view[self._end :]

    def buffer_updated(self, count: int) -> None:
        """`count` bytes were read into `get_buffer()`. Costs one copy of P-DATA; never raises for a peer's bytes."""
        if self._state in (State.IDLE, State.CONNECTING):
            return
        self._end += count
        if self._end == len(self._buffer) < LARGE_BUFFER_BYTES and self._state == State.ESTABLISHED:
            self._wanted = LARGE_BUFFER_BYTES
        try:
            while self._start < self._end and not self._lost:
                if not (self._consume_p_data() if self._pdu_left else self._consume_pdu()):
                    return
        except SamsynError as error:
            # Only the sink raises here: the content of a P-DATA-TF is wrong, and its rest has no meaning.
            self._lose_framing(ABORT_INVALID_VALUE, error.detail)
        self._start = self._end = 0

    def receive(self, data: bytes | bytearray | memoryview) -> None:
        """`data` came from the peer: for owners that do not read into `get_buffer()`; one copy more."""
        view = memoryview(data)
        while view:
            buffer = self.get_buffer()
            count = min(len(buffer), len(view))
            buffer[:count] = view[:count]
            self.buffer_updated(count)
            view = view[count:]

    def disconnected(self) -> None:
        """The transport connection is gone (Evt17)."""
        if self._state != State.IDLE:
            self._perform(Event.TRANSPORT_CLOSED)
        self._close = True

    def artim_expired(self) -> None:
        """The time that `artim_running` asked to measure is over (Evt18)."""
        if self._artim:
            self._perform(Event.ARTIM_EXPIRED)

    # The local user's side. Each raises errors.Conflict when the state does not allow it.

    def associate(self, request: AssociateRequest) -> None:
        """Ask for an association (Evt1): open the transport connection, then call `connected`."""
        self._request = request
        self._perform(Event.ASSOCIATE_REQUESTED)

    def accept(self, answer: AssociateAccept) -> None:
        """Accept the peer's request (Evt7)."""
        self._perform(Event.ACCEPTED_LOCALLY, answer)

    def reject(self, answer: AssociateReject) -> None:
        """Reject the peer's request (Evt8)."""
        self._perform(Event.REJECTED_LOCALLY, answer)

    def send(self, p_data: Iterable[Piece]) -> None:
        """Send whole P-DATA-TF PDUs (Evt9), given in pieces that stay as they are until they are written."""
        if not self.can_send:
            raise Conflict(f"P-DATA can not be sent in state {self._state.name}")
        self._output.extend(p_data)

    def request_release(self) -> None:
        """Ask for an orderly end (Evt11)."""
        self._perform(Event.RELEASE_REQUESTED)

    def answer_release(self) -> None:
        """Confirm the peer's wish to end (Evt14)."""
        self._perform(Event.RELEASE_ANSWERED)

    def abort(self, detail: str = "") -> None:
        """End at once (Evt15), in any state; without an association there is nothing to tell the peer."""
        if (Event.ABORT_REQUESTED, self._state) in TRANSITIONS:
            self._perform(Event.ABORT_REQUESTED, ABORT_BY_USER, detail)
        else:
            self._close = True

    def _consume_pdu(self) -> bool:
        """Take a PDU from the buffer; False when more bytes are needed."""
        start = self._start
        available = self._end - start
        kind = self._buffer[start]
        if kind == _P_DATA and available >= _PDU_AND_PDV_HEADER.size and self._state is State.ESTABLISHED:
            _, length, item, context_id, control = _PDU_AND_PDV_HEADER.unpack_from(self._buffer, start)
            if length == item + 4 and 2 <= item <= self._maximum - 4:
                self._take_single(start + _PDU_AND_PDV_HEADER.size, context_id, control, item - 2)
                return True
        if not PduType.ASSOCIATE_RQ <= kind <= PduType.ABORT:
            # Judged by the first byte alone: HTTP, TLS or SSH on this port gets no further.
            self._lose_framing(ABORT_UNRECOGNIZED_PDU, f"{kind:02X}H is no PDU type")
            return True
        if available < HEADER_BYTES:
            return False
        _, length = _PDU_HEADER.unpack_from(self._buffer, start)
        try:
            check_header(kind, length, self._maximum)
        except (BadInput, LimitExceeded) as error:
            self._lose_framing(ABORT_INVALID_VALUE, error.detail)
            return True
        if kind == PduType.P_DATA_TF:
            self._start = start + HEADER_BYTES
            self._pdu_left = length
            action = TRANSITIONS[Event.P_DATA, self._state]
            self._skip = action not in (Action.DT_2, Action.AR_6)
            if self._skip:
                self._perform(Event.P_DATA, ABORT_UNEXPECTED_PDU, "P-DATA-TF")
            return True
        total = HEADER_BYTES + length
        if available < total:
            self._wanted = max(self._wanted, total)
            return False
        content = bytes(self._view[start + HEADER_BYTES : start + total])
        self._start = start + total
        self._take_control(kind, content)
        return True

    def _take_single(self, start: int, context_id: int, control: int, size: int) -> None:
        """Takes what is there of a P-DATA-TF that holds one presentation data value and no more, as nearly all do."""
        sink = self._sink
        sink.begin(context_id, control, size)
        taken = min(size, self._end - start)
        if taken:
            sink.fragment(self._view[start : start + taken])
        self._start = start + taken
        if taken < size:
            self._pdu_left = self._pdv_left = size - taken
            return
        message = sink.end()
        if message is not None:
            self._indications.append(message)

    def _take_control(self, kind: int, content: bytes) -> None:
        try:
            pdu = decode_control(kind, content)
        except BadInput as error:
            self._perform(Event.INVALID_PDU, ABORT_INVALID_VALUE, error.detail)
        else:
            self._perform(_EVENT_OF_PDU[PduType(kind)], pdu, PduType(kind).name)
        if self._state == State.IDLE:
            # Nothing that follows has a meaning, and Table 9-10 has no cells for it.
            self._lost = True

    def _consume_p_data(self) -> bool:
        """Take a part of a P-DATA-TF from the buffer; False when more bytes are needed."""
        start = self._start
        available = self._end - start
        if self._skip:
            taken = min(available, self._pdu_left)
            self._start = start + taken
            self._pdu_left -= taken
            return True
        pdv_left = self._pdv_left
        if pdv_left < 0:
            if self._pdu_left < PDV_HEADER_BYTES:
                self._lose_framing(ABORT_INVALID_VALUE, "stray bytes after the last presentation data value")
                return True
            if available < PDV_HEADER_BYTES:
                return False
            length, context_id, control = _PDV_HEADER.unpack_from(self._buffer, start)
            if not 2 <= length <= self._pdu_left - 4:
                detail = f"presentation data value of {length} bytes in {self._pdu_left} bytes of PDU"
                self._lose_framing(ABORT_INVALID_VALUE, detail)
                return True
            pdv_left = length - 2
            self._sink.begin(context_id, control, pdv_left)
            start += PDV_HEADER_BYTES
            available -= PDV_HEADER_BYTES
            self._pdu_left -= PDV_HEADER_BYTES
        taken = pdv_left if pdv_left < available else available
        if taken:
            self._sink.fragment(self._view[start : start + taken])
            self._pdu_left -= taken
            pdv_left -= taken
        self._start = start + taken
        if pdv_left:
            self._pdv_left = pdv_left
            return True
        self._pdv_left = -1
        message = self._sink.end()
        if message is not None:
            self._indications.append(message)
        return True

    def _lose_framing(self, abort: Abort, detail: str) -> None:
        """The byte stream can not be followed any more: abort, and ignore whatever comes after."""
        was_waiting = self._state == State.AWAITING_REQUEST
        self._lost = True
        self._pdu_left = 0
        if (Event.INVALID_PDU, self._state) in TRANSITIONS:
            self._perform(Event.INVALID_PDU, abort, detail)
        if was_waiting:
            # No DICOM peer: there is nobody who would close after reading our A-ABORT.
            self._close = True

    def _perform(self, event: Event, pdu: ControlPdu | None = None, detail: str = "") -> None:
        """One cell of Table 9-10: do its action and go to its next state.

        `pdu` is what was received (PDU events), what shall be sent (local events), or the A-ABORT to send when
        the event is a peer's mistake.
        """
        action = TRANSITIONS.get((event, self._state))
        if action is None:
            raise Conflict(f"{event.name} can not happen in state {self._state.name}")
        next_states = NEXT_STATES[action]
        next_state = next_states[0]
        match action:
            case Action.AE_1 | Action.AA_6 | Action.DT_1 | Action.DT_2 | Action.AR_6 | Action.AR_7:
                pass
            case Action.AE_2:
                assert self._request is not None
                self._output.append(encode_control(self._request))
            case Action.AE_3 | Action.AE_4:
                self._indicate_answer(pdu)
            case Action.AE_5:
                self._artim = True
            case Action.AE_6:
                next_state = next_states[0] if self._consider(pdu) else next_states[1]
            case Action.AE_7:
                self._send(pdu)
            case Action.AE_8:
                self._send(pdu)
                self._artim = True
            case Action.AR_1:
                self._send(ReleaseRequest())
            case Action.AR_2:
                self._indications.append(ReleaseRequested())
            case Action.AR_3:
                self._indications.append(Released())
            case Action.AR_4:
                self._send(ReleaseResponse())
                self._artim = True
            case Action.AR_5 | Action.AA_5:
                self._artim = False
            case Action.AR_8:
                self._indications.append(ReleaseRequested())
                next_state = next_states[0] if self._is_requestor else next_states[1]
            case Action.AR_9:
                self._send(ReleaseResponse())
            case Action.AR_10:
                self._indications.append(Released())
            case Action.AA_1:
                self._abort_as_user(event, detail)
            case Action.AA_2:
                self._artim = False
            case Action.AA_3:
                assert isinstance(pdu, Abort)
                self._indications.append(Aborted(pdu.source, pdu.reason, True, "A-ABORT received"))
            case Action.AA_4:
                self._indications.append(Aborted(2, 0, True, "connection closed without release"))
            case Action.AA_7:
                self._send(ABORT_UNEXPECTED_PDU)
            case Action.AA_8:
                self._abort_as_provider(pdu, detail)
        self._state = next_state
        if next_state == State.IDLE:
            self._artim = False
            self._close = True

    def _send(self, pdu: ControlPdu | None) -> None:
        assert pdu is not None
        self._output.append(encode_control(pdu))

    def _indicate_answer(self, pdu: ControlPdu | None) -> None:
        if isinstance(pdu, AssociateAccept):
            self._indications.append(AssociationAccepted(pdu))
        elif isinstance(pdu, AssociateReject):
            self._indications.append(AssociationRejected(pdu))

    def _consider(self, pdu: ControlPdu | None) -> bool:
        """AE-6: whether the service provider itself can take the request; when not, it is rejected."""
        assert isinstance(pdu, AssociateRequest)
        self._artim = False
        rejection: AssociateReject | None = None
        if not pdu.protocol_version & 1:
            rejection = PROTOCOL_VERSION_NOT_SUPPORTED
        elif pdu.application_context != APPLICATION_CONTEXT_UID:
            rejection = APPLICATION_CONTEXT_NOT_SUPPORTED
        if rejection is None:
            self._indications.append(AssociationRequested(pdu))
            return True
        self._send(rejection)
        self._artim = True
        return False

    def _abort_as_user(self, event: Event, detail: str) -> None:
        self._send(ABORT_BY_USER)
        self._artim = True
        if event != Event.ABORT_REQUESTED:
            self._indications.append(Aborted(0, 0, False, detail))

    def _abort_as_provider(self, pdu: ControlPdu | None, detail: str) -> None:
        abort = pdu if isinstance(pdu, Abort) else ABORT_UNEXPECTED_PDU
        if abort is ABORT_UNEXPECTED_PDU:
            detail = f"{detail} is not expected in state {self._state.name}"
        self._send(abort)
        self._artim = True
        self._indications.append(Aborted(abort.source, abort.reason, False, detail))
