"""A DICOM association on an asyncio transport: moves bytes between the socket and the sans-IO association."""

import asyncio
import socket
from abc import abstractmethod
from typing import cast

from samsyn.errors import OutOfResources, SamsynError
from samsyn.exchange.gathering import Gathering
from samsyn.model.streamed import StreamedData
from samsyn.wire.assembly import PIECE_BYTES, StreamFramer, message_batches
from samsyn.wire.association import Association
from samsyn.wire.dimse import Command


class AssociationTransport(asyncio.BufferedProtocol):
    """Base of both sides' connections; subclasses say what an indication means in `indicated`.

    Everything that is due to the peer after a step of the association leaves in one write, with TCP_NODELAY: a
    response that waits for an acknowledgement of the one before costs 40 ms.
    """

    def __init__(self, association: Association) -> None:
        self.association = association
        self._transport: asyncio.Transport | None = None
        self._gathering: Gathering | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    @property
    def is_connected(self) -> bool:
        """Whether bytes can still be written."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def is_writable(self) -> bool:
        """Whether the peer has taken enough of what was written."""
        return self._writable.is_set()

    async def writable(self) -> None:
        """Waits until it is."""
        await self._writable.wait()

    @property
    def peer_maximum_length(self) -> int:
        """See Association."""
        return self.association.peer_maximum_length

    @abstractmethod
    def indicated(self, indication: object) -> None:
        """Something happened: an `Indication` of wire.upper_layer or a `Message`."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.BaseProtocol."""
        self._transport = cast(asyncio.Transport, transport)
        self._gathering = Gathering(self._transport)
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.association.upper.connected()
        self.flush()

    def get_buffer(self, sizehint: int) -> memoryview:
        """See asyncio.BufferedProtocol."""
        return self.association.upper.get_buffer()

    def buffer_updated(self, nbytes: int) -> None:
        """See asyncio.BufferedProtocol."""
        self.association.upper.buffer_updated(nbytes)
        self._tell()
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.BaseProtocol."""
        self.association.disconnected()
        self._writable.set()
        self._tell()

    def pause_writing(self) -> None:
        """See asyncio.BaseProtocol."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """See asyncio.BaseProtocol."""
        self._writable.set()

    def flush(self) -> None:
        """Writes what is due, in one write, and closes when the association is over."""
        transport = self._transport
        if transport is None or self._gathering is None:
            return
        self._gathering.write(self.association.upper.take_pieces())
        if self.association.upper.must_close:
            transport.close()

    def abort(self, detail: str) -> None:
        """Ends the association at once with an A-ABORT; what is not written yet is still tried."""
        self.association.abort(detail)
        self.flush()

    def close(self) -> None:
        """Closes the connection after what is due has been written."""
        if self._transport is not None:
            self._transport.close()

    def drop(self) -> None:
        """Gives the connection up without waiting for anything to be written."""
        if self._transport is not None:
            self._transport.abort()

    async def send(
        self,
        context_id: int,
        command: Command,
        data: bytes | bytearray | memoryview | StreamedData | None = None,
    ) -> None:
        """Sends a message. errors.Conflict when the association is over.

        OutOfResources: a streamed data set could not be given to its end, which aborts the association.

        Small messages are one write. Large ones leave in batches, each when the peer has taken enough of those
        before, so that a slow peer costs no memory. One at a time for an association. `data` is not copied: it
        stays as it is until this returns.
        """
        if isinstance(data, StreamedData):
            await self._send_streamed(context_id, command, data)
            return
        if data is None or len(data) < PIECE_BYTES:
            self.association.send(context_id, command, data)
            self.flush()
            await self._writable.wait()
            return
        for batch in message_batches(context_id, command, data, self.association.peer_maximum_length):
            self.association.upper.send(batch)
            self.flush()
            await self._writable.wait()

    async def _send_streamed(self, context_id: int, command: Command, data: StreamedData) -> None:
        framer = StreamFramer(context_id, command, data, self.association.peer_maximum_length)
        self.association.upper.send([framer.command])
        try:
            async for piece in data.pieces():
                made = framer.pdus(piece)
                if made:
                    self.association.upper.send([made])
                    self.flush()
                    await self._writable.wait()
        except SamsynError as error:
            self.abort(f"an object broke off: {error.code}")
            raise OutOfResources("an object broke off while it was sent") from error

    def _tell(self) -> None:
        for indication in self.association.take_indications():
            self.indicated(indication)
