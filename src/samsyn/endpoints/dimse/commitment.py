"""Storage Commitment requests, N-ACTION (PS3.4 J.3.2): taken when they are durable, answered later."""

from typing import Final

from samsyn.dicom.sop_classes import STORAGE_COMMITMENT_INSTANCE
from samsyn.dicom.uids import is_uid
from samsyn.endpoints.dimse import identifiers
from samsyn.endpoints.dimse.link import Link
from samsyn.errors import BadInput, Mismatch, NotAllowed
from samsyn.exchange.commitment import Commitments, Reference
from samsyn.model.attributes import Attributes
from samsyn.wire.assembly import Message
from samsyn.wire.dimse import ActionRequest, ActionResponse
from samsyn.wire.dimse_status import NO_SUCH_ACTION, NO_SUCH_INSTANCE, SUCCESS

_TRANSACTION_UID: Final = 0x00081195
_REFERENCED_SOPS: Final = 0x00081199
_SOP_CLASS: Final = 0x00081150
_SOP_INSTANCE: Final = 0x00081155
_REQUEST_COMMITMENT: Final = 1


class CommitmentRequests:
    """Takes requests for commitment from systems that store."""

    def __init__(self, commitments: Commitments) -> None:
        self._commitments = commitments

    async def answer(self, link: Link, message: Message, request: ActionRequest) -> None:
        """Success means that an N-EVENT-REPORT will follow. Raises SamsynError for a refusal."""
        context = link.contexts[message.context_id]
        if not link.system.may_store:
            raise NotAllowed("this system may not store")
        if request.sop_class_uid != context.abstract_syntax:
            raise Mismatch("Requested SOP Class is not that of the context")
        if request.sop_instance_uid != STORAGE_COMMITMENT_INSTANCE:
            await _reply(link, message, request, NO_SUCH_INSTANCE)
        elif request.action_type != _REQUEST_COMMITMENT:
            await _reply(link, message, request, NO_SUCH_ACTION)
        else:
            transaction_uid, references = asked(identifiers.read(message, context))
            await self._commitments.accept(link.system, link.session_id, transaction_uid, references)
            await _reply(link, message, request, SUCCESS)


async def _reply(link: Link, message: Message, request: ActionRequest, code: int) -> None:
    answer = ActionResponse(
        request.message_id, code, request.sop_class_uid, request.sop_instance_uid, request.action_type
    )
    await link.send(message.context_id, answer)


def asked(information: Attributes) -> tuple[str, list[Reference]]:
    """Transaction UID and instances of the action information (PS3.4 Table J.3-1). BadInput when it has none."""
    transaction_uid = _uid(information, _TRANSACTION_UID)
    references = [
        Reference(_uid(item, _SOP_CLASS), _uid(item, _SOP_INSTANCE))
        for item in information.get(_REFERENCED_SOPS, ("SQ", ()))[1]
        if isinstance(item, dict)
    ]
    if not references:
        raise BadInput("the request names no instance")
    return transaction_uid, references


def _uid(attributes: Attributes, tag: int) -> str:
    values = attributes.get(tag, ("", ()))[1]
    if len(values) != 1 or not is_uid(str(values[0])):
        raise BadInput(f"({tag >> 16:04X},{tag & 0xFFFF:04X}) is missing or is not a UID")
    return str(values[0])
