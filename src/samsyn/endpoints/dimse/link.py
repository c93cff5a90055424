"""What the services of this door need of an association."""

from collections.abc import Mapping
from typing import Protocol

from samsyn.exchange.one_ahead import Line
from samsyn.model.streamed import StreamedData
from samsyn.providers.connections import System
from samsyn.wire.assembly import AgreedContext, Message
from samsyn.wire.dimse import Command, StoreRequest


class Link(Line, Protocol):
    """An established association with a known system."""

    @property
    def system(self) -> System:
        """Who is on the other side."""

    @property
    def session_id(self) -> str:
        """Names the association in the audit journal; never a secret."""

    @property
    def contexts(self) -> Mapping[int, AgreedContext]:
        """The agreed presentation contexts by id."""

    @property
    def extended(self) -> Mapping[str, bytes]:
        """SOP class -> what was agreed by extended negotiation (PS3.7 D.3.3.5)."""

    @property
    def is_scp_of(self) -> frozenset[str]:
        """SOP classes of which the peer has the SCP role: no others may be asked of it (PS3.7 D.3.3.4)."""

    @property
    def is_gone(self) -> bool:
        """Whether nothing can be answered any more."""

    def is_cancelled(self, message_id: int) -> bool:
        """Whether the peer sent C-CANCEL for this request, or is gone."""

    def queue(self, context_id: int, command: Command, data: bytes | None = None) -> int:
        """Puts a message behind what leaves with the next `send`; bytes that now wait. Nothing when gone."""

    async def send(self, context_id: int, command: Command, data: bytes | None = None) -> None:
        """Sends a message and waits until the peer has room for more. Nothing when gone."""

    async def flush_queued(self) -> None:
        """Sends what was queued and waits until the peer has room for more."""

    async def store(
        self, context_id: int, request: StoreRequest, data: bytes | memoryview | StreamedData
    ) -> Message | None:
        """A C-STORE sub-operation on this association; the peer's answer, or None when it is gone.

        The peer is gone too when it does not answer within limits.MESSAGE_TIMEOUT_S, a second longer for each
        limits.SLOWEST_TRANSFER_BYTES_PER_S, or when a streamed object could not be given to its end.
        """
