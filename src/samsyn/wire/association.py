"""One DICOM association as a door or a client uses it: upper layer, negotiation and messages in one object.

Still without I/O: the owner of the socket moves bytes, see `UpperLayer`.
"""

from collections.abc import Callable, Mapping

from samsyn.errors import BadInput
from samsyn.limits import MAX_INSTANCE_IN_MEMORY_BYTES, MAX_PDU_BYTES, MIN_PEER_PDU_BYTES
from samsyn.wire.assembly import AgreedContext, Assembler, MemoryBudget, Spill, message_parts
from samsyn.wire.association_table import TRANSITIONS, Event, State
from samsyn.wire.dimse import Command
from samsyn.wire.negotiation import (
    Choose,
    Extend,
    Grant,
    Implementation,
    agreed_contexts,
    answer_request,
    check_maximum_length,
    nothing_extended,
)
from samsyn.wire.pdu import LOCAL_LIMIT_EXCEEDED, AssociateAccept, AssociateReject, AssociateRequest
from samsyn.wire.upper_layer import Aborted, AssociationAccepted, UpperLayer


class Association:
    """A DICOM association; `take_indications` gives `Indication`s and `Message`s in order of arrival."""

    __slots__ = ("_assembler", "_peer_maximum", "_request", "extended", "peer_is_scp_of", "upper", "window")

    def __init__(
        self,
        *,
        is_requestor: bool = False,
        budget: MemoryBudget | None = None,
        maximum_length: int = MAX_PDU_BYTES,
        maximum_data_bytes: int = MAX_INSTANCE_IN_MEMORY_BYTES,
        spill_to: Callable[[], Spill] | None = None,
    ) -> None:
        """`budget` is shared by associations and bounds the data sets that arrive on all of them; `spill_to` see
        Assembler."""
        self._assembler = Assembler(budget, maximum_data_bytes, spill_to)
        self.upper = UpperLayer(self._assembler, is_requestor=is_requestor, maximum_length=maximum_length)
        self._request: AssociateRequest | None = None
        self._peer_maximum = 0
        self.extended: Mapping[str, bytes] = {}
        """SOP class -> service class application information that the acceptor answered (PS3.7 D.3.3.5)."""
        self.peer_is_scp_of: frozenset[str] = frozenset()
        """SOP classes of which the requestor has the SCP role, by role selection alone (PS3.7 D.3.3.4)."""
        self.window = 1
        """Requests of the peer that may be unanswered at a time (PS3.7 D.3.3.3)."""

    @property
    def contexts(self) -> Mapping[int, AgreedContext]:
        """The agreed presentation contexts by id; empty before the association is established."""
        return self._assembler.contexts

    @property
    def peer_maximum_length(self) -> int:
        """Largest P-DATA-TF that the peer takes, in bytes; 0 = no limit told."""
        return self._peer_maximum

    @property
    def is_inside_message(self) -> bool:
        """Whether a message has begun and is not whole."""
        return self._assembler.is_inside_message

    @property
    def arrived_bytes(self) -> int:
        """Bytes of the unfinished message's data set so far."""
        return self._assembler.arrived_bytes

    @property
    def is_established(self) -> bool:
        """Whether messages can go both ways."""
        return self.upper.state == State.ESTABLISHED

    def associate(self, request: AssociateRequest) -> None:
        """Ask for an association; then connect the transport and call `upper.connected`."""
        self._request = request
        self.upper.associate(request)

    def accept(
        self,
        request: AssociateRequest,
        choose: Choose,
        grant: Grant,
        own: Implementation,
        extend: Extend = nothing_extended,
    ) -> None:
        """Accept the peer's request as far as `choose`, `grant` and `extend` go; rejects what is unworkable.

        Nothing happens when the peer has ended the association meanwhile; so for `reject` and `answer_release`.
        """
        if self.upper.state != State.AWAITING_LOCAL_ANSWER:
            return
        try:
            check_maximum_length(request.user.maximum_length, MIN_PEER_PDU_BYTES)
        except BadInput:
            self.upper.reject(LOCAL_LIMIT_EXCEEDED)
            return
        answer, agreed = answer_request(request, choose, grant, own, extend)
        self._peer_maximum = request.user.maximum_length
        self.extended = _extended(answer)
        self.peer_is_scp_of = frozenset(role.sop_class_uid for role in answer.user.roles if role.scp)
        if answer.user.asynchronous_operations is not None:
            self.window = answer.user.asynchronous_operations.invoked
        self._assembler.agree(agreed)
        self.upper.accept(answer)

    def reject(self, answer: AssociateReject) -> None:
        """Reject the peer's request."""
        if self.upper.state == State.AWAITING_LOCAL_ANSWER:
            self.upper.reject(answer)

    def answer_release(self) -> None:
        """Confirm the peer's wish to end."""
        if (Event.RELEASE_ANSWERED, self.upper.state) in TRANSITIONS:
            self.upper.answer_release()

    def take_indications(self) -> list[object]:
        """What happened since the last call; an acceptance of our own request is put to work here."""
        indications = self.upper.take_indications()
        for position, indication in enumerate(indications):
            if isinstance(indication, AssociationAccepted):
                detail = self._establish(indication.answer)
                if detail:
                    self.abort(detail)
                    return [*indications[:position], Aborted(0, 0, False, detail)]
            elif isinstance(indication, Aborted):
                self._assembler.drop()
        return indications

    def send(
        self, context_id: int, command: Command, data: bytes | bytearray | memoryview | None = None
    ) -> None:
        """Send one message, of which `data` is not copied. Conflict when the association is not established."""
        self.upper.send(message_parts(context_id, command, data, self._peer_maximum))

    def abort(self, detail: str) -> None:
        """End at once; memory of an unfinished message is given back."""
        self.upper.abort(detail)
        self._assembler.drop()

    def disconnected(self) -> None:
        """The transport connection is gone; memory of an unfinished message is given back."""
        self.upper.disconnected()
        self._assembler.drop()

    def _establish(self, answer: AssociateAccept) -> str:
        """Take over what the peer agreed to; why that is impossible, or an empty text."""
        assert self._request is not None
        try:
            check_maximum_length(answer.user.maximum_length, MIN_PEER_PDU_BYTES)
            self._assembler.agree(agreed_contexts(self._request, answer))
        except BadInput as error:
            return error.detail
        self._peer_maximum = answer.user.maximum_length
        self.extended = _extended(answer)
        return ""


def _extended(answer: AssociateAccept) -> Mapping[str, bytes]:
    return {each.sop_class_uid: each.application_information for each in answer.user.extended}
