"""C-ECHO (PS3.4 Annex A)."""

from samsyn.endpoints.dimse.link import Link
from samsyn.wire.assembly import Message
from samsyn.wire.dimse import EchoRequest, EchoResponse
from samsyn.wire.dimse_status import SUCCESS


async def answer(link: Link, message: Message, request: EchoRequest) -> None:
    """Success: the association works."""
    await link.send(message.context_id, EchoResponse(request.message_id, SUCCESS))
