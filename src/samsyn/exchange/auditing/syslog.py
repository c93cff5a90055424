"""Syslog over TCP or TLS (RFC 5424, RFC 5425, RFC 6587 3.4.1) to an audit record repository.

Syslog has no answer (RFC 5424, 5425). What TCP lets us know is that the receiver's machine has got bytes, not that its
program has read them: they are lost with the program or the machine. So a message that was confirmed is sent again
after a connection, or this process, has ended, until one of these tells that it was read:

* so many bytes were confirmed behind it that it can not wait there any more (limits.SYSLOG_UNREAD_BYTES);
* the other side closed the connection in an orderly way, which TCP does only when all was read (RFC 1122, 4.2.2.13:
  else it resets), and had a minute's time to deal with it (limits.SYSLOG_HANDLED_S);
* we closed it, and the other side has answered that with its own end.

The entry's number in each message lets the receiver see what comes twice. What a program has read and loses by itself,
or what a relay in between has read, nobody can tell.
"""

import asyncio
import contextlib
import fcntl
import socket
import ssl
import struct
import termios
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
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


@dataclass(frozen=True, slots=True)
class _Call:
    """Messages that were confirmed together."""

    first: int
    last: int
    """Numbers of the entries."""
    messages: list[bytes]
    size: int
    confirmed: float
    """When, on the monotonic clock."""


class SyslogReceiver:
    """A Receiver (outbox) with one connection that stays open."""

    def __init__(self, repository: Repository, host_name: str, process: str) -> None:
        self._repository = repository
        self._host_name = host_name
        self._process = process
        self._writer: asyncio.StreamWriter | None = None
        self._reader: asyncio.StreamReader | None = None
        self._unread: deque[_Call] = deque()
        """What may have to be sent again, in order."""
        self._unread_bytes = 0
        self._last = 0

    @property
    def name(self) -> str:
        """See Receiver."""
        return "atna"

    @property
    def call_size(self) -> int:
        """See Receiver."""
        return _CALL

    @property
    def certain(self) -> int:
        """See Receiver."""
        return self._unread[0].first - 1 if self._unread else self._last

    def takes(self, entry: LogEntry) -> bool:
        """Everything: a repository follows the whole system."""
        return True

    async def send(self, entries: Sequence[Outgoing]) -> Answer:
        """See Receiver. What an earlier connection may have lost goes first."""
        messages = [self._framed(each) for each in entries]
        try:
            if not self._is_open():
                await self._connect()
                for place, call in enumerate(self._unread):
                    await self._put(call.messages)
                    self._unread[place] = replace(call, confirmed=time.monotonic())
            await self._put(messages)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as problem:
            await self._drop()
            raise unusable(f"syslog: {type(problem).__name__}: {problem}") from problem
        first, self._last = entries[0].entry.sequence, entries[-1].entry.sequence
        size = sum(map(len, messages))
        self._unread.append(_Call(first, self._last, messages, size, time.monotonic()))
        self._unread_bytes += size
        while self._unread_bytes - self._unread[0].size >= limits.SYSLOG_UNREAD_BYTES:
            self._was_read()
        return Answer()

    async def close(self) -> None:
        """See Receiver. When the other side ends it too, it has read everything."""
        reader, writer = self._reader, self._writer
        if reader is None or writer is None:
            return
        if not self._is_open():
            await self._drop()
            return
        try:
            async with asyncio.timeout(limits.SYSLOG_CLOSE_S):
                if writer.can_write_eof():
                    writer.write_eof()
                    while await reader.read(limits.KIB):
                        pass
                writer.close()
                await writer.wait_closed()  # by TLS this waits for the other side's own end
        except (OSError, TimeoutError):
            await self._drop()
            return
        self._reader = self._writer = None
        while self._unread:
            self._was_read()

    def _was_read(self) -> None:
        self._unread_bytes -= self._unread.popleft().size

    def _is_open(self) -> bool:
        """Whether the connection can be used; one that the other side has ended in an orderly way was read."""
        reader, writer = self._reader, self._writer
        if reader is None or writer is None:
            return False
        if reader.at_eof() and reader.exception() is None:  # a repository never sends anything
            while len(self._unread) > 1 and (
                self._unread[0].confirmed < self._unread[-1].confirmed - limits.SYSLOG_HANDLED_S
            ):
                self._was_read()
            return False
        return not writer.is_closing()

    async def _connect(self) -> None:
        await self._drop()
        repository = self._repository
        async with asyncio.timeout(limits.SYSLOG_TIMEOUT_S):
            self._reader, self._writer = await asyncio.open_connection(
                repository.host,
                repository.port,
                ssl=repository.tls,
                server_hostname=repository.host if repository.tls is not None else None,
            )

    async def _put(self, messages: list[bytes]) -> None:
        """Returns when the other machine has them."""
        assert self._writer is not None
        async with asyncio.timeout(limits.SYSLOG_TIMEOUT_S):
            self._writer.writelines(messages)
            await self._writer.drain()
            await self._confirmed(self._writer)

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
                async with asyncio.timeout(limits.SYSLOG_CLOSE_S):
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
