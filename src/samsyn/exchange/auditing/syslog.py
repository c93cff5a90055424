"""Syslog over TCP or TLS (RFC 5424, RFC 5425, RFC 6587 3.4.1) to an audit record repository.

Syslog has no answer. What the receiver's machine has confirmed at the level of TCP counts as delivered; when a
connection breaks afterwards, the last messages may have been lost in the receiver, so they are sent again, and
the entry's number in each lets the receiver see that they are the same.
"""

import asyncio
import contextlib
import fcntl
import socket
import ssl
import struct
import termios
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from samsyn import limits
from samsyn.access.followup.review import LogEntry
from samsyn.exchange.auditing.atna import audit_message
from samsyn.exchange.auditing.outbox import Answer, Outgoing, unusable

_PRIORITY: Final = 10 * 8 + 5
"""Facility 10 (security), severity 5 (notice): PS3.15 A.6."""
_MESSAGE_ID: Final = "DICOM+RFC3881"
_CALL: Final = 50
_POLL_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class Repository:
    """Where the audit record repository listens, and as what we send. `tls` None = plain TCP."""

    host: str
    port: int
    source_id: str
    tls: ssl.SSLContext | None


class SyslogReceiver:
    """A Receiver (outbox) with one connection that stays open."""

    def __init__(self, repository: Repository, host_name: str, process: str) -> None:
        self._repository = repository
        self._host_name = host_name
        self._process = process
        self._writer: asyncio.StreamWriter | None = None
        self._reader: asyncio.StreamReader | None = None
        self._unproved: list[bytes] = []

    @property
    def name(self) -> str:
        """See Receiver."""
        return "atna"

    @property
    def call_size(self) -> int:
        """See Receiver."""
        return _CALL

    def takes(self, entry: LogEntry) -> bool:
        """Everything: a repository follows the whole system."""
        return True

    async def send(self, entries: Sequence[Outgoing]) -> Answer:
        """See Receiver."""
        messages = [self._framed(each) for each in entries]
        try:
            async with asyncio.timeout(limits.SYSLOG_TIMEOUT_S):
                writer = await self._connected()
                writer.writelines(messages)
                await writer.drain()
                await self._confirmed(writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as problem:
            await self._drop()
            raise unusable(f"syslog: {type(problem).__name__}: {problem}") from problem
        self._unproved = messages
        return Answer()

    async def close(self) -> None:
        """See Receiver."""
        await self._drop()

    async def _connected(self) -> asyncio.StreamWriter:
        """The open connection; a new one first repeats what the last one may have lost."""
        if self._writer is not None and self._reader is not None:
            # A repository never sends anything: an end of its stream means that it has gone.
            if not self._reader.at_eof() and not self._writer.is_closing():
                return self._writer
            await self._drop()
        repository = self._repository
        self._reader, self._writer = await asyncio.open_connection(
            repository.host,
            repository.port,
            ssl=repository.tls,
            server_hostname=repository.host if repository.tls is not None else None,
        )
        self._writer.writelines(self._unproved)
        return self._writer

    async def _confirmed(self, writer: asyncio.StreamWriter) -> None:
        """Waits until the other machine has acknowledged every byte; OSError when the connection broke."""
        transport: socket.socket = writer.get_extra_info("socket")
        while True:
            if self._reader is None or self._reader.at_eof() or writer.is_closing():
                raise ConnectionError("the repository closed the connection")
            waiting = struct.unpack("i", fcntl.ioctl(transport.fileno(), termios.TIOCOUTQ, b"\0" * 4))[0]
            if waiting == 0 and not writer.transport.get_write_buffer_size():
                return
            await asyncio.sleep(_POLL_S)

    async def _drop(self) -> None:
        writer, self._writer, self._reader = self._writer, None, None
        if writer is not None:
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(limits.ANCHOR_WAIT_S):
                    await writer.wait_closed()

    def _framed(self, each: Outgoing) -> bytes:
        """`LENGTH SP SYSLOG-MSG` (octet counting); the message is UTF-8 with a byte order mark (RFC 5424 6.4)."""
        time = each.entry.time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        head = (f"<{_PRIORITY}>1 {time} {self._host_name} samsyn {self._process} {_MESSAGE_ID} - ").encode(
            "ascii", "replace"
        )
        content = audit_message(each, self._repository.source_id)
        message = head + b"\xef\xbb\xbf" + content
        return b"%d %s" % (len(message), message)
