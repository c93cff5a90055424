"""A server on loopback that answers POSTs as a test says, each in a thread of its own: for foreign services."""

import socket
import socketserver
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any


class PostServer:
    """Listens from the beginning; `port` 0 = a free one. `answer` gets each request and writes what it likes."""

    def __init__(self, answer: Callable[[BaseHTTPRequestHandler], None], port: int = 0) -> None:
        class Door(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # the caller gave up waiting: that is what some tests do

        self._server = Server(("127.0.0.1", port), Door)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def body_of(door: BaseHTTPRequestHandler) -> bytes:
    return door.rfile.read(int(door.headers["content-length"]))


def say(door: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
    """Answers with XML."""
    door.send_response(status)
    door.send_header("Content-Type", "text/xml; charset=utf-8")
    door.send_header("Content-Length", str(len(body)))
    door.end_headers()
    door.wfile.write(body)


def hang_up(door: BaseHTTPRequestHandler) -> None:
    """Ends the connection without an answer."""
    door.close_connection = True
    door.connection.shutdown(socket.SHUT_RDWR)
