"""C-STORE (PS3.4 Annex B): success only with a Receipt in hand."""

from collections.abc import Callable
from typing import TypeAlias

from samsyn.dicom.reading import Summary
from samsyn.dicom.uids import is_uid
from samsyn.endpoints.dimse.link import Link
from samsyn.endpoints.dimse.statuses import HELD, SENTENCES
from samsyn.errors import BadInput, LimitExceeded, Mismatch, NotAllowed
from samsyn.ingest.arriving import LargeArrival
from samsyn.ingest.receive import Arrival, Intake
from samsyn.model.sender import Receipt
from samsyn.wire.assembly import Message
from samsyn.wire.dimse import MAX_COMMENT_CHARACTERS, StoreRequest, StoreResponse
from samsyn.wire.dimse_status import INVALID_INSTANCE, PROCESSING_FAILURE, SUCCESS

_Outcome: TypeAlias = tuple[Receipt, Summary] | BaseException


class Storage:
    """Stores what known systems send."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    async def answer(self, link: Link, message: Message, request: StoreRequest) -> None:
        """Answers when the object is durable, held or refused. Raises SamsynError for a refusal."""
        arrival, data = self._arrived(link, message, request)
        if not is_uid(request.sop_instance_uid):
            text = "Affected SOP Instance UID is missing or is not a UID"
            await link.send(message.context_id, _response(request, INVALID_INSTANCE, text))
            return
        whole = await message.spilled.whole() if isinstance(message.spilled, LargeArrival) else data
        receipt, _ = await self._intake.receive(arrival, whole)
        await link.send(message.context_id, _answer_of(request, receipt))

    def answer_soon(
        self,
        link: Link,
        message: Message,
        request: StoreRequest,
        done: Callable[[StoreResponse | None], None],
    ) -> StoreResponse | bool:
        """As `answer`, without a task. The answer; or True: `done` is told it later, None when it was refused; or
        False: nothing is done. Raises as Intake.receive_soon."""
        arrival, data = self._arrived(link, message, request)
        if message.spilled is not None or not request.sop_instance_uid:
            return False  # one that is no UID is not that of the object either

        def received(outcome: _Outcome) -> None:
            done(_answer_of(request, outcome[0]) if isinstance(outcome, tuple) else None)

        outcome = self._intake.receive_soon(arrival, data, received)
        return _answer_of(request, outcome[0]) if isinstance(outcome, tuple) else outcome

    def _arrived(
        self, link: Link, message: Message, request: StoreRequest
    ) -> tuple[Arrival, bytes | bytearray]:
        context = link.contexts[message.context_id]
        system = link.system
        if not system.may_store:
            raise NotAllowed("this system may not store")
        if message.over_limit:
            raise LimitExceeded(message.over_limit)
        if message.data is None and message.spilled is None:
            raise BadInput("the message has no data set")
        if request.sop_class_uid != context.abstract_syntax:
            raise Mismatch("Affected SOP Class is not that of the context")
        arrival = Arrival(
            sender=system.sender,
            transfer_syntax_uid=context.transfer_syntax,
            session_id=link.session_id,
            sop_class_uid=request.sop_class_uid,
            sop_instance_uid=request.sop_instance_uid,
            source=link.session_id,
        )
        return arrival, message.data or b""


def _answer_of(request: StoreRequest, receipt: Receipt) -> StoreResponse:
    return _response(request, *status_of(receipt))


def status_of(receipt: Receipt) -> tuple[int, str]:
    """Status and comment of what became of an instance: success only for what is stored and served."""
    if receipt.outcome in ("stored", "already-stored"):
        return SUCCESS, ""
    # An outcome that this door does not know is no promise that it could pass on.
    code = HELD.get(receipt.reason, PROCESSING_FAILURE)
    return code, SENTENCES.get(receipt.reason, "")[:MAX_COMMENT_CHARACTERS]


def _response(request: StoreRequest, status: int, comment: str) -> StoreResponse:
    return StoreResponse(request.message_id, status, request.sop_class_uid, request.sop_instance_uid, comment)
