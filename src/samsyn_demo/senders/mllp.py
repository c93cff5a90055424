"""A small MLLP client: one connection, one message at a time, every acknowledgement read and checked."""

import socket
from types import TracebackType

from samsyn_demo.senders.messages import Message
from samsyn_demo.senders.outcome import Refused, attempts

_START, _END = b"\x0b", b"\x1c\r"
_ANSWER_SECONDS = 30.0
_MAX_ANSWER_BYTES = 65_536
_ACCEPTED = frozenset(("AA", "CA"))


class MllpLine:
    """A line to the server for one system. Lost connections are made again and the message is repeated.

    A repetition has the same bytes and control id, so the receiver can tell it from a new message.
    """

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._socket: socket.socket | None = None

    def __enter__(self) -> "MllpLine":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def send(self, message: Message) -> str:
        """Sends and waits for the acknowledgement; its remark (MSA-3) or "". Refused when it is no acceptance."""
        problem = "no attempt"
        for _ in attempts():
            try:
                answer = self._exchange(_START + message.raw + _END)
            except OSError as error:
                problem = error.strerror or type(error).__name__
                self.close()
                continue
            return _checked(message, answer)
        raise Refused(f"{_name(message)}: no answer: {problem}")

    def _exchange(self, frame: bytes) -> bytes:
        if self._socket is None:
            self._socket = socket.create_connection(self._address, _ANSWER_SECONDS)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(frame)
        answer = bytearray()
        while not answer.endswith(_END):
            piece = self._socket.recv(8192)
            if not piece or len(answer) > _MAX_ANSWER_BYTES:
                raise ConnectionError("the connection ended before the acknowledgement was whole")
            answer += piece
        return bytes(answer)


def _checked(message: Message, answer: bytes) -> str:
    """MSA-1 must accept and MSA-2 must be our control id (HL7 v2.5.1 chapter 2.14.8)."""
    segments = answer.strip(_START + _END).decode("latin-1").split("\r")
    msa = next((segment.split("|") for segment in segments if segment.startswith("MSA|")), [])
    code = msa[1] if len(msa) > 1 else "nothing"
    echoed = msa[2] if len(msa) > 2 else ""
    remark = msa[3] if len(msa) > 3 else ""
    if code not in _ACCEPTED:
        raise Refused(f"{_name(message)}: answered {code}: {remark}")
    if echoed != message.control_id:
        raise Refused(f"{_name(message)}: the acknowledgement is for another message")
    return remark


def _name(message: Message) -> str:
    return f"{message.system.application} message {message.control_id} ({message.kind})"
