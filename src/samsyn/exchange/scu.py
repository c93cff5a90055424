"""Our side as service class user: associations to other systems, over which we store and ask."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from types import TracebackType

from samsyn import limits
from samsyn.dicom.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from samsyn.errors import BadInput, NotAllowed, NotSupported, OutOfResources
from samsyn.exchange.one_ahead import Answered
from samsyn.exchange.transport import AssociationTransport
from samsyn.model.streamed import StreamedData
from samsyn.wire.assembly import Message
from samsyn.wire.association import Association
from samsyn.wire.dimse import (
    PRIORITY_MEDIUM,
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
        self._posted: tuple[float, Answered] | None = None
        """Until when the peer has time for what was posted, and who hears the answer."""
        self._watch: asyncio.TimerHandle | None = None

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
        """Answers to what was posted are told at once; all else is taken from a queue by whoever waits for it."""
        if self._posted is None:
            self._arrived.put_nowait(indication)
            return
        if isinstance(indication, ReleaseRequested):
            self.association.answer_release()
        self._tell_posted(indication if isinstance(indication, Message) else None)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.BaseProtocol."""
        super().connection_lost(exc)
        self._tell_posted(None)
        if self._watch is not None:
            self._watch.cancel()

    def post(self, message_id: int, pieces: Sequence[bytes | memoryview], answered: Answered) -> None:
        """See Line. One request at a time, so any answer is the one to it."""
        if not (self.association.is_established and self.is_connected):
            answered(None)
            return
        loop = asyncio.get_running_loop()
        more_s = sum(map(len, pieces)) / limits.SLOWEST_TRANSFER_BYTES_PER_S
        until = loop.time() + limits.MESSAGE_TIMEOUT_S + more_s
        self._posted = until, answered
        if self._watch is None:
            self._watch = loop.call_at(until, self._look)
        self.association.upper.send(pieces)
        self.flush()

    def _look(self) -> None:
        """One timer for all that is posted: a timer for each would cost more than its answer."""
        self._watch = None
        if self._posted is None:
            return
        loop = asyncio.get_running_loop()
        if loop.time() < self._posted[0]:
            self._watch = loop.call_at(self._posted[0], self._look)
        else:
            self._tell_posted(None)

    def _tell_posted(self, message: Message | None) -> None:
        posted, self._posted = self._posted, None
        if posted is not None:
            posted[1](message)

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
        context_id = self.context_for(VERIFICATION_UID)
        answer = await self.call(context_id, EchoRequest(self.new_message_id()))
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
        context_id = self.context_for(sop_class_uid, transfer_syntax)
        answer = await self.call(
            context_id, self.store_request(sop_class_uid, sop_instance_uid, originator), data
        )
        if not isinstance(answer.command, StoreResponse):
            raise BadInput("the answer to C-STORE is of another kind")
        return answer.command

    def store_request(
        self,
        sop_class_uid: str,
        sop_instance_uid: str,
        originator: tuple[str, int] | None = None,
        priority: int = PRIORITY_MEDIUM,
    ) -> StoreRequest:
        """The request of `store`, with a new message id. `priority`: of the C-MOVE behind it."""
        ae_title, message_id = originator or ("", None)
        return StoreRequest(
            self.new_message_id(),
            sop_class_uid,
            sop_instance_uid,
            priority,
            move_originator_ae=ae_title,
            move_originator_message_id=message_id,
        )

    async def event_report(
        self, context_id: int, sop_class_uid: str, sop_instance_uid: str, event_type: int, information: bytes
    ) -> EventReportResponse:
        """N-EVENT-REPORT with its event information."""
        request = EventReportRequest(self.new_message_id(), sop_class_uid, sop_instance_uid, event_type)
        answer = await self.call(context_id, request, information)
        if not isinstance(answer.command, EventReportResponse):
            raise BadInput("the answer to N-EVENT-REPORT is of another kind")
        return answer.command

    async def create(
        self, context_id: int, sop_class_uid: str, sop_instance_uid: str, attributes: bytes
    ) -> CreateResponse:
        """N-CREATE with its attribute list."""
        request = CreateRequest(self.new_message_id(), sop_class_uid, sop_instance_uid)
        answer = await self.call(context_id, request, attributes)
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

    def new_message_id(self) -> int:
        """A message id for one request."""
        self._message_id = self._message_id % 0xFFFF + 1
        return self._message_id

    def context_for(self, abstract_syntax: str, transfer_syntax: str = "") -> int:
        """Id of an agreed context; NotSupported when there is none."""
        context_id = self.context_of(abstract_syntax, transfer_syntax)
        if context_id is None:
            raise NotSupported(f"the peer did not accept {abstract_syntax} {transfer_syntax}".rstrip())
        return context_id

    async def call(
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
