"""Serving ASGI inside our own loop."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from samsyn.endpoints.http_listener.protocols import ListenerConfig
from samsyn.errors import ConfigurationError
from samsyn.wire.whole_answer import AnswersAtOnce, Ready
from samsyn.wire.whole_body import BodyTaker, TakesBodies


async def client_gone(_request: Request, _gone: Exception) -> Response:
    """What is left to say when the client went away inside its body: nobody hears it, and it is no fault of ours."""
    return Response(status_code=400)


class Dicomweb(AnswersAtOnce, TakesBodies, Protocol):
    """The door of DICOMweb."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""


class Front:
    """Parts DICOMweb, whose requests are many and small, from everything else before any router runs."""

    def __init__(self, dicomweb_prefix: str, dicomweb: Dicomweb, everything_else: ASGIApp) -> None:
        self._beginning = f"{dicomweb_prefix}/"
        self._dicomweb = dicomweb
        self._everything_else = everything_else

    def at_once(self, scope: Scope) -> Ready | None:
        """See AnswersAtOnce."""
        return self._dicomweb.at_once(scope) if scope["path"].startswith(self._beginning) else None

    def take_body(self, scope: Scope, length: int, answered: Callable[[Ready], None]) -> BodyTaker | None:
        """See TakesBodies."""
        if not scope["path"].startswith(self._beginning):
            return None
        return self._dicomweb.take_body(scope, length, answered)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        # The service's own address may be written without the slash that its resources begin with (PS3.18 8.2).
        if scope["type"] == "http" and f"{scope['path']}/".startswith(self._beginning):
            await self._dicomweb(scope, receive, send)
        else:
            await self._everything_else(scope, receive, send)


class HttpServer(uvicorn.Server):
    """uvicorn without signal handlers of its own: the command line decides when to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals alone."""
        yield


async def serve(app: ASGIApp, bound: socket.socket, **how: Any) -> tuple[HttpServer, asyncio.Task[None]]:
    """Serves on the socket from now on; the task ends after `should_exit` is set. `how`: more of uvicorn's own
    settings, such as the protocol and TLS."""
    config = ListenerConfig(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=10,
        **how,
    )
    server = HttpServer(config)
    task = asyncio.create_task(server.serve([bound]), name="http")
    while not server.started:
        if task.done():
            await task
        await asyncio.sleep(0.005)
    return server, task


def listening(host: str, port: int) -> socket.socket:
    """A bound socket, so that the port is known before the door opens. ConfigurationError: it can not be used."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named so that asyncio turns Nagle's algorithm off: an answer of two writes waits 40 ms else.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as problem:
        bound.close()
        raise ConfigurationError(
            f"[http] port {port} on {host} can not be used: {problem.strerror}"
        ) from problem
    bound.listen(1_024)
    bound.setblocking(False)
    return bound
