"""A client of many keep-alive connections in one thread, for rates and latencies of HTTP reads.

Runs as a process of its own (`python -m bench.http_load`): takes one JSON object on standard input and prints one.
"""

import json
import selectors
import socket
import sys
import time
from typing import Any

_PIECE = 1 << 20
_MOST_HEAD_BYTES = 16_384
_END_OF_HEAD = b"\r\n\r\n"
_UNKNOWN, _CHUNKED, _TO_THE_END = -1, -2, -3
"""How long an answer is, where no number tells it: head still to come, in chunks, until the server closes."""


_PATIENCE_S = 120
"""A server that says nothing for so long is not measured."""


class Unexpected(Exception):
    """An answer that was not 200 with the expected size."""


class Client:
    """One connection with one request under way."""

    def __init__(self, host: str, port: int, requests: list[bytes], first: int, least_bytes: int) -> None:
        self.socket = socket.create_connection((host, port), timeout=120)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._requests = requests
        self._next = first
        self._least_bytes = least_bytes
        self._head = b""
        self._wanted = _UNKNOWN
        self._got = 0
        self._tail = b""
        self._begun = 0.0

    def ask(self) -> None:
        """Sends the next request."""
        self._head, self._wanted, self._got, self._tail = b"", _UNKNOWN, 0, b""
        self._begun = time.perf_counter()
        self.socket.sendall(self._requests[self._next % len(self._requests)])
        self._next += 1

    def receive(self, buffer: memoryview) -> float | None:
        """Takes what has arrived; the seconds since the request when the answer is whole."""
        count = self.socket.recv_into(buffer)
        if count == 0:
            if self._wanted != _TO_THE_END:
                raise Unexpected("the server closed the connection")
            return self._checked()
        if self._wanted == _UNKNOWN:
            # Only the head is copied: a body behind it would cost this client more than most servers take to send it.
            before = len(self._head)
            self._head += bytes(buffer[: min(count, _MOST_HEAD_BYTES)])
            end = self._head.find(_END_OF_HEAD)
            if end < 0:
                if len(self._head) >= _MOST_HEAD_BYTES:
                    raise Unexpected(f"a head of more than {_MOST_HEAD_BYTES} bytes")
                return None
            self._read_head(self._head[:end])
            body = end + len(_END_OF_HEAD) - before
            self._got, self._tail = count - body, bytes(buffer[max(body, count - 7) : count])
        else:
            self._got += count
            self._tail = (self._tail + bytes(buffer[max(0, count - 7) : count]))[-7:]
        if self._wanted == _CHUNKED:
            whole = self._tail.endswith(b"\r\n0\r\n\r\n")
        else:
            whole = self._wanted != _TO_THE_END and self._got >= self._wanted
        return self._checked() if whole else None

    def _checked(self) -> float:
        if self._got < self._least_bytes:
            raise Unexpected(f"{self._got} bytes instead of {self._least_bytes}")
        return time.perf_counter() - self._begun

    def _read_head(self, head: bytes) -> None:
        status, _, fields = head.partition(b"\r\n")
        if b" 200 " not in status + b" ":
            raise Unexpected(status.decode("latin-1"))
        self._wanted = _TO_THE_END
        for line in fields.lower().split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name == b"content-length":
                self._wanted = int(value)
            elif name == b"transfer-encoding" and b"chunked" in value:
                self._wanted = _CHUNKED


def request_bytes(host: str, port: int, path: str, headers: dict[str, str]) -> bytes:
    """One GET request as it goes over the wire."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}:{port}", *(f"{k}: {v}" for k, v in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def run_fresh(job: dict[str, Any]) -> dict[str, float]:
    """Asks one after the other, each on a new connection whose opening counts."""
    host, port = job["host"], job["port"]
    requests = [request_bytes(host, port, path, job["headers"]) for path in job["paths"]]
    buffer = memoryview(bytearray(_PIECE))
    latencies: list[float] = []
    begun = time.perf_counter()
    while len(latencies) < job["count"] and time.perf_counter() - begun < job["seconds"]:
        opened = time.perf_counter()
        client = Client(host, port, requests, len(latencies), job["least_bytes"])
        client.ask()
        while client.receive(buffer) is None:
            pass
        latencies.append(time.perf_counter() - opened)
        client.socket.close()
    return _told(latencies, time.perf_counter() - begun)


def run(job: dict[str, Any]) -> dict[str, float]:
    """Asks with `clients` connections until `count` answers or `seconds` have gone by; one answer is waited for."""
    host, port = job["host"], job["port"]
    requests = [request_bytes(host, port, path, job["headers"]) for path in job["paths"]]
    clients = [
        Client(host, port, requests, place * len(requests) // job["clients"], job["least_bytes"])
        for place in range(job["clients"])
    ]
    selector = selectors.DefaultSelector()
    for client in clients:
        selector.register(client.socket, selectors.EVENT_READ, client)
    buffer = memoryview(bytearray(_PIECE))
    latencies: list[float] = []
    begun = time.perf_counter()
    deadline = begun + job["seconds"]
    for client in clients:
        client.ask()
    end = begun
    while len(latencies) < job["count"] and (end < deadline or not latencies):
        ready = selector.select(timeout=_PATIENCE_S)
        if not ready:
            raise Unexpected(f"no answer in {_PATIENCE_S} s")
        for key, _ in ready:
            seconds = key.data.receive(buffer)
            if seconds is not None:
                latencies.append(seconds)
                if len(latencies) < job["count"]:
                    key.data.ask()
        end = time.perf_counter()
    for client in clients:
        client.socket.close()
    return _told(latencies, end - begun)


def _told(latencies: list[float], seconds: float) -> dict[str, float]:
    ordered = sorted(latencies)
    return {
        "count": len(ordered),
        "seconds": seconds,
        "first_ms": latencies[0] * 1000,
        "p50_ms": ordered[len(ordered) // 2] * 1000,
        "p95_ms": ordered[len(ordered) * 19 // 20] * 1000,
    }


def main() -> None:
    """One job in, one result out."""
    job = json.load(sys.stdin)
    print(json.dumps(run_fresh(job) if job.get("fresh") else run(job)))


if __name__ == "__main__":
    main()
