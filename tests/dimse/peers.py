"""A system of somebody else that listens: it takes what it is sent, keeps it, and answers as the test wishes."""

import asyncio
from collections.abc import Sequence

from samsyn.exchange.transport import AssociationTransport
from samsyn.wire import dimse
from samsyn.wire.assembly import Message
from samsyn.wire.association import Association
from samsyn.wire.negotiation import Implementation
from samsyn.wire.pdu import ContextResult, ProposedContext
from samsyn.wire.upper_layer import AssociationRequested, ReleaseRequested
from samsyn.wire.user_information import RoleSelection
from tests.waiting import PATIENCE_S

_OWN = Implementation("2.25.3", "PEER")


class Peer:
    """Listens on a free port of this machine, or on the one that is given."""

    def __init__(
        self, ae_title: str, classes: Sequence[str], port: int = 0, syntaxes: Sequence[str] = ()
    ) -> None:
        self.ae_title = ae_title
        self.classes = frozenset(classes)
        self.syntaxes = frozenset(syntaxes)
        """Transfer syntaxes that it takes; empty = all."""
        self.port = port
        self.status = 0
        """What it answers to everything."""
        self.statuses: list[int] = []
        """What it answers first, one after the other."""
        self.associations = 0
        self.open = 0
        self.most_open = 0
        self.roles: dict[str, tuple[bool, bool]] = {}
        self.callers: list[str] = []
        self.arrived: asyncio.Queue[Message] = asyncio.Queue()
        self.pause_s = 0.0
        self._server: asyncio.Server | None = None
        self.connections: set[_Connection] = set()

    async def __aenter__(self) -> "Peer":
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for connection in list(self.connections):
            connection.drop()
        await asyncio.sleep(0)

    async def next(self, timeout_s: float = PATIENCE_S) -> Message:
        """The next message that it was sent."""
        async with asyncio.timeout(timeout_s):
            return await self.arrived.get()


class _Connection(AssociationTransport):
    def __init__(self, peer: Peer) -> None:
        super().__init__(Association())
        self._peer = peer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._peer.connections.add(self)
        self._peer.open += 1
        self._peer.most_open = max(self._peer.open, self._peer.most_open)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._peer.connections.discard(self)
        self._peer.open -= 1

    def indicated(self, indication: object) -> None:
        peer = self._peer
        match indication:
            case AssociationRequested(request):
                peer.associations += 1
                peer.callers.append(request.calling_ae)
                peer.roles = {role.sop_class_uid: (role.scu, role.scp) for role in request.user.roles}
                self.association.accept(request, self._choose, self._grant, _OWN)
            case ReleaseRequested():
                self.association.answer_release()
            case Message():
                asyncio.get_running_loop().call_later(peer.pause_s, self._answer, indication)

    def _choose(self, context: ProposedContext) -> str | ContextResult:
        if context.abstract_syntax not in self._peer.classes:
            return ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED
        for syntax in context.transfer_syntaxes:
            if not self._peer.syntaxes or syntax in self._peer.syntaxes:
                return syntax
        return ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED

    @staticmethod
    def _grant(role: RoleSelection) -> RoleSelection:
        return role

    def _answer(self, message: Message) -> None:
        command, peer = message.command, self._peer
        status = peer.statuses.pop(0) if peer.statuses else peer.status
        answer: dimse.Response
        match command:
            case dimse.StoreRequest(number, sop_class, sop_instance):
                answer = dimse.StoreResponse(number, status, sop_class, sop_instance)
            case dimse.EventReportRequest(number):
                answer = dimse.EventReportResponse(number, status)
            case dimse.CreateRequest(number, sop_class, sop_instance):
                answer = dimse.CreateResponse(number, status, sop_class, sop_instance)
            case _:
                answer = dimse.EchoResponse(command.message_id, status)
        self._peer.arrived.put_nowait(message)
        if self.is_connected:
            self.association.send(message.context_id, answer)
            self.flush()
