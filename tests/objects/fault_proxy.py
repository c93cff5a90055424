"""An HTTP proxy on loopback that stands before a real object store and does to answers what networks do.

Faults are told one for each request to come; a request without one is passed on whole.
"""

import contextlib
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Final

_HEAD_END: Final = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to one request. `kind`:

    hang-up: the connection is closed before anything is passed on; silence: it is passed on to nobody and never
    answered; status: answered with `number` and not passed on; lost-answer: passed on and done, the answer is thrown
    away and the connection closed; cut: `number` bytes of the answer's body, then the connection is closed;
    shorter: `number` bytes of the answer's body under a Content-Length that says so; drip: `number` bytes a second;
    flip-answer, flip-request: one bit of the body's byte `number` is turned; late: passed on after `number` seconds.
    """

    kind: str
    number: int = 0
    method: str = ""
    """Only for requests of this method; "" = the next one whatever it is."""


class FaultProxy:
    """Listens on a port of its own until closed."""

    def __init__(self, upstream_port: int) -> None:
        self._upstream = upstream_port
        self._faults: deque[Fault] = deque()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._closing = threading.Event()
        self.requests: list[str] = []
        """Method and path of each request seen."""
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def tell(self, *faults: Fault) -> None:
        """These happen to the next requests, in order."""
        with self._lock:
            self._faults.extend(faults)

    def forget(self) -> int:
        """Drops what has not happened yet; how many those were."""
        with self._lock:
            left = len(self._faults)
            self._faults.clear()
            return left

    def close(self) -> None:
        self._closing.set()
        self._listener.close()

    def _next(self, method: str) -> Fault | None:
        with self._lock:
            if self._faults and self._faults[0].method in ("", method):
                return self._faults.popleft()
            return None

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError, ValueError, ConnectionError):
            reader = connection.makefile("rb")
            while head := _head(reader):
                body = reader.read(_length(head))
                method, path, _ = head.split(b"\r\n")[0].decode().split(" ")
                self.requests.append(f"{method} {path}")
                if not self._pass_on(connection, method, head, body):
                    return

    def _pass_on(self, client: socket.socket, method: str, head: bytes, body: bytes) -> bool:
        """Whether the connection goes on."""
        fault = self._next(method)
        kind, number = (fault.kind, fault.number) if fault is not None else ("", 0)
        if kind == "hang-up":
            return False
        if kind == "silence":
            self._closing.wait(60)
            return False
        if kind == "status":
            client.sendall(
                b"HTTP/1.1 %d Fault\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n" % number
            )
            return True
        if kind == "late":
            self._closing.wait(number)
        if kind == "flip-request":
            body = _flipped(body, number)
        answer_head, answer = self._asked(method, head, body)
        if kind == "lost-answer":
            return False
        if kind == "flip-answer":
            answer = _flipped(answer, number)
        if kind == "cut":
            client.sendall(answer_head + answer[:number])
            return False
        if kind == "shorter":
            answer = answer[:number]
            answer_head = _with_length(answer_head, len(answer))
        client.sendall(answer_head)
        if kind == "drip":
            for place in range(0, len(answer), max(number // 10, 1)):
                client.sendall(answer[place : place + max(number // 10, 1)])
                time.sleep(0.1)
        else:
            client.sendall(answer)
        return True

    def _asked(self, method: str, head: bytes, body: bytes) -> tuple[bytes, bytes]:
        with socket.create_connection(("127.0.0.1", self._upstream), 10) as upstream:
            upstream.sendall(head + body)
            reader = upstream.makefile("rb")
            answer_head = _head(reader)
            while answer_head.startswith(b"HTTP/1.1 100"):
                answer_head = _head(reader)
            if method == "HEAD":
                return answer_head, b""
            if b"transfer-encoding: chunked" in answer_head.lower():
                return _unchunked(answer_head, reader)
            return answer_head, reader.read(_length(answer_head))


def _head(reader: "socket.SocketIO | object") -> bytes:
    head = b""
    while not head.endswith(_HEAD_END):
        line = reader.readline(65536)  # type: ignore[attr-defined]
        if not line:
            return b""
        head += line
    return head


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def _with_length(head: bytes, length: int) -> bytes:
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length")]
    return b"\r\n".join([lines[0], b"Content-Length: %d" % length, *lines[1:]])


def _unchunked(head: bytes, reader: object) -> tuple[bytes, bytes]:
    body = b""
    while size := int(reader.readline().split(b";")[0], 16):  # type: ignore[attr-defined]
        body += reader.read(size)  # type: ignore[attr-defined]
        reader.readline()  # type: ignore[attr-defined]
    reader.readline()  # type: ignore[attr-defined]
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"transfer-encoding")]
    return _with_length(b"\r\n".join(lines), len(body)), body


def _flipped(data: bytes, number: int) -> bytes:
    place = number % max(len(data), 1)
    return data[:place] + bytes((data[place] ^ 1,)) + data[place + 1 :] if data else data
