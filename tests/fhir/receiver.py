"""A subscriber's endpoint: a real HTTP server that keeps what it is told and answers as it is bid."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Receiver:
    """What came, whole; `answers` decides each answer's status."""

    url: str = ""
    calls: list[tuple[str, bytes]] = field(default_factory=list)
    answers: Callable[[int], int] = lambda number: 200

    def bundles(self, kind: str = "") -> list[dict[str, Any]]:
        """The notification bundles of one kind."""
        found = [json.loads(body) for _, body in self.calls if body]
        return [each for each in found if kind in ("", told(each)["type"])]

    def references(self) -> list[str]:
        """Everything that event notifications have referred to, in order, by kind and id."""
        return [
            "/".join(part["valueReference"]["reference"].split("/")[-2:])
            for bundle in self.bundles("event-notification")
            for event in bundle["entry"][0]["resource"]["parameter"]
            if event["name"] == "notification-event"
            for part in event["part"]
            if "valueReference" in part
        ]

    def wait(self, met: Callable[[], Any], seconds: float = 60.0) -> None:
        """Until it is met; an assertion with what came when it is not."""
        deadline = time.monotonic() + seconds
        while not met():
            assert time.monotonic() < deadline, self.calls
            time.sleep(0.05)


def told(bundle: dict[str, Any]) -> dict[str, str]:
    """The plain parameters of a notification."""
    parameters = bundle["entry"][0]["resource"]["parameter"]
    return {
        each["name"]: each.get("valueCode") or each.get("valueString", "")
        for each in parameters
        if each["name"] != "notification-event"
    }


@contextmanager
def listening() -> Iterator[Receiver]:
    """A receiver on a free port of loopback."""
    receiver = Receiver()

    class Taker(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            receiver.calls.append((self.path, body))
            self.send_response(receiver.answers(len(receiver.calls)))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            receiver.calls.append((self.path, b""))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *values: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Taker)
    receiver.url = f"http://127.0.0.1:{server.server_port}/hooks"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
