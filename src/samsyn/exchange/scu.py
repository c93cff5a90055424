"""Our side as service class user: associations to other systems, over which we store and ask."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from types import TracebackType

from samsyn import limits
from samsyn.dicom.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from samsyn.errors import BadInput, NotAllowed, NotSupported, OutOfResources
from samsyn.exchange.transport import AssociationTransport
from samsyn.model.streamed import StreamedData
from samsyn.wire.assembly import Message
from samsyn.wire.association import Association
from samsyn.wire.dimse import (
    VERIFICATION_UID,
    CancelRequest,
    CreateRequest,
    CreateResponse,
    EchoRequest,
    EchoResponse,
    EventReportRequest,
    EventReportResponse,
    Request,
    StoreRequest,
    StoreResponse,
)
from samsyn.wire.dimse_status import StatusKind, status_kind
from samsyn.wire.negotiation import Implementation, own_user_information
from samsyn.wire.pdu import AssociateRequest, ProposedContext
from samsyn.wire.upper_layer import (
    Aborted,
    AssociationAccepted,
    AssociationRejected,
    Released,
    ReleaseRequested,
)
from samsyn.wire.user_information import ExtendedNegotiation, RoleSelection

OWN_IMPLEMENTATION = Implementation(IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME)


class Requestor(AssociationTransport):
    """One association that we asked for; use it as `async with await connect(...)`.

    One request at a time. OutOfResources: the peer went away or did not answer in time; trying later may help.
    """

    def __init__(self, request: AssociateRequest) -> None:
        super().__init__(Association(is_requestor=True))
        self.association.associate(request)
        self._arrived: asyncio.Queue[object] = asyncio.Queue()
        self._message_id = 0

    async def __aenter__(self) -> "Requestor":
        """Itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Releases the association in order, or aborts it when something went wrong."""
        if error is None:
            await self.release()
        else:
            self.abort("given up")
            self.drop()

    def indicated(self, indication: object) -> None:
        """Everything is taken from a queue by whoever waits for it."""
        self._arrived.put_nowait(indication)

    def context_of(self, abstract_syntax: str, transfer_syntax: str = "") -> int | None:
        """Id of an agreed context for the SOP class (and transfer syntax, when given), or None."""
        for context_id, context in self.association.contexts.items():
            if context.abstract_syntax == abstract_syntax and transfer_syntax in (
                "",
                context.transfer_syntax,
            ):
                return context_id
        return None

    async def established(self) -> None:
        """Waits for the answer to our request. NotAllowed: the peer rejects us for good."""
        indication = await self._next()
        if isinstance(indication, AssociationRejected):
            answer = indication.answer
            text = (
                f"association rejected: result {answer.result} source {answer.source} reason {answer.reason}"
            )
            if answer.result == 1:
                raise NotAllowed(text)
            raise OutOfResources(text)
        if not isinstance(indication, AssociationAccepted):
            raise OutOfResources("association refused")

    async def echo(self) -> EchoResponse:
        """C-ECHO. NotSupported when the peer did not accept the Verification SOP class."""
        context_id = self._context(VERIFICATION_UID)
        answer = await self._call(context_id, EchoRequest(self._new_id()))
        if not isinstance(answer.command, EchoResponse):
            raise BadInput("the answer to C-ECHO is of another kind")
        return answer.command

    async def store(
        self,
        transfer_syntax: str,
        sop_class_uid: str,
        sop_instance_uid: str,
        data: bytes | bytearray | memoryview | StreamedData,
        originator: tuple[str, int] | None = None,
    ) -> StoreResponse:
        """C-STORE of a data set as it is. `originator`: AE title and message id of the C-MOVE behind it.

        NotSupported when the peer took no context with exactly this class and transfer syntax.
        """
        context_id = self._context(sop_class_uid, transfer_syntax)
        ae_title, message_id = originator or ("", None)
        request = StoreRequest(
            self._new_id(),
            sop_class_uid,
            sop_instance_uid,
            move_originator_ae=ae_title,
            move_originator_message_id=message_id,
        )
        answer = await self._call(context_id, request, data)
        if not isinstance(answer.command, StoreResponse):
            raise BadInput("the answer to C-STORE is of another kind")
        return answer.command

    async def event_report(
        self, context_id: int, sop_class_uid: str, sop_instance_uid: str, event_type: int, information: bytes
    ) -> EventReportResponse:
        """N-EVENT-REPORT with its event information."""
        request = EventReportRequest(self._new_id(), sop_class_uid, sop_instance_uid, event_type)
        answer = await self._call(context_id, request, information)
        if not isinstance(answer.command, EventReportResponse):
            raise BadInput("the answer to N-EVENT-REPORT is of another kind")
        return answer.command

    async def create(
        self, context_id: int, sop_class_uid: str, sop_instance_uid: str, attributes: bytes
    ) -> CreateResponse:
        """N-CREATE with its attribute list."""
        request = CreateRequest(self._new_id(), sop_class_uid, sop_instance_uid)
        answer = await self._call(context_id, request, attributes)
        if not isinstance(answer.command, CreateResponse):
            raise BadInput("the answer to N-CREATE is of another kind")
        return answer.command

    async def ask(self, context_id: int, request: Request, identifier: bytes) -> AsyncIterator[Message]:
        """C-FIND or C-MOVE: yields every response, the final one last. Leaving early sends C-CANCEL."""
        await self.send(context_id, request, identifier)
        finished = False
        try:
            while not finished:
                message = await self._answer()
                status = getattr(message.command, "status", 0)
                finished = status_kind(status) is not StatusKind.PENDING
                yield message
        finally:
            if not finished and self.association.is_established:
                await self.send(context_id, CancelRequest(request.message_id))

    def new_message_id(self) -> int:
        """A message id for `ask`."""
        return self._new_id()

    async def release(self) -> None:
        """Ends the association in order; gives up after limits.CLOSE_TIMEOUT_S."""
        if not self.association.is_established:
            self.drop()
            return
        self.association.upper.request_release()
        self.flush()
        try:
            async with asyncio.timeout(limits.CLOSE_TIMEOUT_S):
                while not isinstance(await self._arrived.get(), Released | Aborted):
                    pass
        except TimeoutError:
            self.abort("no answer to the release")
        self.drop()

    def _new_id(self) -> int:
        self._message_id = self._message_id % 0xFFFF + 1
        return self._message_id

    def _context(self, abstract_syntax: str, transfer_syntax: str = "") -> int:
        context_id = self.context_of(abstract_syntax, transfer_syntax)
        if context_id is None:
            raise NotSupported(f"the peer did not accept {abstract_syntax} {transfer_syntax}".rstrip())
        return context_id

    async def _call(
        self,
        context_id: int,
        request: Request,
        data: bytes | bytearray | memoryview | StreamedData | None = None,
    ) -> Message:
        """Sends and waits for the answer: each has limits.MESSAGE_TIMEOUT_S, and what many bytes take."""
        loop = asyncio.get_running_loop()
        more_s = len(data or b"") / limits.SLOWEST_TRANSFER_BYTES_PER_S
        try:
            async with asyncio.timeout(limits.MESSAGE_TIMEOUT_S + more_s) as timeout:
                await self.send(context_id, request, data)
                timeout.reschedule(loop.time() + limits.MESSAGE_TIMEOUT_S)
                indication = await self._arrived.get()
        except TimeoutError:
            raise OutOfResources("the peer does not read, or does not answer in time") from None
        return self._answered(indication)

    async def _answer(self) -> Message:
        return self._answered(await self._next())

    def _answered(self, indication: object) -> Message:
        if isinstance(indication, ReleaseRequested):
            self.association.answer_release()
            self.flush()
        if not isinstance(indication, Message):
            raise OutOfResources("the peer ended the association")
        return indication

    async def _next(self) -> object:
        try:
            async with asyncio.timeout(limits.MESSAGE_TIMEOUT_S):
                return await self._arrived.get()
        except TimeoutError:
            raise OutOfResources("the peer did not answer in time") from None


async def connect(
    host: str,
    port: int,
    called_ae: str,
    calling_ae: str,
    contexts: Sequence[tuple[str, Sequence[str]]],
    roles: tuple[RoleSelection, ...] = (),
    extended: tuple[ExtendedNegotiation, ...] = (),
    security: ssl.SSLContext | None = None,
) -> Requestor:
    """An established association that proposes (abstract syntax, transfer syntaxes) pairs, 128 at the most.

    `security`: by TLS, with this context. OutOfResources: nobody listens there, not now, or the certificates do not
    fit. NotAllowed: the peer rejects us. BadInput: more than
    limits.MAX_PRESENTATION_CONTEXTS pairs, or none.
    """
    if not 0 < len(contexts) <= limits.MAX_PRESENTATION_CONTEXTS:
        raise BadInput(f"{len(contexts)} presentation contexts can not be proposed")
    proposed = tuple(
        ProposedContext(2 * number + 1, abstract, tuple(transfer))
        for number, (abstract, transfer) in enumerate(contexts)
    )
    request = AssociateRequest(
        called_ae,
        calling_ae,
        proposed,
        own_user_information(OWN_IMPLEMENTATION, roles, extended=extended),
    )
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(limits.CONNECT_TIMEOUT_S):
            _, requestor = await loop.create_connection(lambda: Requestor(request), host, port, ssl=security)
    except (OSError, TimeoutError) as error:
        raise OutOfResources(f"{called_ae} can not be reached") from error
    try:
        await requestor.established()
    except BaseException:
        requestor.drop()
        raise
    return requestor
