"""Outgoing associations to known destinations: few for each, kept a moment for the next, rarer tries when it fails."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from samsyn import limits
from samsyn.clock import Clock
from samsyn.errors import OutOfResources, SamsynError
from samsyn.exchange.scu import Requestor, connect
from samsyn.providers.connections import Destination
from samsyn.wire.user_information import RoleSelection

Contexts: TypeAlias = Sequence[tuple[str, Sequence[str]]]
_Wish: TypeAlias = tuple[tuple[tuple[str, tuple[str, ...]], ...], tuple[RoleSelection, ...]]


@dataclass(slots=True)
class _Peer:
    """What is known about one destination now."""

    open: int = 0
    """Associations lent out."""
    failures: int = 0
    """Attempts to connect that failed since the last that worked."""
    not_before: float = 0.0
    """No attempt before this monotonic time."""
    idle: list[tuple[_Wish, Requestor, asyncio.TimerHandle]] = field(default_factory=list)


class AssociationPool:
    """Lends associations. One per server; `stop` releases what is kept."""

    def __init__(self, clock: Clock, ae_title: str, security: ssl.SSLContext | None = None) -> None:
        """`security`: for destinations that are reached by TLS."""
        self._security = security
        self._clock = clock
        self._ae_title = ae_title
        self._peers: dict[Destination, _Peer] = {}
        self._releasing: set[asyncio.Task[None]] = set()
        self.opened = 0
        self.failed = 0
        """Associations opened, and attempts that failed, since start, for metrics."""

    def wait_s(self, destination: Destination) -> float:
        """Seconds until a new attempt makes sense; 0 = now. Work that must wait leaves its place to others."""
        peer = self._peers.get(destination)
        if peer is None:
            return 0.0
        if peer.open >= limits.MAX_OUTGOING_PER_PEER:
            return 0.5
        return max(0.0, peer.not_before - self._clock.monotonic())

    @asynccontextmanager
    async def lease(
        self, destination: Destination, contexts: Contexts, roles: tuple[RoleSelection, ...] = ()
    ) -> AsyncIterator[Requestor]:
        """An association that proposed exactly this; kept for the next one that wants the same.

        OutOfResources: nobody listens, not before `wait_s`, or too many are lent out. NotAllowed: rejected for
        good. An error inside the lease ends the association.
        """
        peer = self._peers.setdefault(destination, _Peer())
        if self.wait_s(destination):
            raise OutOfResources(f"{destination.ae_title} is not tried just now")
        wish = (tuple((abstract, tuple(syntaxes)) for abstract, syntaxes in contexts), roles)
        peer.open += 1
        try:
            requestor = self._kept(peer, wish) or await self._open(destination, peer, wish)
            try:
                yield requestor
            except BaseException:
                requestor.abort("given up")
                requestor.drop()
                raise
            self._keep(peer, wish, requestor)
        finally:
            peer.open -= 1

    async def connect(
        self, destination: Destination, contexts: Contexts, roles: tuple[RoleSelection, ...] = ()
    ) -> Requestor:
        """An association that is neither counted nor kept: for an asker who waits for the outcome."""
        if destination.tls and self._security is None:
            raise OutOfResources(f"{destination.ae_title} needs TLS, which is not set up")
        security = self._security if destination.tls else None
        return await connect(
            destination.host,
            destination.port,
            destination.ae_title,
            self._ae_title,
            contexts,
            roles,
            security=security,
        )

    async def stop(self) -> None:
        """Releases what is kept. What is lent out ends with its borrower."""
        for peer in self._peers.values():
            while peer.idle:
                _, requestor, timer = peer.idle.pop()
                timer.cancel()
                self._release(requestor)
        if self._releasing:
            await asyncio.wait(self._releasing)

    def _kept(self, peer: _Peer, wish: _Wish) -> Requestor | None:
        for position, (kept_wish, requestor, timer) in enumerate(peer.idle):
            if kept_wish == wish:
                del peer.idle[position]
                timer.cancel()
                if requestor.association.is_established and requestor.is_connected:
                    return requestor
                requestor.drop()
                return None
        return None

    async def _open(self, destination: Destination, peer: _Peer, wish: _Wish) -> Requestor:
        contexts, roles = wish
        try:
            requestor = await self.connect(destination, contexts, roles)
        except SamsynError:
            self.failed += 1
            peer.failures += 1
            pause = min(2.0 ** min(peer.failures, 16), limits.MAX_OUTGOING_PAUSE_S)
            peer.not_before = self._clock.monotonic() + pause
            raise
        self.opened += 1
        peer.failures = 0
        peer.not_before = 0.0
        return requestor

    def _keep(self, peer: _Peer, wish: _Wish, requestor: Requestor) -> None:
        if not (requestor.association.is_established and requestor.is_connected):
            requestor.drop()
            return
        loop = asyncio.get_running_loop()
        timer = loop.call_later(limits.OUTGOING_KEPT_S, self._expire, peer, requestor)
        peer.idle.append((wish, requestor, timer))

    def _expire(self, peer: _Peer, requestor: Requestor) -> None:
        peer.idle = [entry for entry in peer.idle if entry[1] is not requestor]
        self._release(requestor)

    def _release(self, requestor: Requestor) -> None:
        task = asyncio.get_running_loop().create_task(requestor.release())
        self._releasing.add(task)
        task.add_done_callback(self._releasing.discard)
