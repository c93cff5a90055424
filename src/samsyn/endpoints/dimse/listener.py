"""The listener of the DICOM door: who may come in, how many, and a clean end."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from functools import partial

from samsyn import limits
from samsyn.access.view import Gatekeeper
from samsyn.dicom.encoding import encode
from samsyn.dicom.sop_classes import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
from samsyn.endpoints.dimse import contexts, statuses, verification
from samsyn.endpoints.dimse.budget import Budget
from samsyn.endpoints.dimse.commitment import CommitmentRequests
from samsyn.endpoints.dimse.connection import Connection
from samsyn.endpoints.dimse.link import Link
from samsyn.endpoints.dimse.query import Search
from samsyn.endpoints.dimse.retrieval import Retrieval
from samsyn.endpoints.dimse.storage import Storage
from samsyn.errors import NotAuthenticated, SamsynError
from samsyn.exchange.commitment import CommitmentReport, is_taken
from samsyn.exchange.exchange import Exchange
from samsyn.exchange.scu import OWN_IMPLEMENTATION
from samsyn.exchange.security import listener_context
from samsyn.ingest.arriving import LargeArrival
from samsyn.ingest.receive import Intake
from samsyn.providers.connections import Connections, System
from samsyn.render.transcoding import Transcoder
from samsyn.retrieve.retrieve import Retriever
from samsyn.search.find import Finder
from samsyn.settings import DicomSettings, DicomTlsSettings
from samsyn.tasks import ended
from samsyn.wire import dimse, pdu
from samsyn.wire.assembly import Message
from samsyn.wire.association_table import State
from samsyn.wire.pdu import AssociateReject, AssociateRequest

log = logging.getLogger(__name__)


class DicomDoor:
    """The DICOM listener. `start`, then `stop`; everything else happens by itself."""

    def __init__(
        self,
        settings: DicomSettings,
        tls: DicomTlsSettings,
        connections: Connections,
        intake: Intake,
        finder: Finder,
        retriever: Retriever,
        transcoder: Transcoder,
        gatekeeper: Gatekeeper,
        exchange: Exchange,
    ) -> None:
        self.budget = Budget(limits.MAX_ARRIVING_BYTES)
        self._settings = settings
        self._tls = tls
        self._refusals = gatekeeper.refusals
        self._connections = connections
        self._intake = intake
        self._storage = Storage(intake)
        self._search = Search(finder, gatekeeper, settings.ae_title)
        self._retrieval = Retrieval(retriever, transcoder, finder, gatekeeper, connections, exchange.pool)
        self._commitment = CommitmentRequests(exchange.commitments)
        self._commitments = exchange.commitments
        exchange.commitments.deliver_through(self.report)
        self._calls: set[asyncio.Task[None]] = set()
        self._open: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._tls_server: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self._is_stopping = False
        self._answering = 0
        self.accepted = 0
        self.rejected = 0
        """Associations since start, for metrics."""

    @property
    def port(self) -> int:
        """The TCP port that the door listens on."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def tls_port(self) -> int:
        """The TCP port of the TLS listener; 0 = there is none."""
        if self._tls_server is None:
            return 0
        port: int = self._tls_server.sockets[0].getsockname()[1]
        return port

    @property
    def open_associations(self) -> int:
        """Associations that are established now, for metrics."""
        return sum(connection.association.is_established for connection in self._open)

    async def start(self) -> None:
        """Begins to listen. OSError when an address is taken, ConfigurationError when TLS can not be set up."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            partial(Connection, self), self._settings.host, self._settings.port, backlog=512
        )
        security = listener_context(self._tls)
        if security is not None:
            self._tls_server = await loop.create_server(
                partial(Connection, self),
                self._tls.host,
                self._tls.port,
                backlog=512,
                ssl=security,
                ssl_handshake_timeout=limits.TLS_HANDSHAKE_S,
                ssl_shutdown_timeout=limits.CLOSE_TIMEOUT_S,
            )
        self._sweeper = loop.create_task(self._sweep())

    async def stop(self, grace_s: float = 20.0) -> None:
        """Stops listening, lets what is being answered finish for at most `grace_s`, then ends the rest."""
        self._is_stopping = True
        for server in (self._server, self._tls_server):
            if server is not None:
                server.close()
        deadline = asyncio.get_running_loop().time() + grace_s
        while (self._open or self._answering) and asyncio.get_running_loop().time() < deadline:
            for connection in list(self._open):
                if not connection.is_busy and not connection.association.is_inside_message:
                    connection.abort("the service is stopping")
                    connection.close()
            await asyncio.sleep(0.02)
        for connection in list(self._open):
            connection.abort("the service is stopping")
            connection.drop()
        await asyncio.gather(*self._calls, return_exceptions=True)
        await ended(self._sweeper)

    # -- what connections ask

    def opened(self, connection: Connection) -> None:
        """See Door."""
        self._open.add(connection)
        if len(self._open) > limits.MAX_ASSOCIATIONS:
            self._make_room(connection)

    def large(self, eased: Callable[[], None]) -> LargeArrival:
        """See Door."""
        return self._intake.large(eased)

    def _make_room(self, newest: Connection) -> None:
        """Whoever holds a connection without use goes first, so that a crowd can not lock out who wants to work.

        One that is over and only not closed yet; the oldest that asks for no association; the longest idle
        association, of the system that has the most; and if all are at work, the newest.
        """
        now = asyncio.get_running_loop().time()
        others = [each for each in self._open if each is not newest]
        over = [each for each in others if each.association.upper.state == State.AWAITING_CLOSE]
        silent = [each for each in others if each.association.upper.state == State.AWAITING_REQUEST]
        late = [each for each in silent if now - each.since > limits.SPARED_IDLE_S]
        idle = [each for each in others if each.idle_s(now) > limits.SPARED_IDLE_S]
        held = Counter(each.calling_ae for each in others)
        if over or late:
            leaving = min(over or late, key=lambda each: each.since)
        elif idle:
            leaving = max(idle, key=lambda each: (held[each.calling_ae], each.idle_s(now)))
        else:
            leaving = min(silent, key=lambda each: each.since, default=newest)
        log.warning(
            "too many associations",
            extra={"limit": "MAX_ASSOCIATIONS", "address": leaving.address, "calling": leaving.calling_ae},
        )
        leaving.abort("MAX_ASSOCIATIONS")
        leaving.drop()

    def closed(self, connection: Connection) -> None:
        """See Door."""
        self._open.discard(connection)

    def admit(self, connection: Connection, request: AssociateRequest) -> None:
        """See Door."""
        system = self._connections.dicom_peer(request.calling_ae, connection.address, connection.certificate)
        refusal = self._refusal(system, request)
        if refusal is not None or system is None:
            self.rejected += 1
            answer = refusal or pdu.CALLING_AE_NOT_RECOGNIZED
            log.warning(
                "association rejected",
                extra={
                    "calling": request.calling_ae,
                    "address": connection.address,
                    "code": f"{answer.result}/{answer.source}/{answer.reason}",
                },
            )
            if system is None:
                self._refusals.record_soon(
                    "dicom",
                    NotAuthenticated("unknown AE title or address"),
                    claimed=request.calling_ae,
                    address=connection.address,
                )
            connection.association.reject(answer)
            return
        connection.admitted(system)
        self.accepted += 1
        connection.association.accept(
            request,
            partial(contexts.choose, system),
            partial(contexts.grant, system),
            OWN_IMPLEMENTATION,
            partial(contexts.extend, system),
        )
        if _context_for(connection, STORAGE_COMMITMENT) is not None:
            task = asyncio.get_running_loop().create_task(self._peer_called(system))
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)

    async def _peer_called(self, system: System) -> None:
        try:
            await self._commitments.peer_called(system.sender.name)
        except SamsynError as error:
            # The reports that wait are tried at their own time.
            log.warning("reports wait", extra={"calling": system.sender.name, "error": error.code})

    def store_soon(
        self, link: Link, message: Message, done: Callable[[dimse.StoreResponse | None], None]
    ) -> dimse.StoreResponse | bool:
        """See Door."""
        assert isinstance(message.command, dimse.StoreRequest)

        def answered(response: dimse.StoreResponse | None) -> None:
            self._answering -= 1
            done(response)

        try:
            outcome = self._storage.answer_soon(link, message, message.command, answered)
        except SamsynError:
            return False  # and refused by `answer`, in its words
        except Exception:
            # Of our own making: `answer` tells it to the peer; raised here it would end the connection.
            log.exception("request failed", extra={"calling": link.system.sender.name})
            return False
        if outcome is True:
            self._answering += 1
        return outcome

    async def answer(self, link: Link, message: Message) -> None:
        """See Door."""
        self._answering += 1
        try:
            await self._answer(link, message)
        finally:
            self._answering -= 1

    async def _answer(self, link: Link, message: Message) -> None:
        command = message.command
        try:
            match command:
                case dimse.StoreRequest():
                    await self._storage.answer(link, message, command)
                case dimse.FindRequest():
                    await self._search.answer(link, message, command)
                case dimse.GetRequest():
                    await self._retrieval.get(link, message, command)
                case dimse.MoveRequest():
                    await self._retrieval.move(link, message, command)
                case dimse.EchoRequest():
                    await verification.answer(link, message, command)
                case dimse.ActionRequest(sop_class_uid=uid) if uid == STORAGE_COMMITMENT:
                    await self._commitment.answer(link, message, command)
                case (
                    dimse.ActionRequest()
                    | dimse.EventReportRequest()
                    | dimse.CreateRequest()
                    | dimse.UnknownRequest()
                ):
                    await self._reply(link, message, statuses.unrecognized(command))
        except SamsynError as error:
            await self._refuse(link, message, error)
        except Exception:
            log.exception("request failed", extra={"calling": link.system.sender.name})
            await self._refuse(link, message, SamsynError())

    async def report(self, association: str, peer: str, report: CommitmentReport) -> bool:
        """Delivers a report on the association that asked for it, or on another that the peer has open when we
        know no address of it; whether it was taken. Waits limits.REPORT_WAIT_S for a busy one."""
        has_address = self._connections.destination(peer) is not None
        for connection in list(self._open):
            if not connection.is_admitted or connection.calling_ae.strip() != peer:
                continue
            if connection.session_id == association or not has_address:
                context_id = _context_for(connection, STORAGE_COMMITMENT)
                if context_id is not None and await self._report_on(connection, context_id, report):
                    return True
        return False

    async def _report_on(self, connection: Connection, context_id: int, report: CommitmentReport) -> bool:
        try:
            async with asyncio.timeout(limits.REPORT_WAIT_S):
                # The answer to the request must leave before the report about it.
                await connection.idle.wait()
        except TimeoutError:
            return False
        if connection.is_gone:
            return False
        request = dimse.EventReportRequest(
            connection.new_message_id(), STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE, report.event_type
        )
        syntax = connection.contexts[context_id].transfer_syntax
        answer = await connection.report(context_id, request, encode(report.information, syntax))
        return (
            answer is not None
            and isinstance(answer.command, dimse.EventReportResponse)
            and is_taken(answer.command.status)
        )

    async def _refuse(self, link: Link, message: Message, error: SamsynError) -> None:
        log.warning(
            "request refused",
            extra={
                "calling": link.system.sender.name,
                "kind": type(message.command).__name__,
                "error": error.code,
                "reason": error.detail,
            },
        )
        await self._refusals.record("dicom", error, subject=link.system.subject)
        if isinstance(message.command, dimse.Request):
            await self._reply(link, message, statuses.failure(message.command, error))

    @staticmethod
    async def _reply(link: Link, message: Message, response: dimse.Response | None) -> None:
        if response is not None:
            await link.send(message.context_id, response)

    def _refusal(self, system: System | None, request: AssociateRequest) -> AssociateReject | None:
        """Why a request is rejected, or None. An unknown caller is told nothing more than that."""
        if system is None:
            return pdu.CALLING_AE_NOT_RECOGNIZED
        if request.called_ae != self._settings.ae_title:
            return pdu.CALLED_AE_NOT_RECOGNIZED
        if self._is_stopping:
            return pdu.TEMPORARY_CONGESTION
        title = request.calling_ae
        if sum(each.is_admitted and each.calling_ae == title for each in self._open) >= (
            limits.MAX_ASSOCIATIONS_PER_PEER
        ):
            return pdu.LOCAL_LIMIT_EXCEEDED
        return None

    async def _sweep(self) -> None:
        """Ends connections whose deadline has passed; a timer of its own for each would cost more."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(0.5)
            now = loop.time()
            for connection in list(self._open):
                deadline = connection.overdue(now)
                if deadline:
                    connection.end(deadline)


def _context_for(connection: Connection, sop_class_uid: str) -> int | None:
    for context_id, context in connection.contexts.items():
        if context.abstract_syntax == sop_class_uid:
            return context_id
    return None
