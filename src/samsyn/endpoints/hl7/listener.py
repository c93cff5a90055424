"""The HL7 v2 door: MLLP on a TCP port, one answer for each message, acceptance only for a Receipt.

`Hl7Door(settings.mllp, connections, filing, clock, refusals, settings.mllp_tls)`: `await start()`, `port`,
`await stop()`. A second listener speaks TLS with client certificates.

A connection costs at most one message in memory. What is no MLLP, stops in the middle or drips costs its sender
the connection; a bad message inside a good frame costs only itself.
"""

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from datetime import datetime

from samsyn import limits
from samsyn.access.refusals import Refusals
from samsyn.clock import Clock
from samsyn.endpoints.hl7.patience import Patience
from samsyn.errors import BadInput, LimitExceeded, NotAuthenticated, SamsynError
from samsyn.exchange.security import certificate_hsa_id, listener_context
from samsyn.hl7v2.acknowledgement import Verdict, answers, batch_answer, verdict_on
from samsyn.hl7v2.header import Header, peek
from samsyn.hl7v2.parsing import is_batch, split_batch
from samsyn.providers.connections import Connections
from samsyn.reports.file import Filing
from samsyn.settings import MllpSettings, MllpTlsSettings
from samsyn.wire.mllp import BlockReader, framed

log = logging.getLogger(__name__)

_READ_BYTES = 64 * limits.KIB
_BACKLOG = 128
_STOP_S = 10.0
_ANSWERS = frozenset(("ACK", "MCF"))
"""MSH-9.1 of answers, as to our application acknowledgement: they are never answered (chapter 2.9), since two systems
that did would go on for ever."""


@dataclass(slots=True, eq=False)
class _Connection:
    """One open connection. Connections without a known source are the first to go when there are too many."""

    number: int
    address: str
    certificate: str | None
    """HSA-id in the verified client certificate, "" when it has none; None = without TLS."""
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    task: "asyncio.Task[None]"
    patience: Patience
    busy: bool = False
    known: bool = False
    active: float = 0.0


