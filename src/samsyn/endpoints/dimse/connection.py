"""One association of the DICOM door: admits, queues messages, has them answered one by one, keeps deadlines."""

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

from samsyn import limits
from samsyn.endpoints.dimse.budget import Budget
from samsyn.endpoints.dimse.link import Link
from samsyn.errors import Conflict, OutOfResources
from samsyn.exchange.one_ahead import Answered
from samsyn.exchange.security import certificate_hsa_id
from samsyn.exchange.transport import AssociationTransport
from samsyn.ingest.arriving import LargeArrival
from samsyn.model.streamed import StreamedData
from samsyn.providers.connections import System
from samsyn.wire.assembly import AgreedContext, Message
from samsyn.wire.association import Association
from samsyn.wire.association_table import State
from samsyn.wire.dimse import (
    CancelRequest,
    Command,
    EventReportRequest,
    Request,
    Response,
    StoreRequest,
    StoreResponse,
)
from samsyn.wire.pdu import AssociateRequest
from samsyn.wire.upper_layer import Aborted, AssociationRequested, ReleaseRequested

log = logging.getLogger(__name__)

_MAX_WAITING = 4
"""Requests that may wait on one association before it is not read from any more, when no larger window was agreed."""


class Door(Protocol):
    """What a connection needs of the door that it came through."""

    budget: Budget

    def opened(self, connection: "Connection") -> None:
        """A transport connection was made."""

    def large(self, eased: Callable[[], None]) -> LargeArrival:
        """Where a large data set goes while it arrives."""

    def admit(self, connection: "Connection", request: AssociateRequest) -> None:
        """Accepts or rejects the request on the connection's association."""

    def store_soon(
        self, link: Link, message: Message, done: Callable[[StoreResponse | None], None]
    ) -> StoreResponse | bool:
        """The answer to a C-STORE that is the only request on its association, when it could be stored while the caller
        waited; True: `done` is told the answer later, or None: `answer` is to be asked, which tells the refusal; False,
        and nothing is done: likewise."""

    async def answer(self, link: Link, message: Message) -> None:
        """Answers one request; does not raise SamsynError."""

    def closed(self, connection: "Connection") -> None:
        """The transport connection is gone."""


class Connection(AssociationTransport):
    """One transport connection to the door; a `Link` once it is admitted."""

    def __init__(self, door: Door) -> None:
        super().__init__(Association(budget=door.budget, spill_to=self._spill_to))
        self._door = door
        self._loop = asyncio.get_running_loop()
        self._system: System | None = None
        self._session_id = ""
        self._waiting: deque[Message] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._current: Message | None = None
        self._soon: Message | None = None
        """The one that is being stored without a task."""
        self._storing: set[asyncio.Task[None]] = set()
        self._more: asyncio.Future[None] | None = None
        self._cancelled: set[int] = set()
        self._release_asked = False
        self._is_reading = True
        self._large: LargeArrival | None = None
        self.idle = asyncio.Event()
        """Set while no request of the peer is being answered."""
        self.idle.set()
        self._own_requests: dict[int, tuple[float, Answered]] = {}
        """Until when the peer has time, and who hears the answer."""
        self._sub_id = 0
        self._queued_bytes = 0
        self.address = ""
        self.certificate: str | None = None
        """HSA-id in the client certificate, "" when it has none; None = not by TLS."""
        self.calling_ae = ""
        self.since = self._loop.time()
        """When the connection, its present state or its last whole message began; deadlines count from it."""
        self._state = State.IDLE
        self._message_since: float | None = None
        self._blocked_since: float | None = None

    # -- Link

    @property
    def system(self) -> System:
        """See Link."""
        assert self._system is not None
        return self._system

    @property
    def session_id(self) -> str:
        """See Link."""
        return self._session_id

    @property
    def contexts(self) -> Mapping[int, AgreedContext]:
        """See Link."""
        return self.association.contexts

    @property
    def extended(self) -> Mapping[str, bytes]:
        """See Link."""
        return self.association.extended

    @property
    def is_scp_of(self) -> frozenset[str]:
        """See Link."""
        return self.association.peer_is_scp_of

    @property
    def is_gone(self) -> bool:
        """See Link."""
        return not (self.association.upper.can_send and self.is_connected)

    def is_cancelled(self, message_id: int) -> bool:
        """See Link."""
        return message_id in self._cancelled or self.is_gone

    def new_message_id(self) -> int:
        """See Link."""
        self._sub_id = self._sub_id % 0xFFFF + 1
        return self._sub_id

    def queue(self, context_id: int, command: Command, data: bytes | None = None) -> int:
        """See Link."""
        if not self.is_gone:
            self.association.send(context_id, command, data)
            self._queued_bytes += len(data or b"") + 128
        return self._queued_bytes

    async def flush_queued(self) -> None:
        """Writes what was queued and waits for room."""
        self._queued_bytes = 0
        self.flush()
        # Others get their turn, and a C-CANCEL of this very request gets read.
        await asyncio.sleep(0)
        await self._writable.wait()

    async def send(
        self,
        context_id: int,
        command: Command,
        data: bytes | bytearray | memoryview | StreamedData | None = None,
    ) -> None:
        """See Link."""
        if self.is_gone:
            return
        self._queued_bytes = 0
        try:
            await super().send(context_id, command, data)
        except (Conflict, OutOfResources):
            # The peer aborted while a large message was leaving, or we did because it broke off.
            return

    async def store(
        self, context_id: int, request: StoreRequest, data: bytes | memoryview | StreamedData
    ) -> Message | None:
        """See Link."""
        return await self._call(context_id, request, data)

    async def report(self, context_id: int, request: EventReportRequest, data: bytes) -> Message | None:
        """An N-EVENT-REPORT on this association; the peer's answer, or None when it is gone."""
        return await self._call(context_id, request, data)

    async def _call(
        self, context_id: int, request: Request, data: bytes | memoryview | StreamedData
    ) -> Message | None:
        answer: asyncio.Future[Message | None] = self._loop.create_future()
        self._expect(request.message_id, len(data), partial(_resolve, answer))
        try:
            await self.send(context_id, request, data)
            return None if self.is_gone else await answer
        finally:
            self._own_requests.pop(request.message_id, None)

    def post(self, message_id: int, pieces: Sequence[bytes | memoryview], answered: Answered) -> None:
        """See Line."""
        if self.is_gone:
            answered(None)
            return
        self._queued_bytes = 0
        self._expect(message_id, sum(map(len, pieces)), answered)
        self.association.upper.send(pieces)
        self.flush()

    def _expect(self, message_id: int, size: int, answered: Answered) -> None:
        allowed_s = limits.MESSAGE_TIMEOUT_S + size / limits.SLOWEST_TRANSFER_BYTES_PER_S
        self._own_requests[message_id] = self._loop.time() + allowed_s, answered

    # -- what the door tells

    def admitted(self, system: System) -> None:
        """The request was accepted for this system."""
        self._system = system
        self._session_id = f"dicom-{uuid.uuid4().hex}"

    @property
    def is_admitted(self) -> bool:
        """Whether the association was accepted."""
        return self._system is not None

    @property
    def is_busy(self) -> bool:
        """Whether a request is being answered or waits for it."""
        return self._worker is not None or self._soon is not None

    # -- AssociationTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.BaseProtocol."""
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if peer else ""
        if transport.get_extra_info("ssl_object") is not None:
            self.certificate = certificate_hsa_id(transport.get_extra_info("peercert"))
        super().connection_made(transport)
        self._door.opened(self)

    def buffer_updated(self, nbytes: int) -> None:
        """See asyncio.BufferedProtocol."""
        super().buffer_updated(nbytes)
        if self._large is not None and self._large.is_behind:
            self._pause_reading()
        if not self.association.is_inside_message:
            self._message_since = None
        elif self._message_since is None:
            self._message_since = self._loop.time()

    def pause_writing(self) -> None:
        """See asyncio.BaseProtocol."""
        super().pause_writing()
        self._blocked_since = self._loop.time()

    def resume_writing(self) -> None:
        """See asyncio.BaseProtocol."""
        super().resume_writing()
        self._blocked_since = None

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.BaseProtocol."""
        super().connection_lost(exc)
        self._give_up()
        self._door.closed(self)

    def indicated(self, indication: object) -> None:
        """See AssociationTransport."""
        self.since = self._loop.time()
        match indication:
            case Message():
                self._take(indication)
            case AssociationRequested(request):
                self.calling_ae = request.calling_ae
                self._door.admit(self, request)
            case ReleaseRequested():
                self._release_asked = True
                if not self.is_busy:
                    self.association.answer_release()
            case Aborted():
                if not indication.by_peer:
                    log.warning(
                        "association aborted",
                        extra={
                            "address": self.address,
                            "calling": self.calling_ae,
                            "code": f"{indication.source}/{indication.reason}",
                            "reason": indication.detail,
                        },
                    )
                self._give_up()

    def idle_s(self, now: float) -> float:
        """Seconds for which an association has had nothing to do; 0 = it is at work, or there is none."""
        if not self.association.is_established or self.is_busy or self.association.is_inside_message:
            return 0.0
        return now - self.since if not self._own_requests else 0.0

    def overdue(self, now: float) -> str:
        """The name of the deadline that has passed, or an empty text. Called about once a second."""
        upper = self.association.upper
        if upper.state != self._state:
            self._state, self.since = upper.state, now
        waited = now - self.since
        if upper.artim_running:
            is_closing = upper.state == State.AWAITING_CLOSE
            limit = limits.CLOSE_TIMEOUT_S if is_closing else limits.ASSOCIATE_TIMEOUT_S
            return "ARTIM" if waited > limit else ""
        more_s = self.association.arrived_bytes / limits.SLOWEST_TRANSFER_BYTES_PER_S
        if self._message_since is not None and now - self._message_since > limits.MESSAGE_TIMEOUT_S + more_s:
            return "MESSAGE_TIMEOUT_S"
        if self._blocked_since is not None and now - self._blocked_since > limits.MESSAGE_TIMEOUT_S:
            return "MESSAGE_TIMEOUT_S"
        if any(now > until for until, _ in self._own_requests.values()):
            return "MESSAGE_TIMEOUT_S"
        if not self.is_busy and waited > limits.IDLE_ASSOCIATION_TIMEOUT_S:
            return "IDLE_ASSOCIATION_TIMEOUT_S"
        return ""

    def end(self, deadline: str) -> None:
        """A deadline has passed: tell the peer if there is something to tell, and close."""
        if deadline == "ARTIM":
            self.association.upper.artim_expired()
            self.flush()
        elif deadline == "MESSAGE_TIMEOUT_S" and self._blocked_since is not None:
            self.drop()
        else:
            log.warning("association timed out", extra={"calling": self.calling_ae, "limit": deadline})
            self.abort(deadline)
            self._give_up()

    # -- messages

    def _take(self, message: Message) -> None:
        command = message.command
        if isinstance(command, CancelRequest):
            unanswered = self._waiting if self._current is None else (self._current, *self._waiting)
            if any(
                each.command.message_id == command.message_id and not isinstance(each.command, StoreRequest)
                for each in unanswered
            ):
                self._cancelled.add(command.message_id)
            return
        if isinstance(command, Response):
            waiting = self._own_requests.pop(command.message_id, None)
            if waiting is not None:
                waiting[1](message)
            else:
                self.association.abort("a response that nobody asked for")
            return
        if self._stores_soon(message):
            return
        self._waiting.append(message)
        if self._more is not None and not self._more.done():
            self._more.set_result(None)
        if len(self._waiting) >= self._most_waiting:
            self._pause_reading()
        if not self.is_busy:
            self._begin_work()

    def _begin_work(self) -> None:
        self.idle.clear()
        self._worker = self._loop.create_task(self._work())

    def _stores_soon(self, message: Message) -> bool:
        """Stores an object whose sender waits for the answer, if that goes without a task; an answer that is there at
        once leaves with the next flush."""
        if (
            self.is_busy
            or self.association.window > 1
            or not isinstance(message.command, StoreRequest)
            or self.is_gone
            or not self._writable.is_set()
        ):
            return False
        outcome = self._door.store_soon(self, message, self._stored)
        if outcome is False:
            return False
        if outcome is True:
            self.idle.clear()
            self._soon = message
        else:
            self.association.send(message.context_id, outcome)
            self._door.budget.give_back(message.reserved_bytes)
        return True

    def _stored(self, response: StoreResponse | None) -> None:
        """What `_stores_soon` began has come to its end."""
        message, self._soon = self._soon, None
        assert message is not None
        if response is None:
            self._waiting.appendleft(message)
            self._begin_work()
            return
        try:
            if not self.is_gone:
                self.association.send(message.context_id, response)
        finally:
            self._let_go(message)
        self.since = self._loop.time()
        if self._waiting:
            self._begin_work()
        else:
            self.idle.set()
            if self._release_asked:
                self.association.answer_release()
        self._read_on()
        self.flush()

    async def _work(self) -> None:
        """Answers what waits, in order; objects to store side by side, as many as the window holds."""
        try:
            while self._waiting or self._storing:
                if not self._waiting:
                    await self._something_happens()
                    continue
                message = self._waiting.popleft()
                if self.association.window > 1 and isinstance(message.command, StoreRequest):
                    await self._store_beside(message)
                else:
                    await self._all_stored()
                    self._current = message
                    try:
                        await self._answer(message)
                    finally:
                        self._current = None
                        self._cancelled.discard(message.command.message_id)
                self._read_on()
        finally:
            self._worker = None
            self.idle.set()
            if self._release_asked:
                self.association.answer_release()
            self.flush()

    async def _answer(self, message: Message) -> None:
        try:
            if not self.is_gone:
                await self._door.answer(self, message)
        finally:
            self._let_go(message)
            self.since = self._loop.time()

    async def _store_beside(self, message: Message) -> None:
        """Begins to store; returns when there is room for one more."""
        task = self._loop.create_task(self._answer(message))
        self._storing.add(task)
        task.add_done_callback(self._storing.discard)
        while len(self._storing) >= self.association.window:
            await asyncio.wait(self._storing, return_when=asyncio.FIRST_COMPLETED)

    async def _all_stored(self) -> None:
        if self._storing:
            await asyncio.wait(self._storing)

    async def _something_happens(self) -> None:
        """Until an object is stored or another message has come."""
        self._more = self._loop.create_future()
        await asyncio.wait({*self._storing, self._more}, return_when=asyncio.FIRST_COMPLETED)
        self._more = None

    @property
    def _most_waiting(self) -> int:
        return max(_MAX_WAITING, self.association.window)

    def _spill_to(self) -> LargeArrival:
        self._large = self._door.large(self._read_on)
        return self._large

    def _pause_reading(self) -> None:
        if self._is_reading and self._transport is not None:
            self._is_reading = False
            self._transport.pause_reading()

    def _read_on(self) -> None:
        """Reads again, unless what has come still waits for us or for the disk."""
        if len(self._waiting) >= self._most_waiting or (self._large is not None and self._large.is_behind):
            return
        if not self._is_reading and self.is_connected and self._transport is not None:
            self._is_reading = True
            self._transport.resume_reading()

    def _give_up(self) -> None:
        """Nothing can be answered any more: whoever waits is told, what waits is dropped."""
        while self._own_requests:
            self._own_requests.popitem()[1][1](None)
        while self._waiting:
            self._let_go(self._waiting.popleft())

    def _let_go(self, message: Message) -> None:
        self._door.budget.give_back(message.reserved_bytes)
        if message.spilled is not None:
            message.spilled.drop()


def _resolve(answer: "asyncio.Future[Message | None]", message: Message | None) -> None:
    if not answer.done():
        answer.set_result(message)