class Hl7Door:
    """Listens for RIS, EHR and patient registers. Sources are known by MSH-3, MSH-4 and address."""

    def __init__(
        self,
        settings: MllpSettings,
        connections: Connections,
        filing: Filing,
        clock: Clock,
        refusals: Refusals | None = None,
        tls: MllpTlsSettings | None = None,
    ) -> None:
        self._refusals = refusals
        self._settings = settings
        self._sources = connections
        self._filing = filing
        self._clock = clock
        self._server: asyncio.Server | None = None
        self._open: dict[_Connection, None] = {}
        self._stopping = False
        self._count = 0
        self._tls = tls or MllpTlsSettings()
        self._tls_server: asyncio.Server | None = None
        self.tls_port = 0
        """The TLS port in use once started; 0 = there is none."""
        self.port = settings.port
        """The port in use once started."""

    @property
    def connections(self) -> int:
        """Open connections now."""
        return len(self._open)

    async def start(self) -> None:
        """Opens the ports. ConfigurationError: a known source's profile can not be read, or TLS can not be set up."""
        for name in self._sources.hl7_profiles():
            self._filing.profile(name)
        security = listener_context(self._tls, "mllp_tls")
        self._server = await asyncio.start_server(
            self._accept, self._settings.host, self._settings.port, limit=_READ_BYTES, backlog=_BACKLOG
        )
        if security is not None:
            self._tls_server = await asyncio.start_server(
                self._accept,
                self._tls.host,
                self._tls.port,
                limit=_READ_BYTES,
                backlog=_BACKLOG,
                ssl=security,
                ssl_handshake_timeout=limits.TLS_HANDSHAKE_S,
            )
            self.tls_port = self._tls_server.sockets[0].getsockname()[1]
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Takes no more connections, ends idle ones at once, lets messages under way be answered (10 s)."""
        self._stopping = True
        for server in (self._server, self._tls_server):
            if server is not None:
                server.close()
        tasks = [each.task for each in self._open]
        for each in list(self._open):
            if not each.busy:
                each.task.cancel()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_STOP_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._count += 1
        address = (writer.get_extra_info("peername") or ("",))[0]
        task = asyncio.current_task()
        assert task is not None  # asyncio calls this as one
        connection = _Connection(
            self._count,
            address,
            _certificate(writer),
            reader,
            writer,
            task,
            Patience(task),
            active=self._clock.monotonic(),
        )
        if len(self._open) >= limits.MAX_MLLP_CONNECTIONS and not self._make_room():
            log.warning("mllp-full", extra={"address": address, "limit": "MAX_MLLP_CONNECTIONS"})
            writer.close()
            return
        self._open[connection] = None
        try:
            await self._serve(connection)
        except (ConnectionError, TimeoutError, asyncio.CancelledError):
            pass  # the peer went away, dripped, or we are stopping: nothing was half-filed
        finally:
            self._open.pop(connection, None)
            connection.patience.close()
            writer.close()
            with contextlib.suppress(ConnectionError, TimeoutError, asyncio.CancelledError):
                await asyncio.wait_for(writer.wait_closed(), limits.MLLP_LINGER_S)

    def _make_room(self) -> bool:
        """Ends the connection that has been idle longest, strangers first; False when all are at work."""
        idle = [each for each in self._open if not each.busy]
        if not idle:
            return False
        longest = min(idle, key=lambda each: (each.known, each.active))
        self._open.pop(longest)
        longest.task.cancel()
        return True

    async def _serve(self, connection: _Connection) -> None:
        blocks, patience = BlockReader(limits.MAX_HL7_MESSAGE_BYTES), connection.patience
        deadline: float | None = None
        while not self._stopping:
            if blocks.inside_block:
                deadline = deadline or patience.in_s(limits.HL7_MESSAGE_TIMEOUT_S)
                patience.lasts_until(deadline)
            else:
                deadline = None
                patience.lasts_until(patience.in_s(limits.IDLE_MLLP_TIMEOUT_S))
            data = await connection.reader.read(_READ_BYTES)
            patience.rests()
            if not data:
                return
            blocks.feed(data)
            try:
                while (block := blocks.next_block()) is not None:
                    deadline = None
                    await self._message(connection, block)
            except SamsynError as fault:
                await self._end_for_fault(connection, blocks, fault)
                return

    async def _message(self, connection: _Connection, raw: bytes) -> None:
        """Decides one message and answers it; no fault of it goes beyond."""
        connection.busy = True
        try:
            told = await self._batch(connection, raw) if is_batch(raw) else await self._one(connection, raw)
            for answer in told:
                connection.writer.write(framed(answer))
            if connection.writer.transport.get_write_buffer_size():
                async with asyncio.timeout(limits.HL7_MESSAGE_TIMEOUT_S):
                    await connection.writer.drain()
        finally:
            connection.busy = False
            connection.active = self._clock.monotonic()

    async def _one(self, connection: _Connection, raw: bytes) -> tuple[bytes, ...]:
        header = peek(raw)
        if header.code in _ANSWERS:
            log.info(
                "hl7-answer-passed-over", extra={"address": connection.address, "kind": header.kind[:20]}
            )
            return ()
        verdict, when = await self._decide(connection, header, raw)
        if verdict.code != "AA":
            log.info(
                "hl7-refused",
                extra={
                    "address": connection.address,
                    "kind": header.kind[:20],
                    "code": verdict.code.value,
                    "reason": verdict.sentence[:300],
                },
            )
        return answers(header, verdict, when)

    async def _batch(self, connection: _Connection, raw: bytes) -> tuple[bytes, ...]:
        """Every message of a batch by itself, in order, answered in one batch; a batch that lacks one of the
        messages that it tells of is not begun."""
        now = self._clock.now()
        try:
            messages = split_batch(raw)
            if not messages:
                raise BadInput("BHS: the batch holds no message")
        except SamsynError as refusal:
            return answers(peek(raw), verdict_on(refusal), now)
        told = [answer for each in messages for answer in await self._one(connection, each)]
        return (batch_answer(raw, told, now),)

    async def _decide(self, connection: _Connection, header: Header, raw: bytes) -> tuple[Verdict, datetime]:
        """The verdict and its moment. Acceptance comes from a durable Receipt and from nowhere else."""
        now = self._clock.now()
        try:
            if not raw.lstrip(b"\xef\xbb\xbf\r\n").startswith(b"MSH"):
                raise BadInput("MSH: a message begins with an MSH segment")
            source = self._sources.hl7_source(
                header.sending_application,
                header.sending_facility,
                connection.address,
                connection.certificate,
            )
            if source is None:
                raise NotAuthenticated(
                    "MSH-3, MSH-4: this application and facility are not configured here for this address"
                )
            connection.known = True
            session = f"mllp-{connection.number}"
            filed = await self._filing.file_message(source.sender, source.profile, raw, session, header)
        except SamsynError as refusal:
            if self._refusals is not None:
                claimed = f"{header.sending_application}|{header.sending_facility}"
                await self._refusals.record("hl7", refusal, claimed=claimed, address=connection.address)
            return verdict_on(refusal), now
        except Exception:
            # A fault of ours in one message must not end the connection that others' messages come on.
            log.exception("hl7-fault", extra={"address": connection.address, "kind": header.kind[:20]})
            return verdict_on(SamsynError()), now
        return filed.verdict, filed.when

    async def _end_for_fault(self, connection: _Connection, blocks: BlockReader, fault: SamsynError) -> None:
        """Closes; the sender of a too large message is told first, since it does speak HL7."""
        log.info("mllp-fault", extra={"address": connection.address, "reason": fault.detail[:300]})
        if not isinstance(fault, LimitExceeded):
            return
        header = peek(blocks.refused_beginning)
        for answer in answers(header, verdict_on(fault), self._clock.now()):
            connection.writer.write(framed(answer))
        with contextlib.suppress(ConnectionError, TimeoutError):
            if connection.writer.can_write_eof():
                connection.writer.write_eof()
            await asyncio.wait_for(_discard(connection.reader), limits.MLLP_LINGER_S)


def _certificate(writer: asyncio.StreamWriter) -> str | None:
    if writer.get_extra_info("ssl_object") is None:
        return None
    return certificate_hsa_id(writer.get_extra_info("peercert"))


async def _discard(reader: asyncio.StreamReader) -> None:
    """Reads on to the end: closing with unread bytes would reset the connection and lose the answer."""
    while await reader.read(_READ_BYTES):
        continue
